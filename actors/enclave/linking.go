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
	selfFailures = 10                     // that a contact counts as which is this node: it is dialled again after the longest pause
)

// line is one link to a friend.
type line struct {
	link    *actor.PID // fixed, as all of this block
	mouth   *actor.PID // says what the link does, and ends with it: the link, or the stranger it was; watched
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
	// lineOver says that a link has ended, behind all that was said on it.
	lineOver struct{ number uint32 }
	// bothOver says that there has been another link beside an older one for long
	// enough.
	bothOver struct {
		number uint32
		times  int
	}
)

// IgnoreDeadLetterLogging marks messages that may find a friend stopped.
func (redialDue) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find a friend stopped.
func (handshakeLate) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find a friend stopped.
func (lineOver) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find a friend stopped.
func (bothOver) IgnoreDeadLetterLogging() {}

// redial is when a friend is dialled.
type redial struct {
	fresh    bool // the contact is new
	self     bool // it was this node, when it last said who it is
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
	f.join(ctx, link, link, m.GetTicket() != 0)
}

// onAdmitted takes a link that has waited, with what was said on it.
func (f *friend) onAdmitted(ctx actor.Context, m *admitted) {
	if f.state != working {
		ctx.Stop(ctx.Sender()) // with its link
		return
	}
	if m.torn {
		for _, p := range m.packets {
			f.hear(ctx, p, m.packets[0].GetId() != "")
		}
		f.soon(ctx)
		ctx.Stop(ctx.Sender())
		return
	}
	l := f.join(ctx, m.link, ctx.Sender(), false)
	ctx.Request(ctx.Sender(), &adopted{})
	ctx.Send(m.link, &linkpb.Settled{All: true})
	for _, p := range m.packets {
		f.take(ctx, l, p)
	}
}

// join makes a link one of the friend's, and says who this node is. Until its peer
// has said the same, the link takes the place of none but its like: anybody can
// connect from an address, and say nothing.
func (f *friend) join(ctx actor.Context, link, mouth *actor.PID, dialled bool) *line {
	f.drawn++
	l := &line{link: link, mouth: mouth, number: f.drawn, dialled: dialled, since: time.Now()}
	for _, old := range slices.Clone(f.lines) {
		if old.dialled == dialled && !old.greeted {
			f.close(ctx, old, closeNormal)
		}
	}
	f.lines = append(f.lines, l)
	ctx.Watch(mouth)
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
	if f.rival(l) != nil {
		tree.After(ctx, bothTime, bothOver{l.number, 0})
	}
	f.tune(ctx)
	return l
}

// supersede has a link whose peer has said who it is take the place of older ones:
// of the same direction, or too old.
func (f *friend) supersede(ctx actor.Context, l *line) {
	for _, old := range slices.Clone(f.lines) {
		if old.number < l.number && (old.dialled == l.dialled || time.Since(old.since) > yieldAge) {
			f.close(ctx, old, closeNormal)
		}
	}
}

// itself ends a link to this node. Who has never been anybody else is dialled
// seldom from now on, in case that changes.
func (f *friend) itself(ctx actor.Context, l *line) {
	if f.voice == nil {
		if !f.redial.self {
			f.redial.self = true
			tree.Log(ctx.ActorSystem()).Warn("a friend is this node itself: remove it from the contacts", slog.String("address", f.address))
		}
		f.redial.failures = selfFailures
	}
	f.close(ctx, l, closePolicy)
	f.parted(ctx, l)
}

// close ends a link, which counts no more from now on.
func (f *friend) close(ctx actor.Context, l *line, code uint32) {
	l.late.Stop()
	f.lines = slices.DeleteFunc(f.lines, func(o *line) bool { return o == l })
	ctx.Unwatch(l.mouth)
	ctx.Send(l.link, &linkpb.Close{Code: code})
}

// onTerminated hears that a link is gone. What was said on it may still be in the
// queue: this overtakes it, lineOver does not.
func (f *friend) onTerminated(ctx actor.Context, m *actor.Terminated) {
	for _, l := range f.lines {
		if l.mouth.Equal(m.GetWho()) {
			ctx.Send(ctx.Self(), lineOver{l.number})
		}
	}
}

func (f *friend) onLineOver(ctx actor.Context, m lineOver) {
	i := f.find(m.number)
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

// find is where the line of a number is; below 0: it counts no more.
func (f *friend) find(number uint32) int {
	return slices.IndexFunc(f.lines, func(l *line) bool { return l.number == number })
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
	if i := f.find(m.number); i >= 0 && !f.lines[i].greeted {
		l := f.lines[i]
		f.close(ctx, l, closePolicy)
		f.parted(ctx, l)
	}
}

// rival is an older link of the other direction, best one whose peer has said who
// it is; nil: there is none.
func (f *friend) rival(l *line) (r *line) {
	for _, o := range f.lines {
		if o.number < l.number && o.dialled != l.dialled && (r == nil || o.greeted) {
			r = o
		}
	}
	return r
}

// onBothOver decides which of two links stays, as the other side does.
func (f *friend) onBothOver(ctx actor.Context, m bothOver) {
	i := f.find(m.number)
	if i < 0 {
		return
	}
	b := f.lines[i]
	a := f.rival(b)
	if a == nil {
		return
	}
	loser := a // the older, where nothing else is known
	by := order(f.local, f.addr)
	switch {
	case a.greeted != b.greeted:
		if a.greeted {
			loser = b
		}
	case by == 0 && m.times < bothMore: // the other side may know better
		tree.After(ctx, bothTime, bothOver{m.number, m.times + 1})
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
