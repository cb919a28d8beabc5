package daemon

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"parley/messages/faultpb"
	"parley/messages/uipb"
	"parley/testkit"
)

// spaceModel is what a Setup space should be: plain maps, and no actor.
type spaceModel struct {
	*world
	set    map[string]string // what user interfaces gave, secrets too
	read   map[string]string // what the file said when it was read last
	absent bool              // that file
	frozen bool
	shown  string          // while frozen: what dumps show
	strict map[string]bool // stored values that are not valid any more, by name
}

// Values that the model draws; "!" is bad, capitals are so for a strict space.
var drawn = map[string][]string{
	"chain": {"-", "dev", "x", "Y", "b!"}, "config-file": {"-", "a", "b", "none"}, "data-directory": {"-", "/d"},
	"db-password": {"-", "s", "t", "u!", mask}, "ip": {"-", "1", " 1 ", "2!"}, "neighborhood-mode": {"-", "zero-hop", "consume-only", "standard"},
	"neighbors": {"-", "n", "N"}, "relay-token": {"-", "r"}, "ui-users": {"-", "u"}, "moon": {"-", "full"}, "real-user": {"-", "r"},
}

// apply is what a request does to the model: its errors, or the new values.
func (m *spaceModel) apply(by *uipb.Asker, pairs []string) (bad map[string]string) {
	bad = map[string]string{}
	next := maps.Clone(m.set)
	count := map[string]int{}
	for i := 0; i < len(pairs); i += 2 {
		count[pairs[i]]++
	}
	for i := 0; i < len(pairs); i += 2 {
		name, value := pairs[i], pairs[i+1]
		secret := name == "db-password" || name == "relay-token"
		switch {
		case count[name] > 1:
			bad[name] = textTwice
		case name == "moon":
			bad[name] = textUnknown
		case (name == "ui-users" || name == "relay-token") && !by.GetOwner():
			bad[name] = textOwner
		case value == "-":
			delete(next, name)
		case secret && value == mask:
			if m.set[name] == "" && m.read[name] == "" {
				bad[name] = textMask
			}
		case strings.Contains(value, "!"), m.space.strict && strings.ToLower(value) != value:
			bad[name] = "not allowed: " + value
		default:
			next[name] = strings.TrimSpace(value)
		}
	}
	if len(bad) > 0 {
		return bad
	}
	file := m.effective("config-file")
	directory := m.effective("data-directory")
	m.set = next
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != mask {
			delete(m.strict, pairs[i])
		}
	}
	if m.effective("config-file") != file || m.effective("data-directory") != directory {
		m.reread()
	}
	return nil
}

func (m *spaceModel) reread() {
	name := m.effective("config-file")
	content, there := m.space.files[name]
	m.read, m.absent = maps.Clone(content), name != "" && !there
}

// effective is the value of a name; "": none.
func (m *spaceModel) effective(name string) string {
	if v, ok := m.set[name]; ok && !m.strict[name] {
		return v
	}
	if v, ok := m.read[name]; ok {
		return v
	}
	return map[string]string{"chain": "dev", "data-directory": "/var/lib", "neighborhood-mode": "standard"}[name]
}

// dump is what an answer should show.
func (m *spaceModel) dump(bad map[string]string) string {
	if m.frozen {
		return "running; " + m.shown
	}
	values, errs := m.facing()
	for name, text := range bad {
		errs = append(errs, name+": "+text)
	}
	slices.Sort(errs)
	return strings.Join(append([]string{strings.Join(values, " ")}, errs...), "; ")
}

// facing are the values that are neither Default nor Blank, and what is wrong.
func (m *spaceModel) facing() (values, errs []string) {
	for _, name := range slices.Sorted(maps.Keys(drawn)) {
		status := ""
		if _, ok := m.set[name]; ok && !m.strict[name] {
			status = statusSet
		} else if _, ok := m.read[name]; ok {
			status = statusConfigured
		} else if name == "neighbors" && m.effective("neighborhood-mode") == "consume-only" {
			status = statusRequired
			errs = append(errs, name+": "+textRequired)
		}
		value := m.effective(name)
		if (name == "db-password" || name == "relay-token") && value != "" {
			value = mask
		}
		if status != "" {
			values = append(values, fmt.Sprintf("%s=%s(%s)", name, value, status))
		}
		if m.strict[name] {
			errs = append(errs, name+": "+textStale+"not allowed: "+m.set[name])
		}
	}
	if m.effective("neighborhood-mode") == "zero-hop" && m.effective("ip") != "" {
		errs = append(errs, "ip: not for zero-hop")
	}
	if m.absent {
		errs = append(errs, "config-file: no such file: "+m.effective("config-file"))
	}
	return values, errs
}

// request sends one, and compares its answer and what the others hear.
func (m *spaceModel) request(rt *rapid.T) {
	by := rapid.SampledFrom([]*uipb.Asker{anna, berta}).Draw(rt, "asker")
	var pairs []string
	for range rapid.IntRange(0, 4).Draw(rt, "changes") {
		name := rapid.SampledFrom(slices.Sorted(maps.Keys(drawn))).Draw(rt, "name")
		pairs = append(pairs, name, rapid.SampledFrom(drawn[name]).Draw(rt, "value"))
	}
	before, told := m.facts(), len(m.announced)
	var bad map[string]string
	if !m.frozen {
		bad = m.apply(by, pairs)
	}
	a := m.set1(by, pairs)
	a.wants(m.dump(bad))
	if announced := m.announced[told:]; len(announced) > 1 || (len(announced) == 1) != (before != m.facts()) {
		m.t.Errorf("%q told %d times, from %s to %s", pairs, len(announced), before, m.facts())
	} else if len(announced) == 1 && (announced[0].GetExcept() != by.GetMember() || show(announced[0].GetResponse().GetSetup()) != m.dump(nil)) {
		m.t.Errorf("told %v", announced[0])
	}
}

func (m *spaceModel) set1(by *uipb.Asker, pairs []string) *talk {
	a := m.world.set(by, pairs...)
	m.quiet()
	return a
}

// facts are all values and statuses, secrets as they are.
func (m *spaceModel) facts() string {
	var out []string
	for name := range drawn {
		out = append(out, name, m.effective(name))
	}
	slices.Sort(out)
	values, _ := m.facing()
	return strings.Join(append(out, values...), " ")
}

// restart starts another Daemon: secrets are gone, files are read.
func (m *spaceModel) restart() {
	if m.frozen {
		return
	}
	m.die()
	m.space.strict = !m.space.strict
	m.boot()
	delete(m.set, "db-password")
	delete(m.set, "relay-token")
	m.strict = map[string]bool{}
	for name, v := range m.set {
		if m.space.strict && strings.ToLower(v) != v {
			m.strict[name] = true
		}
	}
	m.reread()
}

func (m *spaceModel) step(rt *rapid.T) {
	switch rapid.SampledFrom([]string{"request", "request", "request", "request", "edit", "reload", "restart", "panic", "broken", "freeze"}).Draw(rt, "step") {
	case "request":
		m.request(rt)
	case "edit":
		name := rapid.SampledFrom([]string{"", "a", "b"}).Draw(rt, "file")
		m.space.files[name] = map[string]string{"ip": rapid.SampledFrom([]string{"3", "4"}).Draw(rt, "ip")}
		if rapid.Bool().Draw(rt, "secret too") {
			m.space.files[name]["relay-token"] = "z"
		}
	case "reload":
		a := m.converse(m.setup, &uipb.Reload{})
		m.quiet()
		if _, ok := a.answer().(*uipb.Done); !ok {
			m.t.Errorf("answered %v", a.answer())
		}
		m.reread()
		m.set1(carla, nil).wants(m.dump(nil))
	case "restart":
		m.restart()
	case "panic":
		if m.frozen {
			m.sys.Root.Send(m.setup, redirectPoison)
		} else {
			m.space.fail = true
			if a := m.set1(anna, []string{"chain", "q"}).answer(); !isFailed(a) {
				m.t.Errorf("answered %v", a)
			}
		}
		m.d.Run(2e9) // back-off
		m.reread()
	case "broken":
		m.disk.broken = "disk full"
		a := m.set1(anna, []string{"ip", "77"})
		m.disk.broken = ""
		if m.frozen || m.effective("ip") == "77" {
			a.wants(m.dump(nil))
		} else if _, ok := a.answer().(*uipb.Fault); !ok {
			m.t.Errorf("answered %v", a.answer())
		}
	case "freeze":
		m.freeze()
	}
}

func isFailed(m any) bool {
	_, ok := m.(*faultpb.Failed)
	return ok
}

// freeze lets a Node come or go. What has changed meanwhile is told when it is
// gone.
func (m *spaceModel) freeze() {
	told := len(m.announced)
	if !m.frozen {
		m.shown = m.dump(nil)
		m.frozen = true
		m.sys.Root.Send(m.setup, &whereabouts{node: present})
		m.quiet()
		if len(m.announced) > told {
			m.t.Errorf("told %v", m.announced[told:])
		}
		return
	}
	m.frozen = false
	m.sys.Root.Send(m.setup, &whereabouts{node: absent})
	m.quiet()
	before, _, _ := strings.Cut(m.shown, ";")
	now, _ := m.facing()
	switch announced := m.announced[told:]; {
	case (len(announced) > 0) != (before != strings.Join(now, " ")) || len(announced) > 1:
		m.t.Errorf("told %v, from %s to %s", announced, before, now)
	case len(announced) == 1 && (announced[0].GetExcept() != 0 || show(announced[0].GetResponse().GetSetup()) != m.dump(nil)):
		m.t.Errorf("told %v, want %s", announced[0], m.dump(nil))
	}
	m.set1(carla, nil).wants(m.dump(nil))
}

// TestSetupSpace compares the Setup space with its model, request by request,
// among panics, full disks, other files, and Daemons that come and go.
func TestSetupSpace(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rapid.SyncTest(rt, func(rt *rapid.T) {
			w := newWorld(lenientTB{rapidTB{t, rt}}, testkit.NewDriver(rapid.Uint64().Draw(rt, "seed")), anyFailures)
			m := &spaceModel{world: w, set: map[string]string{}, strict: map[string]bool{}}
			for range rapid.IntRange(1, 25).Draw(rt, "steps") {
				m.step(rt)
				if rt.Failed() {
					break
				}
			}
			for name, v := range m.set {
				if secret := name == "db-password" || name == "relay-token"; secret != (m.disk.records["setup/"+name] == nil) ||
					!secret && string(m.disk.records["setup/"+name]) != v {
					m.t.Errorf("stored %q, want %v", m.disk.show(), m.set)
				}
			}
			w.stop()
		})
	})
}

// TestSetupRaces lets many user interfaces change things at once: all are
// answered, and what is told last, stored, and in effect is one and the same.
func TestSetupRaces(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rapid.SyncTest(rt, func(rt *rapid.T) {
			w := newWorld(rapidTB{t, rt}, testkit.NewDriver(rapid.Uint64().Draw(rt, "seed")))
			var talks []*talk
			for range rapid.IntRange(2, 20).Draw(rt, "requests") {
				name := rapid.SampledFrom([]string{"ip", "chain", "neighbors"}).Draw(rt, "name")
				talks = append(talks, w.set(anna, name, rapid.SampledFrom([]string{"-", "1", "2", "3"}).Draw(rt, "value")))
			}
			w.quiet()
			dumps := map[string]bool{"": true}
			for _, m := range w.announced {
				dumps[show(m.GetResponse().GetSetup())] = true
			}
			for _, a := range talks {
				if !dumps[show(a.answer())] {
					w.t.Errorf("answered %q, and told others %v", show(a.answer()), dumps)
				}
			}
			a := w.set(carla)
			w.quiet()
			var stored []string
			for _, r := range strings.Fields(w.disk.show()) {
				stored = append(stored, strings.TrimPrefix(r, recordPrefix)+"(Set)")
			}
			a.wants(strings.Join(stored, " "))
			if n := len(w.announced); n > 0 {
				if last := show(w.announced[n-1].GetResponse().GetSetup()); last != show(a.answer()) {
					w.t.Errorf("told %q at last, and it is %q", last, show(a.answer()))
				}
			}
			w.stop()
		})
	})
}
