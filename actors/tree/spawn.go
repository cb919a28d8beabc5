package tree

import (
	"log/slog"
	"runtime/debug"

	"github.com/asynkron/protoactor-go/actor"

	"parley/messages/faultpb"
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
	Inline   bool               // may run on the goroutine of who wakes it: short handlers that are the next step of a chain
	Gauge    *Gauge             // follows the queue; nil: nobody asks
	Asked    bool               // a request whose handler panics is answered with faultpb.Failed
	Children Policy             // for the actors it spawns
}

// Spawn starts an actor below ctx. An empty name is made up by the system; a
// given one must be free among its siblings: taking it twice is a bug and panics.
// What an actor spawns while it is being stopped is stopped at once.
func Spawn(ctx actor.SpawnerContext, name string, s Spec) *actor.PID {
	w := of(ctx.ActorSystem())
	name, id := naming(ctx, name)
	kind := s.mailboxes(w)
	return spawn(ctx, name, actor.PropsFromProducer(
		func() actor.Actor { return &guarded{Actor: s.New(), asked: s.Asked} },
		actor.WithMailbox(func() actor.Mailbox { return newMailbox(id, kind, s.Gauge) }),
		actor.WithDispatcher(w.driver.Dispatcher(id)),
		actor.WithSupervisor(strategies(w, s.Children)),
	))
}

func naming(ctx actor.SpawnerContext, name string) (last, id string) {
	if name == "" {
		name = ctx.ActorSystem().ProcessRegistry.NextID()
	}
	if self := ctx.Self(); self != nil {
		return name, self.Id + "/" + name
	}
	return name, name
}

func spawn(ctx actor.SpawnerContext, name string, props *actor.Props) *actor.PID {
	pid, err := ctx.SpawnNamed(props, name)
	if err != nil {
		panic("tree: spawn " + name + ": " + err.Error())
	}
	// A parent that is being stopped still gets messages while it waits for its
	// children, and has told those there were to stop: it would wait for ever.
	if c, ok := ctx.(actor.Context); ok {
		if g, ok := c.Actor().(*guarded); ok && g.ending {
			c.Stop(pid)
		}
	}
	return pid
}

func (s *Spec) mailboxes(w *world) *mailboxKind {
	k := &mailboxKind{log: w.log, limit: s.Limit, refused: s.Refused, batched: s.Batch, inline: s.Inline && w.inline, keep: keepQueue}
	if k.limit == 0 {
		k.limit = DefaultLimit
	}
	if k.refused == nil {
		k.refused = func(any) { w.metrics.Drop(MailboxFull, 1) }
	}
	if k.batched {
		k.keep = keepBatched
	}
	return k
}

// Mold spawns many actors of one kind below one parent, which share all that
// actors can share: one for each of ten thousand connections. They cannot be
// restarted, so the parent's policy must be Stop. A Mold belongs to its parent.
type Mold struct {
	w     *world
	props *actor.Props
	next  actor.Actor // of the spawn under way
	id    string      // of the spawn under way
}

// NewMold makes a Mold; of s, New and Gauge are not used.
func NewMold(sys *actor.ActorSystem, s Spec) *Mold {
	m := &Mold{w: of(sys)}
	kind := s.mailboxes(m.w)
	kind.keep = 0
	m.props = actor.PropsFromProducer(
		func() actor.Actor { return &guarded{Actor: m.next} },
		actor.WithMailbox(func() actor.Mailbox {
			b := newMailbox(m.id, kind, nil)
			b.disp = m.w.driver.Dispatcher(m.id) // its own, where the driver tells them apart
			return b
		}),
		actor.WithSupervisor(strategies(m.w, s.Children)),
	)
	return m
}

// Spawn starts a below ctx, the parent that the Mold belongs to.
func (m *Mold) Spawn(ctx actor.Context, a actor.Actor) *actor.PID {
	var name string
	name, m.id = naming(ctx, "")
	m.next = a
	pid := spawn(ctx, name, m.props)
	m.next = nil
	return pid
}

// guarded keeps a panic on an actor's way out from leaving its parent
// unstoppable for ever: the library skips the rest of the stop after one, in
// whatever message it came. That message is lost, and nothing else.
type guarded struct {
	actor.Actor
	asked  bool // who asked is told of a panic
	ending bool // it is being stopped or restarted
}

func (g *guarded) Receive(ctx actor.Context) {
	switch ctx.Message().(type) {
	case *actor.Stopping, *actor.Restarting:
		g.ending = true
	case *actor.Stopped:
		// The parent's set of children keeps the PID, and by it this, until the
		// place is needed again.
		defer func() { g.Actor = nil }()
	}
	if g.ending {
		defer survive(ctx)
	}
	if g.asked && ctx.Sender() != nil {
		over := false
		defer func() {
			if !over { // the panic goes on to the supervisor
				ctx.Send(ctx.Sender(), &faultpb.Failed{Actor: ctx.Self().GetId()})
			}
		}()
		g.Actor.Receive(ctx)
		over = true
		return
	}
	g.Actor.Receive(ctx)
}

// survive ends a panic. It must be deferred itself.
func survive(ctx actor.Context) {
	if r := recover(); r != nil {
		w := of(ctx.ActorSystem())
		w.metrics.Panicked()
		w.log.Error("actor panicked while stopping", slog.String("actor", ctx.Self().GetId()),
			slog.Any("reason", r), slog.String("stack", string(debug.Stack())))
	}
}
