package node

import (
	"fmt"
	"strings"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/actors/ui"
	"parley/messages/enclavepb"
	"parley/messages/uipb"
	"parley/testkit"
)

// crowd is people among frontends made of paper.
type crowd struct {
	*world
	people, frontends *actor.PID
	listeners         []*actor.PID
	commands          []*enclavepb.Command
	answers           func(ctx actor.Context, m *enclavepb.Command) // nil: none comes
}

func newCrowd(t *testing.T, d *testkit.Driver, opts ...testkit.SystemOption) *crowd {
	c := &crowd{}
	c.world = newWorld(t, d, func(w *world, ctx actor.Context) {
		c.frontends = w.paper(ctx, "frontends", func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *enclavepb.Listen:
				c.listeners = append(c.listeners, ctx.Sender())
			case *enclavepb.Command:
				c.commands = append(c.commands, m)
				if c.answers != nil {
					c.answers(ctx, m)
				}
			}
		})
		c.people = SpawnPeople(ctx, c.frontends, w.broadcasts)
	}, opts...)
	return c
}

// want asks for what a command says, as user interfaces do.
func (c *crowd) want(opcode string, m *enclavepb.Command) *asked {
	return c.ask(c.people, owner, "", &uipb.Request{Opcode: opcode, Body: &uipb.Request_Command{Command: m}})
}

func sending(to, message, id string) *enclavepb.Command {
	return &enclavepb.Command{Id: id, Body: &enclavepb.Command_Send{Send: &enclavepb.Send{To: to, Message: message}}}
}

// TestPeopleCommand: a command comes to Enclave with its own id, and with the
// connection of who asks; what is answered depends on it.
func TestPeopleCommand(t *testing.T) {
	list := &enclavepb.Result{Cmd: "list", Ok: true, Own: &enclavepb.Presence{Alias: "me"}, Contacts: []*enclavepb.Contact{{Address: "::1"}}}
	for _, v := range []struct {
		name   string
		result *enclavepb.Result
		want   proto.Message
	}{
		{"list", list, list},
		{"send", &enclavepb.Result{Id: "x", Cmd: "send", Ok: true, MessageId: "a-1"}, &enclavepb.Result{Id: "x", Cmd: "send", Ok: true, MessageId: "a-1"}},
		{"history", &enclavepb.Result{Cmd: "history", Ok: true, More: true}, &enclavepb.Result{Cmd: "history", Ok: true, More: true}},
		{"others", &enclavepb.Result{Cmd: "add", Ok: true}, &uipb.Done{}},
		{"refused", &enclavepb.Result{Cmd: "send", Reason: "no"}, ui.Fault(ui.CodePeople, "no")},
		{"locked", &enclavepb.Result{Cmd: "history", Reason: "give it", Locked: true}, ui.Fault(ui.CodeBadPassword, "give it")},
	} {
		t.Run(v.name, func(t *testing.T) {
			testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
				c := newCrowd(t, d)
				c.answers = func(ctx actor.Context, _ *enclavepb.Command) { ctx.Respond(v.result) }
				given := sending("Ann", "hi", "x")
				c.want("sendMessage", given).hears(v.want)
				want := sending("Ann", "hi", "x")
				want.Member = owner.GetMember()
				if len(c.commands) != 1 || !proto.Equal(c.commands[0], want) || given.GetMember() != 0 {
					t.Errorf("commands %v, given %v", c.commands, given)
				}
				c.stop()
			})
		})
	}
}

// TestPeopleAtOnce: answers find who asked, in whatever order they come.
func TestPeopleAtOnce(t *testing.T) {
	testkit.Seeds(t, 10, func(t *testing.T, d *testkit.Driver) {
		c := newCrowd(t, d)
		var late []func()
		c.answers = func(ctx actor.Context, m *enclavepb.Command) {
			to := ctx.Sender()
			late = append(late, func() {
				c.sys.Root.Send(to, &enclavepb.Result{Cmd: "send", Ok: true, MessageId: m.GetSend().GetMessage()})
			})
		}
		var all []*asked
		for i := range 5 {
			all = append(all, c.want("sendMessage", sending("Ann", fmt.Sprint(i), "same")))
		}
		d.Settle()
		for i := range late {
			late[len(late)-1-i]()
		}
		for i, a := range all {
			a.hears(&enclavepb.Result{Cmd: "send", Ok: true, MessageId: fmt.Sprint(i)})
		}
		c.stop()
	})
}

func TestPeopleRefuses(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		var none *actor.PID
		w := newWorld(t, d, func(w *world, ctx actor.Context) { none = SpawnPeople(ctx, nil, w.broadcasts) })
		w.ask(none, owner, "", &uipb.Request{Opcode: "sendMessage", Body: &uipb.Request_Command{Command: sending("Ann", "hi", "")}}).
			hears(ui.Fault(ui.CodeMissing, textNoEnclave))
		w.ask(none, owner, "peers", nil).hears(ui.Fault(ui.CodeUnmarshal, `Opcode "peers" is not answered here`))
		w.stop()
	})
}

// TestPeopleSilence: nobody waits for ever, and nothing is done twice.
func TestPeopleSilence(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		c := newCrowd(t, d, testkit.ExpectFailures(1))
		a := c.want("sendMessage", sending("Ann", "hi", ""))
		a.silent()
		d.Run(commissionTimeout)
		a.hears(ui.Fault(ui.CodeTimeout, "This was not answered in time; contacts or history say what was done"))
		c.answers = func(actor.Context, *enclavepb.Command) { panic("frontends") }
		c.want("sendMessage", sending("Ann", "hi", "")).hears(ui.Fault(ui.CodeUnknown, textUndone))
		if len(c.commands) != 2 {
			t.Errorf("%d commands", len(c.commands))
		}
		c.stop()
	})
}

// TestPeopleTells: what happens is told to those who want to know and may, and is
// lost rather than that a connection is.
func TestPeopleTells(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		c := newCrowd(t, d)
		if len(c.listeners) != 1 || !c.listeners[0].Equal(c.people) {
			t.Fatalf("listening: %v", c.listeners)
		}
		for _, v := range []struct {
			opcode string
			event  *enclavepb.Event
		}{
			{"messageReceived", &enclavepb.Event{Body: &enclavepb.Event_Received{Received: &enclavepb.Received{From: "::1", Message: "hi"}}}},
			{"contactStatus", &enclavepb.Event{Body: &enclavepb.Event_Status{Status: &enclavepb.Contact{Address: "::1"}}}},
			{"contactStatus", &enclavepb.Event{Body: &enclavepb.Event_Gone{Gone: &enclavepb.Gone{Address: "::1"}}}},
			{"contactRequest", &enclavepb.Event{Body: &enclavepb.Event_Request{Request: &enclavepb.Contact{Address: "::1"}}}},
			{"messageState", &enclavepb.Event{Body: &enclavepb.Event_Progress{Progress: &enclavepb.Progress{To: "::1"}}}},
		} {
			c.sys.Root.Send(c.people, v.event)
			c.hears(&uipb.Announce{Response: uipb.Broadcast(v.opcode, v.event), OptIn: true, Lossy: true, Private: true})
		}
		c.sys.Root.Send(c.people, &enclavepb.Event{})
		c.hears()
		c.restart(c.people)
		if len(c.listeners) != 2 || !c.listeners[1].Equal(c.people) {
			t.Errorf("after a restart: %v", c.listeners)
		}
		c.stop()
	})
}

// TestPeopleSkips: what nobody has subscribed to is not announced.
func TestPeopleSkips(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		c := newCrowd(t, d)
		received := &enclavepb.Event{Body: &enclavepb.Event_Received{Received: &enclavepb.Received{From: "::1", Message: "hi"}}}
		gone := &enclavepb.Event{Body: &enclavepb.Event_Gone{Gone: &enclavepb.Gone{Address: "::1"}}}
		both := &enclavepb.Events{Events: []*enclavepb.Event{received, gone}}
		c.sys.Root.Send(c.people, &ui.Followed{Wanted: map[string]bool{}})
		c.sys.Root.Send(c.people, both)
		c.hears()
		c.sys.Root.Send(c.people, &ui.Followed{Wanted: map[string]bool{"contactStatus": true}})
		c.sys.Root.Send(c.people, both)
		c.hears(&uipb.Announce{Response: uipb.Broadcast("contactStatus", gone), OptIn: true, Lossy: true, Private: true})
		c.stop()
	})
}

// TestPeopleOverflow: no more is on its way than is got through with, the newest
// waits, and what was lost is counted.
func TestPeopleOverflow(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		c := newCrowd(t, d)
		const all = tellingMost + tellingWait + 100
		for i := range all {
			c.sys.Root.Send(c.people, &enclavepb.Event{Body: &enclavepb.Event_Gone{Gone: &enclavepb.Gone{Address: fmt.Sprint(i)}}})
		}
		d.Settle()
		if n := len(c.announced); n != tellingMost {
			t.Errorf("%d are on their way", n)
		}
		asked := 0
		for _, m := range c.announced {
			if m.GetConfirm() {
				asked++
			}
		}
		if asked != tellingMost/tellingConfirm {
			t.Errorf("asked %d times", asked)
		}
		for range all {
			c.sys.Root.Send(c.people, &uipb.Announced{})
			d.Settle()
		}
		last := c.announced[len(c.announced)-1].GetResponse().GetEvent().GetGone().GetAddress()
		if n := len(c.announced); n != all-100+1 || last != fmt.Sprint(all-1) || tree.Of(c.sys).Dropped(tree.LossyDropped) != 100 {
			t.Errorf("%d were told of, the last is %s, %d were lost", n, last, tree.Of(c.sys).Dropped(tree.LossyDropped))
		}
		c.stop()
	})
}

// TestFit: an answer has a limit; what is left out is what people need least.
func TestFit(t *testing.T) {
	friends := func(n int, state enclavepb.State, name string) (all []*enclavepb.Contact) {
		for range n {
			all = append(all, &enclavepb.Contact{Name: name, State: state})
		}
		return all
	}
	long := strings.Repeat("x", 1000)
	few := &enclavepb.Result{Cmd: "list", Ok: true, Contacts: friends(500, enclavepb.State_STATE_FRIEND, long)}
	if got := fit(few); got != few {
		t.Error("few contacts do not fit")
	}
	ignored, near := friends(700, enclavepb.State_STATE_IGNORED, long), friends(600, enclavepb.State_STATE_FRIEND, long)
	got := fit(&enclavepb.Result{Cmd: "list", Ok: true, Own: &enclavepb.Presence{Alias: "me"}, Contacts: append(ignored, near...)})
	if len(got.GetContacts()) != 600 || !got.GetMore() || got.GetOwn().GetAlias() != "me" || got.GetContacts()[0] != near[0] {
		t.Errorf("%d contacts are left, more %v", len(got.GetContacts()), got.GetMore())
	}
	got = fit(&enclavepb.Result{Cmd: "list", Ok: true, Contacts: friends(2000, enclavepb.State_STATE_FRIEND, long)})
	if n := len(got.GetContacts()); n != toldMost/(contactBytes+1000) || !got.GetMore() {
		t.Errorf("%d contacts are left", n)
	}
	var entries []*enclavepb.Entry
	for i := range 20 {
		entries = append(entries, &enclavepb.Entry{Serial: uint64(i), Message: strings.Repeat("\x1b", 20<<10)})
	}
	got = fit(&enclavepb.Result{Cmd: "history", Ok: true, Entries: entries})
	if n := len(got.GetEntries()); n != 6 || got.GetEntries()[n-1] != entries[19] || !got.GetMore() {
		t.Errorf("%d entries are left", n)
	}
	huge := []*enclavepb.Entry{{Message: long}, {Message: strings.Repeat("\x1b", toldMost)}}
	if got = fit(&enclavepb.Result{Cmd: "history", Ok: true, Entries: huge}); len(got.GetEntries()) != 1 || got.GetEntries()[0] != huge[1] {
		t.Errorf("%d entries are left of a huge one", len(got.GetEntries()))
	}
}

// TestTold: no text is longer on the wire than was thought.
func TestTold(t *testing.T) {
	for s, want := range map[string]int{"": 0, "abc": 3, "\x1b": 6, "\n": 6, `"\`: 4, "é\u202e": 5} {
		if got := told(s); got != want {
			t.Errorf("%q: %d, want %d", s, got, want)
		}
	}
}
