package tree_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/testkit"
)

// puppet runs functions that are sent to it, and hook at every other message.
type puppet struct{ hook func(ctx actor.Context) }

func (p *puppet) Receive(ctx actor.Context) {
	if f, ok := ctx.Message().(func(actor.Context)); ok {
		f(ctx)
		return
	}
	if p.hook != nil {
		p.hook(ctx)
	}
}

// spec makes puppets; hook may be nil.
func spec(children tree.Policy, hook func(ctx actor.Context)) tree.Spec {
	return tree.Spec{New: func() actor.Actor { return &puppet{hook} }, Children: children}
}

func fail(actor.Context) { panic("told to") }

// diary notes what happens to actors, with the time since its start.
type diary struct {
	start   time.Time
	entries []string
}

func (d *diary) note(what ...any) {
	d.entries = append(d.entries, fmt.Sprintf("%v %s", time.Since(d.start), fmt.Sprint(what...)))
}

// hook notes the life of an actor.
func (d *diary) hook(name string) func(actor.Context) {
	return func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case *actor.Started:
			d.note(name, " started")
		case *actor.Restarting:
			d.note(name, " restarting")
		case *actor.Stopped:
			d.note(name, " stopped")
		case *actor.Terminated:
			d.note(name, " lost ", m.GetWho().GetId())
		case string:
			d.note(name, " got ", m)
		}
	}
}

func (d *diary) want(t *testing.T, entries ...string) {
	t.Helper()
	if !slices.Equal(d.entries, entries) {
		t.Errorf("diary\n  %q\nwant\n  %q", d.entries, entries)
	}
	d.entries = nil
}

// family is a parent with a child, under a driver.
type family struct {
	*diary
	t             *testing.T
	d             *testkit.Driver
	sys           *actor.ActorSystem
	parent, child *actor.PID
}

// newFamily starts one in which n panics will happen.
func newFamily(t *testing.T, d *testkit.Driver, children tree.Policy, n int, opts ...testkit.SystemOption) *family {
	f := &family{diary: &diary{start: time.Now()}, t: t, d: d}
	f.sys = testkit.System(t, append(opts, testkit.Under(d), testkit.ExpectFailures(n))...)
	f.parent = tree.Spawn(f.sys.Root, "parent", spec(children, f.hook("parent")))
	f.sys.Root.Send(f.parent, func(ctx actor.Context) {
		f.child = tree.Spawn(ctx, "child", spec(tree.Stop, f.hook("child")))
	})
	d.Settle()
	f.want(t, "0s parent started", "0s child started")
	return f
}

func (f *family) panicAfter(d time.Duration) {
	f.d.Run(d)
	f.sys.Root.Send(f.child, fail)
	f.d.Settle()
}

func TestStopPolicy(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		f := newFamily(t, d, tree.Stop, 1)
		f.sys.Root.Send(f.parent, func(ctx actor.Context) {
			tree.Spawn(ctx, "sibling", spec(tree.Stop, f.hook("sibling")))
		})
		d.Settle()
		f.panicAfter(time.Second)
		f.sys.Root.Send(f.sys.NewLocalPID("parent/sibling"), "still there")
		d.Settle()
		f.want(t, "0s sibling started", "1s child stopped", "1s parent lost parent/child", "1s sibling got still there")
		if n := tree.Of(f.sys).Counter("actor_panics_total", "", "", "").Load(); n != 1 {
			t.Errorf("%d panics counted", n)
		}
		testkit.Stop(t, f.sys, f.parent)
	})
}

// TestRestartBacksOff fails an actor again as soon as it is back.
func TestRestartBacksOff(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		f := newFamily(t, d, tree.Restart, 10)
		for range 10 {
			f.sys.Root.Send(f.child, fail)
		}
		f.sys.Root.Send(f.child, "kept")
		d.Run(time.Minute)
		var want []string
		at := time.Duration(0)
		for _, pause := range []int{0, 10, 20, 40, 80, 160, 320, 640, 1000, 1000} { // ms
			at += time.Duration(pause) * time.Millisecond
			want = append(want, fmt.Sprint(at, " child restarting"), fmt.Sprint(at, " child started"))
		}
		f.want(t, append(want, fmt.Sprint(at, " child got kept"))...)
		testkit.Stop(t, f.sys, f.parent)
	})
}

// TestOldFailuresAreForgiven fails less than 10 times in 10 s, for long.
func TestOldFailuresAreForgiven(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		f := newFamily(t, d, tree.Restart, 100)
		for range 100 {
			f.panicAfter(2 * time.Second)
		}
		d.Run(time.Minute)
		for _, e := range f.entries {
			if e[len(e)-len("restarting"):] != "restarting" && e[len(e)-len("child started"):] != "child started" {
				t.Fatal(e)
			}
		}
		if len(f.entries) != 200 {
			t.Errorf("%d entries", len(f.entries))
		}
		testkit.Stop(t, f.sys, f.parent)
	})
}

// TestEscalation has a child that fails too often: its parent is restarted by
// its own, and makes its children anew.
func TestEscalation(t *testing.T) {
	for policy, want := range map[tree.Policy]string{tree.Restart: "parent restarting", tree.Stop: "top lost top/parent"} {
		testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
			diary := &diary{start: time.Now()}
			sys := testkit.System(t, testkit.Under(d), testkit.ExpectFailures(11))
			child := spec(tree.Stop, diary.hook("child"))
			top := tree.Spawn(sys.Root, "top", spec(policy, diary.hook("top")))
			sys.Root.Send(top, func(ctx actor.Context) {
				tree.Spawn(ctx, "parent", spec(tree.Restart, func(ctx actor.Context) {
					diary.hook("parent")(ctx)
					if _, ok := ctx.Message().(*actor.Started); ok {
						tree.Spawn(ctx, "child", child)
					}
				}))
			})
			d.Settle()
			for range 11 {
				sys.Root.Send(sys.NewLocalPID("top/parent/child"), fail)
			}
			d.Run(time.Minute)
			last := diary.entries[len(diary.entries)-1]
			if policy == tree.Stop {
				if last != "3.27s "+want {
					t.Errorf("last entry %q", last)
				}
				testkit.Stop(t, sys, top)
				return
			}
			if !slices.Contains(diary.entries, "3.27s "+want) || last != "3.27s child started" {
				t.Errorf("entries %q", diary.entries)
			}
			sys.Root.Send(sys.NewLocalPID("top/parent/child"), "hello")
			d.Settle()
			if last := diary.entries[len(diary.entries)-1]; last != "1m0s child got hello" {
				t.Errorf("last entry %q", last)
			}
			testkit.Stop(t, sys, top)
		})
	}
}

func TestFatal(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		var reasons []any
		f := newFamily(t, d, tree.Fatal, 11, testkit.OnFatal(func(r any) { reasons = append(reasons, r) }))
		for range 11 {
			f.sys.Root.Send(f.child, fail)
		}
		d.Run(time.Minute)
		if len(reasons) != 1 || reasons[0] != "told to" {
			t.Errorf("reasons %v", reasons)
		}
		testkit.Stop(t, f.sys, f.parent)
	})
}

// TestRestartOfTheDead has a child that is stopped while it waits for its restart.
func TestRestartOfTheDead(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		f := newFamily(t, d, tree.Restart, 3)
		for range 3 {
			f.sys.Root.Send(f.child, fail)
		}
		d.Run(15 * time.Millisecond) // restarts at 0 and 10 ms, the third is due at 30 ms
		f.sys.Root.Stop(f.child)
		d.Run(time.Minute)
		f.want(t, "0s child restarting", "0s child started", "10ms child restarting", "10ms child started",
			"15ms child stopped", "15ms parent lost parent/child")
		testkit.Stop(t, f.sys, f.parent)
	})
}

// load is a message with a weight.
type load int

func (l load) Bytes() int { return int(l) }

// TestGaugeOfTheFailed has an actor that fails with messages behind it, and is
// stopped for that.
func TestGaugeOfTheFailed(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		sys := testkit.System(t, testkit.Under(d), testkit.ExpectFailures(1))
		parent := tree.Spawn(sys.Root, "parent", spec(tree.Stop, nil))
		gauge := &tree.Gauge{}
		sys.Root.Send(parent, func(ctx actor.Context) {
			child := tree.Spawn(ctx, "child", tree.Spec{Gauge: gauge, New: func() actor.Actor { return &puppet{} }})
			ctx.Send(child, fail)
			for range 10 {
				ctx.Send(child, load(100))
			}
			if gauge.Bytes() != 1000 {
				t.Errorf("%d bytes queued", gauge.Bytes())
			}
		})
		d.Settle()
		if gauge.Bytes() != 0 {
			t.Errorf("%d bytes left in the queue of a stopped actor", gauge.Bytes())
		}
		testkit.Stop(t, sys, parent)
	})
}

// TestFullMailboxIsCounted leaves refusing to the default.
func TestFullMailboxIsCounted(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		sys := testkit.System(t, testkit.Under(d))
		var got int
		a := tree.Spawn(sys.Root, "a", tree.Spec{Limit: 250, New: func() actor.Actor {
			return &puppet{func(ctx actor.Context) {
				if l, ok := ctx.Message().(load); ok {
					got += int(l)
				}
			}}
		}})
		for range 5 {
			sys.Root.Send(a, load(100))
		}
		if n := tree.Of(sys).Dropped(tree.MailboxFull); n != 3 {
			t.Errorf("%d dropped", n)
		}
		testkit.Stop(t, sys, a)
		if got != 200 {
			t.Errorf("handled %d bytes", got)
		}
	})
}

// TestNothingElseIsLost has a panic in the middle of many messages.
func TestNothingElseIsLost(t *testing.T) {
	testkit.Seeds(t, 20, func(t *testing.T, d *testkit.Driver) {
		f := newFamily(t, d, tree.Restart, 2)
		var want []string
		for i := range 10 {
			if i == 3 || i == 6 {
				f.sys.Root.Send(f.child, fail)
				want = append(want, "restarting", "started")
			}
			f.sys.Root.Send(f.child, fmt.Sprint(i))
			want = append(want, "got "+fmt.Sprint(i))
		}
		d.Run(time.Second)
		for i, e := range f.entries {
			if i >= len(want) || len(f.entries) != len(want) || e[len(e)-len(want[i]):] != want[i] {
				t.Fatalf("diary %q, want %q", f.entries, want)
			}
		}
		testkit.Stop(t, f.sys, f.parent)
	})
}
