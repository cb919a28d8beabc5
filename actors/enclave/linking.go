package enclave

import (
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/enclavepb"
	"parley/messages/linkpb"
)

const (
	redialProven = 10 * time.Second       // a link that lasted so long was no failure
	freshPause   = 250 * time.Millisecond // until a new friend is dialled: it may be waiting to be let in
	settleStep   = 16                     // inbound credit that is given back at once, not at the end of a burst
	bothMore     = 2                      // further bothTimes, where it is not known which address is the smaller
)

// line is one link to a friend.
type line struct {
	link    *actor.PID // fixed, as all of this block
	number  uint32     // names it in linkpb.Taken and in timers' messages
	dialled bool
	since   time.Time

	late    *tree.Timer // until the handshake
	greeted bool        // the handshake has come
	kin     bool        // its peer acknowledges messages
	peer    string      // run of the peer's node; empty: not known
	bad     int         // packets in a row that are none
	owes    uint32      // inbound credit, to be given back at the end of a burst
	pledged uint32      // inbound credit that is given back when less is on its way to the chronicle
	busy    bool        // with letters: linkpb.Taken is to come
}

type (
	// redialDue says that a friend is to be dialled.
	redialDue struct{ round uint64 }
	// handshakeLate says that a link's peer has had enough time for its handshake.
	handshakeLate struct{ number uint32 }
	// bothOver says that there have been two links for long enough.
	bothOver struct {
		both  uint64
		times int
	}
)

// IgnoreDeadLetterLogging marks messages that may find a friend stopped.
func (redialDue) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find a friend stopped.
func (handshakeLate) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find a friend stopped.
func (bothOver) IgnoreDeadLetterLogging() {}

// redial is when a friend is dialled.
type redial struct {
	fresh    bool // the contact is new
	self     bool // it is this node
	wished   bool // friends has a wish, or a dial under way
	bye      bool // the peer said that it goes offline
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
	case len(f.lines) == 0:
		f.wish(ctx)
	}
}

// wish asks friends to be dialled to.
func (f *friend) wish(ctx actor.Context) {
	f.dialLater()
	if f.o.Dial == nil || f.redial.self || f.state != working {
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

func (f *friend) onRedialDue(ctx actor.Context, m redialDue) {
	if m.round == f.redial.round && len(f.lines) == 0 {
		f.wish(ctx)
	}
}

func (f *friend) onDialFailed(ctx actor.Context, m *dialFailed) {
	if !f.redial.wished {
		return
	}
	f.redial.wished = false
	tree.Log(ctx.ActorSystem()).Debug("a friend cannot be reached", slog.String("address", f.address), slog.String("reason", m.reason))
	if len(f.lines) == 0 {
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

// onOpened takes a link.
func (f *friend) onOpened(ctx actor.Context, m *linkpb.Opened) {
	link := ctx.Sender()
	if m.GetTicket() != 0 {
		f.redial.wished = false
	}
	if f.state != working {
		refuse(ctx, link)
		return
	}
	ctx.Request(link, &linkpb.Accepted{})
	f.join(ctx, link, m.GetTicket() != 0)
}

// onAdmitted takes a link that has waited, with what was said on it.
func (f *friend) onAdmitted(ctx actor.Context, m *admitted) {
	if f.state != working {
		ctx.Stop(ctx.Sender()) // with its link
		return
	}
	l := f.join(ctx, m.link, false)
	ctx.Request(ctx.Sender(), &adopted{})
	ctx.Send(m.link, &linkpb.Settled{All: true})
	for _, p := range m.packets {
		f.take(ctx, l, p)
	}
}

// join makes a link one of the friend's, and says who this node is.
func (f *friend) join(ctx actor.Context, link *actor.PID, dialled bool) *line {
	f.drawn++
	l := &line{link: link, number: f.drawn, dialled: dialled, since: time.Now()}
	for _, old := range slices.Clone(f.lines) {
		if old.dialled == dialled || time.Since(old.since) > yieldAge {
			f.close(ctx, old, closeNormal)
		}
	}
	f.lines = append(f.lines, l)
	ctx.Watch(link)
	ctx.Send(link, &enclavepb.Packet{
		Alias: proto.String(f.own.GetAlias()), Status: proto.Uint32(f.own.GetStatus()), StatusMessage: proto.String(f.own.GetStatusMessage()),
		Timestamp: proto.Int64(f.now()), Id: f.instance,
	})
	wait := handshakeTime
	if dialled { // somebody there may have to decide first whether this node is let in
		wait = waitTime
	} else {
		f.redial.failures = 0
	}
	l.late = tree.After(ctx, wait, handshakeLate{l.number})
	f.redial.bye = false
	f.dialLater()
	if f.redial.wished {
		f.redial.wished = false
		ctx.Send(f.friends, &unwish{f.address})
	}
	f.both++
	if len(f.lines) > 1 {
		tree.After(ctx, bothTime, bothOver{f.both, 0})
	}
	f.tune(ctx)
	return l
}

// close ends a link, which counts no more from now on.
func (f *friend) close(ctx actor.Context, l *line, code uint32) {
	l.late.Stop()
	f.lines = slices.DeleteFunc(f.lines, func(o *line) bool { return o == l })
	ctx.Unwatch(l.link)
	ctx.Send(l.link, &linkpb.Close{Code: code})
}

// onTerminated hears that a link is gone. What was read from it may still come.
func (f *friend) onTerminated(ctx actor.Context, m *actor.Terminated) {
	i := slices.IndexFunc(f.lines, func(l *line) bool { return l.link.Equal(m.GetWho()) })
	if i < 0 {
		return
	}
	l := f.lines[i]
	l.late.Stop()
	f.lines = slices.Delete(f.lines, i, i+1)
	f.parted(ctx, l)
}

// parted goes on without a link.
func (f *friend) parted(ctx actor.Context, l *line) {
	f.tune(ctx)
	f.leftIfGone(ctx)
	if len(f.lines) > 0 {
		return
	}
	if l.greeted && time.Since(l.since) >= redialProven {
		f.redial.failures = 0
	}
	f.presume(ctx, &enclavepb.Presence{Alias: f.presence.GetAlias()})
	if f.state != working || f.redial.wished {
		return
	}
	if f.redial.bye {
		f.dialIn(ctx, redialByeMost)
		return
	}
	f.backOff(ctx)
}

// lineOf is the line of a link; nil: it counts no more.
func (f *friend) lineOf(link *actor.PID) *line {
	for _, l := range f.lines {
		if l.link == link || l.link.Equal(link) {
			return l
		}
	}
	return nil
}

func (f *friend) onHandshakeLate(ctx actor.Context, m handshakeLate) {
	for _, l := range f.lines {
		if l.number == m.number && !l.greeted {
			f.close(ctx, l, closePolicy)
			f.parted(ctx, l)
			return
		}
	}
}

// onBothOver decides which of two links stays, as the other side does.
func (f *friend) onBothOver(ctx actor.Context, m bothOver) {
	if m.both != f.both || len(f.lines) < 2 {
		return
	}
	a, b := f.lines[0], f.lines[1]
	loser := a // the older, where nothing else is known
	by := order(f.local, f.addr)
	switch {
	case a.greeted != b.greeted:
		if a.greeted {
			loser = b
		}
	case by == 0 && m.times < bothMore: // the other side may know better
		tree.After(ctx, bothTime, bothOver{f.both, m.times + 1})
		return
	case by == 0 && b.peer != "":
		by = strings.Compare(f.instance, b.peer)
		fallthrough
	case by != 0:
		if a.dialled == (by < 0) {
			loser = b
		}
	}
	f.close(ctx, loser, closeNormal)
	f.parted(ctx, loser)
}

// onMalformed counts what makes no sense. Too much of it ends the link.
func (f *friend) onMalformed(ctx actor.Context, m *linkpb.Malformed) {
	l := f.lineOf(ctx.Sender())
	if l == nil {
		return
	}
	if l.bad++; l.bad >= badMost {
		f.close(ctx, l, closePolicy)
		f.parted(ctx, l)
		return
	}
	l.owes += m.GetCharge()
	l.settle(ctx, settleStep)
	f.soon(ctx)
}

// settle gives inbound credit back, if that is at least so much.
func (l *line) settle(ctx actor.Context, least uint32) {
	if l.owes >= least {
		ctx.Send(l.link, &linkpb.Settled{Charge: l.owes})
		l.owes = 0
	}
}
