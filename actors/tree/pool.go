package tree

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// poolParked is how many goroutines a Pool keeps waiting for work.
const poolParked = 256

// Pool is a Driver that runs mailboxes on goroutines that are used again. A
// fresh goroutine starts with 2 KiB of stack and copies it once or twice before
// a handler is done; that was a sixth of the cost of a connection (measured).
type Pool struct {
	runtimeDriver
	work chan func()
	slot chan struct{} // one for each goroutine that may be parked

	closing sync.Once
	done    chan struct{}
}

// NewPool starts with no goroutine and keeps what was needed at once, at most
// poolParked. Close it when its systems have stopped.
func NewPool() *Pool {
	return &Pool{work: make(chan func()), slot: make(chan struct{}, poolParked), done: make(chan struct{})}
}

// Close lets the waiting goroutines go. The Pool goes on without reuse.
func (p *Pool) Close() { p.closing.Do(func() { close(p.done) }) }

// Dispatcher implements Driver.
func (p *Pool) Dispatcher(string) actor.Dispatcher { return p }

// Throughput implements actor.Dispatcher.
func (p *Pool) Throughput() int { return throughput }

// Schedule implements actor.Dispatcher.
func (p *Pool) Schedule(fn func()) {
	select {
	case p.work <- fn:
	default:
		go p.run(fn)
	}
}

func (p *Pool) run(fn func()) {
	for {
		fn()
		select {
		case p.slot <- struct{}{}:
		default:
			return // enough are waiting
		}
		select {
		case fn = <-p.work:
			<-p.slot
		case <-p.done:
			return
		}
	}
}

var _ Driver = (*Pool)(nil)
