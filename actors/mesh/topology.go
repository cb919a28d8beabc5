package mesh

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"parley/messages/meshpb"
)

// Limits of what other nodes may have this one remember, and how long.
const (
	nodesMost    = 2048             // known nodes
	nodesPerLink = nodesMost / 2    // of them, that came over one link: nobody takes all the room alone
	namedMost    = nodesMost / 2    // of them, that have not said hello
	namedPerNode = 64               // of those, that one node's hello keeps known
	linksMost    = 512              // links of one node
	settledAfter = 2 * time.Second  // without a change
	goneAfter    = 60 * time.Second // not heard of, or not reachable
	costMost     = math.MaxInt32    // of one link, µs
)

// vertex is a node of the mesh, as this one knows it.
type vertex struct {
	name string // fixed, as hash
	hash uint64

	hello       bool // what follows is from its hello; false: it was only named
	boot, round uint64
	links       []edgeEnd // sorted by peer
	master      bool
	host        string
	leaf        bool      // it passes nothing on
	said        sighting  // its last hello
	talking     time.Time // since when it says hello, in this start
	hellos      pace      // of those that others told
	by          string    // peer by which it became known; "": by this node itself

	near    *lane     // this node's own link with it; nil: none
	heard   time.Time // its last hello, or when it was named last
	since   time.Time // known
	lost    time.Time // not reachable since; zero: it is
	windows windows   // of its packets
	hearing hearing   // of its last packet

	index  int          // in topology.reach; -1: not reachable
	at     []neighborAt // sorted by index; valid if reachable
	namers []*vertex    // who names it; only of a node that has said no hello
	way    *lane        // by which it was reached, last; nil: never
}

// edgeEnd is a link as one of its nodes tells of it.
type edgeEnd struct {
	peer string
	cost uint32 // µs there and back
}

// neighborAt is a link that counts.
type neighborAt struct {
	index int
	cost  uint32
}

// topology knows which nodes there are and how they are linked. All nodes that
// have heard the same hellos compute the same of it.
type topology struct {
	self     *vertex           // fixed; its links are made of lanes and costs
	costs    map[string]uint32 // of own links, as the own hello told them last
	vertices map[string]*vertex

	stale    bool      // links have changed since what follows was computed
	urgent   bool      // those of this node among them
	touched  time.Time // when they did last
	computed time.Time // when what follows was
	work     int       // that it took: nodes, and the links that they name
	ripe     time.Time // when somebody's word begins to count; zero: nobody waits

	reach   []*vertex   // those that can be reached, this node among them, by name
	foreign bool        // among them are nodes that tell nothing of themselves
	digest  uint64      // of what is reachable
	changed time.Time   // when digest did
	epoch   uint64      // counts changes of what plans are made of
	trees   []*spanning // by the index of the source; nil: to be made
}

func newTopology(o *Options) *topology {
	self := &vertex{name: o.Name, hash: nameHash(o.Name), hello: true, boot: o.Boot, master: o.Master, leaf: !o.Relay, host: o.Host}
	t := &topology{self: self, costs: map[string]uint32{}, vertices: map[string]*vertex{o.Name: self}}
	t.compute(time.Time{})
	return t
}

// named returns the node of that name, made at the first time. nil: there are
// too many, or nothing is called that.
func (t *topology) named(name string, now time.Time) *vertex {
	if v := t.vertices[name]; v != nil {
		return v
	}
	if named, _, all := t.census(""); named >= namedMost || all >= nodesMost {
		return nil
	}
	return t.make(name, "", now)
}

// speaking is named for a node that says hello, over the link with a peer.
func (t *topology) speaking(name, by string, now time.Time) *vertex {
	if v := t.vertices[name]; v != nil {
		return v
	}
	if _, theirs, all := t.census(by); theirs >= nodesPerLink || all >= nodesMost {
		return nil
	}
	return t.make(name, by, now)
}

func (t *topology) make(name, by string, now time.Time) *vertex {
	if !validName(name) {
		return nil
	}
	v := &vertex{name: name, hash: nameHash(name), heard: now, since: now, lost: now, by: by, index: -1}
	t.vertices[name] = v
	return v
}

// census counts the nodes that are known: those that were only named, those that
// came by one peer, and all.
func (t *topology) census(by string) (named, theirs, all int) {
	for _, v := range t.vertices {
		if !v.hello && v.near == nil {
			named++
		}
		if by != "" && v.by == by {
			theirs++
		}
	}
	return named, theirs, len(t.vertices)
}

// meet makes those known that a node names, as far as there is room. Who is not
// among them counts as soon as it says hello itself.
func (t *topology) meet(v *vertex, links []edgeEnd, now time.Time) {
	seen, room := 0, -1
	for _, e := range links {
		u := t.vertices[e.peer]
		if u != nil && u.hello {
			continue
		}
		if seen++; seen > namedPerNode {
			return
		}
		if u != nil {
			u.heard = now
			continue
		}
		if room < 0 {
			named, theirs, all := t.census(v.by)
			room = max(0, min(namedMost-named, nodesPerLink-theirs, nodesMost-all))
		}
		if room > 0 && t.make(e.peer, v.by, now) != nil {
			room--
		}
	}
}

// tell takes a node's hello, and reports whether it was news of its links.
// Costs change nothing by themselves but trees.
func (t *topology) tell(v *vertex, h *meshpb.Hello, now time.Time) bool {
	if h.GetBoot() < v.boot || v.hello && h.GetBoot() == v.boot && h.GetRound() < v.round {
		return false // overtaken by a later one
	}
	if h.GetBoot() > v.boot || v.windows.now == nil {
		v.windows.begin(h.GetBoot(), now)
	}
	most := t.believed(v, len(h.GetLinks()))
	links := make([]edgeEnd, 0, min(len(h.GetLinks()), most))
	for _, l := range h.GetLinks() {
		if l.GetPeer() != v.name && len(links) < most && validName(l.GetPeer()) {
			links = append(links, edgeEnd{l.GetPeer(), costOf(l.GetMs())})
		}
	}
	slices.SortFunc(links, func(a, b edgeEnd) int { return strings.Compare(a.peer, b.peer) })
	links = slices.CompactFunc(links, func(a, b edgeEnd) bool { return a.peer == b.peer })
	t.meet(v, links, now)
	if !v.hello || h.GetBoot() != v.boot {
		v.talking = now
	}
	news := !v.hello || h.GetBoot() != v.boot || h.GetLeaf() != v.leaf || !slices.Equal(links, v.links)
	v.hello, v.boot, v.round, v.links = true, h.GetBoot(), h.GetRound(), links
	v.master, v.leaf, v.host, v.heard = h.GetMaster(), h.GetLeaf(), dialable(h.GetHost()), now
	return news
}

// costOf is a round trip in µs.
func costOf(ms float64) uint32 {
	us := math.Round(ms * 1000)
	if !(us > 0) { // also what is no number
		return 0
	}
	return uint32(min(us, costMost))
}

// end returns what a node says of its link with another.
func (v *vertex) end(peer string) (cost uint32, ok bool) {
	i, ok := slices.BinarySearchFunc(v.links, peer, func(e edgeEnd, p string) int { return strings.Compare(e.peer, p) })
	if !ok {
		return 0, false
	}
	return v.links[i].cost, true
}

// lanesChanged makes this node's own links anew.
func (t *topology) lanesChanged(lanes []*lane, now time.Time) {
	t.self.links = t.self.links[:0]
	for _, l := range lanes {
		t.self.links = append(t.self.links, edgeEnd{l.name, t.costs[l.name]})
	}
	t.touch(now)
	t.urgent = true
}

// said notes what this node's own hello tells of its links.
func (t *topology) said(h *meshpb.Hello, lanes []*lane, now time.Time) {
	costs := make(map[string]uint32, len(h.GetLinks()))
	for _, l := range h.GetLinks() {
		costs[l.GetPeer()] = costOf(l.GetMs())
	}
	if !maps.Equal(costs, t.costs) {
		t.costs = costs
		t.lanesChanged(lanes, now)
	}
}

// settled reports whether trees are to be trusted.
func (t *topology) settled(now time.Time) bool {
	return !t.stale && !t.foreign && now.Sub(t.changed) >= settledAfter
}

// alive lists the nodes that may answer this one, by name.
func (t *topology) alive(lanes []*lane) []string {
	t.refresh()
	names := make([]string, 0, len(t.reach)+len(lanes))
	for _, v := range t.reach {
		if v != t.self {
			names = append(names, v.name)
		}
	}
	for _, l := range lanes {
		names = append(names, l.name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// expire forgets who was silent or out of reach for too long, and returns them
// by name.
func (t *topology) expire(now time.Time) (gone []*vertex) {
	t.refresh()
	for _, v := range t.vertices {
		lost := !v.lost.IsZero() && now.Sub(v.lost) >= goneAfter
		if v != t.self && v.near == nil && (lost || now.Sub(v.heard) >= goneAfter) {
			gone = append(gone, v)
		}
	}
	if gone == nil {
		return nil
	}
	for _, v := range gone {
		delete(t.vertices, v.name)
	}
	t.touch(now)
	t.urgent = true
	t.refresh() // reach must not name them any more
	slices.SortFunc(gone, func(a, b *vertex) int { return strings.Compare(a.name, b.name) })
	return gone
}

// network is the mesh for people.
func (t *topology) network() *meshpb.NetworkResponse {
	t.refresh()
	r := &meshpb.NetworkResponse{Self: t.self.name}
	for _, v := range t.reach {
		m := &meshpb.Member{Name: v.name, Boot: v.boot, Master: v.master, Foreign: !v.hello, Host: v.host}
		for _, e := range v.links {
			m.Links = append(m.Links, &meshpb.LinkCost{Peer: e.peer, Ms: float64(e.cost) / 1000})
		}
		r.Members = append(r.Members, m)
	}
	return r
}

// mix spreads the bits of x (the finalizer of splitmix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// nameHash is the same on all nodes (FNV-1a, mixed).
func nameHash(name string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return mix(h)
}
