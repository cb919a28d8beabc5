package node

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/uipb"
)

// crash ends the process on demand, as a panic that nothing catches does: for
// tests of what watches over a Node. A panic inside a supervisor would only have
// it restarted, so this one is raised outside of the actors, in the name of the
// supervisor that was named. Source: gateways/uiv2/PROTOCOL.md, crash.
//
//	parent    node
//	receives  uipb.Ask
//	sends     -
//	stops     with the process
type crash struct {
	enabled bool              // fixed at spawn, as all of this block
	kill    func(text string) // does not return
}

// SpawnCrash starts the actor that does what crash asks for, if it is enabled.
// kill gets the text of the panic on a goroutine of its own, and must not return
// before the process has ended; nil: it panics.
func SpawnCrash(ctx actor.SpawnerContext, enabled bool, kill func(text string)) *actor.PID {
	if kill == nil {
		kill = func(text string) { panic(text) }
	}
	return tree.Spawn(ctx, "crash", tree.Spec{Asked: true, New: func() actor.Actor { return &crash{enabled, kill} }})
}

func (c *crash) Receive(ctx actor.Context) {
	if m, ok := ctx.Message().(*uipb.Ask); ok {
		c.onAsk(ctx, m)
	}
}

func (c *crash) onAsk(ctx actor.Context, m *uipb.Ask) {
	sys, wish := ctx.ActorSystem(), m.GetRequest().GetCrash()
	log := tree.Log(sys).With(slog.String("actor", wish.GetActor()), slog.Uint64("uid", uint64(m.GetAsker().GetUid())))
	switch {
	case m.GetRequest().GetOpcode() != "crash" || wish == nil:
		log.Warn("ignored a message that is no crash", slog.String("opcode", m.GetRequest().GetOpcode()))
		return
	case !c.enabled:
		log.Warn("ignored a crash: the option crash-point does not allow it")
		return
	case !supervises(ctx, wish.GetActor()):
		log.Warn("ignored a crash: there is no such supervisor")
		return
	}
	log.Warn("a user interface crashes this node")
	text, kill := fmt.Sprintf("%s: %s", wish.GetActor(), harmless(wish.GetPanicMessage(), maxLogValue)), c.kill
	tree.Go(sys, func() { kill(text) })
}

// supervises says whether an actor of this name is a sibling: what stands
// directly below the node.
func supervises(ctx actor.Context, name string) bool {
	if name == "" || strings.Contains(name, "/") {
		return false
	}
	_, found := ctx.ActorSystem().ProcessRegistry.GetLocal(ctx.Parent().GetId() + "/" + name)
	return found
}
