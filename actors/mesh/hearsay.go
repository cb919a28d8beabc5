package mesh

import (
	"cmp"
	"slices"

	"parley/messages/meshpb"
)

// How much is kept of hellos: those that are passed on to new peers, and those
// that wait until they may count. Nodes can be invented, so what came over one
// link is bounded, in bytes of memory. There are not more nodes than nodesPerLink,
// so those that are short are always kept: a node with twenty peers says such. So
// is what a peer says of itself.
const (
	helloShort  = 4 << 10 // bytes of one
	helloLonger = 4 << 20 // of all longer ones that came over one link
	helloLink   = 128     // of each link in one, beside its raw form
)

// How many links are believed that one peer's side tells of: of each node so many,
// and more as long as all of those that have more do not have too many.
const (
	endsFree   = 64
	endsLonger = 1 << 15
)

// handedBytes is how much a new peer is told of hellos, on the wire.
const handedBytes = 1 << 20

// bytes is about what a hello takes in memory.
func (s *sighting) bytes() int {
	return len(s.packet.GetJson()) + helloLink*len(s.packet.GetCommand().GetHello().GetLinks())
}

// keeps reports whether there is room to keep one more hello of those that came
// over a link.
func (r *router) keeps(p *meshpb.Packet, from string) bool {
	sum := (&sighting{packet: p}).bytes()
	if sum <= helloShort || p.Source == from {
		return true
	}
	add := func(s *sighting) {
		if s.packet == nil || s.from != from {
			return
		}
		if n := s.bytes(); n > helloShort {
			sum += n
		}
	}
	for _, v := range r.topology.vertices {
		add(&v.said)
		add(&v.hellos.late)
	}
	for _, s := range r.asides {
		add(&s)
	}
	return sum <= helloLonger
}

// bare is a packet without what is in it: enough to know it again by.
func bare(p *meshpb.Packet) *meshpb.Packet {
	return &meshpb.Packet{Source: p.Source, Destination: p.Destination, Boot: p.Boot, Seq: p.Seq, Nonce: p.Nonce, Hops: p.Hops}
}

// believed is how many of a node's links count, which tells of so many.
func (t *topology) believed(v *vertex, links int) int {
	if links <= endsFree || v.near != nil {
		return linksMost
	}
	for _, u := range t.vertices {
		if u != v && u.by == v.by && u.near == nil && len(u.links) > endsFree {
			links += len(u.links)
		}
	}
	if links > endsLonger {
		return endsFree
	}
	return linksMost
}

// handOver tells a new peer what the nodes on this side said last: until they say
// it again, it would hold what it knows of them for true, or know nothing. If it
// is too much, those go first that are peers here, then those that are certain to
// be there, then those that say little.
func (r *router) handOver(l *lane) {
	if !r.o.Relay || l.foreign {
		return
	}
	r.topology.refresh()
	there := r.topology.survey()
	var all []told
	for _, v := range r.topology.reach {
		p := v.said.packet
		if p == nil || p.Command == nil || v == l.at || r.now.Sub(v.said.at) >= handedFor || p.Hops+1 >= maxHops {
			continue
		}
		m := told{packet: p, size: weigh(p), rank: 2}
		switch {
		case v.near != nil:
			m.rank = 0
		case there[v.name]:
			m.rank = 1
		}
		all = append(all, m)
	}
	slices.SortStableFunc(all, func(a, b told) int { return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.size, b.size)) })
	size := 0
	for _, m := range all {
		if size += m.size; size > handedBytes {
			return
		}
		r.out.send(r.out.copied(m.packet), []*lane{l})
	}
}

// told is a hello that a new peer may be told of.
type told struct {
	packet     *meshpb.Packet
	size, rank int
}
