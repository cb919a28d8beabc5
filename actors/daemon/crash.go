package daemon

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/uipb"
)

// crashRetained is for how long user interfaces that connect are told of a
// crash. Source: gateways/uiv2/PROTOCOL.md, crashed.
const crashRetained = 10 * time.Second

// crash tells all user interfaces that a Node is gone: exactly once each Node.
//
//	parent    daemon
//	receives  over
//	sends     uipb.Announce to broadcasts
//	stops     with the daemon
type crash struct {
	broadcasts *actor.PID // fixed at spawn

	told uint64 // owned; incarnation of the last Node that was announced
}

// SpawnCrash starts the actor that announces a Node's end.
func SpawnCrash(ctx actor.SpawnerContext, broadcasts *actor.PID) *actor.PID {
	c := &crash{broadcasts: broadcasts}
	// What was told outlives a restart.
	return tree.Spawn(ctx, "crash", tree.Spec{New: func() actor.Actor { return c }})
}

func (c *crash) Receive(ctx actor.Context) {
	if m, ok := ctx.Message().(*over); ok {
		c.onOver(ctx, m)
	}
}

func (c *crash) onOver(ctx actor.Context, m *over) {
	if m.incarnation <= c.told {
		return
	}
	c.told = m.incarnation
	e := m.ended
	ctx.Send(c.broadcasts, &uipb.Announce{
		RetainMs: uint32(crashRetained / time.Millisecond),
		Response: uipb.Broadcast("crashed", &uipb.Crashed{
			ProcessId: e.GetPid(), WaitFailure: e.GetFailure(), LastLines: e.GetLastLines(),
			ExitCode: e.ExitCode, Signal: e.GetSignal(), Requested: m.requested,
		}),
	})
}
