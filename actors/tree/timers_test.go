package tree_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/testkit"
)

func TestAfter(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		f := newFamily(t, d, tree.Stop, 0)
		var stopped *tree.Timer
		f.sys.Root.Send(f.child, func(ctx actor.Context) {
			tree.After(ctx, 2*time.Second, "second")
			tree.After(ctx, time.Second, "first")
			stopped = tree.After(ctx, 1500*time.Millisecond, "never")
			stopped.Stop()
			stopped.Stop()
			(*tree.Timer)(nil).Stop()
		})
		d.Run(time.Minute)
		f.want(t, "1s child got first", "2s child got second")
		stopped.Stop()
		testkit.Stop(t, f.sys, f.parent)
	})
}

// late may find its actor gone.
type late struct{}

func (late) IgnoreDeadLetterLogging() {}

// TestRuntimeDriver is what runs in production, on fake time.
func TestRuntimeDriver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := testkit.System(t)
		d := &diary{start: time.Now()}
		pid := tree.Spawn(sys.Root, "", spec(tree.Stop, d.hook("a")))
		sys.Root.Send(pid, func(ctx actor.Context) {
			tree.After(ctx, time.Second, "first")
			tree.After(ctx, 2*time.Second, "never").Stop()
			tree.After(ctx, time.Hour, late{})
			root, self := ctx.ActorSystem().Root, ctx.Self()
			tree.Go(sys, func() {
				time.Sleep(3 * time.Second) // slow work
				root.Send(self, "worked")
			})
		})
		time.Sleep(time.Minute)
		synctest.Wait()
		d.want(t, "0s a started", "1s a got first", "3s a got worked")
		testkit.Stop(t, sys, pid)
		time.Sleep(time.Hour)
	})
}

func TestNamesAreTakenOnce(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		sys := testkit.System(t, testkit.Under(d))
		a := tree.Spawn(sys.Root, "a", spec(tree.Stop, nil))
		func() {
			defer func() {
				if r := recover(); r == nil {
					t.Error("a name was taken twice")
				}
			}()
			tree.Spawn(sys.Root, "a", spec(tree.Stop, nil))
		}()
		testkit.Stop(t, sys, a)
	})
}
