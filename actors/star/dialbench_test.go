package star

import (
	"log/slog"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/starpb"
)

// dialBench is a rendezvous on the driver that nodes use, and two clients.
type dialBench struct {
	b          *testing.B
	sys        *actor.ActorSystem
	pool       *tree.Pool
	top        *actor.PID
	star       *Star
	anna, bert *benchLink
}

// benchLink takes what it gets at once, as a link does that is not behind.
type benchLink struct {
	sessions *actor.PID
	pid      *actor.PID
	session  *actor.PID          // set by Accepted
	hear     func(proto.Message) // what its client does, when it has joined
	joined   chan struct{}
	credit   chan struct{} // full: nothing is held
}

func (l *benchLink) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		ctx.Request(l.sessions, &linkpb.Opened{Protocol: "star"})
	case *linkpb.Accepted:
		l.session = ctx.Sender()
		ctx.Send(l.session, &starpb.Join{Address: "/" + ctx.Self().GetId(), Ack: proto.Uint64(0)})
	case *messages.Paced:
		ctx.Send(ctx.Sender(), &linkpb.Taken{Charge: m.Charge})
		if l.hear != nil {
			l.hear(m.Message)
		}
	case *linkpb.Settled:
		for range m.GetCharge() {
			select {
			case l.credit <- struct{}{}:
			default: // of something that was not waited for
			}
		}
	case *starpb.Reply:
		if m.GetJoined() {
			close(l.joined)
			return
		}
		l.hear(m)
	case actor.SystemMessage, actor.AutoReceiveMessage:
	case proto.Message:
		if l.hear != nil {
			l.hear(m)
		}
	}
}

func newDialBench(b *testing.B) *dialBench {
	w := &dialBench{b: b, pool: tree.NewPool()}
	w.sys = tree.New(tree.Options{Log: slog.New(slog.DiscardHandler), Driver: w.pool})
	started := make(chan struct{})
	w.top = tree.Spawn(w.sys.Root, "top", tree.Spec{New: func() actor.Actor {
		return &dialRoot{func(ctx actor.Context) {
			var o Options
			for v := range o.Fanout {
				o.Fanout[v].Shards = []*actor.PID{tree.Spawn(ctx, "", tree.Spec{New: func() actor.Actor { return dialShard{} }})}
			}
			w.star = Spawn(ctx, o)
			close(started)
		}}
	}})
	<-started
	w.anna, w.bert = w.client("anna"), w.client("bert")
	b.Cleanup(w.stop)
	return w
}

func (w *dialBench) client(name string) *benchLink {
	l := &benchLink{sessions: w.star.Sessions[Three], joined: make(chan struct{}), credit: make(chan struct{}, messages.ChargeAll)}
	for range messages.ChargeAll {
		l.credit <- struct{}{}
	}
	l.pid = tree.Spawn(w.sys.Root, name, tree.Spec{New: func() actor.Actor { return l }})
	<-l.joined
	return l
}

func (w *dialBench) say(l *benchLink, m proto.Message) { w.sys.Root.Send(l.session, m) }

// dial starts a dial that will be answered. Both accept when they can.
func (w *dialBench) dial(id string) {
	w.say(w.anna, &starpb.Dial{From: "/anna", To: "/bert", Dial: id, Ack: proto.Uint64(1)})
}

func (w *dialBench) pickUp(m proto.Message) {
	if m, ok := m.(*starpb.Incoming); ok {
		w.say(w.bert, accepts(m.GetDial()+".dialer"))
		w.say(w.bert, &starpb.Answered{Ack: m.GetAck()})
	}
}

func (w *dialBench) status() *starpb.Status {
	m, err := w.sys.Root.RequestFuture(w.star.Registry, &starpb.StatusRequest{}, time.Minute).Result()
	if err != nil {
		w.b.Fatal(err)
	}
	return m.(*starpb.Status)
}

// stop hangs up first: what is said to an actor that has stopped would leave a
// goroutine for a second.
func (w *dialBench) stop() {
	for _, l := range []*benchLink{w.anna, w.bert} {
		w.say(l, &linkpb.Closed{})
	}
	for s := w.status(); s.GetSockets()+s.GetPeers()+s.GetDials() > 0; s = w.status() {
		runtime.Gosched()
	}
	for _, pid := range []*actor.PID{w.anna.pid, w.bert.pid, w.top} {
		if err := w.sys.Root.StopFuture(pid).Wait(); err != nil {
			w.b.Error(err)
		}
	}
	w.sys.Shutdown()
	w.pool.Close()
}

// BenchmarkChunk is a chunk of 16 KiB on its way from a link to another: session,
// proxy, far link, and the credit back.
func BenchmarkChunk(b *testing.B) {
	w := newDialBench(b)
	ready := make(chan struct{})
	w.bert.hear = w.pickUp
	w.anna.hear = func(m proto.Message) {
		if _, ok := m.(*starpb.Reply); ok {
			close(ready)
		}
	}
	w.dial("d")
	<-ready
	m := chunk("d.dialer", "x", 16<<10)
	b.SetBytes(16 << 10)
	b.ReportAllocs()
	for b.Loop() {
		for range m.GetCharge() {
			<-w.anna.credit
		}
		w.say(w.anna, m)
	}
	for range messages.ChargeAll { // all is taken
		<-w.anna.credit
	}
}

// BenchmarkDial is a dial from its beginning to its end: answered, both streams
// accepted and ended.
func BenchmarkDial(b *testing.B) {
	w := newDialBench(b)
	over, id := make(chan struct{}, 1), ""
	w.bert.hear = func(m proto.Message) {
		w.pickUp(m)
		if m, ok := m.(*starpb.Stream); ok && m.GetKind() == starpb.Stream_KIND_ERROR {
			w.say(w.bert, ends(id+".listener", "true"))
		}
	}
	w.anna.hear = func(m proto.Message) {
		switch m.(type) {
		case *starpb.Reply:
			w.say(w.anna, accepts(id+".listener"))
			w.say(w.anna, ends(id+".dialer", "true"))
		case *starpb.Stream:
			over <- struct{}{}
		}
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		id = strconv.Itoa(n)
		w.dial(id)
		<-over
	}
}
