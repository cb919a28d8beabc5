package link

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"pgregory.net/rapid"

	"parley/actors/tree"
	"parley/messages"
	"parley/testkit"
)

// TestLossyMembers get the same frames, as such that may be dropped.
func TestLossyMembers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{window: 100, kind: func(k *Kind) { k.OutboundLimit = 1000 }})
		lossy, firm := w.dial(), w.dial()
		const n = 100
		for i := range n {
			w.cast(messages.Multicast{Lossy: []uint64{1}, Members: []uint64{2}, Source: "news"}, fmt.Sprintf("%04d%s", i, strings.Repeat("x", 45)))
			synctest.Wait() // no bursts
		}
		w.say(1, "firm")
		firm.listen()
		lossy.listen()
		got := lossy.lines()
		var lost int
		if _, err := fmt.Sscanf(got[len(got)-1], "dropped news %d", &lost); err != nil {
			t.Fatalf("no report: %s", brief(got))
		}
		got = got[:len(got)-1]
		if i := slices.Index(got, "firm"); i < 0 || len(got)-1+lost != n {
			t.Errorf("%d frames and firm at %d, %d reported lost, of %d", len(got)-1, i, lost, n)
		}
		if err := lossy.ended(); err != nil {
			t.Errorf("the lossy link ended: %v", err)
		}
		if got := firm.lines(); got[len(got)-1] != "close 1013 slow consumer" {
			t.Errorf("the firm link got %s", brief(got))
		}
		if got := w.kind.closes[closeSlow].Load(); got != 1 {
			t.Errorf("%d links closed as slow, want 1", got)
		}
		w.stop()
	})
}

// TestShardPanics: its links lose the batch, and go on; what the batch would
// have given back is forgiven; pings go on.
func TestShardPanics(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{failures: 3, kind: func(k *Kind) { k.Ping = 30 * time.Second }})
		a, b := w.dial().listen(), w.dial().listen()
		for range creditLimit {
			a.say("hello")
		}
		w.cast(messages.Multicast{Members: []uint64{1, 2}}, "one")
		a.want("one")
		for range 3 {
			w.cast(messages.Multicast{Members: []uint64{1, 2}, Origin: 1, Charge: creditLimit}, appendMarker)
			time.Sleep(time.Second)
		}
		a.say("and on")
		if got := w.heard(1); len(got) != creditLimit+1 {
			t.Errorf("the reader stands still after %d messages", len(got))
		}
		w.cast(messages.Multicast{Members: []uint64{1, 2}}, "two")
		a.want("two")
		time.Sleep(30 * time.Second)
		a.want("ping")
		b.want("one", "two", "ping")
		w.stop()
	})
}

// TestRefusedMulticast gives its sender's credit back when the queue is full.
func TestRefusedMulticast(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{})
		p := w.dial().listen()
		for range creditLimit + 1 {
			p.say("hello")
		}
		p.want()
		w.sys.Root.Send(w.fan.Shards[0], settle{origin: 1, charge: 1})
		w.sys.Root.Send(w.fan.Shards[0], settle{origin: 99, charge: 1})
		p.want()
		if got := w.heard(1); len(got) != creditLimit+1 {
			t.Errorf("the reader stands still after %d messages", len(got))
		}
		w.stop()
	})
}

// member of the model of TestFanoutOrder.
type modelMember struct {
	want map[string][]string // by channel: what must come, in order
}

// modelChannel keeps its list as a channel does: frozen where it was handed out.
type modelChannel struct {
	name string
	list []uint64
}

// TestFanoutOrder lets members join, leave and talk at random, in batches cut at
// random. Each member must get each channel's messages, but for its own, from
// its joining to its leaving, in order, between the two answers; and the answer
// to a message behind what the channel had sent it before.
func TestFanoutOrder(t *testing.T) {
	sys := tree.New(tree.Options{})
	defer sys.Shutdown()
	rapid.Check(t, func(t *rapid.T) { fanoutOrder(t, newKind(sys, nil)) })
}

func fanoutOrder(t *rapid.T, k *Kind) {
	const n = 5
	s := newTable(k, n, false)
	channels := []*modelChannel{{name: "x"}, {name: "y"}, {name: "z"}}
	model := make([]modelMember, n+1)
	for i := range model {
		model[i].want = map[string][]string{}
	}
	var batch []*messages.Multicast
	seq := 0
	t.Repeat(map[string]func(*rapid.T){
		"join or leave": func(t *rapid.T) {
			c, m := rapid.SampledFrom(channels).Draw(t, "channel"), rapid.Uint64Range(1, n).Draw(t, "member")
			verb := c.toggle(m)
			model[m].expect(c, verb)
			batch = append(batch, only(c.name+" "+verb, m))
		},
		"talk": func(t *rapid.T) {
			c, m := rapid.SampledFrom(channels).Draw(t, "channel"), rapid.Uint64Range(1, n).Draw(t, "member")
			seq++
			text := fmt.Sprintf("%s %d", c.name, seq)
			for _, id := range c.list {
				if id != m {
					model[id].expect(c, fmt.Sprint(seq))
				}
			}
			out := post(text, m, c.list)
			if rapid.Bool().Draw(t, "answered") {
				out.Answer = wrapperspb.String(fmt.Sprintf("%s ok %d", c.name, seq))
			}
			batch = append(batch, out)
		},
		"hand over": func(*rapid.T) {
			s.batch(batch...)
			batch = nil
		},
	})
	s.batch(batch...)
	for m := 1; m <= n; m++ {
		checkMember(t, m, model[m].want, s.conns[m].all())
	}
}

// toggle joins or leaves, and says which.
func (c *modelChannel) toggle(m uint64) (verb string) {
	if i := slices.Index(c.list, m); i >= 0 {
		c.list = slices.Delete(slices.Clone(c.list), i, i+1)
		return "left"
	}
	c.list = append(c.list, m)
	return "joined"
}

func (m *modelMember) expect(c *modelChannel, what string) {
	m.want[c.name] = append(m.want[c.name], what)
}

func checkMember(t *rapid.T, m int, want map[string][]string, lines []string) {
	got := map[string][]string{}
	last := map[string]int{}
	for _, l := range lines {
		f := strings.Fields(l)
		if f[1] != "ok" {
			got[f[0]] = append(got[f[0]], f[1])
			var seq int
			if n, _ := fmt.Sscan(f[1], &seq); n == 1 {
				last[f[0]] = seq
			}
			continue
		}
		// All that the channel sent this member before must be here.
		var seq int
		_, _ = fmt.Sscan(f[2], &seq)
		for _, w := range want[f[0]] {
			var before int
			if n, _ := fmt.Sscan(w, &before); n == 1 && before < seq && before > last[f[0]] {
				t.Fatalf("member %d: answer to %s %d before message %d", m, f[0], seq, before)
			}
		}
	}
	for _, c := range []string{"x", "y", "z"} {
		if !slices.Equal(got[c], want[c]) {
			t.Fatalf("member %d: channel %s: got %v, want %v", m, c, got[c], want[c])
		}
	}
}

// TestAnswersOfABatchOutliveIt: a link that is behind keeps an answer that was
// lent to it, and the next batch uses the memory again.
func TestAnswersOfABatchOutliveIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := testkit.System(t)
		r := newRig(t, sys, 10, false, nil)
		s := &shard{kind: r.kind, links: map[uint64]*Outbound{1: r.out}}
		b := &tree.Batch{Messages: []messages.Load{only("first answer", 1)}}
		s.onBatch(b)
		for i := range 5 {
			b.Messages[0] = only(fmt.Sprintf("answer %d", i), 1)
			s.onBatch(b)
		}
		r.readAll()
		lines, _ := r.lines()
		if want := []string{"first answer", "answer 0", "answer 1", "answer 2", "answer 3", "answer 4"}; !slices.Equal(lines, want) {
			t.Errorf("got %q", lines)
		}
		r.close()
		testkit.Stop(t, sys)
	})
}

// TestShardsShareTheWork has members of several shards in one message.
func TestShardsShareTheWork(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{kind: func(k *Kind) { k.Shards = 3 }, serve: func(ctx actor.Context, text string) {
			ctx.Send(ctx.Sender(), newWord("got "+text))
		}})
		var peers []*peer
		var all []uint64
		for i := range 7 {
			peers, all = append(peers, w.dial().listen()), append(all, uint64(i+1))
		}
		w.cast(messages.Multicast{Members: all, Origin: 5}, "hello")
		for i, p := range peers {
			if i+1 == 5 {
				p.want()
			} else {
				p.want("hello")
			}
		}
		if got := w.kind.sent.Load(); got != 7 {
			t.Errorf("%d deliveries counted", got)
		}
		w.stop()
	})
}
