package relay

import (
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/meshpb"
	"parley/messages/relaypb"
)

// bench is a relay on the driver that nodes use. Its shard only gives credit back.
type bench struct {
	b      *testing.B
	sys    *actor.ActorSystem
	top    *actor.PID
	shard  *actor.PID
	pool   *tree.Pool
	people *actor.PID    // the supervisor of clients
	credit chan struct{} // holds one for each command that may be under way
}

// benchShard settles what it gets.
type benchShard struct{ *bench }

func (s *benchShard) Receive(ctx actor.Context) {
	b, ok := ctx.Message().(*tree.Batch)
	if !ok {
		return
	}
	for _, l := range b.Messages {
		if l.(*messages.Multicast).Charge > 0 {
			s.credit <- struct{}{}
		}
	}
}

// benchLink is a link that only wants a server.
type benchLink struct{ served chan *actor.PID }

func (l *benchLink) Receive(ctx actor.Context) {
	if _, ok := ctx.Message().(*linkpb.Accepted); ok {
		l.served <- ctx.Sender()
	}
}

// benchMesh opens what it is asked for, and forgets what it is told.
type benchMesh struct{}

func (benchMesh) Receive(ctx actor.Context) {
	if m, ok := ctx.Message().(*meshpb.OpenRequest); ok {
		ctx.Respond(&meshpb.OpenResponse{Channel: m.GetChannel(), Outcome: meshpb.Outcome_OUTCOME_OPEN, Hash: m.GetHash()})
	}
}

func newBench(b *testing.B, meshed bool) *bench {
	w := &bench{b: b, pool: tree.NewPool(), credit: make(chan struct{}, credits)}
	w.sys = tree.New(tree.Options{Log: slog.New(slog.DiscardHandler), Driver: w.pool})
	var channels *actor.PID
	started := make(chan struct{})
	w.top = tree.Spawn(w.sys.Root, "top", tree.Spec{New: func() actor.Actor {
		return &puppet{func(ctx actor.Context) {
			g := &tree.Gauge{}
			w.shard = tree.Spawn(ctx, "shard", tree.Spec{Batch: true, Gauge: g, New: func() actor.Actor { return &benchShard{w} }})
			limits := Limits{ChannelsPerClient: 10, Channels: 10}
			var m Mesh
			if meshed {
				pid := tree.Spawn(ctx, "mesh", tree.Spec{Batch: true, New: func() actor.Actor { return benchMesh{} }})
				m = Mesh{Router: pid, Reservations: pid, Behind: func() bool { return false }}
			}
			channels = SpawnChannels(ctx, limits, Fanout{Shards: []*actor.PID{w.shard}, Gauges: []*tree.Gauge{g}}, m)
			w.people = SpawnClients(ctx, limits, channels, w.shard)
			Meet(ctx, channels, w.people, w.shard)
			close(started)
		}}
	}})
	<-started
	for range credits {
		w.credit <- struct{}{}
	}
	b.Cleanup(func() {
		for w.open(channels) > 0 { // a dead letter now would leave a goroutine for a second
			runtime.Gosched()
		}
		if err := w.sys.Root.StopFuture(w.top).Wait(); err != nil {
			b.Error(err)
		}
		w.sys.Shutdown()
		w.pool.Close()
	})
	return w
}

// open is how many channels there are.
func (w *bench) open(channels *actor.PID) uint32 {
	m, err := w.sys.Root.RequestFuture(channels, &relaypb.CensusRequest{}, time.Minute).Result()
	if err != nil {
		w.b.Fatal(err)
	}
	return m.(*relaypb.Census).GetChannels()
}

// client is one that serves a link, subscribed to a channel.
func (w *bench) client(member uint64) (link, server *actor.PID) {
	l := &benchLink{make(chan *actor.PID, 1)}
	link = tree.Spawn(w.sys.Root, "", tree.Spec{New: func() actor.Actor { return l }})
	w.sys.Root.RequestWithCustomSender(w.people, &linkpb.Opened{Member: member}, link)
	server = <-l.served
	w.b.Cleanup(func() {
		w.sys.Root.Send(server, &linkpb.Closed{})
		if err := w.sys.Root.StopFuture(link).Wait(); err != nil {
			w.b.Error(err)
		}
	})
	<-w.credit
	w.sys.Root.RequestWithCustomSender(server, sub("x", "", "1"), link)
	w.rest()
	return link, server
}

// rest waits until nothing is under way.
func (w *bench) rest() {
	for range credits {
		<-w.credit
	}
	for range credits {
		w.credit <- struct{}{}
	}
}

// BenchmarkPublish is one message from a client's reader by way of its channel
// to the shard of 5 members.
func BenchmarkPublish(b *testing.B) { benchPublish(b, false) }

// BenchmarkPublishInAMesh is BenchmarkPublish and one message more, to a router
// that takes a burst at once.
func BenchmarkPublishInAMesh(b *testing.B) { benchPublish(b, true) }

func benchPublish(b *testing.B, meshed bool) {
	for _, size := range []int{16, 1024} {
		b.Run(fmt.Sprint(size, "B"), func(b *testing.B) {
			w := newBench(b, meshed)
			link, server := w.client(1)
			for i := range uint64(4) {
				w.client(i + 2)
			}
			text, nonce := []byte(payload(size)), []byte("1")
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				<-w.credit
				w.sys.Root.RequestWithCustomSender(server, &relaypb.Send{Channel: "x", Message: text, Nonce: nonce, Charge: 1}, link)
			}
			w.rest()
			b.StopTimer()
		})
	}
}

// BenchmarkSubscribe is a client that joins a channel of others, and leaves it.
func BenchmarkSubscribe(b *testing.B) {
	w := newBench(b, false)
	link, server := w.client(1)
	w.client(2)
	join, leave := sub("x", "", "1"), unsub("x", "2")
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		<-w.credit
		<-w.credit
		w.sys.Root.RequestWithCustomSender(server, leave, link)
		w.sys.Root.RequestWithCustomSender(server, join, link)
	}
	w.rest()
	b.StopTimer()
}

// BenchmarkTally counts an error a second: ten are in the window.
func BenchmarkTally(b *testing.B) {
	var t tally
	now := time.Unix(1e9, 0)
	b.ReportAllocs()
	for range b.N {
		now = now.Add(time.Second)
		t.add(now)
	}
}

// BenchmarkRing counts messages, and sums a minute of them.
func BenchmarkRing(b *testing.B) {
	b.Run("add", func(b *testing.B) {
		var r ring
		b.ReportAllocs()
		for i := range b.N {
			r.add(1e9+int64(i>>10), 128, 5)
		}
	})
	b.Run("traffic", func(b *testing.B) {
		var r ring
		for i := range 61 {
			r.add(1e9+int64(i), 128, 5)
		}
		b.ReportAllocs()
		for range b.N {
			r.traffic(1e9 + 61)
		}
	})
}
