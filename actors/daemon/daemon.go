package daemon

import (
	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
)

// daemon supervises a Daemon's features. What they are is handed over.
//
//	parent    root
//	receives  -
//	sends     -
//	stops     when the process ends
type daemon struct {
	start func(ctx actor.Context) // spawns the features
}

// Spawn starts a Daemon; start runs in it and spawns its features: what
// announces first, then setup, redirect, crash and launcher, and at last what
// lets user interfaces in. It is called again when the Daemon was restarted.
func Spawn(sys *actor.ActorSystem, name string, start func(ctx actor.Context)) *actor.PID {
	return tree.Spawn(sys.Root, name, tree.Spec{
		New:      func() actor.Actor { return &daemon{start} },
		Children: tree.Fatal,
	})
}

func (d *daemon) Receive(ctx actor.Context) {
	if _, ok := ctx.Message().(*actor.Started); ok {
		d.start(ctx)
	}
}
