package mesh

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/faultpb"
	"parley/messages/meshpb"
)

const (
	errandTime  = 5 * time.Second // that a node has for its answer
	errandGrace = time.Second     // that commands have to tell of it
)

type (
	// returned is what came of an errand. From errand to who sent it.
	returned struct {
		errand   uint64
		node     string
		response *meshpb.Response // nil: none came
	}
	// errandLate says that nothing has come back in time.
	errandLate struct{}
)

// IgnoreDeadLetterLogging marks messages that may find who asked stopped.
func (*returned) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find an errand stopped.
func (errandLate) IgnoreDeadLetterLogging() {}

// errand asks one node for one thing, and brings the answer home: so who has
// several questions out knows which of them an answer is for.
//
//	parent    peers, scout
//	receives  meshpb.AskResponse, faultpb.Failed, errandLate
//	sends     meshpb.AskRequest to commands; returned to its parent
//	stops     when it has brought something, or nothing
type errand struct {
	commands *actor.PID // fixed at spawn, as all of this block
	id       uint64
	node     string
	command  *meshpb.Command

	timer *tree.Timer      // owned, as all that follows
	found *meshpb.Response // nil: nothing
}

// sendErrand asks node for something; returned has id.
func sendErrand(ctx actor.Context, met *meet, id uint64, node string, c *meshpb.Command) {
	tree.Spawn(ctx, "", tree.Spec{New: func() actor.Actor {
		return &errand{commands: met.commands, id: id, node: node, command: c}
	}})
}

func (e *errand) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		e.timer = tree.After(ctx, errandTime+errandGrace, errandLate{})
		ctx.Request(e.commands, &meshpb.AskRequest{Destination: e.node, Command: e.command, TimeoutMs: uint32(errandTime / time.Millisecond)})
	case *meshpb.AskResponse:
		e.onAskResponse(ctx, m)
	case *faultpb.Failed, *actor.DeadLetterResponse, errandLate:
		ctx.Stop(ctx.Self())
	case *actor.Stopping:
		e.timer.Stop()
		ctx.Send(ctx.Parent(), &returned{e.id, e.node, e.found})
	}
}

func (e *errand) onAskResponse(ctx actor.Context, m *meshpb.AskResponse) {
	for _, a := range m.GetAnswers() {
		if a.GetNode() == e.node {
			e.found = a.GetResponse()
		}
	}
	ctx.Stop(ctx.Self())
}
