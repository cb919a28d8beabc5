package mesh

import (
	"crypto/sha256"
	"crypto/sha512"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/mesh"
	"parley/actors/relay"
	"parley/actors/tree"
	"parley/messages/linkpb"
	"parley/messages/meshpb"
	"parley/messages/relaypb"
	"parley/messages/vaultpb"
)

const (
	channelsMost = 100_000               // open on a node
	perClient    = 100_000               // that a client subscribes to
	hashMost     = 40 * time.Millisecond // that a password takes
	hostLoad     = 0.5                   // of every node's machine
)

// assemble spawns what the program's assembly does, and what stands in for its
// gateways.
func (n *Node) assemble(ctx actor.Context) {
	n.Mesh = mesh.Spawn(ctx, n.options(ctx))
	n.router, _ = n.sys.ProcessRegistry.Add(&tap{n}, "tap")
	pids, gauges := spawnShards(ctx, "clients", shards, shard{
		write: func(member uint64, m proto.Message) {
			if c := n.clients[member]; c != nil {
				c.hear(m)
			}
		},
		settle: func(member uint64, charge uint32) {
			if c := n.clients[member]; c != nil {
				c.settled(&linkpb.Settled{Charge: charge})
			}
		},
	})
	limits := relay.Limits{ChannelsPerClient: perClient, Channels: channelsMost}
	n.Channels = relay.SpawnChannels(ctx, limits, relay.Fanout{Shards: pids, Gauges: gauges}, relay.Mesh{
		Router: n.router, Reservations: n.Mesh.Reservations,
	})
	safe := tree.Spawn(ctx, "vault", tree.Spec{New: func() actor.Actor { return &vault{n} }})
	n.Clients = relay.SpawnClients(ctx, limits, n.Channels, safe)
	n.Stats = relay.SpawnStats(ctx, n.Clients, n.Channels)
	n.Health = relay.SpawnHealth(ctx, n.Clients, n.Channels)
	relay.Meet(ctx, n.Channels, n.Clients, n.Stats)
	host := relay.SpawnHost(ctx, func() (*relaypb.HostReading, error) {
		return &relaypb.HostReading{Load: []float64{hostLoad, hostLoad, hostLoad}}, nil
	})
	n.Mesh.Meet(mesh.Outside{Channels: n.Channels, Stats: n.Stats, Host: host, Health: n.Health})
}

// vault stands in for the one that hashes passwords.
//
//	parent    top
//	receives  vaultpb.HashRequest, hashed
//	sends     vaultpb.HashResponse to askers
//	stops     with the node
type vault struct{ n *Node }

// hashed is an answer that took its time.
type hashed struct {
	asker *actor.PID
	m     *vaultpb.HashResponse
}

// IgnoreDeadLetterLogging marks messages that may find the vault stopped.
func (*hashed) IgnoreDeadLetterLogging() {}

func (v *vault) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *vaultpb.HashRequest:
		h := &hashed{ctx.Sender(), &vaultpb.HashResponse{Hash: hashOf(m.GetChannel(), m.GetPassword(), m.GetLong())}}
		if v.n.sim.o.Quick {
			ctx.Send(ctx.Self(), h)
			return
		}
		tree.After(ctx, v.n.sim.between(0, hashMost), h)
	case *hashed:
		ctx.Send(m.asker, m.m)
	}
}

// hashOf stands for the hash of a password.
func hashOf(channel, password string, long bool) []byte {
	text := []byte(channel + "\x00" + password)
	if long {
		sum := sha512.Sum512(text)
		return sum[:]
	}
	sum := sha256.Sum256(text)
	return sum[:]
}

// tap sees what the relay tells the router, in the order it is told, and passes
// it on.
type tap struct{ n *Node }

// SendUserMessage implements actor.Process.
func (t *tap) SendUserMessage(_ *actor.PID, m any) {
	_, said, from := actor.UnwrapEnvelope(m)
	switch said := said.(type) {
	case *meshpb.Carry:
		t.n.sim.Watch.carried(t.n, said)
	case *meshpb.Drop:
		t.n.sim.Watch.dropped(t.n, said)
	case *meshpb.Publish:
		t.n.sim.Watch.published(t.n, said.GetMessage())
	}
	if from != nil {
		t.n.sys.Root.RequestWithCustomSender(t.n.Mesh.Router, said, from)
	} else {
		t.n.sys.Root.Send(t.n.Mesh.Router, said)
	}
}

// SendSystemMessage implements actor.Process.
func (*tap) SendSystemMessage(*actor.PID, any) {}

// Stop implements actor.Process.
func (*tap) Stop(*actor.PID) {}
