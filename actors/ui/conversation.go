package ui

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/faultpb"
	"parley/messages/uipb"
)

// conversation is one context id of one connection. It has one request at a
// time: asks who answers it, and passes the answer on.
//
//	parent    client
//	receives  uipb.Request, uipb.Redirect, uipb.Undelivered, faultpb.Failed, timeUp; any other body of a response
//	sends     uipb.Ask to who answers, and uipb.Answered where its route says so; messages.Multicast to the link's shard; answered to client
//	stops     when it was idle for too long, when an answer did not come in time, when who answers failed, with its client
type conversation struct {
	desk    *Desk // fixed at spawn, as all of this block
	client  *actor.PID
	shard   *actor.PID // of the link
	asker   *uipb.Asker
	context uint64

	request *uipb.Request // owned, as all that follows; nil: none
	route   Route         // of request
	late    *tree.Timer
}

// timeUp says that a request took too long.
type timeUp struct{ request *uipb.Request }

// IgnoreDeadLetterLogging marks messages that may find the conversation stopped.
func (*timeUp) IgnoreDeadLetterLogging() {}

func (c *conversation) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Stopping:
		c.late.Stop()
	case *actor.Stopped:
		c.onStopped(ctx)
	case *actor.DeadLetterResponse: // who answers is gone
		c.onFailed(ctx, m.Target.GetId(), false)
	case actor.SystemMessage, actor.AutoReceiveMessage:
		// Several of these are protobuf messages too; keep them off the wire.
	case *uipb.Request:
		c.onRequest(ctx, m)
	case *faultpb.Failed:
		c.onFailed(ctx, m.GetActor(), true)
	case *timeUp:
		c.onTimeUp(ctx, m)
	case proto.Message:
		c.onAnswer(ctx, m)
	}
}

func (c *conversation) onRequest(ctx actor.Context, m *uipb.Request) {
	c.request = m
	ask := &uipb.Ask{Asker: c.desk.now(c.asker), Request: m}
	known := false
	c.route, known = c.desk.Routes[m.GetOpcode()]
	if m.GetError() {
		logError(ctx, ask)
		known = false
	}
	switch {
	case m.GetFlaw() != "":
		c.onAnswer(ctx, Fault(CodeUnmarshal, m.GetFlaw()))
		return
	case !known && c.desk.Fallback == nil:
		c.onAnswer(ctx, Fault(CodeUnmarshal, fmt.Sprintf("Opcode %q is not known here", m.GetOpcode())))
		return
	case !known:
		c.route = Route{To: c.desk.Fallback}
	case c.route.Isolated:
		c.onAnswer(ctx, Fault(CodeUnmarshal, fmt.Sprintf("Opcode %q is never part of a conversation: send it without contextId", m.GetOpcode())))
		return
	case c.route.Changes && !ask.GetAsker().GetChanges():
		c.onAnswer(ctx, NotPermitted(c.asker))
		return
	}
	c.late = tree.After(ctx, c.timeout(), &timeUp{m})
	ctx.Request(c.route.To, ask)
}

func (c *conversation) timeout() time.Duration {
	if c.route.Timeout > 0 {
		return c.route.Timeout
	}
	return DefaultTimeout
}

// NotPermitted is the error for an asker who may only look.
func NotPermitted(a *uipb.Asker) *uipb.Fault {
	return Fault(CodeNotPermitted, fmt.Sprintf("User %d may look but not change anything here; the owner can allow it by adding the user to ui-users", a.GetUid()))
}

// textFailed is for people whose request met a bug of ours.
const textFailed = "The request failed inside of this process; its log says why"

// onFailed answers for who cannot. panicked: it may have failed behind its answer
// to the request before, and then that to this one is still to come. So the
// conversation ends, as it does when time is up.
func (c *conversation) onFailed(ctx actor.Context, who string, panicked bool) {
	if c.request == nil {
		return
	}
	tree.Log(ctx.ActorSystem()).Error("a request was not answered", slog.String("opcode", c.request.GetOpcode()), slog.String("actor", who))
	c.finish(ctx, respond(c.request, Fault(CodeUnknown, textFailed)), panicked)
}

// onAnswer passes an answer on. It takes the way of broadcasts, so that both
// keep their order.
func (c *conversation) onAnswer(ctx actor.Context, body proto.Message) {
	if c.request == nil {
		return
	}
	c.finish(ctx, c.response(ctx, body), false)
}

// onStopped tells who answers the open request that its asker is gone. An answer
// that was waiting here is lost and is no dead letter: who sent it would go on
// waiting for word of it. From now on there is nobody to send one to.
func (c *conversation) onStopped(ctx actor.Context) {
	if c.confirms() {
		ctx.Request(c.route.To, &uipb.Answered{})
	}
}

// confirms reports whether somebody was asked, and is to hear of the answer.
func (c *conversation) confirms() bool { return c.late != nil && c.route.Confirm }

// finish is the end of a request, and if over of the conversation.
func (c *conversation) finish(ctx actor.Context, r *uipb.Response, over bool) {
	var written func()
	if c.confirms() {
		root, self, to := ctx.ActorSystem().Root, ctx.Self(), c.route.To
		written = func() { root.RequestWithCustomSender(to, &uipb.Answered{}, self) }
	}
	answer(ctx, c.shard, c.asker, r, written)
	c.late.Stop()
	c.request, c.route, c.late = nil, Route{}, nil
	ctx.Send(c.client, &answered{context: c.context, over: over})
	if over {
		ctx.Stop(ctx.Self())
	}
}

// answer sends r to its asker, behind all that the link's shard has for it, and
// gives back the credit of the request. written is called behind that; nil: nobody
// asks.
func answer(ctx actor.Context, shard *actor.PID, to *uipb.Asker, r *uipb.Response, written func()) {
	out := &messages.Multicast{Origin: to.GetMember(), Answer: r, Charge: r.GetCharge(), Written: written}
	r.Charge = 0
	ctx.Send(shard, out)
}

// response is the frame of an answer; those that lead elsewhere are isolated.
func (c *conversation) response(ctx actor.Context, body proto.Message) *uipb.Response {
	switch body.(type) {
	case *uipb.Redirect, *uipb.Undelivered:
		r := uipb.Broadcast(opcodeOf(body), body)
		r.Charge = c.request.GetCharge()
		return r
	}
	r, ok := uipb.NewResponse(c.request.GetOpcode(), body)
	if !ok {
		tree.Log(ctx.ActorSystem()).Error("no answer to a user interface", slog.String("opcode", c.request.GetOpcode()),
			slog.String("message", string(body.ProtoReflect().Descriptor().FullName())))
		r = uipb.Broadcast(c.request.GetOpcode(), Fault(CodeUnknown, textFailed))
	}
	r.Context, r.Charge = c.request.Context, c.request.GetCharge()
	return r
}

// onTimeUp gives up on a request. The conversation ends with it: what still
// comes must not be taken for the answer to the next request.
func (c *conversation) onTimeUp(ctx actor.Context, m *timeUp) {
	if c.request != m.request {
		return
	}
	text := fmt.Sprintf("No answer to %s within %v", c.request.GetOpcode(), c.timeout())
	c.finish(ctx, respond(c.request, Fault(CodeTimeout, text)), true)
}
