package tree_test

import (
	"fmt"
	"log/slog"
	"runtime"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
)

// silent is a system for benchmarks, with the runtime's own driver.
func silent(b *testing.B) *actor.ActorSystem {
	b.Helper()
	sys := tree.New(tree.Options{Log: slog.New(slog.DiscardHandler)})
	b.Cleanup(sys.Shutdown)
	return sys
}

// counter closes done at its last message.
type counter struct {
	left int
	done chan struct{}
}

type ping struct{}

func (c *counter) Receive(ctx actor.Context) {
	if _, ok := ctx.Message().(*ping); !ok {
		return
	}
	if c.left--; c.left == 0 {
		close(c.done)
	}
}

// BenchmarkTell is one message to an actor, sent and handled.
func BenchmarkTell(b *testing.B) {
	sys := silent(b)
	c := &counter{b.N, make(chan struct{})}
	pid := tree.Spawn(sys.Root, "a", tree.Spec{New: func() actor.Actor { return c }})
	msg := &ping{}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		sys.Root.Send(pid, msg)
	}
	<-c.done
	b.StopTimer()
	stop(b, sys, pid)
}

// BenchmarkTellMany is one message to each of 1,000 actors.
func BenchmarkTellMany(b *testing.B) {
	const actors = 1000
	sys := silent(b)
	pids := make([]*actor.PID, actors)
	counters := make([]*counter, actors)
	each := b.N/actors + 1
	for i := range pids {
		c := &counter{each, make(chan struct{})}
		counters[i] = c
		pids[i] = tree.Spawn(sys.Root, "", tree.Spec{New: func() actor.Actor { return c }})
	}
	msg := &ping{}
	b.ReportAllocs()
	b.ResetTimer()
	for range each {
		for _, pid := range pids {
			sys.Root.Send(pid, msg)
		}
	}
	for _, c := range counters {
		<-c.done
	}
	b.StopTimer()
	stop(b, sys, pids...)
}

func stop(b *testing.B, sys *actor.ActorSystem, pids ...*actor.PID) {
	for _, pid := range pids {
		if err := sys.Root.StopFuture(pid).Wait(); err != nil {
			b.Error(err)
		}
	}
}

// parent spawns what it is told to.
type parent struct{}

func (parent) Receive(ctx actor.Context) {
	if f, ok := ctx.Message().(func(actor.Context)); ok {
		f(ctx)
	}
}

// idleActor is as small as an actor can be.
type idleActor struct{ _ byte }

func (*idleActor) Receive(actor.Context) {}

// BenchmarkSpawn starts idle actors below one parent, from a Spec each and from
// a Mold, and reports what one of them holds.
func BenchmarkSpawn(b *testing.B) {
	for _, molded := range []bool{false, true} {
		b.Run(fmt.Sprintf("mold=%v", molded), func(b *testing.B) {
			sys := silent(b)
			p := tree.Spawn(sys.Root, "parent", tree.Spec{New: func() actor.Actor { return parent{} }})
			mold := tree.NewMold(sys, tree.Spec{})
			done := make(chan struct{})
			before := heap()
			b.ReportAllocs()
			b.ResetTimer()
			sys.Root.Send(p, func(ctx actor.Context) {
				for range b.N {
					if molded {
						mold.Spawn(ctx, &idleActor{})
					} else {
						tree.Spawn(ctx, "", tree.Spec{New: func() actor.Actor { return &idleActor{} }})
					}
				}
				close(done)
			})
			<-done
			b.StopTimer()
			b.ReportMetric(float64(heap()-before)/float64(b.N), "B/actor")
			stop(b, sys, p)
		})
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
