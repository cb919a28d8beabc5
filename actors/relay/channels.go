package relay

import (
	"crypto/subtle"
	"maps"
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/relaypb"
)

// channels knows which channels are open, and their passwords: it is where two
// clients that open the same name meet.
//
//	parent    node
//	receives  subscribe, again, abandon, lastWord, emptied, list, count, relaypb.CensusRequest, meet
//	sends     join, leave, count to channels; needHash, refused to clients; relaypb.Answer to links; messages.Multicast to shards; lost to clients; counting, closed to stats
//	stops     with the node
type channels struct {
	limits Limits // fixed at spawn
	fanout Fanout

	open  map[string]*openChannel // owned, as all that follows
	byPID map[string]string       // names by id of the channel's actor
	names []string                // sorted; nil: to be made
	at    *subscribe              // being decided
	met   *meet                   // set by meet; outlives a restart
}

// openChannel is one channel as its supervisor knows it.
type openChannel struct {
	pid   *actor.PID
	hash  []byte // of the password, 32 bytes; nil: none
	joins uint64 // sent so far
}

// meet introduces the actors that were spawned after channels.
type meet struct{ clients, stats *actor.PID }

// SpawnChannels starts the supervisor of channels.
func SpawnChannels(ctx actor.SpawnerContext, limits Limits, f Fanout) *actor.PID {
	met := &meet{}
	return tree.Spawn(ctx, "channels", tree.Spec{New: func() actor.Actor {
		return &channels{limits: limits, fanout: f, met: met, open: map[string]*openChannel{}, byPID: map[string]string{}}
	}})
}

// Meet tells channels whom to report to.
func Meet(ctx actor.SenderContext, channels, clients, stats *actor.PID) {
	ctx.Send(channels, &meet{clients, stats})
}

func (c *channels) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *meet:
		*c.met = *m
	case *subscribe:
		c.onSubscribe(ctx, m)
	case *again:
		c.onAgain(ctx, m)
	case *actor.Restarting:
		c.onRestarting(ctx)
	case *abandon:
		if o := c.open[m.name]; o != nil {
			ctx.Send(o.pid, &m.leave)
		}
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
	o := c.open[m.name]
	switch {
	case o == nil && len(c.open) >= c.limits.Channels:
		ctx.Send(m.client, &refused{m.name, reasonLimit})
		return
	case o == nil && m.hasPassword && m.hash == nil, o != nil && o.hash != nil && m.hasPassword && m.hash == nil:
		ctx.Send(m.client, &needHash{m.name})
		return
	case o == nil:
		o = &openChannel{pid: c.spawn(ctx, m.name), hash: m.hash}
		c.open[m.name], c.byPID[o.pid.GetId()], c.names = o, m.name, nil
	case o.hash != nil && subtle.ConstantTimeCompare(o.hash, m.hash) != 1:
		ctx.Send(m.client, &refused{m.name, reasonPassword})
		return
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

// onRestarting answers the subscribe that made this actor fail: it is gone.
func (c *channels) onRestarting(ctx actor.Context) {
	if c.at != nil {
		ctx.Send(c.at.client, &refused{c.at.name, reasonBusy})
	}
}

func (c *channels) spawn(ctx actor.Context, name string) *actor.PID {
	root := ctx.ActorSystem().Root
	metrics := tree.Of(ctx.ActorSystem())
	return tree.Spawn(ctx, "", tree.Spec{
		New:    func() actor.Actor { return newChannel(name, c.fanout) },
		Inline: true,
		Refused: func(m any) {
			if p, ok := m.(*publish); ok {
				metrics.Drop(tree.SlowDown, 1)
				root.Send(p.link, &relaypb.Answer{Reason: reasonSlowDown, Nonce: p.nonce, Charge: p.charge})
			}
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
	c.forget(m.name, o)
	ctx.Stop(o.pid)
	if m.past != nil {
		ctx.Send(c.met.stats, &closed{o.pid, m.past})
	}
}

func (c *channels) forget(name string, o *openChannel) {
	delete(c.open, name)
	delete(c.byPID, o.pid.GetId())
	c.names = nil
}

// onTerminated finds out whether a channel failed: those that were closed are
// forgotten before.
func (c *channels) onTerminated(ctx actor.Context, m *actor.Terminated) {
	if name, failed := c.byPID[m.GetWho().GetId()]; failed {
		o := c.open[name]
		c.forget(name, o)
		ctx.Send(c.met.clients, &lost{name, o.pid})
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
