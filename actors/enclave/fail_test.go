package enclave

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/testkit"
)

// fuse makes the actor panic that asks for the time next, as often as it says.
type fuse struct{ left int }

func (f *fuse) now() time.Time {
	if f.left > 0 {
		f.left--
		panic("told to fail")
	}
	return time.Now()
}

// TestFriendFails has one friend's actor panic: its link ends, what waits for it
// is kept, and no other friend notices.
func TestFriendFails(t *testing.T) {
	testkit.Seeds(t, 10, func(t *testing.T, d *testkit.Driver) {
		var bomb fuse
		w, n := quiet(t, d, func(n *node) { n.o.Now, n.o.Outbox = bomb.now, true }, testkit.ExpectFailures(2))
		n.must(add("10.0.0.3", "Al"))
		a, b := n.call("10.0.0.2:5").say(kinShake("peer")), n.call("10.0.0.3:5").say(shake("al", 1))
		n.must(send("Bo", "one"))
		n.told()
		bomb.left = 1
		a.say(words("boom"))
		if !a.gone || b.gone {
			t.Errorf("gone: %v, %v", a.gone, b.gone)
		}
		n.wantTold(`status 10.0.0.2 "x" 0 "" held=1`)
		b.say(words("hi"))
		n.must(send("Al", "hello"), send("Bo", "two"))
		got := n.told()
		slices.Sort(got)
		if want := []string{"QUEUED 10.0.0.2 c-two", "SENT 10.0.0.3 c-hello", `message 10.0.0.3 "hi"`}; !slices.Equal(got, want) {
			t.Errorf("told %q", got)
		}
		bomb.left = 1
		if got := n.refuses(send("Bo", "three")); got != reasonFailed { // and whoever asked is told
			t.Error(got)
		}
		d.Run(time.Second)
		a = n.call("10.0.0.2:6").say(kinShake("peer"))
		if got := a.messages(); !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("heard %q", got)
		}
		w.stop()
	})
}

// TestFriendFailsAgainAndAgain has a peer that makes its friend's actor panic with
// each packet: after a few times it rests, and the supervisor does not give up.
func TestFriendFailsAgainAndAgain(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		var bomb fuse
		w, n := quiet(t, d, func(n *node) { n.o.Now = bomb.now }, testkit.ExpectFailures(restAfter))
		n.must(add("10.0.0.3", "Al"))
		b := n.call("10.0.0.3:5").say(shake("al", 1))
		for i := range 3 * restAfter {
			e := n.call(fmt.Sprintf("10.0.0.2:%d", i+1))
			if i < restAfter {
				bomb.left = 1
			}
			e.say(shake("x", 1), words("boom"))
			d.Run(time.Second)
			if !e.gone {
				t.Fatalf("link %d is still there", i)
			}
		}
		if got := n.refuses(send("Bo", "x")); !strings.Contains(got, "try again then") {
			t.Error(got)
		}
		if b.gone {
			t.Error("another friend's link ended")
		}
		n.must(add("10.0.0.2", "Bob"))
		d.Run(restTime)
		if n.call("10.0.0.2:99").say(shake("x", 1)).gone {
			t.Error("the friend does not go on")
		}
		n.must(send("Bob", "x"))
		w.stop()
	})
}

// TestRestingFriend is removed, and says goodbye, while it rests.
func TestRestingFriend(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		w, n := quiet(t, d, func(n *node) { n.o.Outbox = true })
		n.must(send("Bo", "x"))
		for range restAfter {
			n.fail(n.people()[0])
			d.Settle()
		}
		n.refuses(send("Bo", "x"))
		n.must(remove("Bo"))
		if len(n.people()) != 0 || len(n.boxes.all) != 0 {
			t.Error("something is left of it")
		}
		if n.call("10.0.0.2:1").say(shake("x", 1)); n.status().GetWaiting() != 1 {
			t.Error("it is no stranger")
		}
		n.must(accept("10.0.0.2", ""))
		if n.status().GetOnline() != 1 {
			t.Error("it is not online")
		}
		w.stop()
	})
}

// TestFriendsFails keeps who is a friend and what waits through a failure of the
// supervisor.
func TestFriendsFails(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		w, n := quiet(t, d, nil)
		n.must(add("10.0.0.3", "Al"), ignore("10.0.0.4"))
		n.must(send("Al", "later"))
		a := n.call("10.0.0.2:5").say(shake("x", 1))
		n.fail(n.real.Friends)
		d.Settle()
		if !a.gone || len(n.people()) != 2 {
			t.Errorf("gone %v, %d friends", a.gone, len(n.people()))
		}
		if !n.call("10.0.0.4:5").gone {
			t.Error("let in who is ignored")
		}
		b := n.call("10.0.0.3:5").say(shake("al", 1))
		if got := b.messages(); !slices.Equal(got, []string{"later"}) {
			t.Errorf("heard %q", got)
		}
		if s := n.status(); s.GetFriends() != 2 || s.GetOnline() != 1 {
			t.Errorf("status is %v", s)
		}
		w.stop()
	})
}

// TestChronicleFails gives credit back that was waiting for its answer.
func TestChronicleFails(t *testing.T) {
	testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
		w, n := quiet(t, d, nil, testkit.ExpectFailures(1))
		n.talk.mute = true
		e := n.call("10.0.0.2:5").say(shake("x", 1))
		for range unnotedMost/saidBytes + 50 {
			e.say(words("x"))
		}
		n.talk.fail = 1
		e.say(words("boom"))
		n.talk.mute = false
		e.say(words("on"))
		if e.taken != e.given || !slices.Contains(n.talk.said, "10.0.0.2 on") {
			t.Errorf("took %d of credit, gave %d back", e.taken, e.given)
		}
		w.stop()
	})
}

// TestRename tells people of a contact's new name and dials its new port.
func TestRename(t *testing.T) {
	testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
		failing := true
		w, n := lonely(t, d, &failing)
		n.must(add("10.0.0.2", "Bo"))
		d.Run(time.Minute)
		n.must(add("10.0.0.2:5555", "Bob"))
		if got := n.dials[len(n.dials)-1].GetAddress(); got != "10.0.0.2:5555" {
			t.Errorf("dialled %s", got)
		}
		n.refuses(send("Bo", "x"))
		n.must(send("Bob", "x"))
		e := n.call("10.0.0.2:1").say(shake("x", 1), words("hi"))
		if len(e.messages()) != 1 {
			t.Errorf("heard %q", e.messages())
		}
		var names []string
		for _, e := range n.events {
			if r := e.GetReceived(); r != nil {
				names = append(names, r.GetName())
			}
		}
		if !slices.Equal(names, []string{"Bob"}) {
			t.Errorf("messages came from %q", names)
		}
		w.stop()
	})
}
