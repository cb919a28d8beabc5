package node_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/node"
	"parley/actors/tree"
	"parley/testkit"
)

// feature is one of a node's. It fails when it is told so.
type feature struct {
	starts  *int
	handled *int
}

var errTold = errors.New("told to")

func (f *feature) Receive(ctx actor.Context) {
	switch ctx.Message().(type) {
	case *actor.Started:
		*f.starts++
	case string:
		*f.handled++
	case error:
		panic(errTold)
	}
}

// world is a node of two features.
type world struct {
	sys     *actor.ActorSystem
	root    *actor.PID
	pids    [2]*actor.PID
	starts  [2]int
	handled [2]int
	nodes   int // times that it was started
	fatal   any
}

func run(t *testing.T, failures int, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		w.sys = testkit.System(t, testkit.ExpectFailures(failures), testkit.OnFatal(func(reason any) { w.fatal = reason }))
		w.root = node.Spawn(w.sys, "node", func(ctx actor.Context) {
			w.nodes++
			for i := range w.pids {
				w.pids[i] = tree.Spawn(ctx, fmt.Sprint("feature", i), tree.Spec{New: func() actor.Actor {
					return &feature{&w.starts[i], &w.handled[i]}
				}})
			}
		})
		synctest.Wait()
		test(t, w)
		testkit.Stop(t, w.sys, w.root)
	})
}

func TestNodeStartsItsFeatures(t *testing.T) {
	run(t, 0, func(t *testing.T, w *world) {
		if w.root.GetId() != "node" || w.pids[1].GetId() != "node/feature1" {
			t.Errorf("they are %s and %s", w.root.GetId(), w.pids[1].GetId())
		}
		if w.starts != [2]int{1, 1} || w.nodes != 1 {
			t.Errorf("started %v of %d nodes", w.starts, w.nodes)
		}
	})
}

// TestFeatureFails and is restarted; its PID and the other feature go on.
func TestFeatureFails(t *testing.T) {
	run(t, 2, func(t *testing.T, w *world) {
		for range 2 {
			w.sys.Root.Send(w.pids[0], errTold)
			w.sys.Root.Send(w.pids[0], "hello")
			w.sys.Root.Send(w.pids[1], "hello")
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if w.starts != [2]int{3, 1} || w.handled != [2]int{2, 2} || w.nodes != 1 || w.fatal != nil {
			t.Errorf("started %v, handled %v, %d nodes, fatal %v", w.starts, w.handled, w.nodes, w.fatal)
		}
	})
}

// TestFeatureFailsTooOften ends the process: eleven times in ten seconds, but
// not more slowly.
func TestFeatureFailsTooOften(t *testing.T) {
	for _, c := range []struct {
		every time.Duration
		fatal bool
	}{
		{0, true},
		{900 * time.Millisecond, true},
		{1100 * time.Millisecond, false},
	} {
		t.Run(c.every.String(), func(t *testing.T) {
			const failures = 11
			run(t, failures, func(t *testing.T, w *world) {
				for range failures {
					w.sys.Root.Send(w.pids[0], errTold)
					time.Sleep(c.every)
				}
				time.Sleep(10 * time.Second) // back-off
				synctest.Wait()
				if (w.fatal != nil) != c.fatal || c.fatal && w.fatal != errTold {
					t.Errorf("fatal %v, want %v", w.fatal, c.fatal)
				}
				w.sys.Root.Send(w.pids[1], "hello")
				synctest.Wait()
				if w.handled[1] != 1 {
					t.Error("the other feature is gone, too")
				}
			})
		})
	}
}
