package process

import (
	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/processpb"
)

// processes watches over the processes that were started or adopted, an actor
// each.
//
//	parent    daemon
//	receives  processpb.Launch, processpb.Adopt, processpb.Keep, processpb.Stop, known, over
//	sends     what it gets, to a process
//	stops     with the Daemon
type processes struct {
	options *Options              // fixed at spawn
	byPID   map[uint32]*actor.PID // owned; those that run
}

// known says that the sender's process runs.
type known struct{ pid uint32 }

// over says that the sender's process has ended, and that this was told.
type over struct{ pid uint32 } // 0: it was never started

// IgnoreDeadLetterLogging marks messages that may find processes stopped.
func (known) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find processes stopped.
func (over) IgnoreDeadLetterLogging() {}

// Spawn starts the supervisor of processes. It answers Launch and Adopt through
// an actor for each process; Keep and Stop may be sent to that one or to the
// supervisor, which passes Stop on to all. An actor that is stopped leaves its
// process alone: what has been kept runs on and can be adopted, what has not
// ends itself.
//
// It changes this process: all descriptors from 3 on become close-on-exec, and
// the umask 077, so that no child gets what is not meant for it.
func Spawn(ctx actor.SpawnerContext, name string, o Options) *actor.PID {
	seal(tree.Log(ctx.ActorSystem()))
	filled := o.filled()
	return tree.Spawn(ctx, name, tree.Spec{New: func() actor.Actor {
		return &processes{options: filled, byPID: map[uint32]*actor.PID{}}
	}})
}

func (s *processes) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *processpb.Launch:
		ctx.Forward(s.spawn(ctx))
	case *processpb.Adopt:
		s.onAdopt(ctx, m)
	case *processpb.Keep:
		s.onKeep(ctx, m)
	case *processpb.Stop:
		s.onStop(ctx)
	case known:
		s.byPID[m.pid] = ctx.Sender()
	case over:
		s.onOver(ctx, m)
	case *actor.Terminated:
		s.onTerminated(m)
	}
}

func (s *processes) spawn(ctx actor.Context) *actor.PID {
	return tree.Spawn(ctx, "", tree.Spec{New: func() actor.Actor { return &process{options: s.options, run: &run{}} }})
}

// onAdopt finds out who watches over the process already: an asker that was
// restarted does not know.
func (s *processes) onAdopt(ctx actor.Context, m *processpb.Adopt) {
	if pid, ok := s.byPID[m.GetPid()]; ok {
		ctx.Forward(pid)
		return
	}
	ctx.Forward(s.spawn(ctx))
}

func (s *processes) onKeep(ctx actor.Context, m *processpb.Keep) {
	if pid, ok := s.byPID[m.GetPid()]; ok {
		ctx.Forward(pid)
	}
}

func (s *processes) onStop(ctx actor.Context) {
	for _, pid := range ctx.Children() {
		ctx.Forward(pid)
	}
}

// onOver forgets a process. Its actor still answers what was passed on to it.
func (s *processes) onOver(ctx actor.Context, m over) {
	if pid, ok := s.byPID[m.pid]; ok && pid.Equal(ctx.Sender()) {
		delete(s.byPID, m.pid)
	}
	ctx.Poison(ctx.Sender())
}

// onTerminated forgets a process whose actor failed. It can be adopted again.
func (s *processes) onTerminated(m *actor.Terminated) {
	for n, pid := range s.byPID {
		if pid.Equal(m.GetWho()) {
			delete(s.byPID, n)
		}
	}
}
