package relay

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/meshpb"
	"parley/messages/relaypb"
)

// channel fans messages out to its members. It does not care where they come
// from: a client, another node, and later a broker.
//
//	parent    channels
//	receives  publish, meshpb.Delivery, join, leave, count, sweep
//	sends     messages.Multicast to shards; meshpb.Carry, meshpb.Publish to the router; joined, left to clients; emptied to channels; counted to stats
//	stops     by channels, when it is empty
type channel struct {
	name   string // fixed at spawn
	fanout Fanout
	cross  *crossing // nil: there is no mesh

	parts []part // owned, as all that follows; by shard
	size  int    // members
	joins uint64 // processed so far
	ring  *ring  // nil: silent for a minute
	swept *tree.Timer
}

// part is a channel's members in one shard. The lists that multicasts carry are
// frozen: they grow behind what was handed out, and are copied to shrink.
type part struct {
	firm, lossy         []uint64
	firmLent, lossyLent bool
}

// sweep frees the ring of a silent channel.
type sweep struct{}

// IgnoreDeadLetterLogging marks messages that may find the channel stopped.
func (sweep) IgnoreDeadLetterLogging() {}

func newChannel(name string, f Fanout, x *crossing) *channel {
	return &channel{name: name, fanout: f, cross: x, parts: make([]part, len(f.Shards))}
}

func (c *channel) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		c.cross.carry(ctx, c.name) // before its first join is answered
	case *actor.Stopping:
		c.swept.Stop()
	case *publish:
		c.onPublish(ctx, m)
	case *meshpb.Delivery:
		c.onDelivery(ctx, m.GetMessage())
	case *join:
		c.onJoin(ctx, m.sub)
	case *leave:
		c.onLeave(ctx, m)
	case *count:
		c.onCount(ctx, m)
	case sweep:
		c.onSweep(ctx)
	}
}

// onPublish sends one message to the mesh and to each shard that has members;
// the sender's shard answers it behind its deliveries.
func (c *channel) onPublish(ctx actor.Context, m *publish) {
	if c.behind() {
		tree.Of(ctx.ActorSystem()).Drop(tree.SlowDown, 1)
		ctx.Send(m.link, &relaypb.Answer{Reason: reasonSlowDown, Nonce: m.nonce, Charge: m.charge})
		return
	}
	c.cross.pass(ctx, c.name, m) // before the answer: that says it is queued
	shared := &messages.Shared{Message: &relaypb.Message{Channel: c.name, Message: m.message, Nonce: m.nonce}}
	home := c.fanout.shardOf(m.member)
	for i := range c.parts {
		p := &c.parts[i]
		if i != home && len(p.firm)+len(p.lossy) == 0 {
			continue
		}
		p.firmLent, p.lossyLent = true, true
		out := &messages.Multicast{Members: p.firm, Lossy: p.lossy, Frame: shared, Source: c.name, Size: len(m.message) + len(m.nonce), Origin: m.member}
		if i == home {
			out.Charge = m.charge
			if !m.silent {
				out.Answer = &relaypb.Answer{Ok: true, Nonce: m.nonce}
			}
		}
		ctx.Send(c.fanout.Shards[i], out)
	}
	c.record(ctx, len(m.message), c.size-1)
}

// behind tells whether there is no room for a message.
func (c *channel) behind() bool {
	for i := range c.parts {
		if c.fanout.Gauges[i].Bytes() > slowDownAt {
			return true
		}
	}
	return c.cross.behind()
}

// onDelivery sends a message from another node to all members. Nobody here waits
// for an answer, and the links between nodes are slowed by what is queued.
func (c *channel) onDelivery(ctx actor.Context, m *meshpb.Message) {
	if c.size == 0 { // it is being closed, and what it counted is not its own any more
		return
	}
	shared := &messages.Shared{Message: &relaypb.Message{Channel: c.name, Message: m.GetPayload(), Nonce: m.GetNonce()}}
	for i := range c.parts {
		p := &c.parts[i]
		if len(p.firm)+len(p.lossy) == 0 {
			continue
		}
		p.firmLent, p.lossyLent = true, true
		ctx.Send(c.fanout.Shards[i], &messages.Multicast{
			Members: p.firm, Lossy: p.lossy, Frame: shared, Source: c.name, Size: len(m.GetPayload()) + len(m.GetNonce()),
		})
	}
	c.record(ctx, len(m.GetPayload()), c.size)
}

// record counts a message that entered the channel here.
func (c *channel) record(ctx actor.Context, bytes, deliveries int) {
	if c.ring == nil {
		c.ring = &ring{}
		c.swept = tree.After(ctx, ringSpan, sweep{})
	}
	c.ring.add(time.Now().Unix(), bytes, deliveries)
}

func (c *channel) onSweep(ctx actor.Context) {
	if c.ring.silent(time.Now().Unix()) {
		c.ring, c.swept = nil, nil
		return
	}
	c.swept = tree.After(ctx, ringSpan, sweep{})
}

func (c *channel) onJoin(ctx actor.Context, m *subscribe) {
	c.joins++
	p := &c.parts[c.fanout.shardOf(m.member)]
	if m.lossy {
		p.lossy = append(p.lossy, m.member)
	} else {
		p.firm = append(p.firm, m.member)
	}
	c.size++
	ctx.Send(m.client, &joined{c.name, ctx.Self()}) // before the answer: the client may send as soon as it reads that
	c.answer(ctx, m.member, m.nonce)
}

func (c *channel) onLeave(ctx actor.Context, m *leave) {
	p := &c.parts[c.fanout.shardOf(m.member)]
	before := len(p.lossy) + len(p.firm)
	if m.lossy {
		p.lossy, p.lossyLent = without(p.lossy, m.member, p.lossyLent)
	} else {
		p.firm, p.firmLent = without(p.firm, m.member, p.firmLent)
	}
	if len(p.lossy)+len(p.firm) == before {
		return // it failed before it had joined
	}
	c.size--
	if m.client != nil {
		c.answer(ctx, m.member, m.nonce)
		ctx.Send(m.client, &left{ctx.Self()})
	}
	if c.size == 0 {
		ctx.Request(ctx.Parent(), &emptied{c.name, c.joins, c.ring})
	}
}

// without takes a member out of a list; what was handed out is copied first.
func without(list []uint64, member uint64, lent bool) ([]uint64, bool) {
	i := slices.Index(list, member)
	if i < 0 {
		return list, lent
	}
	if lent {
		list = slices.Clone(list)
	}
	last := len(list) - 1
	list[i] = list[last]
	return list[:last], false
}

// answer says ok to a member, in its place among the channel's messages.
func (c *channel) answer(ctx actor.Context, member uint64, nonce []byte) {
	ctx.Send(c.fanout.Shards[c.fanout.shardOf(member)], &messages.Multicast{
		Origin: member, Answer: &relaypb.Answer{Ok: true, Nonce: nonce}, Charge: 1,
	})
}

func (c *channel) onCount(ctx actor.Context, m *count) {
	ctx.Respond(&counted{m.round, ctx.Self(), c.name, c.size, c.ring.clone()})
}
