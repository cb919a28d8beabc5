package tree

import (
	"log/slog"
	"runtime/debug"

	"github.com/asynkron/protoactor-go/actor"
)

// Policy says what happens to a child that panicked.
type Policy int

const (
	// Stop ends the child: sockets and conversations, which cannot be resumed.
	Stop Policy = iota
	// Restart makes the child anew, with back-off; too often is escalated.
	Restart
	// Fatal is Restart for the topmost supervisor: escalation ends the process
	// through Options.Fatal.
	Fatal
)

// DefaultLimit is how many bytes of Load a mailbox holds unless its Spec says
// otherwise.
const DefaultLimit = 64 << 20

// Spec says how an actor is made.
type Spec struct {
	New      func() actor.Actor // called again at each restart
	Limit    int64              // bytes of messages.Load queued; 0: DefaultLimit
	Refused  func(msg any)      // gets each message over Limit, on the sender's goroutine; nil: counted and logged
	Batch    bool               // hand over consecutive Loads as one *Batch
	Gauge    *Gauge             // follows the queue; nil: nobody asks
	Children Policy             // for the actors it spawns
}

// Spawn starts an actor below ctx. An empty name is made up by the system; a
// given one must be free among its siblings: taking it twice is a bug and panics.
func Spawn(ctx actor.SpawnerContext, name string, s Spec) *actor.PID {
	sys := ctx.ActorSystem()
	w := of(sys)
	if name == "" {
		name = sys.ProcessRegistry.NextID()
	}
	id := name
	if self := ctx.Self(); self != nil {
		id = self.Id + "/" + name
	}
	limit := s.Limit
	if limit == 0 {
		limit = DefaultLimit
	}
	refused := s.Refused
	if refused == nil {
		refused = func(any) { w.metrics.Drop(MailboxFull, 1) }
	}
	props := actor.PropsFromProducer(
		func() actor.Actor { return &guarded{s.New(), w.log} },
		actor.WithMailbox(func() actor.Mailbox { return newMailbox(id, w.log, limit, refused, s.Batch, s.Gauge) }),
		actor.WithDispatcher(w.driver.Dispatcher(id)),
		actor.WithSupervisor(strategies(w, s.Children)),
	)
	pid, err := ctx.SpawnNamed(props, name)
	if err != nil {
		panic("tree: spawn " + id + ": " + err.Error())
	}
	return pid
}

// guarded keeps a panic in the last words of an actor from leaving its parent
// unstoppable for ever: the library skips the rest of the stop after one.
type guarded struct {
	actor.Actor
	log *slog.Logger
}

func (g *guarded) Receive(ctx actor.Context) {
	switch ctx.Message().(type) {
	case *actor.Stopped:
		// The parent's set of children keeps the PID, and by it this, until the
		// place is needed again.
		defer func() { g.Actor = nil }()
	}
	switch ctx.Message().(type) {
	case *actor.Stopping, *actor.Stopped, *actor.Restarting:
		defer func() {
			if r := recover(); r != nil {
				of(ctx.ActorSystem()).metrics.Panicked()
				g.log.Error("actor panicked while stopping", slog.String("actor", ctx.Self().GetId()),
					slog.Any("reason", r), slog.String("stack", string(debug.Stack())))
			}
		}()
	}
	g.Actor.Receive(ctx)
}
