package daemon

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/actors/ui"
	"parley/messages/processpb"
	"parley/messages/uipb"
)

// up starts a Node, and sees that it runs.
func (w *world) up() *paperNode {
	w.t.Helper()
	a := w.launch(anna)
	w.quiet()
	n := w.last()
	n.getReady()
	w.quiet()
	if s, ok := a.answer().(*uipb.Started); !ok || s.GetNewProcessId() != n.pid || s.GetRedirectUiPort() != n.port() {
		w.t.Fatalf("answered %v", a.answer())
	}
	return n
}

// wantsState checks what user interfaces see: whether a Node is there.
func (w *world) wantsState(node *paperNode) {
	w.t.Helper()
	a, b, c := w.set(anna), w.wonder(false), w.wonder(true)
	w.quiet()
	if got := a.answer().(*uipb.SetupResponse).GetRunning(); got != (node != nil) {
		w.t.Errorf("running %v, want %v", got, node != nil)
	}
	if node != nil {
		want := &uipb.Redirect{Port: node.port(), Opcode: "descriptor", Payload: []byte(`{ "x":1}`)}
		if got := c.answer().(*uipb.Redirect); !proto.Equal(got, want) {
			w.t.Errorf("redirected %v, want %v", got, want)
		}
		if got := b.answer().(*uipb.Redirect); got.Context == nil || got.GetPort() != node.port() {
			w.t.Errorf("redirected %v", got)
		}
		return
	}
	if got := b.answer().(*uipb.Fault); got.GetCode() != ui.CodeNoNode || got.GetMessage() != "Cannot handle descriptor request: Node is not running" {
		w.t.Errorf("refused %v", got)
	}
	if got := c.answer().(*uipb.Undelivered); got.GetOpcode() != "descriptor" {
		w.t.Errorf("undelivered %v", got)
	}
}

// crashes are the announcements as text.
func (w *world) crashes() string {
	var out []string
	for _, m := range w.broadcasts("crashed") {
		c := m.GetResponse().GetCrashed()
		s := fmt.Sprintf("pid %d signal %q failure %q lines %q requested %v", c.GetProcessId(), c.GetSignal(), c.GetWaitFailure(), c.GetLastLines(), c.GetRequested())
		if c.ExitCode != nil {
			s += fmt.Sprintf(" code %d", c.GetExitCode())
		}
		if m.GetRetainMs() != 10_000 || m.GetExcept() != 0 || m.GetOptIn() {
			s += " told wrongly"
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

func (w *world) counter(name, value string) int64 {
	for _, c := range tree.Of(w.sys).All() {
		if c.Name == name && c.Value == value {
			return c.Load()
		}
	}
	return -1
}

func TestLaunch(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.space.files[""] = map[string]string{"neighbors": "n", "db-password": "s"}
		w.converse(w.setup, &uipb.Reload{})
		w.set(anna, "ip", "1", "relay-token", "t", "real-user", "1:1:/h", "data-directory", "/d")
		w.quiet()
		w.wantsState(nil)
		n := w.up()
		l := n.launch
		var got []string
		for _, s := range l.GetSettings() {
			got = append(got, s.GetName()+"="+s.GetValue())
		}
		if want := "data-directory=/d db-password=s ip=1 neighbors=n real-user=1:1:/h relay-token=t"; strings.Join(got, " ") != want ||
			l.GetDataDirectory() != "/d" || l.GetRealUser() != "1:1:/h" {
			t.Errorf("launched with %q", got)
		}
		if !n.kept {
			t.Error("not kept")
		}
		told := w.broadcasts("nodeStarted")
		if len(told) != 1 || told[0].GetExcept() != anna.GetMember() || !told[0].GetOptIn() ||
			told[0].GetResponse().GetStarted().GetNewProcessId() != n.pid || told[0].GetResponse().GetStarted().GetRedirectUiPort() != n.port() {
			t.Errorf("told %v", told)
		}
		w.wantsState(n)
		a, b, c := w.set(anna, "ip", "2"), w.set(carla, "ip", "2"), w.launch(berta)
		w.quiet()
		if r := a.answer().(*uipb.SetupResponse); !r.GetRunning() || w.disk.records["setup/ip"][0] != '1' {
			t.Errorf("answered %v", r)
		}
		b.refused(ui.CodeNotPermitted, "may look")
		c.refused(ui.CodeRunning, "Could not launch Node: already running")
		if w.counter("node_running", "") != 1 || w.counter("node_launches_total", "ready") != 1 {
			t.Error("not counted")
		}
	})
}

// TestLaunchDefaults needs nothing of the Setup space.
func TestLaunchDefaults(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		n := w.up()
		s := n.launch.GetSettings()
		if len(s) != 1 || s[0].GetName() != "data-directory" || s[0].GetValue() != "/var/lib" ||
			n.launch.GetDataDirectory() != "/var/lib" || n.launch.GetRealUser() != "" {
			t.Errorf("launched with %v", n.launch)
		}
	})
}

func TestLaunchFails(t *testing.T) {
	for name, c := range map[string]struct {
		ended *processpb.Ended
		want  string
	}{
		"exit":    {exited(2, "first", "second"), "it ended with exit code 2; it said:\nfirst\nsecond"},
		"signal":  {killed(), `it was ended by the signal "killed"`},
		"never":   {&processpb.Ended{Failure: "process: no such file"}, "no such file"},
		"unknown": {&processpb.Ended{}, "it ended, and how is not known"},
		"long":    {exited(1, strings.Repeat("a", wordsMost), "b"), "it ended with exit code 1; it said:\nb"},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				a := w.launch(anna)
				w.quiet()
				b := w.launch(berta)
				w.quiet()
				b.refused(ui.CodeRunning, "already running")
				w.last().end(proto.CloneOf(c.ended))
				w.quiet()
				a.refused(ui.CodeLaunch, "Could not launch Node: "+c.want)
				w.wantsState(nil)
				if len(w.announced) > 0 || w.disk.show() != "" || w.counter("node_launches_total", "failed") != 1 {
					t.Errorf("announced %v, stored %q", w.announced, w.disk.show())
				}
				w.up()
			})
		})
	}
}

// TestTwoLaunches at once: one wins.
func TestTwoLaunches(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a, b := w.launch(anna), w.launch(berta)
		w.quiet()
		if len(w.nodes) != 1 {
			t.Fatalf("%d Nodes", len(w.nodes))
		}
		w.last().getReady()
		w.quiet()
		if _, won := a.answer().(*uipb.Started); !won {
			a, b = b, a
		}
		if _, won := a.answer().(*uipb.Started); !won {
			t.Errorf("nobody won: %v %v", a.answer(), b.answer())
		}
		b.refused(ui.CodeRunning, "already running")
	})
}

func TestNodeEnds(t *testing.T) {
	for name, c := range map[string]struct {
		ended *processpb.Ended
		want  string
	}{
		"killed":    {killed(), `pid 100 signal "killed" failure "" lines [] requested false`},
		"shut down": {exited(0), `pid 100 signal "" failure "" lines [] requested true code 0`},
		"panicked":  {exited(2, "panic: x", "goroutine 1"), `pid 100 signal "" failure "" lines ["panic: x" "goroutine 1"] requested false code 2`},
		"lost":      {&processpb.Ended{Failure: "no wait"}, `pid 100 signal "" failure "no wait" lines [] requested false`},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				w.up().end(proto.CloneOf(c.ended))
				w.quiet()
				if got := w.crashes(); got != c.want {
					t.Errorf("told %s, want %s", got, c.want)
				}
				if w.disk.show() != "" || w.counter("node_running", "") != 0 {
					t.Errorf("stored %q", w.disk.show())
				}
				w.wantsState(nil)
				w.set(anna, "ip", "1")
				w.quiet()
				w.wantsState(w.up())
			})
		})
	}
}

// TestCrashedOnce for each Node, also when pids come again and ends come twice.
func TestCrashedOnce(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		for i := range 6 { // pids come again after three
			n := w.up()
			w.sys.Root.Send(w.launcher, &processpb.Ended{Pid: n.pid, Ready: true, Launch: n.named - 1}) // of another launch
			w.quiet()
			w.wantsState(n)
			n.end(killed())
			w.quiet()
			w.sys.Root.Send(w.launcher, &processpb.Ended{Pid: n.pid, Ready: true, Launch: n.named})
			w.quiet()
			if got := len(w.broadcasts("crashed")); got != i+1 {
				t.Errorf("%d crashes of %d", got, i+1)
			}
			a := w.launch(anna)
			w.quiet()
			w.sys.Root.Send(w.launcher, &processpb.Ended{Pid: n.pid, Ready: true, Launch: n.named}) // while the next is launched
			w.quiet()
			if len(a.answers) > 0 {
				t.Errorf("answered %v", a.answers)
			}
			w.last().end(exited(1))
			w.quiet()
			a.refused(ui.CodeLaunch, "exit code 1")
		}
		w.sys.Root.Send(w.crash, &over{incarnation: 1, ended: killed()})
		w.quiet()
		if got := len(w.broadcasts("crashed")); got != 6 {
			t.Errorf("%d crashes of 6", got)
		}
	})
}

// TestRequestsWaitForTheNode that is being launched.
func TestRequestsWaitForTheNode(t *testing.T) {
	for _, well := range []bool{true, false} {
		run(t, func(t *testing.T, w *world) {
			w.launch(anna)
			w.quiet()
			a, b := w.wonder(false), w.wonder(true)
			w.quiet()
			if len(a.answers)+len(b.answers) > 0 {
				t.Fatalf("answered %v %v", a.answers, b.answers)
			}
			if well {
				w.last().getReady()
			} else {
				w.last().end(killed())
			}
			w.quiet()
			_, redirected := a.answer().(*uipb.Redirect)
			_, undelivered := b.answer().(*uipb.Undelivered)
			if redirected != well || undelivered == well {
				t.Errorf("answered %v %v", a.answer(), b.answer())
			}
		})
	}
}

// TestTooManyWait bounds what waits for the Node.
func TestTooManyWait(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.launch(anna)
		w.quiet()
		zero := uint64(0)
		big := &uipb.Request{Opcode: "x", Context: &zero, Payload: make([]byte, 1<<20)}
		var talks []*talk
		for range 4 {
			talks = append(talks, w.converse(w.redirect, &uipb.Ask{Request: big}))
			w.quiet()
		}
		isolated := w.converse(w.redirect, &uipb.Ask{Request: &uipb.Request{Opcode: "x", Payload: make([]byte, 1<<20)}})
		w.sys.Root.Send(w.redirect, &uipb.Ask{Request: big}) // nobody to answer
		w.quiet()
		talks[3].refused(ui.CodeTooMany, "try again")
		if _, ok := isolated.answer().(*uipb.Undelivered); !ok {
			t.Errorf("answered %v", isolated.answer())
		}
		w.last().getReady()
		w.quiet()
		for _, a := range talks[:3] {
			if r := a.answer().(*uipb.Redirect); r.Context == nil || r.GetContext() != 0 {
				t.Errorf("answered %v", a.answer())
			}
		}
		w.last().end(killed())
		w.quiet()
		w.launch(anna)
		w.quiet()
		a := w.converse(w.redirect, &uipb.Ask{Request: big}) // there is room again
		w.quiet()
		if len(a.answers) > 0 {
			t.Errorf("answered %v", a.answers)
		}
	})
}

// TestAskerGoes and nothing else changes.
func TestAskerGoes(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.hangUp(w.launch(anna))
		w.quiet()
		w.last().getReady()
		w.quiet()
		w.wantsState(w.last())
	})
}
