// Package node is the top of a node's supervision tree.
package node

import (
	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
)

// node supervises a node's features. What they are is handed over: features do
// not know each other, and this package knows none of them.
//
//	parent    root
//	receives  -
//	sends     -
//	stops     when the process ends
type node struct {
	start func(ctx actor.Context) // spawns the features
}

// Spawn starts a node; start runs in it and spawns its features. It is called
// again when the node was restarted.
func Spawn(sys *actor.ActorSystem, name string, start func(ctx actor.Context)) *actor.PID {
	return tree.Spawn(sys.Root, name, tree.Spec{
		New:      func() actor.Actor { return &node{start} },
		Children: tree.Fatal,
	})
}

func (n *node) Receive(ctx actor.Context) {
	if _, ok := ctx.Message().(*actor.Started); ok {
		n.start(ctx)
	}
}
