package enclave

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/messages/enclavepb"
	"parley/testkit"
)

// rapidTB lets testkit fail a rapid test.
type rapidTB struct {
	testing.TB
	rt *rapid.T
}

func (b rapidTB) Cleanup(f func())                  { b.rt.Cleanup(f) }
func (b rapidTB) Error(args ...any)                 { b.rt.Error(args...) }
func (b rapidTB) Errorf(format string, args ...any) { b.rt.Errorf(format, args...) }
func (b rapidTB) Fatal(args ...any)                 { b.rt.Fatal(args...) }
func (b rapidTB) Fatalf(format string, args ...any) { b.rt.Fatalf(format, args...) }
func (b rapidTB) Failed() bool                      { return b.rt.Failed() }
func (b rapidTB) Helper()                           {}
func (b rapidTB) Logf(string, ...any)               {}

// way is what one node has said to another.
type way struct {
	from, to *node
	said     int
	waiting  map[string]int // numbers of commands that were not answered
	ok       []int          // numbers of messages that were acknowledged to people
}

// collect takes down what was answered.
func (w *way) collect() {
	rest := w.from.results[:0]
	for _, r := range w.from.results {
		n, mine := w.waiting[r.GetId()]
		if !mine {
			rest = append(rest, r)
			continue
		}
		delete(w.waiting, r.GetId())
		if r.GetOk() {
			w.ok = append(w.ok, n)
		}
	}
	w.from.results = rest
}

// speak says something, and more at once.
func (w *way) speak(count int) {
	for range count {
		w.said++
		text := fmt.Sprintf("%s-%d", w.from.address, w.said)
		c := send(w.to.address, text)
		c.Id = w.to.address + "/" + text
		w.waiting[c.GetId()] = w.said
		w.from.w.sys.Root.Send(w.from.real.Friends, &asked{c, w.from.asker})
	}
}

// numbers are those of the messages that have come, in order.
func (w *way) numbers() (out []int) {
	for _, s := range w.to.talk.said {
		if _, number, mine := strings.Cut(s, w.from.address+"-"); mine {
			n, err := strconv.Atoi(number)
			if err != nil {
				panic(err)
			}
			out = append(out, n)
		}
	}
	return out
}

// firsts is what came, each where it came first.
func firsts(all []int) (out []int) {
	for _, n := range all {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// TestDelivery has nodes talk while links are made and broken, actors fail and
// nodes are killed. Between nodes of our own all that was acknowledged to people
// arrives once and in order; at another node what was not taken may come again, and
// nothing out of order that went over one link.
func TestDelivery(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rapid.SyncTest(rt, func(rt *rapid.T) { deliver(t, rt) })
	})
}

func deliver(t *testing.T, rt *rapid.T) {
	d := testkit.NewDriver(rapid.Uint64().Draw(rt, "seed"))
	w := newWorld(rapidTB{t, rt}, d)
	slow := time.Duration(rapid.SampledFrom([]int{1, 100, 1500}).Draw(rt, "ms")) * time.Millisecond
	w.delay = func() time.Duration { return time.Duration(w.rng.Int64N(int64(slow))) }
	w.takes = w.delay
	outbox := rapid.Bool().Draw(rt, "outbox")
	prepare := func(address string, others ...string) *node {
		return w.prepare(address, func(n *node) {
			n.o.Outbox = outbox
			n.boxes.takes, n.talk.takes = w.delay, w.delay
			n.store = &paperStore{records: map[string]string{}, chron: &n.talk}
			for _, other := range others {
				c := &enclavepb.Contact{Address: other, State: enclavepb.State_STATE_FRIEND}
				n.store.records[contactPrefix+other] = string(record(c).GetValue())
			}
		})
	}
	f := w.foreign("10.0.0.9")
	a, b := prepare("10.0.0.1", "10.0.0.2", "10.0.0.9"), prepare("10.0.0.2", "10.0.0.1")
	a.start()
	b.start()
	d.Settle()
	ways := []*way{{from: a, to: b}, {from: b, to: a}, {from: a, to: f}}
	for _, w := range ways {
		w.waiting = map[string]int{}
	}
	killed := map[*node]bool{}
	crossed := false // f has had two links at once: what is on its way on one may be late, and has no number
	both := []*node{a, b}
	node := rapid.IntRange(0, 1)
	step := func() {
		d.Settle()
		for _, w := range ways {
			w.collect()
		}
	}
	actions := map[string]func(*rapid.T){
		"say": func(t *rapid.T) {
			ways[rapid.IntRange(0, 2).Draw(t, "way")].speak(rapid.SampledFrom([]int{1, 1, 3, 20}).Draw(t, "count"))
		},
		"more": func(t *rapid.T) {
			ways[rapid.IntRange(0, 1).Draw(t, "way")].speak(rapid.SampledFrom([]int{1, 2}).Draw(t, "count"))
			step()
		},
		"cut": func(t *rapid.T) {
			if all := slices.Concat(w.up(a), w.up(b)); len(all) > 0 {
				all[rapid.IntRange(0, len(all)-1).Draw(t, "link")].cut()
			}
			step()
		},
		"call": func(t *rapid.T) { // as a node does that has lost its link and does not know it
			if n := both[node.Draw(t, "who")]; !a.down && !b.down {
				crossed = true
				w.connect(f, 0, a)
				other := a
				if n == a {
					other = b
				}
				w.connect(n, 0, other)
			}
		},
		"fail": func(t *rapid.T) {
			if n := both[node.Draw(t, "who")]; !n.down {
				if all := n.people(); len(all) > 0 {
					n.fail(all[rapid.IntRange(0, len(all)-1).Draw(t, "friend")])
				}
			}
			step()
		},
		"fail more": func(t *rapid.T) {
			if n := both[node.Draw(t, "who")]; !n.down {
				n.fail(n.sibling(rapid.SampledFrom([]string{nameFriends, nameStrangers, nameBook}).Draw(t, "which")))
			}
			step()
		},
		"wait": func(t *rapid.T) {
			d.Run(time.Duration(rapid.SampledFrom([]int{1, 50, 1000, 7000, 40_000}).Draw(t, "for")) * time.Millisecond)
			step()
		},
	}
	if outbox {
		actions["kill"] = func(t *rapid.T) {
			n := both[node.Draw(t, "who")]
			if n.down {
				return
			}
			step()
			n.kill()
			killed[n] = true
			step()
			n.start()
			step()
		}
	}
	rt.Repeat(actions)
	for range 4 {
		d.Run(6 * time.Minute)
		step()
	}
	for _, way := range ways {
		got := way.numbers()
		if way.to == f && killed[a] {
			continue // what was written is not known to have been written
		}
		if way.to == f { // what was not taken when a link broke comes again: no gap, and no more than that
			got = firsts(got)
		}
		sorted := slices.Clone(got)
		slices.Sort(sorted)
		if len(slices.Compact(sorted)) != len(got) {
			rt.Fatalf("%s heard of %s twice: %v", way.to.address, way.from.address, got)
		}
		if !slices.IsSorted(got) && !(way.to == f && crossed) {
			rt.Fatalf("%s heard of %s out of order: %v", way.to.address, way.from.address, got)
		}
		if way.to == f {
			continue
		}
		for _, n := range way.ok {
			if !slices.Contains(got, n) {
				rt.Fatalf("%s did not hear %d of %s: %v", way.to.address, n, way.from.address, got)
			}
		}
		if !killed[way.from] && len(way.waiting) > 0 {
			rt.Fatalf("not answered: %v", way.waiting)
		}
		if q := way.from.status().GetQueued(); q != 0 {
			rt.Fatalf("%d messages of %s wait for ever", q, way.from.address)
		}
	}
	if n := len(w.up(b)); n != 1 {
		rt.Fatalf("%d links are left", n)
	}
	w.stop()
}
