package link

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/linkpb"
)

// roomMost is the backlog, in bytes that are not with the kernel, up to which a
// link takes more from those who pace themselves: enough for the next write to be
// there when one is done, little enough for thousands of streams.
const roomMost = 64 << 10

// owed is what a sender of messages.Paced is not told yet.
type owed struct {
	to     *actor.PID
	charge uint32
}

// room says that the backlog is at or below roomMost, once it was wanted.
type room struct{}

// IgnoreDeadLetterLogging marks messages that may find the link stopped.
func (room) IgnoreDeadLetterLogging() {}

// onPaced writes as onMessage does. What is charged is the sender's own affair,
// not this link's credit.
func (l *link) onPaced(ctx actor.Context, m *messages.Paced) {
	if l.kind.parted == nil || !l.writeParts(m) {
		l.write(ctx, m.Message, 0)
		if l.kind.lender != nil { // it was copied
			l.kind.lender.GiveBack(m.Message)
		}
	}
	to := ctx.Sender()
	if to == nil {
		return
	}
	for i := range l.owed {
		if o := &l.owed[i]; o.to == to || o.to.Equal(to) {
			o.charge += m.Charge
			return // there was no room before, so room is on its way
		}
	}
	if l.out.roomy() {
		ctx.Send(to, &linkpb.Taken{Charge: m.Charge})
		return
	}
	l.owed = append(l.owed, owed{to, m.Charge})
}

// pieces are what a message in parts is written with, used again.
type pieces struct {
	wire, join []byte
	parts      []Part
	chunks     []chunk
}

var somePieces = sync.Pool{New: func() any { return &pieces{} }}

// writeParts is write for a message in parts; false: it is none.
func (l *link) writeParts(m *messages.Paced) bool {
	if l.out.credit.closed.Load() {
		return true
	}
	p := somePieces.Get().(*pieces)
	defer somePieces.Put(p)
	var err error
	p.wire, p.parts, err = l.kind.parted.AppendParts(p.wire[:0], p.parts[:0], l.kind.Framing, m.Message)
	if err != nil || len(p.parts) == 0 {
		return false
	}
	at := 0
	for _, part := range p.parts {
		p.chunks = append(p.chunks, chunk{wire: p.wire[at:part.At], frames: 1, lent: true}, chunk{wire: part.Wire})
		at = part.At
	}
	if l.kind.lender != nil {
		p.chunks[len(p.chunks)-1].whole = m.Message
	}
	if at < len(p.wire) {
		p.chunks = append(p.chunks, chunk{wire: p.wire[at:], lent: true})
	}
	p.join = l.out.send(p.join, p.chunks...)
	clear(p.parts)
	clear(p.chunks)
	p.chunks = p.chunks[:0]
	return true
}

func (l *link) onRoom(ctx actor.Context) {
	if l.out.roomy() {
		l.payAll(ctx)
	}
}

// payAll answers what is open: each sender once, in the order that they began
// to wait.
func (l *link) payAll(ctx actor.Context) {
	for _, o := range l.owed {
		ctx.Send(o.to, &linkpb.Taken{Charge: o.charge})
	}
	clear(l.owed) // a held PID would keep all that a sender had
	l.owed = l.owed[:0]
}

// roomy reports that there is room. If not, room follows; or the link ends,
// which answers as well.
func (o *Outbound) roomy() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.state != outOpen || o.bytes.Load() <= roomMost {
		return true
	}
	o.wanted = true
	return false
}

// tellRoom keeps what roomy promised.
func (o *Outbound) tellRoom() {
	if o.wanted && o.bytes.Load() <= roomMost {
		o.wanted = false
		o.say(room{})
	}
}

// refusePaced runs on a sender's goroutine when a link's own queue is over its
// limit. The sender cannot do without an answer, nor its stream with a gap: for
// it the link is gone.
func (k *Kind) refusePaced(msg any) {
	k.metrics.Drop(tree.MailboxFull, 1)
	if e, ok := msg.(*actor.MessageEnvelope); ok && e.Sender != nil {
		k.root.Send(e.Sender, &actor.DeadLetterResponse{})
	}
}
