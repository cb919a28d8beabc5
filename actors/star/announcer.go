package star

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
)

// announcer tells everybody of everybody, again and again. Its rounds are of
// steps, in each of which a slice of the addresses goes to a group of the sockets.
// Who comes was announced by the registry, and joins the round where that leaves
// the longest time until it is announced again.
//
//	parent    node
//	receives  appeared, vanished, step, written
//	sends     messages.Multicast to shards
//	stops     with the node
type announcer struct {
	venue *venue // fixed at spawn

	peers  map[string]*peer // by session's id; owned, as all that follows
	round  *round           // nil: nobody is there
	serial int              // of the last round, so that old timers and old shards are known
	owed   int              // multicasts of this round that are not written
	stuck  time.Time        // since when no step was made for that; zero: not
	timer  *tree.Timer      // of the next step
}

type (
	// step asks for the steps that are due.
	step struct{ serial int }
	// written says that a shard has written a multicast.
	written struct{ serial int }
)

// IgnoreDeadLetterLogging marks messages that may find the announcer stopped.
func (step) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find the announcer stopped.
func (written) IgnoreDeadLetterLogging() {}

func newAnnouncer(v *venue) actor.Actor {
	return &announcer{venue: v, peers: map[string]*peer{}}
}

func (a *announcer) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		a.begin(ctx) // after a restart there may be somebody
	case *actor.Stopping:
		a.timer.Stop()
	case *appeared:
		a.onAppeared(ctx, m)
	case *vanished:
		a.onVanished(m)
	case step:
		a.onStep(ctx, m)
	case written:
		if m.serial == a.serial {
			a.owed--
		}
	}
}

func (a *announcer) onAppeared(ctx actor.Context, m *appeared) {
	id := m.who.session.GetId()
	p := a.peers[id]
	if p == nil {
		p = &peer{caller: m.who}
		a.peers[id] = p
		if a.round != nil {
			a.round.admit(a.venue, p)
		}
	}
	p.count++
	if m.announced {
		p.addresses = append(p.addresses, m.address)
		a.round.changed(p, peerFrame+len(m.address))
	}
	if a.round == nil {
		a.begin(ctx)
	}
}

func (a *announcer) onVanished(m *vanished) {
	id := m.who.session.GetId()
	p := a.peers[id]
	if p == nil {
		return
	}
	p.count--
	if i := slices.Index(p.addresses, m.address); i >= 0 {
		p.addresses = slices.Delete(p.addresses, i, i+1)
		a.round.changed(p, -peerFrame-len(m.address))
	}
	if p.count > 0 {
		return
	}
	delete(a.peers, id)
	if a.round != nil {
		a.round.dismiss(a.venue, p)
	}
}

// begin starts a round, if there is anybody.
func (a *announcer) begin(ctx actor.Context) {
	a.timer.Stop()
	a.timer, a.owed, a.stuck = nil, 0, time.Time{}
	if len(a.peers) == 0 {
		a.round = nil
		return
	}
	a.serial++
	if a.round == nil || a.round.uneven(a.venue) {
		a.round = newRound(a.venue, a.peers)
	}
	a.round.begin(a.venue)
	a.schedule(ctx)
}

func (a *announcer) schedule(ctx actor.Context) {
	wait := max(a.round.due().Sub(a.venue.Now()), stepLeast)
	if !a.stuck.IsZero() {
		wait = stepTime
	}
	a.timer = tree.After(ctx, wait, step{a.serial})
}

// onStep makes the steps that are due, but for those that shards have no time for
// now: what they are given too early waits in memory.
func (a *announcer) onStep(ctx actor.Context, m step) {
	if m.serial != a.serial || a.round == nil {
		return
	}
	r, now := a.round, a.venue.Now()
	for r.left() && !now.Before(r.due()) && !a.waits(now) {
		a.step(ctx, r)
	}
	if r.left() {
		a.schedule(ctx)
		return
	}
	a.begin(ctx)
}

// waits tells whether shards have enough to write. One that failed never says
// what it has written, so that is forgotten after a round's time.
func (a *announcer) waits(now time.Time) bool {
	switch {
	case a.owed < owedMost:
		a.stuck = time.Time{}
	case a.stuck.IsZero():
		a.stuck = now
	case now.Sub(a.stuck) > a.round.took:
		a.owed, a.stuck = 0, time.Time{}
	}
	return !a.stuck.IsZero()
}

// step sends a slice to a group. Peers that are part of both do not hear their own
// addresses: those go by themselves.
func (a *announcer) step(ctx actor.Context, r *round) {
	s, group := r.take()
	root, self, done := ctx.ActorSystem().Root, ctx.Self(), written{a.serial}
	report := func() { root.Send(self, done) }
	frame, own := s.frame(group)
	if frame != nil {
		a.owed += a.venue.tell(ctx, &group.crowd, frame, nil, report)
	}
	for _, p := range own {
		a.owed += a.venue.tell(ctx, &group.crowd, news(slices.Clone(p.addresses)...), &p.caller, report)
	}
}

// roundTime is how long a round takes, but for those that would be too much.
func (v *venue) roundTime() time.Duration {
	if v.Delta {
		return deltaTime
	}
	return seedTime
}
