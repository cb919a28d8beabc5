package mesh

import (
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/linkpb"
	"parley/messages/meshpb"
	"parley/messages/relaypb"
	"parley/testkit"
)

// TestSpawn starts all of a node's mesh, below an actor and below none: its parts
// know each other at once, and their node when they have met it.
func TestSpawn(t *testing.T) {
	for _, below := range []bool{true, false} {
		testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
			sys := testkit.System(t, testkit.Under(d))
			var m *Mesh
			var roots []*actor.PID
			o := Options{Name: "self", Boot: 7, Master: below}
			if below {
				roots = append(roots, tree.Spawn(sys.Root, "node", tree.Spec{Children: tree.Fatal, New: func() actor.Actor {
					return actor.ReceiveFunc(func(ctx actor.Context) {
						if _, ok := ctx.Message().(*actor.Started); ok {
							m = Spawn(ctx, o)
						}
					})
				}}))
				d.Settle()
			} else {
				m = Spawn(sys.Root, o)
				roots = append(roots, m.spawned...)
			}
			if (m.Master != nil) != below || strings.HasPrefix(m.Router.GetId(), "node/") != below {
				t.Errorf("spawned %v", m)
			}
			var answers []*meshpb.AskResponse
			stats := tree.Spawn(sys.Root, "stats", tree.Spec{New: func() actor.Actor {
				return actor.ReceiveFunc(func(ctx actor.Context) {
					switch m := ctx.Message().(type) {
					case *relaypb.NodeStatsRequest:
						ctx.Respond(&relaypb.NodeStats{Clients: 3})
					case *meshpb.AskResponse:
						answers = append(answers, m)
					}
				})
			}})
			ask := func() *meshpb.AskResponse {
				answers = nil
				q := &meshpb.AskRequest{Destination: "self", Command: &meshpb.Command{Name: cmdNodeStats}, TimeoutMs: 100}
				sys.Root.RequestWithCustomSender(m.Commands, q, stats)
				d.Run(time.Second)
				if len(answers) != 1 {
					t.Fatalf("%d answers", len(answers))
				}
				return answers[0]
			}
			if got := ask(); len(got.GetAnswers()) != 0 {
				t.Errorf("answered %v before it met anybody", got)
			}
			m.Meet(Outside{Stats: stats})
			for range 2 {
				if got := ask(); len(got.GetAnswers()) != 1 || got.GetAnswers()[0].GetResponse().GetNodeStats().GetClients() != 3 {
					t.Errorf("answered %v", got)
				}
				p, _ := sys.ProcessRegistry.Get(m.Commands)
				if !below { // the guardian is no supervisor of ours
					break
				}
				p.SendSystemMessage(m.Commands, &actor.SuspendMailbox{})
				p.SendSystemMessage(m.Commands, &actor.Restart{})
			}
			testkit.Stop(t, sys, append(roots, stats)...)
		})
	}
}

// TestRefused lets a link read on whose packets the router has no room for.
func TestRefused(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		sys := testkit.System(t, testkit.Under(d))
		settled := uint32(0)
		link := tree.Spawn(sys.Root, "", tree.Spec{New: func() actor.Actor {
			return actor.ReceiveFunc(func(ctx actor.Context) {
				if m, ok := ctx.Message().(*linkpb.Settled); ok {
					settled += m.GetCharge()
				}
			})
		}})
		f := refused(sys)
		f(&arrived{link: link, charge: 5})
		f(&actor.MessageEnvelope{Message: &arrived{link: link, charge: 7}})
		f(&meshpb.Publish{})
		d.Settle()
		if n := tree.Of(sys).Dropped(tree.MailboxFull); settled != 12 || n != 3 {
			t.Errorf("settled %d, counted %d", settled, n)
		}
		testkit.Stop(t, sys, link)
	})
}
