package mesh

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/meshpb"
	"parley/messages/relaypb"
)

const (
	// statsMost is how long figures of this node are waited for. Who asked for
	// them waits askOne at most.
	statsMost = 4 * time.Second
	// askersMost is how many may wait for them; the figures are large, and the
	// next who asks gets them anew.
	askersMost = 1024
)

// figures is one kind of this node's figures, and who waits for them: all get
// the same.
type figures struct {
	askers []*received // their commands; empty: nothing is being asked
	round  uint64
	late   *tree.Timer
}

// statsOver says that figures have taken too long.
type statsOver struct {
	host  bool // of the machine
	round uint64
}

// IgnoreDeadLetterLogging marks messages that may find commands stopped.
func (statsOver) IgnoreDeadLetterLogging() {}

// onCommand passes a command on to who answers it, or reports that this is done.
func (c *commands) onCommand(ctx actor.Context, m *received) (passed bool) {
	toAll := m.packet.GetDestination() == everyone
	switch m.packet.GetCommand().GetName() {
	case cmdHello: // the router knows, and nobody answers
	case cmdConnection, cmdToken, cmdLatency:
		if toAll {
			c.refuse(ctx, m.packet, reasonOneOnly)
			return false
		}
		ctx.Send(c.met.peers, &inquiry{m.packet, m.from, m.loan})
		return true
	case cmdNodes:
		ctx.Send(c.met.peers, &inquiry{m.packet, m.from, m.loan})
		return true
	case cmdChannels, cmdReserved, cmdReserve, cmdUnreserve, cmdSync:
		ctx.Send(c.met.reservations, &inquiry{m.packet, m.from, m.loan})
		return true
	case cmdNodeStats:
		c.gather(ctx, m, &c.node, c.met.Stats, &relaypb.NodeStatsRequest{}, statsOver{host: false, round: c.node.round + 1})
	case cmdHostStats:
		c.gather(ctx, m, &c.host, c.met.Host, &relaypb.HostStatsRequest{}, statsOver{host: true, round: c.host.round + 1})
	default:
		if !toAll { // a newer node asks all, and those that know will answer
			c.refuse(ctx, m.packet, reasonUnknown)
		}
	}
	return false
}

// refuse answers a command that this node does not carry out.
func (c *commands) refuse(ctx actor.Context, p *meshpb.Packet, reason string) {
	c.answer(ctx, p, &meshpb.Response{Ok: proto.Bool(false), Reason: reason})
}

func (c *commands) answer(ctx actor.Context, p *meshpb.Packet, r *meshpb.Response) {
	ctx.Send(c.met.router, &post{destination: p.GetSource(), response: r, to: p})
}

// gather asks for figures, unless that is under way: then m is answered with
// the same.
func (c *commands) gather(ctx actor.Context, m *received, f *figures, from *actor.PID, question any, over statsOver) {
	if from == nil || len(f.askers) == askersMost {
		return // it is silent, as a node that is too busy
	}
	if f.askers = append(f.askers, m); len(f.askers) > 1 {
		return
	}
	f.round = over.round
	f.late = tree.After(ctx, statsMost, over)
	ctx.Request(from, question)
}

// tell answers all who wait for figures, but for those behind a link that had too
// much of them.
func (c *commands) tell(ctx actor.Context, f *figures, r *meshpb.Response) {
	f.late.Stop()
	r.Ok = proto.Bool(true)
	now, bytes := time.Now(), proto.Size(r)
	c.spent.age(now)
	for _, m := range f.askers {
		if c.spent.may(m.from, now) {
			c.spent.note(m.from, bytes, now)
			c.answer(ctx, m.packet, r)
		}
	}
	f.askers = nil
}

func (c *commands) onStatsOver(m statsOver) {
	f := &c.node
	if m.host {
		f = &c.host
	}
	if m.round == f.round {
		f.askers = nil
	}
}
