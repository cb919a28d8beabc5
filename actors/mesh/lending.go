package mesh

import (
	"github.com/asynkron/protoactor-go/actor"
)

// loans are what links have lent: the inbound credit of a frame, until all that is
// in it for this node itself has been dealt with. Who sends commands faster than
// they can be carried out is not read from, so what waits here stays small. Each
// is of the router alone; others know it by its number.
type loans struct {
	drawn uint64           // last number; outlives a restart, so nothing of before counts
	open  map[uint64]*loan // by number
	at    uint64           // of the frame that is being taken; 0: it lends nothing
	n     int              // of it, handed on
}

// loan is the credit of one frame.
type loan struct {
	debt
	left int // of the frame, not dealt with
}

// dealt says that something which the router handed on needs no more work, and
// that what this made it answer is under way. To router, once for each received
// or inquiry with a loan, by who has it last.
type dealt struct{ loan uint64 }

// IgnoreDeadLetterLogging marks messages that may find the router stopped.
func (dealt) IgnoreDeadLetterLogging() {}

// repay tells the router that what came with a loan is dealt with; 0: with none.
func repay(ctx actor.SenderContext, met *meet, loan uint64) {
	if loan != 0 {
		ctx.Send(met.router, dealt{loan})
	}
}

// begin takes the next frame; lends tells that it has credit.
func (l *loans) begin(lends bool) {
	l.n, l.at = 0, 0
	if lends {
		l.drawn++
		l.at = l.drawn
	}
}

// hand returns the number of the loan for what is handed on.
func (l *loans) hand() uint64 {
	l.n++
	return l.at
}

// end reports whether the credit of the frame stays lent.
func (l *loans) end(link *actor.PID, charge uint32) (lent bool) {
	if lent = l.at != 0 && l.n > 0; lent {
		l.open[l.at] = &loan{debt{link, charge}, l.n}
	}
	l.at = 0
	return lent
}

// forget drops all: links were told that they are owed nothing.
func (l *loans) forget() { l.open, l.at = map[uint64]*loan{}, 0 }

// onDealt owes a link its credit again when the last of a frame is dealt with.
func (r *router) onDealt(m dealt) {
	l := r.loans.open[m.loan]
	if l == nil {
		return // of before a restart
	}
	if l.left--; l.left == 0 {
		delete(r.loans.open, m.loan)
		r.debts.add(l.link, l.charge)
	}
}
