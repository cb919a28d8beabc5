package node

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/actors/ui"
	"parley/messages/meshpb"
)

// errandTimeout is how long an errand waits for who asks the other node; that
// one gives up before. Source: gateways/mesh/PROTOCOL.md, Commands.
const errandTimeout = 10 * time.Second

// reasonReturned is what another node says that knows no way on. Source:
// gateways/mesh/PROTOCOL.md, Return to sender.
const reasonReturned = "return to sender"

// errand is one question of a user interface to another node of the mesh.
//
//	parent    status
//	receives  meshpb.AskResponse, errandLate
//	sends     meshpb.AskRequest to commands; the body of a response to its asker
//	stops     when it has answered
type errand struct {
	commands, asker *actor.PID // fixed at spawn, as all of this block
	node            string     // that is asked
	command         string

	late *tree.Timer // set by Started
}

// errandLate says that errandTimeout is over.
type errandLate struct{}

// IgnoreDeadLetterLogging marks messages that may find the errand done.
func (errandLate) IgnoreDeadLetterLogging() {}

func spawnErrand(ctx actor.SpawnerContext, e errand) {
	tree.Spawn(ctx, "", tree.Spec{New: func() actor.Actor { one := e; return &one }})
}

func (e *errand) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		e.onStarted(ctx)
	case *actor.Stopping, *actor.Restarting:
		e.late.Stop()
	case *meshpb.AskResponse:
		e.answer(ctx, e.body(m))
	case *actor.DeadLetterResponse:
		e.answer(ctx, ui.Fault(ui.CodeUnknown, "The mesh of this Node is not there; its log says why"))
	case errandLate:
		e.answer(ctx, e.timeout())
	}
}

// onStarted asks; after a restart it asks again.
func (e *errand) onStarted(ctx actor.Context) {
	e.late = tree.After(ctx, errandTimeout, errandLate{})
	ctx.Request(e.commands, &meshpb.AskRequest{Destination: e.node, Command: &meshpb.Command{Name: e.command}})
}

func (e *errand) answer(ctx actor.Context, body proto.Message) {
	ctx.Send(e.asker, body)
	ctx.Stop(ctx.Self())
}

// body makes of what the mesh says what a user interface is told.
func (e *errand) body(m *meshpb.AskResponse) proto.Message {
	if len(m.GetAnswers()) == 0 {
		if len(m.GetSilent()) == 0 {
			return ui.Fault(ui.CodeNode, "No node "+quote(e.node)+" is known in this mesh; peers, and channels of scope network, name nodes that are")
		}
		return e.timeout()
	}
	switch r := m.GetAnswers()[0].GetResponse(); {
	case r.GetNodeStats() != nil:
		return r.GetNodeStats()
	case r.GetHostStats() != nil:
		return r.GetHostStats()
	case r.GetReason() == reasonReturned:
		return ui.Fault(ui.CodeNode, "No node "+quote(e.node)+" can be reached; peers, and channels of scope network, name nodes that are known")
	default:
		return ui.Fault(ui.CodeNode, "Node "+quote(e.node)+" did not tell: "+cut(r.GetReason(), maxQuoted))
	}
}

func (e *errand) timeout() proto.Message {
	return ui.Fault(ui.CodeTimeout, "Node "+quote(e.node)+" has not answered; it may be gone, or the way to it")
}
