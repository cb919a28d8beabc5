package enclave

import (
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/enclavepb"
	"parley/messages/linkpb"
	"parley/messages/storepb"
)

// benchCredit is what a link of a benchmark reads before it waits, as real ones do.
const benchCredit = messages.ChargeAll

// bench is a node with friends, on the driver that nodes use. Its links, its
// chronicle and its front ends only count.
type bench struct {
	b     *testing.B
	pool  *tree.Pool
	sys   *actor.ActorSystem
	top   *actor.PID
	real  *Enclave
	heard atomic.Int64 // messages that people were told of
	state atomic.Int64 // messages that went the whole way
	news  chan struct{}
}

// benchEvery is how often a benchmark looks at what arrived, in messages.
const benchEvery = 256

func newBench(b *testing.B, store bool) *bench {
	w := &bench{b: b, pool: tree.NewPool(), news: make(chan struct{}, 1)}
	w.sys = tree.New(tree.Options{Log: slog.New(slog.DiscardHandler), Driver: w.pool})
	ready := make(chan struct{})
	o := Options{Alias: "bench", Local: "10.0.0.1", Retention: -1}
	w.top = tree.Spawn(w.sys.Root, "top", tree.Spec{New: func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); !ok {
				return
			}
			if store {
				o.Store = tree.Spawn(ctx, "store", tree.Spec{New: func() actor.Actor { return &benchStore{} }})
			}
			w.real = spawn(ctx, o, newOutbox,
				func(_ *Options, met *meet) actor.Actor { return actor.ReceiveFunc(w.onSaid) },
				func(*Options, *meet) actor.Actor { return actor.ReceiveFunc(w.onTold) })
			close(ready)
		})
	}})
	<-ready
	return w
}

func (w *bench) stop() {
	_ = w.sys.Root.StopFuture(w.top).Wait()
	w.sys.Shutdown()
	w.pool.Close()
}

// benchStore takes everything.
type benchStore struct{}

func (benchStore) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *storepb.Write:
		ctx.Respond(&storepb.Written{Serial: m.GetSerial()})
	case *storepb.ReadRequest:
		ctx.Respond(&storepb.ReadResponse{Serial: m.GetSerial()})
	}
}

func (w *bench) onSaid(ctx actor.Context) {
	one := func(m *said) {
		if m.note != 0 {
			ctx.Respond(&noted{note: m.note})
		}
		w.count(&w.heard)
	}
	switch m := ctx.Message().(type) {
	case *said:
		one(m)
	case *saidAll:
		for _, s := range m.all {
			one(s)
		}
	}
}

func (w *bench) onTold(ctx actor.Context) {
	if m, ok := ctx.Message().(*told); ok {
		if p := m.event.GetProgress(); p.GetDelivery() == enclavepb.Delivery_DELIVERY_DELIVERED {
			w.count(&w.state)
		}
		if m.event.GetStatus().GetPresence().GetStatus() == Available {
			w.rouse()
		}
	}
}

func (w *bench) count(n *atomic.Int64) {
	if n.Add(1)%benchEvery == 0 {
		w.rouse()
	}
}

func (w *bench) rouse() {
	select {
	case w.news <- struct{}{}:
	default:
	}
}

// ask sends a command and waits for its answer.
func (w *bench) ask(to string, c *enclavepb.Command) {
	answered := make(chan struct{})
	pid := tree.Spawn(w.sys.Root, "", tree.Spec{New: func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*enclavepb.Result); ok {
				close(answered)
			}
		})
	}})
	w.sys.Root.Send(actor.NewPID(w.top.GetAddress(), w.top.GetId()+"/"+to), &asked{c, pid})
	<-answered
	w.sys.Root.Stop(pid)
}

// benchLink is a link that takes everything at once, and whose peer acknowledges
// each batch.
type benchLink struct {
	w      *bench
	remote string
	server *actor.PID
	served chan *actor.PID // told once
	credit chan struct{}
	shake  *enclavepb.Packet
}

func (l *benchLink) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		ctx.Request(l.w.real.Friends, &linkpb.Opened{Remote: l.remote})
	case *linkpb.Accepted:
		l.server = ctx.Sender()
		ctx.Request(l.server, l.shake)
		l.served <- l.server
	case *linkpb.Settled:
		for range m.GetCharge() {
			l.credit <- struct{}{}
		}
	case *messages.Paced:
		ctx.Respond(&linkpb.Taken{Charge: m.Charge})
		id := ""
		switch p := m.Message.(type) {
		case *enclavepb.Packet:
			id = p.GetId()
		case *enclavepb.Packets:
			id = p.GetPackets()[len(p.GetPackets())-1].GetId()
		}
		ctx.Request(l.server, &enclavepb.Packet{Ack: id})
	case *linkpb.Close:
		ctx.Stop(ctx.Self())
	}
}

// link opens a link of a friend.
func (w *bench) link(address string) (l *benchLink, pid *actor.PID) {
	l = &benchLink{
		w: w, remote: address + ":5", served: make(chan *actor.PID, 1), credit: make(chan struct{}, 2*benchCredit),
		shake: &enclavepb.Packet{Alias: proto.String("peer"), Status: proto.Uint32(Available), Id: "peer"},
	}
	for range benchCredit {
		l.credit <- struct{}{}
	}
	pid = tree.Spawn(w.sys.Root, "", tree.Spec{New: func() actor.Actor { return l }})
	<-l.served
	return l, pid
}

// BenchmarkReceived is a message from its link's reader by its friend to the
// chronicle, with its acknowledgement.
func BenchmarkReceived(b *testing.B) {
	for _, c := range []struct {
		name  string
		kin   bool
		store bool
	}{{"foreign", false, false}, {"own", true, false}, {"own, stored", true, true}} {
		b.Run(c.name, func(b *testing.B) {
			w := newBench(b, c.store)
			defer w.stop()
			w.ask(nameBook, add("10.0.0.2", ""))
			l, pid := w.link("10.0.0.2")
			packets := make([]*enclavepb.Packet, b.N)
			for i := range packets {
				packets[i] = &enclavepb.Packet{Message: proto.String("hello"), Timestamp: proto.Int64(1), Charge: 1}
				if c.kin {
					packets[i].Id = makeID("peer", uint64(i+1))
				}
			}
			b.ReportAllocs()
			b.ResetTimer()
			for _, p := range packets {
				<-l.credit
				w.sys.Root.RequestWithCustomSender(l.server, p, pid)
			}
			for w.heard.Load() < int64(b.N/benchEvery*benchEvery) {
				<-w.news
			}
			b.StopTimer()
			w.sys.Root.Stop(pid)
		})
	}
}

// BenchmarkSent is a message from a front end's command by friends and its friend
// to its link, which takes it, and its acknowledgement. No outbox.
func BenchmarkSent(b *testing.B) {
	w := newBench(b, false)
	defer w.stop()
	w.ask(nameBook, add("10.0.0.2", "Bo"))
	_, pid := w.link("10.0.0.2")
	<-w.news
	room := make(chan struct{}, queuedMost/2)
	asker := tree.Spawn(w.sys.Root, "asker", tree.Spec{New: func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			if r, ok := ctx.Message().(*enclavepb.Result); ok {
				if !r.GetOk() {
					panic(r.GetReason())
				}
				<-room
			}
		})
	}})
	commands := make([]*asked, b.N)
	for i := range commands {
		commands[i] = &asked{send("Bo", "hello"), asker}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for _, c := range commands {
		room <- struct{}{}
		w.sys.Root.Send(w.real.Friends, c)
	}
	for w.state.Load() < int64(b.N/benchEvery*benchEvery) {
		<-w.news
	}
	b.StopTimer()
	w.sys.Root.Stop(asker)
	w.sys.Root.Stop(pid)
}

// BenchmarkFriend is the memory of friends, offline and with a link each; that of
// the link is not counted, but its benchmark's stand-in is.
func BenchmarkFriend(b *testing.B) {
	const count = 2000
	for range b.N {
		w := newBench(b, false)
		heap := func() uint64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m.HeapAlloc + m.StackInuse
		}
		before := heap()
		for i := range count {
			w.ask(nameBook, add(fmt.Sprintf("10.1.%d.%d", i/200, i%200+1), ""))
		}
		offline := heap()
		for i := range count {
			w.link(fmt.Sprintf("10.1.%d.%d", i/200, i%200+1))
		}
		w.ask(nameBook, list())
		online := heap()
		b.ReportMetric(float64(offline-before)/count, "B/offline")
		b.ReportMetric(float64(online-offline)/count, "B/link")
		w.stop()
	}
}
