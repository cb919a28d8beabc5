package node

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/ui"
	"parley/messages/uipb"
	"parley/testkit"
)

// door is the gateway for user interfaces, and the end of the process.
type door struct {
	*world
	shutdown *actor.PID
	shut     chan struct{} // closed: Close returns
	steps    []string      // close, end
	bad      bool          // End panics
	slow     time.Duration // until Close returns; 0: when the test says so
}

func onShutdown(t *testing.T, seeds uint64, opts []testkit.SystemOption, test func(t *testing.T, o *door)) {
	testkit.Seeds(t, seeds, func(t *testing.T, d *testkit.Driver) {
		o := &door{shut: make(chan struct{})}
		o.world = newWorld(t, d, func(_ *world, ctx actor.Context) {
			o.shutdown = SpawnShutdown(ctx, Ending{
				Close: func() {
					o.steps = append(o.steps, "close")
					if o.slow > 0 {
						time.Sleep(o.slow)
						return
					}
					<-o.shut
				},
				End: func() {
					if o.steps = append(o.steps, "end"); o.bad {
						panic("told to")
					}
				},
			})
		}, opts...)
		test(t, o)
		o.stop()
	})
}

func (o *door) ask() *asked { return o.world.ask(o.shutdown, owner, "shutdown", nil) }

// confirm says that an answer is with its link.
func (o *door) confirm() {
	o.sys.Root.Send(o.shutdown, &uipb.Answered{})
	o.d.Settle()
}

func (o *door) did(want ...string) {
	o.t.Helper()
	o.d.Settle()
	if !slices.Equal(o.steps, want) {
		o.t.Errorf("steps are %v, want %v", o.steps, want)
	}
}

func TestShutdown(t *testing.T) {
	onShutdown(t, 10, nil, func(_ *testing.T, o *door) {
		o.did()
		a := o.ask()
		a.silent()
		o.did("close")
		b := o.ask()
		b.silent()
		close(o.shut)
		a.hears(&uipb.Done{})
		b.hears(&uipb.Done{})
		o.did("close")
		o.confirm()
		o.did("close") // the other answer is not with its link
		o.ask().hears(&uipb.Done{})
		o.confirm()
		o.did("close")
		o.confirm()
		o.did("close", "end")
		o.ask().hears(&uipb.Done{})
		o.confirm()
		o.d.Run(time.Minute)
		o.did("close", "end")
	})
}

// TestShutdownIsNotConfirmed because who asked is gone, or its link is slow.
func TestShutdownIsNotConfirmed(t *testing.T) {
	onShutdown(t, 10, nil, func(_ *testing.T, o *door) {
		a := o.ask()
		o.d.Settle()
		a.leave()
		close(o.shut)
		o.d.Run(answerMost - time.Millisecond)
		o.ask().hears(&uipb.Done{}) // does not put it off
		o.did("close")
		o.d.Run(time.Millisecond)
		o.did("close", "end")
		o.confirm()
		o.d.Run(time.Minute)
		o.did("close", "end")
	})
}

// TestDoorIsSlow to close: the goodbye goes on without it.
func TestDoorIsSlow(t *testing.T) {
	onShutdown(t, 10, nil, func(t *testing.T, o *door) {
		o.slow = 3 * time.Second
		a := o.ask()
		o.d.Run(closeMost - time.Millisecond)
		a.silent()
		o.d.Run(time.Millisecond)
		a.hears(&uipb.Done{})
		o.confirm()
		o.did("close", "end")
		if o.logged("slow to close") != 1 {
			t.Error("that is not in the log")
		}
		o.d.Run(o.slow)
		o.did("close", "end")
	})
}

// TestShutdownRestarts at any point, and goes on.
func TestShutdownRestarts(t *testing.T) {
	onShutdown(t, 10, []testkit.SystemOption{testkit.ExpectFailures(1)}, func(_ *testing.T, o *door) {
		o.restart(o.shutdown)
		a := o.ask()
		a.silent()
		o.restart(o.shutdown)
		close(o.shut)
		a.hears(&uipb.Done{})
		o.restart(o.shutdown)
		o.bad = true
		o.confirm() // fails
		o.ask().hears(&uipb.Done{})
		o.confirm()
		o.d.Run(time.Minute)
		o.did("close", "end") // once
	})
}

func TestShutdownIsAskedForOtherThings(t *testing.T) {
	onShutdown(t, 1, nil, func(_ *testing.T, o *door) {
		o.world.ask(o.shutdown, owner, "configuration", nil).hears(ui.Fault(ui.CodeUnmarshal, `Opcode "configuration" is not answered here`))
		o.did()
	})
}

// TestShutdownInAnyOrder draws who asks, leaves and confirms when: everybody who
// stays is answered, nobody before the door is closed, and the end comes once,
// not before the answers and not long behind them.
func TestShutdownInAnyOrder(t *testing.T) {
	onShutdown(t, 200, nil, func(t *testing.T, o *door) {
		rng := rand.New(rand.NewPCG(o.d.Seed(), 1))
		o.slow = time.Duration(1+rng.IntN(150)) * time.Millisecond
		var all []*asked
		var begun, closed, done time.Time
		for range 40 {
			switch rng.IntN(6) {
			case 0, 1:
				if begun.IsZero() {
					begun = time.Now()
				}
				a := o.ask()
				if rng.IntN(3) > 0 {
					a.onHear = func(ctx actor.Context) { ctx.Send(o.shutdown, &uipb.Answered{}) }
				}
				all = append(all, a)
			case 2:
				if len(all) > 0 && rng.IntN(3) == 0 {
					all[rng.IntN(len(all))].leave()
				}
			default:
				o.d.Run(time.Duration(rng.IntN(40)) * time.Millisecond)
			}
			o.d.Settle()
			now := time.Now()
			if closed.IsZero() && !begun.IsZero() && now.Sub(begun) >= min(o.slow, closeMost) {
				closed = now
			}
			for _, a := range all {
				if len(a.answers) > 0 && closed.IsZero() {
					t.Fatal("answered while the door was open")
				}
			}
			if done.IsZero() && slices.Contains(o.steps, "end") {
				done = now
				if closed.IsZero() {
					t.Fatal("ended before the door was closed")
				}
			}
		}
		if begun.IsZero() {
			return
		}
		o.d.Run(closeMost + answerMost)
		o.did("close", "end")
		for i, a := range all {
			if !a.gone && len(a.answers) != 1 {
				t.Errorf("asker %d got %d answers", i, len(a.answers))
			}
			a.leave()
		}
		o.d.Run(time.Second)
		if fmt.Sprint(o.steps) != "[close end]" {
			t.Errorf("steps are %v", o.steps)
		}
	})
}
