package enclave

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/testkit"
)

// TestSilentConnect keeps a link that works when somebody connects from its
// address and says nothing, as often as that may be.
func TestSilentConnect(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d)
		n := w.add("10.0.0.1", nil)
		n.onDial = nil
		n.must(add("10.0.0.2", "Bo"))
		a := n.call("10.0.0.2:5").say(shake("x", 1))
		d.Run(2 * yieldAge)
		n.told()
		for i := range 20 {
			b := n.call(fmt.Sprintf("10.0.0.2:%d", 6+i))
			if a.over() || b.over() || len(w.up(n)) > 2+retiredMost {
				t.Fatalf("over: %v, %v, %d links", a.over(), b.over(), len(w.up(n)))
			}
		}
		a.say(words("still here"))
		n.must(send("Bo", "hello"))
		if got := a.messages(); !slices.Equal(got, []string{"hello"}) {
			t.Errorf("heard %q", got)
		}
		n.wantTold(`message 10.0.0.2 "still here"`, "SENT 10.0.0.2 c-hello")
		d.Run(handshakeTime + retiredPause)
		if a.over() || len(w.up(n)) != 1 {
			t.Errorf("gone: %v, %d links", a.gone, len(w.up(n)))
		}
		n.wantTold()
		b := n.call("10.0.0.2:99").say(shake("x", 1))
		if !a.over() || b.over() {
			t.Errorf("over: %v, %v", a.over(), b.over())
		}
		w.stop()
	})
}

// TestSilentConnectBesideTwo does not put off which of two links stays.
func TestSilentConnectBesideTwo(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		failing := false
		w, n := lonely(t, d, &failing)
		n.must(add("10.0.0.2", "Bo"))
		d.Run(time.Second)
		a := n.serve(n.dials[0]).say(shake("x", 1))
		b := n.call("10.0.0.2:5").say(shake("x", 1))
		for i := range 4 {
			d.Run(bothTime / 4)
			n.call(fmt.Sprintf("10.0.0.2:%d", 6+i))
		}
		if a.over() || !b.over() {
			t.Errorf("over: %v, %v", a.over(), b.over())
		}
		d.Run(time.Minute)
		if a.gone || len(w.up(n)) != 1 {
			t.Errorf("gone: %v, %d links", a.gone, len(w.up(n)))
		}
		w.stop()
	})
}

// TestDialledItself has a contact that is this node, and dials it seldom.
func TestDialledItself(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d)
		n := w.add("10.0.0.1", nil)
		n.must(add("10.0.0.1:7777", "me"))
		d.Run(time.Hour)
		if got := len(n.dials); got < 12 || got > 20 || len(w.up(n)) != 0 {
			t.Errorf("dialled %d times, %d links", got, len(w.up(n)))
		}
		w.stop()
	})
}

// TestEcho has somebody say what this node says: that counts as this node itself,
// until it says something else.
func TestEcho(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		failing := true
		w, n := lonely(t, d, &failing)
		n.must(add("10.0.0.2", "Bo"))
		e := n.call("10.0.0.2:5")
		e.say(e.heard[0]) // who has called may be anybody: this node dials
		failing = false
		d.Run(time.Second)
		e = n.serve(n.dials[0])
		e.say(e.heard[0])
		dials := len(n.dials)
		failing = true
		d.Run(redialMost/3*2 - time.Second)
		if !e.gone || len(n.dials) != dials {
			t.Errorf("gone %v, dialled %d times", e.gone, len(n.dials)-dials)
		}
		d.Run(redialMost/3 + time.Second)
		if len(n.dials) != dials+1 {
			t.Errorf("dialled %d times", len(n.dials)-dials)
		}
		good := n.call("10.0.0.2:6").say(kinShake("peer"))
		e = n.call("10.0.0.2:7")
		e.say(e.heard[0]) // beside a link that is somebody else's it means nothing
		if good.gone || !e.gone {
			t.Errorf("gone: %v, %v", good.gone, e.gone)
		}
		dials = len(n.dials)
		good.bye()
		d.Run(1500 * time.Millisecond)
		if len(n.dials) != dials+1 {
			t.Errorf("dialled %d times after a link to somebody else", len(n.dials)-dials)
		}
		w.stop()
	})
}

// TestOwnAddress is refused as a contact's.
func TestOwnAddress(t *testing.T) {
	for local, c := range map[string]struct{ own, other string }{
		"10.0.0.1":       {"10.0.0.1", "10.0.0.1:7777"},
		"10.0.0.1:7777":  {"10.0.0.1:7777", "10.0.0.1"},
		"[fd00::1]:7776": {"fd00::1", "[fd00::1]:1"},
	} {
		testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
			w := newWorld(t, d)
			n := w.add(canonical(local), func(o *Options) { o.Dial, o.Local = nil, local })
			for _, command := range []string{"add", "accept"} {
				c1, c2 := add(c.own, ""), add(c.other, "")
				if command == "accept" {
					c1, c2 = accept(c.own, ""), accept(c.other, "")
				}
				if got := n.refuses(c1); !strings.Contains(got, "the address of this node") {
					t.Errorf("%s %s: %q", command, c.own, got)
				}
				n.must(c2, remove(c.other))
			}
			w.stop()
		})
	}
}

// TestNames has people called as the user calls them, whatever they call
// themselves, and contacts be meant by their names.
func TestNames(t *testing.T) {
	testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
		w, n := quiet(t, d, nil)
		n.must(add("10.0.0.3", ""))
		n.told()
		n.call("10.0.0.3:5").say(shake("Bo", 1), words("send me money"))
		n.call("10.0.0.2:5").say(shake("Bob", 1), words("hi"))
		n.must(send("10.0.0.3", "no"))
		var names []string
		for _, e := range n.events {
			if r := e.GetReceived(); r != nil {
				names = append(names, r.GetName())
			}
			if p := e.GetProgress(); p != nil {
				names = append(names, p.GetName())
			}
		}
		if !slices.Equal(names, []string{"10.0.0.3", "Bo", "10.0.0.3"}) {
			t.Errorf("names are %q", names)
		}
		n.must(ignore("Bo"), ignore("10.0.0.3"))
		for _, to := range []string{"Bo", "10.0.0.2", "10.0.0.3"} {
			if got := n.refuses(send(to, "x")); !strings.Contains(got, "is ignored: accept it first") {
				t.Errorf("%s: %q", to, got)
			}
		}
		if got := n.refuses(send("", "x")); !strings.Contains(got, "there is no contact") {
			t.Error(got)
		}
		n.must(accept("Bo", ""), add("Bo", "Bob"))
		n.must(send("Bob", "x"))
		if got := n.refuses(accept("Bo", "")); !strings.Contains(got, "is no address") {
			t.Error(got)
		}
		w.stop()
	})
}
