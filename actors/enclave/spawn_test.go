package enclave

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/enclavepb"
	"parley/messages/linkpb"
	"parley/messages/storepb"
	"parley/testkit"
)

// TestSpawn has all actors of the package together, without a database.
func TestSpawn(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d)
		n := &node{w: w, address: "10.0.0.1"}
		w.nodes[n.address] = n
		n.asker = w.paper("asker", func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *enclavepb.Result:
				n.results = append(n.results, m)
			case *enclavepb.Event:
				n.events = append(n.events, m)
			}
		})
		n.top = tree.Spawn(w.sys.Root, "", tree.Spec{Children: tree.Restart, New: func() actor.Actor {
			return actor.ReceiveFunc(func(ctx actor.Context) {
				if _, ok := ctx.Message().(*actor.Started); ok {
					n.real = Spawn(ctx, Options{Alias: "ann", Local: "10.0.0.1"})
					n.friends = n.real.Friends
				}
			})
		}})
		d.Settle()
		ask := func(m any) *enclavepb.Result {
			n.results = nil
			w.sys.Root.RequestWithCustomSender(n.real.Frontends, m, n.asker)
			d.Settle()
			if len(n.results) == 0 {
				return nil
			}
			return n.results[0]
		}
		ask(&enclavepb.Listen{})
		e := n.call("10.0.0.2:5").say(shake("bob", 1), words("let me in"))
		if r := ask(accept("10.0.0.2", "Bo")); !r.GetOk() || r.GetCmd() != "accept" {
			t.Fatalf("answered %v", r)
		}
		if r := ask(send("Bo", "hello")); !r.GetOk() || r.GetId() != "c-hello" {
			t.Fatalf("answered %v", r)
		}
		if r := ask(list()); len(r.GetContacts()) != 1 || r.GetContacts()[0].GetPresence().GetStatus() != 1 || r.GetOwn().GetAlias() != "ann" {
			t.Fatalf("answered %v", r)
		}
		if got := e.messages(); len(got) != 1 || got[0] != "hello" {
			t.Errorf("heard %q", got)
		}
		told := strings.Join(n.told(), "\n")
		for _, want := range []string{`request 10.0.0.2 "bob"`, `message 10.0.0.2 "let me in"`, "SENT 10.0.0.2 c-hello", `status 10.0.0.2 "bob" 1`} {
			if !strings.Contains(told, want) {
				t.Errorf("told %s; nothing of %s", told, want)
			}
		}
		w.stop()
	})
}

// TestNoRoom answers a command that an actor has no room for.
func TestNoRoom(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		w, n := quiet(t, d, nil)
		n.results = nil
		refuse := refuseAsked(w.sys)
		refuse(&asked{send("Bo", "x"), n.asker})
		refuse(&standing{})
		d.Settle()
		if len(n.results) != 1 || n.results[0].GetReason() != reasonBusy || n.results[0].GetId() != "c-x" {
			t.Errorf("answered %v", n.results)
		}
		if (&asked{command: send("Bo", "12345")}).Bytes() != askedBytes+5 {
			t.Error("a message weighs nothing")
		}
		w.stop()
	})
}

// TestCommandNames are those of front ends.
func TestCommandNames(t *testing.T) {
	for want, c := range map[string]*enclavepb.Command{
		"send": send("", ""), "add": add("", ""), "accept": accept("", ""), "ignore": ignore(""), "remove": remove(""), "list": list(),
		"status":  {Body: &enclavepb.Command_Status{}},
		"alias":   {Body: &enclavepb.Command_Alias{}},
		"history": {Body: &enclavepb.Command_History{}},
		"":        {},
	} {
		if got := commandName(c); got != want {
			t.Errorf("%v is called %q", c, got)
		}
	}
}

// TestSlowGoodbye waits a second for links that do not end, and no longer.
func TestSlowGoodbye(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		w, n := quiet(t, d, nil)
		e := n.call("10.0.0.2:5").say(shake("x", 1))
		e.stubborn = true
		drained := 0
		asker := w.paper("drainer", func(ctx actor.Context) {
			if _, ok := ctx.Message().(*linkpb.Drained); ok {
				drained++
			}
		})
		for range 2 {
			w.sys.Root.RequestWithCustomSender(n.real.Friends, &linkpb.Drain{}, asker)
		}
		d.Run(goodbyeTime - time.Millisecond)
		if drained != 0 {
			t.Error("answered too early")
		}
		d.Run(time.Millisecond)
		if drained != 1 {
			t.Errorf("answered %d times", drained)
		}
		e.cut()
		if drained != 1 {
			t.Errorf("answered %d times", drained)
		}
		w.stop()
	})
}

// TestGoodbyeOfNobody is answered at once, also while the address book is unread.
func TestGoodbyeOfNobody(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d)
		n := w.addWith("10.0.0.1", func(n *node) { n.store = &paperStore{mute: true} })
		e := n.call("10.0.0.2:5")
		drained := 0
		asker := w.paper("drainer", func(ctx actor.Context) {
			if _, ok := ctx.Message().(*linkpb.Drained); ok {
				drained++
			}
		})
		w.sys.Root.RequestWithCustomSender(n.real.Friends, &linkpb.Drain{}, asker)
		d.Settle()
		if drained != 1 || !e.gone {
			t.Errorf("answered %d times, gone %v", drained, e.gone)
		}
		n.fail(n.real.Friends)
		d.Settle()
		if !n.call("10.0.0.2:6").gone || drained != 1 {
			t.Error("a restart undid the goodbye")
		}
		w.stop()
	})
}

// TestRestingFriendHearsOfChanges, and refuses links, until it goes on.
func TestRestingFriendHearsOfChanges(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		w, n := quiet(t, d, nil)
		for range restAfter {
			n.fail(n.people()[0])
			d.Settle()
		}
		n.must(&enclavepb.Command{Body: &enclavepb.Command_Alias{Alias: &enclavepb.SetAlias{Alias: "bea"}}}, add("10.0.0.2:9", "Bob"))
		if !n.call("10.0.0.2:5").gone {
			t.Error("took a link")
		}
		d.Run(restTime)
		if p := n.call("10.0.0.2:5").heard[0].(*enclavepb.Packet); p.GetAlias() != "bea" {
			t.Errorf("says %v", p)
		}
		for range restAfter {
			n.fail(n.people()[0])
			d.Settle()
		}
		w.sys.Root.Send(n.real.Friends, &linkpb.Drain{})
		d.Settle()
		if s := n.status(); s.GetOnline() != 0 {
			t.Errorf("status is %v", s)
		}
		w.stop()
	})
}

// TestAcceptAndRemove lets somebody in and changes one's mind while the link is
// being handed over.
func TestAcceptAndRemove(t *testing.T) {
	testkit.Seeds(t, 30, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d)
		n := w.add("10.0.0.1", func(o *Options) { o.Dial = nil })
		e := n.call("10.0.0.2:5").say(shake("x", 1))
		n.must(accept("10.0.0.2", ""), remove("10.0.0.2"))
		if !e.gone || len(n.people()) != 0 {
			t.Errorf("gone %v, %d friends", e.gone, len(n.people()))
		}
		w.stop()
	})
}

// TestBookIsFull refuses new contacts, not changes.
func TestBookIsFull(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d)
		store := &paperStore{records: map[string]string{}}
		for i := range contactsMost {
			c := &enclavepb.Contact{Address: fmt.Sprintf("10.%d.%d.1", i/250, i%250), State: enclavepb.State_STATE_IGNORED}
			store.records[contactPrefix+c.GetAddress()] = string(record(c).GetValue())
		}
		n := w.addWith("10.0.0.1", func(n *node) { n.store, n.o.Dial = store, nil })
		for _, c := range []*enclavepb.Command{add("11.0.0.1", ""), ignore("11.0.0.1")} {
			if got := n.refuses(c); got != reasonBookFull {
				t.Error(got)
			}
		}
		n.must(add("10.1.1.1", "x"), remove("10.1.2.1"), add("11.0.0.1", ""))
		w.stop()
	})
}

// TestHeardIsUnreadable goes on where what was heard is damaged or not told.
func TestHeardIsUnreadable(t *testing.T) {
	testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d)
		store := &paperStore{records: map[string]string{heardPrefix + "10.0.0.2": "\xff", heardPrefix + "10.0.0.3": ""}}
		n := w.addWith("10.0.0.1", func(n *node) { n.store, n.o.Dial = store, nil })
		n.must(add("10.0.0.2", ""))
		p := words("a")
		p.Id = "run-1"
		n.call("10.0.0.2:5").say(kinShake("run"), p)
		if len(n.talk.said) != 1 {
			t.Errorf("said %q", n.talk.said)
		}
		n.kill()
		store.mute = true
		n.start()
		d.Run(storeTimeout)
		store.mute = false
		d.Run(readAgain)
		if e := n.call("10.0.0.2:5"); len(e.heard) != 1 {
			t.Error("it is no friend")
		}
		w.sys.Root.Send(n.real.Friends, &storepb.ReadResponse{}) // late, of an older question
		d.Settle()
		w.stop()
	})
}

// TestMessagesBeforeTheBook is there wait, not more of them than are good for it,
// and are answered at the node's end where it never comes.
func TestMessagesBeforeTheBook(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d)
		c := &enclavepb.Contact{Address: "10.0.0.2", Name: "Bob", State: enclavepb.State_STATE_FRIEND}
		store := &paperStore{mute: true, records: map[string]string{contactPrefix + c.GetAddress(): string(record(c).GetValue())}}
		n := w.addWith("10.0.0.1", func(n *node) { n.store, n.o.Dial = store, nil })
		var all []*enclavepb.Command
		for i := range heldSends {
			all = append(all, send([]string{"Bob", "10.0.0.2", "Eve"}[i%3], fmt.Sprint("m", i)))
		}
		if rs := n.ask(all...); len(rs) != 0 {
			t.Errorf("answered %v", rs)
		}
		if got := n.refuses(send("Bob", "one more")); got != reasonBusy {
			t.Error(got)
		}
		n.results = nil
		store.mute = false
		d.Run(storeTimeout + readAgain)
		if len(n.results) != len(all) {
			t.Fatalf("%d of %d were answered", len(n.results), len(all))
		}
		for _, r := range n.results {
			var i int
			if _, err := fmt.Sscanf(r.GetId(), "c-m%d", &i); err != nil || r.GetOk() != (i%3 != 2) {
				t.Errorf("%v", r)
			}
		}
		n.kill()
		store.mute = true
		n.start()
		d.Settle()
		n.ask(all[0])
		n.kill()
		if len(n.results) != 1 || n.results[0].GetReason() != reasonLeaving {
			t.Errorf("at the end: %v", n.results)
		}
		w.stop()
	})
}
