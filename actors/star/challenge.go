package star

import (
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/star/peerid"
	"parley/actors/tree"
)

const (
	checksMost = 1024      // signatures that may wait: some 25 ms of a core with keys of 2,048 bits
	nonceSweep = nonceTime // between two looks for nonces that are out of date
)

// challenge knows who has been asked to sign what. A nonce is its session's and
// its address's, is good for nonceTime, and is over with the first signature of
// it that is right.
//
//	parent    node
//	receives  prove, forget, checked, sweepNonces
//	sends     proven to session
//	stops     with the node
type challenge struct {
	venue *venue // fixed at spawn

	nonces   map[string][]*nonce // by session's id; owned, as all that follows
	running  int                 // checks
	waiting  []*check            // for their turn, oldest first
	sweeping *tree.Timer         // nil: there is nothing to sweep
}

// nonce is what a client is to sign.
type nonce struct {
	address string
	text    string
	key     []byte // public key as in a join; it is known to be one
	until   time.Time
}

// check is a signature to be checked.
type check struct {
	session   *actor.PID
	turn      uint64
	nonce     *nonce
	signature []byte
}

// checked says how a check ended.
type checked struct {
	check *check
	right bool
}

// sweepNonces asks for a look at nonces that are out of date.
type sweepNonces struct{}

// IgnoreDeadLetterLogging marks messages that may find challenge stopped.
func (sweepNonces) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find challenge stopped.
func (*checked) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find a session stopped.
func (*proven) IgnoreDeadLetterLogging() {}

func newChallenge(v *venue) actor.Actor {
	return &challenge{venue: v, nonces: map[string][]*nonce{}}
}

func (c *challenge) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		c.sweep(ctx) // a restart may have lost its timer
	case *actor.Stopping:
		c.sweeping.Stop()
	case *prove:
		c.onProve(ctx, m)
	case *checked:
		c.onChecked(ctx, m)
	case *forget:
		c.onForget(m)
	case sweepNonces:
		c.onSweep(ctx)
	}
}

func (c *challenge) onForget(m *forget) {
	id := m.session.GetId()
	if m.address == "" {
		delete(c.nonces, id)
		return
	}
	c.keep(id, slices.DeleteFunc(c.nonces[id], func(n *nonce) bool { return n.address == m.address }))
}

// onProve is both steps of a challenge: with a nonce under way, data is a
// signature, otherwise a public key. One that comes with a nonce under way begins
// anew: the client may have missed the answer.
func (c *challenge) onProve(ctx actor.Context, m *prove) {
	session := ctx.Sender()
	key, reason := c.key(m)
	if n := c.find(session, m.address); n != nil {
		if reason != "" {
			c.verify(ctx, session, m, n)
			return
		}
		c.onForget(&forget{session, m.address})
	}
	switch {
	case reason != "":
	case len(c.nonces[session.GetId()]) >= addressesMost:
		reason = errTooMany
	default:
		n := &nonce{address: m.address, text: c.venue.Draw(), key: key, until: c.venue.Now().Add(nonceTime)}
		c.nonces[session.GetId()] = append(c.nonces[session.GetId()], n)
		if c.sweeping == nil {
			c.sweep(ctx)
		}
		ctx.Respond(&proven{turn: m.turn, nonce: n.text})
		return
	}
	ctx.Respond(&proven{turn: m.turn, reason: reason})
}

// key is the public key of a join, if the address is its.
func (c *challenge) key(m *prove) (raw []byte, reason string) {
	if len(m.data) > hex.EncodedLen(peerid.KeyMost) {
		return nil, errCrypto
	}
	raw, err := hex.DecodeString(m.data)
	if err != nil {
		return nil, errCrypto
	}
	key, err := peerid.ParseKey(raw)
	if err != nil {
		return nil, errCrypto
	}
	if !key.Has(peerid.OfAddress(m.address)) {
		return nil, errNotMatching
	}
	return raw, ""
}

// find returns the nonce of a session for an address; nil: there is none. Those
// of the session that are out of date are dropped on the way.
func (c *challenge) find(session *actor.PID, address string) *nonce {
	all, ok := c.nonces[session.GetId()]
	if !ok {
		return nil
	}
	all = c.current(session.GetId(), all)
	i := slices.IndexFunc(all, func(n *nonce) bool { return n.address == address })
	if i < 0 {
		return nil
	}
	return all[i]
}

// current drops the nonces of a session that are out of date.
func (c *challenge) current(id string, all []*nonce) []*nonce {
	now := c.venue.Now()
	return c.keep(id, slices.DeleteFunc(all, func(n *nonce) bool { return !now.Before(n.until) }))
}

// keep replaces the nonces of a session.
func (c *challenge) keep(id string, all []*nonce) []*nonce {
	if len(all) == 0 {
		delete(c.nonces, id)
		return nil
	}
	c.nonces[id] = all
	return all
}

// verify has a signature checked, off the actors.
func (c *challenge) verify(ctx actor.Context, session *actor.PID, m *prove, n *nonce) {
	if len(m.data) > hex.EncodedLen(peerid.SignatureMost) {
		ctx.Respond(&proven{turn: m.turn, reason: errSignature})
		return
	}
	signature, err := hex.DecodeString(m.data)
	if err != nil {
		ctx.Respond(&proven{turn: m.turn, reason: errSignature})
		return
	}
	if len(c.waiting) >= checksMost {
		ctx.Respond(&proven{turn: m.turn, reason: errBusy})
		return
	}
	c.waiting = append(c.waiting, &check{session: session, turn: m.turn, nonce: n, signature: signature})
	c.next(ctx)
}

// next starts as many checks as there may be at once.
func (c *challenge) next(ctx actor.Context) {
	for c.running < c.venue.Workers && len(c.waiting) > 0 {
		k := c.waiting[0]
		c.waiting[0] = nil
		if c.waiting = c.waiting[1:]; len(c.waiting) == 0 {
			c.waiting = nil
		}
		c.running++
		root, self, sys := ctx.ActorSystem().Root, ctx.Self(), ctx.ActorSystem()
		done := &checked{check: k}
		c.venue.Verify(func() { done.right = k.run(sys) }, func() { root.Send(self, done) })
	}
}

// run tells whether the signature is right. It is not on an actor's goroutine: a
// panic would end the process, for what anybody may send.
func (k *check) run(sys *actor.ActorSystem) (right bool) {
	defer func() {
		if r := recover(); r != nil {
			tree.Of(sys).Panicked()
			tree.Log(sys).Error("check of a signature panicked", slog.Any("reason", r))
			right = false
		}
	}()
	key, err := peerid.ParseKey(k.nonce.key)
	return err == nil && key.Verify([]byte(k.nonce.text), k.signature)
}

// onChecked ends a check. The nonce must still be good: its session may have
// left meanwhile, or its time be over.
func (c *challenge) onChecked(ctx actor.Context, m *checked) {
	c.running--
	c.next(ctx)
	k := m.check
	answer := &proven{turn: k.turn}
	if n := c.find(k.session, k.nonce.address); n != k.nonce || !m.right {
		answer.reason = errSignature
	} else {
		id := k.session.GetId()
		c.keep(id, slices.DeleteFunc(c.nonces[id], func(other *nonce) bool { return other == n }))
	}
	ctx.Send(k.session, answer)
}

func (c *challenge) onSweep(ctx actor.Context) {
	for id, all := range c.nonces {
		c.current(id, all)
	}
	c.sweep(ctx)
}

// sweep sets the timer of the next sweep, if there is anything to look at then.
func (c *challenge) sweep(ctx actor.Context) {
	c.sweeping.Stop()
	c.sweeping = nil
	if len(c.nonces) > 0 {
		c.sweeping = tree.After(ctx, nonceSweep, sweepNonces{})
	}
}

// uuid draws a random UUID, version 4 of RFC 9562.
func uuid() string {
	var b [16]byte
	_, _ = rand.Read(b[:])  // it never fails
	b[6] = b[6]&0x0f | 0x40 // version
	b[8] = b[8]&0x3f | 0x80 // variant
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
