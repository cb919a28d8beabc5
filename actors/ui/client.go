package ui

import (
	"container/list"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/linkpb"
	"parley/messages/uipb"
	"parley/messages/vaultpb"
)

// client serves one user interface: it decides whose turn it is in each
// conversation, and answers what belongs to none.
//
//	parent    clients
//	receives  uipb.Request, uipb.Unreadable, uipb.Redirect, uipb.Undelivered, uipb.Fault, linkpb.Malformed, linkpb.Closed, answered, lost, idleOver
//	sends     uipb.Request to its conversations; uipb.Ask of isolated messages to who answers them; uipb.Response, linkpb.Accepted, linkpb.Close, linkpb.Settled to its link; messages.Multicast to the link's shard; joined, left to broadcasts; vaultpb.Departed to who wants it
//	stops     when the link is gone
type client struct {
	desk       *Desk // fixed at spawn, as all of this block
	broadcasts *actor.PID
	link       *actor.PID
	shard      *actor.PID // of the link
	asker      *uipb.Asker

	talks map[uint64]*talk // owned, as all that follows; by context id; nil: stopping
	idle  list.List        // of *talk without a request, the longest silent first
	sweep *tree.Timer      // nil: nobody is idle
	mold  *tree.Mold
	gone  bool // the link is
}

// talk is what a client knows of one conversation.
type talk struct {
	context uint64
	pid     *actor.PID      // nil: to be spawned for the next request
	waiting []*uipb.Request // the first is being answered
	silent  time.Time       // since when, if in idle
	place   *list.Element   // in idle; nil: not there
}

// answered tells a client that a conversation is free for its next request.
type answered struct {
	context uint64
	over    bool // it stops: an answer that came now would come too late
}

// IgnoreDeadLetterLogging marks messages that may find the client stopped.
func (*answered) IgnoreDeadLetterLogging() {}

// lost says that a conversation has ended. It comes to the client from itself:
// word of an actor's end overtakes what that actor has said before.
type lost struct{ pid *actor.PID }

// IgnoreDeadLetterLogging marks messages that may find the client stopped.
func (*lost) IgnoreDeadLetterLogging() {}

// idleOver says that the longest silent conversation may be idle for too long.
type idleOver struct{}

// IgnoreDeadLetterLogging marks messages that may find the client stopped.
func (idleOver) IgnoreDeadLetterLogging() {}

func (c *client) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		c.onStarted(ctx)
	case *actor.Stopping:
		c.onStopping(ctx)
	case *linkpb.Closed:
		c.onClosed(ctx)
	case *actor.DeadLetterResponse:
		if m.Target.Equal(c.link) { // it was gone before it was accepted
			c.onClosed(ctx)
		}
	case *actor.Terminated:
		ctx.Send(ctx.Self(), &lost{m.GetWho()})
	case *uipb.Request:
		c.onRequest(ctx, m)
	case *answered:
		c.onAnswered(ctx, m)
	case *lost:
		c.onLost(ctx, m)
	case idleOver:
		c.onIdleOver(ctx)
	case *uipb.Unreadable:
		c.say(ctx, &uipb.UnmarshalError{Message: m.GetMessage(), BadData: m.GetBadData()}, m.GetCharge())
	case *linkpb.Malformed:
		c.onMalformed(ctx, m)
	case *uipb.Redirect:
		c.say(ctx, m, 0)
	case *uipb.Undelivered:
		c.say(ctx, m, 0)
	case *uipb.Fault: // of an isolated message: nobody waits for it
	}
}

func (c *client) onStarted(ctx actor.Context) {
	c.mold = tree.NewMold(ctx.ActorSystem(), tree.Spec{})
	ctx.Request(c.link, &linkpb.Accepted{})
	ctx.Send(c.broadcasts, &joined{c.asker.GetMember(), c.mayChange})
}

// mayChange tells whether the user may change things now. It may be called on any
// goroutine.
func (c *client) mayChange() bool { return c.desk.now(c.asker).GetChanges() }

func (c *client) onClosed(ctx actor.Context) {
	c.gone = true
	ctx.Stop(ctx.Self())
}

func (c *client) onStopping(ctx actor.Context) {
	c.talks = nil
	c.idle.Init()
	c.sweep.Stop()
	ctx.Send(c.broadcasts, &left{c.asker.GetMember()})
	if c.desk.Departed != nil {
		ctx.Send(c.desk.Departed, &vaultpb.Departed{Member: c.asker.GetMember()})
	}
	if !c.gone {
		ctx.Send(c.link, &linkpb.Close{Code: closeInternal, Reason: "internal error"})
	}
}

// closeInternal is the WebSocket code of a server that failed.
const closeInternal = 1011

// opcodes of isolated messages, by their body.
func opcodeOf(body proto.Message) string {
	switch body.(type) {
	case *uipb.Redirect:
		return "redirect"
	case *uipb.Undelivered:
		return "undelivered"
	default:
		return "unmarshalError"
	}
}

// say sends an isolated message.
func (c *client) say(ctx actor.Context, body proto.Message, charge uint32) {
	r := uipb.Broadcast(opcodeOf(body), body)
	r.Charge = charge
	ctx.Send(c.link, r)
}

func (c *client) onMalformed(ctx actor.Context, m *linkpb.Malformed) {
	tree.Log(ctx.ActorSystem()).Warn("ignored a message of a user interface",
		slog.String("reason", m.GetReason()), slog.Uint64("uid", uint64(c.asker.GetUid())))
	ctx.Send(c.link, &linkpb.Settled{Charge: m.GetCharge()})
}

// onRequest hands m to the conversation it names, which is spawned at its first
// mention.
func (c *client) onRequest(ctx actor.Context, m *uipb.Request) {
	if m.Context == nil {
		c.onIsolated(ctx, m)
		return
	}
	if c.talks == nil {
		return // a conversation that is spawned now would be stopped by nobody
	}
	t := c.talks[m.GetContext()]
	if t == nil {
		if len(c.talks) >= c.desk.Talks && !c.makeRoom(ctx) {
			fault := Fault(CodeTooMany, "Too many conversations are waiting for answers; wait for one of them, or use another connection")
			answer(ctx, c.shard, c.asker, respond(m, fault), nil)
			return
		}
		t = &talk{context: m.GetContext()}
		c.talks[t.context] = t
	}
	c.wake(t)
	if t.waiting = append(t.waiting, m); len(t.waiting) == 1 {
		c.next(ctx, t)
	}
}

// next gives a conversation the oldest request that waits for it.
func (c *client) next(ctx actor.Context, t *talk) {
	if t.pid == nil {
		t.pid = c.mold.Spawn(ctx, &conversation{
			desk: c.desk, client: ctx.Self(), shard: c.shard, asker: c.asker, context: t.context,
		})
	}
	ctx.Send(t.pid, t.waiting[0])
}

func (c *client) onAnswered(ctx actor.Context, m *answered) {
	t := c.talks[m.context]
	if t == nil || len(t.waiting) == 0 {
		return
	}
	if m.over {
		t.pid = nil
	}
	c.advance(ctx, t)
}

// advance goes on behind the request that was answered.
func (c *client) advance(ctx actor.Context, t *talk) {
	t.waiting[0] = nil
	if t.waiting = t.waiting[1:]; len(t.waiting) > 0 {
		c.next(ctx, t)
		return
	}
	t.waiting = nil
	if t.pid == nil {
		delete(c.talks, t.context)
		return
	}
	t.silent = time.Now()
	t.place = c.idle.PushBack(t)
	if c.sweep == nil {
		c.sweep = tree.After(ctx, c.desk.Idle, idleOver{})
	}
}

// wake takes a conversation from the idle ones.
func (c *client) wake(t *talk) {
	if t.place != nil {
		c.idle.Remove(t.place)
		t.place = nil
	}
}

// end stops an idle conversation.
func (c *client) end(ctx actor.Context, t *talk) {
	c.wake(t)
	delete(c.talks, t.context)
	ctx.Stop(t.pid)
}

// makeRoom ends the conversation that was silent for the longest; false: none
// is idle.
func (c *client) makeRoom(ctx actor.Context) bool {
	oldest := c.idle.Front()
	if oldest == nil {
		return false
	}
	c.end(ctx, oldest.Value.(*talk))
	return true
}

func (c *client) onIdleOver(ctx actor.Context) {
	c.sweep = nil
	for e := c.idle.Front(); e != nil; e = c.idle.Front() {
		t := e.Value.(*talk)
		if left := c.desk.Idle - time.Since(t.silent); left > 0 {
			c.sweep = tree.After(ctx, left, idleOver{})
			return
		}
		c.end(ctx, t)
	}
}

// onLost finds a conversation that failed: its request gets an error, and those
// behind it another conversation.
func (c *client) onLost(ctx actor.Context, m *lost) {
	for _, t := range c.talks {
		if t.pid == nil || !t.pid.Equal(m.pid) {
			continue
		}
		t.pid = nil
		c.wake(t)
		if len(t.waiting) == 0 {
			delete(c.talks, t.context)
			return
		}
		answer(ctx, c.shard, c.asker, respond(t.waiting[0], Fault(CodeUnknown, textFailed)), nil)
		c.advance(ctx, t)
		return
	}
}

// onIsolated passes on what belongs to no conversation.
func (c *client) onIsolated(ctx actor.Context, m *uipb.Request) {
	defer ctx.Send(c.link, &linkpb.Settled{Charge: m.GetCharge()})
	ask := &uipb.Ask{Asker: c.desk.now(c.asker), Request: m}
	r, known := c.desk.Routes[m.GetOpcode()]
	switch {
	case m.GetError() || !known:
		c.onUnknown(ctx, ask)
	case !r.Isolated:
		c.say(ctx, &uipb.UnmarshalError{Message: "Required field was missing: contextId", BadData: excerpt(m)}, 0)
	case m.GetFlaw() != "":
		c.say(ctx, &uipb.UnmarshalError{Message: m.GetFlaw(), BadData: excerpt(m)}, 0)
	case r.Changes && !ask.GetAsker().GetChanges():
		tree.Log(ctx.ActorSystem()).Warn("ignored a message of a user who may only look",
			slog.String("opcode", m.GetOpcode()), slog.Uint64("uid", uint64(c.asker.GetUid())))
	default:
		ctx.Send(r.To, ask)
	}
}

// maxBadData is how many bytes of what was not understood a user interface gets
// back: it sent them itself.
const maxBadData = 4 << 10

// excerpt is the beginning of a frame with a known opcode, cut between two
// characters.
func excerpt(m *uipb.Request) string {
	frame := fmt.Sprintf(`{"opcode":%q,"payload":%s}`, m.GetOpcode(), m.GetPayload())
	return strings.ToValidUTF8(frame[:min(len(frame), maxBadData)], "")
}

func (c *client) onUnknown(ctx actor.Context, ask *uipb.Ask) {
	if ask.GetRequest().GetError() {
		logError(ctx, ask)
	}
	if c.desk.Fallback == nil {
		c.say(ctx, &uipb.Undelivered{Opcode: ask.GetRequest().GetOpcode()}, 0)
		return
	}
	ctx.Request(c.desk.Fallback, ask)
}

// logError notes that a user interface sent an error, which it never should.
func logError(ctx actor.Context, ask *uipb.Ask) {
	tree.Log(ctx.ActorSystem()).Warn("a user interface sent an error", slog.String("opcode", ask.GetRequest().GetOpcode()),
		slog.Uint64("uid", uint64(ask.GetAsker().GetUid())))
}

// respond makes the answer to a request.
func respond(m *uipb.Request, body proto.Message) *uipb.Response {
	r := uipb.Broadcast(m.GetOpcode(), body)
	r.Context, r.Charge = m.Context, m.GetCharge()
	return r
}
