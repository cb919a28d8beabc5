package mesh

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/meshpb"
	"parley/messages/relaypb"
	"parley/messages/uipb"
	"parley/testkit"
)

// yard is peers, or scout, among links and other actors made of paper, which
// note what they are told. A seeded driver runs all of it on one goroutine.
type yard struct {
	t   testing.TB
	d   *testkit.Driver
	sys *actor.ActorSystem
	o   Options
	met meet

	top, pid, asker *actor.PID
	papers          []*actor.PID
	strands         []*strand // links, by member-1
	facts           []string  // what the others were told, in order
	arrivals        []*arrived
	posts           []*post
	answers         []proto.Message // to asker
	dials           []*meshpb.Dial
	dialled         []time.Time
	onDial          func(d *meshpb.Dial) *meshpb.DialFailed // nil: it seems to connect
	onAsk           func(m *meshpb.AskRequest) *meshpb.Response
	onReach         func(m *reach) *reached
	network         *meshpb.NetworkResponse
}

const yardToken = "let me in"

// newYard starts the actor that make makes, as Spawn would.
func newYard(t testing.TB, d *testkit.Driver, o Options, name string, make func(*Options, *meet) actor.Actor, opts ...testkit.SystemOption) *yard {
	t.Helper()
	y := &yard{t: t, d: d}
	if o.Name == "" {
		o.Name = "m"
	}
	if o.Boot == 0 {
		o.Boot = 1000
	}
	if o.MaxLinks == 0 {
		o.MaxLinks = 8
	}
	o.Accept, o.Now, o.Seed, o.Token = true, time.Now, d.Seed(), yardToken
	o.Dial = func(m *meshpb.Dial) *meshpb.DialFailed {
		y.dials, y.dialled = append(y.dials, m), append(y.dialled, time.Now())
		if y.onDial == nil {
			return nil
		}
		return y.onDial(m)
	}
	y.sys = testkit.System(t, append(opts, testkit.Under(d))...)
	for s := range o.Fanout {
		o.Fanout[s].Shards = []*actor.PID{y.paper(fmt.Sprint("shard", s), y.onMulticast)}
	}
	for _, other := range []struct {
		name string
		pid  **actor.PID
	}{
		{"router", &y.met.router},
		{"hello", &y.met.hello},
		{"reservations", &y.met.reservations},
		{"commands", &y.met.commands},
		{"peers", &y.met.peers},
		{"scout", &y.met.scout},
		{"status", &y.met.Status},
		{"health", &y.met.Health},
	} {
		*other.pid = y.paper(other.name, func(ctx actor.Context) { y.note(ctx, other.name) })
	}
	y.asker = y.paper("asker", func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case func(actor.Context):
			m(ctx)
		case actor.SystemMessage, actor.AutoReceiveMessage:
		case proto.Message:
			y.answers = append(y.answers, m)
		}
	})
	y.o = o
	a := make(&y.o, &y.met)
	y.top = tree.Spawn(y.sys.Root, "top", tree.Spec{Children: tree.Restart, New: func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); ok {
				y.pid = tree.Spawn(ctx, name, tree.Spec{New: func() actor.Actor { return a }})
			}
		})
	}})
	d.Settle()
	return y
}

func (y *yard) paper(name string, f func(actor.Context)) *actor.PID {
	pid := tree.Spawn(y.sys.Root, name, tree.Spec{New: func() actor.Actor { return actor.ReceiveFunc(f) }})
	y.papers = append(y.papers, pid)
	return pid
}

// note keeps what an actor was told, in few words.
func (y *yard) note(ctx actor.Context, who string) {
	say := func(format string, args ...any) { y.facts = append(y.facts, who+" "+fmt.Sprintf(format, args...)) }
	switch m := ctx.Message().(type) {
	case *linked:
		say("linked %s %d/%d", m.name, m.side, m.member)
	case *unlinked:
		say("unlinked %s %d/%d", m.name, m.side, m.member)
	case *measured:
		say("measured %s %g", m.name, m.ms)
	case *reached:
		say("reached %s ok=%v full=%v", m.name, m.ok, m.full)
		ctx.Send(ctx.Self(), struct{}{})
	case *arrived:
		y.arrivals = append(y.arrivals, m)
		say("arrived %s %d", m.from, len(m.packets))
	case *post:
		y.posts = append(y.posts, m)
	case *uipb.Stage:
		say("%s", m.GetStage())
	case *relaypb.Ailment:
		say("%s %s over=%v", m.GetHealthy(), m.GetReason(), m.GetOver())
	case *meshpb.AskRequest:
		y.onAskRequest(ctx, m)
	case *reach:
		say("reach %s %s", m.name, m.url)
		if r := y.onReach(m); r != nil {
			ctx.Send(y.pid, r)
		}
	case *meshpb.NetworkRequest:
		ctx.Respond(y.network)
	}
}

// onAskRequest answers for other nodes; nil: they do not.
func (y *yard) onAskRequest(ctx actor.Context, m *meshpb.AskRequest) {
	y.facts = append(y.facts, strings.TrimSpace(fmt.Sprintf("ask %s %s %s", m.GetDestination(), m.GetCommand().GetName(), m.GetCommand().GetNode())))
	var r *meshpb.Response
	if y.onAsk != nil {
		r = y.onAsk(m)
	}
	answer := &meshpb.AskResponse{Silent: []string{m.GetDestination()}}
	if r != nil {
		answer = &meshpb.AskResponse{Answers: []*meshpb.Answer{{Node: m.GetDestination(), Response: r}}}
	}
	ctx.Respond(answer)
}

// told returns what was noted since the last call, of those whose notes begin so.
func (y *yard) told(prefixes ...string) []string {
	var out []string
	for _, f := range y.facts {
		if len(prefixes) == 0 || slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(f, p) }) {
			out = append(out, f)
		}
	}
	y.facts = nil
	return out
}

func (y *yard) wantTold(prefix string, want ...string) {
	y.t.Helper()
	if got := y.told(prefix); !slices.Equal(got, want) {
		y.t.Errorf("told %q, want %q", got, want)
	}
}

// ask sends messages to the actor and returns what was answered at once.
func (y *yard) ask(messages ...any) []proto.Message {
	y.answers = nil
	for _, m := range messages {
		y.sys.Root.RequestWithCustomSender(y.pid, m, y.asker)
	}
	y.d.Settle()
	return y.answers
}

// admit knocks at the door.
func (y *yard) admit(token, name string) *meshpb.AdmitResponse {
	y.t.Helper()
	got := y.ask(&meshpb.AdmitRequest{Token: token, Name: name})
	if len(got) != 1 {
		y.t.Fatalf("answered %d times", len(got))
	}
	return got[0].(*meshpb.AdmitResponse)
}

// restart makes the actor fail, as by a bug: it is made anew.
func (y *yard) restart() {
	p, _ := y.sys.ProcessRegistry.Get(y.pid)
	p.SendSystemMessage(y.pid, &actor.SuspendMailbox{})
	p.SendSystemMessage(y.pid, &actor.Restart{})
	y.d.Settle()
}

func (y *yard) stop() {
	y.t.Helper()
	testkit.Ending(y.sys)
	y.sys.Root.Stop(y.top)
	y.d.Settle()
	for _, s := range y.strands {
		if !s.gone {
			y.papers = append(y.papers, s.pid)
		}
	}
	testkit.Stop(y.t, y.sys, y.papers...)
}

// strand is a link made of paper, with a node at its other end.
type strand struct {
	y      *yard
	member uint64
	ticket uint64
	pid    *actor.PID
	server *actor.PID // set by Accepted
	heard  []*meshpb.Handshake
	gave   uint32 // credit
	code   uint32 // it was closed with
	reason string
	gone   bool
}

// open makes a link with a ticket.
func (y *yard) open(ticket uint64) *strand {
	s := &strand{y: y, member: uint64(len(y.strands) + 1), ticket: ticket}
	y.strands = append(y.strands, s)
	s.pid = tree.Spawn(y.sys.Root, "", tree.Spec{New: func() actor.Actor { return actor.ReceiveFunc(s.receive) }})
	y.d.Settle()
	return s
}

// enter is admit and open, for who knows the token.
func (y *yard) enter(name string) *strand {
	y.t.Helper()
	r := y.admit(yardToken, name)
	if r.GetTicket() == 0 {
		y.t.Fatalf("%s was not let in: %v", name, r)
	}
	return y.open(r.GetTicket())
}

// onMulticast hands the answer of a multicast to its link.
func (y *yard) onMulticast(ctx actor.Context) {
	if m, ok := ctx.Message().(*messages.Multicast); ok {
		y.strands[m.Origin-1].hear(m.Answer.(*meshpb.Handshake))
		y.facts = append(y.facts, fmt.Sprintf("greeted %d", m.Origin))
	}
}

func (s *strand) hear(m *meshpb.Handshake) { s.heard = append(s.heard, m) }

func (s *strand) receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		ctx.Request(s.y.pid, &linkpb.Opened{Protocol: "mesh", Remote: fmt.Sprint("paper:", s.member), Member: s.member, Ticket: s.ticket})
	case *linkpb.Accepted:
		s.server = ctx.Sender()
	case *meshpb.Handshake:
		s.hear(m)
	case *linkpb.Settled:
		s.gave += m.GetCharge()
	case *linkpb.Close:
		s.code, s.reason = m.GetCode(), m.GetReason()
		ctx.Stop(ctx.Self())
	case *actor.Stopped:
		s.gone = true
		if s.server != nil {
			ctx.Send(s.server, &linkpb.Closed{})
		}
	}
}

// say sends what a reader would hand over.
func (s *strand) say(messages ...proto.Message) *strand {
	s.y.t.Helper()
	if s.server == nil {
		s.y.t.Fatal("the link is not served")
	}
	for _, m := range messages {
		s.y.sys.Root.RequestWithCustomSender(s.server, m, s.pid)
	}
	s.y.d.Settle()
	return s
}

// cut ends the link from outside.
func (s *strand) cut() {
	s.y.sys.Root.Stop(s.pid)
	s.y.d.Settle()
}

func (s *strand) wantClosed(code uint32, reason string) {
	s.y.t.Helper()
	if !s.gone || s.code != code || s.reason != reason {
		s.y.t.Errorf("link %d: gone %v, closed with %d %q, want %d %q", s.member, s.gone, s.code, s.reason, code, reason)
	}
}

func (s *strand) wantOpen() {
	s.y.t.Helper()
	if s.gone {
		s.y.t.Errorf("link %d was closed with %d %q", s.member, s.code, s.reason)
	}
}

// hand is a handshake of a node like this one; its boot is not 0.
func hand(name string) *meshpb.Handshake {
	return &meshpb.Handshake{Name: name, Boot: 7, Host: "wss://" + name + ".example/", Encodings: []string{"json", "pb"}, Version: "1.2"}
}

// frame is a frame with some packets.
func frame(n int) *meshpb.Frame {
	f := &meshpb.Frame{Charge: 1}
	for range n {
		f.Packets = append(f.Packets, &meshpb.Packet{})
	}
	return f
}

// round is a round trip.
func round(d time.Duration) *linkpb.RoundTrip { return &linkpb.RoundTrip{Nanoseconds: uint64(d)} }
