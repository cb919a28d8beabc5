package enclave

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"parley/messages/enclavepb"
	"parley/testkit"
)

// TestContactAgain has a contact go and come again in one run of a node, and keeps
// what is said to it then from looking like what was said before.
func TestContactAgain(t *testing.T) {
	for name, again := range map[string][]*enclavepb.Command{
		"removed and added":    {remove("Bo"), add("10.0.0.2", "Bo")},
		"ignored and accepted": {ignore("Bo"), accept("Bo", "")},
	} {
		for _, outbox := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", outbox ", outbox), func(t *testing.T) {
				testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
					w := newWorld(t, d)
					start := func(address string) *node {
						return w.addWith(address, func(n *node) { n.o.Outbox, n.store = outbox, &paperStore{chron: &n.talk} })
					}
					a, b := start("10.0.0.1"), start("10.0.0.2")
					a.must(add("10.0.0.2", "Bo"))
					b.must(add("10.0.0.1", "Al"))
					d.Run(time.Minute)
					var want []string
					say := func(text string) {
						a.must(send("Bo", text))
						want = append(want, "10.0.0.1 "+text)
					}
					for round := range 3 {
						for i := range 3 {
							say(fmt.Sprint("to ", round, " ", i))
						}
						d.Run(time.Second)
						a.must(again...)
						say("at once")
						d.Run(time.Minute)
					}
					if outbox {
						a.kill()
						a.start()
						d.Run(time.Minute)
						say("in a new run")
						d.Run(time.Minute)
					}
					if !slices.Equal(b.talk.said, want) {
						t.Errorf("heard %q", b.talk.said)
					}
					w.stop()
				})
			})
		}
	}
}

// TestSerials grow over what an outbox has of an earlier run.
func TestSerials(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		w, n := quiet(t, d, func(n *node) {
			n.o.Outbox = true
			n.boxes.all = map[string]map[uint64]*enclavepb.Kept{"10.0.0.2": {7000: {Message: "old", Id: "old-5eg"}}}
		})
		first := n.must(send("Bo", "a"))[0].GetMessageId()
		n.must(remove("Bo"), add("10.0.0.2", "Bo"))
		second := n.must(send("Bo", "b"))[0].GetMessageId()
		_, i, _ := splitID(first)
		_, j, _ := splitID(second)
		if i <= 7000 || j <= i {
			t.Errorf("%q, then %q", first, second)
		}
		w.stop()
	})
}

// TestForgottenOnceStored has the chronicle still at work on what a contact has
// said when that is removed: nothing of it is left in the store, in the end.
func TestForgottenOnceStored(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		store := &paperStore{records: map[string]string{heardPrefix + "10.0.0.9": ""}}
		w, n := quiet(t, d, func(n *node) { n.store, store.chron = store, &n.talk })
		if len(store.records) != 1 { // the contact
			t.Errorf("at the start: %q", store.records)
		}
		n.talk.takes = func() time.Duration { return time.Second }
		p := words("a")
		p.Id = "peer-1"
		n.call("10.0.0.2:5").say(kinShake("peer"), p)
		n.must(remove("Bo"))
		d.Run(time.Minute)
		if len(n.talk.marks)+len(store.records) != 0 || len(n.people()) != 0 {
			t.Errorf("left: %q, %q, %d actors", n.talk.marks, store.records, len(n.people()))
		}
		n.must(add("10.0.0.2", "Bo"))
		p = words("b")
		p.Id = "peer-2"
		n.call("10.0.0.2:5").say(kinShake("peer"), p)
		n.must(remove("Bo"), add("10.0.0.2", "Bo"))
		p = words("c")
		p.Id = "peer-3"
		n.call("10.0.0.2:6").say(kinShake("peer"), p)
		d.Run(time.Minute)
		if len(n.talk.marks) != 1 {
			t.Errorf("of who is a friend again is left %q", n.talk.marks)
		}
		w.stop()
	})
}

// TestRemovedFriendFails while it waits for the chronicle, and ends then.
func TestRemovedFriendFails(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		w, n := quiet(t, d, nil)
		n.talk.takes = func() time.Duration { return time.Second }
		n.call("10.0.0.2:5").say(shake("x", 1), words("a"))
		n.must(remove("Bo"))
		if len(n.people()) != 1 {
			t.Errorf("%d actors are left too early", len(n.people()))
		}
		n.fail(n.people()[0])
		d.Settle()
		if len(n.people()) != 0 {
			t.Errorf("%d actors are left", len(n.people()))
		}
		d.Run(time.Minute)
		w.stop()
	})
}
