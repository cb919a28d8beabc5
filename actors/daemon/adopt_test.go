package daemon

import (
	"strings"
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
		a.wants("running; db-password=****************(Set) ip=1(Set)") // as it was started, though the secret is gone
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
		if w.disk.show() != "setup/ip=1" {
			t.Errorf("stored %q", w.disk.show())
		}
		w.die()
		w.boot()
		w.wantsState(nil)
		w.wantsState(w.up())
	})
}

// TestAdoptNobody: the Node ended between two Daemons, and its pid may be
// somebody else's. The next Daemon tells of its end, and no other.
func TestAdoptNobody(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		n := w.up()
		w.die()
		n.alive = false
		want := `pid 100 signal "" failure "no Daemon was there to see how it ended: not that one" lines [] requested false`
		for range 3 {
			w.boot()
			w.wantsState(nil)
			if w.disk.show() != "" || w.crashes() != want {
				t.Errorf("stored %q, told %s", w.disk.show(), w.crashes())
			}
			w.die()
		}
		w.boot()
		w.up().end(killed())
		w.quiet()
		if got := len(w.broadcasts("crashed")); got != 2 {
			t.Errorf("%d crashes of 2", got)
		}
	})
}

// TestAdoptedIsFrozen as it was started, whatever the file says by now, and among
// restarts; what changed is told, and counts, when it is gone.
func TestAdoptedIsFrozen(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.space.files["a"] = map[string]string{"chain": "one", "relay-token": "t"}
		w.set(anna, "config-file", "a")
		w.quiet()
		n := w.up()
		for range 2 {
			w.die()
			w.space.files["a"] = map[string]string{"chain": "two", "ui-users": "u"}
			w.boot()
			a := w.set(anna, "chain", "three")
			w.quiet()
			a.wants("running; chain=one(Configured) config-file=a(Set) relay-token=****************(Configured)")
			if v := w.changed[len(w.changed)-1]; v["ui-users"] != "u" {
				t.Errorf("who may come in is not known: %v", v)
			}
		}
		before := len(w.broadcasts("setup"))
		n.end(killed())
		w.quiet()
		told := w.broadcasts("setup")[before:]
		if want := "chain=two(Configured) config-file=a(Set) ui-users=u(Configured)"; before != 1 || len(told) != 1 || told[0].GetExcept() != 0 || show(told[0].GetResponse().GetSetup()) != want {
			t.Errorf("told %v", told)
		}
		w.up()
		if s := w.last().launch.GetSettings(); s[0].GetName() != "chain" || s[0].GetValue() != "two" {
			t.Errorf("launched with %v", s)
		}
	})
}

// TestAdoptedFromAnotherRelease, or with too much to be written down: what the
// Daemon would start now is shown, and does not change either.
func TestAdoptedFromAnotherRelease(t *testing.T) {
	for name, change := range map[string]func(p *paperStore){
		"none":     func(p *paperStore) { delete(p.records, shownKey) },
		"nonsense": func(p *paperStore) { p.records[shownKey] = []byte{0xff} },
		"empty":    func(p *paperStore) { p.records[shownKey] = nil },
		"corrupt":  func(p *paperStore) { delete(p.records, shownKey); p.corrupt = []string{shownKey} },
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				w.space.files[""] = map[string]string{"ip": "1"}
				w.converse(w.setup, &uipb.Reload{})
				w.quiet()
				n := w.up()
				w.die()
				w.space.files[""] = map[string]string{"ip": "2"}
				change(w.disk)
				w.boot()
				w.wantsState(n)
				a := w.set(carla)
				w.quiet()
				w.space.files[""] = map[string]string{"ip": "3"}
				w.converse(w.setup, &uipb.Reload{})
				b := w.set(carla)
				w.quiet()
				a.wants("running; ip=2(Configured)")
				b.wants("running; ip=2(Configured)")
			})
		})
	}
	run(t, func(t *testing.T, w *world) {
		w.quiet()
		w.set(anna, "ip", strings.Repeat("1", shownMost))
		w.quiet()
		n := w.up()
		if !n.kept || w.disk.records[shownKey] != nil || w.disk.records[nodeKey] == nil {
			t.Errorf("kept %v, stored %d", n.kept, len(w.disk.records))
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
