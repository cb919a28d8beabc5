package enclave

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"parley/messages/enclavepb"
	"parley/testkit"
)

// lonely is a node whose dials the test decides about.
func lonely(t *testing.T, d *testkit.Driver, failing *bool) (*world, *node) {
	w := newWorld(t, d)
	n := w.add("10.0.0.1", nil)
	n.onDial = func(m *enclavepb.Dial) (*enclavepb.DialFailed, bool) {
		if *failing {
			return &enclavepb.DialFailed{Ticket: m.GetTicket(), Reason: "nobody there"}, true
		}
		return nil, true
	}
	return w, n
}

// TestRedial dials a friend that is not there less and less often, and at once
// again where it calls itself and goes.
func TestRedial(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		failing := true
		w, n := lonely(t, d, &failing)
		start := time.Now()
		n.must(add("10.0.0.2:99", ""))
		d.Run(time.Hour)
		if n.dials[0].GetAddress() != "10.0.0.2:99" || n.dialled[0].Sub(start) != freshPause {
			t.Errorf("dialled %v after %v", n.dials[0], n.dialled[0].Sub(start))
		}
		for i := range n.dialled[1:] {
			least := min(time.Second<<min(i, 10), redialMost/3*2)
			if pause := n.dialled[i+1].Sub(n.dialled[i]); pause < least || pause > least*3/2 || pause > redialMost {
				t.Errorf("pause %d is %v, want %v or up to half more", i, pause, least)
			}
		}
		if len(n.dialled) < 18 || len(n.dialled) > 26 {
			t.Errorf("dialled %d times in an hour", len(n.dialled))
		}
		e := n.call("10.0.0.2:5").say(shake("x", 1))
		d.Run(time.Second)
		dials := len(n.dials)
		d.Run(time.Hour)
		if len(n.dials) != dials {
			t.Error("dialled a friend that is linked")
		}
		e.bye()
		ended := time.Now()
		d.Run(1500 * time.Millisecond)
		if len(n.dials) != dials+1 || n.dialled[dials].Sub(ended) < time.Second {
			t.Errorf("dialled %d times after the end of a link", len(n.dials)-dials)
		}
		d.Run(10 * time.Minute)
		e = n.call("10.0.0.2:5").say(shake("x", 1)) // an inbound link resets the pause, if short
		e.bye()
		dials = len(n.dials)
		d.Run(1500 * time.Millisecond)
		if len(n.dials) != dials+1 {
			t.Errorf("dialled %d times after a call", len(n.dials)-dials)
		}
		n.must(remove("10.0.0.2"))
		d.Run(time.Hour)
		if len(n.dials) != dials+1 {
			t.Error("dialled who is no friend")
		}
		w.stop()
	})
}

// TestRedialAfterShortLinks backs off from a friend that closes at once what is
// dialled, and not from one that stays a while.
func TestRedialAfterShortLinks(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		failing := false
		w, n := lonely(t, d, &failing)
		n.must(add("10.0.0.2", ""))
		for i := range 6 {
			if !d.RunUntil(time.Second<<i*2, func() bool { return len(n.dials) > i }) {
				t.Fatalf("not dialled again after %d", i)
			}
			n.serve(n.dials[i]).bye()
		}
		if pause := n.dialled[5].Sub(n.dialled[4]); pause < 16*time.Second {
			t.Errorf("dialled again after %v", pause)
		}
		d.RunUntil(time.Minute, func() bool { return len(n.dials) > 6 })
		e := n.serve(n.dials[6]).say(shake("x", 1))
		d.Run(redialProven)
		e.bye()
		d.Run(1500 * time.Millisecond)
		if len(n.dials) != 8 {
			t.Errorf("dialled %d times", len(n.dials))
		}
		w.stop()
	})
}

// TestDialsAtOnce has many friends that neither answer nor refuse: 32 dials are
// under way, and the next begin when those have come to nothing.
func TestDialsAtOnce(t *testing.T) {
	testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
		failing := false
		w, n := lonely(t, d, &failing)
		for i := range 3 * dialsMost {
			n.must(add(fmt.Sprintf("10.0.1.%d", i+1), ""))
		}
		d.Run(time.Second)
		if len(n.dials) != dialsMost {
			t.Fatalf("%d dials at once", len(n.dials))
		}
		caller := n.call("10.0.1.96:5").say(shake("x", 1)) // in the queue: it is not dialled any more
		n.serve(n.dials[0])
		if len(n.dials) != dialsMost+1 {
			t.Fatalf("%d dials", len(n.dials))
		}
		n.must(remove("10.0.1.95"))
		d.Run(ticketLife)
		if len(n.dials) != 2*dialsMost+1 {
			t.Fatalf("%d dials after a minute", len(n.dials))
		}
		d.Run(ticketLife)
		for _, m := range n.dials {
			if a := canonical(m.GetAddress()); a == "10.0.1.96" || a == "10.0.1.95" {
				t.Errorf("dialled %s", a)
			}
		}
		if e := n.serve(n.dials[1]); !e.gone { // far too late
			t.Error("a link of a dial that was given up was served")
		}
		caller.bye()
		n.fail(n.real.Friends)
		d.Settle()
		dials := len(n.dials)
		d.Run(time.Second)
		if got := len(n.dials) - dials; got > dialsMost {
			t.Errorf("%d dials at once after a restart", got)
		}
		w.stop()
	})
}

// TestFriendGoesOffline takes what the last packet says, closes, and leaves the
// friend alone for a while.
func TestFriendGoesOffline(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		failing := false
		w, n := lonely(t, d, &failing)
		n.must(add("10.0.0.2", ""))
		d.Run(time.Second)
		e := n.serve(n.dials[0]).say(shake("x", 1))
		d.Run(time.Minute)
		n.told()
		e.say(&enclavepb.Packet{Status: proto.Uint32(Offline), Message: proto.String("bye"), Charge: 1})
		if !e.gone {
			t.Error("the link is still there")
		}
		got := n.told()
		slices.Sort(got)
		if want := []string{`message 10.0.0.2 "bye"`, `status 10.0.0.2 "x" 0 "" held=0`}; !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
		ended := time.Now()
		d.Run(2 * redialByeMost)
		if len(n.dials) != 2 || n.dialled[1].Sub(ended) != redialByeMost {
			t.Errorf("dialled %d times, last after %v", len(n.dials), n.dialled[len(n.dials)-1].Sub(ended))
		}
		w.stop()
	})
}

// TestHandshakeInTime ends a link that somebody else opened and says nothing on;
// one that was dialled may be held at the other side until somebody decides there.
func TestHandshakeInTime(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		failing := true
		w, n := lonely(t, d, &failing)
		n.must(add("10.0.0.2", ""), add("10.0.0.3", ""))
		e := n.call("10.0.0.2:5")
		d.Run(handshakeTime - time.Millisecond)
		if e.gone {
			t.Error("closed too early")
		}
		d.Run(time.Millisecond)
		if !e.gone {
			t.Error("a link without a handshake is still there")
		}
		failing = false
		dials := len(n.dials)
		d.RunUntil(time.Minute, func() bool {
			return slices.ContainsFunc(n.dials[dials:], func(m *enclavepb.Dial) bool { return m.GetAddress() == "10.0.0.3:7776" })
		})
		e = n.serve(n.dials[len(n.dials)-1])
		n.must(send("10.0.0.3", "hi"))
		d.Run(waitTime - time.Second)
		if e.gone || len(e.messages()) != 0 {
			t.Errorf("gone %v, heard %q", e.gone, e.messages())
		}
		e.say(shake("x", 1))
		if got := e.messages(); !slices.Equal(got, []string{"hi"}) {
			t.Errorf("heard %q", got)
		}
		d.Run(waitTime)
		if e.gone {
			t.Error("closed a link with a handshake")
		}
		w.stop()
	})
}

// TestApart knows which addresses cannot reach each other.
func TestApart(t *testing.T) {
	for pair, want := range map[string]bool{
		"127.0.0.1 10.0.0.2": true, "127.0.0.1 127.77.0.1": false, "10.0.0.1 10.0.0.2": false, "10.0.0.1 127.0.0.1": false,
		"::1 fc00::1": true, "::1 ::1": false, "fc00::1 10.0.0.2": true, "10.0.0.1 fc00::1": true, "127.0.0.1 ::1": true, "fe80::1%a fe80::2%b": false,
	} {
		a, b, _ := strings.Cut(pair, " ")
		if got := apart(netip.MustParseAddr(a), netip.MustParseAddr(b)); got != want {
			t.Errorf("%s: %v", pair, got)
		}
	}
	if apart(netip.Addr{}, netip.MustParseAddr("10.0.0.2")) {
		t.Error("who listens everywhere reaches nobody")
	}
}

// TestOutOfReach tells once, of each friend, which option keeps it from being reached.
func TestOutOfReach(t *testing.T) {
	for local, want := range map[string]int{"127.0.0.1": 2, "10.0.0.1": 1} {
		testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
			var log bytes.Buffer
			w := newWorld(t, d, testkit.Logging(func(slog.Handler) slog.Handler { return slog.NewTextHandler(&log, nil) }))
			n := w.add(local, nil)
			n.must(add("10.0.0.2", "Bo"), add("fc00::2", ""), add("127.0.0.2", ""))
			d.Run(time.Hour)
			for _, p := range n.people() {
				n.fail(p)
			}
			d.Run(time.Hour)
			if got := strings.Count(log.String(), "set enclave-address to"); got != want {
				t.Errorf("%s: told %d times, want %d:\n%s", local, got, want, &log)
			}
			if !strings.Contains(log.String(), "address=fc00::2 enclave-address="+local+` reason="nobody there"`) {
				t.Errorf("log is\n%s", &log)
			}
			w.stop()
		})
	}
}
