package testkit_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/testkit"
)

// recorder is a test that only notes how it failed.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	failures []string
	cleanups []func()
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Error(args ...any)   { r.Errorf("%s", fmt.Sprint(args...)) }
func (r *recorder) Logf(string, ...any) {}
func (r *recorder) Failed() bool        { return len(r.failures) > 0 }
func (r *recorder) Cleanup(f func())    { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Helper()             {}

// puppet does what it is told.
type puppet struct{}

func (puppet) Receive(ctx actor.Context) {
	if f, ok := ctx.Message().(func(actor.Context)); ok {
		f(ctx)
	}
}

func newPuppet() actor.Actor { return puppet{} }

// forgettable may get lost.
type forgettable struct{}

func (forgettable) IgnoreDeadLetterLogging() {}

func fail(actor.Context) { panic("told to") }

func TestSystemFailsTheTest(t *testing.T) {
	for _, c := range []struct {
		name string
		opts []testkit.SystemOption
		do   func(sys *actor.ActorSystem, p *actor.PID)
		want []string
	}{
		{"nothing happens", nil, func(*actor.ActorSystem, *actor.PID) {}, nil},
		{"dead letter", nil, func(sys *actor.ActorSystem, p *actor.PID) {
			sys.Root.Send(sys.NewLocalPID("nobody"), "hello")
		}, []string{"dead letter to nobody: string hello"}},
		{"dead letter that may get lost", nil, func(sys *actor.ActorSystem, p *actor.PID) {
			sys.Root.RequestWithCustomSender(sys.NewLocalPID("nobody"), forgettable{}, sys.NewLocalPID("gone"))
			sys.Root.Stop(sys.NewLocalPID("nobody"))
			sys.Root.Poison(sys.NewLocalPID("nobody"))
		}, nil},
		{"letters between the stopping", nil, func(sys *actor.ActorSystem, p *actor.PID) {
			testkit.Ending(sys)
			sys.Root.Send(sys.NewLocalPID("nobody"), "hello")
		}, nil},
		{"panic", nil, func(sys *actor.ActorSystem, p *actor.PID) { sys.Root.Send(p, fail) }, []string{"actor failed: actor=p reason=told to stack="}},
		{"declared panic", []testkit.SystemOption{testkit.ExpectFailures(1)}, func(sys *actor.ActorSystem, p *actor.PID) {
			sys.Root.Send(p, fail)
		}, nil},
		{"one panic too many", []testkit.SystemOption{testkit.ExpectFailures(1)}, func(sys *actor.ActorSystem, p *actor.PID) {
			sys.Root.Send(p, fail)
			sys.Root.Send(p, fail)
		}, []string{"actor failed"}},
		{"no panic", []testkit.SystemOption{testkit.ExpectFailures(2)}, func(sys *actor.ActorSystem, p *actor.PID) {
			sys.Root.Send(p, fail)
		}, []string{"1 actors failed, the test declared 2"}},
		{"leaked actor", nil, func(sys *actor.ActorSystem, p *actor.PID) {
			tree.Spawn(sys.Root, "forgotten", tree.Spec{New: newPuppet})
		}, []string{"leaked actor forgotten"}},
		{"topmost supervisor gives up", []testkit.SystemOption{testkit.ExpectFailures(11)}, func(sys *actor.ActorSystem, p *actor.PID) {
			sys.Root.Send(p, func(ctx actor.Context) {
				child := tree.Spawn(ctx, "child", tree.Spec{New: newPuppet})
				for range 11 {
					ctx.Send(child, fail)
				}
			})
			testkit.Pass(sys, 20)
		}, []string{"gave up: told to"}},
	} {
		for _, driven := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, " ", driven), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := &recorder{TB: t}
					opts := c.opts
					if driven {
						opts = append(opts[:len(opts):len(opts)], testkit.Under(testkit.NewDriver(1)))
					}
					sys := testkit.System(r, opts...)
					p := tree.Spawn(sys.Root, "p", tree.Spec{New: newPuppet, Children: tree.Fatal})
					c.do(sys, p)
					testkit.Stop(r, sys, p)
					for _, id := range testkit.Alive(sys) { // or the bubble could not end
						sys.Root.Stop(sys.NewLocalPID(id))
					}
					synctest.Wait()
					check(t, r.failures, c.want)
				})
			})
		}
	}
}

// check compares failures with the parts they must contain.
func check(t *testing.T, got, want []string) {
	t.Helper()
	ok := len(got) == len(want)
	for i := range min(len(got), len(want)) {
		ok = ok && strings.Contains(got[i], want[i])
	}
	if !ok {
		t.Errorf("failures\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestForgettingStopFailsTheTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{TB: t}
		testkit.System(r)
		for _, f := range r.cleanups {
			f()
		}
		check(t, r.failures, []string{"did not call Stop"})
	})
}

func TestOnFatal(t *testing.T) {
	testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
		var reasons []any
		sys := testkit.System(t, testkit.Under(d), testkit.ExpectFailures(11), testkit.OnFatal(func(r any) { reasons = append(reasons, r) }))
		p := tree.Spawn(sys.Root, "p", tree.Spec{New: newPuppet, Children: tree.Fatal})
		sys.Root.Send(p, func(ctx actor.Context) {
			child := tree.Spawn(ctx, "child", tree.Spec{New: newPuppet})
			for range 11 {
				ctx.Send(child, fail)
			}
		})
		testkit.Pass(sys, 20)
		if len(reasons) != 1 || reasons[0] != "told to" {
			t.Errorf("reasons %v", reasons)
		}
		testkit.Stop(t, sys, p)
	})
}

const failingEnv = "TESTKIT_FAIL_AT"

// TestFailingSeed fails at the seed that TestFailureNamesItsSeed asks for, in a
// process of its own.
func TestFailingSeed(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		if fmt.Sprint(d.Seed()) == os.Getenv(failingEnv) {
			t.Fatal("as asked")
		}
		t.Logf("ran %d", d.Seed())
	})
}

func TestFailureNamesItsSeed(t *testing.T) {
	run := func(env string, args ...string) string {
		cmd := exec.CommandContext(t.Context(), os.Args[0], append([]string{"-test.run=^TestFailingSeed$", "-test.v"}, args...)...)
		cmd.Env = append(os.Environ(), failingEnv+"=3", env)
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Errorf("%s %v: passed", env, args)
		}
		return string(out)
	}
	out := run("")
	if !strings.Contains(out, "-run '^TestFailingSeed$' -seed=3") || !strings.Contains(out, "ran 2") || strings.Contains(out, "ran 4") {
		t.Errorf("all seeds: %s", out)
	}
	if out := run("", "-seeds=3"); !strings.Contains(out, "-seed=3") {
		t.Errorf("three seeds: %s", out)
	}
	for _, out := range []string{run("", "-seed=3"), run("TESTKIT_SEED=3")} {
		if !strings.Contains(out, "-seed=3") || strings.Contains(out, "ran ") {
			t.Errorf("replay: %s", out)
		}
	}
	if out := run("TESTKIT_SEED=three"); !strings.Contains(out, `not a seed: "three"`) {
		t.Errorf("no seed: %s", out)
	}
}
