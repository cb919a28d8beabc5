package mesh

import (
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/meshpb"
)

const (
	firstFrame    = 5 * time.Second  // in which who dialled must say its name
	answerAwaited = 2 * time.Second  // for the acceptor's handshake: nodes that speak nothing but the seed's keys send none
	badAllowed    = 20               // malformed packets in badWindow end a link
	badWindow     = 10 * time.Second // in which they are counted
)

// Close codes of links between nodes. Source: gateways/mesh/PROTOCOL.md, Closing.
const (
	closeGoing     = 1001
	closePolicy    = 1008
	closeForbidden = 4403
	closeInUse     = 4409
)

// Reasons that go with them.
const (
	byeGoing     = "going away"
	byeMalformed = "too many malformed packets"
	byeNameless  = "no handshake, and no name known"
	byeForbidden = "forbidden"
	byeChain     = "another chain"
	byeInUse     = "name in use"
)

// pulse is when a link was last heard. Its peer actor writes it, peers reads it.
type pulse struct {
	start time.Time // fixed at spawn
	last  atomic.Int64
}

func newPulse() *pulse { return &pulse{start: time.Now()} }

func (p *pulse) beat() { p.last.Store(int64(time.Since(p.start))) }

// silence is how long nothing was heard.
func (p *pulse) silence() time.Duration {
	return time.Since(p.start) - time.Duration(p.last.Load())
}

type (
	// presented is a handshake, or that a node which was dialled sends none. From
	// peer to peers, which answer admit or dismiss.
	presented struct {
		who       *actor.PID        // peer
		handshake *meshpb.Handshake // nil: none came in time
	}
	// admit says that a link may carry packets.
	admit struct{ name string }
	// dismiss ends a link.
	dismiss struct {
		code   uint32
		reason string
		answer *meshpb.Handshake // goes before the goodbye; nil: nothing does
	}
	// handshakeLate says that a handshake has not come in time.
	handshakeLate struct{}
)

// IgnoreDeadLetterLogging marks messages that may find a peer stopped.
func (*admit) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find a peer stopped.
func (*dismiss) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find a peer stopped.
func (handshakeLate) IgnoreDeadLetterLogging() {}

// peer serves one link to another node: it takes the handshake, and what comes
// after it to the router. Who may be linked is for peers to decide.
//
//	parent    peers
//	receives  linkpb.Closed, linkpb.Malformed, linkpb.RoundTrip, meshpb.Handshake, meshpb.Frame, admit, dismiss, handshakeLate
//	sends     linkpb.Accepted, linkpb.Settled, linkpb.Close, meshpb.Handshake to its link; presented, timed to peers; arrived to router
//	stops     when its link has stopped
type peer struct {
	met     *meet // fixed at spawn, as all of this block
	peers   *actor.PID
	link    *actor.PID
	dialled bool
	pulse   *pulse

	state   actor.ReceiveFunc // owned, as all that follows: waiting, judged, open or closing
	name    string            // of the node, set by admit
	mute    bool              // it was admitted without a handshake
	gone    bool              // the link is
	held    []*meshpb.Frame   // that came before it was admitted
	strikes strikes
	trips   trips
	timer   *tree.Timer
}

func (p *peer) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		p.onStarted(ctx)
	case *actor.Stopping:
		p.onStopping(ctx)
	case *linkpb.Closed, *actor.DeadLetterResponse: // the link is gone, perhaps before it was accepted
		p.gone = true
		ctx.Stop(ctx.Self())
	case *linkpb.RoundTrip:
		p.onRoundTrip(ctx, m)
	case *dismiss:
		p.onDismiss(ctx, m)
	default:
		p.state(ctx)
	}
}

// onStarted waits for a handshake. That of this node, if it dialled, was sent by
// peers: through the shard, so that no packet overtakes it.
func (p *peer) onStarted(ctx actor.Context) {
	p.state = p.waiting
	wait := firstFrame
	if p.dialled {
		wait = answerAwaited
	}
	p.timer = tree.After(ctx, wait, handshakeLate{})
	ctx.Request(p.link, &linkpb.Accepted{})
}

// onStopping tells the other side when this actor ends first: it failed, peers
// did, or the node shuts down.
func (p *peer) onStopping(ctx actor.Context) {
	p.timer.Stop()
	if !p.gone {
		ctx.Send(p.link, &linkpb.Close{Code: closeGoing, Reason: byeGoing})
	}
}

// waiting is the state until the other side's handshake.
func (p *peer) waiting(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *meshpb.Handshake:
		p.present(ctx, m)
	case handshakeLate:
		if p.dialled {
			p.present(ctx, nil)
		} else {
			p.leave(ctx, closeForbidden, byeForbidden)
		}
	case *meshpb.Frame:
		if !p.dialled { // the first frame is a handshake, or nothing is
			p.leave(ctx, closeForbidden, byeForbidden)
			return
		}
		p.held = append(p.held, m)
	case *linkpb.Malformed:
		if !p.dialled {
			p.leave(ctx, closeForbidden, byeForbidden)
			return
		}
		p.onMalformed(ctx, m.GetCharge())
	}
}

// present asks peers for their verdict.
func (p *peer) present(ctx actor.Context, m *meshpb.Handshake) {
	p.timer.Stop()
	if p.mute = m == nil; !p.mute {
		p.pulse.beat()
		p.settle(ctx, handshakeCharge)
	}
	p.state = p.judged
	ctx.Send(p.peers, &presented{ctx.Self(), m})
}

// judged is the state until peers' verdict. What comes meanwhile is kept, by the
// credit of the link not much: a node that speaks nothing but the seed's keys
// waits for no answer.
func (p *peer) judged(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *admit:
		p.onAdmit(ctx, m)
	case *meshpb.Frame:
		p.held = append(p.held, m)
	case *meshpb.Handshake:
		p.onHandshake(ctx, m)
	case *linkpb.Malformed:
		p.onMalformed(ctx, m.GetCharge())
	}
}

func (p *peer) onAdmit(ctx actor.Context, m *admit) {
	p.name, p.state = m.name, p.open
	for _, f := range p.held {
		p.forward(ctx, f)
	}
	p.held = nil
}

// open is the state in which packets flow.
func (p *peer) open(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *meshpb.Frame:
		p.forward(ctx, m)
	case *meshpb.Handshake:
		p.onHandshake(ctx, m)
	case *linkpb.Malformed:
		p.onMalformed(ctx, m.GetCharge())
	}
}

// forward is the hot path.
func (p *peer) forward(ctx actor.Context, m *meshpb.Frame) {
	p.pulse.beat()
	ctx.Send(p.met.router, &arrived{from: p.name, link: p.link, packets: m.GetPackets(), charge: m.GetCharge()})
}

// onHandshake takes one that is late: who dialled has gone on without it. There
// is no second one.
func (p *peer) onHandshake(ctx actor.Context, m *meshpb.Handshake) {
	if !p.mute {
		p.onMalformed(ctx, handshakeCharge)
		return
	}
	p.present(ctx, m)
}

// onMalformed counts what makes no sense. Too much of it ends the link.
func (p *peer) onMalformed(ctx actor.Context, charge uint32) {
	tree.Of(ctx.ActorSystem()).Drop(tree.MeshMalformed, 1)
	if p.strikes.add(time.Now()) >= badAllowed {
		p.leave(ctx, closePolicy, byeMalformed)
		return
	}
	p.settle(ctx, charge)
}

func (p *peer) settle(ctx actor.Context, charge uint32) {
	ctx.Send(p.link, &linkpb.Settled{Charge: charge})
}

func (p *peer) onDismiss(ctx actor.Context, m *dismiss) {
	if m.answer != nil {
		ctx.Send(p.link, m.answer) // nothing is on its way that it could overtake
	}
	p.leave(ctx, m.code, m.reason)
}

// leave closes the link, and waits for its end.
func (p *peer) leave(ctx actor.Context, code uint32, reason string) {
	p.timer.Stop()
	p.held, p.state = nil, p.closing
	ctx.Send(p.link, &linkpb.Close{Code: code, Reason: reason})
}

// closing is the state in which nothing counts any more. What still comes was on
// its way.
func (p *peer) closing(ctx actor.Context) {
	if m, ok := ctx.Message().(*meshpb.Frame); ok && len(m.GetPackets()) > 0 {
		tree.Of(ctx.ActorSystem()).Drop(tree.MeshLinkLost, len(m.GetPackets()))
	}
}

// strikes counts malformed packets in a sliding window; nothing is kept while
// there are none.
type strikes struct{ times []time.Time }

// add notes one and reports how many the window holds.
func (s *strikes) add(now time.Time) int {
	keep := 0
	for _, at := range s.times {
		if now.Sub(at) < badWindow {
			s.times[keep] = at
			keep++
		}
	}
	s.times = append(s.times[:keep], now)
	return len(s.times)
}

// handshakeCharge is what a handshake holds of its link's inbound credit.
var handshakeCharge = messages.Charge(0)
