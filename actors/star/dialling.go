package star

import (
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/messages/starpb"
)

// dialIDMost is the longest id of a dial, in bytes. Clients draw UUIDs.
const dialIDMost = 256

// errDialID answers a dial with a longer one.
const errDialID = "Invalid dial id"

// The two sides of a dial, and its two streams: a side writes the stream of its
// number, and reads the other.
const (
	dialler = iota // who dialled; writes "<dial>.dialer"
	dialled        // writes "<dial>.listener"
	flows
)

// flowSuffix follows the dial's id in a stream's.
var flowSuffix = [flows]string{".dialer", ".listener"}

// flowOf takes the id of a stream apart.
func flowOf(id string) (dial string, flow int, ok bool) {
	for flow, suffix := range flowSuffix {
		if dial, ok := strings.CutSuffix(id, suffix); ok {
			return dial, flow, true
		}
	}
	return "", 0, false
}

// calls are the dials that a session takes part in. Only what stands here can be
// written or read by its client.
type calls struct {
	all  []*call // at most twice streamsMost: they are searched from end to end
	open []ring  // by ack, which is oldest first
	next uint64  // ack
}

func newCalls() calls { return calls{} }

// call is a dial as one of its sessions knows it.
type call struct {
	id       string
	proxy    *actor.PID       // nil: not heard of yet
	by       *actor.PID       // session that dialled; nil: the client did
	sides    [flows]bool      // that the client is on: both, when it dials itself
	mine     [flows]string    // its addresses on those sides
	accepted [flows]bool      // streams that the client reads
	early    []*starpb.Stream // that came before proxy was heard of
	passed   uint64           // charges of what the client has said, in sum
	left     bool             // the client wants nothing more of it
}

// ring is an ss-incomming that the client has not answered.
type ring struct {
	ack  uint64
	call *call // nil: over
	at   time.Time
}

func (c *calls) find(id string) *call {
	for _, d := range c.all {
		if d.id == id {
			return d
		}
	}
	return nil
}

// room reports whether one more dial may be the client's, or one of another to it.
// Neither takes the other's places.
func (c *calls) room(by *actor.PID) bool {
	all, same := 0, 0
	for _, d := range c.all {
		if (d.by == nil) == (by == nil) {
			all++
		}
		if by != nil && d.by != nil && d.by.Equal(by) {
			same++
		}
	}
	return all < streamsMost && same < callersMost
}

// may reports whether the client may say a packet of this kind in a stream.
func (d *call) may(kind starpb.Stream_Kind, flow int) bool {
	side := flow
	if kind == starpb.Stream_KIND_ACCEPT { // only the reader says so
		side = other(flow)
	}
	return !d.left && d.sides[side]
}

func other(side int) int { return flows - 1 - side }

// onDial passes a dial on that the client may make.
func (s *session) onDial(ctx actor.Context, m *starpb.Dial) {
	var reason string
	switch {
	case !s.owns(m.GetFrom()):
		reason = errUnauthorized
	case len(m.GetDial()) > dialIDMost:
		reason = errDialID
	case s.calls.find(m.GetDial()) != nil:
		reason = errDialInUse
	case !s.calls.room(nil):
		reason = errStreams
	}
	if reason != "" {
		s.venue.counts.dialled.Add(1)
		s.venue.counts.dialFailed(reason)
		s.answer(ctx, m.Ack, &starpb.Reply{Error: quoted(reason)})
		return
	}
	// Not with the answer, which may take its time: many dials would keep the
	// client's other streams from being read.
	s.settle(ctx, 1)
	s.calls.all = append(s.calls.all, &call{id: m.GetDial(), sides: [flows]bool{dialler: true}, mine: [flows]string{dialler: m.GetFrom()}})
	ctx.Send(s.venue.proxies, &dial{from: m.GetFrom(), to: m.GetTo(), id: m.GetDial(), who: s.caller(ctx), ack: m.Ack})
}

// onStream is the hot path. What the client may not say is swallowed.
func (s *session) onStream(ctx actor.Context, m *starpb.Stream) {
	id, flow, ok := flowOf(m.GetId())
	if !ok {
		s.settle(ctx, m.GetCharge())
		return
	}
	d, accept := s.calls.find(id), m.GetKind() == starpb.Stream_KIND_ACCEPT
	if d == nil || !d.may(m.GetKind(), flow) {
		s.settle(ctx, m.GetCharge())
		if accept && (d == nil || !d.left) { // it is over, most likely, and its reader would wait for ever
			s.tell(ctx, &starpb.End{Id: m.GetId()})
		}
		return
	}
	d.passed += uint64(m.GetCharge())
	d.accepted[flow] = d.accepted[flow] || accept
	if d.proxy == nil {
		d.early = append(d.early, m) // its credit is held, so they are not many
		return
	}
	ctx.Send(d.proxy, m)
}

// onOffer takes part in a dial: the client's own, or one that it has to answer.
func (s *session) onOffer(ctx actor.Context, m *offer) {
	d := s.calls.find(m.id)
	if !m.dialling {
		s.onIncoming(ctx, m, d)
		return
	}
	answer := &taken{dialling: true}
	if d.proxy = ctx.Sender(); d.left {
		answer.reason = errTimedOut
	}
	ctx.Respond(answer)
	for _, e := range d.early {
		ctx.Send(d.proxy, e)
	}
	d.early = nil
}

// onIncoming rings the client. d is what it has under that id already, unless it
// dials itself.
func (s *session) onIncoming(ctx actor.Context, m *offer, d *call) {
	var reason string
	switch {
	case d != nil && !same(d.proxy, ctx.Sender()):
		reason = errDialInUse
	case d != nil && d.left:
		reason = errTimedOut
	case !s.connected:
		reason = errTimedOut
	case d == nil && !s.calls.room(m.by):
		reason = errStreams
	case !s.calls.roomToRing(s.venue.Now()):
		reason = errBusy
	}
	if reason != "" {
		ctx.Respond(&taken{reason: reason})
		return
	}
	if d == nil {
		d = &call{id: m.id, proxy: ctx.Sender(), by: m.by}
		s.calls.all = append(s.calls.all, d)
	}
	d.sides[dialled], d.mine[dialled] = true, m.to
	s.calls.open = append(s.calls.open, ring{ack: s.calls.next, call: d, at: s.venue.Now()})
	s.tell(ctx, &starpb.Incoming{Ack: s.calls.next, Dial: m.id, From: m.from})
	s.calls.next++
}

// roomToRing forgets what has been rung for too long, if it must. That their
// dials are over is the proxies' affair.
func (c *calls) roomToRing(now time.Time) bool {
	if len(c.open) < acksMost {
		return true
	}
	c.open = slices.DeleteFunc(c.open, func(r ring) bool { return now.Sub(r.at) >= ackTime })
	return len(c.open) < acksMost
}

// onAnswered is the client's answer to a ring. What was not rung, or is answered
// already, is nothing.
func (s *session) onAnswered(ctx actor.Context, m *starpb.Answered) {
	s.settle(ctx, 1)
	i, ok := slices.BinarySearchFunc(s.calls.open, m.GetAck(), func(r ring, ack uint64) int {
		switch {
		case r.ack < ack:
			return -1
		case r.ack > ack:
			return 1
		}
		return 0
	})
	if !ok {
		return
	}
	d := s.calls.open[i].call
	s.calls.open = slices.Delete(s.calls.open, i, i+1)
	if d != nil {
		ctx.Send(d.proxy, &taken{error: m.GetError()})
	}
}

// onClosedDial forgets a dial. Its proxy may have stopped, or failed, before all
// had reached it that went there: what it has not settled is settled here, and a
// reader that it has not told of a stream's end is told here.
func (s *session) onClosedDial(ctx actor.Context, m *closed) {
	i := slices.IndexFunc(s.calls.all, func(d *call) bool { return d.id == m.id && same(d.proxy, m.proxy) })
	if i < 0 { // it never took part
		return
	}
	d := s.calls.all[i]
	s.calls.all = slices.Delete(s.calls.all, i, i+1)
	for i := range s.calls.open {
		if s.calls.open[i].call == d {
			s.calls.open[i].call = nil
		}
	}
	s.settle(ctx, uint32(d.passed-m.settled))
	for flow, accepted := range d.accepted {
		if accepted && !m.ended[flow] && !d.left {
			s.tell(ctx, &starpb.End{Id: d.id + flowSuffix[flow]})
		}
	}
}

// hangUpAll leaves all dials: the client has gone, or has left. Those stay until
// their proxies have closed them, because of what is to be settled.
func (s *session) hangUpAll(ctx actor.Context) {
	s.calls.open = nil
	for _, d := range s.calls.all {
		d.left = true
		if d.proxy != nil {
			ctx.Send(d.proxy, &gone{session: ctx.Self()})
		}
	}
}

// cut ends the dials under an address that is another's now. The client hears the
// ends of what it reads: there is no event that would tell it why.
func (s *session) cut(ctx actor.Context, address string) {
	for _, d := range s.calls.all {
		if d.proxy != nil && !d.left && slices.Contains(d.mine[:], address) {
			ctx.Send(d.proxy, &gone{session: ctx.Self(), cut: true})
		}
	}
}
