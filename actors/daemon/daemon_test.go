package daemon

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/testkit"
)

// TestDaemonFails often enough that it gives up: the process is to end.
func TestDaemonFails(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		const failures = 11 // one more than forgiven
		var reason any
		var child *actor.PID
		starts := 0
		sys := testkit.System(t, testkit.Under(d), testkit.ExpectFailures(failures), testkit.OnFatal(func(r any) { reason = r }))
		top := Spawn(sys, "daemon", func(ctx actor.Context) {
			child = tree.Spawn(ctx, "feature", tree.Spec{New: func() actor.Actor {
				return actor.ReceiveFunc(func(ctx actor.Context) {
					switch ctx.Message().(type) {
					case *actor.Started:
						starts++
					case failure:
						panic("told to")
					}
				})
			}})
		})
		d.Settle()
		if child.GetId() != "daemon/feature" {
			t.Errorf("it is %s", child.GetId())
		}
		for range failures {
			sys.Root.Send(child, failure{})
		}
		d.Run(9e9)
		if reason != "told to" || starts != failures {
			t.Errorf("%d starts, fatal %v", starts, reason)
		}
		testkit.Stop(t, sys, top)
	})
}

// TestRoutes names what a Daemon answers, and who may ask.
func TestRoutes(t *testing.T) {
	setup, launcher, broadcasts := &actor.PID{Id: "s"}, &actor.PID{Id: "l"}, &actor.PID{Id: "b"}
	routes := Routes(setup, launcher, broadcasts)
	if r := routes["setup"]; r.To != setup || r.Changes || r.Isolated {
		t.Errorf("setup %v", r)
	}
	if r := routes["start"]; r.To != launcher || !r.Changes || !r.Confirm || r.Timeout != startTimeout || r.Isolated {
		t.Errorf("start %v", r)
	}
	for _, o := range []string{"subscribe", "unsubscribe"} {
		if r := routes[o]; r.To != broadcasts || r.Changes || r.Isolated {
			t.Errorf("%s %v", o, r)
		}
	}
	if len(routes) != 4 {
		t.Errorf("%d routes", len(routes))
	}
}
