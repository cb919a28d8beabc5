package mesh

import (
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/meshpb"
)

// onLinked also takes what is learned later of a peer that is linked.
func (r *router) onLinked(ctx actor.Context, n *neighbor) {
	if i, ok := r.out.find(n.name); ok {
		old := r.out.lanes[i]
		if old.member == n.member && old.side == n.side {
			old.neighbor = *n
			r.meet(ctx, old)
			return
		}
		r.unlink(ctx, old)
	}
	l := &lane{neighbor: *n, since: r.now}
	r.out.add(l)
	r.meet(ctx, l)
	r.handOver(l)
}

// meet makes a lane's node known.
func (r *router) meet(ctx actor.Context, l *lane) {
	v := r.topology.vertices[l.name]
	if v == nil { // there is always room for peers
		v = &vertex{name: strings.Clone(l.name), hash: nameHash(l.name), since: r.now, index: -1}
		r.topology.vertices[l.name] = v
	}
	v.heard, v.near, l.at = r.now, l, v
	if l.foreign {
		v.hello, v.links = false, nil
	}
	if l.boot != 0 && l.boot < v.boot { // that one does not live, see onWhereabouts
		r.displace(ctx, v)
	}
	if l.boot > v.boot {
		v.boot, v.round, v.hello, v.links, v.said = l.boot, 0, false, nil, sighting{}
		v.windows.begin(l.boot, r.now)
	}
	r.topology.lanesChanged(r.out.lanes, r.now)
}

func (r *router) onUnlinked(ctx actor.Context, m *unlinked) {
	if i, ok := r.out.find(m.name); ok && r.out.lanes[i].member == m.member && r.out.lanes[i].side == m.side {
		r.unlink(ctx, r.out.lanes[i])
	}
}

// unlink also takes the hello that was put aside: its node may have seen earlier
// that the link is broken, and the next one may be long in coming.
func (r *router) unlink(ctx actor.Context, l *lane) {
	if lost := r.out.remove(l); lost > 0 {
		r.metrics.Drop(tree.MeshLinkLost, lost)
	}
	l.at.near, l.at.heard = nil, r.now
	r.topology.lanesChanged(r.out.lanes, r.now)
	delete(r.strikes, l.name)
	if _, ok := r.asides[l.name]; ok {
		r.reconsider(ctx)
	}
}

// handedFor is how old a hello may be that is told to a new peer: who lives has
// said another one since, see helloEvery.
const handedFor = 15 * time.Second

// sighting is a packet that came by.
type sighting struct {
	packet *meshpb.Packet
	from   string // peer that it came over
	at     time.Time
}

// renew makes it that of a hello, unless that was overtaken by the one it is of.
func (s *sighting) renew(p *meshpb.Packet, from string, now time.Time) {
	if s.packet == nil || p.Boot != s.packet.Boot || p.Seq >= s.packet.Seq || now.Sub(s.at) >= goneAfter {
		*s = sighting{p, from, now}
	}
}
