package testkit

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/extensions"

	"parley/actors/tree"
)

// SystemOption changes what System makes.
type SystemOption func(*audit)

// Under lets d decide what runs when. Stop makes its steps.
func Under(d *Driver) SystemOption { return func(a *audit) { a.driver = d } }

// Among lets d decide what runs when, in a system that is one of several with
// the same driver. End makes its steps; the last thing of the test is Rest.
func Among(d *Driver, system string) SystemOption {
	return func(a *audit) { a.driver, a.name = d, system }
}

// ExpectFailures declares that the test makes actors panic n times, all in all.
func ExpectFailures(n int) SystemOption { return func(a *audit) { a.failures = n } }

// Logging puts a handler of the test's own before the log of the system: next
// is what judges it.
func Logging(wrap func(next slog.Handler) slog.Handler) SystemOption {
	return func(a *audit) { a.wrap = wrap }
}

// OnFatal gets the reason when the topmost supervisor gives up. Without it
// that fails the test.
func OnFatal(f func(reason any)) SystemOption { return func(a *audit) { a.fatal = f } }

// afterlife is how long Stop waits for goroutines that outlive their actor: a
// socket that lingers for its close frame, the library's throttle of dead letters.
const afterlife = 15 * time.Second

// audit is what testkit knows of one actor system.
type audit struct {
	pace     // fixed, as all of this block
	t        testing.TB
	name     string // of the system, where there are several; empty: there are not
	failures int
	fatal    func(any)
	wrap     func(slog.Handler) slog.Handler // nil: not
	ending   atomic.Bool                     // see Ending

	mu      sync.Mutex
	panics  []string // what the guard logged, one an entry
	stopped bool
}

var auditID = extensions.NextExtensionID()

// ExtensionID implements extensions.Extension.
func (*audit) ExtensionID() extensions.ExtensionID { return auditID }

// System returns an actor system that logs to t. It must be called inside a
// synctest bubble, and Stop at the end of the test: a dead letter fails the
// test unless its message implements actor.IgnoreDeadLetterLogging, and so does
// an actor that panics unless ExpectFailures says so.
func System(t testing.TB, opts ...SystemOption) *actor.ActorSystem {
	t.Helper()
	a := &audit{t: t}
	for _, o := range opts {
		o(a)
	}
	if a.fatal == nil {
		a.fatal = func(reason any) { t.Errorf("testkit: a topmost supervisor gave up: %v", reason) }
	}
	var handler slog.Handler = auditLog{slog.NewTextHandler(testWriter{t}, nil), a}
	if a.wrap != nil {
		handler = a.wrap(handler)
	}
	o := tree.Options{Log: slog.New(handler), Fatal: a.fatal}
	switch {
	case a.name != "":
		o.Driver = a.driver.Named(a.name)
	case a.driver != nil:
		o.Driver = a.driver
	}
	sys := tree.New(o)
	sys.Extensions.Register(a)
	sys.EventStream.Subscribe(a.onEvent)
	t.Cleanup(func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if !a.stopped && !t.Failed() {
			t.Error("testkit: the test did not call Stop")
		}
	})
	return sys
}

// onEvent judges dead letters. It runs on the goroutine of whoever sent one.
func (a *audit) onEvent(e any) {
	dead, ok := e.(*actor.DeadLetterEvent)
	if !ok {
		return
	}
	switch dead.Message.(type) {
	case actor.SystemMessage, actor.AutoReceiveMessage, actor.MailboxMessage: // the library's own business
	case *actor.DeadLetterResponse: // the letter it answers was judged already
	case actor.IgnoreDeadLetterLogging:
	default:
		report := a.t.Errorf
		if a.ending.Load() {
			report = a.t.Logf
			if a.name != "" { // others go on, and their log is what matters
				return
			}
		}
		report("dead letter to %s: %T %v", dead.PID.GetId(), dead.Message, dead.Message)
	}
}

// Ending tells that the test stops all actors of sys now, in its own way, and
// calls Stop then. Siblings end in any order, so what one still sends another
// proves nothing: from now on dead letters are logged only. If every such
// message had to be marked as one that may get lost, it would be so at all times.
func Ending(sys *actor.ActorSystem) {
	sys.Extensions.Get(auditID).(*audit).settle()
	Dying(sys)
}

// Dying is Ending for a system that ends while others go on. It does not wait
// for what is under way, and may be called from any goroutine.
func Dying(sys *actor.ActorSystem) { sys.Extensions.Get(auditID).(*audit).ending.Store(true) }

// failed notes a panic, and fails the test when there are more than it declared.
func (a *audit) failed(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.panics = append(a.panics, text)
	if len(a.panics) > a.failures {
		a.t.Errorf("testkit: actor failed: %s", text)
	}
}

// Stop stops roots, and fails the test if any other actor is still alive, or if
// fewer actors failed than it declared. It leaves the bubble ready to end.
func Stop(t testing.TB, sys *actor.ActorSystem, roots ...*actor.PID) {
	t.Helper()
	a := sys.Extensions.Get(auditID).(*audit)
	Ending(sys)
	a.end(t, sys, roots)
	a.pass(afterlife)
	if a.driver != nil {
		a.driver.drop()
	}
}

// End is Stop for one of several systems: the others go on, and no time passes.
// What was under way stays so.
func End(t testing.TB, sys *actor.ActorSystem, roots ...*actor.PID) {
	t.Helper()
	Dying(sys)
	sys.Extensions.Get(auditID).(*audit).end(t, sys, roots)
}

// Rest leaves the bubble ready to end, when all systems of d have ended.
func Rest(d *Driver) {
	pace{d}.pass(afterlife)
	d.drop()
}

// end stops roots and looks at what is left.
func (a *audit) end(t testing.TB, sys *actor.ActorSystem, roots []*actor.PID) {
	t.Helper()
	for _, pid := range roots {
		sys.Root.Stop(pid)
	}
	a.settle()
	for _, id := range alive(sys) {
		t.Errorf("testkit: leaked actor %s", id)
	}
	if !sys.IsStopped() {
		sys.Shutdown()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopped = true
	if len(a.panics) < a.failures {
		t.Errorf("testkit: %d actors failed, the test declared %d", len(a.panics), a.failures)
	}
}

// alive lists the actors and futures of a system.
func alive(sys *actor.ActorSystem) []string {
	var ids []string
	for _, shard := range sys.ProcessRegistry.LocalPIDs.LocalPIDs {
		for _, id := range shard.Keys() {
			if id != "eventstream" && id != "deadletter" {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// auditLog passes records on, and notes those that tell of a panic.
type auditLog struct {
	slog.Handler
	audit *audit
}

// panicMessage starts the messages that actors/tree logs when it recovers.
const panicMessage = "actor panicked"

// Handle implements slog.Handler.
func (l auditLog) Handle(ctx context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, panicMessage) {
		var text []string
		r.Attrs(func(a slog.Attr) bool {
			text = append(text, fmt.Sprintf("%s=%v", a.Key, a.Value))
			return true
		})
		l.audit.failed(strings.Join(text, " "))
		return nil // the stack is in the failure; a declared one would only clutter the log
	}
	return l.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler. What the actor library itself logs is left
// out: its notes on dead letters and failures repeat ours.
func (l auditLog) WithAttrs(as []slog.Attr) slog.Handler {
	if len(as) > 0 && as[0].Key == "lib" {
		return auditLog{slog.DiscardHandler, l.audit}
	}
	return auditLog{l.Handler.WithAttrs(as), l.audit}
}

// WithGroup implements slog.Handler.
func (l auditLog) WithGroup(name string) slog.Handler {
	return auditLog{l.Handler.WithGroup(name), l.audit}
}

// testWriter writes log lines to a test.
type testWriter struct{ t testing.TB }

// Write implements io.Writer.
func (w testWriter) Write(b []byte) (int, error) {
	w.t.Logf("%s", b)
	return len(b), nil
}
