package enclave

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/enclavepb"
)

// ticketLife is how long a dial may take until its link is there, or it has
// failed: longer than dialling itself ever does.
const ticketLife = time.Minute

type (
	// wish asks to be dialled to. From friend to friends, which answer with
	// linkpb.Opened or dialFailed.
	wish struct {
		address string // of the contact
		dial    string // ip:port
	}
	// unwish takes a wish back, if its dial has not begun. From friend.
	unwish struct{ address string }
	// dialFailed says that a wish has come to nothing.
	dialFailed struct{ reason string }
	// dialLate says that neither a link nor a failure came of a dial.
	dialLate struct{ ticket uint64 }
)

// IgnoreDeadLetterLogging marks messages that may find friends stopped.
func (dialLate) IgnoreDeadLetterLogging() {}

// dialling is which friends are being dialled, and which are to be.
type dialling struct {
	drawn   uint64             // last ticket
	tickets map[uint64]*ticket // under way
	queue   []*wish            // oldest first
}

// ticket is one dial under way.
type ticket struct {
	address string
	timer   *tree.Timer
}

func newDialling() dialling { return dialling{tickets: map[uint64]*ticket{}} }

// over ends a dial; nil: there was none of that ticket.
func (d *dialling) over(id uint64) *ticket {
	t := d.tickets[id]
	if t != nil {
		t.timer.Stop()
		delete(d.tickets, id)
	}
	return t
}

// cancel forgets what was wished for an address.
func (d *dialling) cancel(address string) {
	for i, w := range d.queue {
		if w.address == address {
			d.queue = append(d.queue[:i:i], d.queue[i+1:]...)
			return
		}
	}
}

func (d *dialling) stop() {
	for _, t := range d.tickets {
		t.timer.Stop()
	}
}

// restart forgets all but which tickets were drawn.
func (d *dialling) restart() { *d = dialling{drawn: d.drawn, tickets: map[uint64]*ticket{}} }

func (f *friends) onWish(ctx actor.Context, m *wish) {
	f.dialling.cancel(m.address)
	f.dialling.queue = append(f.dialling.queue, m)
	f.dialNext(ctx)
}

// dialNext begins as many dials as there may be at once.
func (f *friends) dialNext(ctx actor.Context) {
	d := &f.dialling
	for len(d.queue) > 0 && len(d.tickets) < dialsMost && f.leaving == nil {
		w := d.queue[0]
		d.queue[0] = nil
		if d.queue = d.queue[1:]; len(d.queue) == 0 {
			d.queue = nil
		}
		d.drawn++
		f.dial(ctx, d.drawn, w)
	}
}

// dial connects, off the actors. It ends with linkpb.Opened, with DialFailed, or
// with dialLate.
func (f *friends) dial(ctx actor.Context, id uint64, w *wish) {
	root, self, dial := ctx.ActorSystem().Root, ctx.Self(), f.o.Dial
	m := &enclavepb.Dial{Ticket: id, Address: w.dial}
	f.dialling.tickets[id] = &ticket{w.address, tree.After(ctx, ticketLife, dialLate{id})}
	tree.Go(ctx.ActorSystem(), func() {
		if failed := dial(m); failed != nil {
			root.Send(self, failed)
		}
	})
}

func (f *friends) onDialFailed(ctx actor.Context, m *enclavepb.DialFailed) {
	f.fruitless(ctx, m.GetTicket(), m.GetReason())
}

func (f *friends) onDialLate(ctx actor.Context, m dialLate) {
	f.fruitless(ctx, m.ticket, "no connection in time")
}

// fruitless tells a friend that its dial has come to nothing.
func (f *friends) fruitless(ctx actor.Context, id uint64, reason string) {
	t := f.dialling.over(id)
	if t == nil {
		return
	}
	if p := f.people[t.address]; p != nil && p.pid != nil {
		ctx.Send(p.pid, &dialFailed{reason})
	}
	f.dialNext(ctx)
}
