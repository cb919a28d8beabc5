package mesh

import (
	"slices"
	"time"

	"parley/actors/tree"
	"parley/messages/meshpb"
)

// missedAfter is how long a holder that cannot be reached is looked for by
// flooding: what tells the way there comes with the link that makes one.
const missedAfter = 5 * time.Second

// spanning is the tree of shortest paths from one source, as this node sees it:
// fewest links first, of these the fastest, of these the smallest names.
type spanning struct {
	branch []int // by index: this node's neighbor that leads there; -1: none does
	up     int   // this node's neighbor that its source's packets come by; -1: none
}

// spanning returns the tree of a reachable source.
func (t *topology) spanning(source *vertex) *spanning {
	if s := t.trees[source.index]; s != nil {
		return s
	}
	n := len(t.reach)
	s := &spanning{branch: make([]int, n)}
	depth, parent, cost := make([]int, n), make([]int, n), make([]uint64, n)
	for i := range n {
		depth[i], s.branch[i] = -1, -1
	}
	depth[source.index] = 0
	order := []int{source.index}
	for k := 0; k < len(order); k++ {
		at := order[k]
		if k > 0 {
			if s.branch[at] = s.branch[parent[at]]; parent[at] == t.self.index {
				s.branch[at] = at
			}
			if t.reach[at].leaf {
				continue
			}
		}
		for _, e := range t.reach[at].at {
			c := cost[at] + uint64(e.cost)
			switch {
			case depth[e.index] < 0:
				depth[e.index] = depth[at] + 1
				order = append(order, e.index)
			case depth[e.index] != depth[at]+1 || c > cost[e.index] || c == cost[e.index] && at > parent[e.index]:
				continue
			}
			parent[e.index], cost[e.index] = at, c
		}
	}
	if s.up = -1; source != t.self && depth[t.self.index] > 0 {
		s.up = parent[t.self.index]
	}
	t.trees[source.index] = s
	return s
}

// toward returns the link that leads to a node by the shortest path.
func (t *topology) toward(v *vertex) *lane {
	if v == nil || v.index < 0 || v == t.self {
		return nil
	}
	if b := t.spanning(t.self).branch[v.index]; b >= 0 {
		return t.reach[b].near
	}
	return nil
}

// leads reports whether a packet came by the link that its source's packets come
// by when all is well: its own, that of the shortest path there, or, along a tree,
// that of the tree.
func (r *router) leads(v *vertex, p *meshpb.Packet, over *lane) bool {
	switch t := r.topology; {
	case over == nil:
		return false
	case p.Source == over.name:
		return true
	case v == nil || v.index < 0:
		return false
	case t.toward(v) == over:
		return true
	case p.Tree != 0:
		up := t.spanning(v).up
		return up >= 0 && t.reach[up].near == over
	}
	return false
}

// plan is what this node does with a source's messages for one channel, as long
// as the topology and the channel's holders stay.
type plan struct {
	epoch   uint64    // of the topology
	changes uint64    // of the audience
	unknown bool      // of a holder nothing is known: there are too many nodes
	lost    time.Time // when the last of the holders that cannot be reached was lost; zero: all can
	missing int       // holders that cannot be reached
	torn    int       // of them, those that a link of this node led to which is no more
	digest  uint64    // of what trees are made of, this node not among the holders
	holding uint64    // likewise, this node among them
	lanes   []*lane   // that lead to holders, by name
}

// whole reports whether the plan leads to all holders, but for those that are out
// of reach so long that it is no news which is on its way.
func (p *plan) whole(now time.Time) bool { return !p.unknown && now.Sub(p.lost) >= missedAfter }

// plan returns the plan for messages of a reachable source.
func (r *router) plan(source *vertex, a *audience) *plan {
	t := r.topology
	if p := a.plans[source]; p != nil && p.epoch == t.epoch && p.changes == a.changes {
		return p
	}
	p := &plan{epoch: t.epoch, changes: a.changes}
	branch := t.spanning(source).branch
	sum, wanted := a.sum, make([]bool, len(t.reach))
	for _, name := range a.holders {
		v := t.vertices[name]
		switch {
		case v == source:
			sum ^= v.hash // that it has the channel open makes no difference
		case v == nil:
			p.unknown = true
		case v.index < 0:
			if p.missing++; v.torn() {
				p.torn++
			}
			if v.lost.After(p.lost) {
				p.lost = v.lost
			}
		case branch[v.index] >= 0:
			wanted[branch[v.index]] = true
		}
	}
	for _, l := range r.out.lanes {
		if l.at.index >= 0 && wanted[l.at.index] {
			p.lanes = append(p.lanes, l)
		}
	}
	p.digest, p.holding = treeOf(t.digest, sum), treeOf(t.digest, sum^t.self.hash)
	r.interest.keep(a, source, p)
	return p
}

// torn reports whether a link of this node led to a node, and is no more.
func (v *vertex) torn() bool { return v.index < 0 && v.way != nil && v.way.down }

// miss counts, for a message that is flooded, the holders that it can hardly
// reach: once each, where the link was that led there. source is not one of them.
func (r *router) miss(source *vertex, a *audience) {
	if len(a.holders) == 0 {
		return
	}
	n := r.plan(r.topology.self, a).torn
	if n > 0 && source != nil && source.torn() {
		if _, holds := slices.BinarySearch(a.holders, source.name); holds {
			n--
		}
	}
	if n > 0 {
		r.metrics.Drop(tree.MeshOutOfReach, n)
	}
}

// treeOf is what Packet.tree says.
func treeOf(links, holders uint64) uint64 { return max(1, mix(links^mix(holders))) }

// settled reports whether messages for an audience go along trees.
func (r *router) settled(a *audience) bool {
	return r.topology.settled(r.now) && r.now.Sub(a.changed) >= settledAfter
}

// pass sends on a packet for all that was here for the first time.
func (r *router) pass(p *meshpb.Packet, v *vertex, a *audience, from string) {
	switch {
	case !r.o.Relay:
	case p.Hops+1 >= maxHops:
		if len(r.others(p, from)) > 0 {
			r.drop(tree.MeshHops)
		}
	case p.GetMessage() == nil:
		r.flood(p, from)
	case !r.follow(p, v, a, from):
		r.miss(v, a)
		r.floodVia(p, from)
	}
}

// follow passes a message on along its source's tree, if the sender has the same
// one in mind.
func (r *router) follow(p *meshpb.Packet, v *vertex, a *audience, from string) bool {
	if p.GetTree() == 0 || v == nil || v.index < 0 || !r.settled(a) {
		return false
	}
	plan := r.plan(v, a)
	if p.GetTree() != plan.digest && p.GetTree() != plan.holding {
		return false
	}
	if w := v.window(p); w != nil && w.holds(p.GetSeq()) {
		w.mark(p.GetSeq())
	}
	targets := r.targets[:0]
	for _, l := range plan.lanes {
		if l.name != from {
			targets = append(targets, l)
		}
	}
	if r.targets = targets; len(targets) > 0 {
		out := r.out.copied(p)
		out.Tree = p.GetTree()
		r.out.send(out, targets)
	}
	return true
}

// flood sends a packet to all peers but the one it came from, as it is.
func (r *router) flood(p *meshpb.Packet, from string) {
	if lanes := r.others(p, from); len(lanes) > 0 {
		r.out.send(r.out.copied(p), lanes)
	}
}

// floodVia sends a message to all peers that are not known to have it.
func (r *router) floodVia(p *meshpb.Packet, from string) {
	targets := r.targets[:0]
	for _, l := range r.out.lanes {
		if l.name != from && l.name != p.GetSource() && !contains(p.GetVia(), l.name) {
			targets = append(targets, l)
		}
	}
	if r.targets = targets; len(targets) == 0 {
		return
	}
	out := r.out.copied(p)
	out.Via = make([]string, 0, len(p.GetVia())+len(targets)+3)
	out.Via = append(out.Via, p.GetVia()...)
	for _, name := range [...]string{p.GetSource(), from, r.o.Name} {
		if !contains(out.Via, name) {
			out.Via = append(out.Via, name)
		}
	}
	for _, l := range targets {
		out.Via = append(out.Via, l.name)
	}
	if len(out.Via) > viaMost { // the others get it once more, and know it by its number
		out.Via = out.Via[:viaMost]
	}
	r.out.send(out, targets)
}

// contains is slices.Contains for a list that is mostly short.
func contains(list []string, name string) bool {
	for _, s := range list {
		if s == name {
			return true
		}
	}
	return false
}

// again looks at a packet that was here before. If it went along a tree then and
// comes by flooding now, somebody before this node knew the tree to be broken.
func (r *router) again(p *meshpb.Packet, v *vertex, from string) {
	r.duplicates++
	if p.GetMessage() == nil || p.GetTree() != 0 || !r.o.Relay {
		return
	}
	if w := v.window(p); w != nil && w.unmark(p.GetSeq()) {
		r.floodVia(p, from)
	}
}

// way returns the links that lead to a packet's destination: that of a peer, what
// hellos tell, that by which the destination was heard, or else all. None: there
// is no way. from is the peer it came from, never the way; "": none.
func (r *router) way(p *meshpb.Packet, from string) []*lane {
	r.topology.refresh()
	dest := p.GetDestination()
	v := r.topology.vertices[dest]
	r.targets = r.targets[:0]
	switch {
	case v != nil && v.near != nil && dest != from:
		return append(r.targets, v.near)
	case v == r.topology.self:
		return nil
	}
	if l := r.topology.toward(v); l != nil && l.name != from {
		return append(r.targets, l)
	}
	if l := r.learned.way(v, dest, r.now); l != nil && l.name != from {
		return append(r.targets, l)
	}
	if r.topology.settled(r.now) && (v == nil || v.index < 0) {
		return nil // it would be known
	}
	return r.others(p, from)
}

// others are all peers but those that a packet came from.
func (r *router) others(p *meshpb.Packet, from string) []*lane {
	targets := r.targets[:0]
	for _, l := range r.out.lanes {
		if l.name != from && l.name != p.GetSource() {
			targets = append(targets, l)
		}
	}
	r.targets = targets
	return targets
}

// forward passes on what is for another node, or tells its source that it cannot.
func (r *router) forward(p *meshpb.Packet, from string) {
	switch {
	case p.Hops+1 >= maxHops: // from the next one the answer would have too far to go
		r.drop(tree.MeshHops)
	case r.o.Relay:
		if lanes := r.way(p, from); len(lanes) > 0 {
			r.out.send(r.out.copied(p), lanes)
			return
		}
	}
	r.sendBack(p)
}

// sendBack returns a command to its sender. Responses are just dropped.
func (r *router) sendBack(p *meshpb.Packet) {
	if p.GetCommand() == nil {
		r.drop(tree.MeshUnroutable)
		return
	}
	ok := false
	back := r.own(p.GetSource())
	back.Boot, back.Seq, back.Nonce = p.GetBoot(), p.GetSeq(), p.GetNonce()
	back.Response = &meshpb.Response{Ok: &ok, Reason: reasonReturned, Destination: p.GetDestination()}
	lanes := r.way(back, "")
	if len(lanes) == 0 {
		r.drop(tree.MeshUnroutable)
		return
	}
	r.out.send(back, lanes)
}
