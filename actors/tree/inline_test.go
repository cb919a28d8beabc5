package tree_test

import (
	"sync"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
)

// On a Pool an Inline actor has handled a message when Send returns, if it was
// idle; two that answer each other take turns instead of nesting.
func TestInlineRunsOnTheSendersGoroutine(t *testing.T) {
	pool := tree.NewPool()
	defer pool.Close()
	sys := tree.New(tree.Options{Driver: pool})
	const rounds = 2000 // more than one turn of a dispatcher
	var (
		ping, pong *actor.PID
		handled    int
		done       = make(chan struct{})
	)
	hit := func(other **actor.PID) tree.Spec {
		return tree.Spec{Inline: true, New: func() actor.Actor {
			return actor.ReceiveFunc(func(ctx actor.Context) {
				if n, ok := ctx.Message().(int); ok && n > 0 {
					handled++
					ctx.Send(*other, n-1)
				} else if ok {
					close(done)
				}
			})
		}}
	}
	ping = tree.Spawn(sys.Root, "ping", hit(&pong))
	pong = tree.Spawn(sys.Root, "pong", hit(&ping))
	sys.Root.Send(ping, 1)
	<-done
	if handled != 1 {
		t.Fatalf("handled %d of 1", handled)
	}
	done = make(chan struct{})
	sys.Root.Send(ping, rounds)
	<-done
	if handled != 1+rounds {
		t.Fatalf("handled %d of %d", handled, 1+rounds)
	}
	for _, pid := range []*actor.PID{ping, pong} {
		if err := sys.Root.StopFuture(pid).Wait(); err != nil {
			t.Fatal(err)
		}
	}
}

// Under any other Driver, and with many senders, Inline changes nothing: every
// message is handled once, one at a time.
func TestInlineWithManySenders(t *testing.T) {
	pool := tree.NewPool()
	defer pool.Close()
	sys := tree.New(tree.Options{Driver: pool})
	const senders, each = 8, 5000
	got, all := 0, make(chan struct{})
	pid := tree.Spawn(sys.Root, "sum", tree.Spec{Inline: true, New: func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			if _, ok := ctx.Message().(int); ok {
				if got++; got == senders*each {
					close(all)
				}
			}
		})
	}})
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for range each {
				sys.Root.Send(pid, 1)
			}
		})
	}
	wg.Wait()
	<-all
	if err := sys.Root.StopFuture(pid).Wait(); err != nil {
		t.Fatal(err)
	}
}
