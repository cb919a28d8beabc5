package mesh

import (
	"slices"
	"strings"
	"time"
)

// How often other nodes can have this one compute what is reachable: hellos come in
// swarms, and who forges them sends as many as it likes. The pause is in proportion
// to the work, a hundred times as long or so. Meanwhile messages are flooded, and all
// else goes by what was.
const (
	computePause     = 20 * time.Microsecond // for each node, and each link that one names
	computePauseMost = 250 * time.Millisecond
)

// touch notes that links have changed. What follows of it is computed when it is
// needed, see refresh.
func (t *topology) touch(now time.Time) {
	t.stale, t.touched = true, now
}

// refresh computes what touch has put off, if it is time to: at once where this
// node's own links have changed, or nothing else has lately. It goes before all
// use of reach and of what comes after it in topology.
func (t *topology) refresh() {
	if !t.stale && t.ripe.IsZero() {
		return
	}
	now := time.Now()
	switch {
	case t.stale && t.urgent:
	case now.Sub(t.computed) < min(time.Duration(t.work)*computePause, computePauseMost):
		return
	case t.stale:
	case now.Before(t.ripe):
		return
	default:
		t.touched = t.ripe
	}
	t.compute(now)
}

// compute finds out what is reachable, after links have changed.
func (t *topology) compute(now time.Time) {
	t.stale, t.urgent, t.computed, t.ripe = false, false, now, time.Time{}
	t.work = len(t.vertices)
	for _, v := range t.vertices {
		v.index, v.at, v.namers = -1, nil, nil
		t.work += len(v.links)
	}
	for _, v := range t.vertices {
		t.introduce(v, now)
	}
	t.reach = t.reach[:0]
	t.enter(t.self)
	for k := 0; k < len(t.reach); k++ {
		if v := t.reach[k]; !v.leaf || v == t.self { // nothing gets through a leaf
			t.expand(v, now)
		}
	}
	slices.SortFunc(t.reach, func(a, b *vertex) int { return strings.Compare(a.name, b.name) })
	t.foreign = false
	for i, v := range t.reach {
		v.index, v.lost = i, time.Time{}
		t.foreign = t.foreign || !v.hello
	}
	for _, v := range t.reach {
		t.connect(v, now)
	}
	for _, v := range t.vertices {
		if v.index < 0 && v.lost.IsZero() {
			v.lost = t.touched
		}
	}
	if d := t.sum(); d != t.digest {
		t.digest, t.changed = d, t.touched
	}
	t.trees = make([]*spanning, len(t.reach))
	t.epoch++
	for i, b := range t.spanning(t.self).branch {
		if b >= 0 {
			t.reach[i].way = t.reach[b].near
		}
	}
}

// introduce tells those who say nothing of themselves who names them.
func (t *topology) introduce(v *vertex, now time.Time) {
	if !v.hello {
		return
	}
	waits := false
	for _, e := range v.links {
		if u := t.vertices[e.peer]; u != nil && !u.hello {
			if !t.vouches(v, now) {
				waits = true
				continue
			}
			u.namers = append(u.namers, v)
		}
	}
	if at := v.talking.Add(settledAfter); waits && (t.ripe.IsZero() || at.Before(t.ripe)) {
		t.ripe = at
	}
}

// vouches reports whether that a node names another is enough for that one to be
// there, which says nothing of itself. A new one's word does not count before all
// that its coming has changed is settled.
func (t *topology) vouches(v *vertex, now time.Time) bool {
	return v == t.self || now.Sub(v.talking) >= settledAfter
}

// linked reports whether a node's word for its link with another counts.
func (t *topology) linked(v, u *vertex, now time.Time) bool {
	if u.hello {
		return u.names(v)
	}
	return t.vouches(v, now)
}

// enter makes a node one of those that can be reached.
func (t *topology) enter(v *vertex) {
	if v.index < 0 {
		v.index = len(t.reach) // for now
		t.reach = append(t.reach, v)
	}
}

// expand reaches the nodes that v is linked with.
func (t *topology) expand(v *vertex, now time.Time) {
	for _, e := range v.links {
		if u := t.vertices[e.peer]; u != nil && u.index < 0 && t.linked(v, u, now) {
			t.enter(u)
		}
	}
	if v.near != nil && !v.near.foreign {
		return // it was just linked, and will say itself who its peers are
	}
	for _, u := range v.namers {
		t.enter(u)
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
func (t *topology) connect(v *vertex, now time.Time) {
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
			if !t.vouches(v, now) {
				continue
			}
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
