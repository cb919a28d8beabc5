package relay

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/linkpb"
	"parley/messages/relaypb"
	"parley/messages/vaultpb"
)

// client serves one connection: it knows the subscriptions, answers what is
// wrong, and passes the rest on.
//
//	parent    clients
//	receives  relaypb.Subscribe, relaypb.Unsubscribe, relaypb.List, relaypb.Send, linkpb.Malformed, linkpb.Closed, vaultpb.HashResponse, joined, left, refused, needHash, lost, busyOver
//	sends     linkpb.Accepted, linkpb.Close, linkpb.Settled, relaypb.Answer, relaypb.Error to its link; subscribe, again, abandon, lastWord, list to channels; publish, leave, join to a channel; vaultpb.HashRequest, vaultpb.Remember to vault
//	stops     when the link stops and no subscribe is under way
type client struct {
	limits   *Limits // fixed at spawn, as all of this block
	member   uint64
	channels *actor.PID
	vault    *actor.PID

	link    *actor.PID     // nil: gone
	was     *actor.PID     // link, when it is gone
	subs    []subscription // owned, as all that follows
	trouble *trouble       // nil: it never had any
}

// subscription is one channel of a client.
type subscription struct {
	name    string
	channel *actor.PID // nil: being subscribed
	asked   *asked     // nil: done
	lossy   bool
}

// asked is a subscribe that is under way.
type asked struct {
	m       *relaypb.Subscribe
	sent    *subscribe // what channels was asked last
	hash    []byte     // of m's password, once known
	long    bool       // that hash is, or will be, a long one
	rounds  int        // hashes that channels wanted
	waiting []any      // commands for this channel that came meanwhile, and listings
}

// listing is a list that waits for subscribes.
type listing struct {
	m    *relaypb.List
	own  []string // subscribed
	open int      // subscribes under way
}

// trouble is what only some clients need.
type trouble struct {
	hashing  []string  // names whose passwords wait for the vault, one at a time
	leaving  []parting // unsubscribes that their channels have not answered
	wrong    tally
	errors   tally
	busies   int // in a row
	busyWait *tree.Timer
}

// parting is an unsubscribe under way.
type parting struct {
	channel *actor.PID
	nonce   []byte
}

func (c *client) troubled() *trouble {
	if c.trouble == nil {
		c.trouble = &trouble{}
	}
	return c.trouble
}

// busyOver says that busyPause is over.
type busyOver struct{}

// IgnoreDeadLetterLogging marks messages that may find the client stopped.
func (busyOver) IgnoreDeadLetterLogging() {}

func (c *client) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		ctx.Request(c.link, &linkpb.Accepted{})
	case *actor.Stopping:
		c.onStopping(ctx)
	case *linkpb.Closed, *actor.DeadLetterResponse: // the link is gone, perhaps before it was accepted
		c.onClosed(ctx)
	case *relaypb.Send:
		c.onSend(ctx, m)
	case *relaypb.Subscribe:
		c.onSubscribe(ctx, m)
	case *relaypb.Unsubscribe:
		c.onUnsubscribe(ctx, m)
	case *relaypb.List:
		c.onList(ctx, m)
	case *linkpb.Malformed:
		c.onMalformed(ctx, m)
	case *joined:
		c.onJoined(ctx, m)
	case *left:
		c.parted(m.channel)
	case *refused:
		c.onRefused(ctx, m)
	case *needHash:
		c.onNeedHash(ctx, m)
	case *vaultpb.HashResponse:
		c.onHashResponse(ctx, m)
	case busyOver:
		c.onBusyOver(ctx)
	case *lost:
		c.onLost(ctx, m)
	}
}

// onStopping tells the peer when this actor ends first: it failed, or the node
// shuts down.
func (c *client) onStopping(ctx actor.Context) {
	if c.trouble != nil {
		c.trouble.busyWait.Stop()
	}
	if c.link != nil {
		ctx.Send(c.link, &linkpb.Close{Code: closeInternal, Reason: "internal error"})
	}
	for _, s := range c.subs {
		bye := leave{member: c.member, lossy: s.lossy}
		if s.channel != nil {
			ctx.Send(s.channel, &bye)
		} else {
			ctx.Send(c.channels, &abandon{s.name, bye})
		}
	}
	c.subs = nil
}

// onClosed leaves all channels. A subscribe under way is waited for, or its
// channel would keep a member that is gone; passwords that wait for the vault
// are not worth its while any more. The link's reader may still send commands.
func (c *client) onClosed(ctx actor.Context) {
	if c.link != nil {
		c.was, c.link = c.link, nil
	}
	var unasked []string
	if t := c.trouble; t != nil {
		t.leaving = nil
		if len(t.hashing) > 1 {
			t.hashing, unasked = t.hashing[:1], t.hashing[1:]
		}
	}
	c.subs = slices.DeleteFunc(c.subs, func(s subscription) bool {
		if s.channel != nil {
			ctx.Send(s.channel, &leave{member: c.member, lossy: s.lossy})
		}
		return s.channel != nil || slices.Contains(unasked, s.name)
	})
	c.stopWhenDone(ctx)
}

func (c *client) stopWhenDone(ctx actor.Context) {
	if c.link == nil && len(c.subs) == 0 {
		ctx.Stop(ctx.Self())
	}
}

func (c *client) find(name string) *subscription {
	for i := range c.subs {
		if c.subs[i].name == name {
			return &c.subs[i]
		}
	}
	return nil
}

func (c *client) drop(name string) {
	c.subs = slices.DeleteFunc(c.subs, func(s subscription) bool { return s.name == name })
}

// onSend is the hot path.
func (c *client) onSend(ctx actor.Context, m *relaypb.Send) {
	if len(m.GetMessage()) == 0 || m.GetChannel() == "" {
		reason := reasonChannel
		if len(m.GetMessage()) == 0 {
			reason = reasonMessage
		}
		c.fail(ctx, reason, m.GetNonce(), m.GetCharge())
		return
	}
	s := c.find(m.GetChannel())
	switch {
	case s == nil:
		c.fail(ctx, reasonUnknown, m.GetNonce(), m.GetCharge())
	case s.channel == nil:
		s.asked.waiting = append(s.asked.waiting, m)
	default:
		c.publish(ctx, s.channel, m, c.link)
	}
}

func (c *client) publish(ctx actor.Context, channel *actor.PID, m *relaypb.Send, link *actor.PID) {
	ctx.Send(channel, &publish{
		message: m.GetMessage(), nonce: m.GetNonce(), silent: m.GetSilent(), charge: m.GetCharge(), member: c.member, link: link,
	})
}

func (c *client) onUnsubscribe(ctx actor.Context, m *relaypb.Unsubscribe) {
	s := c.find(m.GetChannel())
	switch {
	case s == nil:
		c.fail(ctx, reasonUnknown, m.GetNonce(), 1)
	case s.channel == nil:
		s.asked.waiting = append(s.asked.waiting, m)
	default:
		t := c.troubled()
		t.leaving = append(t.leaving, parting{s.channel, m.GetNonce()})
		ctx.Send(s.channel, &leave{member: c.member, lossy: s.lossy, client: ctx.Self(), nonce: m.GetNonce()})
		c.drop(m.GetChannel())
	}
}

// parted ends the oldest unsubscribe that a channel has not answered, if there
// is one.
func (c *client) parted(channel *actor.PID) (p parting, ok bool) {
	if c.trouble == nil {
		return p, false
	}
	all := c.trouble.leaving
	i := slices.IndexFunc(all, func(p parting) bool { return p.channel.Equal(channel) })
	if i < 0 {
		return p, false
	}
	p = all[i]
	if c.trouble.leaving = slices.Delete(all, i, i+1); len(all) == 1 {
		c.trouble.leaving = nil
	}
	return p, true
}

// onList says what is subscribed after all commands before it, and so waits for
// the subscribes under way.
func (c *client) onList(ctx actor.Context, m *relaypb.List) {
	l := &listing{m: m, own: make([]string, 0, len(c.subs))}
	for _, s := range c.subs {
		if s.channel == nil {
			s.asked.waiting = append(s.asked.waiting, l)
			l.open++
		} else {
			l.own = append(l.own, s.name)
		}
	}
	c.sendList(ctx, l)
}

func (c *client) sendList(ctx actor.Context, l *listing) {
	if l.open == 0 && c.link != nil {
		slices.Sort(l.own)
		ctx.Send(c.channels, &list{subscribed: l.own, link: c.link, nonce: l.m.GetNonce()})
	}
}

// onMalformed answers what was no command. Many of them end the connection.
func (c *client) onMalformed(ctx actor.Context, m *linkpb.Malformed) {
	if c.link == nil {
		return
	}
	ctx.Send(c.link, &relaypb.Error{Reason: m.GetReason(), Nonce: m.GetNonce(), Charge: m.GetCharge()})
	if c.troubled().errors.add(time.Now()) >= errorsAllowed {
		ctx.Send(c.link, &linkpb.Close{Code: closePolicy, Reason: "too many errors"})
	}
}

// fail answers a command that cannot be done.
func (c *client) fail(ctx actor.Context, reason string, nonce []byte, charge uint32) {
	if c.link != nil {
		ctx.Send(c.link, &relaypb.Answer{Reason: reason, Nonce: nonce, Charge: charge})
	}
}

// onLost forgets a channel whose actor failed. What this client had sent to it
// may be lost: messages, whose credit comes back; an unsubscribe, which is
// answered here; a subscribe, which only channels can tell.
func (c *client) onLost(ctx actor.Context, m *lost) {
	s := c.find(m.name)
	if s != nil && s.channel == nil {
		ctx.Send(c.channels, &again{s.asked.sent, m.channel})
	}
	if c.link == nil {
		return
	}
	for p, ok := c.parted(m.channel); ok; p, ok = c.parted(m.channel) {
		ctx.Send(c.link, &linkpb.Settled{All: true})
		ctx.Send(c.channels, &lastWord{c.member, &relaypb.Answer{Ok: true, Nonce: p.nonce}})
	}
	if s != nil && m.channel.Equal(s.channel) {
		c.drop(m.name)
		ctx.Send(c.link, &linkpb.Settled{All: true})
		ctx.Send(c.channels, &lastWord{c.member, &relaypb.Error{Reason: reasonLost, Channel: m.name}})
	}
}
