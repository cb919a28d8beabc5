package daemon

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"pgregory.net/rapid"

	"parley/actors/tree"
	"parley/messages/processpb"
	"parley/messages/uipb"
	"parley/testkit"
)

// world is a Daemon's actors among a store, a process gateway and user
// interfaces made of paper. A seeded driver runs all of them on one goroutine,
// so that nothing here is locked. The store and the Nodes outlive a Daemon.
type world struct {
	t     testing.TB
	d     *testkit.Driver
	sys   *actor.ActorSystem
	space *paperSpace
	disk  *paperStore
	nodes []*paperNode // all that ever were

	top, setup, redirect, crash, launcher, store, gateway *actor.PID // of the Daemon that runs

	talks     []*talk          // all requests
	announced []*uipb.Announce // of all Daemons
	changed   []map[string]string
	cards     []*actor.PID // to be taken back
	deaf      bool         // the gateway takes no Adopt
	clocks    bool         // the gateway ends what takes too long
	mute      bool         // nobody confirms
}

// failure makes a test's own actor panic.
type failure struct{}

// IgnoreDeadLetterLogging marks messages that may find their actor stopped.
func (failure) IgnoreDeadLetterLogging() {}

// puppet does what it is told.
type puppet struct{ start func(actor.Context) }

func (p *puppet) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		if p.start != nil {
			p.start(ctx)
		}
	case func(actor.Context):
		m(ctx)
	case *uipb.Announce, *processpb.Keep, *processpb.Stop:
		p.start(ctx)
	}
}

// newWorld starts a Daemon. opts are for the actor system.
func newWorld(t testing.TB, d *testkit.Driver, opts ...testkit.SystemOption) *world {
	t.Helper()
	w := &world{t: t, d: d, disk: &paperStore{records: map[string][]byte{}}}
	w.space = &paperSpace{files: map[string]map[string]string{}}
	w.sys = testkit.System(t, append(opts, testkit.Under(d))...)
	w.boot()
	return w
}

// boot starts a Daemon, and lets happen what the store does not hold up.
func (w *world) boot() {
	w.top = Spawn(w.sys, "daemon", w.start)
	w.d.Settle()
}

func (w *world) start(ctx actor.Context) {
	w.store = tree.Spawn(ctx, "store", tree.Spec{Asked: true, New: func() actor.Actor { return w.disk }})
	w.gateway = tree.Spawn(ctx, "processes", tree.Spec{New: func() actor.Actor { return &paperGateway{w} }})
	casts := tree.Spawn(ctx, "broadcasts", tree.Spec{New: func() actor.Actor {
		return &puppet{func(ctx actor.Context) {
			if m, ok := ctx.Message().(*uipb.Announce); ok {
				w.announced = append(w.announced, m)
				if m.GetConfirm() && !w.mute {
					ctx.Respond(&uipb.Announced{})
				}
			}
		}}
	}})
	w.setup = SpawnSetup(ctx, w.space.space(), w.store, casts, func(v map[string]string) { w.changed = append(w.changed, v) })
	w.redirect = SpawnRedirect(ctx)
	w.crash = SpawnCrash(ctx, casts)
	w.launcher = SpawnLauncher(ctx, Launching{
		Setup: w.setup, Redirect: w.redirect, Crash: w.crash, Broadcasts: casts, Store: w.store, Process: w.gateway,
	})
}

// die ends the Daemon as kill -9 does; Nodes that are not kept end with it.
func (w *world) die() {
	testkit.Ending(w.sys)
	w.sys.Root.Stop(w.top)
	w.d.Settle()
	w.disk.queue = nil
	for _, n := range w.nodes {
		n.keeper, n.asker = nil, nil
		if n.alive && !n.kept {
			n.alive = false
		}
	}
}

// stop ends the world; nothing may be left.
func (w *world) stop() {
	w.t.Helper()
	testkit.Ending(w.sys)
	w.sys.Root.Stop(w.top)
	w.d.Settle()
	for _, c := range w.cards {
		w.sys.ProcessRegistry.Remove(c)
	}
	testkit.Stop(w.t, w.sys)
}

// quiet lets everything happen that is under way, but for what a test holds.
func (w *world) quiet() { w.d.Settle() }

// talk is one request, and what was answered: it is its conversation.
type talk struct {
	w       *world
	pid     *actor.PID
	answers []any
	excused bool       // its Daemon died
	asked   *actor.PID // hears that it has its answer, or is gone; nil: whoever answers says whether it wants to
}

// SendUserMessage implements actor.Process.
func (a *talk) SendUserMessage(_ *actor.PID, m any) {
	_, m, sender := actor.UnwrapEnvelope(m)
	a.answers = append(a.answers, m)
	if a.asked != nil {
		sender = a.asked
	}
	if sender != nil && !a.w.mute {
		a.confirm(sender)
	}
}

// confirm tells that the answer is with the link, or that nobody waits for it.
func (a *talk) confirm(to *actor.PID) {
	a.w.sys.Root.RequestWithCustomSender(to, &uipb.Answered{}, a.pid)
}

// SendSystemMessage implements actor.Process.
func (a *talk) SendSystemMessage(*actor.PID, any) {}

// Stop implements actor.Process.
func (a *talk) Stop(*actor.PID) {}

// answer is the one answer; none, or another one, fails the test.
func (a *talk) answer() any {
	a.w.t.Helper()
	if len(a.answers) != 1 {
		a.w.t.Fatalf("%d answers: %v", len(a.answers), a.answers)
	}
	return a.answers[0]
}

// Askers of the tests.
var (
	anna  = &uipb.Asker{Member: 1, Uid: 1000, Owner: true, Changes: true}
	berta = &uipb.Asker{Member: 2, Uid: 1001, Changes: true}
	carla = &uipb.Asker{Member: 3, Uid: 1002}
)

// converse sends any message from a conversation of its own.
func (w *world) converse(to *actor.PID, m any) *talk {
	a := &talk{w: w}
	pid, ok := w.sys.ProcessRegistry.Add(a, fmt.Sprint("talk", len(w.cards)))
	if !ok {
		w.t.Fatal("two worlds in one system")
	}
	a.pid = pid
	w.cards, w.talks = append(w.cards, pid), append(w.talks, a)
	w.sys.Root.RequestWithCustomSender(to, m, pid)
	return a
}

// hangUp ends a conversation: its answer finds nobody.
func (w *world) hangUp(a *talk) {
	w.sys.ProcessRegistry.Remove(a.pid)
	w.cards = slices.DeleteFunc(w.cards, a.pid.Equal)
	w.talks = slices.DeleteFunc(w.talks, func(b *talk) bool { return a == b })
	if a.asked != nil && len(a.answers) == 0 {
		a.confirm(a.asked)
	}
}

// put makes changes: name, value, name, value. The value "-" clears.
func put(pairs ...string) []*uipb.SetupChange {
	var out []*uipb.SetupChange
	for i := 0; i < len(pairs); i += 2 {
		c := &uipb.SetupChange{Name: pairs[i]}
		if pairs[i+1] != "-" {
			c.Value = &pairs[i+1]
		}
		out = append(out, c)
	}
	return out
}

var contexts uint64

// set sends a setup request.
func (w *world) set(by *uipb.Asker, pairs ...string) *talk {
	contexts++
	return w.converse(w.setup, &uipb.Ask{Asker: by, Request: &uipb.Request{
		Context: &contexts, Opcode: "setup", Body: &uipb.Request_Setup{Setup: &uipb.SetupRequest{Changes: put(pairs...)}},
	}})
}

// launch sends a start request.
func (w *world) launch(by *uipb.Asker) *talk {
	contexts++
	a := w.converse(w.launcher, &uipb.Ask{Asker: by, Request: &uipb.Request{
		Context: &contexts, Opcode: "start", Body: &uipb.Request_Empty{Empty: &uipb.Empty{}},
	}})
	a.asked = w.launcher
	return a
}

// wonder sends something that the Daemon does not know.
func (w *world) wonder(isolated bool) *talk {
	r := &uipb.Request{Opcode: "descriptor", Payload: []byte(`{ "x":1}`)}
	if !isolated {
		contexts++
		c := contexts
		r.Context = &c
	}
	return w.converse(w.redirect, &uipb.Ask{Asker: carla, Request: r})
}

// show writes a dump as "running; name=value(Status) …; name: text; …". What is
// Default or Blank is left out.
func show(m any) string {
	r, ok := m.(*uipb.SetupResponse)
	if !ok {
		return fmt.Sprint(m)
	}
	var parts []string
	if r.GetRunning() {
		parts = append(parts, "running")
	}
	var values []string
	for _, v := range r.GetValues() {
		if v.GetStatus() != statusDefault && v.GetStatus() != statusBlank {
			values = append(values, fmt.Sprintf("%s=%s(%s)", v.GetName(), v.GetValue(), v.GetStatus()))
		}
	}
	parts = append(parts, strings.Join(values, " "))
	for _, e := range r.GetErrors() {
		parts = append(parts, e.GetName()+": "+e.GetText())
	}
	return strings.Join(parts, "; ")
}

// wants compares an answer.
func (a *talk) wants(want string) {
	a.w.t.Helper()
	if got := show(a.answer()); got != want {
		a.w.t.Errorf("answered %q, want %q", got, want)
	}
}

// refused compares a fault.
func (a *talk) refused(code uint64, text string) {
	a.w.t.Helper()
	f, ok := a.answer().(*uipb.Fault)
	if !ok || f.GetCode() != code || !strings.Contains(f.GetMessage(), text) {
		a.w.t.Errorf("answered %v, want fault %d with %q", a.answer(), code, text)
	}
}

// broadcasts are those of an opcode.
func (w *world) broadcasts(opcode string) (out []*uipb.Announce) {
	for _, m := range w.announced {
		if m.GetResponse().GetOpcode() == opcode {
			out = append(out, m)
		}
	}
	return out
}

// run runs a test with some seeds.
func run(t *testing.T, test func(t *testing.T, w *world), opts ...testkit.SystemOption) {
	t.Helper()
	testkit.Seeds(t, 12, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d, opts...)
		test(t, w)
		w.stop()
	})
}

// rapidTB lets testkit fail a rapid test.
type rapidTB struct {
	testing.TB
	rt *rapid.T
}

func (b rapidTB) Cleanup(f func())                  { b.rt.Cleanup(f) }
func (b rapidTB) Error(args ...any)                 { b.rt.Error(args...) }
func (b rapidTB) Errorf(format string, args ...any) { b.rt.Errorf(format, args...) }
func (b rapidTB) Fatal(args ...any)                 { b.rt.Fatal(args...) }
func (b rapidTB) Fatalf(format string, args ...any) { b.rt.Fatalf(format, args...) }
func (b rapidTB) Failed() bool                      { return b.rt.Failed() }
func (b rapidTB) Helper()                           {}
func (b rapidTB) Logf(string, ...any)               {}

// anyFailures is for tests that do not know how many actors will fail.
var anyFailures = testkit.ExpectFailures(math.MaxInt)

// lenientTB goes with anyFailures.
type lenientTB struct{ testing.TB }

func (b lenientTB) Errorf(format string, args ...any) {
	if !strings.HasPrefix(format, "testkit: %d actors failed, the test declared") {
		b.TB.Errorf(format, args...)
	}
}
