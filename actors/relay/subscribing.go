package relay

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/linkpb"
	"parley/messages/relaypb"
	"parley/messages/vaultpb"
)

// A subscribe goes client → channels → channel → joined. If a password must be
// hashed, channels says needHash, the vault hashes off the actors, and the
// client asks channels again. One password a connection is hashed at a time.

func (c *client) onSubscribe(ctx actor.Context, m *relaypb.Subscribe) {
	s := c.find(m.GetChannel())
	switch {
	case c.link == nil: // its reader was slower than its end
	case s != nil && s.channel == nil:
		s.asked.waiting = append(s.asked.waiting, m)
	case s != nil: // twice is fine, and delivered once
		ctx.Send(c.link, &relaypb.Answer{Ok: true, Nonce: m.GetNonce(), Charge: 1})
	case len(c.subs) >= c.limits.ChannelsPerClient:
		c.fail(ctx, reasonLimit, m.GetNonce(), 1)
	default:
		c.subs = append(c.subs, subscription{name: m.GetChannel(), lossy: m.GetLossy(), asked: &asked{m: m}})
		c.ask(ctx, &c.subs[len(c.subs)-1])
	}
}

func (c *client) ask(ctx actor.Context, s *subscription) {
	s.asked.sent = &subscribe{
		name: s.name, hasPassword: s.asked.m.GetHasPassword(), hash: s.asked.hash, lossy: s.lossy,
		member: c.member, client: ctx.Self(), nonce: s.asked.m.GetNonce(),
	}
	ctx.Send(c.channels, s.asked.sent)
}

func (c *client) onJoined(ctx actor.Context, m *joined) {
	s := c.find(m.name)
	if s == nil || s.channel != nil {
		return
	}
	s.channel = m.channel
	if s.asked.hash != nil {
		ctx.Send(c.vault, &vaultpb.Remember{Channel: s.name, Password: s.asked.m.GetPassword(), Hash: s.asked.hash, Long: s.asked.long})
	}
	waiting := s.asked.waiting
	s.asked = nil
	if c.link == nil {
		c.lastWords(ctx, m.channel, waiting)
		ctx.Send(m.channel, &leave{member: c.member, lossy: s.lossy})
		c.drop(m.name)
		c.stopWhenDone(ctx)
		return
	}
	c.replay(ctx, m.name, waiting)
}

// lastWords publishes what a client said behind its subscribe before it left.
func (c *client) lastWords(ctx actor.Context, channel *actor.PID, waiting []any) {
	for _, m := range waiting {
		switch m := m.(type) {
		case *relaypb.Send:
			c.publish(ctx, channel, m, c.was)
		case *relaypb.Unsubscribe:
			return
		}
	}
}

// onRefused answers a subscribe that failed, and counts wrong passwords.
func (c *client) onRefused(ctx actor.Context, m *refused) {
	s := c.find(m.name)
	if s == nil || s.channel != nil {
		return
	}
	asked := s.asked
	c.drop(m.name)
	if c.link == nil {
		c.stopWhenDone(ctx)
		return
	}
	c.fail(ctx, m.reason, asked.m.GetNonce(), 1)
	if m.reason == reasonPassword && c.troubled().wrong.add(time.Now()) >= wrongAllowed {
		ctx.Send(c.link, &linkpb.Close{Code: closePolicy, Reason: "too many wrong passwords"})
	}
	c.replay(ctx, m.name, asked.waiting)
}

// replay takes up the commands that waited for a subscribe to end.
func (c *client) replay(ctx actor.Context, name string, waiting []any) {
	for _, m := range waiting {
		if l, ok := m.(*listing); ok {
			c.resume(ctx, name, l)
			continue
		}
		switch m := m.(type) {
		case *relaypb.Send:
			c.onSend(ctx, m)
		case *relaypb.Subscribe:
			c.onSubscribe(ctx, m)
		case *relaypb.Unsubscribe:
			c.onUnsubscribe(ctx, m)
		}
	}
}

// resume goes on with a list that waited for one of its names.
func (c *client) resume(ctx actor.Context, name string, l *listing) {
	s := c.find(name)
	switch {
	case s != nil && s.channel == nil: // again, by a command between the two
		s.asked.waiting = append(s.asked.waiting, l)
		return
	case s != nil:
		l.own = append(l.own, name)
	}
	l.open--
	c.sendList(ctx, l)
}

func (c *client) onNeedHash(ctx actor.Context, m *needHash) {
	if c.link == nil {
		c.giveUp(ctx, m.name)
		return
	}
	a := c.find(m.name).asked
	if a.long, a.rounds = m.long, a.rounds+1; a.rounds > hashRounds {
		c.onRefused(ctx, &refused{m.name, reasonBusy})
		return
	}
	t := c.troubled()
	t.hashing = append(t.hashing, m.name)
	if len(t.hashing) == 1 {
		c.hash(ctx)
	}
}

// hash asks the vault for the first of hashing.
func (c *client) hash(ctx actor.Context) {
	s := c.find(c.trouble.hashing[0])
	ctx.Request(c.vault, &vaultpb.HashRequest{Channel: s.name, Password: s.asked.m.GetPassword(), Long: s.asked.long})
}

// giveUp forgets a subscribe that channels has not been asked.
func (c *client) giveUp(ctx actor.Context, name string) {
	c.drop(name)
	c.stopWhenDone(ctx)
}

func (c *client) onHashResponse(ctx actor.Context, m *vaultpb.HashResponse) {
	if c.link == nil {
		c.giveUp(ctx, c.trouble.hashing[0])
		return
	}
	if m.GetBusy() {
		tree.Of(ctx.ActorSystem()).Drop(tree.PasswordBusy, 1)
		c.trouble.busyWait = tree.After(ctx, busyPause, busyOver{})
		return
	}
	c.trouble.busies = 0
	s := c.find(c.trouble.hashing[0])
	s.asked.hash = m.GetHash()
	c.ask(ctx, s)
	c.nextHash(ctx)
}

// onBusyOver answers "busy", late on purpose.
func (c *client) onBusyOver(ctx actor.Context) {
	name := c.trouble.hashing[0]
	c.nextHash(ctx)
	c.onRefused(ctx, &refused{name: name, reason: reasonBusy})
	if c.trouble.busies++; c.link != nil && c.trouble.busies >= busyAllowed {
		ctx.Send(c.link, &linkpb.Close{Code: closePolicy, Reason: "too many passwords"})
	}
}

func (c *client) nextHash(ctx actor.Context) {
	t := c.trouble
	if t.hashing = t.hashing[1:]; len(t.hashing) > 0 {
		c.hash(ctx)
	} else {
		t.hashing = nil
	}
}
