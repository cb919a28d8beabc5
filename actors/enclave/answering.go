package enclave

import (
	"strconv"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/enclavepb"
)

// Why commands are refused, for people.
const (
	reasonBusy     = "too many commands are waiting: try again in a moment"
	reasonBookFull = "the address book is full: remove contacts that are no longer needed"
	reasonFailed   = "this failed inside the node, which has logged why: try again"
	reasonLeaving  = "the node is shutting down: try again when it is back"
	reasonRemoved  = "the contact was removed"
)

// askedBytes is the weight of a command without its texts.
const askedBytes = 256

// listing is an answer to list on its way: from book by friends and strangers to
// who asked. Each adds to it what it knows.
type listing struct {
	asked  *asked
	result *enclavepb.Result
}

// Bytes implements messages.Load.
func (a *asked) Bytes() int {
	return askedBytes + len(a.command.GetSend().GetMessage())
}

// refuseAsked answers commands that an actor has no room for.
func refuseAsked(sys *actor.ActorSystem) func(msg any) {
	return func(msg any) {
		tree.Of(sys).Drop(tree.MailboxFull, 1)
		if a, ok := actor.UnwrapEnvelopeMessage(msg).(*asked); ok {
			sys.Root.Send(a.from, refused(a, reasonBusy))
		}
	}
}

// attempt does f for a command, which is answered also when f panics: that goes
// on to the supervisor.
func attempt(ctx actor.Context, a *asked, f func()) {
	over := false
	defer func() {
		if !over {
			answer(ctx, a, refused(a, reasonFailed))
		}
	}()
	f()
	over = true
}

// answer ends a command.
func answer(ctx actor.Context, a *asked, r *enclavepb.Result) {
	if a.from != nil {
		ctx.Send(a.from, r)
	}
}

// done is the answer to a command that was carried out.
func done(a *asked) *enclavepb.Result {
	return &enclavepb.Result{Id: a.command.GetId(), Cmd: commandName(a.command), Ok: true}
}

// refused is the answer to one that was not.
func refused(a *asked, reason string) *enclavepb.Result {
	return &enclavepb.Result{Id: a.command.GetId(), Cmd: commandName(a.command), Reason: reason}
}

func noContact(name string) string {
	return "there is no contact " + strconv.Quote(name) + ": the list of contacts has all names and addresses"
}

// commandName is what front ends call a command. Source:
// gateways/enclave/PROTOCOL.md, Front ends.
func commandName(c *enclavepb.Command) string {
	switch c.GetBody().(type) {
	case *enclavepb.Command_Send:
		return "send"
	case *enclavepb.Command_Add:
		return "add"
	case *enclavepb.Command_Accept:
		return "accept"
	case *enclavepb.Command_Ignore:
		return "ignore"
	case *enclavepb.Command_Remove:
		return "remove"
	case *enclavepb.Command_Status:
		return "status"
	case *enclavepb.Command_Alias:
		return "alias"
	case *enclavepb.Command_List:
		return "list"
	case *enclavepb.Command_History:
		return "history"
	}
	return ""
}

// A friend may be gone when it is answered.

// IgnoreDeadLetterLogging marks messages that may find a friend stopped.
func (*kept) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find a friend stopped.
func (*recalled) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find a friend stopped.
func (*noted) IgnoreDeadLetterLogging() {}
