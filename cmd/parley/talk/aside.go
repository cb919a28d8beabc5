package talk

import (
	"context"
	"errors"

	"github.com/go-json-experiment/json/jsontext"
)

// Aside asks on one connection of a Session to the Node, at the same time as who
// asks the Session: for questions that take long. Any number of goroutines may.
type Aside struct {
	s *Session
	w *wire // nil: there was none
}

// Aside gives what asks on the connection that there is now, which must be one to
// the Node, see Session.ToNode. Who asks the Session calls it.
func (s *Session) Aside() *Aside { return &Aside{s: s, w: s.wire()} }

// Gone is closed when the connection has ended.
func (a *Aside) Gone() <-chan struct{} {
	if a.w != nil {
		return a.w.ended
	}
	none := make(chan struct{})
	close(none)
	return none
}

// Ask is as Session.Ask, but it opens no connection, and asks nobody how the Node
// ended: that is for who asks the Session. Once the connection is gone the error
// is an *Ended.
func (a *Aside) Ask(ctx context.Context, q Question) (jsontext.Value, error) {
	if a.w == nil || a.w.role() != roleNode {
		return nil, &Ended{Opcode: q.Opcode, Why: errors.New("it was never there")}
	}
	payload, err := q.payload()
	if err != nil {
		return nil, err
	}
	if err := a.s.mayHear(ctx, a.w, &q); err != nil {
		return nil, err
	}
	r := a.w.ask(ctx, a.s.number(), &q, payload, a.s.o.answer)
	if r.lost {
		<-a.w.ended
		r.err = &Ended{Opcode: q.Opcode, Why: farewell(r.err)}
	}
	return r.payload, r.err
}
