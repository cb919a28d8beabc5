package node

import (
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/enclavepb"
	"parley/messages/linkpb"
	"parley/messages/uipb"
)

const (
	peopleMailbox  = 16 << 20 // bytes of events that wait for people
	tellingMost    = 64       // events that broadcasts has not got through with
	tellingWait    = 1000     // events that wait for that; the oldest are lost
	tellingBytes   = 4 << 20  // of them
	tellingConfirm = 16       // so many at a time broadcasts confirms

	missedPause = time.Second // between two reports of lost events: who is told asks for all there is
)

// peopleOpcodes are the broadcasts of people.
var peopleOpcodes = []string{"messageReceived", "contactStatus", "contactRequest", "messageState"}

// telling is the way of events to broadcasts: as fast as that gets through with
// them, and none that nobody wants.
type telling struct {
	wanted map[string]bool // nil: not known, so all
	queue  []*enclavepb.Event
	bytes  int // of queue
	under  int // announced and not confirmed
	since  int // announced since a confirmation was asked for
	lost   losses
	pause  *tree.Timer // until the next report of lost; nil: it may be now
}

// losses are events that nobody is told of, by broadcast, since the last report. Any
// goroutine adds what did not fit into the mailbox.
type losses struct {
	mu     sync.Mutex
	counts map[string]uint64
}

func (l *losses) add(e *enclavepb.Event) {
	opcode := opcodeOf(e)
	if opcode == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counts == nil {
		l.counts = map[string]uint64{}
	}
	l.counts[opcode]++
}

func (l *losses) take() map[string]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.counts
	l.counts = nil
	return all
}

// missedDue says that lost events may be reported again.
type missedDue struct{}

// IgnoreDeadLetterLogging marks messages that may find people stopped.
func (missedDue) IgnoreDeadLetterLogging() {}

// put takes an event, if anybody wants it.
func (t *telling) put(ctx actor.Context, e *enclavepb.Event) {
	opcode := opcodeOf(e)
	if opcode == "" || t.wanted != nil && !t.wanted[opcode] {
		return
	}
	t.queue = append(t.queue, e)
	t.bytes += e.Bytes()
	lost := 0
	for len(t.queue)-lost > tellingWait || t.bytes > tellingBytes && len(t.queue)-lost > 1 {
		t.bytes -= t.queue[lost].Bytes()
		t.lost.add(t.queue[lost])
		t.queue[lost] = nil
		lost++
	}
	if lost > 0 {
		t.queue = t.queue[lost:]
		tree.Of(ctx.ActorSystem()).Drop(tree.LossyDropped, lost)
	}
}

// next is what is announced now; nil: nothing. confirm says that an answer is to
// be asked for.
func (t *telling) next() (e *enclavepb.Event, confirm bool) {
	if len(t.queue) == 0 || t.under >= tellingMost {
		return nil, false
	}
	e = t.queue[0]
	t.queue[0] = nil
	if t.queue = t.queue[1:]; len(t.queue) == 0 {
		t.queue = nil
	}
	t.bytes -= e.Bytes()
	t.under++
	if t.since++; t.since == tellingConfirm {
		t.since = 0
		return e, true
	}
	return e, false
}

// confirmed makes room for more.
func (t *telling) confirmed() { t.under = max(0, t.under-tellingConfirm) }

// refused counts events that people has no room for. It is called by who sends them.
func (p *people) refused(sys *actor.ActorSystem) func(msg any) {
	return func(msg any) {
		n := 1
		switch m := actor.UnwrapEnvelopeMessage(msg).(type) {
		case *enclavepb.Events:
			n = len(m.GetEvents())
			for _, e := range m.GetEvents() {
				p.telling.lost.add(e)
			}
		case *enclavepb.Event:
			p.telling.lost.add(m)
		}
		tree.Of(sys).Drop(tree.MailboxFull, n)
	}
}

// tell announces what waits. Who does not keep up loses the oldest, and is told so:
// a friend who writes very much must not end the connection of a user interface.
func (p *people) tell(ctx actor.Context) {
	p.report(ctx)
	for {
		e, confirm := p.telling.next()
		if e == nil {
			return
		}
		m := personal(uipb.Broadcast(opcodeOf(e), e))
		if m.Confirm = confirm; confirm {
			ctx.Request(p.broadcasts, m)
		} else {
			ctx.Send(p.broadcasts, m)
		}
	}
}

// report tells what was lost, before what comes behind it.
func (p *people) report(ctx actor.Context) {
	if p.telling.pause != nil || p.telling.under >= tellingMost {
		return
	}
	lost := p.telling.lost.take()
	if len(lost) == 0 {
		return
	}
	for _, opcode := range peopleOpcodes {
		if n := lost[opcode]; n > 0 {
			ctx.Send(p.broadcasts, personal(uipb.Broadcast(opcode, &linkpb.Dropped{Source: opcode, Count: n})))
		}
	}
	p.telling.pause = tree.After(ctx, missedPause, missedDue{})
}

// personal is for those who want to know of people, and may.
func personal(r *uipb.Response) *uipb.Announce {
	return &uipb.Announce{Response: r, OptIn: true, Lossy: true, Private: true}
}
