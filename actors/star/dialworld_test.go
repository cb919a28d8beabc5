package star

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/starpb"
	"parley/testkit"
)

// exchange is a rendezvous among links made of paper. A seeded driver runs all of
// it on one goroutine, so that nothing here is locked.
type exchange struct {
	t          testing.TB
	d          *testkit.Driver
	sys        *actor.ActorSystem
	top, links *actor.PID
	star       *Star
	phones     []*phone // all that ever were
}

// dialRoot does what it is told.
type dialRoot struct{ start func(actor.Context) }

func (p *dialRoot) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		if p.start != nil {
			p.start(ctx)
		}
	case func(actor.Context):
		m(ctx)
	}
}

// dialShard tells nobody of anybody, and says that it did.
type dialShard struct{}

func (dialShard) Receive(ctx actor.Context) {
	if m, ok := ctx.Message().(*messages.Multicast); ok && m.Written != nil {
		m.Written()
	}
}

func newExchange(t testing.TB, d *testkit.Driver, opts ...testkit.SystemOption) *exchange {
	t.Helper()
	return newExchangeOf(t, d, Options{}, opts...)
}

func newExchangeOf(t testing.TB, d *testkit.Driver, o Options, opts ...testkit.SystemOption) *exchange {
	t.Helper()
	x := &exchange{t: t, d: d}
	x.sys = testkit.System(t, append(opts, testkit.Under(d))...)
	x.top = tree.Spawn(x.sys.Root, "top", tree.Spec{Children: tree.Fatal, New: func() actor.Actor {
		return &dialRoot{func(ctx actor.Context) {
			for v := range o.Fanout {
				pid := tree.Spawn(ctx, fmt.Sprint("shard", v), tree.Spec{New: func() actor.Actor { return dialShard{} }})
				o.Fanout[v].Shards = []*actor.PID{pid}
			}
			x.links = tree.Spawn(ctx, "links", tree.Spec{New: func() actor.Actor { return &dialRoot{} }})
			x.star = Spawn(ctx, o)
		}}
	}})
	d.Settle()
	return x
}

// stop ends the rendezvous; nothing may be left.
func (x *exchange) stop() {
	x.t.Helper()
	testkit.Ending(x.sys) // the taps are still needed
	x.sys.Root.Stop(x.top)
	x.d.Settle()
	for _, p := range x.phones {
		x.sys.ProcessRegistry.Remove(p.tap)
	}
	testkit.Stop(x.t, x.sys)
}

// proxies lists the proxies that are alive, in a lasting order.
func (x *exchange) proxies() (ids []*actor.PID) {
	for _, shard := range x.sys.ProcessRegistry.LocalPIDs.LocalPIDs {
		for _, id := range shard.Keys() {
			if strings.HasPrefix(id, "top/"+nameProxies+"/") {
				ids = append(ids, actor.NewPID(x.sys.Address(), id))
			}
		}
	}
	slices.SortFunc(ids, func(a, b *actor.PID) int { return strings.Compare(a.GetId(), b.GetId()) })
	return ids
}

// counted reads a counter of the system.
func (x *exchange) counted(name, value string) int64 {
	for _, c := range tree.Of(x.sys).All() {
		if c.Name == name && c.Value == value {
			return c.Load()
		}
	}
	return -1
}

// phone is a client's end of a link.
type phone struct {
	x       *exchange
	name    string // its address, too
	tap     *actor.PID
	link    *actor.PID
	session *actor.PID // set by Accepted

	gone    bool // its link has stopped
	closed  bool // because it was told to
	absent  bool // it has left at least once
	lazy    bool // its link takes nothing
	unfair  bool // its link ends without a word to those whom it owes one
	brittle bool // the next packet to its link makes the sender panic
	held    int64
	excess  bool // more was given back than taken
	owed    []dialOwed
	heard   []string
	onHear  func(ctx actor.Context, m proto.Message)
}

type dialOwed struct {
	to     *actor.PID
	charge uint32
}

// phone connects one client, which joins.
func (x *exchange) phone(name string) *phone {
	x.t.Helper()
	p := x.connect(name)
	p.say(&starpb.Join{Address: name, Ack: proto.Uint64(0)})
	x.d.Settle()
	p.wants("0 joined")
	p.held, p.excess = 0, false // how a join is settled is not looked at here
	return p
}

func (x *exchange) connect(name string) *phone {
	x.t.Helper()
	p := &phone{x: x, name: name}
	x.phones = append(x.phones, p)
	tap, ok := x.sys.ProcessRegistry.Add(&dialTap{p}, fmt.Sprint("tap", len(x.phones)))
	if !ok {
		x.t.Fatal("two taps of one name")
	}
	p.tap = tap
	x.sys.Root.Send(x.links, func(ctx actor.Context) {
		p.link = tree.Spawn(ctx, "", tree.Spec{New: func() actor.Actor { return &dialLink{p} }})
	})
	x.d.Settle()
	if p.session == nil {
		x.t.Fatal("a link was not served")
	}
	return p
}

// dialTap is what others know a link as. It passes everything on, and makes a
// sender panic.
type dialTap struct{ *phone }

// SendUserMessage implements actor.Process.
func (p *dialTap) SendUserMessage(_ *actor.PID, msg any) {
	_, m, sender := actor.UnwrapEnvelope(msg)
	if _, paced := m.(*messages.Paced); paced && p.brittle {
		p.brittle = false
		panic("the world ends here")
	}
	if sender != nil {
		p.x.sys.Root.RequestWithCustomSender(p.link, m, sender)
		return
	}
	p.x.sys.Root.Send(p.link, m)
}

// SendSystemMessage implements actor.Process.
func (p *dialTap) SendSystemMessage(*actor.PID, any) {}

// Stop implements actor.Process.
func (p *dialTap) Stop(*actor.PID) {}

// dialLink stands for a gateway's link and its reader.
type dialLink struct{ *phone }

type dialHangUp struct{}

// IgnoreDeadLetterLogging marks messages that may find the link stopped.
func (dialHangUp) IgnoreDeadLetterLogging() {}

// dialAct is something that a phone does when its turn comes.
type dialAct func(actor.Context)

// IgnoreDeadLetterLogging marks messages that may find the link stopped.
func (dialAct) IgnoreDeadLetterLogging() {}

func (l *dialLink) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		l.x.sys.Root.RequestWithCustomSender(l.x.star.Sessions[Three], &linkpb.Opened{Protocol: "star", Member: uint64(len(l.x.phones))}, l.tap)
	case *linkpb.Accepted:
		l.session = ctx.Sender()
	case *linkpb.Settled:
		l.give(m.GetCharge())
	case *messages.Paced:
		l.onPaced(ctx, m)
	case *linkpb.Close:
		l.closed = true
		ctx.Stop(ctx.Self())
	case dialHangUp:
		ctx.Stop(ctx.Self())
	case dialAct:
		m(ctx)
	case *actor.Stopped:
		l.gone = true
		if !l.unfair {
			l.take(ctx)
		}
		ctx.Send(l.session, &linkpb.Closed{})
	case actor.SystemMessage, actor.AutoReceiveMessage:
	case proto.Message:
		l.hear(ctx, m)
	}
}

func (l *dialLink) onPaced(ctx actor.Context, m *messages.Paced) {
	l.hear(ctx, m.Message)
	if want := payload(m.Message.(*starpb.Stream)); m.Size != want {
		l.x.t.Errorf("%s: a packet of %d bytes is said to have %d", l.name, want, m.Size)
	}
	l.owed = append(l.owed, dialOwed{ctx.Sender(), m.Charge})
	if !l.lazy {
		l.take(ctx)
	}
}

// take answers for what the link owes, in sum for each.
func (p *phone) take(ctx actor.Context) {
	for len(p.owed) > 0 {
		to, sum := p.owed[0].to, uint32(0)
		p.owed = slices.DeleteFunc(p.owed, func(o dialOwed) bool {
			if o.to.Equal(to) {
				sum += o.charge
			}
			return o.to.Equal(to)
		})
		ctx.Send(to, &linkpb.Taken{Charge: sum})
	}
}

// say sends to the session, as a reader does. What is said when the link has
// stopped comes all the same.
func (p *phone) say(m proto.Message) {
	switch m := m.(type) {
	case *starpb.Stream:
		p.held += int64(m.GetCharge())
	default:
		p.held++
	}
	p.x.sys.Root.RequestWithCustomSender(p.session, m, p.tap)
}

func (p *phone) give(charge uint32) {
	if p.held -= int64(charge); p.held < 0 {
		p.excess, p.held = true, 0
	}
}

// do lets the phone act when its link's turn comes.
func (p *phone) do(act func(ctx actor.Context)) { p.x.sys.Root.Send(p.link, dialAct(act)) }

func (p *phone) hangUp() { p.x.sys.Root.Send(p.link, dialHangUp{}) }

// hear notes what is written to the client.
func (p *phone) hear(ctx actor.Context, m proto.Message) {
	switch m := m.(type) {
	case *starpb.Welcome, *starpb.Peers:
		return
	case *starpb.Reply:
		if !m.GetSettled() {
			p.give(1)
		}
		text := string(m.GetError())
		if m.GetJoined() {
			text = "joined"
		}
		p.note("%d %s", m.GetAck(), text)
	case *starpb.Incoming:
		p.note("%d incoming %s %s", m.GetAck(), m.GetDial(), m.GetFrom())
	case *starpb.Accept:
		p.note("accept %s", m.GetId())
	case *starpb.End:
		p.note("end %s", m.GetId())
	case *starpb.Stream:
		p.note("%s %s", m.GetId(), bytes.TrimRight(m.GetPacket(), "."))
	default:
		p.x.t.Errorf("%s hears %T", p.name, m)
	}
	if p.onHear != nil {
		p.onHear(ctx, m)
	}
}

func (p *phone) note(format string, args ...any) {
	p.heard = append(p.heard, strings.TrimSpace(fmt.Sprintf(format, args...)))
}

// wants checks what was heard since the last time.
func (p *phone) wants(want ...string) {
	p.x.t.Helper()
	p.x.d.Settle()
	if !slices.Equal(p.heard, want) {
		p.x.t.Fatalf("%s heard\n%q, want\n%q", p.name, p.heard, want)
	}
	p.heard = nil
}

// settled checks that nothing is held of what was said.
func (p *phone) settled() {
	p.x.t.Helper()
	p.x.d.Settle()
	if p.held != 0 || p.excess {
		p.x.t.Errorf("%s still holds %d charges; more than taken: %v", p.name, p.held, p.excess)
	}
}

func dialMessage(from, to *phone, id string, ack uint64) *starpb.Dial {
	return &starpb.Dial{From: from.name, To: to.name, Dial: id, Ack: proto.Uint64(ack)}
}

// dial is a dial that succeeds. Both have heard of it, and nobody has accepted.
func (p *phone) dial(to *phone, id string) {
	p.x.t.Helper()
	p.say(dialMessage(p, to, id, 1))
	p.x.d.Settle()
	ring := to.heard[len(to.heard)-1]
	var ack uint64
	if _, err := fmt.Sscanf(ring, "%d incoming", &ack); err != nil {
		p.x.t.Fatalf("%s heard %q", to.name, to.heard)
	}
	to.say(&starpb.Answered{Ack: ack})
	p.x.d.Settle()
	if got := p.heard[len(p.heard)-1]; got != "1" {
		p.x.t.Fatalf("%s heard %q", p.name, p.heard)
	}
	p.heard, to.heard = nil, nil
}

// connected is a dial whose streams both have accepted.
func (p *phone) connected(to *phone, id string) {
	p.x.t.Helper()
	p.dial(to, id)
	to.say(accepts(id + ".dialer"))
	p.say(accepts(id + ".listener"))
	p.x.d.Settle()
}

func accepts(stream string) *starpb.Stream {
	return &starpb.Stream{Kind: starpb.Stream_KIND_ACCEPT, Id: stream, Packet: []byte("accept"), Charge: messages.Charge(0)}
}

// chunk is text with as many bytes beside it as wanted.
func chunk(stream, text string, size int) *starpb.Stream {
	return &starpb.Stream{
		Kind: starpb.Stream_KIND_QUEUE, Id: stream, Packet: []byte(text),
		Attachments: [][]byte{make([]byte, size)}, Charge: messages.Charge(len(text) + size),
	}
}

func ends(stream, text string) *starpb.Stream {
	return &starpb.Stream{Kind: starpb.Stream_KIND_ERROR, Id: stream, Packet: []byte(text), Charge: messages.Charge(len(text))}
}

// dialTB lets testkit fail a rapid test. It does not mind how many actors failed.
type dialTB struct {
	testing.TB
	rt *rapid.T
}

func (b dialTB) Cleanup(f func())                  { b.rt.Cleanup(f) }
func (b dialTB) Error(args ...any)                 { b.rt.Error(args...) }
func (b dialTB) Fatal(args ...any)                 { b.rt.Fatal(args...) }
func (b dialTB) Fatalf(format string, args ...any) { b.rt.Fatalf(format, args...) }
func (b dialTB) Failed() bool                      { return b.rt.Failed() }
func (b dialTB) Helper()                           {}
func (b dialTB) Logf(string, ...any)               {}

func (b dialTB) Errorf(format string, args ...any) {
	if !strings.HasPrefix(format, "testkit: %d actors failed, the test declared") {
		b.rt.Errorf(format, args...)
	}
}

// anyDialFailures goes with dialTB.
var anyDialFailures = testkit.ExpectFailures(math.MaxInt)
