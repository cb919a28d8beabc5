package enclave

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
)

// How often people, and the database, are told how one peer is: paceMost times at
// once, and then once in paceEvery. Source: gateways/enclave/PROTOCOL.md, Limits.
const (
	paceMost  = 4
	paceEvery = 250 * time.Millisecond
)

// presenceDue says that it may be told again how a peer is.
type presenceDue struct{ round uint64 }

// IgnoreDeadLetterLogging marks messages that may find a friend stopped.
func (presenceDue) IgnoreDeadLetterLogging() {}

// pace is how fast it is told how a peer is: what changes in between is told as it
// is in the end.
type pace struct {
	full  time.Time   // when paceMost may be told at once again
	timer *tree.Timer // until presenceDue; nil: nothing waits
	round uint64      // tells an older presenceDue
}

// changed tells how the peer of f is, now or when it is time.
func (p *pace) changed(ctx actor.Context, f *friend) {
	if p.timer != nil {
		return
	}
	now := time.Now()
	if p.full.Before(now) {
		p.full = now
	}
	if wait := p.full.Sub(now) - (paceMost-1)*paceEvery; wait > 0 {
		p.round++
		p.timer = tree.After(ctx, wait, presenceDue{p.round})
		return
	}
	p.full = p.full.Add(paceEvery)
	f.tellPresence(ctx)
	ctx.Send(f.met.book, &seen{f.address, f.presence, uint64(f.now())})
}

// stop forgets what waits.
func (p *pace) stop() {
	p.timer.Stop()
	p.timer = nil
}

func (f *friend) onPresenceDue(ctx actor.Context, m presenceDue) {
	if f.pace.timer != nil && m.round == f.pace.round {
		f.pace.timer = nil
		f.pace.changed(ctx, f)
	}
}
