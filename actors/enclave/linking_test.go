package enclave

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"parley/messages/enclavepb"
	"parley/messages/linkpb"
	"parley/testkit"
)

// TestTwoLinksOfOneDirection keeps the newest.
func TestTwoLinksOfOneDirection(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d)
		n := w.add("10.0.0.1", func(o *Options) { o.Dial = nil })
		n.must(add("10.0.0.2", ""))
		a := n.call("10.0.0.2:5").say(shake("x", 1))
		n.told()
		b := n.call("10.0.0.2:6")
		if a.gone || b.gone {
			t.Errorf("gone: %v, %v", a.gone, b.gone)
		}
		b.say(shake("x", 1), words("hi"))
		if !a.over() || b.over() {
			t.Errorf("over: %v, %v", a.over(), b.over())
		}
		n.must(send("10.0.0.2", "hello"))
		if got := b.messages(); !slices.Equal(got, []string{"hello"}) {
			t.Errorf("heard %q", got)
		}
		d.Run(time.Hour)
		if !a.gone || b.over() {
			t.Errorf("gone: %v, over: %v", a.gone, b.over())
		}
		w.stop()
	})
}

// TestTwoLinksOfOppositeDirections has both sides dial.
func TestTwoLinksOfOppositeDirections(t *testing.T) {
	for _, c := range []struct {
		name         string
		own, peer    string
		instance     string // of the peer; empty: it speaks nothing but the seed's keys
		local        bool   // the own address is known
		dialledFirst bool
		after        time.Duration
		dialledStays bool
	}{
		{"own is smaller", "10.0.0.1", "10.0.0.2", "", true, true, bothTime, true},
		{"own is smaller, called first", "10.0.0.1", "10.0.0.2", "", true, false, bothTime, true},
		{"peer is smaller", "10.0.0.2", "10.0.0.1", "", true, true, bothTime, false},
		{"peer is smaller, called first", "10.0.0.2", "10.0.0.1", "", true, false, bothTime, false},
		{"numbers, not texts", "10.0.0.9", "10.0.0.10", "", true, true, bothTime, true},
		{"zones are nobody's address", "fe80::1%b", "fe80::2%a", "", true, false, bothTime, true},
		{"own is not known, the newer stays", "10.0.0.1", "10.0.0.2", "", false, true, 3 * bothTime, false},
		{"own is not known, runs are compared", "10.0.0.1", "10.0.0.2", "zzzzzzzzzzzzz", false, false, 3 * bothTime, true},
		{"one address, runs are compared", "10.0.0.1", "10.0.0.1", "0", true, true, 3 * bothTime, false},
		{"two families, the newer stays", "10.0.0.1", "fd00::1", "", true, false, 3 * bothTime, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
				w := newWorld(t, d)
				n := w.add(c.own, func(o *Options) {
					if !c.local {
						o.Local = ""
					}
				})
				n.onDial = func(*enclavepb.Dial) (*enclavepb.DialFailed, bool) { return nil, true }
				n.must(add(netip.AddrPortFrom(netip.MustParseAddr(c.peer), 7777).String(), ""))
				d.Run(time.Second)
				hello := shake("x", 1)
				hello.Id = c.instance
				var dialled, called *end
				dial := func() { dialled = n.serve(n.dials[0]).say(hello) }
				call := func() { called = n.call(netip.AddrPortFrom(netip.MustParseAddr(c.peer), 5).String()).say(hello) }
				if c.dialledFirst {
					dial()
					d.Run(time.Second)
					call()
				} else {
					call()
					d.Run(time.Second)
					dial()
				}
				newest := called
				if !c.dialledFirst {
					newest = dialled
				}
				dialled.say(words("a"))
				called.say(words("b"))
				if want := []string{c.peer + " a", c.peer + " b"}; !slices.Equal(n.talk.said, want) {
					t.Errorf("said %q, want %q", n.talk.said, want)
				}
				n.must(send(c.peer, "hi"))
				if got := newest.messages(); !slices.Equal(got, []string{"hi"}) {
					t.Errorf("the newest has heard %q", got)
				}
				d.Run(c.after - time.Millisecond)
				if dialled.over() || called.over() {
					t.Error("one was closed too early")
				}
				d.Run(time.Millisecond)
				if dialled.over() == c.dialledStays || called.over() != c.dialledStays {
					t.Errorf("over: dialled %v, called %v", dialled.over(), called.over())
				}
				d.Run(time.Hour)
				if len(w.up(n)) != 1 || len(n.dials) != 1 {
					t.Errorf("%d links, %d dials", len(w.up(n)), len(n.dials))
				}
				w.stop()
			})
		})
	}
}

// TestFriendDecides has the friend close one of two links, whichever.
func TestFriendDecides(t *testing.T) {
	testkit.Seeds(t, 4, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d)
		n := w.add("10.0.0.1", nil)
		n.onDial = func(*enclavepb.Dial) (*enclavepb.DialFailed, bool) { return nil, true }
		n.must(add("10.0.0.2", ""))
		d.Run(time.Second)
		a, b := n.serve(n.dials[0]).say(shake("x", 1)), n.call("10.0.0.2:5").say(shake("x", 1))
		n.told()
		stays, goes := a, b
		if d.Seed()%2 == 0 {
			stays, goes = b, a
		}
		goes.bye()
		n.wantTold() // nothing has happened
		n.must(send("10.0.0.2", "hi"))
		if got := stays.messages(); !slices.Equal(got, []string{"hi"}) {
			t.Errorf("heard %q", got)
		}
		d.Run(time.Hour)
		if stays.gone {
			t.Error("the other link was closed, too")
		}
		w.stop()
	})
}

// TestOldLinkYields closes a link that is older than 30 s at once, whoever dialled.
func TestOldLinkYields(t *testing.T) {
	testkit.Seeds(t, 4, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d)
		n := w.add("10.0.0.1", nil)
		n.onDial = func(*enclavepb.Dial) (*enclavepb.DialFailed, bool) { return nil, true }
		n.must(add("10.0.0.2", ""))
		d.Run(time.Second)
		a := n.serve(n.dials[0]).say(shake("x", 1))
		d.Run(yieldAge + time.Millisecond)
		b := n.call("10.0.0.2:5").say(shake("x", 1))
		if !a.over() || b.over() {
			t.Errorf("over: %v, %v", a.over(), b.over())
		}
		w.stop()
	})
}

// TestSilentOfTwoLinks prefers a link whose peer has said something.
func TestSilentOfTwoLinks(t *testing.T) {
	testkit.Seeds(t, 4, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d)
		n := w.add("10.0.0.1", nil)
		n.onDial = func(*enclavepb.Dial) (*enclavepb.DialFailed, bool) { return nil, true }
		n.must(add("10.0.0.2", ""))
		d.Run(time.Second)
		a := n.serve(n.dials[0])
		b := n.call("10.0.0.2:5").say(shake("x", 1))
		d.Run(bothTime)
		if !a.over() || b.over() {
			t.Errorf("over: %v, %v", a.over(), b.over())
		}
		w.stop()
	})
}

// TestNonsense ends a link after five packets in a row that are none.
func TestNonsense(t *testing.T) {
	testkit.Seeds(t, 4, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d)
		n := w.add("10.0.0.1", func(o *Options) { o.Dial = nil })
		n.must(add("10.0.0.2", ""))
		e := n.call("10.0.0.2:5").say(shake("x", 1))
		for range 3 {
			for range badMost - 1 {
				e.say(&linkpb.Malformed{Charge: 1})
			}
			if e.gone {
				t.Fatal("closed too early")
			}
			e.say(words("x"))
		}
		if e.given+3*(badMost-1) != e.taken+3*(badMost-1)*2 {
			t.Errorf("took %d of credit, gave %d back", e.taken, e.given)
		}
		for range badMost {
			e.say(&linkpb.Malformed{Charge: 1})
		}
		if !e.gone {
			t.Error("the link is still there")
		}
		w.stop()
	})
}

// TestSimultaneousDials has two nodes of our own dial each other at about the
// same time, over and over, and talk while they do: in the end there is one link,
// and everything has arrived, once and in order.
func TestSimultaneousDials(t *testing.T) {
	rounds := uint64(1000)
	if testing.Short() {
		rounds = 50
	}
	both := 0
	testkit.Seeds(t, rounds, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d)
		most := []time.Duration{time.Millisecond, 100 * time.Millisecond, 2 * time.Second}[d.Seed()%3]
		w.delay = func() time.Duration { return time.Duration(w.rng.Int64N(int64(most))) }
		prepare := func(address, other string) *node {
			return w.prepare(address, func(n *node) {
				n.o.Outbox = d.Seed()%2 == 0
				n.store = &paperStore{records: map[string]string{}}
				c := &enclavepb.Contact{Address: other, State: enclavepb.State_STATE_FRIEND}
				n.store.records[contactPrefix+other] = string(record(c).GetValue())
			})
		}
		a, b := prepare("10.0.0.1", "10.0.0.2"), prepare("10.0.0.2", "10.0.0.1")
		a.start()
		d.Run(time.Duration(w.rng.Int64N(int64(most))) / 4)
		b.start()
		d.Settle()
		a.say(w, 0, 5)
		b.say(w, 0, 5)
		d.Run(time.Duration(w.rng.Int64N(int64(3 * most))))
		a.say(w, 5, 8)
		b.say(w, 5, 8)
		d.Run(2 * time.Second)
		a.say(w, 8, 12)
		d.Run(30 * time.Second)
		b.say(w, 8, 12)
		d.Run(30 * time.Second)
		if len(w.up(a)) != 1 || len(w.up(b)) != 1 || w.up(a)[0].other != w.up(b)[0] {
			t.Errorf("%d and %d links are left", len(w.up(a)), len(w.up(b)))
		}
		if dials := len(a.dials) + len(b.dials); dials > 4 {
			t.Errorf("%d dials", dials)
		}
		if len(w.ends) >= 4 {
			both++
		}
		a.heardAll(b, 12)
		b.heardAll(a, 12)
		w.stop()
	})
	if rounds == 1000 && !testkit.Replaying() && both < 200 {
		t.Errorf("both links were there in %d rounds only", both)
	}
}

// say sends messages of these numbers to the other node.
func (n *node) say(w *world, from, to int) {
	for i := from; i < to; i++ {
		n.must(send(n.other(w), fmt.Sprint(i)))
	}
}

func (n *node) other(w *world) string {
	for address := range w.nodes {
		if address != n.address {
			return address
		}
	}
	return ""
}

// heardAll reports that a node has not heard the numbers up to some, once and in
// order, or that the other does not know it has.
func (n *node) heardAll(from *node, count int) {
	n.w.t.Helper()
	var want []string
	for i := range count {
		want = append(want, fmt.Sprintf("%s %d", from.address, i))
	}
	if !slices.Equal(n.talk.said, want) {
		n.w.t.Errorf("%s has heard %q", n.address, n.talk.said)
	}
	for id, steps := range from.talk.state {
		if !slices.Equal(steps, []enclavepb.Delivery{enclavepb.Delivery_DELIVERY_SENT, enclavepb.Delivery_DELIVERY_DELIVERED}) {
			n.w.t.Errorf("%s went through %v", id, steps)
		}
	}
	if len(from.talk.state) != count {
		n.w.t.Errorf("%d messages went anywhere", len(from.talk.state))
	}
	if s := from.status(); s.GetQueued() != 0 {
		n.w.t.Errorf("status is %v", s)
	}
}
