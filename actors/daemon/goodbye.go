package daemon

import (
	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/processpb"
)

// goodbye is what the launcher says at the end of the Daemon. All connections are
// closed behind it, so that it comes behind the answers to `start`.
type goodbye struct {
	owed int              // answers that are not with their links, given or not
	last *processpb.Ended // waits for them; nil: nothing to be said
	late *tree.Timer
}

// unheard says that confirmMost is over.
type unheard struct{}

// IgnoreDeadLetterLogging marks messages that may find the launcher stopped.
func (*unheard) IgnoreDeadLetterLogging() {}

// ended tells who ends the Daemon that no Node runs, in a moment at most.
func (l *launcher) ended(ctx actor.Context, m *processpb.Ended) {
	if len(l.stoppers) == 0 {
		return
	}
	l.goodbye.last = m
	if l.goodbye.owed == 0 {
		l.part(ctx)
		return
	}
	l.goodbye.late.Stop()
	l.goodbye.late = tree.After(ctx, confirmMost, &unheard{})
}

// onAnswered hears that an answer is with its link, or never will be.
func (l *launcher) onAnswered(ctx actor.Context) {
	if l.goodbye.owed = max(0, l.goodbye.owed-1); l.goodbye.owed == 0 {
		l.part(ctx)
	}
}

// part says goodbye, if it is time to.
func (l *launcher) part(ctx actor.Context) {
	if l.goodbye.last == nil {
		return
	}
	l.goodbye.late.Stop()
	for _, p := range l.stoppers {
		ctx.Send(p, l.goodbye.last)
	}
	l.stoppers, l.goodbye.last = nil, nil
}
