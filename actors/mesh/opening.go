package mesh

import (
	"crypto/subtle"
	"slices"
	"time"
	"unique"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/meshpb"
)

// Lengths of the hashes of passwords, in bytes.
const (
	hashLong  = 64 // SHA-512, of other programs
	hashShort = 32 // SHA-256
)

type (
	// opening is a name that this node claims, and asks the others about first.
	opening struct {
		claim   *claim
		waiting []waiter // the first of them is whose password the claim has
	}
	// waiter is who asks for a name.
	waiter struct {
		from *actor.PID
		m    *meshpb.OpenRequest
	}
	// hint is a claim that a refusal told of: the record that it stands in is
	// still on its way.
	hint struct {
		claim *claim
		at    time.Time
	}
	// firstTime is this node's first synchronisation: who opens a name then would
	// find it free only because nobody has told us yet.
	firstTime struct {
		running, over bool
		waiting       []waiter
		timer         *tree.Timer
	}
	// firstSyncOver says that openings have waited long enough.
	firstSyncOver struct{}
)

// IgnoreDeadLetterLogging marks messages that may find reservations stopped.
func (firstSyncOver) IgnoreDeadLetterLogging() {}

func (r *reservations) onOpen(ctx actor.Context, m *meshpb.OpenRequest) {
	w := waiter{ctx.Sender(), m}
	if r.first.running {
		r.first.waiting = append(r.first.waiting, w)
		return
	}
	r.decideAll(ctx, []waiter{w})
}

// beginFirst has openings wait from when the first link comes up.
func (r *reservations) beginFirst(ctx actor.Context) {
	if !r.first.running && !r.first.over {
		r.first.running = true
		r.first.timer = tree.After(ctx, firstSync, firstSyncOver{})
	}
}

func (r *reservations) endFirst(ctx actor.Context) {
	r.first.timer.Stop()
	r.first.running, r.first.over = false, true
	all := r.first.waiting
	r.first.waiting = nil
	r.decideAll(ctx, all)
}

func (r *reservations) decideAll(ctx actor.Context, all []waiter) {
	for i := range all {
		r.at = all[i:]
		r.decide(ctx, all[i])
	}
	r.at = nil
}

// decide says who may open a name here. The first one's password, or none, is
// the name's; one without ignores a given one.
func (r *reservations) decide(ctx actor.Context, w waiter) {
	name := w.m.GetChannel()
	if o := r.asking[name]; o != nil {
		o.waiting = append(o.waiting, w)
		return
	}
	c := r.records.effective(name)
	if h, told := r.hints[name]; told && c == nil && time.Since(h.at) < hintSpan {
		c = h.claim
	}
	if c == nil {
		r.claim(ctx, w)
		return
	}
	if r.left(name) && !agrees(c.hash, w.m) {
		r.claim(ctx, w)
		return
	}
	outcome := fits(c.hash, w.m)
	if outcome == meshpb.Outcome_OUTCOME_OPEN {
		r.join(ctx, name, c)
	}
	r.answer(ctx, &w, outcome, c.hash)
}

// left tells whether a name lingers here and nobody else has it: it is whose who
// comes next.
func (r *reservations) left(name string) bool {
	_, lingers := r.linger.since[name]
	return lingers && r.records.alone(name)
}

// agrees tells whether who opens a name wants it to be as it was. A password that
// is not hashed yet may be the one.
func agrees(hash string, m *meshpb.OpenRequest) bool {
	if !m.GetHasPassword() || hash == "" {
		return !m.GetHasPassword() && hash == ""
	}
	return len(m.GetHash()) != len(hash) || subtle.ConstantTimeCompare([]byte(hash), m.GetHash()) == 1
}

// fits compares a client's password with a name's.
func fits(hash string, m *meshpb.OpenRequest) meshpb.Outcome {
	switch {
	case hash == "":
		return meshpb.Outcome_OUTCOME_OPEN
	case !m.GetHasPassword():
		return meshpb.Outcome_OUTCOME_WRONG_PASSWORD
	case len(hash) == hashLong && len(m.GetHash()) != hashLong:
		return meshpb.Outcome_OUTCOME_NEED_LONG_HASH
	case len(hash) == hashShort && len(m.GetHash()) != hashShort:
		return meshpb.Outcome_OUTCOME_NEED_HASH
	case subtle.ConstantTimeCompare([]byte(hash), m.GetHash()) != 1:
		return meshpb.Outcome_OUTCOME_WRONG_PASSWORD
	}
	return meshpb.Outcome_OUTCOME_OPEN
}

// answer ends an OpenRequest.
func (r *reservations) answer(ctx actor.Context, w *waiter, outcome meshpb.Outcome, hash string) {
	if w.from == nil {
		return
	}
	m := &meshpb.OpenResponse{Channel: w.m.GetChannel(), Outcome: outcome}
	if outcome == meshpb.Outcome_OUTCOME_OPEN && hash != "" {
		m.Hash = []byte(hash)
	}
	ctx.Send(w.from, m)
}

// join opens a name that is known, or that was left behind here: who joins
// copies the claim.
func (r *reservations) join(ctx actor.Context, name string, c *claim) {
	if r.records.entry(r.records.own, name) != nil {
		r.linger.end(name)
		return
	}
	r.reserve(ctx, name, c, 0, func(ctx actor.Context, m *meshpb.AskResponse) { r.onReserved(ctx, name, c, m) })
}

// claim opens a name that is free, as far as this node knows. With the option
// AskFirst it hears the others first; without it, they can only evict.
func (r *reservations) claim(ctx actor.Context, w waiter) {
	name, hash := w.m.GetChannel(), ""
	if w.m.GetHasPassword() {
		if len(w.m.GetHash()) != hashShort {
			r.answer(ctx, &w, meshpb.Outcome_OUTCOME_NEED_HASH, "")
			return
		}
		hash = string(w.m.GetHash())
	}
	if r.linger.end(name) {
		r.unreserve(ctx, name)
	}
	c := &claim{ts: uint64(r.o.Now().UnixMilli()), owner: unique.Make(r.o.Name), hash: hash}
	if r.o.AskFirst <= 0 || len(r.links) == 0 {
		r.reserve(ctx, name, c, 0, func(ctx actor.Context, m *meshpb.AskResponse) { r.onReserved(ctx, name, c, m) })
		r.answer(ctx, &w, meshpb.Outcome_OUTCOME_OPEN, hash)
		return
	}
	o := &opening{claim: c, waiting: []waiter{w}}
	r.asking[name] = o
	r.reserve(ctx, name, c, r.o.AskFirst, func(ctx actor.Context, m *meshpb.AskResponse) {
		if r.asking[name] == o {
			r.onAsked(ctx, name, o, m)
		}
	})
}

// onAsked ends an opening: the others have answered, or had time to.
func (r *reservations) onAsked(ctx actor.Context, name string, o *opening, m *meshpb.AskResponse) {
	delete(r.asking, name)
	refused, winner := r.refusal(name, o.claim, m)
	switch {
	case !refused:
		r.answer(ctx, &o.waiting[0], meshpb.Outcome_OUTCOME_OPEN, o.claim.hash)
		r.decideAll(ctx, o.waiting[1:])
		return
	case winner != nil:
		r.believe(name, winner)
	default: // by who does not say whose it is
		r.answer(ctx, &o.waiting[0], meshpb.Outcome_OUTCOME_WRONG_PASSWORD, "")
		o.waiting = o.waiting[1:]
	}
	r.unreserve(ctx, name)
	r.decideAll(ctx, o.waiting)
}

// onReserved takes the answers to a name that is open here already.
func (r *reservations) onReserved(ctx actor.Context, name string, c *claim, m *meshpb.AskResponse) {
	if own := r.records.entry(r.records.own, name); own == nil || *own != *c {
		return // it was closed since, or opened anew
	}
	refused, winner := r.refusal(name, c, m)
	if !refused {
		return
	}
	if winner != nil {
		r.believe(name, winner)
	}
	r.evict(ctx, name)
}

// refusal tells whether a claim lost against what somebody answered, and against
// whom; nil: that was not said. A claim that is not smaller does not count, the
// answer crossed ours.
func (r *reservations) refusal(name string, c *claim, m *meshpb.AskResponse) (refused bool, winner *claim) {
	for _, a := range m.GetAnswers() {
		if !refuses(a.GetResponse(), reasonReserved) {
			continue
		}
		e := a.GetResponse().GetWinner()
		if e == nil || e.GetClaim() == nil {
			if rec := r.records.nodes[a.GetNode()]; rec == nil || rec.foreign {
				refused = true
			}
			continue
		}
		w, ok := claimOf(e.GetPassword(), e.GetClaim(), a.GetNode())
		if ok && w.hash != c.hash && w.before(c) && (winner == nil || w.before(winner)) {
			refused, winner = true, &w
		}
	}
	if here := r.records.effective(name); refused && winner == nil && here != nil && here.hash != c.hash {
		winner = here
	}
	return refused, winner
}

// believe keeps whom a name belongs to until the record says so, too.
func (r *reservations) believe(name string, c *claim) {
	if len(r.hints) < hintsMost {
		r.hints[name] = hint{c, time.Now()}
	}
}

// evict gives up a name that belongs to others, who opened it with another
// password.
func (r *reservations) evict(ctx actor.Context, name string) {
	o := r.asking[name]
	left := r.linger.end(name)
	r.unreserve(ctx, name)
	switch {
	case o != nil:
		delete(r.asking, name)
		r.decideAll(ctx, slices.Clone(o.waiting))
	case !left && r.met.Channels != nil:
		ctx.Send(r.met.Channels, &meshpb.Evict{Channel: name})
	}
}
