package mesh

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"

	"parley/messages/meshpb"
	"parley/testkit"
)

// expectation is a process that waits for one message.
type expectation struct {
	n   *Node
	pid *actor.PID
	got func(any)
}

// SendUserMessage implements actor.Process.
func (e *expectation) SendUserMessage(_ *actor.PID, m any) {
	e.n.sys.ProcessRegistry.Remove(e.pid)
	delete(e.n.waiting, e.pid.GetId())
	e.got(actor.UnwrapEnvelopeMessage(m))
}

// SendSystemMessage implements actor.Process.
func (e *expectation) SendSystemMessage(*actor.PID, any) {}

// Stop implements actor.Process.
func (e *expectation) Stop(*actor.PID) {}

// expect asks an actor of the node, and calls got with what it answers.
func (n *Node) expect(to *actor.PID, question any, got func(any)) {
	n.sim.asked++
	e := &expectation{n: n, got: got}
	e.pid, _ = n.sys.ProcessRegistry.Add(e, fmt.Sprint("expectation", n.sim.asked))
	n.waiting[e.pid.GetId()] = e.pid
	n.sys.Root.RequestWithCustomSender(to, question, e.pid)
}

// Ask asks an actor of the node and waits for its answer; nil: there was none.
func (n *Node) Ask(to *actor.PID, question any) any {
	n.sim.T.Helper()
	var answer any
	answered := false
	n.expect(to, question, func(got any) { answer, answered = got, true })
	if !n.sim.RunUntil(askMost, func() bool { return answered }) {
		n.sim.T.Errorf("%s: %T was not answered", n.Name, question)
	}
	return answer
}

// Peek is Ask for what is answered at once: no time passes.
func (n *Node) Peek(to *actor.PID, question any) any {
	n.sim.T.Helper()
	var answer any
	n.expect(to, question, func(got any) { answer = got })
	n.sim.D.Settle()
	if answer == nil {
		n.sim.T.Errorf("%s: %T was not answered at once", n.Name, question)
	}
	return answer
}

// Command has the node ask others, and returns what they said by name.
func (n *Node) Command(to string, c *meshpb.Command) (answers map[string]*meshpb.Response, silent []string) {
	n.sim.T.Helper()
	r, _ := n.Ask(n.Mesh.Commands, &meshpb.AskRequest{Destination: to, Command: c}).(*meshpb.AskResponse)
	answers = map[string]*meshpb.Response{}
	for _, a := range r.GetAnswers() {
		if answers[a.GetNode()] != nil {
			n.sim.T.Errorf("%s: %s answered %s twice", n.Name, a.GetNode(), c.GetName())
		}
		answers[a.GetNode()] = a.GetResponse()
	}
	return answers, r.GetSilent()
}

// Network is what the node knows of the mesh.
func (n *Node) Network() *meshpb.NetworkResponse {
	n.sim.T.Helper()
	r, _ := n.Peek(n.Mesh.Router, &meshpb.NetworkRequest{}).(*meshpb.NetworkResponse)
	return r
}

// Holdings is what the node knows of who has which channel.
func (n *Node) Holdings() *meshpb.HoldingsResponse {
	n.sim.T.Helper()
	r, _ := n.Peek(n.Mesh.Reservations, &meshpb.HoldingsRequest{}).(*meshpb.HoldingsResponse)
	return r
}

// Peers are the node's links.
func (n *Node) Peers() []*meshpb.Peer {
	n.sim.T.Helper()
	r, _ := n.Peek(n.Mesh.Peers, &meshpb.PeersRequest{}).(*meshpb.PeersResponse)
	return r.GetPeers()
}

// named passes on what a test needs of a node's log.
type named struct{ slog.Handler }

// loudness is the least level that is passed on: of one seed warnings are, else
// errors only, because what so many nodes have to say goes unread.
func loudness() slog.Level {
	if testkit.Replaying() {
		return slog.LevelWarn
	}
	return slog.LevelError
}

// Enabled implements slog.Handler.
func (named) Enabled(_ context.Context, l slog.Level) bool { return l >= loudness() }

// Handle implements slog.Handler.
func (h named) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < loudness() {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h named) WithAttrs(as []slog.Attr) slog.Handler { return named{h.Handler.WithAttrs(as)} }

// WithGroup implements slog.Handler.
func (h named) WithGroup(name string) slog.Handler { return named{h.Handler.WithGroup(name)} }
