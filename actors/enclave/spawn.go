package enclave

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
)

// Names of the actors below a node.
const (
	nameBook      = "book"
	nameFriends   = "friends"
	nameStrangers = "strangers"
	nameOutbox    = "outbox"
	nameChronicle = "chronicle"
	nameFrontends = "frontends"
)

// maker makes an actor of this package.
type maker func(*Options, *meet) actor.Actor

// Spawn starts a node's part in Enclave, below ctx.
func Spawn(ctx actor.SpawnerContext, o Options) *Enclave {
	return spawn(ctx, o, newOutbox, newChronicle, newFrontends)
}

// spawn is Spawn with other actors where people end and disks begin.
func spawn(ctx actor.SpawnerContext, o Options, outbox, chronicle, frontends maker) *Enclave {
	if o.Now == nil {
		o.Now = time.Now
	}
	met := &meet{
		book: below(ctx, nameBook), friends: below(ctx, nameFriends), strangers: below(ctx, nameStrangers),
		outbox: below(ctx, nameOutbox), chronicle: below(ctx, nameChronicle), frontends: below(ctx, nameFrontends),
	}
	met.gauges = newGauges(ctx.ActorSystem())
	refused := refuseLoads(ctx.ActorSystem())
	start := func(name string, make maker, s tree.Spec) *actor.PID {
		a := make(&o, met) // what an actor knows outlives its restart
		s.New, s.Refused = func() actor.Actor { return a }, refused
		return tree.Spawn(ctx, name, s)
	}
	e := &Enclave{Frontends: start(nameFrontends, frontends, tree.Spec{Asked: true, Limit: frontendsMailbox, Inline: true})}
	start(nameChronicle, chronicle, tree.Spec{Asked: true, Limit: chronicleMailbox})
	start(nameOutbox, outbox, tree.Spec{Asked: true})
	start(nameStrangers, newStrangers, tree.Spec{})
	e.Friends = start(nameFriends, newFriends, tree.Spec{Children: tree.Restart})
	start(nameBook, newBook, tree.Spec{})
	return e
}

// below is the PID that an actor of that name will have. So they all know each
// other from their first message on.
func below(ctx actor.SpawnerContext, name string) *actor.PID {
	if self := ctx.Self(); self != nil {
		name = self.GetId() + "/" + name
	}
	return actor.NewPID(ctx.ActorSystem().Address(), name)
}
