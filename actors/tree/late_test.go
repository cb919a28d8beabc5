package tree_test

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/testkit"
)

// TestSpawnWhileStopping has a parent that spawns for each last word of a child:
// it is told of them after it has stopped the children that there were.
func TestSpawnWhileStopping(t *testing.T) {
	late := 0
	for _, policy := range []tree.Policy{tree.Stop, tree.Restart} {
		testkit.Seeds(t, 20, func(t *testing.T, d *testkit.Driver) {
			sys := testkit.System(t, testkit.Under(d))
			spawned := 0
			child := func(ctx actor.Context) {
				if _, ok := ctx.Message().(*actor.Stopping); ok {
					ctx.Send(ctx.Parent(), "last word")
				}
			}
			mold := tree.NewMold(sys, spec(tree.Stop, child))
			parent := tree.Spawn(sys.Root, "parent", spec(policy, func(ctx actor.Context) {
				switch ctx.Message() {
				case "begin", "last word":
					if spawned++; spawned%2 == 0 && spawned < 8 {
						mold.Spawn(ctx, actor.ReceiveFunc(child))
					} else if spawned < 8 {
						tree.Spawn(ctx, "", spec(tree.Stop, child))
					}
				}
			}))
			sys.Root.Send(parent, "begin")
			sys.Root.Send(parent, "begin")
			d.Settle()
			testkit.Stop(t, sys, parent) // fails if anything is left
			late += spawned - 2
		})
	}
	if late == 0 {
		t.Error("nothing was spawned late")
	}
}
