package enclave

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"parley/messages/enclavepb"
	"parley/testkit"
)

// TestCallsAgain has a peer that says nothing twice call again and again, with what it
// has said on the links before not heard yet: all of that is heard.
func TestCallsAgain(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		w, n := quiet(t, d, nil)
		var links []*end
		for i := range retiredMost + 1 {
			e := n.call(fmt.Sprintf("10.0.0.2:%d", 5+i))
			if i%2 == 0 { // the others say nothing before the next is there
				e.say(shake("x", 1))
			}
			links = append(links, e)
		}
		last := links[retiredMost]
		n.told()
		var want []string
		for i, e := range links[:retiredMost] {
			if i%2 != 0 {
				e.say(shake("y", Busy))
			}
			text := fmt.Sprint(i)
			e.say(words(text))
			want = append(want, fmt.Sprintf("message 10.0.0.2 %q", text))
			heard := len(e.heard)
			n.must(send("Bo", text))
			if !e.hushed || e.given != e.taken || len(e.heard) != heard {
				t.Errorf("link %d: hushed %v, %d of %d credit, heard %v", i, e.hushed, e.given, e.taken, e.heard[heard:])
			}
			e.bye()
		}
		got := slices.DeleteFunc(n.told(), func(s string) bool { return s[:4] == "SENT" })
		if !slices.Equal(got, want) || len(last.messages()) != retiredMost {
			t.Errorf("told %q, the last link was told %q", got, last.messages())
		}
		if len(w.up(n)) != 1 || last.over() {
			t.Errorf("%d links are left", len(w.up(n)))
		}
		w.stop()
	})
}

// TestRetiredLinksEnd when they say nothing for a while, or for too long something,
// and when there are too many: those first that have never said anything.
func TestRetiredLinksEnd(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		w, n := quiet(t, d, nil)
		a := n.call("10.0.0.2:5").say(shake("x", 1))
		b := n.call("10.0.0.2:6").say(shake("x", 1))
		c := n.call("10.0.0.2:7").say(shake("x", 1))
		start := time.Now()
		for !b.gone {
			if time.Since(start) > retiredTime+retiredPause {
				t.Fatal("a link that talks and talks is never closed")
			}
			b.say(words("still here"))
			d.Run(retiredPause - time.Second)
			if since := time.Since(start); a.gone != (since >= retiredPause) {
				t.Errorf("a silent one is gone: %v, after %v", a.gone, since)
			}
		}
		if since := time.Since(start); since < retiredTime {
			t.Errorf("one that talks is gone after %v", since)
		}
		if c.over() || len(w.up(n)) != 1 {
			t.Errorf("over %v, %d links", c.over(), len(w.up(n)))
		}
		silent := n.call("10.0.0.2:8")
		var all []*end
		for i := range retiredMost {
			all = append(all, n.call(fmt.Sprintf("10.0.0.2:%d", 9+i)).say(shake("x", 1)))
		}
		if !silent.gone || c.gone { // c and seven of all
			t.Errorf("gone: %v, %v", silent.gone, c.gone)
		}
		n.call("10.0.0.2:99").say(shake("x", 1))
		if !c.gone || all[0].gone || len(w.up(n)) != retiredMost+1 {
			t.Errorf("gone: %v, %v, %d links", c.gone, all[0].gone, len(w.up(n)))
		}
		n.must(remove("Bo"))
		if len(w.up(n)) != 0 {
			t.Errorf("%d links of nobody", len(w.up(n)))
		}
		w.stop()
	})
}

// TestRetiredLinkWaitsForTheDatabase is not closed for its silence while it is not
// read.
func TestRetiredLinkWaitsForTheDatabase(t *testing.T) {
	testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
		w, n := quiet(t, d, nil)
		n.talk.takes = func() time.Duration { return time.Minute }
		a := n.call("10.0.0.2:5").say(shake("x", 1))
		n.call("10.0.0.2:6").say(shake("x", 1))
		for range unnotedMost/saidBytes + 50 {
			a.say(words("x"))
		}
		d.Run(time.Minute - time.Second)
		if a.gone || a.given == a.taken {
			t.Errorf("gone %v, %d of %d credit", a.gone, a.given, a.taken)
		}
		d.Run(2*retiredPause + time.Second)
		if !a.gone || a.given != a.taken {
			t.Errorf("gone %v, %d of %d credit", a.gone, a.given, a.taken)
		}
		w.stop()
	})
}

// TestRetiredIsNotThere: a retired link neither makes a friend online nor keeps it
// from being dialled, and what it says of that does not count.
func TestRetiredIsNotThere(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		failing := true
		w, n := lonely(t, d, &failing)
		n.must(add("10.0.0.2", ""))
		d.Run(time.Minute)
		a := n.call("10.0.0.2:5").say(shake("x", 1))
		b := n.call("10.0.0.2:6").say(shake("x", 1))
		n.told()
		c := n.call("10.0.0.2:7").say(shake("x", 1))
		a.say(shake("z", Offline))
		if !a.gone || c.over() {
			t.Errorf("gone: %v, over: %v", a.gone, c.over())
		}
		n.wantTold()
		dials := len(n.dials)
		c.bye()
		b.say(shake("y", Busy), words("hi"))
		n.wantTold(`status 10.0.0.2 "x" 0 "" held=0`, `message 10.0.0.2 "hi"`)
		d.Run(1500 * time.Millisecond)
		if b.gone || len(n.dials) != dials+1 {
			t.Errorf("gone %v, dialled %d times", b.gone, len(n.dials)-dials)
		}
		w.stop()
	})
}

// TestRetiredGoodbye has a peer with two links say on one that it goes offline: what
// it has said on the other is heard.
func TestRetiredGoodbye(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		failing := false
		w, n := lonely(t, d, &failing)
		n.must(add("10.0.0.2", ""))
		d.Run(time.Second)
		a := n.serve(n.dials[0]).say(shake("x", 1))
		b := n.call("10.0.0.2:5").say(shake("x", 1))
		n.told()
		b.say(shake("x", Offline))
		n.wantTold(`status 10.0.0.2 "x" 0 "" held=0`)
		a.say(words("before"), shake("x", Offline))
		n.wantTold(`message 10.0.0.2 "before"`)
		if !a.gone || !b.gone {
			t.Errorf("gone: %v, %v", a.gone, b.gone)
		}
		d.Run(redialByeMost - time.Second)
		if len(n.dials) != 1 {
			t.Error("dialled too early")
		}
		w.stop()
	})
}

// TestOwnKindIsNotRetired: its node says again what has not come, and in order.
func TestOwnKindIsNotRetired(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		w, n := quiet(t, d, nil)
		a := n.call("10.0.0.2:5").say(kinShake("peer"))
		late := n.call("10.0.0.2:6")
		b := n.call("10.0.0.2:7").say(kinShake("peer"))
		if !a.gone || b.over() {
			t.Errorf("gone: %v, over: %v", a.gone, b.over())
		}
		late.say(kinShake("peer"), numbered("peer", 1, "a"))
		b.say(numbered("peer", 1, "a"), numbered("peer", 2, "b"))
		if !late.gone || !slices.Equal(n.talk.said, []string{"10.0.0.2 a", "10.0.0.2 b"}) {
			t.Errorf("gone: %v, said %q", late.gone, n.talk.said)
		}
		w.stop()
	})
}

// TestSilentCallerAndDials has somebody at a friend's address connect again and again,
// and say nothing or what this node says: the friend is dialled even so, as ever.
func TestSilentCallerAndDials(t *testing.T) {
	for name, echo := range map[string]bool{"silent": false, "echo": true} {
		t.Run(name, func(t *testing.T) {
			testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
				failing := true
				w, n := lonely(t, d, &failing)
				n.call("10.0.0.2:4") // a stranger so far
				n.must(add("10.0.0.2", "Bo"))
				for i := range 150 {
					e := n.call(fmt.Sprintf("10.0.0.2:%d", 5+i))
					if echo {
						e.say(e.heard[0])
					}
					d.Run(2 * time.Second)
				}
				for i := range n.dialled[1:] {
					least := min(time.Second<<min(i, 10), redialMost/3*2)
					if pause := n.dialled[i+1].Sub(n.dialled[i]); pause < least || pause > least*3/2+2*time.Second {
						t.Errorf("pause %d is %v, want %v or up to half more", i, pause, least)
					}
				}
				if len(n.dialled) < 8 || len(n.dialled) > 10 {
					t.Errorf("dialled %d times in five minutes", len(n.dialled))
				}
				failing = false
				dials := len(n.dials)
				if !d.RunUntil(redialMost, func() bool { return len(n.dials) > dials }) {
					t.Fatal("not dialled")
				}
				good := n.serve(n.dials[dials]).say(shake("x", 1))
				n.call("10.0.0.2:400")
				good.bye()
				if got := n.told(); !slices.Contains(got, `status 10.0.0.2 "x" 0 "" held=0`) {
					t.Errorf("told %q", got) // who is silent is not there
				}
				w.stop()
			})
		})
	}
}

// TestAcceptedWhileDialled has a friend come in by a call while it waits to be dialled.
func TestAcceptedWhileDialled(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		failing := true
		w, n := lonely(t, d, &failing)
		n.must(add("10.0.0.2", ""))
		d.Run(10 * time.Minute)
		dials := len(n.dials)
		e := n.call("10.0.0.2:5")
		d.Run(time.Second)
		e.say(&enclavepb.Packet{Charge: 1})
		d.Run(time.Hour)
		if len(n.dials) != dials || e.over() {
			t.Errorf("dialled %d times, over %v", len(n.dials)-dials, e.over())
		}
		w.stop()
	})
}
