package mesh

import (
	"maps"
	"slices"

	"github.com/asynkron/protoactor-go/actor"
)

// survey tells reservations which nodes are there, if that has changed.
func (r *router) survey(ctx actor.Context) {
	t := r.topology
	t.refresh()
	if r.epoch == t.epoch {
		return
	}
	r.epoch = t.epoch
	if nodes := t.survey(); !maps.Equal(nodes, r.surveyed) {
		r.surveyed = nodes
		ctx.Send(r.met.reservations, &surveyed{nodes})
		ctx.Send(r.met.peers, &surveyed{nodes})
	}
}

// survey returns the nodes that can be reached and are peers or have a link that
// both of its ends name: that somebody else names a node proves nothing.
func (t *topology) survey() map[string]bool {
	nodes := make(map[string]bool, len(t.reach))
	for _, v := range t.reach {
		named := func(n neighborAt) bool {
			u := t.reach[n.index]
			return u.hello || u.near != nil
		}
		if v != t.self && (v.near != nil || v.hello && slices.ContainsFunc(v.at, named)) {
			nodes[v.name] = true
		}
	}
	return nodes
}
