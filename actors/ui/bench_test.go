package ui

import (
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/uipb"
)

// bench is what serves user interfaces on the driver that daemons use. Its shard
// tells of what it would write, and writes nothing.
type bench struct {
	b          testing.TB
	sys        *actor.ActorSystem
	pool       *tree.Pool
	top        *actor.PID
	clients    *actor.PID
	broadcasts *actor.PID
	written    chan int // answers, or members of a broadcast
	links      []*actor.PID
}

// benchShard counts.
type benchShard struct{ *bench }

func (s *benchShard) Receive(ctx actor.Context) {
	b, ok := ctx.Message().(*tree.Batch)
	if !ok {
		return
	}
	for _, l := range b.Messages {
		m := l.(*messages.Multicast)
		n := len(m.Members)
		if m.Answer != nil {
			n++
		}
		s.written <- n
	}
}

// benchLink is a link that only wants a server.
type benchLink struct{ served chan *actor.PID }

func (l *benchLink) Receive(ctx actor.Context) {
	if _, ok := ctx.Message().(*linkpb.Accepted); ok {
		l.served <- ctx.Sender()
	}
}

func newBench(b testing.TB) *bench {
	w := &bench{b: b, pool: tree.NewPool(), written: make(chan int, 64)}
	w.sys = tree.New(tree.Options{Log: slog.New(slog.DiscardHandler), Driver: w.pool})
	started := make(chan struct{})
	w.top = tree.Spawn(w.sys.Root, "top", tree.Spec{New: func() actor.Actor {
		return &puppet{func(ctx actor.Context) {
			shard := tree.Spawn(ctx, "shard", tree.Spec{Batch: true, New: func() actor.Actor { return &benchShard{w} }})
			done := tree.Spawn(ctx, "done", tree.Spec{Asked: true, New: func() actor.Actor {
				return actor.ReceiveFunc(func(ctx actor.Context) {
					if _, ok := ctx.Message().(*uipb.Ask); ok {
						ctx.Respond(&uipb.Done{})
					}
				})
			}})
			w.broadcasts = SpawnBroadcasts(ctx, Fanout{shard}, nil)
			w.clients = SpawnClients(ctx, Desk{Routes: map[string]Route{"do": {To: done}}}, Fanout{shard}, w.broadcasts)
			close(started)
		}}
	}})
	<-started
	b.Cleanup(func() {
		for _, pid := range append([]*actor.PID{w.top}, w.links...) {
			if err := w.sys.Root.StopFuture(pid).Wait(); err != nil {
				b.Error(err)
			}
		}
		w.sys.Shutdown()
		w.pool.Close()
	})
	return w
}

// client is one that serves a link.
func (w *bench) client() *actor.PID {
	l := &benchLink{make(chan *actor.PID, 1)}
	link := tree.Spawn(w.sys.Root, "", tree.Spec{New: func() actor.Actor { return l }})
	w.links = append(w.links, link)
	w.sys.Root.RequestWithCustomSender(w.clients, &linkpb.Opened{Member: uint64(len(w.links)), Peer: &linkpb.Peer{Changes: true}}, link)
	return <-l.served
}

// BenchmarkRequest is a request from a link's reader by way of client and
// conversation to who answers it, and its answer to the shard.
func BenchmarkRequest(b *testing.B) {
	for _, under := range []int{1, 32} { // conversations with one request under way
		b.Run(fmt.Sprint(under, " under way"), func(b *testing.B) {
			w := newBench(b)
			server := w.client()
			var context uint64
			ask := func() {
				at := context % uint64(under)
				context++
				w.sys.Root.Send(server, &uipb.Request{Context: &at, Opcode: "do", Charge: 1})
			}
			for range under { // the conversations are there
				ask()
			}
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				<-w.written
				ask()
			}
			b.StopTimer()
			for range under {
				<-w.written
			}
		})
	}
}

// BenchmarkNewConversation is the first request of each, at the limit of a
// connection: another is ended for it.
func BenchmarkNewConversation(b *testing.B) {
	w := newBench(b)
	server := w.client()
	ask := func(context uint64) {
		w.sys.Root.Send(server, &uipb.Request{Context: &context, Opcode: "do", Charge: 1})
		<-w.written
	}
	for i := range uint64(DefaultTalks) {
		ask(i)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		ask(uint64(DefaultTalks + i))
	}
	b.StopTimer()
}

// BenchmarkBroadcast is an announcement to a thousand members, up to the shard.
func BenchmarkBroadcast(b *testing.B) {
	const members = 1000
	w := newBench(b)
	for range members {
		w.client()
	}
	m := crashed(1)
	for told := 0; told < members; { // until all have joined
		w.sys.Root.Send(w.broadcasts, m)
		told = <-w.written
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		w.sys.Root.Send(w.broadcasts, m)
		if n := <-w.written; n != members {
			b.Fatalf("told %d", n)
		}
	}
	b.StopTimer()
}

// The size of an idle conversation, with all that its client keeps of it.
const (
	idleConversations = 10_000
	idleBytesMost     = 2 << 10
)

// TestIdleConversationIsSmall measures the heap and the stacks.
func TestIdleConversationIsSmall(t *testing.T) {
	w := newBench(t)
	var servers []*actor.PID
	for range (idleConversations + DefaultTalks - 1) / DefaultTalks {
		servers = append(servers, w.client())
	}
	before := inUse()
	var answered sync.WaitGroup
	answered.Go(func() {
		for range idleConversations {
			<-w.written
		}
	})
	for i := range uint64(idleConversations) {
		context := i / uint64(len(servers))
		w.sys.Root.Send(servers[i%uint64(len(servers))], &uipb.Request{Context: &context, Opcode: "do", Charge: 1})
	}
	answered.Wait()
	each := (inUse() - before) / idleConversations
	t.Logf("%d bytes an idle conversation", each)
	if each > idleBytesMost*raceFactor {
		t.Errorf("%d bytes an idle conversation, want at most %d", each, idleBytesMost)
	}
}

// inUse is what is allocated when garbage is gone.
func inUse() int64 {
	var m runtime.MemStats
	for range 3 { // what a pool or a finalizer still held is gone then
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
