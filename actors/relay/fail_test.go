package relay

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/messages/linkpb"
	"parley/messages/relaypb"
	"parley/messages/vaultpb"
	"parley/testkit"
)

// What makes an actor fail: messages that nobody sends.
var (
	poison         = (*joined)(nil)  // a client
	channelPoison  = (*leave)(nil)   // a channel
	channelsPoison = (*emptied)(nil) // channels
)

// anyFailures lets a lenientTB's actors fail.
var anyFailures = testkit.ExpectFailures(math.MaxInt)

// lenientTB is for tests that do not know how many actors will fail. A vault's
// answer may come for a client that failed meanwhile.
type lenientTB struct{ testing.TB }

func (b lenientTB) Errorf(format string, args ...any) {
	if strings.HasPrefix(format, "dead letter") {
		if _, late := args[1].(*vaultpb.HashResponse); late {
			return
		}
	}
	if !strings.HasPrefix(format, "testkit: %d actors failed, the test declared") {
		b.TB.Errorf(format, args...)
	}
}

// restartsMost is how often a test lets channels fail: at 10 in 10 s it gives up.
const restartsMost = 5

// seeds is how many orders a test of failures tries.
const seeds = 30

var roomy = Limits{ChannelsPerClient: 100, Channels: 100}

// subscribe makes the command; a password "" is none.
func sub(channel, password, nonce string) *relaypb.Subscribe {
	return &relaypb.Subscribe{Channel: channel, Password: password, HasPassword: password != "", Nonce: []byte(nonce)}
}

func unsub(channel, nonce string) *relaypb.Unsubscribe {
	return &relaypb.Unsubscribe{Channel: channel, Nonce: []byte(nonce)}
}

func send(channel, text, nonce string) *relaypb.Send {
	return &relaypb.Send{Channel: channel, Message: []byte(text), Nonce: []byte(nonce), Charge: 3}
}

// says lets a peer say commands in a row, and forgets what it heard before.
func (p *peer) says(ms ...proto.Message) *peer {
	p.heard = nil
	for _, m := range ms {
		p.say(m)
	}
	return p
}

// wants lets everything happen that needs no time, and compares what a peer
// has heard since it last spoke.
func (p *peer) wants(want ...string) {
	p.w.t.Helper()
	p.w.d.Settle()
	if !slices.Equal(p.heard, want) {
		p.w.t.Errorf("%d heard %q, want %q", p.member, p.heard, want)
	}
	p.heard = nil
}

// wantsAll is wants in any order.
func (p *peer) wantsAll(want ...string) {
	p.w.t.Helper()
	p.w.d.Settle()
	slices.Sort(p.heard)
	slices.Sort(want)
	p.wants(want...)
}

// settledUp checks that a peer's charges came back.
func (p *peer) settledUp() {
	p.w.t.Helper()
	if p.held != 0 {
		p.w.t.Errorf("%d holds %d charges", p.member, p.held)
	}
}

// later does something when an actor has passed on so many messages, and all
// others had as many turns.
func (w *world) later(turns int, f func()) {
	w.sys.Root.Send(w.links, func(actor.Context) {
		if turns > 0 {
			w.later(turns-1, f)
		} else {
			f()
		}
	})
}

func TestClientFails(t *testing.T) {
	testkit.Seeds(t, seeds, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d, 2, roomy, testkit.ExpectFailures(1))
		a, b, c := w.client(), w.client(), w.client()
		b.says(sub("x", "", "1"), sub("y", "", "2"), sub("p", "pw", "3")).wantsAll("1 ok", "2 ok", "3 ok")
		c.says(sub("x", "", "1")).wants("1 ok")
		a.says(sub("x", "", "1"), sub("own", "", "2")).wantsAll("1 ok", "2 ok")

		// It fails while it joins channels, with and without others in them.
		a.says(sub("y", "", "3"), sub("z", "", "4"), send("x", "hello", "5"))
		w.sys.Root.Send(a.server, poison)
		a.say(sub("late", "", "6"))
		b.says(send("x", "from b", "4"))
		d.Settle()
		if !a.gone || a.code != 1011 || a.reason != "internal error" {
			t.Errorf("the failed client's link: gone %v, closed %d %q", a.gone, a.code, a.reason)
		}
		if !slices.Contains(b.heard, "4 ok") || !slices.Contains(c.heard, "x: from b") {
			t.Errorf("others heard %q and %q", b.heard, c.heard)
		}
		if got, want := fmt.Sprint(w.sizes()), "map[p:1 x:2 y:1]"; got != want {
			t.Errorf("open are %s, want %s", got, want)
		}
		if clients, _ := w.census(); clients != 2 {
			t.Errorf("%d clients, want 2", clients)
		}
		b.says(send("x", "more", "5")).wants("5 ok")
		if !slices.Contains(c.heard, "x: more") {
			t.Errorf("c heard %q", c.heard)
		}
		b.settledUp()
		c.settledUp()
		w.stop()
	})
}

// TestChannelFails lets a channel fail among commands to it. Whether one comes
// before or after that is up to the seed.
func TestChannelFails(t *testing.T) {
	testkit.Seeds(t, seeds*2, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d, 2, roomy, testkit.ExpectFailures(1))
		a, b, c, e := w.client(), w.client(), w.client(), w.client()
		for _, p := range []*peer{a, b, c} {
			p.says(sub("x", "old", "0"), sub("other", "", "1")).wantsAll("0 ok", "1 ok")
		}
		x := w.core.open["x"].pid
		w.later(int(d.Seed()%6), func() { w.sys.Root.Send(x, channelPoison) })
		a.says(send("x", `"1"`, "2"), send("x", `"2"`, "3"), send("other", `"3"`, "4"))
		b.says(unsub("x", "2"), sub("x", "old", "3"))
		e.says(sub("x", "old", "2"), unsub("x", "3"), sub("x", "old", "4"))
		d.Settle()

		once := func(p *peer, want ...string) {
			t.Helper()
			for _, text := range want {
				if n := len(slices.DeleteFunc(slices.Clone(p.heard), func(h string) bool { return h != text })); n != 1 {
					t.Errorf("%d heard %q %d times: %q", p.member, text, n, p.heard)
				}
			}
		}
		once(a, "error x channel lost", "4 ok")
		once(c, "error x channel lost", `other: "3"`)
		once(b, "2 ok", "3 ok", `other: "3"`)
		once(e, "2 ok")
		if i := slices.Index(c.heard, "error x channel lost"); slices.ContainsFunc(c.heard[i+1:], func(h string) bool { return strings.HasPrefix(h, "x: ") }) {
			t.Errorf("c heard %q", c.heard)
		}
		for _, p := range w.peers {
			p.settledUp()
		}

		// At once it can be opened, by anybody and with another password.
		for _, p := range []*peer{b, e} {
			if w.core.open["x"] != nil {
				p.says(unsub("x", "5"))
				d.Settle()
			}
		}
		if w.core.open["x"] != nil {
			t.Errorf("x is open and has %v", w.sizes())
		}
		a.says(sub("x", "new", "6")).wants("6 ok")
		c.says(sub("x", "old", "7"), sub("x", "new", "8")).wantsAll("7 invalid password", "8 ok")
		a.says(send("x", `"again"`, "9")).wants("9 ok")
		c.wants(`x: "again"`)
		w.stop()
	})
}

// TestChannelFailsWhileItsShardIsBehind has its last messages, and its answers,
// still come; the word that it is lost comes behind them.
func TestChannelFailsWhileItsShardIsBehind(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d, 1, roomy, testkit.ExpectFailures(1))
		a, b := w.client(), w.client()
		a.says(sub("x", "", "1")).wants("1 ok")
		b.says(sub("x", "", "1")).wants("1 ok")
		w.sys.Root.Send(w.shards[0], func(actor.Context) { // it is at work and takes nothing else
			a.says(send("x", `"1"`, "2"))
			d.Settle()
			w.sys.Root.Send(w.core.open["x"].pid, channelPoison)
			d.Settle()
			b.wants()
			b.says(sub("x", "", "2"))
			d.Settle()
		})
		b.wants(`x: "1"`, "error x channel lost", "2 ok")
		a.wants("2 ok", "error x channel lost")
		a.settledUp()
		b.settledUp()
		w.stop()
	})
}

// TestChannelFailsAsItEmpties has a channel fail whose last member leaves, while
// another comes: who opens it anew must not be taken for who left.
func TestChannelFailsAsItEmpties(t *testing.T) {
	testkit.Seeds(t, seeds, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(lenientTB{t}, d, 1, roomy, anyFailures)
		a, b := w.client(), w.client()
		a.says(sub("x", "", "1")).wants("1 ok")
		a.says(unsub("x", "2"))
		w.sys.Root.Send(w.core.open["x"].pid, channelPoison)
		b.says(sub("x", "", "1")).wants("1 ok")
		a.wants("2 ok")
		if got := fmt.Sprint(w.sizes()); got != "map[x:1]" {
			t.Errorf("open are %s", got)
		}
		b.says(send("x", `"1"`, "2")).wants("2 ok")
		b.settledUp()
		// Rarely, word that it is empty comes from the one that failed.
		late := &emptied{"x", w.core.open["x"].joins, nil}
		w.sys.Root.RequestWithCustomSender(w.channels, late, w.sys.NewLocalPID("failed"))
		b.says(send("x", `"2"`, "3")).wants("3 ok")
		w.stop()
	})
}

func TestChannelsRestart(t *testing.T) {
	testkit.Seeds(t, seeds, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d, 2, roomy, testkit.ExpectFailures(1))
		a, b := w.client(), w.client()
		a.says(sub("x", "pw", "1"), sub("y", "", "2")).wantsAll("1 ok", "2 ok")
		b.says(sub("y", "", "1"), sub("z", "", "2")).wantsAll("1 ok", "2 ok")
		w.sys.Root.Send(w.channels, channelsPoison)
		a.says()
		b.says(sub("x", "else", "3"))
		d.Settle()
		lost := func(p *peer) int {
			return len(slices.DeleteFunc(slices.Clone(p.heard), func(h string) bool { return !strings.HasSuffix(h, reasonLost) }))
		}
		if lost(a) != 2 || lost(b) != 2 || !slices.Contains(append(b.heard, ""), "3 ok") && !slices.Contains(b.heard, "3 invalid password") {
			t.Errorf("they heard %q and %q", a.heard, b.heard)
		}
		a.settledUp()
		b.settledUp()
		if clients, _ := w.census(); clients != 2 {
			t.Errorf("%d clients, want 2", clients)
		}
		a.says(sub("y", "new", "5"), &relaypb.List{Nonce: []byte("6")})
		d.Settle()
		if !slices.Contains(a.heard, "5 ok") {
			t.Errorf("a heard %q", a.heard)
		}
		w.stop()
	})
}

// TestSubscribeThatChannelsFailOn is answered, and its client still ends.
func TestSubscribeThatChannelsFailOn(t *testing.T) {
	testkit.Seeds(t, 10, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d, 1, roomy, testkit.ExpectFailures(1))
		a := w.client()
		w.core.open = nil // it cannot be written to
		a.says(sub("x", "", "1"), sub("y", "", "2"), send("x", `"1"`, "3")).wantsAll("1 busy", "2 ok", "3 channel does not exist")
		a.settledUp()
		a.hangUp()
		d.Settle()
		if left := w.alive(w.clients); len(left) > 0 {
			t.Errorf("left are %v", left)
		}
		w.stop()
	})
}

// TestJoinThatIsLostTwice is given up: it may be what makes channels fail.
func TestJoinThatIsLostTwice(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d, 1, roomy)
		a := w.client()
		a.says(sub("x", "", "1")).wants("1 ok")
		gone := w.sys.NewLocalPID("gone")
		s := &subscribe{name: "x", member: a.member, client: a.server, nonce: []byte("2"), channel: gone}
		w.sys.Root.Send(w.channels, &again{s, gone})
		a.wants("2 ok")
		if s.channel != w.core.open["x"].pid {
			t.Errorf("joined %v", s.channel)
		}
		w.sys.Root.Send(w.channels, &again{s, gone}) // it joined meanwhile
		a.wants()
		s.client = w.asker
		w.sys.Root.Send(w.channels, &again{s, s.channel})
		d.Settle()
		if got := fmt.Sprint(w.refusals); got != "[{x busy}]" {
			t.Errorf("refused %s", got)
		}
		w.stop()
	})
}

// TestLinkThatNeverOpened is gone before it can hear that it is served.
func TestLinkThatNeverOpened(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d, 1, roomy)
		w.sys.Root.RequestWithCustomSender(w.clients, &linkpb.Opened{Protocol: "relay", Member: 1}, w.sys.NewLocalPID("gone"))
		d.Settle()
		if clients, _ := w.census(); clients > 0 || len(w.alive(w.clients)) > 0 {
			t.Errorf("%d clients are left", clients)
		}
		w.stop()
	})
}

// TestReaderTalksLonger sends what a reader has in hand when its link has ended.
func TestReaderTalksLonger(t *testing.T) {
	testkit.Seeds(t, 10, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d, 1, roomy)
		a := w.client()
		a.late = []proto.Message{
			sub("y", "", "1"), unsub("x", "2"), send("x", `"1"`, "3"), &relaypb.List{Nonce: []byte("4")},
			&linkpb.Malformed{Reason: "invalid json", Charge: 1},
		}
		a.says(sub("x", "slow", "0"))
		w.sys.Root.Send(w.links, func(ctx actor.Context) { ctx.Stop(a.link) })
		w.quiet()
		if clients, open := w.census(); clients+open > 0 || len(w.alive(w.clients)) > 0 {
			t.Errorf("left are %d clients and %d channels", clients, open)
		}
		w.stop()
	})
}
