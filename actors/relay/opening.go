package relay

import (
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/meshpb"
)

// openTimeout is how long a name waits for the mesh. That answers in less: its
// first synchronisation takes 2 s at most, and asking others is bounded too.
const openTimeout = 10 * time.Second

// opening is a name that the mesh is asked for. Whoever wants it meanwhile waits
// for their turn.
type opening struct {
	name    string
	asker   *subscribe   // whose password was told; nil: it is gone
	waiting []*subscribe // behind asker, in order
	round   int          // questions so far
	late    *tree.Timer
}

func newOpening(m *subscribe) *opening { return &opening{name: m.name, waiting: []*subscribe{m}} }

// openLate says that openTimeout is over for a question.
type openLate struct {
	opening *opening
	round   int
}

// IgnoreDeadLetterLogging marks messages that may find channels stopped.
func (openLate) IgnoreDeadLetterLogging() {}

// ask wants a name from the mesh, for the first of an opening. Without any the
// opening ends.
func (c *channels) ask(ctx actor.Context, o *opening) {
	c.end(o)
	o.asker = nil
	if o.asker = o.next(); o.asker == nil {
		return
	}
	c.kept.openings[o.name] = o
	o.round++
	o.late = tree.After(ctx, openTimeout, openLate{o, o.round})
	ctx.Request(c.mesh.Reservations, &meshpb.OpenRequest{Channel: o.name, Hash: o.asker.hash, HasPassword: o.asker.hasPassword})
}

// onOpenResponse goes on with those who wait for a name.
func (c *channels) onOpenResponse(ctx actor.Context, m *meshpb.OpenResponse) {
	o := c.kept.openings[m.GetChannel()]
	if m.GetOutcome() == meshpb.Outcome_OUTCOME_OPEN {
		c.onOpened(ctx, m, o)
		return
	}
	if o == nil { // it was too late
		return
	}
	if s := o.asker; s != nil {
		switch m.GetOutcome() {
		case meshpb.Outcome_OUTCOME_NEED_HASH:
			ctx.Send(s.client, &needHash{name: s.name})
		case meshpb.Outcome_OUTCOME_NEED_LONG_HASH:
			ctx.Send(s.client, &needHash{name: s.name, long: true})
		case meshpb.Outcome_OUTCOME_BUSY:
			ctx.Send(s.client, &refused{s.name, reasonBusy})
		default:
			ctx.Send(s.client, &refused{s.name, reasonPassword})
		}
	}
	c.ask(ctx, o)
}

// onOpened opens a channel for all who wait, unless none of them may join it:
// then the name is given back.
func (c *channels) onOpened(ctx actor.Context, m *meshpb.OpenResponse, o *opening) {
	name := m.GetChannel()
	if c.open[name] != nil {
		return // an answer that was late, and nothing new
	}
	c.kept.reserved[name] = true
	c.fresh = o
	own := &openChannel{}
	if len(m.GetHash()) > 0 {
		own.hash = m.GetHash()
	}
	for s := o.next(); s != nil; s = o.next() {
		c.at = s
		c.admit(ctx, own, s)
		c.at = nil
	}
	c.end(o)
	c.fresh = nil
	if own.pid == nil {
		delete(c.kept.reserved, name)
		ctx.Send(c.mesh.Reservations, &meshpb.Drop{Channel: name}) // the router has not heard of it
	}
}

// next takes the first of an opening out of it; nil: there is none.
func (o *opening) next() (s *subscribe) {
	switch {
	case o == nil:
	case o.asker != nil:
		s, o.asker = o.asker, nil
	case len(o.waiting) > 0:
		s, o.waiting = o.waiting[0], o.waiting[1:]
	}
	return s
}

// end forgets an opening; nil is none.
func (c *channels) end(o *opening) {
	if o != nil {
		o.late.Stop()
		delete(c.kept.openings, o.name)
	}
}

// giveUp refuses all who wait for a name.
func (c *channels) giveUp(ctx actor.Context, o *opening) {
	c.end(o)
	for s := o.next(); s != nil; s = o.next() {
		ctx.Send(s.client, &refused{s.name, reasonBusy})
	}
}

// onOpenLate ends an opening that the mesh did not answer.
func (c *channels) onOpenLate(ctx actor.Context, m openLate) {
	o := m.opening
	if c.kept.openings[o.name] != o || o.round != m.round {
		return
	}
	tree.Log(ctx.ActorSystem()).Warn("the mesh did not say whether a channel may be opened", slog.Int("waiting", 1+len(o.waiting)))
	c.giveUp(ctx, o)
}

// onAbandon ends the membership of a client that failed while it subscribed, or
// its wait.
func (c *channels) onAbandon(ctx actor.Context, m *abandon) {
	if o := c.open[m.name]; o != nil {
		ctx.Send(o.pid, &m.leave)
	}
	if o := c.kept.openings[m.name]; o != nil {
		o.forget(m.leave.member)
	}
}

// forget takes a member out of those who wait. Its question is still answered.
func (o *opening) forget(member uint64) {
	if o.asker != nil && o.asker.member == member {
		o.asker = nil
	}
	o.waiting = slices.DeleteFunc(o.waiting, func(s *subscribe) bool { return s.member == member })
}

// give tells the mesh that a name is not open here any more.
func (c *channels) give(ctx actor.Context, name string) {
	if c.kept.reserved[name] {
		delete(c.kept.reserved, name)
		m := &meshpb.Drop{Channel: name}
		ctx.Send(c.mesh.Router, m)
		ctx.Send(c.mesh.Reservations, m)
	}
}

// giveBack gives all names back that an earlier incarnation had: its channels
// have ended with it.
func (c *channels) giveBack(ctx actor.Context) {
	for _, name := range slices.Sorted(maps.Keys(c.kept.reserved)) {
		c.give(ctx, name)
	}
}
