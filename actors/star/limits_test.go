package star

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/starpb"
	"parley/testkit"
)

// TestManyLastWords are not kept: who said them has gone, and is not slowed by
// them any more.
func TestManyLastWords(t *testing.T) {
	testkit.Seeds(t, 10, func(t *testing.T, d *testkit.Driver) {
		x := newExchange(t, d)
		anna, bert, cora := x.phone("/anna"), x.phone("/bert"), x.phone("/cora")
		anna.dial(bert, "d")
		cora.dial(bert, "e")
		anna.say(chunk("d.dialer", "x", 4<<20))
		cora.say(chunk("e.dialer", "y", 4<<20))
		cora.say(ends("e.dialer", "true"))
		d.Settle()
		if got := x.counted("star_held_bytes", ""); got < 8<<20 {
			t.Errorf("%d bytes are counted", got)
		}
		anna.hangUp()
		cora.say(&starpb.Disconnect{})
		bert.wants()
		cora.settled()
		if n, bytes := len(x.proxies()), x.counted("star_held_bytes", ""); n != 0 || bytes != 0 {
			t.Errorf("%d proxies are left, %d bytes are held", n, bytes)
		}
		if got := tree.Of(x.sys).Dropped(tree.StarHeld); got != 3 {
			t.Errorf("%d packets counted as dropped", got)
		}
		bert.say(accepts("d.dialer"))
		bert.say(accepts("e.dialer"))
		bert.wants("end d.dialer", "end e.dialer")
		bert.settled()
		x.stop()
	})
}

// TestHeldOfAll ends dials that would hold more than all may, and none that only
// says hello.
func TestHeldOfAll(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		x := newExchangeOf(t, d, Options{Held: 1 << 20})
		anna, bert, cora := x.phone("/anna"), x.phone("/bert"), x.phone("/cora")
		anna.dial(bert, "d")
		anna.dial(bert, "e")
		anna.say(accepts("e.listener"))
		cora.dial(bert, "f")
		anna.say(chunk("d.dialer", "x", 1<<20-2000))
		d.Settle()
		cora.say(chunk("f.dialer", "hello", 3000))
		d.Settle()
		if n := len(x.proxies()); n != 3 {
			t.Fatalf("%d proxies, want 3", n)
		}
		anna.say(chunk("e.dialer", "y", 3000))
		anna.say(chunk("e.dialer", "y", 3000))
		anna.wants("end e.listener")
		cora.wants()
		if got := tree.Of(x.sys).Dropped(tree.StarHeld); got != 2 {
			t.Errorf("%d packets counted as dropped", got)
		}
		bert.say(accepts("e.dialer"))
		bert.say(accepts("f.dialer"))
		bert.say(accepts("d.dialer"))
		bert.wants("end e.dialer", "f.dialer hello", "d.dialer x")
		if got := x.counted("star_held_bytes", ""); got != 0 {
			t.Errorf("%d bytes are held", got)
		}
		anna.dial(bert, "g")
		anna.say(chunk("g.dialer", "x", 1<<20-2000)) // there is room again
		bert.say(accepts("g.dialer"))
		bert.wants("g.dialer x")
		anna.settled()
		x.stop()
		if got := x.counted("star_held_bytes", ""); got != 0 {
			t.Errorf("%d bytes are held", got)
		}
	})
}

// TestJam ends a dial whose clients both have said so much, before they accepted,
// that neither is read any more.
func TestJam(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		x := newExchange(t, d)
		anna, bert := x.phone("/anna"), x.phone("/bert")
		anna.dial(bert, "d")
		anna.dial(bert, "e")
		fill := func(p *phone, stream string) {
			for range (heldMost + messages.ChargeAll*(16<<10)) / (16 << 10) {
				p.say(chunk(stream, "x", 16<<10))
			}
			d.Settle()
		}
		fill(anna, "d.dialer")
		fill(anna, "e.dialer") // one side alone may wait as long as it likes
		d.Run(2 * ackTime)
		fill(bert, "d.listener")
		if bert.held < messages.ChargeAll {
			t.Fatalf("%d charges are held", bert.held)
		}
		d.Run(ackTime - time.Millisecond)
		if n := len(x.proxies()); n != 2 || bert.held == 0 {
			t.Errorf("%d proxies, %d charges held", n, bert.held)
		}
		d.Run(time.Millisecond)
		bert.settled()
		if n := len(x.proxies()); n != 1 {
			t.Errorf("%d proxies", n)
		}
		anna.say(accepts("d.listener"))
		bert.say(accepts("d.dialer"))
		anna.wants("end d.listener")
		bert.wants("end d.dialer")

		fill(bert, "e.listener")
		d.Run(ackTime / 2)
		bert.say(accepts("e.dialer")) // it was read all the same
		d.Run(ackTime)
		anna.settled()
		if n := len(x.proxies()); n != 1 {
			t.Errorf("%d proxies", n)
		}
		x.stop()
	})
}

// TestJamOfOneself needs one stream only.
func TestJamOfOneself(t *testing.T) {
	testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
		x := newExchange(t, d)
		anna := x.phone("/anna")
		anna.dial(anna, "d")
		anna.say(chunk("d.dialer", "x", 2<<20))
		d.Run(ackTime - time.Millisecond)
		if anna.held == 0 {
			t.Error("nothing is held")
		}
		d.Run(time.Millisecond)
		anna.settled()
		if n := len(x.proxies()); n != 0 {
			t.Errorf("%d proxies", n)
		}
		x.stop()
	})
}

// TestOustedFromDials ends those under the address that is lost, on both sides.
func TestOustedFromDials(t *testing.T) {
	testkit.Seeds(t, 10, func(t *testing.T, d *testkit.Driver) {
		x := newExchange(t, d)
		anna, bert := x.phone("/anna"), x.phone("/bert")
		anna.say(&starpb.Join{Address: "/other"})
		d.Settle()
		anna.connected(bert, "d")
		bert.connected(anna, "e")
		anna.dial(bert, "f")
		anna.say(chunk("f.dialer", "x", 100)) // nobody has accepted it
		anna.say(&starpb.Dial{From: "/other", To: bert.name, Dial: "g"})
		bert.wants("2 incoming g /other")
		anna.lazy = true
		bert.say(chunk("d.listener", "x", 100_000))
		anna.wants("accept g.dialer", "d.listener x")
		x.sys.Root.Send(anna.session, &ousted{address: anna.name, turn: 1})
		d.Settle()
		slices.Sort(anna.heard)
		slices.Sort(bert.heard)
		anna.wants("end d.listener", "end e.dialer")
		bert.wants("end d.dialer", "end e.listener")
		bert.settled()
		if n := len(x.proxies()); n != 1 {
			t.Errorf("%d proxies are left, want that of the other address", n)
		}
		anna.say(chunk("d.dialer", "x", 100))
		bert.wants()
		anna.do(func(ctx actor.Context) { anna.take(ctx) })
		x.stop()
	})
}

// TestNotRungAfterLeaving refuses a dial that was on its way to who has left.
func TestNotRungAfterLeaving(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		x := newExchange(t, d)
		anna, bert := x.phone("/anna"), x.phone("/bert")
		bert.say(&starpb.Disconnect{})
		d.Settle()
		var answers []any
		ear := tree.Spawn(x.sys.Root, "ear", tree.Spec{New: func() actor.Actor { return &dialEar{&answers} }})
		x.sys.Root.RequestWithCustomSender(bert.session, &offer{id: "d", from: anna.name, to: bert.name, by: anna.session}, ear)
		bert.wants()
		if a, ok := answers[0].(*taken); !ok || a.reason != errTimedOut {
			t.Errorf("answered %v", answers)
		}
		x.sys.Root.Stop(ear)
		x.stop()
	})
}

// TestJoinsInALoop are slowed, each alike, and all are answered.
func TestJoinsInALoop(t *testing.T) {
	const more = 20
	for name, leaving := range map[string]bool{"again": false, "anew": true} {
		t.Run(name, func(t *testing.T) {
			testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
				h := newHall(t, d, Options{Strict: true})
				a, b := h.guest(Three), h.guest(Three)
				a.joins(at(1))
				b.joins(at(2))
				d.Run(joinPause)
				for range joinsMost + 1 + more {
					if leaving {
						b.say(&starpb.Leave{Address: at(2)})
					}
					b.say(b.join(at(2), ""))
				}
				b.acks = 1
				wants := func(n int) {
					t.Helper()
					var want []string
					for range n {
						want = append(want, fmt.Sprintf("%d joined", b.acks))
						b.acks++
					}
					b.wants(want...)
				}
				wants(joinsMost + 1)
				for range more {
					d.Run(joinPause - time.Millisecond)
					wants(0)
					d.Run(time.Millisecond)
					wants(1)
				}
				b.say(b.join(at(2), ""), b.join(at(2), ""))
				b.hangUp() // with one that waits
				h.online(at(1))
				h.stop()
			})
		})
	}
}
