package tree

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"
)

// TestPoolRunsEverythingOnce has many more things at once than goroutines that
// may wait for the next, and things that are scheduled by others.
func TestPoolRunsEverythingOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool()
		var ran atomic.Int64
		gate := make(chan struct{})
		for range 3 * poolParked {
			p.Schedule(func() {
				<-gate
				p.Schedule(func() { ran.Add(1) })
				ran.Add(1)
			})
		}
		synctest.Wait()
		if n := ran.Load(); n != 0 {
			t.Errorf("%d ran before the gate was open", n)
		}
		close(gate)
		synctest.Wait()
		if n := ran.Load(); n != 6*poolParked {
			t.Errorf("%d ran, want %d", n, 6*poolParked)
		}
		if n := len(p.slot); n == 0 || n > poolParked {
			t.Errorf("%d goroutines wait, at most %d may", n, poolParked)
		}
		p.Close()
		p.Close()
		synctest.Wait()
		for range 2 * poolParked { // it goes on without reuse
			p.Schedule(func() { ran.Add(1) })
		}
		synctest.Wait()
		if n := ran.Load(); n != 8*poolParked {
			t.Errorf("%d ran in the end, want %d", n, 8*poolParked)
		}
	})
}

// TestPoolReuses runs one thing after the other: one goroutine is enough.
func TestPoolReuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool()
		for range 1000 {
			p.Schedule(func() {})
			synctest.Wait()
		}
		if n := len(p.slot); n != 1 {
			t.Errorf("%d goroutines wait", n)
		}
		p.Close()
	})
}

// ring passes a number on until it is 0.
type ring struct{ done *sync.WaitGroup }

func (r ring) Receive(ctx actor.Context) {
	if m, ok := ctx.Message().(passed); ok {
		if m.left == 0 {
			r.done.Done()
			return
		}
		m.left--
		ctx.Send(m.to[m.left%len(m.to)], m)
	}
}

type passed struct {
	left int
	to   []*actor.PID
}

// TestPoolUnderActors is what runs in production.
func TestPoolUnderActors(t *testing.T) {
	p := NewPool()
	defer p.Close()
	sys := New(Options{Log: slog.New(slog.DiscardHandler), Driver: p})
	var done sync.WaitGroup
	pids := make([]*actor.PID, 100)
	for i := range pids {
		pids[i] = Spawn(sys.Root, "", Spec{New: func() actor.Actor { return ring{&done} }})
	}
	for _, pid := range pids {
		done.Add(1)
		sys.Root.Send(pid, passed{1000, pids})
	}
	done.Wait()
	for _, pid := range pids {
		if err := sys.Root.StopFuture(pid).Wait(); err != nil {
			t.Error(err)
		}
	}
	sys.Shutdown()
}
