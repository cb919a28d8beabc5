package mesh

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/linkpb"
)

// Names of the actors below a node.
const (
	nameRouter       = "router"
	nameHello        = "hello"
	nameCommands     = "commands"
	nameReservations = "reservations"
	namePeers        = "peers"
	nameScout        = "scout"
	nameMaster       = "master"
)

// Spawn starts a node's part in the mesh, below ctx. Meet must follow.
func Spawn(ctx actor.SpawnerContext, o Options) *Mesh {
	if o.Now == nil {
		o.Now = time.Now
	}
	sys := ctx.ActorSystem()
	all := meet{
		router: below(ctx, nameRouter), hello: below(ctx, nameHello), commands: below(ctx, nameCommands),
		reservations: below(ctx, nameReservations), peers: below(ctx, namePeers), scout: below(ctx, nameScout),
	}
	if o.Master {
		all.master = below(ctx, nameMaster)
	}
	m := &Mesh{root: sys.Root}
	start := func(name string, s tree.Spec, make func(*Options, *meet) actor.Actor) *actor.PID {
		met := all
		a := introduced(make(&o, &met), &met)
		s.New = func() actor.Actor { return a } // what an actor knows outlives its restart
		pid := tree.Spawn(ctx, name, s)
		m.spawned = append(m.spawned, pid)
		return pid
	}
	m.Router = start(nameRouter, tree.Spec{Batch: true, Gauge: o.Gauge, Refused: refused(sys)}, newRouter)
	m.Commands = start(nameCommands, tree.Spec{Asked: true}, newCommands)
	m.Reservations = start(nameReservations, tree.Spec{}, newReservations)
	start(nameHello, tree.Spec{}, newHello)
	m.Peers = start(namePeers, tree.Spec{}, newPeers)
	start(nameScout, tree.Spec{}, newScout)
	if o.Master {
		m.Master = start(nameMaster, tree.Spec{}, newMaster)
	}
	return m
}

// Meet tells the mesh's actors whom to talk to in their node. It goes before
// all that is sent to them afterwards; until then they tell their node nothing.
func (m *Mesh) Meet(out Outside) {
	for _, pid := range m.spawned {
		m.root.Send(pid, &out)
	}
}

// below is the PID that an actor of that name will have. So they all know each
// other from their first message on.
func below(ctx actor.SpawnerContext, name string) *actor.PID {
	if self := ctx.Self(); self != nil {
		name = self.GetId() + "/" + name
	}
	return actor.NewPID(ctx.ActorSystem().Address(), name)
}

// introduced makes an actor that keeps what Meet says in met, which is its own.
func introduced(a actor.Actor, met *meet) actor.Actor {
	return actor.ReceiveFunc(func(ctx actor.Context) {
		if out, ok := ctx.Message().(*Outside); ok {
			met.Outside = *out
			return
		}
		a.Receive(ctx)
	})
}

// refused counts what the router has no room for, and lets its link read on.
func refused(sys *actor.ActorSystem) func(msg any) {
	return func(msg any) {
		lost := 1
		if a, ok := actor.UnwrapEnvelopeMessage(msg).(*arrived); ok {
			lost = max(1, len(a.packets))
			sys.Root.Send(a.link, &linkpb.Settled{Charge: a.charge})
		}
		tree.Of(sys).Drop(tree.MailboxFull, lost)
	}
}
