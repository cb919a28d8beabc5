package enclave

import (
	"cmp"
	"log/slog"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/enclavepb"
)

const (
	unsettledMost = 4096                 // messages to a friend that is linked, of which it has not acknowledged or TCP not taken the first
	lettersBytes  = 8 << 20              // of all messages to one friend
	packetMost    = 64<<10 - packetSpare // bytes of a message as it is written: all of a packet must fit into what every peer takes
	packetSpare   = 1 << 10
	batchMost     = 256             // messages that are written at once
	windowMost    = 2048            // messages on their way to a node of our own
	batchBytes    = 64 << 10        // of them, but for the first
	outboxPause   = 5 * time.Second // until the outbox is asked again
	heldSends     = 64              // commands that wait until it is known what waits
)

// outboxAgain says that the outbox is to be asked again.
type outboxAgain struct{}

// IgnoreDeadLetterLogging marks messages that may find a friend stopped.
func (outboxAgain) IgnoreDeadLetterLogging() {}

// sending is what waits for a friend.
type sending struct {
	letters  []letter // oldest first
	bytes    int
	next     int  // letters before it were handed to the voice
	recalled bool // the outbox has told what waits, or there is none
	asking   bool // it was asked
	held     []*asked
	again    *tree.Timer
}

// serials are the numbers of a run's messages, of all its friends together: a
// contact that goes and comes again must not get one twice, because its node takes
// no number twice.
type serials struct{ last atomic.Uint64 }

func (s *serials) next() uint64 { return s.last.Add(1) }

// beyond has what follows be greater than n.
func (s *serials) beyond(n uint64) {
	for last := s.last.Load(); last < n && !s.last.CompareAndSwap(last, n); last = s.last.Load() {
	}
}

// letter is a message that its friend has not got, as far as is known.
type letter struct {
	serial uint64
	kept   *enclavepb.Kept
	asked  *asked // to be answered; nil: it was
	ready  bool   // it may be sent: the outbox has it
	queued bool   // front ends were told that it waits
	sent   bool   // front ends were told that it is with TCP
}

// find is where the letter of a serial is, or would be.
func (s *sending) find(serial uint64) (at int, ok bool) {
	return slices.BinarySearchFunc(s.letters, serial, func(l letter, serial uint64) int { return cmp.Compare(l.serial, serial) })
}

// onAsked takes a message for the friend.
func (f *friend) onAsked(ctx actor.Context, m *asked) {
	s := &f.sending
	text := m.command.GetSend().GetMessage()
	problem := f.wrongMessage(text)
	switch {
	case f.state == over:
		problem = reasonRemoved
	case f.state == going:
		problem = reasonLeaving
	case problem != "":
	case !f.recall(ctx):
		if len(s.held) < heldSends {
			s.held = append(s.held, m)
			return
		}
		problem = reasonBusy
	case len(s.letters) >= queuedMost && f.voice == nil, len(s.letters) >= unsettledMost, s.bytes+len(text) > lettersBytes:
		problem = strconv.Itoa(len(s.letters)) + " messages are waiting for " + f.name() + " already: try again when they are sent"
	}
	if problem != "" {
		answer(ctx, m, refused(m, problem))
		return
	}
	f.write(ctx, m, text)
}

// wrongMessage is why a message cannot be sent, for people; "": it can.
func (f *friend) wrongMessage(text string) string {
	switch {
	case text == "":
		return "there is no message: write one"
	case !utf8.ValidString(text):
		return "a message must be UTF-8"
	case written(text) > packetMost:
		return "the message is too long: send it in parts of at most " + strconv.Itoa(packetMost/2) + " bytes"
	}
	return ""
}

// written is how many bytes a message has at most when it is written as JSON.
func written(text string) int {
	n := len(text)
	for i := range len(text) {
		switch c := text[i]; {
		case c < ' ', c == '<', c == '>', c == '&':
			n += len(`\u0000`) - 1
		case c == '"', c == '\\':
			n++
		case c == 0xE2: // it may be U+2028 or U+2029
			n += len(`\u2028`) - 3
		}
	}
	return n
}

// write makes a letter of a message. It is answered for when it is safe: in the
// outbox, if there is one; else when it is with the link, or has to wait for one.
func (f *friend) write(ctx actor.Context, m *asked, text string) {
	s := &f.sending
	serial := f.met.serials.next()
	l := letter{serial: serial, asked: m, ready: !f.o.Outbox, kept: &enclavepb.Kept{
		Message: text, Timestamp: f.now(), Id: makeID(f.instance, serial), Command: m.command.GetId(),
	}}
	s.letters = append(s.letters, l)
	s.bytes += len(text)
	f.count()
	if f.o.Outbox {
		f.keep(ctx, &l)
		return
	}
	if f.o.Retention >= 0 {
		f.tellSaid(ctx, &l)
	}
	if f.voice == nil {
		f.accept(ctx, &s.letters[len(s.letters)-1])
		return
	}
	f.soon(ctx)
}

func (f *friend) keep(ctx actor.Context, l *letter) {
	ctx.Request(f.met.outbox, &keep{f.address, l.serial, l.kept})
}

// keepAgain asks once more for what the outbox has not answered: the answer may
// have been lost. It also answers who waits for a link that is gone.
func (f *friend) keepAgain(ctx actor.Context) {
	for i := range f.sending.letters {
		l := &f.sending.letters[i]
		switch {
		case !l.ready:
			f.keep(ctx, l)
		case f.voice == nil:
			f.accept(ctx, l)
		}
	}
	if !f.sending.recalled {
		f.sending.asking = false
		f.recall(ctx)
	}
}

// tellSaid has the chronicle keep a message of our own.
func (f *friend) tellSaid(ctx actor.Context, l *letter) {
	ctx.Send(f.met.chronicle, &ours{said{address: f.address, name: f.name(), entry: &enclavepb.Entry{
		Own: true, Message: l.kept.GetMessage(), Timestamp: l.kept.GetTimestamp(), Id: l.kept.GetId(),
		Delivery: enclavepb.Delivery_DELIVERY_QUEUED,
	}}})
}

// reply answers for a message, once.
func (l *letter) reply(ctx actor.Context) {
	if l.asked == nil {
		return
	}
	r := done(l.asked)
	r.MessageId = l.kept.GetId()
	answer(ctx, l.asked, r)
	l.asked = nil
}

// accept answers for a message, and says that it waits if it does.
func (f *friend) accept(ctx actor.Context, l *letter) {
	l.reply(ctx)
	if f.voice == nil && !l.queued && !l.sent {
		l.queued = true
		f.tellProgress(ctx, l, enclavepb.Delivery_DELIVERY_QUEUED)
	}
}

// progress is what front ends are told of a message, in one piece of memory: they
// are told twice of each.
type progress struct {
	told  told
	event enclavepb.Event
	body  enclavepb.Event_Progress
	about enclavepb.Progress
}

// tellProgress tells front ends and the chronicle how far a message is.
func (f *friend) tellProgress(ctx actor.Context, l *letter, d enclavepb.Delivery) {
	p := &progress{}
	p.about.To, p.about.Name, p.about.Delivery = f.address, f.name(), d
	p.about.MessageId, p.about.Id = l.kept.GetId(), l.kept.GetCommand()
	p.body.Progress, p.event.Body, p.told.event = &p.about, &p.body, &p.event
	ctx.Send(f.met.frontends, &p.told)
	if d != enclavepb.Delivery_DELIVERY_QUEUED && f.o.Retention >= 0 {
		ctx.Send(f.met.chronicle, &progressed{f.address, l.kept.GetId(), d})
	}
}

// onKept goes on with a message that the outbox has, or has not taken.
func (f *friend) onKept(ctx actor.Context, m *kept) {
	s := &f.sending
	i, ok := s.find(m.serial)
	if !ok || s.letters[i].ready {
		return
	}
	l := &s.letters[i]
	if m.error != "" {
		if l.asked != nil {
			answer(ctx, l.asked, refused(l.asked, "the message could not be stored: "+m.error))
		}
		s.bytes -= len(l.kept.GetMessage())
		s.letters = slices.Delete(s.letters, i, i+1) // it was not handed to a link
		f.count()
		f.soon(ctx)
		return
	}
	l.ready = true
	if f.o.Retention >= 0 {
		f.tellSaid(ctx, l)
	}
	f.accept(ctx, l)
	f.soon(ctx)
}

// recall asks the outbox what waits, and reports whether that is known.
func (f *friend) recall(ctx actor.Context) bool {
	s := &f.sending
	switch {
	case s.recalled:
	case !f.o.Outbox:
		s.recalled = true
	case !s.asking:
		s.asking = true
		ctx.Request(f.met.outbox, &recall{f.address})
	}
	return s.recalled
}

// onRecalled takes what waited when the node ended.
func (f *friend) onRecalled(ctx actor.Context, m *recalled) {
	s := &f.sending
	if s.recalled {
		return
	}
	if m.error != "" {
		tree.Log(ctx.ActorSystem()).Error("what waits for a friend could not be read",
			slog.String("address", f.address), slog.String("reason", m.error), slog.Duration("again", outboxPause))
		f.refuseHeld(ctx, "what waits for "+f.name()+" could not be read: "+m.error+"; try again later")
		f.outboxLater(ctx)
		return
	}
	s.recalled = true
	for i, k := range m.messages {
		s.letters = append(s.letters, letter{serial: m.serials[i], kept: k, ready: true, queued: true})
		s.bytes += len(k.GetMessage())
		f.met.serials.beyond(m.serials[i])
	}
	f.count()
	held := s.held
	s.held = nil
	for _, a := range held {
		attempt(ctx, a, func() { f.onAsked(ctx, a) })
	}
	f.soon(ctx)
}

// outboxLater asks the outbox again after a pause.
func (f *friend) outboxLater(ctx actor.Context) {
	f.sending.again.Stop()
	f.sending.again = tree.After(ctx, outboxPause, outboxAgain{})
}

func (f *friend) refuseHeld(ctx actor.Context, reason string) {
	for _, a := range f.sending.held {
		answer(ctx, a, refused(a, reason))
	}
	f.sending.held = nil
}

// count lets friends see how many messages wait.
func (f *friend) count() {
	now := int32(len(f.sending.letters))
	f.met.gauges.queued.Add(int64(now - f.queued.Swap(now)))
}

// forgetLetters ends all that waits for a contact that is none any more.
func (f *friend) forgetLetters(ctx actor.Context) {
	f.refuseHeld(ctx, reasonRemoved)
	for i := range f.sending.letters {
		if a := f.sending.letters[i].asked; a != nil {
			answer(ctx, a, refused(a, reasonRemoved))
		}
	}
	f.sending.letters, f.sending.next, f.sending.bytes = nil, 0, 0
	f.count()
	if f.o.Outbox {
		ctx.Send(f.met.outbox, &discard{f.address})
	}
}
