package mesh

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/mesh"
	"parley/actors/tree"
	"parley/messages"
	"parley/messages/linkpb"
)

const (
	// creditMost is how much of a link's credit may be unsettled before it reads
	// no more, in units of messages.Charge.
	creditMost = messages.ChargeAll
	// acceptMost is how long a server may take to answer linkpb.Opened.
	acceptMost = 5 * time.Second
	// pingFirst and pingEvery are when round trips are told.
	pingFirst = time.Second
	pingEvery = 5 * time.Second
	closeSlow = 1013
)

// end stands in for the link of a mesh gateway.
//
//	parent    top
//	receives  linkpb.Accepted, linkpb.Close, linkpb.Settled, over, late, ping; any message its codec can encode
//	sends     linkpb.Opened to peers; what arrived, linkpb.RoundTrip and linkpb.Closed to the server
//	stops     when its wire is cut, when the other end closed, on linkpb.Close, when nobody serves it
type end struct {
	node   *Node // fixed at spawn, as all of this block
	wire   *wire
	index  int // of the wire's ends
	side   mesh.Side
	member uint64
	ticket uint64

	link    *actor.PID // set by Started
	server  *actor.PID // set by Accepted
	queue   []*parcel  // owned, as all that follows; arrived and not read
	held    int64      // credit
	said    bool       // goodbye
	hung    bool       // told that it is over
	forgave bool       // all credit was given back once
	leaving bool       // over, but Accepted may be on its way
	gone    bool
	timer   *tree.Timer
}

type (
	// over says that the link ends without a word.
	over struct{}
	// late says that acceptMost is over.
	late struct{}
	// ping is when a round trip is told.
	ping struct{}
)

// IgnoreDeadLetterLogging marks messages that may find the link stopped.
func (over) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find the link stopped.
func (late) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find the link stopped.
func (ping) IgnoreDeadLetterLogging() {}

// plugIn makes a node's link of an end of a wire.
func (n *Node) plugIn(w *wire, index int, side mesh.Side, ticket uint64) {
	n.members[side]++
	e := &end{node: n, wire: w, index: index, side: side, member: n.members[side], ticket: ticket}
	w.plugs[index] = e
	n.do(func(ctx actor.Context) { tree.Spawn(ctx, "", tree.Spec{New: func() actor.Actor { return e }}) })
}

func (e *end) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		e.onStarted(ctx)
	case *actor.Stopped:
		e.onStopped(ctx)
	case *linkpb.Accepted:
		e.onAccepted(ctx)
	case *linkpb.Close:
		e.node.sim.logf("%s closes its link to %s: %d %s", e.node.Name, e.wire.names[1-e.index], m.GetCode(), m.GetReason())
		e.bye(m)
		e.leave(ctx)
	case *linkpb.Settled:
		e.onSettled(m)
	case late:
		e.bye(&linkpb.Close{Code: closeSlow, Reason: "not served"})
		ctx.Stop(ctx.Self())
	case over:
		e.leave(ctx)
	case ping:
		e.onPing(ctx)
	case *actor.DeadLetterResponse:
		ctx.Stop(ctx.Self())
	case actor.SystemMessage, actor.AutoReceiveMessage:
	case proto.Message:
		e.write(m)
	}
}

func (e *end) onStarted(ctx actor.Context) {
	e.link = ctx.Self()
	e.node.ends[e.side][e.member] = e
	e.timer = tree.After(ctx, acceptMost, late{})
	ctx.Request(e.node.Mesh.Peers, &linkpb.Opened{
		Protocol: "mesh", Remote: e.wire.names[1-e.index] + ":1", Member: e.member, Ticket: e.ticket,
	})
}

func (e *end) onAccepted(ctx actor.Context) {
	e.timer.Stop()
	switch {
	case e.leaving:
		ctx.Send(ctx.Sender(), &linkpb.Closed{})
		ctx.Stop(ctx.Self())
	case e.server == nil:
		e.server = ctx.Sender()
		e.timer = tree.After(ctx, pingFirst, ping{})
		e.node.sim.Watch.changed("link")
		e.node.sim.logf("%s serves link %d to %s", e.node.Name, e.wire.id, e.wire.names[1-e.index])
		e.read()
	}
}

func (e *end) onPing(ctx actor.Context) {
	e.timer = tree.After(ctx, pingEvery, ping{})
	if e.wire.serves() {
		took := e.node.sim.travel(e.wire.base) + e.node.sim.travel(e.wire.base)
		ctx.Send(e.server, &linkpb.RoundTrip{Nanoseconds: uint64(took)})
	}
}

// leave stops the link. One that was not accepted yet waits for that: a server
// would never hear of its end otherwise.
func (e *end) leave(ctx actor.Context) {
	if e.server != nil || e.leaving {
		ctx.Stop(ctx.Self())
		return
	}
	e.leaving = true
}

func (e *end) onStopped(ctx actor.Context) {
	e.gone = true
	e.timer.Stop()
	if e.server != nil {
		ctx.Send(e.server, &linkpb.Closed{})
	}
	e.node.sim.logf("%s has no link %d to %s", e.node.Name, e.wire.id, e.wire.names[1-e.index])
	delete(e.node.ends[e.side], e.member)
	e.wire.unplug(e.index, e.said)
}

// bye tells the other end that this one is over; nothing follows it.
func (e *end) bye(m *linkpb.Close) {
	if !e.said {
		e.said = true
		e.wire.send(1-e.index, &parcel{close: m})
	}
}

// write sends a message to the other end.
func (e *end) write(m proto.Message) {
	if e.said || e.gone {
		return
	}
	if p := e.node.sim.pack(m); p != nil {
		e.node.sim.Sent.note(m)
		e.node.sim.Watch.crosses(m)
		e.wire.send(1-e.index, p)
	}
}

// arrive implements plug.
func (e *end) arrive(p *parcel) {
	e.queue = append(e.queue, p)
	e.read()
}

// read hands over what has arrived, as far as credit goes: what a link's reader
// does, on a goroutine of its own.
func (e *end) read() {
	for e.server != nil && !e.gone && !e.said && len(e.queue) > 0 && e.held < creditMost {
		p := e.queue[0]
		e.queue = e.queue[1:]
		if p.close != nil {
			e.said = true // an echo is all that would follow
			e.hangUp()
			return
		}
		m, charge := e.node.sim.unpack(p)
		e.held += int64(charge)
		e.node.sys.Root.RequestWithCustomSender(e.server, m, e.link)
	}
	if e.server == nil && len(e.queue) > 0 && e.queue[len(e.queue)-1].close != nil {
		e.hangUp()
	}
}

func (e *end) onSettled(m *linkpb.Settled) {
	if e.held -= int64(m.GetCharge()); m.GetAll() {
		e.held, e.forgave = 0, true
	}
	if e.held < 0 && !e.forgave {
		e.node.sim.T.Errorf("%s gave back more credit of its link to %s than was taken", e.node.Name, e.wire.names[1-e.index])
	}
	e.held = max(e.held, 0)
	e.read()
}

// hangUp implements plug.
func (e *end) hangUp() {
	if e.link != nil && !e.gone && !e.hung {
		e.hung = true
		e.node.sys.Root.Send(e.link, over{})
	}
}

// serves implements plug.
func (e *end) serves() bool { return e.server != nil && !e.gone && !e.said && !e.leaving }
