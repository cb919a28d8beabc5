package daemon

import (
	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/actors/ui"
	"parley/messages/uipb"
)

// Requests that wait until it is known whether a Node is there.
const (
	heldMost = 4 << 20 // bytes
	heldEach = 512     // bytes that one counts for beside its payload
)

// redirect answers what the Daemon does not know: it sends user interfaces on
// to the Node, or says that there is none.
//
//	parent    daemon
//	receives  uipb.Ask, whereabouts
//	sends     uipb.Redirect, uipb.Undelivered, uipb.Fault to askers
//	stops     with the daemon
type redirect struct {
	node whereabouts // owned, as all that follows
	held []question  // while the Node is unknown, oldest first
	size int         // bytes of held
}

// question is a request whose asker is still waiting.
type question struct {
	request *uipb.Request
	from    *actor.PID
}

// SpawnRedirect starts the fallback of the Daemon's ui.Desk. There is no Node
// until a launcher says so.
func SpawnRedirect(ctx actor.SpawnerContext) *actor.PID {
	r := &redirect{}
	// Where the Node is, and who waits, outlives a restart.
	return tree.Spawn(ctx, "redirect", tree.Spec{Asked: true, New: func() actor.Actor { return r }})
}

func (r *redirect) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *uipb.Ask:
		r.onAsk(ctx, question{m.GetRequest(), ctx.Sender()})
	case *whereabouts:
		r.onWhereabouts(ctx, m)
	}
}

func (r *redirect) onAsk(ctx actor.Context, q question) {
	if q.from == nil {
		return
	}
	if r.node.node != unknown {
		r.answer(ctx, q)
		return
	}
	size := heldEach + len(q.request.GetPayload()) + len(q.request.GetOpcode())
	if r.size+size > heldMost {
		refuse(ctx, q, ui.Fault(ui.CodeTooMany, "Too many requests are waiting for the Node; try again when it is up"))
		return
	}
	r.held, r.size = append(r.held, q), r.size+size
}

func (r *redirect) onWhereabouts(ctx actor.Context, m *whereabouts) {
	if r.node = *m; m.node == unknown {
		return
	}
	held := r.held
	r.held, r.size = nil, 0
	for _, q := range held {
		r.answer(ctx, q)
	}
}

// answer sends q on. The payload of an error is empty: a Node refuses it, too.
func (r *redirect) answer(ctx actor.Context, q question) {
	if r.node.node == present {
		ctx.Send(q.from, &uipb.Redirect{
			Port: r.node.port, Opcode: q.request.GetOpcode(), Context: q.request.Context, Payload: q.request.GetPayload(),
		})
		return
	}
	// Existing user interfaces know this text. Source: gateways/uiv2/PROTOCOL.md, Errors.
	refuse(ctx, q, ui.Fault(ui.CodeNoNode, "Cannot handle "+q.request.GetOpcode()+" request: Node is not running"))
}

// refuse sends the error; what belongs to no conversation is undelivered.
func refuse(ctx actor.Context, q question, f *uipb.Fault) {
	if q.request.Context == nil {
		ctx.Send(q.from, &uipb.Undelivered{Opcode: q.request.GetOpcode()})
		return
	}
	ctx.Send(q.from, f)
}
