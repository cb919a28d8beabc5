package daemon

import (
	"testing"
	"time"

	"parley/messages/uipb"
	"parley/testkit"
)

// TestSetupReloadsBehindTheNode: while one is launched or runs, user interfaces
// see what it was started with. Who may come in is no matter of the Node, and
// changes at once.
func TestSetupReloadsBehindTheNode(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.space.files["a"] = map[string]string{"ip": "1"}
		w.set(anna, "config-file", "a")
		w.quiet()
		a := w.launch(anna)
		w.quiet()
		for i, users := range []string{"u", "v"} { // launching, running
			w.space.files["a"] = map[string]string{"ip": "2", "ui-users": users}
			r, b := w.converse(w.setup, &uipb.Reload{}), w.set(anna, "ip", "3")
			w.quiet()
			if _, ok := r.answer().(*uipb.Done); !ok {
				t.Errorf("answered %v", r.answer())
			}
			b.wants("running; config-file=a(Set) ip=1(Configured)")
			if v := w.changed[len(w.changed)-1]["ui-users"]; v != users {
				t.Errorf("%q may come in, want %q", v, users)
			}
			if i == 0 {
				w.last().getReady()
				w.quiet()
			}
		}
		a.answer()
		w.sys.Root.Send(w.setup, redirectPoison) // it loads all again
		w.d.Run(2 * time.Second)
		c := w.set(carla)
		w.quiet()
		c.wants("running; config-file=a(Set) ip=1(Configured)")
		if told := w.broadcasts("setup"); len(told) != 1 { // the config-file
			t.Fatalf("told %v", told)
		}
		w.last().end(killed())
		e := w.set(carla) // at any moment
		w.quiet()
		told := w.broadcasts("setup")
		want := "config-file=a(Set) ip=2(Configured) ui-users=v(Configured)"
		if len(told) != 2 || told[1].GetExcept() != 0 || show(told[1].GetResponse().GetSetup()) != want {
			t.Fatalf("told %v", told)
		}
		if got := show(e.answer()); got != want && got != "running; config-file=a(Set) ip=1(Configured)" {
			t.Errorf("answered %q", got)
		}
		w.up()
		if s := w.last().launch.GetSettings(); len(s) != 4 || s[2].GetValue() != "2" {
			t.Errorf("launched with %v", s)
		}
	}, testkit.ExpectFailures(1))
}
