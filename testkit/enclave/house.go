package enclave

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/enclave"
	"parley/actors/store"
	"parley/actors/tree"
	enclavegate "parley/gateways/enclave"
	"parley/gateways/guard"
	"parley/gateways/link"
	"parley/gateways/pipe"
	"parley/gateways/tcp"
	"parley/messages/enclavepb"
	"parley/messages/linkpb"
)

// Patience is how long a test waits for anything. It never waits for it to pass.
const Patience = time.Minute

// HouseOptions say what a House is like.
type HouseOptions struct {
	Listen string // ip:port; port 0 is any
	Data   string // directory of its database; "": it keeps nothing
	Pipes  string // directory of its named pipes; "": it has none
	Gate   func() // called before each dial, which waits for it; nil: none
	enclave.Options
}

// House is a node of ours with nothing but Enclave, in this process and on real sockets.
type House struct {
	*enclave.Enclave

	Address string // where it listens
	IP      string

	t      testing.TB
	sys    *actor.ActorSystem
	pool   *tree.Pool
	root   *actor.PID
	links  *actor.PID
	kind   *link.Kind
	door   *tcp.Listener
	db     *store.DB
	served sync.WaitGroup
	cancel context.CancelFunc

	mu     sync.Mutex // guards what follows
	events []*enclavepb.Event
	wires  []*net.TCPConn // all that there were since the last Cut
	dials  int            // that are over
	log    []string       // the last that it logged
}

// NewHouse starts a node; it ends with the test, if not before.
func NewHouse(t testing.TB, o HouseOptions) *House {
	t.Helper()
	l, err := net.Listen("tcp", o.Listen)
	if err != nil {
		t.Fatal(err)
	}
	h := &House{t: t, Address: l.Addr().String(), IP: ipOf(l.Addr()), pool: tree.NewPool()}
	quiet := slog.New(slog.NewTextHandler(h, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h.sys = tree.New(tree.Options{Log: quiet, Driver: h.pool, Fatal: func(reason any) { t.Error(reason) }})
	if o.Data != "" {
		if err := os.Chmod(o.Data, 0o700); err != nil { // a test's own is open to all
			t.Fatal(err)
		}
		if h.db, err = store.Open(o.Data, store.OpenOptions{Log: quiet}); err != nil {
			t.Fatal(err)
		}
	}
	var pipes *pipe.Pipes
	if o.Pipes != "" {
		if pipes, err = pipe.Open(o.Pipes); err != nil {
			t.Fatal(err)
		}
	}
	h.kind = link.New(h.sys, enclavegate.NewKind())
	o.Local = h.IP
	started := make(chan struct{})
	h.root = tree.Spawn(h.sys.Root, "root", tree.Spec{Children: tree.Restart, New: func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *actor.Started:
				h.spawn(ctx, o, pipes)
				close(started)
			case *enclavepb.Event:
				h.mu.Lock()
				h.events = append(h.events, m)
				h.mu.Unlock()
			}
		})
	}})
	<-started
	h.door = tcp.Listen(&cutter{l, h}, guard.Limits{}, guard.Hooks{}, enclavegate.UsualPacket)
	g := &enclavegate.Gateway{Kind: h.kind, Links: h.links}
	h.served.Go(func() {
		if err := g.Serve(h.door); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	t.Cleanup(h.Stop)
	return h
}

func (h *House) spawn(ctx actor.Context, ho HouseOptions, pipes *pipe.Pipes) {
	o := ho.Options
	if h.db != nil {
		o.Store = store.Spawn(ctx, "store", store.Options{DB: h.db})
	}
	dialling, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	local := netip.MustParseAddr(h.IP)
	from := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))}
	d := &enclavegate.Dialler{Kind: h.kind, Context: dialling, Sockets: tcp.Dialler{
		Limit: enclavegate.UsualPacket, Local: local,
		Connect: func(ctx context.Context, network, address string) (net.Conn, error) {
			return h.noted(from.DialContext(ctx, network, address))
		},
	}}
	complete := make(chan struct{})
	o.Dial = func(m *enclavepb.Dial) *enclavepb.DialFailed {
		<-complete // it may be asked before its links are there
		if ho.Gate != nil {
			ho.Gate()
		}
		failed := d.Dial(m)
		h.tell("dialled, ", failed.GetReason())
		h.mu.Lock()
		defer h.mu.Unlock()
		h.dials++
		return failed
	}
	fan := link.SpawnShards(ctx, "fanout", h.kind)
	h.Enclave = enclave.Spawn(ctx, o)
	h.links = link.SpawnLinks(ctx, "links", h.kind, fan.Shards, h.Friends)
	d.Links = h.links
	close(complete)
	if pipes != nil {
		pipe.Spawn(ctx, "pipe", pipes, h.Frontends)
	}
	ctx.Request(h.Frontends, &enclavepb.Listen{})
}

// Ask has a person want something, and returns the answer.
func (h *House) Ask(c *enclavepb.Command) *enclavepb.Result {
	h.t.Helper()
	v, err := h.sys.Root.RequestFuture(h.Frontends, c, Patience).Result()
	r, ok := v.(*enclavepb.Result)
	if err != nil || !ok {
		h.t.Fatalf("%v was answered %v, %v", c, v, err)
	}
	return r
}

// Must is Ask that has to succeed.
func (h *House) Must(c *enclavepb.Command) *enclavepb.Result {
	h.t.Helper()
	r := h.Ask(c)
	if !r.GetOk() {
		h.t.Fatalf("%v: %s", c, r.GetReason())
	}
	return r
}

// Await waits for an event, and all before it.
func (h *House) Await(what string, is func(*enclavepb.Event) bool) {
	h.t.Helper()
	Until(h.t, what, func() bool {
		for _, e := range h.Events() {
			if is(e) {
				return true
			}
		}
		return false
	})
}

// Events are all that people were told.
func (h *House) Events() []*enclavepb.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]*enclavepb.Event(nil), h.events...)
}

// Dials is how many dials are over.
func (h *House) Dials() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.dials
}

// Wires is how many connections there were since the last Cut, and how many of
// them the node has not closed.
func (h *House) Wires() (all, open int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.wires {
		if raw, err := c.SyscallConn(); err == nil && raw.Control(func(uintptr) {}) == nil {
			open++
		}
	}
	return len(h.wires), open
}

// Cut ends all connections, as a fault of the network does: what was on its way is
// lost, and the other side is told by a reset. The descriptors stay the node's,
// which writes to them without asking anybody.
func (h *House) Cut() {
	h.tell("all connections are cut")
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.wires {
		_, _, _ = c.SetLinger(0), c.CloseRead(), c.CloseWrite() // they fail only on a closed socket
	}
	h.wires = nil
}

// cutter is a listener whose connections a House can cut.
type cutter struct {
	net.Listener

	h *House
}

// Accept implements net.Listener.
func (c *cutter) Accept() (net.Conn, error) { return c.h.noted(c.Listener.Accept()) }

func (h *House) noted(c net.Conn, err error) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	h.tell("connection ", c.LocalAddr(), " ", c.RemoteAddr())
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wires = append(h.wires, c.(*net.TCPConn))
	return c, nil
}

// logMost is how many lines of its log a House remembers.
const logMost = 200

// Write takes a line of the log, which a test that fails shows.
func (h *House) Write(line []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.log = append(h.log, string(line)); len(h.log) > logMost {
		h.log = h.log[1:]
	}
	return len(line), nil
}

func (h *House) tell(what ...any) {
	_, _ = fmt.Fprintln(h, time.Now().Format(time.StampMicro), fmt.Sprint(what...))
}

// Stop ends the node in order: friends hear of it. It may be called again.
func (h *House) Stop() {
	if h.pool == nil {
		return
	}
	if h.t.Failed() {
		h.mu.Lock()
		h.t.Logf("%s logged\n%s", h.Address, strings.Join(h.log, ""))
		h.mu.Unlock()
	}
	_ = h.door.Close()
	h.served.Wait()
	h.cancel()
	for _, pid := range []*actor.PID{h.Friends, h.links} {
		if _, err := h.sys.Root.RequestFuture(pid, &linkpb.Drain{}, Patience).Result(); err != nil {
			h.t.Error(err)
		}
	}
	_ = h.sys.Root.StopFuture(h.root).Wait()
	h.sys.Shutdown()
	h.pool.Close()
	h.pool = nil
	if h.db != nil {
		if err := h.db.Close(); err != nil {
			h.t.Error(err)
		}
	}
}

// Add makes a friend.
func Add(address, name string) *enclavepb.Command {
	return &enclavepb.Command{Body: &enclavepb.Command_Add{Add: &enclavepb.Add{Address: address, Name: name}}}
}

// Accept lets somebody in.
func Accept(address, name string) *enclavepb.Command {
	return &enclavepb.Command{Body: &enclavepb.Command_Accept{Accept: &enclavepb.Accept{Address: address, Name: name}}}
}

// Ignore closes the door.
func Ignore(address string) *enclavepb.Command {
	return &enclavepb.Command{Body: &enclavepb.Command_Ignore{Ignore: &enclavepb.Ignore{Address: address}}}
}

// Send is a message; its id comes back in what is told of it.
func Send(to, text string) *enclavepb.Command {
	return &enclavepb.Command{Id: text, Body: &enclavepb.Command_Send{Send: &enclavepb.Send{To: to, Message: text}}}
}

// pollEvery is the pause between two looks.
const pollEvery = 2 * time.Millisecond

// Until waits for a condition that others bring about.
func Until(t testing.TB, what string, met func() bool) {
	t.Helper()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	end := time.NewTimer(Patience)
	defer end.Stop()
	for !met() {
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatal(fmt.Sprintf("in vain, after %v: ", Patience) + what)
		}
	}
}
