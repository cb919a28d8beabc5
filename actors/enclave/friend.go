package enclave

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/enclavepb"
	"parley/messages/faultpb"
	"parley/messages/linkpb"
)

const (
	restAfter  = 5           // failures of a friend's actor within restWithin, after which
	restWithin = time.Minute // it does nothing
	restTime   = time.Minute // for so long: its supervisor's patience is for all friends together
)

type (
	// flush ends a burst: what came and was asked in it goes on together. From
	// friend to itself.
	flush struct{}
	// restOver says that a friend may work again.
	restOver struct{}
)

// IgnoreDeadLetterLogging marks messages that may find a friend stopped.
func (flush) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find a friend stopped.
func (restOver) IgnoreDeadLetterLogging() {}

// friend is what there is with one contact: its links, when it is dialled, what
// waits for it, and what has come. Who it is and what waits outlive a failure;
// the links do not.
//
//	parent    friends
//	receives  linkpb.Opened, linkpb.Malformed, linkpb.Taken, enclavepb.Packet, admitted, asked, introduced, showing, dialFailed, redialDue, handshakeLate, lineOver, bothOver, retiredDue, presenceDue, kept, recalled, outboxAgain, noted, faultpb.Failed (from outbox or chronicle), flush, restOver, dismissed, leave
//	sends     linkpb.Accepted, linkpb.Settled, linkpb.Close, enclavepb.Packet, messages.Paced to its links; adopted to stranger; wish, unwish, standing, left, finished to friends; seen to book; keep, release, recall, discard to outbox; said, saidAll, ours, progressed to chronicle; told to frontends; enclavepb.Result to who asked
//	stops     when it is dismissed, and the chronicle has what came of it
type friend struct {
	o        *Options // fixed at spawn, as all of this block
	met      *meet
	friends  *actor.PID
	address  string
	addr     netip.Addr
	local    netip.Addr // not valid: not known
	instance string     // this run of the node

	queued atomic.Int32 // letters; friends reads it

	contact  *enclavepb.Contact  // owned, as all that follows; frozen
	own      *enclavepb.Presence // how this node is seen; frozen
	presence *enclavepb.Presence // of the peer; frozen
	state    state
	lines    []*line // oldest first
	retired  []*line // that others took the place of; likewise
	voice    *line   // that messages go over; nil: none
	drawn    uint32  // lines so far
	numbers  bool    // the peer numbers its messages, as it last said
	redial   redial
	sending  sending
	hearing  hearing
	pace     pace
	started  bool
	flushing bool        // flush is on its way
	finished bool        // it is over, and friends knows
	failures []time.Time // within restWithin
	rest     *tree.Timer
}

// state is what a friend does at all.
type state uint8

const (
	working state = iota
	idle          // it has failed too often
	going         // the node shuts down
	over          // it is none any more
)

func newFriend(f *friends, c *enclavepb.Contact) *friend {
	p := &friend{
		o: f.o, met: f.met, address: c.GetAddress(), local: f.local, instance: f.instance, contact: c, own: f.own,
		presence: &enclavepb.Presence{Alias: c.GetPresence().GetAlias()},
	}
	p.addr, _, _ = parseAddress(p.address)
	p.redial.fresh = f.begun
	p.hearing.begin(f.heard[p.address])
	delete(f.heard, p.address)
	return p
}

func (f *friend) Receive(ctx actor.Context) {
	if f.state == idle {
		f.resting(ctx)
		return
	}
	switch m := ctx.Message().(type) {
	case *actor.Started:
		f.onStarted(ctx)
	case *actor.Stopping:
		f.onStopping(ctx)
	case *actor.Restarting:
		f.onRestarting(ctx)
	case *actor.Terminated:
		f.onTerminated(ctx, m)
	case *linkpb.Opened:
		f.onOpened(ctx, m)
	case *admitted:
		f.onAdmitted(ctx, m)
	case *enclavepb.Packet:
		f.onPacket(ctx, m)
	case *linkpb.Malformed:
		f.onMalformed(ctx, m)
	case *linkpb.Taken:
		f.onTaken(ctx, m)
	case *asked:
		attempt(ctx, m, func() { f.onAsked(ctx, m) })
	case flush:
		f.onFlush(ctx)
	case *kept:
		f.onKept(ctx, m)
	case *recalled:
		f.onRecalled(ctx, m)
	case outboxAgain:
		f.keepAgain(ctx)
	case *noted:
		f.onNoted(ctx, m)
		f.finish(ctx)
	case *introduced:
		f.onIntroduced(ctx, m)
	case *showing:
		f.onShowing(ctx, m)
	case *dialFailed:
		f.onDialFailed(ctx, m)
	case redialDue:
		f.onRedialDue(ctx, m)
	case handshakeLate:
		f.onHandshakeLate(ctx, m)
	case lineOver:
		f.onLineOver(ctx, m)
	case bothOver:
		f.onBothOver(ctx, m)
	case retiredDue:
		f.onRetiredDue(ctx, m)
	case presenceDue:
		f.onPresenceDue(ctx, m)
	case *faultpb.Failed:
		f.onFailed(ctx, m)
	case dismissed:
		f.onDismissed(ctx)
	case leave:
		f.onLeave(ctx)
	}
}

// onStarted begins, or goes on after a failure.
func (f *friend) onStarted(ctx actor.Context) {
	f.flushing = false
	if f.redial.fresh || f.started {
		f.tellPresence(ctx)
	}
	f.started = true
	if f.state == working && len(f.failures) >= restAfter {
		f.state = idle
		f.sleep(ctx)
		return
	}
	f.proceed(ctx)
}

// sleep has an idle friend go on later.
func (f *friend) sleep(ctx actor.Context) {
	f.rest.Stop()
	f.rest = tree.After(ctx, restTime, restOver{})
}

// proceed does what was not done when the actor failed.
func (f *friend) proceed(ctx actor.Context) {
	if f.state == over {
		f.restartHearing()
		f.finish(ctx)
		return
	}
	f.keepAgain(ctx)
	f.restartHearing()
	f.soon(ctx)
	f.begin(ctx)
}

// resting is the state of an actor that has failed too often: it does nothing
// that could fail.
func (f *friend) resting(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started: // its supervisor has failed, too
		f.sleep(ctx)
	case *actor.Stopping:
		f.halt(ctx)
	case restOver:
		f.state, f.failures = working, nil
		f.proceed(ctx)
	case *linkpb.Opened:
		refuse(ctx, ctx.Sender())
	case *admitted:
		ctx.Stop(ctx.Sender()) // with its link
	case *asked:
		answer(ctx, m, refused(m, "the part of this node that talks to "+f.name()+" has failed, and goes on within a minute: try again then"))
	case *introduced:
		f.contact = m.contact
	case *showing:
		f.own = m.own
	case dismissed:
		f.onDismissed(ctx)
	case leave:
		f.onLeave(ctx)
	}
}

// onRestarting ends the links: what was said on them and is not in memory yet
// comes again on the next.
func (f *friend) onRestarting(ctx actor.Context) {
	now := time.Now()
	recent := f.failures[:0]
	for _, at := range f.failures {
		if now.Sub(at) < restWithin {
			recent = append(recent, at)
		}
	}
	f.failures = append(recent, now)
	f.halt(ctx)
}

// onStopping says goodbye where the node is not shut down in order.
func (f *friend) onStopping(ctx actor.Context) {
	if f.state != over {
		f.goodbye(ctx)
	}
	f.halt(ctx)
	f.weigh(-f.hearing.unnoted)
}

// halt ends all links and timers.
func (f *friend) halt(ctx actor.Context) {
	f.rest.Stop()
	f.redial.timer.Stop()
	f.sending.again.Stop()
	f.pace.stop()
	for _, l := range slices.Clone(f.ears()) {
		f.close(ctx, l, closeGoing)
	}
	f.tune(ctx)
	f.presence = &enclavepb.Presence{Alias: f.presence.GetAlias()}
}

func (f *friend) onIntroduced(ctx actor.Context, m *introduced) {
	dial := m.contact.GetPort() != f.contact.GetPort()
	f.contact = m.contact
	f.tellPresence(ctx)
	if dial && !f.linked() && f.state == working {
		f.redial.failures = 0
		f.begin(ctx)
	}
}

// onShowing tells the peer what has changed in how this node is seen.
func (f *friend) onShowing(ctx actor.Context, m *showing) {
	p := &enclavepb.Packet{Timestamp: proto.Int64(f.now())}
	if m.own.GetAlias() != f.own.GetAlias() {
		p.Alias = proto.String(m.own.GetAlias())
	}
	if m.own.GetStatus() != f.own.GetStatus() {
		p.Status = proto.Uint32(m.own.GetStatus())
	}
	if m.own.GetStatusMessage() != f.own.GetStatusMessage() {
		p.StatusMessage = proto.String(m.own.GetStatusMessage())
	}
	f.own = m.own
	for _, l := range f.lines {
		ctx.Send(l.link, p)
	}
}

// onDismissed ends all there was with a contact that is none any more.
func (f *friend) onDismissed(ctx actor.Context) {
	f.state = over
	f.halt(ctx)
	f.forgetLetters(ctx)
	f.handOn(ctx)
	f.finish(ctx)
}

// finish ends the actor of a contact that is none any more, when the chronicle has
// all that came of it: what is stored until then is to be forgotten, too.
func (f *friend) finish(ctx actor.Context) {
	if f.state != over || f.finished || len(f.hearing.notes) > 0 {
		return
	}
	f.finished = true
	ctx.Send(f.friends, &finished{f.address})
	ctx.Poison(ctx.Self()) // what is queued is answered first
}

// onFailed goes on without an answer of who has failed.
func (f *friend) onFailed(ctx actor.Context, m *faultpb.Failed) {
	if m.GetActor() == f.met.outbox.GetId() {
		f.outboxLater(ctx)
		return
	}
	f.restartHearing()
	f.finish(ctx)
}

// soon flushes when what is queued now has been handled.
func (f *friend) soon(ctx actor.Context) {
	if !f.flushing {
		f.flushing = true
		ctx.Send(ctx.Self(), flush{})
	}
}

func (f *friend) onFlush(ctx actor.Context) {
	f.flushing = false
	f.handOn(ctx)
	for _, l := range f.ears() {
		l.settle(ctx, 1)
	}
	f.transmit(ctx)
}

// tellPresence tells everybody how the peer is.
func (f *friend) tellPresence(ctx actor.Context) {
	ctx.Send(f.friends, &standing{f.address, f.presence})
	c := proto.CloneOf(f.contact)
	c.Presence = f.presence
	c.Held = uint32(len(f.sending.letters))
	ctx.Send(f.met.frontends, &told{&enclavepb.Event{Body: &enclavepb.Event_Status{Status: c}}})
}

// name is how people here call the friend. What the peer calls itself is none: it
// could be the name of another.
func (f *friend) name() string {
	if name := f.contact.GetName(); name != "" {
		return name
	}
	return f.address
}

// now is Unix s.
func (f *friend) now() int64 { return f.o.Now().Unix() }

// draw makes the numbers of this friend's jitter.
func (f *friend) draw() float64 {
	if f.redial.rng == nil {
		a := f.addr.As16()
		seed := f.o.Seed
		for _, b := range a {
			seed = seed*31 + uint64(b)
		}
		f.redial.rng = rand.New(rand.NewPCG(seed, uint64(a[15])))
	}
	return f.redial.rng.Float64()
}
