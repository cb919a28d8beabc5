package daemon

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/ui"
	"parley/messages/faultpb"
	"parley/messages/uipb"
	"parley/testkit"
)

// What makes an actor fail: messages that nobody sends.
var (
	launcherPoison = (*overdue)(nil)     // while it launches or adopts
	redirectPoison = (*whereabouts)(nil) // setup, too
	crashPoison    = (*over)(nil)
)

// TestLauncherFails in each state, and goes on where it was.
func TestLauncherFails(t *testing.T) {
	t.Run("launching", func(t *testing.T) {
		run(t, func(t *testing.T, w *world) {
			a := w.launch(anna)
			w.quiet()
			w.sys.Root.Send(w.launcher, launcherPoison)
			w.quiet()
			if !w.last().stopping {
				t.Fatal("the launch goes on, and what was said meanwhile may be lost")
			}
			w.last().end(killed())
			w.quiet()
			a.refused(ui.CodeLaunch, "killed")
			w.wantsState(nil)
			w.wantsState(w.up())
		}, testkit.ExpectFailures(1))
	})
	t.Run("freezing", func(t *testing.T) {
		run(t, func(t *testing.T, w *world) {
			w.disk.held = true
			w.set(anna, "ip", "1")
			w.quiet()
			a := w.launch(anna)
			w.quiet()
			w.sys.Root.Send(w.launcher, (*frozen)(nil))
			w.quiet()
			w.release()
			w.quiet()
			w.last().getReady()
			w.quiet()
			if _, ok := a.answer().(*uipb.Started); !ok || len(w.nodes) != 1 {
				t.Errorf("answered %v, %d Nodes", a.answer(), len(w.nodes))
			}
			w.wantsState(w.last())
		}, testkit.ExpectFailures(1))
	})
	t.Run("recording", func(t *testing.T) {
		run(t, func(t *testing.T, w *world) {
			a := w.launch(anna)
			w.quiet()
			w.disk.held = true
			w.last().getReady()
			w.quiet()
			w.sys.Root.Send(w.launcher, launcherPoison)
			w.quiet()
			w.release()
			w.quiet()
			if _, ok := a.answer().(*uipb.Started); !ok || !w.last().kept || len(w.broadcasts("nodeStarted")) != 1 {
				t.Errorf("answered %v, kept %v", a.answer(), w.last().kept)
			}
			w.wantsState(w.last())
		}, testkit.ExpectFailures(1))
	})
}

// TestKeeperFails in the gateway: the launcher finds out what became of the Node.
func TestKeeperFails(t *testing.T) {
	for _, alive := range []bool{true, false} {
		run(t, func(t *testing.T, w *world) {
			n := w.up()
			n.alive = alive
			w.sys.Root.Send(n.keeper, func(ctx actor.Context) { n.keeper = nil; ctx.Stop(ctx.Self()) })
			w.quiet()
			if alive {
				w.wantsState(n)
				n.end(killed())
				w.quiet()
			}
			w.wantsState(nil)
			if len(w.broadcasts("crashed")) != 1 {
				t.Errorf("told %s", w.crashes())
			}
		})
	}
}

// TestSetupFailsWhileALaunchAsks tells who wanted the Node.
func TestSetupFailsWhileALaunchAsks(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a := w.launch(anna)
		w.sys.Root.Send(w.launcher, &faultpb.Failed{}) // of setup
		w.quiet()
		if len(w.nodes) == 0 {
			a.refused(ui.CodeLaunch, "failed inside")
			w.wantsState(nil)
		}
		if len(w.nodes) == 1 { // it came too early or too late
			w.last().getReady()
			w.quiet()
			a.answer()
			w.wantsState(w.last())
		}
	})
}

// TestRedirectAndCrashFail and know what they knew.
func TestRedirectAndCrashFail(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		n := w.up()
		w.sys.Root.Send(w.redirect, redirectPoison)
		w.sys.Root.Send(w.crash, crashPoison)
		w.quiet()
		w.wantsState(n)
		n.end(killed())
		w.quiet()
		if len(w.broadcasts("crashed")) != 1 {
			t.Errorf("told %s", w.crashes())
		}
		w.wantsState(nil)
	}, testkit.ExpectFailures(2))
}

// TestSetupStaysFrozen when it fails, and thaws all the same.
func TestSetupStaysFrozen(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.set(anna, "ip", "1")
		w.quiet()
		n := w.up()
		w.sys.Root.Send(w.setup, redirectPoison)
		w.quiet()
		w.wantsState(n)
		a := w.set(anna, "ip", "2")
		w.quiet()
		a.wants("running; ip=1(Set)")
		n.end(killed())
		w.quiet()
		b := w.set(anna, "ip", "2")
		w.quiet()
		b.wants("ip=2(Set)")
	}, testkit.ExpectFailures(1))
}
