package mesh

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/linkpb"
	"parley/messages/meshpb"
)

const (
	// aliveFor is how long a node counts as alive behind its last hello: two come
	// at most 12 s apart, see helloEvery.
	aliveFor = 15 * time.Second
	// suspectsMost bounds the packets that are remembered of those that came over
	// a link which may not speak for their source.
	suspectsMost = 1024
	// forgedAllowed is how many forged packets in badWindow end a link.
	forgedAllowed = 20
	byeForged     = "speaks for others"
)

// suspect is a packet that came over a link which may not speak for its source.
// By flooding that happens all the time where peers are linked with each other.
// It is counted as forged if the source itself does not send it soon, and held
// against the link if the source is heard meanwhile by a way that it may come by.
type suspect struct {
	sighting
	counted bool
}

// parts tells which nodes are connected when this one is left out: a link speaks
// for those on its own side only.
type parts struct {
	epoch uint64 // of the topology
	of    []int  // by the index of a node; -1: it passes nothing on, or is this node
	queue []int  // scratch
}

// find computes what has changed with the topology.
func (s *parts) find(t *topology) {
	if s.epoch == t.epoch && len(s.of) == len(t.reach) {
		return
	}
	s.epoch, s.of = t.epoch, s.of[:0]
	for range t.reach {
		s.of = append(s.of, -1)
	}
	for i, v := range t.reach {
		if s.of[i] >= 0 || v == t.self || v.leaf {
			continue
		}
		s.of[i], s.queue = i, append(s.queue[:0], i)
		for k := 0; k < len(s.queue); k++ {
			for _, e := range t.reach[s.queue[k]].at {
				if u := t.reach[e.index]; s.of[e.index] < 0 && u != t.self && !u.leaf {
					s.of[e.index] = i
					s.queue = append(s.queue, e.index)
				}
			}
		}
	}
}

// joins reports whether packets of v, which can be reached, can come by a peer
// without going through this node.
func (s *parts) joins(t *topology, v, peer *vertex) bool {
	if peer == nil || peer.index < 0 || peer.leaf {
		return false
	}
	s.find(t)
	if !v.leaf {
		return s.of[v.index] == s.of[peer.index]
	}
	return slices.ContainsFunc(v.at, func(e neighborAt) bool { return s.of[e.index] == s.of[peer.index] })
}

// lives reports whether it is known where a node is: links that both ends name
// lead there, and it says hello.
func (r *router) lives(v *vertex) bool {
	return v.hello && v.index >= 0 && r.now.Sub(v.said.at) < aliveFor
}

// believes reports whether a packet may come by a peer: from a node that is known
// to live it does only by a way that link state tells of.
func (r *router) believes(v *vertex, p *meshpb.Packet, from string) bool {
	switch {
	case v == nil || p.Source == from:
		return true
	case v.near != nil && r.now.Sub(v.near.since) >= trustedAfter:
		return false
	case !r.lives(v):
		return true
	case !r.admits(v, from):
		r.hurry()
		if r.lives(v) && !r.admits(v, from) {
			return false
		}
	}
	return !r.usurps(v, p)
}

// hurry is refresh that does not wait, a few times in a row: what is not believed
// because of old link state may be lost.
func (r *router) hurry() {
	if r.topology.stale && r.haste.take(r.now) {
		r.topology.urgent = true
	}
	r.topology.refresh()
}

func (r *router) admits(v *vertex, from string) bool {
	return r.parts.joins(r.topology, v, r.topology.vertices[from])
}

// usurps reports whether a packet is of a later start of a node that is known to
// live: nothing but its silence, or that its peers say it is gone, tells that it
// has ended. Messages of it and what it asks one node do no harm.
func (r *router) usurps(v *vertex, p *meshpb.Packet) bool {
	if p.Command == nil || p.Destination != everyone {
		return false
	}
	return p.Boot > v.boot || p.Command.GetHello().GetBoot() > v.boot
}

// refuse drops what is not believed. A hello is put aside: it counts if link
// state turns out to be old.
func (r *router) refuse(ctx actor.Context, v *vertex, p *meshpb.Packet, from string) {
	if r.sets.known(v, p) {
		return
	}
	r.accuse(p, from)
	if !isHello(p) {
		return
	}
	s := r.asides[v.name]
	s.renew(p, from, r.now)
	r.asides[v.name] = s
	r.rival(ctx, v, p)
}

// reconsider takes the hellos that were put aside and are believed now.
func (r *router) reconsider(ctx actor.Context) {
	r.hurry()
	r.weighed = r.topology.epoch
	for _, name := range slices.Sorted(maps.Keys(r.asides)) {
		v, s := r.topology.vertices[name], r.asides[name]
		switch {
		case v == nil || r.now.Sub(s.at) >= goneAfter || v.said.at.After(s.at):
			delete(r.asides, name)
		case r.believes(v, s.packet, s.from):
			delete(r.asides, name)
			r.take(ctx, s.packet, s.from, r.lane(s.from))
			r.hurry()
		}
	}
}

// displace forgets a start of a node that is silent: somebody had said that there
// was one, and an earlier one lives.
func (r *router) displace(ctx actor.Context, v *vertex) {
	v.hello, v.boot, v.round, v.links, v.said, v.windows = false, 0, 0, nil, sighting{}, windows{}
	r.tellGone(ctx, v)
}

// tellGone tells that nothing is left of a node.
func (r *router) tellGone(ctx actor.Context, v *vertex) {
	r.interest.forget(v)
	ctx.Send(r.met.reservations, &gone{v.name})
	ctx.Send(r.met.commands, &gone{v.name})
}

// accuse remembers a packet that was dropped, by what it takes to know it again.
func (r *router) accuse(p *meshpb.Packet, from string) {
	if len(r.suspects) >= suspectsMost {
		r.drop(tree.MeshSpoofed)
		return
	}
	r.suspects = append(r.suspects, suspect{sighting: sighting{outline(p), from, r.now}})
}

// outline is a packet without what it carries: as much as seenSets.known looks at.
// It shares nothing with the packet, so that its frame, which its link's credit no
// longer pays for, does not stay.
func outline(p *meshpb.Packet) *meshpb.Packet {
	o := &meshpb.Packet{
		Source: strings.Clone(p.Source), Destination: strings.Clone(p.Destination), Boot: p.Boot, Seq: p.Seq, Nonce: strings.Clone(p.Nonce),
	}
	if p.Response != nil {
		o.Response = &meshpb.Response{}
	}
	return o
}

// convict counts the suspects that were forged, and ends links that many of them
// came over.
func (r *router) convict(ctx actor.Context) {
	keep := r.suspects[:0]
	for _, s := range r.suspects {
		v := r.topology.vertices[s.packet.GetSource()]
		if r.now.Sub(s.at) < trustedAfter {
			keep = append(keep, s)
			continue
		}
		if v == nil || r.sets.known(v, s.packet) {
			continue
		}
		if !s.counted {
			s.counted = true
			r.drop(tree.MeshSpoofed)
		}
		switch {
		case r.now.Sub(s.at) >= aliveFor:
		case v.said.at.After(s.at) && r.lives(v) && !r.admits(v, s.from):
			r.strike(ctx, s.from)
		default:
			keep = append(keep, s)
		}
	}
	clear(r.suspects[len(keep):])
	r.suspects = keep
}

// solitary reports whether a peer has no way around this node to others here. Who
// has one may have been deceived over it, and passed on what it had to believe.
func (r *router) solitary(peer string) bool {
	t := r.topology
	u := t.vertices[peer]
	if u == nil || u.index < 0 {
		return false
	}
	reached := make([]bool, len(t.reach))
	reached[t.self.index], reached[u.index] = true, true
	for queue := []*vertex{t.self}; len(queue) > 0; queue = queue[1:] {
		for _, e := range queue[0].at {
			if !reached[e.index] {
				reached[e.index] = true
				queue = append(queue, t.reach[e.index])
			}
		}
	}
	return !slices.ContainsFunc(u.at, func(e neighborAt) bool { return e.index != t.self.index && reached[e.index] })
}

// strike holds a forged packet against a link, and ends it if there are too many
// and nobody else can have made them.
func (r *router) strike(ctx actor.Context, from string) {
	l := r.lane(from)
	if l == nil {
		return
	}
	s := r.strikes[from]
	if s == nil {
		s = &strikes{}
		r.strikes[from] = s
	}
	if s.add(r.now) == forgedAllowed && r.solitary(from) {
		ctx.Send(l.link, &linkpb.Close{Code: closePolicy, Reason: byeForged})
	}
}
