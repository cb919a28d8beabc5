package node

import (
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/uipb"
)

const (
	// closeMost is how long the gateway for user interfaces may take to stop
	// accepting. The whole goodbye has 250 ms. Source: gateways/uiv2/PROTOCOL.md,
	// shutdown.
	closeMost = 100 * time.Millisecond
	// answerMost is how long an answer may take to reach its link.
	answerMost = 100 * time.Millisecond
)

// Ending is how a node ends, step by step.
type Ending struct {
	// Close stops accepting user interfaces; open connections stay. It may take
	// its time: it runs off the actors.
	Close func()
	// End ends the process in order, from now on by itself. It returns at once,
	// and is called once.
	End func()
}

// shutdown ends the node for a user interface: that must find the door closed
// when it has its answer, and must have its answer before its connection is
// closed. Who asks meanwhile is answered, too. Source:
// gateways/uiv2/PROTOCOL.md, shutdown.
//
//	parent    node
//	receives  uipb.Ask, uipb.Answered, doorClosed, answersLate
//	sends     uipb.Done to askers
//	stops     with the node
type shutdown struct {
	e Ending // fixed at spawn

	phase   phase        // owned, as all that follows
	askers  []*actor.PID // while closing: they wait for doorClosed
	missing int          // while answering: answers that are not yet with their links
	timer   *tree.Timer
}

type phase int

const (
	serving   phase = iota // nobody asked yet
	closing                // the door is being closed
	answering              // it is, and answers are on their way
	ended                  // End was called
)

type (
	// doorClosed says that no user interface is accepted any more.
	doorClosed struct {
		late bool // or that it takes too long to find out
	}
	// answersLate says that answerMost is over.
	answersLate struct{}
)

// IgnoreDeadLetterLogging marks messages that may find shutdown stopped.
func (doorClosed) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find shutdown stopped.
func (answersLate) IgnoreDeadLetterLogging() {}

// SpawnShutdown starts the actor that answers shutdown.
func SpawnShutdown(ctx actor.SpawnerContext, e Ending) *actor.PID {
	s := &shutdown{e: e}
	// How far it came outlives a restart: the process ends once.
	return tree.Spawn(ctx, "shutdown", tree.Spec{Asked: true, New: func() actor.Actor { return s }})
}

func (s *shutdown) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Stopping:
		s.timer.Stop()
	case *uipb.Ask:
		s.onAsk(ctx, m)
	case doorClosed:
		s.onDoorClosed(ctx, m)
	case *uipb.Answered:
		s.onAnswered()
	case answersLate:
		s.end()
	}
}

func (s *shutdown) onAsk(ctx actor.Context, m *uipb.Ask) {
	if opcode := m.GetRequest().GetOpcode(); opcode != "shutdown" {
		refuse(ctx, opcode)
		return
	}
	switch s.phase {
	case serving:
		tree.Log(ctx.ActorSystem()).Info("a user interface shuts this node down", slog.Uint64("uid", uint64(m.GetAsker().GetUid())))
		s.phase = closing
		s.close(ctx)
		s.askers = append(s.askers, ctx.Sender())
	case closing:
		s.askers = append(s.askers, ctx.Sender())
	case answering:
		s.missing++
		ctx.Respond(&uipb.Done{})
	case ended:
		ctx.Respond(&uipb.Done{})
	}
}

func (s *shutdown) close(ctx actor.Context) {
	s.timer = tree.After(ctx, closeMost, doorClosed{late: true})
	sys, self, door := ctx.ActorSystem(), ctx.Self(), s.e.Close
	tree.Go(sys, func() {
		door()
		sys.Root.Send(self, doorClosed{})
	})
}

func (s *shutdown) onDoorClosed(ctx actor.Context, m doorClosed) {
	if s.phase != closing {
		return
	}
	if m.late {
		tree.Log(ctx.ActorSystem()).Warn("the listener for user interfaces is slow to close", slog.Duration("waited", closeMost))
	}
	s.timer.Stop()
	s.phase = answering
	s.timer = tree.After(ctx, answerMost, answersLate{})
	askers := s.askers
	s.askers, s.missing = nil, len(askers)
	for _, a := range askers {
		ctx.Send(a, &uipb.Done{})
	}
}

// onAnswered ends the node when all who asked have their answers.
func (s *shutdown) onAnswered() {
	if s.missing--; s.missing == 0 {
		s.end()
	}
}

func (s *shutdown) end() {
	if s.phase != answering {
		return
	}
	s.phase = ended
	s.timer.Stop()
	s.e.End()
}
