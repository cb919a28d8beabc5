package tree

import (
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

const (
	senders   = 8
	perSender = 3000 // of each sender
	badEvery  = 500  // messages between two that make the actor panic
)

// stressed is a message of one of many senders.
type stressed struct{ sender, number, size int }

func (s *stressed) Bytes() int { return s.size }

// crew is the invoker of a mailbox under stress.
type crew struct {
	t       *testing.T
	box     *mailbox
	inside  atomic.Bool // a handler runs
	last    [senders]int
	handled int
	failed  int
	asked   any           // what the panic under way must be reported with
	done    chan struct{} // closed when everything was handled
}

func (c *crew) enter() func() {
	if !c.inside.CompareAndSwap(false, true) {
		c.t.Error("two handlers at once")
	}
	return func() { c.inside.Store(false) }
}

// InvokeSystemMessage implements actor.MessageInvoker.
func (c *crew) InvokeSystemMessage(any) { defer c.enter()() }

// InvokeUserMessage implements actor.MessageInvoker.
func (c *crew) InvokeUserMessage(msg any) {
	defer c.enter()()
	var all []any
	if b, ok := msg.(*Batch); ok {
		for _, l := range b.Messages {
			all = append(all, l)
		}
	} else {
		all = []any{unwrap(msg)}
	}
	bad := false
	for _, m := range all {
		s := m.(*stressed)
		if s.number != c.last[s.sender]+1 {
			c.t.Errorf("sender %d: %d after %d", s.sender, s.number, c.last[s.sender])
		}
		c.last[s.sender] = s.number
		bad = bad || s.number%badEvery == 0
		if c.handled++; c.handled == senders*perSender {
			close(c.done)
		}
	}
	if bad {
		c.asked = msg
		panic("bad")
	}
}

// EscalateFailure implements actor.MessageInvoker. The supervisor resumes from
// another goroutine.
func (c *crew) EscalateFailure(_, msg any) {
	if msg != c.asked {
		c.t.Errorf("reported %v, want %v", msg, c.asked)
	}
	c.failed++
	c.box.PostSystemMessage(&actor.SuspendMailbox{})
	go c.box.PostSystemMessage(&actor.ResumeMailbox{})
}

// TestStress has many senders, system messages, suspensions and panics at once.
// Per sender, all arrives in order and once.
func TestStress(t *testing.T) {
	for _, batched := range []bool{false, true} {
		gauge := &Gauge{}
		refuse := func(msg any) { t.Errorf("refused %v", msg) }
		s := Spec{Batch: batched, Limit: 1 << 40, Refused: refuse}
		box := newMailbox("a", s.mailboxes(&world{log: slog.New(slog.DiscardHandler)}), gauge)
		c := &crew{t: t, box: box, done: make(chan struct{})}
		box.RegisterHandlers(c, goDispatcher{})
		var wg sync.WaitGroup
		for i := range senders {
			wg.Go(func() {
				for n := 1; n <= perSender; n++ {
					var msg any = &stressed{i, n, n % 3} // also messages without weight
					if n%5 == 0 {
						msg = &actor.MessageEnvelope{Message: msg}
					}
					box.PostUserMessage(msg)
					if n%50 == 0 {
						box.PostSystemMessage(&actor.Watch{})
					}
				}
			})
		}
		wg.Go(func() {
			for range 200 {
				box.PostSystemMessage(&actor.SuspendMailbox{})
				box.PostSystemMessage(&actor.ResumeMailbox{})
			}
		})
		wg.Wait()
		<-c.done
		for box.status.Load() != idle || gauge.Bytes() != 0 { // the last handler is on its way out
			runtime.Gosched()
		}
		if c.failed == 0 {
			t.Error("no panic came through")
		}
	}
}
