package enclave

import (
	"log/slog"
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
	settleStep = 16 // inbound credit that is given back at once, not at the end of a burst
	bothMore   = 2  // further bothTimes, where it is not known which address is the smaller
)

// line is one link to a friend.
type line struct {
	link    *actor.PID // fixed, as all of this block
	mouth   *actor.PID // says what the link does, and ends with it: the link, or the stranger it was; watched
	number  uint32     // names it in linkpb.Taken and in timers' messages
	dialled bool
	since   time.Time

	late    *tree.Timer // until the handshake; of one that is retired, until retiredDue
	greeted bool        // the handshake has come
	retired bool        // another has taken its place: it is listened to, and nothing else
	spoke   bool        // it has said something since the last retiredDue
	kin     bool        // its peer acknowledges messages
	peer    string      // run of the peer's node; empty: not known
	bad     int         // packets in a row that are none
	owes    uint32      // inbound credit, to be given back at the end of a burst
	pledged uint32      // inbound credit that is given back when less is on its way to the chronicle
	busy    bool        // with letters: linkpb.Taken is to come
}

type (
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
func (handshakeLate) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find a friend stopped.
func (lineOver) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find a friend stopped.
func (bothOver) IgnoreDeadLetterLogging() {}

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
			f.retire(ctx, old)
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
		f.dialNoMore(ctx)
	}
	l.late = tree.After(ctx, wait, handshakeLate{l.number})
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
			f.retire(ctx, old)
		}
	}
}

// itself ends a link to this node. Who has never been anybody else where it was
// dialled is dialled seldom from now on, in case that changes.
func (f *friend) itself(ctx actor.Context, l *line) {
	if f.voice == nil && l.dialled {
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
	f.forget(l)
	ctx.Unwatch(l.mouth)
	ctx.Send(l.link, &linkpb.Close{Code: code})
}

// forget has a link count no more.
func (f *friend) forget(l *line) {
	l.late.Stop()
	same := func(o *line) bool { return o == l }
	f.lines, f.retired = slices.DeleteFunc(f.lines, same), slices.DeleteFunc(f.retired, same)
}

// onTerminated hears that a link is gone. What was said on it may still be in the
// queue: this overtakes it, lineOver does not.
func (f *friend) onTerminated(ctx actor.Context, m *actor.Terminated) {
	for _, l := range f.ears() {
		if l.mouth.Equal(m.GetWho()) {
			ctx.Send(ctx.Self(), lineOver{l.number})
		}
	}
}

func (f *friend) onLineOver(ctx actor.Context, m lineOver) {
	if l := f.find(m.number); l != nil {
		f.forget(l)
		f.parted(ctx, l)
	}
}

// parted goes on without a link.
func (f *friend) parted(ctx actor.Context, l *line) {
	f.tune(ctx)
	f.leftIfGone(ctx)
	if f.voice == nil {
		f.presume(ctx, &enclavepb.Presence{Alias: f.presence.GetAlias()})
	}
	if f.linked() || f.redial.timer != nil { // or it was none that kept this node from dialling
		return
	}
	if l.greeted && time.Since(l.since) >= redialProven {
		f.redial.failures = 0
	}
	if f.state != working || f.redial.wished {
		return
	}
	if f.redial.bye {
		f.dialIn(ctx, redialByeMost)
		return
	}
	f.backOff(ctx)
}

// find is the line of a number; nil: it counts no more.
func (f *friend) find(number uint32) *line {
	for _, l := range f.ears() {
		if l.number == number {
			return l
		}
	}
	return nil
}

// lineOf is the line of a link; nil: it counts no more.
func (f *friend) lineOf(link *actor.PID) *line {
	for _, l := range f.ears() {
		if l.link == link || l.link.Equal(link) {
			return l
		}
	}
	return nil
}

func (f *friend) onHandshakeLate(ctx actor.Context, m handshakeLate) {
	if l := f.find(m.number); l != nil && !l.greeted && !l.retired {
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
	b := f.find(m.number)
	if b == nil || b.retired {
		return
	}
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
	f.retire(ctx, loser)
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

// onLeave says goodbye.
func (f *friend) onLeave(ctx actor.Context) {
	if f.state == over {
		return
	}
	f.onFlush(ctx)
	f.state = going
	f.rest.Stop()
	f.dialLater()
	f.goodbye(ctx)
	for len(f.retired) > 0 {
		f.close(ctx, f.retired[0], closeGoing)
	}
	for _, l := range f.lines { // until they are gone they count
		ctx.Send(l.link, &linkpb.Close{Code: closeGoing})
	}
	f.leftIfGone(ctx)
}

// goodbye tells the peer that this node goes offline.
func (f *friend) goodbye(ctx actor.Context) {
	for _, l := range f.lines {
		ctx.Send(l.link, &enclavepb.Packet{Status: proto.Uint32(Offline), Timestamp: proto.Int64(f.now())})
	}
}

func (f *friend) leftIfGone(ctx actor.Context) {
	if f.state == going && len(f.lines) == 0 {
		ctx.Send(f.friends, &left{f.address})
	}
}
