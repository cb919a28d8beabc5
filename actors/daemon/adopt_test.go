package daemon

import (
	"testing"
	"time"

	"parley/actors/ui"
	"parley/messages/processpb"
	"parley/messages/uipb"
)

// TestAdopt finds the Node that an earlier Daemon left.
func TestAdopt(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.set(anna, "ip", "1", "db-password", "s")
		w.quiet()
		n := w.up()
		w.die()
		w.boot()
		w.wantsState(n)
		a, b := w.set(anna, "ip", "2"), w.launch(anna)
		w.quiet()
		a.wants("running; ip=1(Set)")
		b.refused(ui.CodeRunning, "already running")
		if len(w.broadcasts("nodeStarted")) != 1 || w.counter("node_running", "") != 1 {
			t.Error("it was told to have started again")
		}
		n.end(&processpb.Ended{Failure: "its exit status is not known"})
		w.quiet()
		if want := `pid 100 signal "" failure "its exit status is not known" lines [] requested false`; w.crashes() != want {
			t.Errorf("told %s", w.crashes())
		}
		w.wantsState(nil)
		w.die()
		w.boot()
		w.wantsState(nil)
		w.wantsState(w.up())
	})
}

// TestAdoptNobody: the Node ended between two Daemons, and its pid may be
// somebody else's.
func TestAdoptNobody(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		n := w.up()
		w.die()
		n.alive = false
		w.boot()
		w.wantsState(nil)
		if w.disk.show() != "" || w.crashes() != "" {
			t.Errorf("stored %q, told %s", w.disk.show(), w.crashes())
		}
	})
}

// TestRequestsWaitForAdoption: nobody is told what is not known yet.
func TestRequestsWaitForAdoption(t *testing.T) {
	for _, alive := range []bool{true, false} {
		run(t, func(t *testing.T, w *world) {
			n := w.up()
			w.die()
			n.alive = alive
			w.disk.held = true
			w.boot()
			a, b, c := w.set(anna, "ip", "1"), w.wonder(false), w.launch(anna)
			w.quiet()
			d := w.launch(berta)
			w.quiet()
			d.refused(ui.CodeRunning, "already running")
			if len(a.answers)+len(b.answers)+len(c.answers) > 0 {
				t.Fatalf("answered %v %v %v", a.answers, b.answers, c.answers)
			}
			w.release()
			w.quiet()
			if alive {
				a.wants("running; ")
				c.refused(ui.CodeRunning, "already running")
				if r, ok := b.answer().(*uipb.Redirect); !ok || r.GetPort() != n.port() {
					t.Errorf("answered %v", b.answer())
				}
				return
			}
			a.answer() // before the launch or after it
			w.last().getReady()
			w.quiet()
			if _, ok := c.answer().(*uipb.Started); !ok || len(w.nodes) != 2 {
				t.Errorf("answered %v", c.answer())
			}
			b.refused(ui.CodeNoNode, "not running") // at that moment
		})
	}
}

// TestStopWhileAdopting ends the Node that is found, or says that there is none.
func TestStopWhileAdopting(t *testing.T) {
	for _, alive := range []bool{true, false} {
		run(t, func(t *testing.T, w *world) {
			n := w.up()
			w.die()
			n.alive = alive
			w.disk.held = true
			w.boot()
			a, s := w.launch(anna), w.converse(w.launcher, &processpb.Stop{GraceMs: 1})
			w.quiet()
			w.release()
			w.quiet()
			a.refused(ui.CodeLaunch, "the Daemon is stopping")
			if alive {
				if len(s.answers) > 0 || !n.stopping {
					t.Errorf("answered %v, stopping %v", s.answers, n.stopping)
				}
				n.end(exited(0))
				w.quiet()
			}
			s.answer()
			w.wantsState(nil)
		})
	}
}

// TestOddRecordOfANode is no reason not to start.
func TestOddRecordOfANode(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*paperStore)
		stays  bool
	}{
		"nonsense":  {func(p *paperStore) { p.records[nodeKey] = []byte{0xff} }, false},
		"empty":     {func(p *paperStore) { p.records[nodeKey] = nil }, false},
		"corrupt":   {func(p *paperStore) { delete(p.records, nodeKey); p.corrupt = []string{nodeKey} }, false},
		"of others": {func(p *paperStore) { delete(p.records, nodeKey); p.records["node-list"] = []byte{1} }, true},
		"unread":    {func(p *paperStore) { p.broken = "on fire" }, true},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				w.up()
				w.die()
				c.change(w.disk)
				w.boot()
				w.wantsState(nil)
				if stays := w.disk.show() != ""; stays != c.stays {
					t.Errorf("stored %q", w.disk.show())
				}
			})
		})
	}
}

// TestAdoptionWithoutAnAnswer is given up, and tried again by the next Daemon.
func TestAdoptionWithoutAnAnswer(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		n := w.up()
		w.die()
		w.deaf = true
		w.boot()
		a := w.wonder(false)
		w.d.Run(launchMost + time.Second)
		a.refused(ui.CodeNoNode, "not running")
		w.wantsState(nil)
		w.die()
		w.deaf = false
		w.boot()
		w.wantsState(n)
	})
}
