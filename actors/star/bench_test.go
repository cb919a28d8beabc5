package star

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/starpb"
)

// booth is a rendezvous on goroutines, among links and shards that only say what
// they must.
type booth struct {
	sys     *actor.ActorSystem
	pool    *tree.Pool
	top     *actor.PID
	star    *Star
	members uint64
}

func newBooth(b testing.TB, o Options) *booth {
	b.Helper()
	x := &booth{pool: tree.NewPool()}
	x.sys = tree.New(tree.Options{Driver: x.pool})
	for v := range o.Fanout {
		pid, _ := x.sys.ProcessRegistry.Add(boothShard{}, fmt.Sprint("shard", v))
		o.Fanout[v].Shards = []*actor.PID{pid}
	}
	ready := make(chan struct{})
	x.top = tree.Spawn(x.sys.Root, "top", tree.Spec{New: func() actor.Actor {
		return &hallRoot{start: func(ctx actor.Context) {
			x.star = Spawn(ctx, o)
			close(ready)
		}}
	}})
	<-ready
	return x
}

func (x *booth) stop() {
	_ = x.sys.Root.StopFuture(x.top).Wait()
	x.sys.Shutdown()
	x.pool.Close()
}

// boothShard has written as soon as it is told to.
type boothShard struct{}

// SendUserMessage implements actor.Process.
func (boothShard) SendUserMessage(_ *actor.PID, msg any) {
	if m, ok := actor.UnwrapEnvelopeMessage(msg).(*messages.Multicast); ok && m.Written != nil {
		m.Written()
	}
}

// SendSystemMessage implements actor.Process.
func (boothShard) SendSystemMessage(*actor.PID, any) {}

// Stop implements actor.Process.
func (boothShard) Stop(*actor.PID) {}

// caddy is a client on its link.
type caddy struct {
	boothShard
	x       *booth
	link    *actor.PID
	session chan *actor.PID
	replies chan *starpb.Reply
}

// SendUserMessage implements actor.Process.
func (c *caddy) SendUserMessage(_ *actor.PID, msg any) {
	_, m, sender := actor.UnwrapEnvelope(msg)
	switch m := m.(type) {
	case *linkpb.Accepted:
		c.session <- sender
	case *starpb.Reply:
		c.replies <- m
	}
}

// visit connects a client.
func (x *booth) visit() (*caddy, *actor.PID) {
	x.members++
	c := &caddy{x: x, session: make(chan *actor.PID, 1), replies: make(chan *starpb.Reply, 1)}
	c.link, _ = x.sys.ProcessRegistry.Add(c, fmt.Sprint("link", x.members))
	x.sys.Root.RequestWithCustomSender(x.star.Sessions[Three], &linkpb.Opened{Member: x.members}, c.link)
	return c, <-c.session
}

// ask joins, and returns the answer.
func (c *caddy) ask(session *actor.PID, address, data string) *starpb.Reply {
	c.x.sys.Root.Send(session, &starpb.Join{Address: address, Data: data, Ack: proto.Uint64(0)})
	return <-c.replies
}

// bye hangs up and waits until nothing of the client is left.
func (c *caddy) bye(session *actor.PID) {
	c.x.sys.ProcessRegistry.Remove(c.link)
	c.x.sys.Root.Send(session, &linkpb.Closed{})
}

// BenchmarkJoin is all that a client costs the actors that connects, joins without
// a challenge and hangs up.
func BenchmarkJoin(b *testing.B) {
	x := newBooth(b, Options{Strict: true})
	defer x.stop()
	for i := 0; b.Loop(); i++ {
		c, session := x.visit()
		if m := c.ask(session, at(i%60000), ""); !m.GetJoined() {
			b.Fatal(m)
		}
		c.bye(session)
	}
}

// BenchmarkJoinRSA is BenchmarkJoin with the challenge and a key of 2,048 bits.
func BenchmarkJoinRSA(b *testing.B) {
	var vectors []struct {
		Address   string `json:"multiaddr"`
		Key       string `json:"ssJoinKeyHex"`
		Nonce     string `json:"nonce"`
		Signature string `json:"ssJoinSignatureHex"`
	}
	text, err := os.ReadFile("peerid/testdata/star-keys.json")
	if err == nil {
		err = json.Unmarshal(text, &vectors)
	}
	if err != nil {
		b.Fatal(err)
	}
	v := vectors[0]
	x := newBooth(b, Options{Strict: true, Challenge: true, Draw: func() string { return v.Nonce }})
	defer x.stop()
	for b.Loop() {
		c, session := x.visit()
		if m := c.ask(session, v.Address, v.Key); m.GetNonce() != v.Nonce {
			b.Fatal(m)
		}
		if m := c.ask(session, v.Address, v.Signature); !m.GetJoined() {
			b.Fatal(m)
		}
		c.bye(session)
	}
}

// BenchmarkRound is what a round of announcements among so many peers costs the
// announcer. Encoding and writing are the shards' business.
func BenchmarkRound(b *testing.B) {
	for _, many := range []int{100, 1000, 5000} {
		b.Run(fmt.Sprint(many), func(b *testing.B) {
			x := newBooth(b, Options{Strict: true})
			defer x.stop()
			o := Options{}
			o.complete(x.sys)
			for v := range o.Fanout {
				o.Fanout[v].Shards = []*actor.PID{actor.NewPID(x.sys.Address(), fmt.Sprint("shard", v))}
			}
			a := newAnnouncer(&venue{Options: o}).(*announcer)
			for i := range many {
				p := &peer{caller: caller{member: uint64(i) + 1}, addresses: []string{at(i)}, count: 1}
				a.peers[fmt.Sprintf("%08d", i)] = p
			}
			r := newRound(a.venue, a.peers)
			done := make(chan struct{})
			b.ReportAllocs()
			for b.Loop() {
				x.sys.Root.Send(x.top, func(ctx actor.Context) {
					for r.begin(a.venue); r.left(); {
						a.step(ctx, r)
					}
					done <- struct{}{}
				})
				<-done
			}
			b.ReportMetric(float64(len(r.slices)*len(r.groups)), "steps")
		})
	}
}

// TestCyclesGiveTheHeapBack joins and leaves again and again, under few and under
// many addresses.
func TestCyclesGiveTheHeapBack(t *testing.T) {
	cycles := 10_000
	if testing.Short() {
		cycles = 2_000
	}
	me := newIdentity(t, 1)
	x := newBooth(t, Options{Strict: true, Challenge: true, Draw: func() string { return "nonce" }})
	defer x.stop()
	signature := me.sign("nonce")
	stay, session := x.visit()
	stay.ask(session, me.at(1), me.public)
	stay.ask(session, me.at(1), signature)
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	cycle := func(n int) {
		for i := range n {
			address := me.at(2 + i%60000)
			c, session := x.visit()
			if m := c.ask(session, address, me.public); m.GetNonce() == "" {
				t.Fatal(m)
			}
			if i%3 > 0 { // every third leaves its nonce behind
				if m := c.ask(session, address, signature); !m.GetJoined() || len(m.GetAddresses()) < 1 {
					t.Fatal(m)
				}
			}
			if i%2 == 0 {
				x.sys.Root.Send(session, &starpb.Leave{Address: address})
			}
			c.bye(session)
		}
	}
	cycle(cycles / 10) // maps have the size that they need
	before := heap()
	cycle(cycles)
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("%d bytes more after %d cycles", grown, cycles)
	}
}
