package pipe

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/enclavepb"
)

// askedMost is how many lines are read that are not answered.
const askedMost = 64

// ends are both pipes, with what reads and writes them. They outlive a failure of
// the actor.
type ends struct {
	folder *folder // fixed, as all of this block
	out    *outlet
	in     *inlet
	log    *slog.Logger
	tokens chan struct{} // one for each line that is not answered

	frontends *actor.PID // fixed

	stop context.CancelFunc // owned by the actor; nil: not begun

	mu       sync.Mutex
	troubles map[string]string // by pipe; what was logged
}

func newEnds(sys *actor.ActorSystem, p *Pipes, frontends *actor.PID) *ends {
	f := p.folder
	e := &ends{folder: f, log: tree.Log(sys), tokens: make(chan struct{}, askedMost), troubles: map[string]string{}}
	metrics := tree.Of(sys)
	e.frontends = frontends
	e.out = newOutlet(f, p.told, e.trouble, func(n uint64) []byte {
		metrics.Drop(tree.LossyDropped, int(n))
		return droppedLine(n)
	})
	e.out.failed = func(reason any) {
		metrics.Panicked()
		e.log.Error("actor panicked in its writer", slog.String("pipe", f.at(nameOut)), slog.Any("reason", reason), slog.String("stack", string(debug.Stack())))
	}
	p.told.trouble = func(reason error) {
		if reason == nil {
			e.log.Info("what readers of the named pipe were told can be noted again")
			return
		}
		e.log.Warn("what readers of the named pipe were told cannot be noted, and may be told again after a restart", slog.Any("reason", reason))
	}
	e.in = &inlet{folder: f, trouble: e.trouble}
	return e
}

// begin has lines read for the actor self, and written. false: they are, and
// the actor has forgotten which of them wait for an answer.
func (e *ends) begin(sys *actor.ActorSystem, self *actor.PID) bool {
	if e.stop != nil {
		e.answered(askedMost)
		return false
	}
	ctx, stop := context.WithCancel(context.Background())
	e.stop = stop
	e.in.hand = func(line []byte) {
		select {
		case e.tokens <- struct{}{}:
			sys.Root.Send(self, &spoken{line})
		case <-ctx.Done():
		}
	}
	e.out.shown = func(batch uint64) {
		sys.Root.RequestWithCustomSender(e.frontends, &enclavepb.Shown{Number: batch}, self)
	}
	var both sync.WaitGroup
	both.Go(func() { e.in.run(ctx) })
	both.Go(func() { e.out.run(ctx) })
	go func() {
		both.Wait()
		e.out.told.close()
		e.folder.close()
	}()
	return true
}

// end stops reading and writing.
func (e *ends) end() {
	if e.stop != nil {
		e.stop()
	}
}

// answered lets n more lines be read.
func (e *ends) answered(n int) {
	for range n {
		select {
		case <-e.tokens:
		default:
			return
		}
	}
}

// tell writes lines, and returns them emptied, to be used again.
func (e *ends) tell(lines [][]byte) [][]byte {
	for _, l := range lines {
		e.out.put(l)
	}
	clear(lines)
	return lines[:0]
}

// trouble logs why a pipe cannot be used, once, and when it can again.
func (e *ends) trouble(name string, reason error) {
	text := ""
	if reason != nil {
		text = reason.Error()
	}
	e.mu.Lock()
	before := e.troubles[name]
	e.troubles[name] = text
	e.mu.Unlock()
	switch {
	case text == before:
	case text == "":
		e.log.Info("a named pipe can be used again", slog.String("pipe", e.folder.at(name)))
	default:
		e.log.Warn("a named pipe cannot be used", slog.String("pipe", e.folder.at(name)), slog.String("reason", text))
	}
}
