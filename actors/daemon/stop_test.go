package daemon

import (
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/ui"
	"parley/messages/processpb"
	"parley/messages/uipb"
	"parley/testkit"
)

// TestStop for the Daemon's end, in each state.
func TestStop(t *testing.T) {
	for name, c := range map[string]func(w *world) *paperNode{
		"idle":    func(*world) *paperNode { return nil },
		"running": func(w *world) *paperNode { return w.up() },
		"launching": func(w *world) *paperNode {
			w.launch(anna)
			w.quiet()
			return w.last()
		},
		"recording": func(w *world) *paperNode {
			w.launch(anna)
			w.quiet()
			w.disk.held = true
			w.last().getReady()
			w.quiet()
			return w.last()
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				n := c(w)
				s := w.converse(w.launcher, &processpb.Stop{GraceMs: 10_000})
				w.quiet()
				a := w.launch(berta)
				w.quiet()
				a.refused(ui.CodeLaunch, "the Daemon is stopping")
				if n != nil {
					if !n.stopping || len(s.answers) > 0 {
						t.Fatalf("stopping %v, answered %v", n.stopping, s.answers)
					}
					n.end(exited(0))
					w.quiet()
				}
				if _, ok := s.answer().(*processpb.Ended); !ok {
					t.Errorf("answered %v", s.answer())
				}
				w.wantsState(nil)
				w.release()
				w.quiet()
				if name == "running" != (w.crashes() == `pid 100 signal "" failure "" lines [] requested true code 0`) {
					t.Errorf("told %s", w.crashes())
				}
				if name != "idle" && w.disk.show() != "" {
					t.Errorf("stored %s", w.disk.show())
				}
				for _, a := range w.talks {
					a.answer()
				}
			})
		})
	}
}

// TestStopByForce: a Node that did not end in order was asked to end all the same.
func TestStopByForce(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		n := w.up()
		w.converse(w.launcher, &processpb.Stop{GraceMs: 1})
		w.quiet()
		n.end(killed())
		w.quiet()
		if want := `pid 100 signal "killed" failure "" lines [] requested true`; w.crashes() != want {
			t.Errorf("told %s", w.crashes())
		}
	})
}

// TestNoAnswer gives up a launch whose answers never come, and what is still
// said of it later changes nothing.
func TestNoAnswer(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a := w.launch(anna)
		w.d.Run(launchMost + time.Second)
		a.refused(ui.CodeLaunch, "no answer")
		if !w.last().stopping {
			t.Error("not stopped")
		}
		w.wantsState(nil)
		w.last().stopping = false
		w.last().say(&processpb.Ready{Pid: 100, Launch: w.last().named})
		w.quiet()
		if !w.last().stopping {
			t.Error("nobody knows it, and it runs")
		}
		w.wantsState(nil)

		w.disk.held = true
		w.set(anna, "ip", "1")
		b := w.launch(anna)
		w.d.Run(launchMost + time.Second)
		if len(w.nodes) == 1 { // setup was waiting for the store
			b.refused(ui.CodeLaunch, "no answer")
			w.release()
			w.quiet()
			w.wantsState(nil)
		}
	})
}

// TestLateNews of a launch that was given up are not about the next one: its end
// does not fail that, and if it is ready after all it is stopped, and only it.
func TestLateNews(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a := w.launch(anna)
		w.quiet()
		first := w.last()
		w.d.Run(launchMost + time.Second)
		a.refused(ui.CodeLaunch, "no answer")
		b := w.launch(anna)
		w.quiet()
		second := w.last()
		first.stopping = false
		first.getReady()
		w.quiet()
		if !first.stopping || second.stopping {
			t.Errorf("stopping %v and %v", first.stopping, second.stopping)
		}
		first.end(killed())
		w.quiet()
		if len(b.answers) > 0 {
			t.Fatalf("answered %v", b.answer())
		}
		second.getReady()
		w.quiet()
		if _, ok := b.answer().(*uipb.Started); !ok || second.stopping {
			t.Errorf("answered %v, stopping %v", b.answer(), second.stopping)
		}
		w.wantsState(second)
	})
}

// TestAnswersBeforeTheGoodbye: who waits for a Node when the Daemon ends has its
// answer before connections are closed; one that never confirms it holds the end
// up for a moment only.
func TestAnswersBeforeTheGoodbye(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		gone, a := w.launch(anna), w.launch(berta)
		w.quiet()
		if len(gone.answers) > 0 {
			gone, a = a, gone
		}
		w.mute = true
		s := w.converse(w.launcher, &processpb.Stop{GraceMs: 10_000})
		w.quiet()
		w.last().end(exited(0))
		w.quiet()
		gone.refused(ui.CodeLaunch, "the Daemon is stopping")
		if len(s.answers) > 0 {
			t.Fatalf("the answer is not with its link: %v", s.answers)
		}
		gone.confirm(w.launcher)
		w.quiet()
		s.answer()
		late, s := w.launch(anna), w.converse(w.launcher, &processpb.Stop{})
		w.d.Run(confirmMost - time.Millisecond)
		late.answer()
		if len(s.answers) > 0 {
			t.Fatalf("answered %v", s.answers)
		}
		w.d.Run(2 * time.Millisecond)
		s.answer()
	})
}

// TestNotRecorded lets the Node serve, and end with the Daemon.
func TestNotRecorded(t *testing.T) {
	for name, c := range map[string]func(w *world){
		"disk full": func(w *world) { w.disk.broken = "disk full" },
		"slow":      func(w *world) { w.disk.held = true },
		"failed":    func(w *world) { w.disk.fail = 1 },
	} {
		failures := 0
		if name == "failed" {
			failures = 1
		}
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				a := w.launch(anna)
				w.quiet()
				c(w)
				w.last().getReady()
				w.d.Run(launchMost + time.Second)
				if _, ok := a.answer().(*uipb.Started); !ok || w.last().kept {
					t.Errorf("answered %v, kept %v", a.answer(), w.last().kept)
				}
				w.disk.held = false
				w.wantsState(w.last())
			}, testkit.ExpectFailures(failures))
		})
	}
}

// TestRecordedBeforeItIsTold: the record of this Node, not that of the last.
func TestRecordedBeforeItIsTold(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		n := w.up()
		w.disk.held = true
		n.end(killed())
		w.quiet()
		a := w.launch(anna)
		w.quiet()
		w.last().getReady()
		w.quiet()
		w.sys.Root.Send(w.store, func(ctx actor.Context) { w.disk.answer(ctx) })
		w.quiet()
		if len(a.answers) > 0 || w.last().kept || w.disk.show() != "" {
			t.Errorf("answered %v, kept %v, stored %q", a.answers, w.last().kept, w.disk.show())
		}
		w.release()
		w.quiet()
		if _, ok := a.answer().(*uipb.Started); !ok || !w.last().kept || w.disk.show() == "" {
			t.Errorf("answered %v, kept %v, stored %q", a.answer(), w.last().kept, w.disk.show())
		}
	})
}
