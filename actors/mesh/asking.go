package mesh

import (
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/meshpb"
)

// How long answers are waited for. Source: gateways/mesh/PROTOCOL.md, Commands.
const (
	askOne = 5 * time.Second // of one node
	askAll = 2 * time.Second // of all nodes
	// askReturned is how long a command that one node returned to its sender may
	// still be answered: where no route was known it went several ways, and some
	// of them end.
	askReturned = 250 * time.Millisecond
)

// ask is one command of this node, and what has been answered.
type ask struct {
	ticket      uint64
	question    uint64     // ticket of the AskRequest
	asker       *actor.PID // nil: nobody wants to know
	destination string
	nonce       nonce           // zero: it has not been sent yet
	asked       map[string]bool // nodes that may still answer
	answers     map[string]*meshpb.Response
	silent      []string         // nodes that are gone
	returned    *meshpb.Response // by a node that could not pass it on; nil: by none
	timer       *tree.Timer
}

// askOver says that the time for answers is over.
type askOver struct {
	ticket   uint64
	returned bool // it is askReturned that is over
}

// IgnoreDeadLetterLogging marks messages that may find commands stopped.
func (askOver) IgnoreDeadLetterLogging() {}

func (c *commands) onAskRequest(ctx actor.Context, m *meshpb.AskRequest) {
	wait := askOne
	if m.GetDestination() == everyone {
		wait = askAll
	}
	if ms := m.GetTimeoutMs(); ms > 0 {
		wait = time.Duration(ms) * time.Millisecond
	}
	c.tickets++
	a := &ask{
		ticket: c.tickets, question: m.GetTicket(), asker: ctx.Sender(), destination: m.GetDestination(),
		answers: map[string]*meshpb.Response{},
	}
	a.timer = tree.After(ctx, wait, askOver{ticket: a.ticket})
	c.asks[a.ticket] = a
	ctx.Request(c.met.router, &post{ticket: a.ticket, destination: a.destination, command: m.GetCommand()})
}

// onPosted notes who may answer. The router says it before it passes on the
// first answer.
func (c *commands) onPosted(ctx actor.Context, m *posted) {
	a := c.asks[m.ticket]
	if a == nil || a.asked != nil {
		return // it took the router longer than there was time
	}
	a.asked = make(map[string]bool, len(m.asked))
	for _, name := range m.asked {
		a.asked[name] = true
	}
	if len(a.asked) == 0 {
		if a.destination != everyone {
			a.answers[a.destination] = returnedFor(a.destination)
		}
		c.over(ctx, a)
		return
	}
	a.nonce = nonce{m.boot, m.seq}
	c.open[a.nonce] = a
}

// returnedFor is what a node says that cannot pass a command on.
func returnedFor(destination string) *meshpb.Response {
	return &meshpb.Response{Ok: proto.Bool(false), Reason: reasonReturned, Destination: destination}
}

// onResponse takes an answer from who was asked, once, while there is time. All
// others are nobody's.
func (c *commands) onResponse(ctx actor.Context, p *meshpb.Packet) {
	a := c.open[nonce{p.GetBoot(), p.GetSeq()}]
	r := p.GetResponse()
	switch {
	case a == nil || p.GetNonce() != "":
		c.unasked.Add(1)
	case a.asked[p.GetSource()]:
		c.answered(ctx, a, p.GetSource(), r)
	case r.GetReason() == reasonReturned && r.GetDestination() == a.destination && a.asked[a.destination]:
		c.onReturned(ctx, a, r)
	default:
		c.unasked.Add(1)
	}
}

func (c *commands) answered(ctx actor.Context, a *ask, node string, r *meshpb.Response) {
	a.answers[node] = r
	if delete(a.asked, node); len(a.asked) == 0 {
		c.over(ctx, a)
	}
}

// onReturned notes that a command went astray.
func (c *commands) onReturned(ctx actor.Context, a *ask, r *meshpb.Response) {
	if a.returned != nil {
		return
	}
	a.returned = r
	a.timer.Stop()
	a.timer = tree.After(ctx, askReturned, askOver{a.ticket, true})
}

func (c *commands) onGone(ctx actor.Context, m *gone) {
	for _, ticket := range slices.Sorted(maps.Keys(c.asks)) {
		a := c.asks[ticket]
		if !a.asked[m.node] {
			continue
		}
		a.silent = append(a.silent, m.node)
		if delete(a.asked, m.node); len(a.asked) == 0 {
			c.over(ctx, a)
		}
	}
}

func (c *commands) onAskOver(ctx actor.Context, m askOver) {
	a := c.asks[m.ticket]
	if a == nil || m.returned != (a.returned != nil) {
		return // another timer has taken over
	}
	if a.returned != nil {
		a.answers[a.destination] = a.returned
		delete(a.asked, a.destination)
	}
	if a.asked == nil && a.destination != everyone { // the router has not said anything
		a.silent = append(a.silent, a.destination)
	}
	c.over(ctx, a)
}

// over tells the asker what came of it.
func (c *commands) over(ctx actor.Context, a *ask) {
	a.timer.Stop()
	delete(c.asks, a.ticket)
	delete(c.open, a.nonce)
	if a.asker == nil {
		return
	}
	m := &meshpb.AskResponse{Ticket: a.question, Silent: append(a.silent, slices.Collect(maps.Keys(a.asked))...)}
	slices.Sort(m.Silent)
	for _, node := range slices.Sorted(maps.Keys(a.answers)) {
		m.Answers = append(m.Answers, &meshpb.Answer{Node: node, Response: a.answers[node]})
	}
	ctx.Send(a.asker, m)
}
