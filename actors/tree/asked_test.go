package tree_test

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/faultpb"
	"parley/testkit"
)

// TestAskedIsAnsweredWhenItPanics has who asks learn of a panic at once, and
// the actor restarted; an actor that is not asked stays silent.
func TestAskedIsAnsweredWhenItPanics(t *testing.T) {
	for _, asked := range []bool{true, false} {
		testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
			sys := testkit.System(t, testkit.Under(d), testkit.ExpectFailures(2))
			parent := tree.Spawn(sys.Root, "parent", spec(tree.Restart, nil))
			var (
				child *actor.PID
				heard []string
			)
			sys.Root.Send(parent, func(ctx actor.Context) {
				child = tree.Spawn(ctx, "child", tree.Spec{Asked: asked, New: func() actor.Actor {
					return actor.ReceiveFunc(func(ctx actor.Context) {
						switch ctx.Message().(type) {
						case error:
							panic("told to")
						case string:
							ctx.Respond(&faultpb.Failed{Actor: "fine"})
						}
					})
				}})
			})
			d.Settle()
			asker := tree.Spawn(sys.Root, "asker", tree.Spec{New: func() actor.Actor {
				return actor.ReceiveFunc(func(ctx actor.Context) {
					switch m := ctx.Message().(type) {
					case *actor.Started:
						ctx.Request(child, errTold{})
						ctx.Request(child, "hello")
						ctx.Send(child, errTold{}) // nobody to tell
					case *faultpb.Failed:
						heard = append(heard, m.GetActor())
					}
				})
			}})
			d.Settle()
			want := 1
			if asked {
				want = 2
			}
			if len(heard) != want || heard[want-1] != "fine" || asked && heard[0] != "parent/child" {
				t.Errorf("asked %v: heard %q", asked, heard)
			}
			testkit.Stop(t, sys, parent, asker)
		})
	}
}

type errTold struct{}

func (errTold) Error() string { return "told to" }
