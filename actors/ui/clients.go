package ui

import (
	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/linkpb"
	"parley/messages/uipb"
)

// clients supervises one client a connection.
//
//	parent    node, daemon
//	receives  linkpb.Opened
//	sends     -
//	stops     with the process
type clients struct {
	desk       *Desk // fixed at spawn, as all of this block
	fanout     Fanout
	broadcasts *actor.PID

	mold *tree.Mold // set by Started; nil: stopping
}

// Fanout is the shards of the gateway, in its order. A member belongs to the
// shard of its number modulo their count.
type Fanout []*actor.PID

func (f Fanout) shardOf(member uint64) *actor.PID { return f[member%uint64(len(f))] }

// SpawnClients starts the supervisor that serves the links of user interfaces.
func SpawnClients(ctx actor.SpawnerContext, desk Desk, fanout Fanout, broadcasts *actor.PID) *actor.PID {
	d := desk.withDefaults()
	return tree.Spawn(ctx, "uis", tree.Spec{New: func() actor.Actor {
		return &clients{desk: &d, fanout: fanout, broadcasts: broadcasts}
	}})
}

func (c *clients) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		c.mold = tree.NewMold(ctx.ActorSystem(), tree.Spec{})
	case *actor.Stopping:
		c.mold = nil
	case *linkpb.Opened:
		c.onOpened(ctx, m)
	}
}

func (c *clients) onOpened(ctx actor.Context, m *linkpb.Opened) {
	if c.mold == nil {
		return // a client that is spawned now would be stopped by nobody
	}
	p := m.GetPeer()
	c.mold.Spawn(ctx, &client{
		desk: c.desk, broadcasts: c.broadcasts, link: ctx.Sender(), shard: c.fanout.shardOf(m.GetMember()),
		asker: &uipb.Asker{Member: m.GetMember(), Uid: p.GetUid(), Owner: p.GetOwner(), Changes: p.GetChanges()},
		talks: map[uint64]*talk{},
	})
}
