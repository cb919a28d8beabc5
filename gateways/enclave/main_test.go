package enclave

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/gateways/guard"
	"parley/gateways/link"
	"parley/gateways/tcp"
	"parley/messages/enclavepb"
	"parley/messages/linkpb"
	"parley/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// patience is how long the tests on real sockets wait for anything. They never
// wait for it to pass.
const patience = time.Minute

// house is a node: its links, one actor that serves as many of them as it may, and
// a listener. Those that it serves get a handshake at once.
type house struct {
	sys      *actor.ActorSystem
	root     *actor.PID
	kind     *link.Kind
	links    *actor.PID
	hall     *actor.PID
	listener *tcp.Listener
	done     chan error
	most     int                                    // links that are served
	mute     bool                                   // no handshakes
	hear     func(actor.Context, *enclavepb.Packet) // nil: they are kept

	mu      sync.Mutex
	changed *sync.Cond
	opened  []*linkpb.Opened
	pids    []*actor.PID
	heard   []proto.Message
	taken   uint32 // charges of linkpb.Taken
	serving int
	refused int
	gone    int
}

// handshake is what a house says first.
func handshake() *enclavepb.Packet { return proto.CloneOf(goldens[0].packet) }

func newHouse(t testing.TB, limits guard.Limits, change func(*house)) *house {
	t.Helper()
	h := &house{sys: tree.New(tree.Options{}), done: make(chan error, 1), most: 1 << 20}
	h.changed = sync.NewCond(&h.mu)
	if change != nil {
		change(h)
	}
	h.kind = link.New(h.sys, NewKind())
	started := make(chan struct{})
	h.root = tree.Spawn(h.sys.Root, "root", tree.Spec{New: func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); !ok {
				return
			}
			fan := link.SpawnShards(ctx, "fanout", h.kind)
			h.hall = tree.Spawn(ctx, "hall", tree.Spec{New: func() actor.Actor { return actor.ReceiveFunc(h.serve) }})
			h.links = link.SpawnLinks(ctx, "links", h.kind, fan.Shards, h.hall)
			close(started)
		})
	}})
	<-started
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.listener = tcp.Listen(l, limits, guard.Hooks{}, UsualPacket)
	g := &Gateway{Kind: h.kind, Links: h.links}
	go func() { h.done <- g.Serve(h.listener) }()
	t.Cleanup(func() {
		_ = h.listener.Close()
		if err := <-h.done; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		_ = h.sys.Root.StopFuture(h.root).Wait()
		h.sys.Shutdown()
	})
	return h
}

func (h *house) serve(ctx actor.Context) {
	if p, ok := ctx.Message().(*enclavepb.Packet); ok && h.hear != nil {
		h.hear(ctx, p)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.changed.Broadcast()
	switch m := ctx.Message().(type) {
	case *linkpb.Opened:
		if h.serving >= h.most {
			h.refused++
			ctx.Send(ctx.Sender(), &linkpb.Close{})
			ctx.Request(ctx.Sender(), &linkpb.Accepted{})
			return
		}
		h.serving++
		h.opened, h.pids = append(h.opened, m), append(h.pids, ctx.Sender())
		ctx.Request(ctx.Sender(), &linkpb.Accepted{})
		if !h.mute {
			ctx.Send(ctx.Sender(), handshake())
		}
	case *linkpb.Closed:
		h.gone++
	case *linkpb.Taken:
		h.taken += m.GetCharge()
	case *enclavepb.Packet, *linkpb.Malformed:
		h.heard = append(h.heard, m.(proto.Message))
		ctx.Send(ctx.Sender(), &linkpb.Settled{All: true})
	}
}

// until waits for a condition on what is guarded.
func (h *house) until(t testing.TB, what string, met func() bool) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	over := false
	late := time.AfterFunc(patience, func() {
		h.mu.Lock()
		over = true
		h.mu.Unlock()
		h.changed.Broadcast()
	})
	defer late.Stop()
	for !met() {
		if over {
			t.Fatalf("no %s: opened %.500v, heard %.500v", what, h.opened, h.heard)
		}
		h.changed.Wait()
	}
}

// call is a peer of the test's own.
func (h *house) call(t testing.TB) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", h.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetReadDeadline(time.Now().Add(patience))
	return c.(*net.TCPConn)
}

// hangUp reads until a house has closed, and returns what it said.
func hangUp(t testing.TB, c net.Conn) string {
	t.Helper()
	b, err := io.ReadAll(c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("not closed, said %.200q", b)
	}
	_ = c.Close()
	return string(b)
}

// plain is a message without what was counted for it.
func plain(m proto.Message) proto.Message {
	switch m := proto.Clone(m).(type) {
	case *enclavepb.Packet:
		m.Charge = 0
		return m
	case *linkpb.Malformed:
		m.Charge = 0
		return m
	}
	return m
}
