package enclave

import (
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
)

const (
	redialProven = 10 * time.Second       // a link that lasted so long was no failure
	freshPause   = 250 * time.Millisecond // until a new friend is dialled: it may be waiting to be let in
	selfFailures = 10                     // that a contact counts as which is this node: it is dialled again after the longest pause
)

// redialDue says that a friend is to be dialled.
type redialDue struct{ round uint64 }

// IgnoreDeadLetterLogging marks messages that may find a friend stopped.
func (redialDue) IgnoreDeadLetterLogging() {}

// redial is when a friend is dialled.
type redial struct {
	fresh    bool // the contact is new
	self     bool // it was this node, when it last said who it is
	wished   bool // friends has a wish, or a dial under way
	bye      bool // the peer said that it goes offline
	warned   bool // that it cannot be reached from where this node listens
	failures int  // in a row
	round    uint64
	timer    *tree.Timer
	rng      *rand.Rand // of jitter; nil: not needed yet
}

// begin dials, unless there is a link.
func (f *friend) begin(ctx actor.Context) {
	f.redial.wished = false
	switch {
	case f.o.Dial == nil:
		f.redial.fresh = false
	case f.redial.fresh:
		f.redial.fresh = false
		f.dialIn(ctx, freshPause)
	case !f.linked():
		f.wish(ctx)
	}
}

// linked reports that there is a link that makes dialling needless.
func (f *friend) linked() bool { return slices.ContainsFunc(f.lines, (*line).counts) }

// counts reports whether a link is one with the friend, as far as is known. Somebody
// else at its address can call and say nothing.
func (l *line) counts() bool { return l.dialled || l.greeted }

// wish asks friends to be dialled to.
func (f *friend) wish(ctx actor.Context) {
	f.dialLater()
	if f.o.Dial == nil || f.state != working {
		return
	}
	f.redial.wished = true
	ctx.Send(f.friends, &wish{f.address, dialAddress(f.addr, f.contact.GetPort())})
}

// dialIn dials after a pause.
func (f *friend) dialIn(ctx actor.Context, pause time.Duration) {
	f.dialLater()
	f.redial.timer = tree.After(ctx, pause, redialDue{f.redial.round})
}

// dialLater forgets that a dial was due.
func (f *friend) dialLater() {
	f.redial.round++
	f.redial.timer.Stop()
	f.redial.timer = nil
}

// dialNoMore ends all that was to lead to a link: there is one.
func (f *friend) dialNoMore(ctx actor.Context) {
	f.redial.bye = false
	f.dialLater()
	if f.redial.wished {
		f.redial.wished = false
		ctx.Send(f.friends, &unwish{f.address})
	}
}

func (f *friend) onRedialDue(ctx actor.Context, m redialDue) {
	if m.round == f.redial.round && !f.linked() {
		f.wish(ctx)
	}
}

func (f *friend) onDialFailed(ctx actor.Context, m *dialFailed) {
	if !f.redial.wished {
		return
	}
	f.redial.wished = false
	log := tree.Log(ctx.ActorSystem())
	log.Debug("a friend cannot be reached", slog.String("address", f.address), slog.String("reason", m.reason))
	if !f.redial.warned && apart(f.local, f.addr) {
		f.redial.warned = true
		log.Warn("a friend cannot be reached from the address that this node listens on: set enclave-address to one of this machine that the friend can reach",
			slog.String("address", f.address), slog.String("enclave-address", f.local.String()), slog.String("reason", m.reason))
	}
	if !f.linked() {
		f.backOff(ctx)
	}
}

// backOff dials again after a pause that grows from try to try.
func (f *friend) backOff(ctx actor.Context) {
	pause := redialMost / 3 * 2 // half of it is added at most
	if f.redial.failures < 10 {
		pause = min(redialFirst<<f.redial.failures, pause)
	}
	f.redial.failures++
	f.dialIn(ctx, pause+time.Duration(f.draw()*float64(pause)/2))
}
