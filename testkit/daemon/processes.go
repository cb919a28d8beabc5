package daemon

import (
	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/processpb"
)

// processes stands in for the gateway to processes.
//
//	parent    daemon
//	receives  processpb.Launch, processpb.Adopt, processpb.Stop, late
//	sends     processpb.Ready, processpb.Ended to who launched or adopted
//	stops     with the Daemon
type processes struct{ nodes *nodes }

func (n *nodes) spawn(ctx actor.SpawnerContext) *actor.PID {
	return tree.Spawn(ctx, "processes", tree.Spec{New: func() actor.Actor { return &processes{n} }})
}

// late says that a Node was not ready in time.
type late struct{ r *running }

// IgnoreDeadLetterLogging marks messages that may find processes stopped.
func (late) IgnoreDeadLetterLogging() {}

func (p *processes) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *processpb.Launch:
		p.onLaunch(ctx, m)
	case *processpb.Adopt:
		p.onAdopt(ctx, m)
	case *processpb.Stop:
		p.onStop()
	case late:
		m.r.end(end{says: &processpb.Ended{Signal: "terminated", Failure: "process: the Node was not ready within " + readyMost.String()}})
	}
}

func (p *processes) onLaunch(ctx actor.Context, m *processpb.Launch) {
	r, next := p.nodes.begin(ctx.Sender(), m.GetNumber())
	switch next {
	case "":
		go r.launch(m) // it waits for actors
	case "hang":
		tree.After(ctx, readyMost, late{r})
	default:
		r.end(end{says: ended(exitOne, next)})
	}
}

func (p *processes) onAdopt(ctx actor.Context, m *processpb.Adopt) {
	if p.nodes.adopt(m, ctx.Sender()) {
		ctx.Respond(&processpb.Ready{Pid: m.GetPid(), StartTime: m.GetStartTime(), Port: m.GetPort(), Launch: m.GetNumber()})
		return
	}
	ctx.Respond(&processpb.Ended{Pid: m.GetPid(), Failure: "process: no such process", Launch: m.GetNumber()})
}

func (p *processes) onStop() {
	r := p.nodes.now()
	switch {
	case r == nil:
	case !r.serves():
		r.end(end{says: &processpb.Ended{Signal: "terminated"}})
	default:
		r.end(end{says: ended(0)})
	}
}
