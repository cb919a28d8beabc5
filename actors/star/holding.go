package star

import (
	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/starpb"
)

// hold keeps a packet. Beyond heldMost the writer gets no credit back, and so is
// read no more before long.
func (p *proxy) hold(ctx actor.Context, n int, m *starpb.Stream) {
	f, charge, size := &p.flows[n], m.GetCharge(), heldPacketBytes+payload(m)
	if f.bytes+size > heldLeast && p.crowded(size) {
		p.settle(ctx, n, charge)
		p.meters.Drop(tree.StarHeld, 1)
		p.drop(f)
		p.end(ctx, errBusy, quoted(errBusy))
		return
	}
	f.bytes += size
	p.meters.held.Add(int64(size))
	if f.bytes <= heldMost {
		p.settle(ctx, n, charge)
		charge = 0
	}
	f.kept += charge
	f.held = append(f.held, heldPacket{m, charge})
	f.over = m.GetKind() == starpb.Stream_KIND_ERROR
	if p.jam == nil && p.jammed() {
		p.jam = tree.After(ctx, ackTime, jamLate{})
	}
}

// crowded reports that all streams that wait would hold more than they may.
func (p *proxy) crowded(more int) bool {
	most := p.venue.Held
	return most > 0 && p.meters.held.Load()+int64(more) > most
}

// release ends what a stream holds.
func (p *proxy) release(f *flow) {
	p.meters.held.Add(-int64(f.bytes))
	f.held, f.bytes, f.kept = nil, 0, 0
}

// drop loses what a stream holds.
func (p *proxy) drop(f *flow) {
	p.meters.Drop(tree.StarHeld, len(f.held))
	p.release(f)
}

// jammed reports that neither client is read because of what it has said in this
// dial, so that neither can be heard to accept.
func (p *proxy) jammed() bool {
	a, b := p.flows[dialler].kept, p.flows[dialled].kept
	if p.sides[dialler] == p.sides[dialled] {
		return a+b >= messages.ChargeAll
	}
	return a >= messages.ChargeAll && b >= messages.ChargeAll
}

// onJamLate ends a dial that would wait until it is idle, with all that its
// clients have to say in other dials. Nobody has accepted since the jam began, or
// there would be none.
func (p *proxy) onJamLate(ctx actor.Context) {
	p.jam = nil
	if p.jammed() {
		p.drop(&p.flows[dialler])
		p.drop(&p.flows[dialled])
		p.end(ctx, errTimedOut, quoted(errTimedOut))
	}
}
