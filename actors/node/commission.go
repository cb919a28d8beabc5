package node

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/actors/ui"
	"parley/messages/enclavepb"
	"parley/messages/faultpb"
)

// commissionTimeout is longer than anything in Enclave takes to answer, and than
// anybody waits.
const commissionTimeout = 3 * time.Minute

// textUndone is for who does not learn what became of a command.
const textUndone = "This failed inside of the Node; its log says why, and contacts or history what was done"

// commission is one command of a user interface to Enclave. It is carried out once
// at most: what was sent is not sent again.
//
//	parent    people
//	receives  enclavepb.Result, faultpb.Failed (from frontends), commissionLate
//	sends     enclavepb.Command to frontends; enclavepb.Result, uipb.Done, uipb.Fault to its asker
//	stops     when it has answered
type commission struct {
	frontends, asker *actor.PID // fixed at spawn, as command
	command          *enclavepb.Command

	begun bool // owned, as all that follows
	late  *tree.Timer
}

// commissionLate says that commissionTimeout is over.
type commissionLate struct{}

// IgnoreDeadLetterLogging marks messages that may find the commission done.
func (commissionLate) IgnoreDeadLetterLogging() {}

func spawnCommission(ctx actor.SpawnerContext, c *commission) {
	tree.Spawn(ctx, "", tree.Spec{New: func() actor.Actor { return c }})
}

func (c *commission) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		c.onStarted(ctx)
	case *actor.Stopping, *actor.Restarting:
		c.late.Stop()
	case *enclavepb.Result:
		c.answer(ctx, outcome(m))
	case *faultpb.Failed, *actor.DeadLetterResponse:
		c.answer(ctx, ui.Fault(ui.CodeUnknown, textUndone))
	case commissionLate:
		c.answer(ctx, ui.Fault(ui.CodeTimeout, "This was not answered in time; contacts or history say what was done"))
	}
}

func (c *commission) onStarted(ctx actor.Context) {
	if c.begun {
		c.answer(ctx, ui.Fault(ui.CodeUnknown, textUndone))
		return
	}
	c.begun = true
	c.late = tree.After(ctx, commissionTimeout, commissionLate{})
	ctx.Request(c.frontends, c.command)
}

func (c *commission) answer(ctx actor.Context, body proto.Message) {
	ctx.Send(c.asker, body)
	ctx.Stop(ctx.Self())
}
