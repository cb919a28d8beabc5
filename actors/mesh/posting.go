package mesh

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/meshpb"
)

// own is a packet of this node.
func (r *router) own(destination string) *meshpb.Packet {
	p := r.out.packet()
	p.Source, p.Destination = r.o.Name, destination
	return p
}

// number gives a packet its nonce.
func (r *router) number(p *meshpb.Packet) {
	r.seq++
	p.Boot, p.Seq = r.o.Boot, r.seq
}

// drawn is the first of the sequence numbers that are drawn: those of what this
// node asks. Who does not hear the question must not be able to answer it. They
// say nothing of what came before, so they are remembered one by one.
const drawn = 1 << 63

// draw gives a packet a nonce that nobody guesses.
func (r *router) draw(p *meshpb.Packet) {
	p.Boot, p.Seq = r.o.Boot, drawn|r.random.Uint64()
}

// newRandom is where numbers are drawn from: from those that were, none of the
// next can be told, unlike those of the other generators here.
func newRandom(seed uint64) *rand.Rand {
	var key [32]byte
	for i := range 4 {
		binary.LittleEndian.PutUint64(key[8*i:], mix(seed+uint64(i)))
	}
	return rand.New(rand.NewChaCha8(key))
}

// onPublish takes a message of one of this node's clients to the nodes that want
// it, or to all while it is not certain which.
func (r *router) onPublish(m *meshpb.Message) {
	r.topology.refresh()
	a := r.interest.of(m.GetChannel())
	if len(r.out.lanes) == 0 {
		r.miss(nil, a)
		return
	}
	if m.Key == nil && a.local != nil {
		m = &meshpb.Message{Channel: m.GetChannel(), Payload: m.GetPayload(), Nonce: m.GetNonce(), Key: &a.key}
	}
	if !r.doubtful && r.settled(a) {
		if plan := r.plan(r.topology.self, a); plan.whole(r.now) {
			if plan.missing > 0 {
				r.metrics.Drop(tree.MeshOutOfReach, plan.missing)
			}
			if len(plan.lanes) > 0 {
				p := r.own(everyone)
				r.number(p)
				p.Message, p.Tree = m, plan.digest
				r.out.send(p, plan.lanes)
			}
			return
		}
	}
	r.miss(nil, a)
	p := r.own(everyone)
	r.number(p)
	p.Message = m
	p.Via = make([]string, 0, len(r.out.lanes)+1)
	p.Via = append(p.Via, r.o.Name)
	for _, l := range r.out.lanes {
		p.Via = append(p.Via, l.name)
	}
	r.out.send(p, r.out.lanes)
}

// onPost sends a command or a response of this node, and says who may answer.
func (r *router) onPost(ctx actor.Context, m *post) {
	p := r.own(m.destination)
	p.Command, p.Response = m.command, m.response
	if m.response != nil {
		p.Boot, p.Seq, p.Nonce = m.to.GetBoot(), m.to.GetSeq(), m.to.GetNonce()
	} else if ctx.Sender() != nil {
		r.draw(p)
	} else {
		r.number(p)
	}
	if h := m.command.GetHello(); h != nil && m.destination == everyone {
		r.topology.said(h, r.out.lanes, r.now)
	}
	asked := r.dispatch(ctx, p, m.only)
	if ctx.Sender() != nil {
		ctx.Respond(&posted{ticket: m.ticket, boot: p.Boot, seq: p.Seq, asked: asked})
	}
}

// dispatch sends a packet of this node, and returns who may answer it.
func (r *router) dispatch(ctx actor.Context, p *meshpb.Packet, only string) (asked []string) {
	switch {
	case only != "":
		i, ok := r.out.find(only)
		if !ok {
			return nil
		}
		r.out.send(p, r.out.lanes[i:i+1])
		return []string{only}
	case p.Destination == everyone:
		if len(r.out.lanes) == 0 {
			return nil
		}
		r.out.send(p, r.out.lanes)
		return r.topology.alive(r.out.lanes)
	case p.Destination == r.o.Name:
		ctx.Send(r.met.commands, &received{packet: p, from: r.o.Name})
		return []string{r.o.Name}
	}
	lanes := r.way(p, "")
	if len(lanes) == 0 {
		return nil
	}
	r.out.send(p, lanes)
	return []string{p.Destination}
}
