package link

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/linkpb"
	"parley/testkit"
	"parley/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// newKind is a Kind with limits that no test passes unless it means to.
func newKind(sys *actor.ActorSystem, change func(*Kind)) *Kind {
	k := &Kind{Codec: words{}, Framing: lines{}, OutboundLimit: 1 << 20, WriteTimeout: 10 * time.Second, Shards: 1}
	if change != nil {
		change(k)
	}
	return New(sys, k)
}

// world is a gateway of lines with its actors, in a bubble.
type world struct {
	t     *testing.T
	net   *testkit.Network
	sys   *actor.ActorSystem
	kind  *Kind
	fan   Fanout
	links *actor.PID
	root  *actor.PID
	ln    net.Listener

	mu      sync.Mutex
	servers []*served // by member, from 1
}

// served is what the server of one link saw.
type served struct {
	link   *actor.PID
	pid    *actor.PID
	heard  []string
	remote string
	ticket uint64
	trips  []time.Duration
	gone   bool
}

// options of newWorld; all may be left out.
type options struct {
	kind     func(*Kind)
	window   int                                  // of connections, in bytes
	failures int                                  // that the test makes
	serve    func(ctx actor.Context, text string) // what a server does with a message; nil: nothing
	deaf     bool                                 // nobody answers linkpb.Opened
}

// funcActor is an actor that is a function.
type funcActor func(ctx actor.Context)

func (f funcActor) Receive(ctx actor.Context) { f(ctx) }

func newWorld(t *testing.T, o options) *world {
	t.Helper()
	if o.window == 0 {
		o.window = 64 << 10
	}
	w := &world{t: t, net: testkit.NewNetwork(testkit.Window(o.window))}
	w.sys = testkit.System(t, testkit.ExpectFailures(o.failures))
	w.kind = newKind(w.sys, o.kind)
	started := make(chan struct{})
	w.root = tree.Spawn(w.sys.Root, "root", tree.Spec{Children: tree.Restart, New: func() actor.Actor {
		return funcActor(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); ok {
				w.fan = SpawnShards(ctx, "fanout", w.kind)
				up := tree.Spawn(ctx, "servers", tree.Spec{New: func() actor.Actor { return w.upstream(o) }})
				w.links = SpawnLinks(ctx, "links", w.kind, w.fan.Shards, up)
				close(started)
			}
		})
	}})
	<-started
	var err error
	if w.ln, err = w.net.Listen("server:1"); err != nil {
		t.Fatal(err)
	}
	go w.accept(Listener(w.ln))
	return w
}

func (w *world) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		Accept(w.kind, w.links, newLineSocket(c.(*Conn), c), nil)
	}
}

// upstream serves links, one server actor each.
func (w *world) upstream(o options) actor.Actor {
	return funcActor(func(ctx actor.Context) {
		m, ok := ctx.Message().(*linkpb.Opened)
		if !ok || o.deaf {
			return
		}
		s := &served{link: ctx.Sender(), remote: m.GetRemote(), ticket: m.GetTicket()}
		w.mu.Lock()
		w.servers = append(w.servers, s)
		w.mu.Unlock()
		tree.Spawn(ctx, "", tree.Spec{New: func() actor.Actor {
			return funcActor(func(ctx actor.Context) { w.server(ctx, s, o) })
		}})
	})
}

func (w *world) server(ctx actor.Context, s *served, o options) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		w.mu.Lock()
		s.pid = ctx.Self()
		w.mu.Unlock()
		ctx.Request(s.link, &linkpb.Accepted{})
	case *actor.Stopping:
		if !w.isGone(s) {
			ctx.Send(s.link, &linkpb.Close{Code: closeInternal, Reason: "server failed"})
		}
	case *linkpb.Closed, *actor.DeadLetterResponse: // perhaps before it was accepted
		w.mu.Lock()
		s.gone = true
		w.mu.Unlock()
		ctx.Stop(ctx.Self())
	case *linkpb.RoundTrip:
		w.mu.Lock()
		s.trips = append(s.trips, time.Duration(m.GetNanoseconds()))
		w.mu.Unlock()
	case word:
		w.mu.Lock()
		s.heard = append(s.heard, m.GetValue())
		w.mu.Unlock()
		if o.serve != nil {
			o.serve(ctx, m.GetValue())
		}
	}
}

func (w *world) isGone(s *served) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return s.gone
}

// heard is what a member's server got so far.
func (w *world) heard(member int) []string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.servers[member-1].heard...)
}

// trips are the round trips that a member's server was told of so far.
func (w *world) trips(member int) []time.Duration {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.servers[member-1].trips)
}

// link is the actor of a member's link.
func (w *world) link(member int) *actor.PID {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.servers[member-1].link
}

// say makes a link write a text.
func (w *world) say(member int, text string) {
	w.sys.Root.Send(w.link(member), wrapperspb.String(text))
}

// cast fans a text out, each shard getting its own members.
func (w *world) cast(m messages.Multicast, text string) {
	if text != "" {
		m.Frame = &messages.Shared{Message: wrapperspb.String(text)}
	}
	m.Size = len(text)
	for i, pid := range w.fan.Shards {
		part := m
		part.Members, part.Lossy = part.Members[:0:0], part.Lossy[:0:0]
		for _, id := range m.Members {
			if int(id)%len(w.fan.Shards) == i {
				part.Members = append(part.Members, id)
			}
		}
		for _, id := range m.Lossy {
			if int(id)%len(w.fan.Shards) == i {
				part.Lossy = append(part.Lossy, id)
			}
		}
		w.sys.Root.Send(pid, &part)
	}
}

// stop ends the world and everything in it.
func (w *world) stop() {
	w.t.Helper()
	_ = w.ln.Close()
	testkit.Stop(w.t, w.sys, w.root)
	if n := w.net.Open(); n != 0 {
		w.t.Errorf("%d ends of connections left open", n)
	}
	if n := w.kind.unsaid.Load(); n != 0 {
		w.t.Errorf("%d links without a last word", n)
	}
	if n := w.kind.Links(); n != 0 {
		w.t.Errorf("%d links left", n)
	}
	if n := w.kind.Budget.Used(); n != 0 {
		w.t.Errorf("%d bytes still counted as queued", n)
	}
}

// peer is the client's end of a link. It reads only when told to.
type peer struct {
	*testkit.SimConn
	t    *testing.T
	mu   sync.Mutex
	got  []string // lines
	part string   // of a line
	err  error    // that ended reading
	read chan struct{}
}

// dial connects a peer and waits until it is served. Peers are members 1, 2, …
// in the order they come.
func (w *world) dial() *peer {
	w.t.Helper()
	c, err := w.net.Dial(w.t.Context(), "client", "server:1")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.Close() })
	synctest.Wait()
	return &peer{SimConn: c, t: w.t}
}

// listen reads from now on until the end.
func (p *peer) listen() *peer {
	p.read = make(chan struct{})
	go func() {
		defer close(p.read)
		b := make([]byte, 32<<10)
		for {
			n, err := p.SimConn.Read(b)
			p.note(string(b[:n]), err)
			if err != nil {
				_ = p.Close()
				return
			}
		}
	}()
	return p
}

// take reads n bytes, all that there are at once.
func (p *peer) take(n int) {
	p.t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(p.SimConn, b); err != nil {
		p.t.Fatalf("take %d: %v", n, err)
	}
	p.note(string(b), nil)
}

func (p *peer) note(text string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	got := strings.Split(p.part+text, "\n")
	p.part = got[len(got)-1]
	p.got = append(p.got, got[:len(got)-1]...)
	p.err = err
}

// lines is what was heard since the last call, whole lines only.
func (p *peer) lines() []string {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	got := p.got
	p.got = nil
	return got
}

// ended is how the stream ended; nil: it has not.
func (p *peer) ended() error {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

func (p *peer) say(format string, args ...any) {
	p.t.Helper()
	if _, err := fmt.Fprintf(p.SimConn, format+"\n", args...); err != nil {
		p.t.Errorf("say: %v", err)
	}
}

// want fails the test unless exactly these lines were heard.
func (p *peer) want(want ...string) {
	p.t.Helper()
	if got := p.lines(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		p.t.Errorf("heard %s\nwant  %s", brief(got), brief(want))
	}
}

// wantEnd is want, and the end of the stream.
func (p *peer) wantEnd(want ...string) {
	p.t.Helper()
	p.want(want...)
	if err := p.ended(); !errors.Is(err, io.EOF) {
		p.t.Errorf("stream ended with %v, want its end", err)
	}
}

// brief is lines for a message.
func brief(lines []string) string {
	var short []string
	for i, l := range lines {
		if i == 20 {
			short = append(short, fmt.Sprintf("… %d in all", len(lines)))
			break
		}
		if len(l) > 40 {
			l = fmt.Sprintf("%s…(%d)", l[:40], len(l))
		}
		short = append(short, strconv.Quote(l))
	}
	return "[" + strings.Join(short, " ") + "]"
}

// bubble runs a test on fake time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}
