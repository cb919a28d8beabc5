package ui

import (
	"fmt"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
)

// TestFollow tells who follows what anybody wants of what it named, and each change
// before who brought it about is answered.
func TestFollow(t *testing.T) {
	in(t, setup{}, func(t *testing.T, w *world) {
		var told []string
		pid := tree.Spawn(w.sys.Root, "follower", tree.Spec{New: func() actor.Actor {
			return actor.ReceiveFunc(func(ctx actor.Context) {
				switch m := ctx.Message().(type) {
				case *actor.Started:
					ctx.Request(w.broadcasts, &Follow{Opcodes: []string{"messageReceived", "contactStatus"}})
				case *Followed:
					told = append(told, fmt.Sprint(m.Wanted))
				}
			})
		}})
		w.d.Settle()
		f, g := w.face(), w.face()
		f.subscribe("subscribe", "", "nodeStarted", "messageReceived")
		w.d.Settle()
		g.subscribe("subscribe", "", "messageReceived")
		w.d.Settle()
		f.subscribe("unsubscribe", "", "messageReceived")
		w.d.Settle()
		g.subscribe("subscribe", "", "contactStatus")
		w.d.Settle()
		g.subscribe("unsubscribe", "")
		w.d.Settle()
		if got, want := fmt.Sprint(told), "[map[] map[messageReceived:true] map[contactStatus:true messageReceived:true] map[]]"; got != want {
			t.Errorf("told %s, want %s", got, want)
		}
		w.sys.Root.Stop(pid)
		w.d.Settle()
		f.subscribe("subscribe", "", "messageReceived")
		w.d.Settle()
		if len(told) != 4 {
			t.Errorf("told %s", told)
		}
	})
}
