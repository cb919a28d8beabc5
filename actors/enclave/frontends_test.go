package enclave

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/enclavepb"
	"parley/testkit"
)

// lobby is frontends among book, friends and chronicle that are made of paper.
type lobby struct {
	t       testing.TB
	d       *testkit.Driver
	sys     *actor.ActorSystem
	real    *frontends
	pid     *actor.PID
	person  *actor.PID
	asked   []string // who was asked, and for what
	asks    []*asked
	results []*enclavepb.Result
	names   []*enclavepb.Contact // that book has
	mute    bool                 // it does not answer
	refuse  string               // or so
	papers  []*actor.PID
}

func inLobby(t *testing.T, seeds uint64, test func(l *lobby)) {
	t.Helper()
	inLobbyOf(t, seeds, 0, test)
}

// inLobbyOf waits for so many listeners.
func inLobbyOf(t *testing.T, seeds uint64, listeners int, test func(l *lobby)) {
	t.Helper()
	testkit.Seeds(t, seeds, func(t *testing.T, d *testkit.Driver) {
		l := &lobby{t: t, d: d, sys: testkit.System(t, testkit.Under(d))}
		l.names = []*enclavepb.Contact{{Address: ada, Name: "Ada"}, {Address: bob}}
		l.person = l.paper(func(ctx actor.Context) {
			if m, ok := ctx.Message().(*enclavepb.Result); ok {
				l.results = append(l.results, m)
			}
		})
		part := func(name string) *actor.PID {
			return l.paper(func(ctx actor.Context) {
				if m, ok := ctx.Message().(*asked); ok {
					l.asked, l.asks = append(l.asked, name+" "+commandName(m.command)), append(l.asks, m)
					l.answer(ctx, name, m)
				}
			})
		}
		l.real = newFrontends(&Options{Listeners: listeners}, &meet{book: part("book"), friends: part("friends"), chronicle: part("chronicle")}).(*frontends)
		l.pid = tree.Spawn(l.sys.Root, "frontends", tree.Spec{Asked: true, New: func() actor.Actor { return l.real }})
		l.papers = append(l.papers, l.pid)
		test(l)
		testkit.Stop(t, l.sys, l.papers...)
	})
}

func (l *lobby) answer(ctx actor.Context, name string, m *asked) {
	own := name == "book" && m.from != nil && m.from.Equal(l.pid)
	switch {
	case own && l.mute:
	case own && l.refuse != "":
		answer(ctx, m, refused(m, l.refuse))
	default:
		r := done(m)
		r.Contacts = l.names
		answer(ctx, m, r)
	}
}

func (l *lobby) paper(f func(actor.Context)) *actor.PID {
	pid := tree.Spawn(l.sys.Root, "", tree.Spec{New: func() actor.Actor { return actor.ReceiveFunc(f) }})
	l.papers = append(l.papers, pid)
	return pid
}

func (l *lobby) ask(c *enclavepb.Command) {
	l.asked, l.asks, l.results = nil, nil, nil
	l.sys.Root.RequestWithCustomSender(l.pid, c, l.person)
	l.d.Settle()
}

func lookBack(name string) *enclavepb.Command {
	return &enclavepb.Command{Id: "x", Member: 7, Body: &enclavepb.Command_History{History: &enclavepb.History{With: name, Most: 3, Before: 9, Password: proto.String("p")}}}
}

// heardFrom is the event of a message.
func heardFrom(text string) *enclavepb.Event {
	return &enclavepb.Event{Body: &enclavepb.Event_Received{Received: &enclavepb.Received{From: ada, Message: text}}}
}

// TestCommands go to who decides, which answers who asked.
func TestCommands(t *testing.T) {
	status := &enclavepb.Command{Body: &enclavepb.Command_Status{Status: &enclavepb.SetStatus{Status: 1}}}
	alias := &enclavepb.Command{Body: &enclavepb.Command_Alias{Alias: &enclavepb.SetAlias{Alias: "a"}}}
	inLobby(t, 1, func(l *lobby) {
		for _, test := range []struct {
			command *enclavepb.Command
			want    string
		}{
			{send("ada", "hi"), "friends send"},
			{status, "friends status"},
			{alias, "friends alias"},
			{add("1.2.3.4", "x"), "book add"},
			{accept("1.2.3.4", "x"), "book accept"},
			{ignore("1.2.3.4"), "book ignore"},
			{remove("1.2.3.4"), "book remove"},
			{list(), "book list"},
			{lookBack("[::ffff:" + ada + "]:80"), "chronicle history"},
			{lookBack("Ada"), "book list, chronicle history"},
		} {
			l.ask(test.command)
			if got := strings.Join(l.asked, ", "); got != test.want {
				l.t.Errorf("%v went to %q, want %q", test.command, got, test.want)
			}
			last := l.asks[len(l.asks)-1]
			if !last.from.Equal(l.person) || len(l.results) != 1 || l.results[0].GetId() != test.command.GetId() || !l.results[0].GetOk() {
				l.t.Errorf("%v was answered %v", test.command, l.results)
			}
			if h := last.command.GetHistory(); h != nil && (h.GetWith() != ada || h.GetMost() != 3 || h.GetBefore() != 9 || h.GetPassword() != "p" || last.command.GetMember() != 7) {
				l.t.Errorf("chronicle was asked %v", h)
			}
		}
		l.sys.Root.Send(l.pid, list()) // by nobody
		l.d.Settle()
	})
}

// TestCommandsRefused says what to do.
func TestCommandsRefused(t *testing.T) {
	inLobby(t, 1, func(l *lobby) {
		refuses := func(c *enclavepb.Command, text string) {
			l.t.Helper()
			l.ask(c)
			if len(l.results) != 1 || l.results[0].GetOk() || !strings.Contains(l.results[0].GetReason(), text) || l.results[0].GetId() != c.GetId() {
				l.t.Errorf("%v was answered %v", c, l.results)
			}
		}
		refuses(&enclavepb.Command{Id: "x"}, "no command")
		refuses(lookBack(""), "a name or an address")
		refuses(lookBack("Carl"), `no contact "Carl"`)
		l.refuse = "the book is shut"
		refuses(lookBack("Ada"), "the book is shut")

		l.mute = true
		l.ask(lookBack("Ada"))
		l.d.Run(lookupTime)
		if len(l.results) != 1 || l.results[0].GetOk() || len(l.real.lookups) != 0 {
			l.t.Errorf("answered %v", l.results)
		}
		l.results = nil
		for range lookupsMost + 1 {
			l.sys.Root.RequestWithCustomSender(l.pid, lookBack("Ada"), l.person)
		}
		l.d.Settle()
		if len(l.results) != 1 || l.results[0].GetReason() != reasonBusy {
			l.t.Errorf("answered %v", l.results)
		}
		l.d.Run(lookupTime)
		if len(l.results) != lookupsMost+1 {
			l.t.Errorf("%d answers", len(l.results))
		}
		for _, id := range []string{"lookup-1", "lookup-zz", "other-1", ""} { // late, and made up
			l.sys.Root.Send(l.pid, &enclavepb.Result{Id: id, Ok: true})
		}
		l.d.Settle()
	})
}

// TestListeners are all told everything from then on, once, in order, however
// slow others are; one that is gone is forgotten.
func TestListeners(t *testing.T) {
	inLobby(t, 10, func(l *lobby) {
		heard := map[string][]string{}
		listener := func(name string) *actor.PID {
			return l.paper(func(ctx actor.Context) {
				switch m := ctx.Message().(type) {
				case *actor.Started:
					ctx.Request(l.pid, &enclavepb.Listen{})
					ctx.Request(l.pid, &enclavepb.Listen{})
				case *enclavepb.Event:
					heard[name] = append(heard[name], m.GetReceived().GetMessage())
				}
			})
		}
		tell := func(from, to int) {
			for i := from; i <= to; i++ {
				l.sys.Root.Send(l.pid, &told{heardFrom(fmt.Sprint(i))})
			}
		}
		tell(1, 5) // to nobody
		l.d.Settle()
		a, b, slow := listener("a"), listener("b"), listener("slow")
		l.sys.Root.Send(l.pid, &enclavepb.Listen{}) // from nobody
		l.d.Settle()
		p, _ := l.sys.ProcessRegistry.Get(slow)
		p.SendSystemMessage(slow, &actor.SuspendMailbox{}) // it takes nothing for a while
		tell(6, 105)
		l.d.Settle()
		want := count("", 6, 105)
		if !slices.Equal(heard["a"], want) || !slices.Equal(heard["b"], want) || len(heard["slow"]) != 0 {
			l.t.Errorf("heard %d, %d and %d", len(heard["a"]), len(heard["b"]), len(heard["slow"]))
		}
		l.sys.Root.Stop(a)
		tell(106, 110)
		l.d.Settle()
		if len(l.real.telling.listeners) != 2 {
			l.t.Errorf("%d listeners", len(l.real.telling.listeners))
		}
		p.SendSystemMessage(slow, &actor.ResumeMailbox{})
		l.d.Settle()
		if want = count("", 6, 110); !slices.Equal(heard["slow"], want) || !slices.Equal(heard["b"], want) {
			l.t.Errorf("in the end %d and %d", len(heard["slow"]), len(heard["b"]))
		}
		l.sys.Root.Stop(b)
		l.sys.Root.Stop(slow)
		l.d.Settle()
		late := l.paper(func(actor.Context) {})
		l.sys.Root.Stop(late)
		l.d.Settle()
		l.sys.Root.RequestWithCustomSender(l.pid, &enclavepb.Listen{}, late) // it is gone already
		l.d.Settle()
		if len(l.real.telling.listeners) != 0 {
			l.t.Errorf("%d listeners at the end", len(l.real.telling.listeners))
		}
	})
}

// TestFailedFrontends keeps its listeners, and answers who waits.
func TestFailedFrontends(t *testing.T) {
	inLobby(t, 1, func(l *lobby) {
		n := 0
		l.paper(func(ctx actor.Context) {
			switch ctx.Message().(type) {
			case *actor.Started:
				ctx.Request(l.pid, &enclavepb.Listen{})
			case *enclavepb.Event:
				n++
			}
		})
		l.d.Settle()
		l.mute = true
		l.ask(lookBack("Ada"))
		p, _ := l.sys.ProcessRegistry.Get(l.pid)
		p.SendSystemMessage(l.pid, &actor.SuspendMailbox{})
		p.SendSystemMessage(l.pid, &actor.Restart{})
		l.d.Settle()
		if len(l.results) != 1 || l.results[0].GetReason() != reasonFailed {
			l.t.Errorf("answered %v", l.results)
		}
		l.sys.Root.Send(l.pid, &told{&enclavepb.Event{}})
		l.d.Run(time.Minute)
		if n != 1 {
			l.t.Errorf("told %d times", n)
		}
	})
}
