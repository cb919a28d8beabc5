package daemon

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/uipb"
)

// confirmMost is how long a turn waits for what the last one said to be on its
// way: a moment. Who never confirms is gone, or failed.
const confirmMost = 100 * time.Millisecond

// open is what the next turn waits for: whatever it says must come behind what
// the last one said, at every user interface.
type open struct {
	asker     *actor.PID // has not confirmed its answer; nil: nobody has to
	announced bool       // broadcasts has not confirmed the announcement
	round     uint64
	late      *tree.Timer
}

// unconfirmed says that confirmMost is over.
type unconfirmed struct{ round uint64 }

// IgnoreDeadLetterLogging marks messages that may find setup stopped.
func (unconfirmed) IgnoreDeadLetterLogging() {}

// onward lets the next turn begin.
type onward struct{}

// IgnoreDeadLetterLogging marks messages that may find setup stopped.
func (onward) IgnoreDeadLetterLogging() {}

// announce tells all but one user interface what is in effect.
func (s *setup) announce(ctx actor.Context, except uint64) {
	body := s.space.dump(s.view, false, nil)
	ctx.Request(s.broadcasts, &uipb.Announce{Response: uipb.Broadcast("setup", body), Except: except, Confirm: true})
	s.open.announced = true
	s.confirm(ctx)
}

// confirm gives what was said confirmMost.
func (s *setup) confirm(ctx actor.Context) {
	s.open.late.Stop()
	s.open.round++
	s.open.late = tree.After(ctx, confirmMost, unconfirmed{s.open.round})
}

func (s *setup) onAnswered(from *actor.PID) {
	if s.open.asker != nil && s.open.asker.Equal(from) {
		s.open.asker = nil
	}
}

func (s *setup) onUnconfirmed(m unconfirmed) {
	if m.round == s.open.round {
		s.open.asker, s.open.announced = nil, false
	}
}
