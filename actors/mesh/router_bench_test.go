package mesh

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/meshpb"
)

// blank is a context that throws away what is sent.
type blank struct {
	actor.Context
	sys  *actor.ActorSystem
	self *actor.PID
	msg  any
}

func (c *blank) Message() any                    { return c.msg }
func (c *blank) Sender() *actor.PID              { return nil }
func (c *blank) Self() *actor.PID                { return c.self }
func (c *blank) ActorSystem() *actor.ActorSystem { return c.sys }
func (c *blank) Send(*actor.PID, any)            {}

// benchRouter is the node b of a line a, b, c, d, settled if it is to be.
func benchRouter(b *testing.B, settled bool) (*router, *blank) {
	sys := tree.New(tree.Options{Log: slog.New(slog.DiscardHandler), Driver: idleDriver{}})
	b.Cleanup(sys.Shutdown)
	ctx := &blank{sys: sys, self: actor.NewPID("x", "router")}
	o := &Options{Name: "b", Boot: 1, Relay: true, MaxLinks: 8}
	for s := range o.Fanout {
		o.Fanout[s].Shards = []*actor.PID{actor.NewPID("x", fmt.Sprint(s))}
	}
	r := newRouter(o, &meet{}).(*router)
	do := func(msg any) {
		ctx.msg = msg
		r.Receive(ctx)
	}
	do(&actor.Started{})
	for i, name := range []string{"a", "c"} {
		do(&linked{neighbor{name: name, boot: 1, member: uint64(i), pb: true, link: actor.NewPID("x", name)}})
	}
	for name, peers := range map[string][]string{"a": {"b"}, "c": {"b", "d"}, "d": {"c"}} {
		h := &meshpb.Hello{Boot: 1}
		for _, p := range peers {
			h.Links = append(h.Links, &meshpb.LinkCost{Peer: p, Ms: 1})
		}
		do(&arrived{from: name, packets: []*meshpb.Packet{{Source: name, Destination: "*", Boot: 1, Seq: 1, Command: &meshpb.Command{Name: cmdHello, Hello: h}}}})
	}
	do(&holds{"d", "x", true})
	r.topology.urgent = true
	r.topology.refresh()
	if settled {
		ago := time.Now().Add(-time.Minute)
		r.topology.changed, r.interest.of("x").changed = ago, ago
	}
	for _, v := range r.topology.vertices { // as after two minutes
		v.windows.since = v.windows.since.Add(-time.Hour)
	}
	return r, ctx
}

// benchArrivals is a batch of frames, one packet each; next gives them new numbers.
func benchArrivals(n int, tree uint64) *benchBatch {
	b := &benchBatch{seq: 1}
	link := actor.NewPID("x", "a")
	payload := make([]byte, 128)
	for range n {
		p := &meshpb.Packet{Source: "a", Destination: "*", Boot: 1, Tree: tree, Message: &meshpb.Message{Channel: "x", Payload: payload}}
		b.packets = append(b.packets, p)
		b.Messages = append(b.Messages, &arrived{from: "a", link: link, packets: []*meshpb.Packet{p}, charge: 1})
	}
	return b
}

type benchBatch struct {
	tree.Batch
	packets []*meshpb.Packet
	seq     uint64
}

func (b *benchBatch) next() *tree.Batch {
	for _, p := range b.packets {
		b.seq++
		p.Seq = b.seq
	}
	return &b.Batch
}

// BenchmarkTransit is a message on its way from one peer to another: along a
// tree, and flooded.
func BenchmarkTransit(b *testing.B) {
	for _, mode := range []string{"tree", "flood"} {
		for _, n := range []int{1, 32} {
			b.Run(fmt.Sprint(mode, "/batch ", n), func(b *testing.B) {
				r, ctx := benchRouter(b, mode == "tree")
				digest := uint64(0)
				if mode == "tree" {
					digest = r.plan(r.topology.vertices["a"], r.interest.of("x")).digest
				}
				in := benchArrivals(n, digest)
				b.ReportAllocs()
				for i := 0; i < b.N; i += n {
					ctx.msg = in.next()
					r.Receive(ctx)
				}
				b.StopTimer()
				if w := r.topology.vertices["a"].windows.now; mode == "tree" && w.treed == nil || w.high != in.seq {
					b.Error("they went another way")
				}
			})
		}
	}
}

// BenchmarkDelivery is a message of another node for a channel here.
func BenchmarkDelivery(b *testing.B) {
	for _, n := range []int{1, 32} {
		b.Run(fmt.Sprint("batch ", n), func(b *testing.B) {
			r, ctx := benchRouter(b, true)
			r.interest.hold(&holds{"d", "x", false}, time.Now())
			r.interest.carry(&meshpb.Carry{Channel: "x"}, actor.NewPID("x", "channel"))
			in := benchArrivals(n, r.plan(r.topology.vertices["a"], r.interest.of("x")).holding)
			b.ReportAllocs()
			for i := 0; i < b.N; i += n {
				ctx.msg = in.next()
				r.Receive(ctx)
			}
		})
	}
}

// BenchmarkPublish is a message of a client here.
func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{1, 32} {
		b.Run(fmt.Sprint("batch ", n), func(b *testing.B) {
			r, ctx := benchRouter(b, true)
			batch := &tree.Batch{}
			for range n {
				batch.Messages = append(batch.Messages, messages.Load(&meshpb.Publish{Message: &meshpb.Message{Channel: "x", Payload: make([]byte, 128)}}))
			}
			b.ReportAllocs()
			for i := 0; i < b.N; i += n {
				ctx.msg = batch
				r.Receive(ctx)
			}
		})
	}
}

// BenchmarkTopology is a hello that changes a mesh of 100 nodes.
func BenchmarkTopology(b *testing.B) {
	r, _ := benchRouter(b, true)
	t := r.topology
	now := time.Now()
	for i := range 100 {
		h := &meshpb.Hello{Boot: 1}
		for _, d := range []int{1, 7, 93, 99} {
			h.Links = append(h.Links, &meshpb.LinkCost{Peer: fmt.Sprint("n", (i+d)%100), Ms: 1})
		}
		if i == 0 {
			h.Links = append(h.Links, &meshpb.LinkCost{Peer: "c", Ms: 1})
		}
		t.tell(t.named(fmt.Sprint("n", i), now), h, now)
	}
	t.tell(t.vertices["c"], &meshpb.Hello{Boot: 1, Round: 1, Links: []*meshpb.LinkCost{{Peer: "b"}, {Peer: "d"}, {Peer: "n0"}}}, now)
	b.ReportAllocs()
	for range b.N {
		t.compute(now)
		t.spanning(t.self)
	}
	if len(t.reach) != 104 {
		b.Errorf("%d nodes", len(t.reach))
	}
}
