package daemon

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"parley/actors/ui"
	"parley/messages/faultpb"
	"parley/messages/storepb"
	"parley/messages/uipb"
	"parley/testkit"
)

func TestSetupDump(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a := w.set(carla)
		w.quiet()
		got, ok := a.answer().(*uipb.SetupResponse)
		if !ok || got.GetRunning() || len(got.GetErrors()) > 0 {
			t.Fatalf("answered %v", a.answer())
		}
		var lines []string
		for _, v := range got.GetValues() {
			lines = append(lines, v.GetName()+" "+v.GetValue()+" "+v.GetStatus())
		}
		want := []string{
			"chain dev Default", "config-file  Blank", "data-directory /var/lib Default", "db-password  Blank", "ip  Blank",
			"neighborhood-mode standard Default", "neighbors  Blank", "real-user  Blank", "relay-token  Blank", "ui-users  Blank",
		}
		if !slices.Equal(lines, want) {
			t.Errorf("dump %q", lines)
		}
		if len(w.announced) > 0 || len(w.changed) != 1 || w.changed[0]["chain"] != "dev" || len(w.changed[0]) != len(want) {
			t.Errorf("announced %v, changed %v", w.announced, w.changed)
		}
	})
}

// TestSetupRequests plays requests one after the other; what is stored at the
// end is compared, too.
func TestSetupRequests(t *testing.T) {
	type step struct {
		by    *uipb.Asker
		pairs []string
		want  string
		told  bool // the others
	}
	for name, c := range map[string]struct {
		steps  []step
		stored string
	}{
		"the first change": {[]step{{berta, []string{"ip", " 1.2.3.4 "}, "ip=1.2.3.4(Set)", true}}, "setup/ip=1.2.3.4"},
		"no change": {[]step{
			{berta, []string{"ip", "1"}, "ip=1(Set)", true},
			{berta, []string{"ip", "1"}, "ip=1(Set)", false},
			{berta, []string{"chain", "-"}, "ip=1(Set)", false},
		}, "setup/ip=1"},
		"the default is set": {[]step{{berta, []string{"chain", "dev"}, "chain=dev(Set)", true}}, "setup/chain=dev"},
		"cleared": {[]step{
			{berta, []string{"ip", "1", "chain", "x"}, "chain=x(Set) ip=1(Set)", true},
			{berta, []string{"ip", "-"}, "chain=x(Set)", true},
		}, "setup/chain=x"},
		"atomic": {[]step{
			{berta, []string{"ip", "1", "chain", "a!", "neighbors", "b!"}, "; chain: not allowed: a!; neighbors: not allowed: b!", false},
		}, ""},
		"unknown":          {[]step{{berta, []string{"ip", "1", "moon", "full"}, "; moon: unknown parameter", false}}, ""},
		"unknown, cleared": {[]step{{berta, []string{"moon", "-"}, "; moon: unknown parameter", false}}, ""},
		"twice": {[]step{
			{berta, []string{"ip", "1", "chain", "x", "ip", "2", "ip", "3"}, "; ip: given more than once in one request", false},
		}, ""},
		"owner only": {[]step{
			{berta, []string{"ip", "1", "ui-users", "berta"}, "; ui-users: " + textOwner, false},
			{berta, []string{"ui-users", "-"}, "; ui-users: " + textOwner, false},
			{anna, []string{"ui-users", "carla"}, "ui-users=carla(Set)", true},
		}, "setup/ui-users=carla"},
		"secrets": {[]step{
			{anna, []string{"db-password", mask}, "; db-password: " + textMask, false},
			{anna, []string{"db-password", "swordfish"}, "db-password=****************(Set)", true},
			{anna, []string{"db-password", mask, "ip", "1"}, "db-password=****************(Set) ip=1(Set)", true},
			{anna, []string{"db-password", "swordfish2"}, "db-password=****************(Set) ip=1(Set)", true},
			{anna, []string{"db-password", "-"}, "ip=1(Set)", true},
		}, "setup/ip=1"},
		"cross-checks do not block": {[]step{
			{berta, []string{"neighborhood-mode", "zero-hop", "ip", "1"}, "ip=1(Set) neighborhood-mode=zero-hop(Set); ip: not for zero-hop", true},
			{berta, []string{"ip", "!"}, "ip=1(Set) neighborhood-mode=zero-hop(Set); ip: not allowed: !; ip: not for zero-hop", false},
			{berta, []string{"neighborhood-mode", "-"}, "ip=1(Set)", true},
		}, "setup/ip=1"},
		"required": {[]step{
			{berta, []string{"neighborhood-mode", "consume-only"}, "neighborhood-mode=consume-only(Set) neighbors=(Required); neighbors: " + textRequired, true},
			{berta, []string{"neighbors", "n"}, "neighborhood-mode=consume-only(Set) neighbors=n(Set)", true},
		}, "setup/neighborhood-mode=consume-only setup/neighbors=n"},
		"nothing": {[]step{{carla, nil, "", false}}, ""},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				for _, s := range c.steps {
					before := len(w.announced)
					a := w.set(s.by, s.pairs...)
					w.quiet()
					a.wants(s.want)
					switch told := w.announced[before:]; {
					case len(told) > 1 || (len(told) == 1) != s.told:
						t.Errorf("told %d times of %q", len(told), s.want)
					case s.told && (show(told[0].GetResponse().GetSetup()) != s.want || told[0].GetExcept() != s.by.GetMember() || told[0].GetOptIn()):
						t.Errorf("told %v of %q", told[0], s.want)
					}
				}
				if got := w.disk.show(); got != c.stored {
					t.Errorf("stored %q, want %q", got, c.stored)
				}
			})
		})
	}
}

// show lists the records.
func (p *paperStore) show() string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(p.records)) {
		out = append(out, fmt.Sprintf("%s=%s", key, p.records[key]))
	}
	return strings.Join(out, " ")
}

// TestSetupLookers sees all, and changes nothing.
func TestSetupLookers(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a := w.set(carla, "ip", "1")
		w.quiet()
		a.refused(ui.CodeNotPermitted, "ui-users")
		b := w.set(carla)
		w.quiet()
		b.wants("")
		if w.disk.writes+len(w.announced) > 0 {
			t.Error("something was changed")
		}
	})
}

// TestSetupIsStoredFirst holds the store: nobody hears of what could be lost.
func TestSetupIsStoredFirst(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.disk.held = true
		a, b := w.set(anna, "ip", "1"), w.set(berta, "ip", "2")
		c := w.set(carla)
		w.quiet()
		if len(a.answers)+len(b.answers)+len(c.answers)+len(w.announced) > 0 || len(w.changed) != 1 {
			t.Errorf("answered %v %v %v, announced %v", a.answers, b.answers, c.answers, w.announced)
		}
		w.release()
		w.quiet()
		for _, x := range []*talk{a, b, c} {
			x.answer()
		}
		// Any order of the three is one; the last change is in the store.
		last := w.changed[len(w.changed)-1]["ip"]
		if w.disk.show() != "setup/ip="+last || len(w.changed) != 3 || len(w.announced) != 2 {
			t.Errorf("stored %q, changed %v", w.disk.show(), w.changed)
		}
	})
}

// TestSetupKeepsOrder of requests while the store is slow.
func TestSetupKeepsOrder(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.disk.held = true
		var talks []*talk
		for i := range 10 {
			talks = append(talks, w.set(anna, "ip", fmt.Sprint(i)))
			w.quiet()
		}
		w.release()
		w.quiet()
		for i, a := range talks {
			a.wants(fmt.Sprintf("ip=%d(Set)", i))
		}
	})
}

// TestSetupNotStored changes nothing.
func TestSetupNotStored(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.disk.broken = "disk full"
		a, b := w.set(anna, "ip", "1"), w.set(anna)
		w.quiet()
		a.refused(ui.CodeSetup, "disk full")
		b.wants("")
		w.disk.broken = ""
		c := w.set(anna, "ip", "2")
		w.quiet()
		c.wants("ip=2(Set)")
		if len(w.announced) != 1 {
			t.Errorf("announced %v", w.announced)
		}
	})
}

// TestSetupStoreFails in the middle of a write or a read: setup asks what there is.
func TestSetupStoreFails(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.disk.fail = 2
		a := w.set(anna, "ip", "1")
		w.quiet()
		a.refused(ui.CodeSetup, "try again")
		b := w.set(anna, "ip", "2")
		w.d.Run(2e9) // the back-off of restarts
		b.wants("ip=2(Set)")
	}, testkit.ExpectFailures(2))
}

// TestSetupOutlivesTheDaemon but for secrets.
func TestSetupOutlivesTheDaemon(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a := w.set(anna, "ip", "1", "db-password", "swordfish", "ui-users", "u")
		w.quiet()
		a.answer()
		if strings.Contains(w.disk.show(), "swordfish") {
			t.Error("a secret is in the store")
		}
		w.die()
		w.boot()
		b := w.set(carla)
		w.quiet()
		b.wants("ip=1(Set) ui-users=u(Set)")
	})
}

// TestSetupOddRecords are reported and not used: damaged ones once, those that
// are not valid any more until they are set or cleared.
func TestSetupOddRecords(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.die()
		for name, value := range map[string]string{"ip": "a!", "neighbors": "b!", "chain": "x", "moon": "1", "db-password": "s"} {
			w.disk.records["setup/"+name] = []byte(value)
		}
		w.disk.corrupt = []string{"setup/real-user"}
		w.boot()
		a := w.set(carla)
		w.quiet()
		once := "; moon: " + textForgotten
		a.wants("chain=x(Set); db-password: " + textNotKept + "; ip: " + textStale + "not allowed: a!" + once +
			"; neighbors: " + textStale + "not allowed: b!; real-user: " + textDamaged)
		b := w.set(carla)
		w.quiet()
		b.wants("chain=x(Set); ip: " + textStale + "not allowed: a!; neighbors: " + textStale + "not allowed: b!")
		c := w.set(berta, "ip", "-", "neighbors", "n")
		w.quiet()
		c.wants("chain=x(Set) neighbors=n(Set)")
		if _, ok := w.disk.records["setup/ip"]; ok {
			t.Error("the stale record is still there")
		}
	})
}

func TestSetupUnread(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.die()
		w.disk.broken = "disk on fire"
		w.boot()
		a := w.set(carla)
		w.quiet()
		a.wants("; data-directory: " + textUnread + "disk on fire")
	})
}

// TestSetupWaitsForTheStore at its start.
func TestSetupWaitsForTheStore(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.die()
		w.disk.records["setup/ip"] = []byte("1")
		w.disk.held = true
		w.boot()
		a := w.set(anna, "chain", "x")
		w.quiet()
		if len(a.answers) > 0 {
			t.Error("answered before anything was known")
		}
		w.release()
		w.quiet()
		a.wants("chain=x(Set) ip=1(Set)")
	})
}

// TestSetupConfigured reads the file when another is named, and when told to.
func TestSetupConfigured(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.space.files["a"] = map[string]string{"ip": "1", "chain": "c", "db-password": "s", "moon": "1", "neighbors": "b!"}
		a := w.set(anna, "config-file", "a", "chain", "d")
		w.quiet()
		a.wants("chain=d(Set) config-file=a(Set) db-password=****************(Configured) ip=1(Configured) neighbors=b!(Configured)" +
			"; moon: unknown parameter")
		b := w.set(anna, "chain", "-", "ip", "2")
		w.quiet()
		b.wants("chain=c(Configured) config-file=a(Set) db-password=****************(Configured) ip=2(Set) neighbors=b!(Configured)" +
			"; moon: unknown parameter")
		reads := w.space.reads
		c := w.set(anna, "config-file", "none")
		w.quiet()
		c.wants("config-file=none(Set) ip=2(Set); config-file: no such file: none")
		if w.space.reads != reads+1 {
			t.Errorf("read %d times", w.space.reads-reads)
		}
		if want := "setup/config-file=none setup/ip=2"; w.disk.show() != want {
			t.Errorf("stored %q", w.disk.show())
		}
	})
}

func TestSetupReload(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.space.files["a"] = map[string]string{"ip": "1"}
		w.set(anna, "config-file", "a")
		w.quiet()
		told, changed := len(w.announced), len(w.changed)
		w.space.files["a"] = map[string]string{"ip": "2"}
		a, b := w.converse(w.setup, &uipb.Reload{}), w.converse(w.setup, &uipb.Reload{})
		w.quiet()
		for _, x := range []*talk{a, b} {
			if _, ok := x.answer().(*uipb.Done); !ok {
				t.Errorf("answered %v", x.answer())
			}
		}
		if len(w.announced) != told+1 || len(w.changed) != changed+1 || w.changed[changed]["ip"] != "2" {
			t.Fatalf("announced %d times, changed %v", len(w.announced)-told, w.changed[changed:])
		}
		if m := w.announced[told]; m.GetExcept() != 0 || show(m.GetResponse().GetSetup()) != "config-file=a(Set) ip=2(Configured)" {
			t.Errorf("announced %v", m)
		}
	})
}

// TestSetupFollowsFiles that name each other, and not for ever.
func TestSetupFollowsFiles(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.space.files[""] = map[string]string{"config-file": "a"} // the environment
		w.space.files["a"] = map[string]string{"config-file": "a", "ip": "1"}
		w.converse(w.setup, &uipb.Reload{})
		a := w.set(carla)
		w.quiet()
		a.wants("config-file=a(Configured) ip=1(Configured)")
		w.space.files["a"] = nil
		before := w.space.reads
		w.converse(w.setup, &uipb.Reload{})
		b := w.set(carla)
		w.quiet()
		b.answer()
		if n := w.space.reads - before; n != readingsMost {
			t.Errorf("read %d times", n)
		}
	})
}

// TestSetupPanics answers who asked, and loads what is stored; secrets and who
// waits are still there.
func TestSetupPanics(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a := w.set(anna, "ip", "1", "db-password", "s")
		w.quiet()
		a.answer()
		w.space.fail = true
		b := w.set(anna, "ip", "2")
		w.quiet()
		if _, ok := b.answer().(*faultpb.Failed); !ok {
			t.Errorf("answered %v", b.answer())
		}
		c := w.set(anna)
		w.quiet()
		c.wants("db-password=****************(Set) ip=1(Set)")
		if len(w.announced) != 1 {
			t.Errorf("announced %v", w.announced)
		}
	}, testkit.ExpectFailures(1))
}

// TestSetupPanicsInTheQueue: who waited for its turn is answered, too, and once.
func TestSetupPanicsInTheQueue(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.disk.held = true
		a := w.set(anna, "ip", "1")
		w.quiet()
		b := w.set(anna, "ip", "2")
		w.quiet()
		c := w.set(anna)
		w.quiet()
		w.space.fail = true
		w.release()
		w.quiet()
		a.wants("ip=1(Set)")
		if _, ok := b.answer().(*faultpb.Failed); !ok {
			t.Errorf("answered %v", b.answer())
		}
		c.wants("ip=1(Set)")
	}, testkit.ExpectFailures(1))
}

// TestSetupIsBusy bounds what may wait.
func TestSetupIsBusy(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.disk.held = true
		w.set(anna, "ip", "1")
		w.quiet()
		big := &uipb.Request{Opcode: "setup", Payload: make([]byte, 1<<20), Body: &uipb.Request_Setup{}}
		var talks []*talk
		for range 5 {
			talks = append(talks, w.converse(w.setup, &uipb.Ask{Asker: carla, Request: big}))
			w.quiet()
		}
		talks[4].refused(ui.CodeTooMany, "try again")
		w.release()
		w.quiet()
		for _, a := range talks[:4] {
			if len(a.answers) != 1 {
				t.Errorf("answered %d times", len(a.answers))
			}
		}
		last := w.converse(w.setup, &uipb.Ask{Asker: carla, Request: big})
		w.quiet()
		last.wants("ip=1(Set)")
	})
}

// TestSetupStrayAnswers of the store change nothing.
func TestSetupStrayAnswers(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.sys.Root.Send(w.setup, &storepb.Written{Serial: 99})
		w.sys.Root.Send(w.setup, &storepb.ReadResponse{Serial: 99})
		w.sys.Root.Send(w.setup, &reading{serial: 99})
		w.sys.Root.Send(w.setup, &faultpb.Failed{})
		a := w.set(anna, "ip", "1")
		w.quiet()
		a.wants("ip=1(Set)")
		for serial := range uint64(10) { // one of them is the last
			w.sys.Root.Send(w.setup, &storepb.Written{Serial: serial})
			w.sys.Root.Send(w.setup, &storepb.ReadResponse{Serial: serial})
			w.sys.Root.Send(w.setup, &reading{serial: serial})
		}
		b := w.set(carla)
		w.quiet()
		b.wants("ip=1(Set)")
	})
}
