package relay

import (
	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/linkpb"
	"parley/messages/relaypb"
)

// clients supervises one client a connection.
//
//	parent    node
//	receives  linkpb.Opened, relaypb.CensusRequest, lost
//	sends     relaypb.Census to the asker; lost to all clients
//	stops     with the node
type clients struct {
	limits   Limits // fixed at spawn
	channels *actor.PID
	vault    *actor.PID

	mold  *tree.Mold // set by Started
	count int        // owned
}

// SpawnClients starts the supervisor that serves relay links.
func SpawnClients(ctx actor.SpawnerContext, limits Limits, channels, vault *actor.PID) *actor.PID {
	return tree.Spawn(ctx, "clients", tree.Spec{New: func() actor.Actor {
		return &clients{limits: limits, channels: channels, vault: vault}
	}})
}

func (c *clients) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		c.mold = tree.NewMold(ctx.ActorSystem(), tree.Spec{Inline: true})
	case *linkpb.Opened:
		c.onOpened(ctx, m)
	case *actor.Terminated:
		c.count--
	case *relaypb.CensusRequest:
		ctx.Respond(&relaypb.Census{Clients: uint32(c.count)})
	case *lost:
		for _, pid := range ctx.Children() {
			ctx.Send(pid, m)
		}
	}
}

func (c *clients) onOpened(ctx actor.Context, m *linkpb.Opened) {
	c.count++
	c.mold.Spawn(ctx, &client{limits: &c.limits, link: ctx.Sender(), member: m.GetMember(), channels: c.channels, vault: c.vault})
}
