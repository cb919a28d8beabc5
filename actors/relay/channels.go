package relay

import (
	"crypto/subtle"
	"maps"
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/meshpb"
	"parley/messages/relaypb"
)

// channels knows which channels are open, and their passwords: it is where two
// clients that open the same name meet.
//
//	parent    node
//	receives  subscribe, again, abandon, lastWord, emptied, list, count, relaypb.CensusRequest, meshpb.OpenResponse, meshpb.Evict, openLate, meet
//	sends     join, leave, count to channels; needHash, refused to clients; relaypb.Answer to links; messages.Multicast to shards; lost to clients; counting, closed to stats; meshpb.OpenRequest, meshpb.Drop to the mesh
//	stops     with the node
type channels struct {
	limits Limits // fixed at spawn
	fanout Fanout
	mesh   *Mesh
	kept   *kept

	open  map[string]*openChannel // owned, as all that follows
	byPID map[string]string       // names by id of the channel's actor
	names []string                // sorted; nil: to be made
	at    *subscribe              // being decided
	fresh *opening                // that has ended well, while it is decided who joins; nil: none
}

// kept is what outlives a restart of channels.
type kept struct {
	met      meet
	openings map[string]*opening // by name
	reserved map[string]bool     // names that the mesh has opened for this node, and that were not given back
}

// openChannel is one channel as its supervisor knows it.
type openChannel struct {
	pid   *actor.PID // nil: it is being decided who is the first to join
	hash  []byte     // of the password, 32 or 64 bytes; nil: none
	joins uint64     // sent so far
}

// meet introduces the actors that were spawned after channels.
type meet struct{ clients, stats *actor.PID }

// SpawnChannels starts the supervisor of channels.
func SpawnChannels(ctx actor.SpawnerContext, limits Limits, f Fanout, m Mesh) *actor.PID {
	k := newKept()
	return tree.Spawn(ctx, "channels", tree.Spec{New: func() actor.Actor { return newChannels(limits, f, &m, k) }})
}

func newKept() *kept { return &kept{openings: map[string]*opening{}, reserved: map[string]bool{}} }

func newChannels(limits Limits, f Fanout, m *Mesh, k *kept) *channels {
	return &channels{limits: limits, fanout: f, mesh: m, kept: k, open: map[string]*openChannel{}, byPID: map[string]string{}}
}

// Meet tells channels whom to report to.
func Meet(ctx actor.SenderContext, channels, clients, stats *actor.PID) {
	ctx.Send(channels, &meet{clients, stats})
}

func (c *channels) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		c.giveBack(ctx)
	case *meet:
		c.kept.met = *m
	case *subscribe:
		c.onSubscribe(ctx, m)
	case *again:
		c.onAgain(ctx, m)
	case *actor.Restarting:
		c.onRestarting(ctx)
	case *actor.Stopping:
		for _, o := range c.kept.openings {
			o.late.Stop()
		}
	case *meshpb.OpenResponse:
		c.onOpenResponse(ctx, m)
	case openLate:
		c.onOpenLate(ctx, m)
	case *meshpb.Evict:
		c.onEvict(ctx, m)
	case *abandon:
		c.onAbandon(ctx, m)
	case *lastWord:
		ctx.Send(c.fanout.Shards[c.fanout.shardOf(m.member)], &messages.Multicast{Origin: m.member, Answer: m.word})
	case *emptied:
		c.onEmptied(ctx, m)
	case *actor.Terminated:
		c.onTerminated(ctx, m)
	case *list:
		c.onList(ctx, m)
	case *count:
		c.onCount(ctx, m)
	case *relaypb.CensusRequest:
		ctx.Respond(&relaypb.Census{Channels: uint32(len(c.open)), FromChannels: true})
	}
}

func (c *channels) onSubscribe(ctx actor.Context, m *subscribe) {
	c.at = m
	c.decide(ctx, m)
	c.at = nil
}

// decide says who may join. The first subscriber's password, or none,
// becomes the channel's; a channel without one ignores a given one.
func (c *channels) decide(ctx actor.Context, m *subscribe) {
	m.channel = nil
	o, opening := c.open[m.name], c.kept.openings[m.name]
	switch {
	case o != nil:
		c.admit(ctx, o, m)
	case opening != nil:
		opening.waiting = append(opening.waiting, m)
	case len(c.open)+len(c.kept.openings) >= c.limits.Channels:
		ctx.Send(m.client, &refused{m.name, reasonLimit})
	case c.mesh.Reservations != nil:
		c.ask(ctx, newOpening(m))
	case m.hasPassword && m.hash == nil:
		ctx.Send(m.client, &needHash{name: m.name})
	default:
		c.admit(ctx, &openChannel{hash: m.hash}, m)
	}
}

// admit lets a client join, if its password is the channel's.
func (c *channels) admit(ctx actor.Context, o *openChannel, m *subscribe) {
	switch {
	case o.hash != nil && m.hasPassword && len(m.hash) != len(o.hash): // not hashed yet, or the other way
		ctx.Send(m.client, &needHash{m.name, len(o.hash) == longHash})
		return
	case o.hash != nil && subtle.ConstantTimeCompare(o.hash, m.hash) != 1:
		ctx.Send(m.client, &refused{m.name, reasonPassword})
		return
	case o.pid == nil:
		o.pid = c.spawn(ctx, m.name, o.hash)
		c.open[m.name], c.byPID[o.pid.GetId()], c.names = o, m.name, nil
	}
	o.joins++
	m.channel = o.pid
	ctx.Send(o.pid, &join{m})
}

// onAgain takes up a subscribe whose join was lost with its channel, once: it
// may be the reason. The answer to any other is on its way.
func (c *channels) onAgain(ctx actor.Context, m *again) {
	switch {
	case !m.lost.Equal(m.sub.channel):
	case m.sub.again:
		ctx.Send(m.sub.client, &refused{m.sub.name, reasonBusy})
	default:
		m.sub.again = true
		c.onSubscribe(ctx, m.sub)
	}
}

// onRestarting answers the subscribe that made this actor fail: it is gone. So
// are those who waited with it for a name.
func (c *channels) onRestarting(ctx actor.Context) {
	if c.at != nil {
		ctx.Send(c.at.client, &refused{c.at.name, reasonBusy})
	}
	if c.fresh != nil {
		c.giveUp(ctx, c.fresh)
	}
}

func (c *channels) spawn(ctx actor.Context, name string, hash []byte) *actor.PID {
	root := ctx.ActorSystem().Root
	metrics := tree.Of(ctx.ActorSystem())
	return tree.Spawn(ctx, "", tree.Spec{
		New:    func() actor.Actor { return newChannel(name, c.fanout, newCrossing(c.mesh, hash)) },
		Inline: true,
		Refused: func(m any) {
			if p, ok := m.(*publish); ok {
				metrics.Drop(tree.SlowDown, 1)
				root.Send(p.link, &relaypb.Answer{Reason: reasonSlowDown, Nonce: p.nonce, Charge: p.charge})
				return
			}
			metrics.Drop(tree.MailboxFull, 1)
		},
	})
}

// onEmptied closes a channel that nobody is subscribed to, unless a join is
// still on its way to it.
func (c *channels) onEmptied(ctx actor.Context, m *emptied) {
	o := c.open[m.name]
	if o == nil || !o.pid.Equal(ctx.Sender()) || o.joins != m.joins {
		return
	}
	c.forget(ctx, m.name, o)
	ctx.Stop(o.pid)
	if m.past != nil {
		ctx.Send(c.kept.met.stats, &closed{o.pid, m.past})
	}
}

func (c *channels) forget(ctx actor.Context, name string, o *openChannel) {
	delete(c.open, name)
	delete(c.byPID, o.pid.GetId())
	c.names = nil
	c.give(ctx, name)
}

// onEvict ends a channel whose name belongs to others. The members are told
// when its actor has ended, and so behind all that it sent them.
func (c *channels) onEvict(ctx actor.Context, m *meshpb.Evict) {
	if o := c.open[m.GetChannel()]; o != nil {
		ctx.Stop(o.pid)
	}
}

// onTerminated finds out whether a channel failed or was evicted: those that
// were closed are forgotten before.
func (c *channels) onTerminated(ctx actor.Context, m *actor.Terminated) {
	if name, failed := c.byPID[m.GetWho().GetId()]; failed {
		o := c.open[name]
		c.forget(ctx, name, o)
		ctx.Send(c.kept.met.clients, &lost{name, o.pid})
	}
}

func (c *channels) onList(ctx actor.Context, m *list) {
	if c.names == nil {
		c.names = slices.Sorted(maps.Keys(c.open))
	}
	ctx.Send(m.link, &relaypb.Answer{
		Ok: true, Nonce: m.nonce, Charge: messages.ChargeAll,
		List: &relaypb.Channels{Open: c.names, Subscribed: m.subscribed},
	})
}

// onCount lets every channel answer stats itself.
func (c *channels) onCount(ctx actor.Context, m *count) {
	ctx.Send(ctx.Sender(), &counting{m.round, len(c.open)})
	for _, o := range c.open {
		ctx.RequestWithCustomSender(o.pid, m, ctx.Sender())
	}
}
