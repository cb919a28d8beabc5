package tree

import (
	"context"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/extensions"
	cmap "github.com/orcaman/concurrent-map"
)

// The library keeps 1,024 × 32 locked maps a system for its names; one shard
// each is 0.12 MB instead of 3.0, at the same speed. Must precede every system.
func init() { cmap.SHARD_COUNT = 1 }

// A Driver decides when things run. The zero Options use the real one; testkit
// brings one that runs everything in an order drawn from a seed.
type Driver interface {
	// Dispatcher returns what runs the mailbox of the actor with this id.
	Dispatcher(id string) actor.Dispatcher
	// After runs f once, d from now. stop reports whether it came in time.
	After(d time.Duration, f func()) (stop func() bool)
	// Go runs f off the actors: slow work that ends with a message.
	Go(f func())
}

// Options configure New.
type Options struct {
	Log    *slog.Logger     // nil: slog.Default()
	Driver Driver           // nil: goroutines and the runtime's timers
	Fatal  func(reason any) // a supervisor gave up; nil: logged only
}

// world is what hangs on an actor system for this package.
type world struct {
	driver  Driver
	log     *slog.Logger
	fatal   func(any)
	metrics *Metrics
	inline  bool // the driver lets actors run on the goroutine that wakes them
}

var worldID = extensions.NextExtensionID()

// ExtensionID implements extensions.Extension.
func (*world) ExtensionID() extensions.ExtensionID { return worldID }

func of(sys *actor.ActorSystem) *world { return sys.Extensions.Get(worldID).(*world) }

// New makes an actor system that Spawn and After can be used with.
func New(o Options) *actor.ActorSystem {
	w := &world{driver: o.Driver, log: o.Log, fatal: o.Fatal}
	if w.log == nil {
		w.log = slog.Default()
	}
	w.metrics = newMetrics(w.log)
	_, w.inline = w.driver.(*Pool)
	if w.driver == nil {
		w.driver = runtimeDriver{}
	}
	if w.fatal == nil {
		w.fatal = func(any) {}
	}
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(warnings{w.log.Handler()}).With(slog.String("lib", "protoactor"))
	}))
	sys.Extensions.Register(w)
	return sys
}

// warnings passes on what is at least one: at lower levels the library writes
// of its own doings, dead letters at a stop among them.
type warnings struct{ slog.Handler }

func (h warnings) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && h.Handler.Enabled(ctx, l)
}

func (h warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return warnings{h.Handler.WithAttrs(attrs)}
}

func (h warnings) WithGroup(name string) slog.Handler { return warnings{h.Handler.WithGroup(name)} }

// throughput is how many messages an actor handles before it lets others run.
const throughput = 300

// goDispatcher runs each wake-up on a goroutine of its own.
type goDispatcher struct{}

func (goDispatcher) Schedule(fn func()) { go fn() }
func (goDispatcher) Throughput() int    { return throughput }

// runtimeDriver is the real Driver.
type runtimeDriver struct{}

func (runtimeDriver) Dispatcher(string) actor.Dispatcher { return goDispatcher{} }
func (runtimeDriver) After(d time.Duration, f func()) func() bool {
	return time.AfterFunc(d, f).Stop
}
func (runtimeDriver) Go(f func()) { go f() }

// Timer is one pending message, see After.
type Timer struct{ stop func() bool }

// Stop cancels the message unless it is already on its way. A nil Timer is
// stopped.
func (t *Timer) Stop() {
	if t != nil {
		t.stop()
	}
}

// After sends msg to the calling actor, d from now. The actor may be gone by
// then, so msg should implement actor.IgnoreDeadLetterLogging; an actor that is
// restarted must be able to tell an old timer's message, by a generation number.
func After(ctx actor.Context, d time.Duration, msg any) *Timer {
	root, self := ctx.ActorSystem().Root, ctx.Self()
	return &Timer{of(ctx.ActorSystem()).driver.After(d, func() { root.Send(self, msg) })}
}

// Go runs f off the actors. f must end with a message to somebody.
func Go(sys *actor.ActorSystem, f func()) { of(sys).driver.Go(f) }

// Log returns the system's logger.
func Log(sys *actor.ActorSystem) *slog.Logger { return of(sys).log }
