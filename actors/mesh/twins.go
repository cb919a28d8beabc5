package mesh

import (
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/meshpb"
	"parley/messages/relaypb"
)

const (
	twinFor    = 60 * time.Second // two nodes of one name are believed to live
	twinProof  = 5 * time.Second  // that hellos of both must come apart: those of one start are soon over
	reasonTwin = "duplicate name"
	healthBad  = "bad"
)

// twins tells of nodes that have the same name.
type twins struct {
	own    time.Time // a hello of another node with this one's name was heard; zero: none lately
	others time.Time // likewise anything else that came in this node's name, or two nodes with another name
	told   string    // to health; "": nothing is wrong
	rivals map[string]*rival
}

// rival is a start of a node that says hello beside the one that is believed.
type rival struct {
	boot, seq   uint64
	first, last time.Time
}

// rival notes a hello of a node in another start than the one that is believed.
// If both go on there are two.
func (r *router) rival(ctx actor.Context, v *vertex, p *meshpb.Packet) {
	boot := p.Command.GetHello().GetBoot()
	if boot == v.boot {
		return
	}
	o := r.twins.rivals[v.name]
	if o == nil || o.boot != boot || r.now.Sub(o.last) >= twinFor {
		r.twins.rivals[v.name] = &rival{boot, p.Seq, r.now, r.now}
		return
	}
	o.last = r.now
	if p.Seq > o.seq {
		o.seq = p.Seq
		if v.said.at.Sub(o.first) >= twinProof {
			r.tellTwins(ctx, &r.twins.others, v.name)
		}
	}
}

// onOwn sees a packet that says it is this node's. Flooded ones come back all
// the time; else somebody has the same name, or forges it.
func (r *router) onOwn(ctx actor.Context, p *meshpb.Packet) {
	switch {
	case p.Response != nil: // its number is another's
	case p.Boot == r.o.Boot && (p.Seq <= r.seq || p.Seq >= drawn):
	case p.Boot == r.o.Boot, p.Boot != 0 && p.Boot < r.o.Boot && r.now.Sub(r.started) < twinFor:
		r.drop(tree.MeshSpoofed) // the latter may be this node's own, of before it was started
	case isHello(p):
		r.drop(tree.MeshSpoofed)
		r.tellTwins(ctx, &r.twins.own, r.o.Name)
	default:
		r.drop(tree.MeshSpoofed)
		r.tellTwins(ctx, &r.twins.others, r.o.Name)
	}
}

// tellTwins notes that there are two nodes of a name.
func (r *router) tellTwins(ctx actor.Context, which *time.Time, name string) {
	*which = r.now
	before := r.twins.told
	if r.ailTwins(ctx); before != r.twins.told {
		tree.Log(ctx.ActorSystem()).Warn("two nodes have the same name: give one of them another node-name",
			slog.String("node", r.o.Name), slog.String("name", name))
	}
}

// ailTwins tells health what has changed: a node whose name another one has loses
// what is meant for it.
func (r *router) ailTwins(ctx actor.Context) {
	lately := func(at time.Time) bool { return !at.IsZero() && r.now.Sub(at) < twinFor }
	level := ""
	switch {
	case lately(r.twins.own):
		level = healthBad
	case lately(r.twins.others):
		level = healthDegraded
	}
	if level == r.twins.told {
		return
	}
	m := &relaypb.Ailment{Healthy: level, Reason: reasonTwin}
	if level == "" {
		m.Healthy, m.Over = r.twins.told, true
	}
	if r.twins.told = level; r.met.Health != nil {
		ctx.Send(r.met.Health, m)
	}
}

// ageTwins forgets who is silent.
func (r *router) ageTwins(ctx actor.Context) {
	r.ailTwins(ctx)
	for name, o := range r.twins.rivals {
		if r.now.Sub(o.last) >= twinFor {
			delete(r.twins.rivals, name)
		}
	}
}

// whereabouts asks whether a node that wants to be linked has the name of one that
// lives elsewhere. From peers to router, which answers located.
type whereabouts struct {
	who  *actor.PID // peer; comes back in located
	name string
	boot uint64
}

// located answers whereabouts.
type located struct {
	who   *actor.PID
	taken bool
}

// onWhereabouts answers by settled link state: a node that was started again is
// no other as soon as those that it had been linked with say that it is gone.
func (r *router) onWhereabouts(ctx actor.Context, m *whereabouts) {
	r.topology.refresh()
	v := r.topology.vertices[m.name]
	ctx.Respond(&located{who: m.who, taken: v != nil && v.near == nil && r.lives(v) && v.boot != m.boot})
}

// IgnoreDeadLetterLogging marks messages that may find peers stopped.
func (*located) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find the router stopped.
func (*whereabouts) IgnoreDeadLetterLogging() {}
