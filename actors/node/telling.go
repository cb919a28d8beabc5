package node

import (
	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/enclavepb"
	"parley/messages/uipb"
)

const (
	peopleMailbox  = 16 << 20 // bytes of events that wait for people
	tellingMost    = 64       // events that broadcasts has not got through with
	tellingWait    = 1000     // events that wait for that; the oldest are lost
	tellingBytes   = 4 << 20  // of them
	tellingConfirm = 16       // so many at a time broadcasts confirms
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
}

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

// tell announces what waits. Who does not keep up loses the oldest, and is told so:
// a friend who writes very much must not end the connection of a user interface.
func (p *people) tell(ctx actor.Context) {
	for {
		e, confirm := p.telling.next()
		if e == nil {
			return
		}
		m := &uipb.Announce{Response: uipb.Broadcast(opcodeOf(e), e), OptIn: true, Lossy: true, Private: true, Confirm: confirm}
		if confirm {
			ctx.Request(p.broadcasts, m)
		} else {
			ctx.Send(p.broadcasts, m)
		}
	}
}
