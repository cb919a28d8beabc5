package mesh

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/messages/meshpb"
)

// introductionsMost is how many nodes may wait at once for the token of another:
// each is an actor and a question to a peer.
const introductionsMost = 64

// Reasons that the seed does not have.
const (
	reasonTimeout    = "timeout"
	reasonBusy       = "busy"
	reasonClosed     = "not accepting"
	reasonUnmeasured = "not measured"
)

// onInquiry answers commands about links. Source: gateways/mesh/PROTOCOL.md,
// Commands.
func (p *peers) onInquiry(ctx actor.Context, m *inquiry) {
	defer repay(ctx, p.met, m.loan)
	c := m.packet.GetCommand()
	switch c.GetName() {
	case cmdNodes:
		p.answer(ctx, m.packet, &meshpb.Response{Nodes: &meshpb.Nodes{Names: p.names()}})
	case cmdLatency:
		p.answer(ctx, m.packet, p.latency(c.GetNode()))
	case cmdToken:
		p.answer(ctx, m.packet, p.token(m))
	case cmdConnection:
		p.introduce(ctx, m.packet)
	}
}

func (p *peers) answer(ctx actor.Context, to *meshpb.Packet, r *meshpb.Response) {
	ctx.Send(p.met.router, &post{destination: to.GetSource(), response: r, to: to})
}

func failure(reason string) *meshpb.Response {
	return &meshpb.Response{Ok: proto.Bool(false), Reason: reason}
}

// latency answers get-latency.
func (p *peers) latency(node string) *meshpb.Response {
	t := p.linked[node]
	switch {
	case t == nil:
		return failure(reasonUnlinked)
	case !t.timed:
		return failure(reasonUnmeasured)
	}
	return &meshpb.Response{Ok: proto.Bool(true), Latency: proto.Float64(t.ms)}
}

// token answers get-connection-token, for the node that the token is to be for.
// Only a peer introduces others: places are kept for tokens, and who is far away
// could take all of them.
func (p *peers) token(m *inquiry) *meshpb.Response {
	node, by := m.packet.GetCommand().GetNode(), m.packet.GetSource()
	switch {
	case !p.o.Accept || !validName(node) || node == p.o.Name:
		return failure(reasonClosed)
	case by != m.from || by != p.o.Name && p.linked[by] == nil:
		return failure(reasonUnlinked)
	case p.full(node, p.spare()):
		return failure(reasonBusy)
	}
	token, ok := p.tokens.issue(node, by, time.Now())
	if !ok {
		return failure(reasonBusy)
	}
	return &meshpb.Response{Connection: &meshpb.Connection{Token: token}}
}

// introduce asks a peer for a token that lets the source of a command connect to
// it.
func (p *peers) introduce(ctx actor.Context, m *meshpb.Packet) {
	node := m.GetCommand().GetNode()
	t := p.linked[node]
	switch {
	case t == nil || t.host == "" || node == m.GetSource(): // nobody can connect to a node that has no address
		p.answer(ctx, m, failure(reasonUnlinked))
	case len(p.asked) >= introductionsMost:
		p.answer(ctx, m, failure(reasonBusy))
	default:
		p.errands++
		p.asked[p.errands] = m
		sendErrand(ctx, p.met, p.errands, node, &meshpb.Command{Name: cmdToken, Node: m.GetSource()})
	}
}

// onReturned passes a token on, or why there is none.
func (p *peers) onReturned(ctx actor.Context, m *returned) {
	to := p.asked[m.errand]
	if to == nil {
		return
	}
	delete(p.asked, m.errand)
	token, t := m.response.GetConnection().GetToken(), p.linked[m.node]
	switch {
	case m.response == nil:
		p.answer(ctx, to, failure(reasonTimeout))
	case token == "" && m.response.GetReason() != "":
		p.answer(ctx, to, failure(m.response.GetReason()))
	case token == "" || t == nil:
		p.answer(ctx, to, failure(reasonUnlinked))
	default:
		p.answer(ctx, to, &meshpb.Response{Ok: proto.Bool(true), Connection: &meshpb.Connection{Host: t.host, Token: token}})
	}
}
