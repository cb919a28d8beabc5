package testkit_test

import (
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/testkit"
)

const (
	crowd  = 24 // actors of the determinism test
	tokens = 10 // passed around at first
	hops   = 60 // of each token
)

// token is passed on until it has no hops left.
type token struct{ hops int }

// passer passes tokens to pseudo-random others: at once, by a timer, or after
// slow work.
type passer struct {
	number  int
	rng     *rand.Rand
	others  []*actor.PID
	history io.Writer
	start   time.Time
}

func (p *passer) Receive(ctx actor.Context) {
	m, ok := ctx.Message().(token)
	if !ok {
		return
	}
	fmt.Fprintf(p.history, "%d<-%d@%d;", p.number, m.hops, time.Since(p.start).Microseconds())
	if m.hops == 0 {
		return
	}
	to := p.others[p.rng.IntN(len(p.others))]
	next := token{m.hops - 1}
	switch {
	case m.hops%7 == 0: // many timers of the same instant
		forward := tree.Spawn(ctx, "", tree.Spec{New: func() actor.Actor { return &forwarder{to, next} }})
		_ = forward
	case m.hops%5 == 0:
		root := ctx.ActorSystem().Root
		tree.Go(ctx.ActorSystem(), func() { root.Send(to, next) })
	default:
		ctx.Send(to, next)
	}
}

// forwarder sends one token after a while and stops.
type forwarder struct {
	to   *actor.PID
	what token
}

type forward struct{}

func (f *forwarder) Receive(ctx actor.Context) {
	switch ctx.Message().(type) {
	case *actor.Started:
		tree.After(ctx, time.Duration(f.what.hops%3)*time.Millisecond, forward{})
	case forward:
		ctx.Send(f.to, f.what)
		ctx.Stop(ctx.Self())
	}
}

// history runs the crowd under a seed and returns all that happened, in order.
func history(t *testing.T, seed uint64) string {
	h := fnv.New64a()
	events := 0
	synctest.Test(t, func(t *testing.T) {
		d := testkit.NewDriver(seed)
		sys := testkit.System(t, testkit.Under(d))
		pids := make([]*actor.PID, crowd)
		start := time.Now()
		for i := range pids {
			p := &passer{i, rand.New(rand.NewPCG(uint64(i), 0)), pids, h, start}
			pids[i] = tree.Spawn(sys.Root, fmt.Sprintf("p%02d", i), tree.Spec{New: func() actor.Actor { return p }})
		}
		for i := range tokens {
			sys.Root.Send(pids[i], token{hops})
		}
		d.Run(time.Minute)
		events = d.Steps()
		testkit.Stop(t, sys, pids...)
	})
	return fmt.Sprintf("%d steps %x", events, h.Sum64())
}

func TestOneSeedOneHistory(t *testing.T) {
	seen := map[string]int{}
	for range 200 {
		seen[history(t, 1)]++
	}
	if len(seen) != 1 {
		t.Fatalf("200 runs of one seed gave %d histories: %v", len(seen), seen)
	}
	t.Log(seen)
}

func TestSeedsDiffer(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(50) {
		seen[history(t, seed)] = true
	}
	if len(seen) != 50 {
		t.Fatalf("50 seeds gave %d histories", len(seen))
	}
}

func TestTimersFireInOrder(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		start := time.Now()
		var got []string
		note := func(what string) func() {
			return func() { got = append(got, fmt.Sprintf("%s@%v", what, time.Since(start))) }
		}
		d.After(2*time.Second, note("c"))
		d.After(time.Second, note("a"))
		d.After(time.Second, note("b"))
		stop := d.After(1500*time.Millisecond, note("stopped"))
		d.After(time.Hour, note("later"))
		if !stop() || stop() {
			t.Error("stop must report true once")
		}
		d.Run(10 * time.Second)
		if want := []string{"a@1s", "b@1s", "c@2s"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if passed := time.Since(start); passed != 10*time.Second {
			t.Errorf("Run took %v of fake time", passed)
		}
	})
}

func TestRunUntil(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		done := false
		start := time.Now()
		d.After(3*time.Second, func() { done = true })
		if d.RunUntil(time.Second, func() bool { return done }) {
			t.Error("done too early")
		}
		if !d.RunUntil(time.Minute, func() bool { return done }) || time.Since(start) != 3*time.Second {
			t.Errorf("done after %v", time.Since(start))
		}
	})
}

// TestGoMayBlock has slow work that waits for fake time.
func TestGoMayBlock(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		var got []int
		for i := range 3 {
			d.Go(func() {
				<-time.After(time.Duration(3-i) * time.Second)
				d.Post("list", func() { got = append(got, i) })
			})
		}
		d.Run(time.Minute)
		if want := []int{2, 1, 0}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}
