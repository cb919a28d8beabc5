package mesh

import (
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/meshpb"
	"parley/testkit"
)

// TestRouterRestarts has a router fail over a packet. What it knows is kept; what
// links were owed is given back.
func TestRouterRestarts(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		sys := testkit.System(t, testkit.Under(d), testkit.ExpectFailures(1))
		var (
			settled  []*linkpb.Settled
			sent     []*messages.Multicast
			deliver  []*meshpb.Delivery
			loads    = &tree.Gauge{}
			pid, lnk *actor.PID
		)
		top := tree.Spawn(sys.Root, "top", tree.Spec{Children: tree.Restart, New: func() actor.Actor {
			return actor.ReceiveFunc(func(ctx actor.Context) {
				if _, ok := ctx.Message().(*actor.Started); !ok {
					return
				}
				note := func(name string, f func(any)) *actor.PID {
					return tree.Spawn(ctx, name, tree.Spec{New: func() actor.Actor {
						return actor.ReceiveFunc(func(ctx actor.Context) { f(ctx.Message()) })
					}})
				}
				lnk = note("link", func(m any) {
					if s, ok := m.(*linkpb.Settled); ok {
						settled = append(settled, s)
					}
				})
				shard := note("shard", func(m any) {
					if c, ok := m.(*messages.Multicast); ok {
						sent = append(sent, c)
					}
				})
				channel := note("channel", func(m any) {
					if c, ok := m.(*meshpb.Delivery); ok {
						deliver = append(deliver, c)
					}
				})
				o := &Options{Name: "a", Boot: 1, Relay: true, Gauge: loads}
				o.Fanout[Accepted].Shards = []*actor.PID{shard}
				r := newRouter(o, &meet{reservations: channel, peers: channel})
				pid = tree.Spawn(ctx, "router", tree.Spec{Batch: true, Gauge: loads, New: func() actor.Actor { return r }})
				ctx.Send(pid, &linked{neighbor{name: "b", boot: 1, member: 5, pb: true, link: lnk}})
				ctx.RequestWithCustomSender(pid, &meshpb.Carry{Channel: "x"}, channel)
			})
		}})
		d.Settle()
		message := func(seq uint64) *meshpb.Packet {
			return &meshpb.Packet{Source: "b", Destination: "*", Boot: 1, Seq: seq, Message: &meshpb.Message{Channel: "x"}}
		}
		settled = nil
		root := sys.Root
		root.Send(pid, &arrived{from: "b", link: lnk, packets: []*meshpb.Packet{message(1), message(1)}, charge: 2})
		d.Settle()
		root.Send(pid, &arrived{from: "b", link: lnk, packets: []*meshpb.Packet{message(2), nil}, charge: 3}) // no decoder makes this
		d.Run(time.Second)
		root.Send(pid, &arrived{from: "b", link: lnk, packets: []*meshpb.Packet{message(1), message(3)}, charge: 4})
		root.Send(pid, &meshpb.Publish{Message: &meshpb.Message{Channel: "x"}})
		d.Settle()
		if len(deliver) != 3 {
			t.Errorf("%d delivered, want 3", len(deliver))
		}
		if len(settled) != 3 || settled[0].GetCharge() != 2 || !settled[1].GetAll() || settled[2].GetCharge() != 4 {
			t.Errorf("settled %v", settled)
		}
		if len(sent) != 1 || len(sent[0].Members) != 1 || sent[0].Members[0] != 5 {
			t.Errorf("sent %v", sent)
		}
		if loads.Bytes() != 0 {
			t.Errorf("%d bytes are still queued", loads.Bytes())
		}
		testkit.Stop(t, sys, top)
	})
}
