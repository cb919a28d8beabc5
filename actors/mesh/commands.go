package mesh

import (
	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/meshpb"
	"parley/messages/relaypb"
)

// commands asks other nodes, and lets this one answer them. What this node asks
// is in asking.go, what it is asked in answering.go.
//
//	parent    node
//	receives  meshpb.AskRequest, posted, received, gone, askOver, relaypb.NodeStats, relaypb.HostStats, statsOver
//	sends     post, dealt to router; meshpb.AskResponse to askers; inquiry to peers and reservations;
//	          relaypb.NodeStatsRequest to stats; relaypb.HostStatsRequest to host
//	stops     with the node; who asked is told nothing
type commands struct {
	o   *Options // fixed at spawn
	met *meet

	asks    map[uint64]*ask // owned, as all that follows; by ticket
	open    map[nonce]*ask  // those that were sent
	tickets uint64          // drawn so far
	node    figures
	host    figures
	spent   spending // on them

	unasked *tree.Counter // set by Started
}

// nonce is what a packet of this node is known by, all over the mesh.
type nonce struct{ boot, seq uint64 }

func newCommands(o *Options, met *meet) actor.Actor {
	return &commands{o: o, met: met, asks: map[uint64]*ask{}, open: map[nonce]*ask{}, spent: spending{}}
}

func (c *commands) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		c.unasked = tree.Of(ctx.ActorSystem()).Counter("mesh_responses_unasked_total", "Responses that came late, twice, or to what nobody had asked.", "", "")
	case *actor.Stopping:
		c.onStopping()
	case *meshpb.AskRequest:
		c.onAskRequest(ctx, m)
	case *posted:
		c.onPosted(ctx, m)
	case *received:
		c.onReceived(ctx, m)
	case *gone:
		c.onGone(ctx, m)
	case askOver:
		c.onAskOver(ctx, m)
	case *relaypb.NodeStats:
		c.tell(ctx, &c.node, &meshpb.Response{NodeStats: m})
	case *relaypb.HostStats:
		c.tell(ctx, &c.host, &meshpb.Response{HostStats: m})
	case statsOver:
		c.onStatsOver(m)
	}
}

func (c *commands) onReceived(ctx actor.Context, m *received) {
	passed := false
	defer func() { // also when it fails: the link would wait for ever
		if !passed {
			repay(ctx, c.met, m.loan)
		}
	}()
	switch {
	case m.packet.GetResponse() != nil:
		c.onResponse(ctx, m.packet)
	case m.packet.GetCommand() != nil:
		passed = c.onCommand(ctx, m)
	}
}

// onStopping stops all timers: many may run, and each keeps its ask.
func (c *commands) onStopping() {
	for _, a := range c.asks {
		a.timer.Stop()
	}
	c.node.late.Stop()
	c.host.late.Stop()
}
