package star

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/starpb"
)

const (
	heldPacketBytes = 256     // that a held packet costs beside its payload: empty chunks are not free
	outMost         = 1 << 14 // charges of a stream that are paced at once; those of a link are a few hundred at most
	outBits         = 16      // of the charges of messages.Paced that each stream has: a link answers without saying which it is
)

// flowState is how far a stream is.
type flowState int

const (
	waiting flowState = iota // its reader has not accepted it: packets are held
	open                     // packets pass
	ended                    // nothing passes any more
)

// flow is one stream of a dial. What its writer sends holds credit of the
// writer's link until the reader's link has taken it; what is held is settled at
// once up to heldMost, and what nobody reads altogether.
type flow struct {
	state flowState
	over  bool         // its writer has ended it, and is not heard any more
	told  bool         // its reader has been told the end
	held  []heldPacket // while waiting
	bytes int          // of held
	kept  uint32       // charges of held that are not settled
	out   uint32       // charges that the reader's link has not taken
}

// heldPacket is a packet that waits for its reader.
type heldPacket struct {
	stream *starpb.Stream
	charge uint32 // not settled
}

// party is a client of a dial.
type party struct {
	caller
	gone    bool   // its session is, or it has left
	settled uint64 // charges given back to its link, in sum
}

type (
	// ringLate says that who is dialled has not answered in time.
	ringLate struct{}
	// quiet says that idleMost may be over.
	quiet struct{}
	// jamLate says that neither client was read for ackTime because of the other.
	jamLate struct{}
)

// IgnoreDeadLetterLogging marks messages that may find the proxy stopped.
func (ringLate) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find the proxy stopped.
func (quiet) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find the proxy stopped.
func (jamLate) IgnoreDeadLetterLogging() {}

// proxy connects the two clients of a dial and passes its streams on. Their
// sessions have checked who says what.
//
//	parent    proxies
//	receives  taken, gone, starpb.Stream, linkpb.Taken, ringLate, quiet, jamLate
//	sends     offer, closed to both sessions; starpb.Accept, messages.Paced, linkpb.Settled to both links; starpb.Reply to the link of who dialled
//	stops     when both streams are over, when a client has gone, when nobody says anything any more
type proxy struct {
	venue  *venue // fixed at spawn, as all of this block
	meters *meters
	dial   *dial
	sides  [flows]*party // twice the same for who dials itself

	flows    [flows]flow // owned, as all that follows
	answered bool        // who dialled has its answer
	closed   bool        // both sessions have been told
	last     time.Time   // that a packet came
	timer    *tree.Timer
	jam      *tree.Timer // nil: no jam
}

func newProxy(v *venue, m *meters, d *dial, to *caller) actor.Actor {
	p := &proxy{venue: v, meters: m, dial: d}
	p.sides[dialler] = &party{caller: d.who}
	p.sides[dialled] = p.sides[dialler]
	if !same(to.session, d.who.session) {
		p.sides[dialled] = &party{caller: *to}
	}
	return p
}

func same(a, b *actor.PID) bool { return a == b || a != nil && a.Equal(b) }

func (p *proxy) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		p.onStarted(ctx)
	case *actor.Stopping:
		p.close(ctx, errTimedOut, quoted(errTimedOut))
	case *starpb.Stream:
		p.onStream(ctx, m)
	case *linkpb.Taken:
		p.onRoom(ctx, m)
	case *taken:
		p.onTaken(ctx, m)
	case *gone:
		p.onGone(ctx, m.session)
		if m.cut {
			p.end(ctx, errTimedOut, quoted(errTimedOut))
		}
	case *actor.DeadLetterResponse: // a session or a link
		p.onGone(ctx, m.GetTarget())
	case ringLate:
		p.onRingLate(ctx)
	case quiet:
		p.onQuiet(ctx)
	case jamLate:
		p.onJamLate(ctx)
	}
}

// onStarted asks who dialled whether it is still there.
func (p *proxy) onStarted(ctx actor.Context) {
	p.timer = tree.After(ctx, ackTime, ringLate{})
	ctx.Request(p.sides[dialler].session, &offer{id: p.dial.id, from: p.dial.from, dialling: true})
}

// onTaken goes on with the next side, or answers who dialled. Each side is told
// to write when it has agreed; what it has written before that waits as well.
func (p *proxy) onTaken(ctx actor.Context, m *taken) {
	switch {
	case m.reason != "":
		p.end(ctx, m.reason, quoted(m.reason))
	case len(m.error) > 0:
		p.end(ctx, refusedByPeer, m.error)
	case m.dialling:
		p.grant(ctx, dialler)
		ctx.Request(p.sides[dialled].session, &offer{id: p.dial.id, from: p.dial.from, to: p.dial.to, by: p.sides[dialler].session})
	default:
		p.answered = true
		p.meters.connected.Add(1)
		p.grant(ctx, dialled)
		p.dial.reply(ctx, nil)
		p.timer.Stop()
		p.last = p.venue.Now()
		p.timer = tree.After(ctx, idleMost, quiet{})
	}
}

// grant lets a stream's writer write.
func (p *proxy) grant(ctx actor.Context, n int) {
	ctx.Send(p.sides[n].link, &starpb.Accept{Id: p.dial.id + flowSuffix[n]})
}

// onStream is the hot path.
func (p *proxy) onStream(ctx actor.Context, m *starpb.Stream) {
	p.last = p.venue.Now()
	_, n, _ := flowOf(m.GetId())
	f := &p.flows[n]
	switch {
	case m.GetKind() == starpb.Stream_KIND_ACCEPT:
		p.settle(ctx, other(n), m.GetCharge())
		p.accept(ctx, n)
	case f.over || f.state == ended:
		p.settle(ctx, n, m.GetCharge())
	case f.state == waiting:
		p.hold(ctx, n, m)
	default:
		p.forward(ctx, n, m, m.GetCharge())
	}
	p.endIfDone(ctx)
}

// accept passes on what is held for a reader.
func (p *proxy) accept(ctx actor.Context, n int) {
	f := &p.flows[n]
	if f.state != waiting {
		return
	}
	f.state = open
	p.meters.streams.Add(1)
	held := f.held
	p.release(f)
	for _, h := range held {
		p.forward(ctx, n, h.stream, h.charge)
	}
}

// forward sends a packet to its reader, who has accepted the stream.
func (p *proxy) forward(ctx actor.Context, n int, m *starpb.Stream, charge uint32) {
	f, size, end := &p.flows[n], payload(m), m.GetKind() == starpb.Stream_KIND_ERROR
	if f.out+charge > outMost { // no link lets it come so far
		p.settle(ctx, n, charge)
		charge = 0
	}
	f.out += charge
	ctx.Request(p.sides[other(n)].link, &messages.Paced{Message: m, Charge: charge << (outBits * n), Size: size})
	if end { // m is its reader's link's by now
		f.state, f.over, f.told = ended, true, true
	}
	p.meters.bytes.Add(int64(size))
}

func payload(m *starpb.Stream) int {
	n := len(m.GetPacket())
	for _, a := range m.GetAttachments() {
		n += len(a)
	}
	return n
}

// onRoom gives credit back for what a reader's link has taken.
func (p *proxy) onRoom(ctx actor.Context, m *linkpb.Taken) {
	for n := range p.flows {
		f := &p.flows[n]
		charge := min(m.GetCharge()>>(outBits*n)&(1<<outBits-1), f.out)
		f.out -= charge
		p.settle(ctx, n, charge)
	}
	p.endIfDone(ctx)
}

// settle gives credit back to the link of a side.
func (p *proxy) settle(ctx actor.Context, side int, charge uint32) {
	if charge == 0 {
		return
	}
	s := p.sides[side]
	ctx.Send(s.link, &linkpb.Settled{Charge: charge})
	s.settled += uint64(charge)
}

// onGone hears of a session or a link that it is not there any more, or of a
// client that it has left. Without a name it is one of two links that lost a
// packet: no stream goes on with a gap.
func (p *proxy) onGone(ctx actor.Context, who *actor.PID) {
	for n, s := range p.sides {
		if who == nil || same(who, s.session) || same(who, s.link) {
			s.gone = true
			p.unread(ctx, other(n))
			if f := &p.flows[n]; f.bytes > heldMost { // nobody is slowed by it any more, and a part is worth nothing
				p.drop(f)
			}
		}
	}
	p.endIfDone(ctx)
}

// unread ends a stream whose reader is gone.
func (p *proxy) unread(ctx actor.Context, n int) {
	f := &p.flows[n]
	charge := f.out + f.kept
	p.release(f)
	*f = flow{state: ended, over: true, told: f.told}
	p.settle(ctx, n, charge)
}

// onRingLate gives up on who is dialled.
func (p *proxy) onRingLate(ctx actor.Context) {
	if !p.answered {
		p.end(ctx, errTimedOut, quoted(errTimedOut))
	}
}

func (p *proxy) onQuiet(ctx actor.Context) {
	if left := idleMost - p.venue.Now().Sub(p.last); left > 0 {
		p.timer = tree.After(ctx, left, quiet{})
		return
	}
	p.end(ctx, "", nil)
}

// endIfDone ends a dial that nothing more can come of. What a client has said
// before it went is kept for a reader that has not accepted yet.
func (p *proxy) endIfDone(ctx actor.Context) {
	if p.closed {
		return
	}
	a, b := p.sides[dialler].gone, p.sides[dialled].gone
	fa, fb := &p.flows[dialler], &p.flows[dialled]
	done := fa.state == ended && fb.state == ended && fa.out+fb.out == 0
	switch {
	case a && b, (a || b) && !p.answered:
		done = true
	case a:
		done = len(fa.held) == 0
	case b:
		done = len(fb.held) == 0
	}
	if done {
		p.end(ctx, errTimedOut, quoted(errTimedOut))
	}
}

// end stops. reason and err are for a dial that has no answer yet.
func (p *proxy) end(ctx actor.Context, reason string, err []byte) {
	p.close(ctx, reason, err)
	ctx.Stop(ctx.Self())
}

// close tells the sessions, which do the rest, and before who dialled has its
// answer: it may dial again under the same id. It also comes when this actor
// failed, or the node stops.
func (p *proxy) close(ctx actor.Context, reason string, err []byte) {
	if p.closed {
		return
	}
	p.closed = true
	p.timer.Stop()
	p.jam.Stop()
	p.release(&p.flows[dialler])
	p.release(&p.flows[dialled])
	for n, s := range p.sides {
		if n == dialled && s == p.sides[dialler] {
			break
		}
		ctx.Send(s.session, &closed{
			id: p.dial.id, proxy: ctx.Self(), settled: s.settled, ended: [flows]bool{p.flows[dialler].told, p.flows[dialled].told},
		})
	}
	if !p.answered {
		p.answered = true
		p.meters.dialFailed(reason)
		p.dial.reply(ctx, err)
	}
}
