package mesh

import (
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/meshpb"
)

// How many hellos of one node are taken: so many at once, and then one in
// helloPause. Nodes say one each ten seconds, and one when a link comes or goes.
const (
	helloBurst = 10
	helloPause = time.Second
)

// pace is how often a node says hello, and what it said too early.
type pace struct {
	spent float64   // of helloBurst, at since
	since time.Time // of the last that was taken
	late  sighting  // the last that was not
}

// take reports whether it is time for one more.
func (p *pace) take(now time.Time) bool {
	spent := max(0, p.spent-now.Sub(p.since).Seconds()/helloPause.Seconds())
	if spent+1 > helloBurst {
		return false
	}
	p.spent, p.since = spent+1, now
	return true
}

// early keeps a hello that comes too soon after others of its node, for
// lateHellos: it goes no further before. Of several only the last counts.
func (r *router) early(v *vertex, p *meshpb.Packet, from string) bool {
	if v == nil || !isHello(p) || v.hellos.late.packet == nil && v.hellos.take(r.now) {
		return false
	}
	if v.hellos.late.packet != nil {
		r.drop(tree.MeshHello)
	}
	if !r.keeps(p, from) {
		r.drop(tree.MeshHello)
		return true
	}
	v.hellos.late.renew(p, from, r.now)
	return true
}

// lateHellos takes up what early has kept.
func (r *router) lateHellos(ctx actor.Context) {
	for _, name := range slices.Sorted(maps.Keys(r.topology.vertices)) {
		v := r.topology.vertices[name]
		if v == nil || v.hellos.late.packet == nil || !v.hellos.take(r.now) {
			continue
		}
		late := v.hellos.late
		v.hellos.late = sighting{}
		r.pass(late.packet, v, nil, late.from)
		r.hear(ctx, late.packet, late.from)
	}
}
