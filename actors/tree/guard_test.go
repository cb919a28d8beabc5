package tree_test

import (
	"fmt"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/testkit"
)

// TestLastWordsMayPanic has panics wherever an actor can have one on its way
// out: its parent must be able to stop all the same.
func TestLastWordsMayPanic(t *testing.T) {
	panicsAt := func(match func(msg any) bool) func(actor.Context) {
		return func(ctx actor.Context) {
			if match(ctx.Message()) {
				panic("told to")
			}
		}
	}
	for _, c := range []struct {
		name  string
		match func(msg any) bool
	}{
		{"stopping", func(m any) bool { _, ok := m.(*actor.Stopping); return ok }},
		{"stopped", func(m any) bool { _, ok := m.(*actor.Stopped); return ok }},
		{"restarting", func(m any) bool { _, ok := m.(*actor.Restarting); return ok }},
		{"child's end", func(m any) bool { _, ok := m.(*actor.Terminated); return ok }},
		{"user message while stopping", func(m any) bool { return m == "late" }},
	} {
		for _, policy := range []tree.Policy{tree.Stop, tree.Restart} {
			t.Run(fmt.Sprint(c.name, policy), func(t *testing.T) {
				testkit.Seeds(t, 10, func(t *testing.T, d *testkit.Driver) {
					sys := testkit.System(t, testkit.Under(d), testkit.ExpectFailures(1))
					parent := tree.Spawn(sys.Root, "parent", spec(policy, nil))
					var child *actor.PID
					sys.Root.Send(parent, func(ctx actor.Context) {
						child = tree.Spawn(ctx, "child", spec(tree.Stop, panicsAt(c.match)))
						ctx.Send(child, func(ctx actor.Context) { tree.Spawn(ctx, "grandchild", spec(tree.Stop, nil)) })
					})
					d.Settle()
					switch c.name {
					case "restarting": // what the supervisor does when the child failed
						sys.Root.Send(parent, func(ctx actor.Context) { ctx.(actor.Supervisor).RestartChildren(child) })
					case "user message while stopping":
						sys.Root.Send(child, func(ctx actor.Context) {
							ctx.Stop(ctx.Self())
							ctx.Send(ctx.Self(), "late")
						})
					}
					testkit.Stop(t, sys, parent)
				})
			})
		}
	}
}

// TestTheDeadStayDead has a child that is told to stop while its parent decides
// to restart it.
func TestTheDeadStayDead(t *testing.T) {
	testkit.Seeds(t, 10, func(t *testing.T, d *testkit.Driver) {
		sys := testkit.System(t, testkit.Under(d))
		parent := tree.Spawn(sys.Root, "parent", spec(tree.Restart, nil))
		made := 0
		gauge := &tree.Gauge{}
		sys.Root.Send(parent, func(ctx actor.Context) {
			child := tree.Spawn(ctx, "child", tree.Spec{Gauge: gauge, New: func() actor.Actor { made++; return &puppet{} }})
			ctx.Stop(child)
			ctx.(actor.Supervisor).RestartChildren(child)
		})
		testkit.Stop(t, sys, parent)
		if made != 1 {
			t.Errorf("made %d times", made)
		}
	})
}
