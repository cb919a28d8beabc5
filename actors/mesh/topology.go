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
	leaf        bool // it passes nothing on

	near    *lane     // this node's own link with it; nil: none
	heard   time.Time // its last hello, or when it was named last
	since   time.Time // known
	lost    time.Time // not reachable since; zero: it is
	windows windows   // of its packets
	hearing hearing   // of its last packet

	index int          // in topology.reach; -1: not reachable
	at    []neighborAt // sorted by index; valid if reachable
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

	stale   bool      // links have changed since what follows was computed
	touched time.Time // when they did last

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
	if len(t.vertices) >= nodesMost || !validName(name) {
		return nil
	}
	v := &vertex{name: name, hash: nameHash(name), heard: now, since: now, lost: now, index: -1}
	t.vertices[name] = v
	return v
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
	links := make([]edgeEnd, 0, min(len(h.GetLinks()), linksMost))
	for _, l := range h.GetLinks() {
		if l.GetPeer() == v.name || len(links) >= linksMost || t.named(l.GetPeer(), now) == nil {
			continue
		}
		links = append(links, edgeEnd{l.GetPeer(), costOf(l.GetMs())})
		if u := t.vertices[l.GetPeer()]; !u.hello {
			u.heard = now
		}
	}
	slices.SortFunc(links, func(a, b edgeEnd) int { return strings.Compare(a.peer, b.peer) })
	links = slices.CompactFunc(links, func(a, b edgeEnd) bool { return a.peer == b.peer })
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

// touch notes that links have changed. What follows of it is computed when it is
// needed: hellos come in swarms.
func (t *topology) touch(now time.Time) {
	t.stale, t.touched = true, now
}

// refresh computes what touch has put off. It goes before all use of reach and
// of what comes after it in topology.
func (t *topology) refresh() {
	if t.stale {
		t.stale = false
		t.compute(t.touched)
	}
}

// compute finds out what is reachable, after links have changed.
func (t *topology) compute(now time.Time) {
	for _, v := range t.vertices {
		v.index, v.at = -1, nil
	}
	t.reach = t.reach[:0]
	t.enter(t.self)
	for k := 0; k < len(t.reach); k++ {
		if v := t.reach[k]; !v.leaf || v == t.self { // nothing gets through a leaf
			t.expand(v)
		}
	}
	slices.SortFunc(t.reach, func(a, b *vertex) int { return strings.Compare(a.name, b.name) })
	t.foreign = false
	for i, v := range t.reach {
		v.index, v.lost = i, time.Time{}
		t.foreign = t.foreign || !v.hello
	}
	for _, v := range t.reach {
		t.connect(v)
	}
	for _, v := range t.vertices {
		if v.index < 0 && v.lost.IsZero() {
			v.lost = now
		}
	}
	if d := t.sum(); d != t.digest {
		t.digest, t.changed = d, now
	}
	t.trees = make([]*spanning, len(t.reach))
	t.epoch++
}

// enter makes a node one of those that can be reached.
func (t *topology) enter(v *vertex) {
	if v.index < 0 {
		v.index = len(t.reach) // for now
		t.reach = append(t.reach, v)
	}
}

// expand reaches the nodes that v is linked with.
func (t *topology) expand(v *vertex) {
	for _, e := range v.links {
		if u := t.vertices[e.peer]; u != nil && (!u.hello || u.names(v)) {
			t.enter(u)
		}
	}
	if v.hello {
		return
	}
	for _, u := range t.vertices { // it says nothing itself
		if u.names(v) {
			t.enter(u)
		}
	}
}

// names reports whether a node says that it is linked with another.
func (v *vertex) names(u *vertex) bool {
	_, ok := v.end(u.name)
	return ok
}

// connect notes the links that count of a node that tells of them: those that
// the other end names too, or whose other end tells nothing. What a link costs
// is what the worse end says.
func (t *topology) connect(v *vertex) {
	if !v.hello {
		return // its peers do
	}
	for _, e := range v.links {
		u, cost := t.vertices[e.peer], e.cost
		if u == nil || u.index < 0 {
			continue
		}
		if u.hello {
			back, ok := u.end(v.name)
			if !ok {
				continue
			}
			cost = max(cost, back)
		} else {
			u.at = append(u.at, neighborAt{v.index, cost}) // in order: they are asked by name
		}
		v.at = append(v.at, neighborAt{u.index, cost})
	}
}

// sum is a digest of the nodes and links that are reachable.
func (t *topology) sum() uint64 {
	h := uint64(len(t.reach))
	for _, v := range t.reach {
		flags := uint64(0)
		if v.hello {
			flags |= 1
		}
		if v.leaf {
			flags |= 2
		}
		h = mix(h ^ v.hash + flags)
		for _, n := range v.at {
			h = mix(h ^ uint64(n.index)<<32 + uint64(n.cost))
		}
	}
	return h
}

// lanesChanged makes this node's own links anew.
func (t *topology) lanesChanged(lanes []*lane, now time.Time) {
	t.self.links = t.self.links[:0]
	for _, l := range lanes {
		t.self.links = append(t.self.links, edgeEnd{l.name, t.costs[l.name]})
	}
	t.touch(now)
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
	return !t.foreign && now.Sub(t.changed) >= settledAfter
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
