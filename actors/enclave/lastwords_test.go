package enclave

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"parley/messages/enclavepb"
	"parley/testkit"
)

// rush brings all at once, and then the end of the connection.
func (e *end) rush(all ...proto.Message) {
	for _, m := range append(all, nil) {
		e.w.sys.Root.Send(e.pid, arrive{m})
	}
	e.w.d.Settle()
}

// TestLastWords has a friend say that it goes offline and close at once: all that
// it said counts, however soon its link is gone.
func TestLastWords(t *testing.T) {
	testkit.Seeds(t, 50, func(t *testing.T, d *testkit.Driver) {
		failing := false
		w, n := lonely(t, d, &failing)
		n.must(add("10.0.0.2", ""))
		d.Run(time.Second)
		e := n.serve(n.dials[0]).say(shake("x", 1))
		last := []proto.Message{}
		for i := range 20 {
			last = append(last, words(fmt.Sprint(i)))
		}
		e.rush(append(last, &enclavepb.Packet{Status: proto.Uint32(Offline), Charge: 1})...)
		ended := time.Now()
		d.Run(2 * redialByeMost)
		if len(n.talk.said) != 20 {
			t.Errorf("heard %q", n.talk.said)
		}
		if len(n.dials) != 2 || n.dialled[1].Sub(ended) != redialByeMost {
			t.Errorf("dialled %d times, last after %v", len(n.dials), n.dialled[len(n.dials)-1].Sub(ended))
		}
		w.stop()
	})
}

// TestLastWordsOfAStranger has that done by who has become a friend on its link.
func TestLastWordsOfAStranger(t *testing.T) {
	testkit.Seeds(t, 50, func(t *testing.T, d *testkit.Driver) {
		failing := false
		w, n := lonely(t, d, &failing)
		e := n.call("10.0.0.2:5").say(shake("x", 1))
		n.must(accept("10.0.0.2", ""))
		e.rush(words("a"), words("b"), &enclavepb.Packet{Status: proto.Uint32(Offline), Charge: 1})
		ended := time.Now()
		d.Run(2 * redialByeMost)
		if len(n.talk.said) != 2 || len(n.dials) != 1 || n.dialled[0].Sub(ended) != redialByeMost {
			t.Errorf("heard %q, dialled %d times", n.talk.said, len(n.dials))
		}
		w.stop()
	})
}

// TestStrangerOfOurKind says more than is held of it, with ids: people are asked
// all the same, and nothing is lost to what its sender takes for acknowledged.
func TestStrangerOfOurKind(t *testing.T) {
	testkit.Seeds(t, 10, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d)
		n := w.add("10.0.0.1", func(o *Options) { o.Dial = nil })
		all := []proto.Message{kinShake("run")}
		for i := range strangerHeld + 9 {
			p := words(fmt.Sprint(i))
			p.Id = makeID("run", uint64(i+1))
			all = append(all, p)
		}
		e := n.call("10.0.0.2:5")
		for _, m := range all {
			w.sys.Root.Send(e.pid, arrive{m})
		}
		d.Run(requestPause)
		if told := n.told(); e.gone || len(told) == 0 || told[len(told)-1] != `request 10.0.0.2 "x" 1 "" held=16` {
			t.Errorf("gone %v, told %q", e.gone, told)
		}
		n.must(accept("10.0.0.2", ""))
		if !e.gone || len(e.heard) != 0 {
			t.Errorf("gone %v, heard %v", e.gone, e.heard)
		}
		e = n.call("10.0.0.2:6").say(all...) // as who got no acknowledgement does
		d.Settle()
		if len(n.talk.said) != len(all)-1 || !strings.HasSuffix(n.talk.said[len(all)-2], fmt.Sprint(" ", len(all)-2)) {
			t.Errorf("heard %q", n.talk.said)
		}
		if got := e.heard[len(e.heard)-1].(*enclavepb.Packet).GetAck(); got != makeID("run", uint64(len(all)-1)) {
			t.Errorf("acknowledged %q", got)
		}
		w.stop()
	})
}

// TestStrangerComesAndGoes is told of no more often than one that stays.
func TestStrangerComesAndGoes(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d)
		n := w.add("10.0.0.1", nil)
		for range 100 {
			n.call("10.0.0.2:5").say(shake("x", 1)).bye()
		}
		if got := len(n.told()); got != 2 {
			t.Errorf("told %d times at once", got)
		}
		e := n.call("10.0.0.2:5").say(shake("x", 1))
		d.Run(requestPause)
		n.wantTold(`request 10.0.0.2 "x" 1 "" held=0`)
		e.bye()
		n.wantTold("gone 10.0.0.2")
		for i := range 3 * goneMost {
			n.call(fmt.Sprintf("10.0.%d.%d:5", 1+i/200, 1+i%200)).say(shake("x", 1)).bye()
		}
		if n.status().GetWaiting() != 0 {
			t.Errorf("status is %v", n.status())
		}
		w.stop()
	})
}
