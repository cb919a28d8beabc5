package link

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/linkpb"
)

// patience is how long the tests on real sockets wait for anything. They never
// wait for it to pass.
const patience = time.Minute

// site is a gateway of lines on a real listener.
type site struct {
	t    *testing.T
	sys  *actor.ActorSystem
	kind *Kind
	fan  Fanout
	root *actor.PID
	ln   net.Listener
	over sync.WaitGroup
}

func newSite(t *testing.T, conf *tls.Config, change func(*Kind)) *site {
	t.Helper()
	return newSiteOn(t, tree.New(tree.Options{}), conf, change, func() actor.Actor { return funcActor(serveAll) })
}

func newSiteOn(t *testing.T, sys *actor.ActorSystem, conf *tls.Config, change func(*Kind), server func() actor.Actor) *site {
	t.Helper()
	s := &site{t: t, sys: sys}
	s.kind = newKind(s.sys, change)
	var links *actor.PID
	started := make(chan struct{})
	s.root = tree.Spawn(s.sys.Root, "root", tree.Spec{New: func() actor.Actor {
		return funcActor(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); !ok {
				return
			}
			s.fan = SpawnShards(ctx, "fanout", s.kind)
			up := tree.Spawn(ctx, "servers", tree.Spec{Inline: true, New: server})
			links = SpawnLinks(ctx, "links", s.kind, s.fan.Shards, up)
			close(started)
		})
	}})
	<-started
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.ln = ln
	over := Listener(ln)
	if conf != nil {
		over = tls.NewListener(over, conf)
	}
	s.over.Go(func() { s.accept(over, links) })
	return s
}

func (s *site) accept(l net.Listener, links *actor.PID) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		switch c := c.(type) {
		case *Conn:
			Accept(s.kind, links, newLineSocket(c, c), nil)
		case *tls.Conn:
			if c.Handshake() == nil {
				Accept(s.kind, links, newLineSocket(c.NetConn().(*Conn), c), nil)
			}
		}
	}
}

// serveAll is one actor that serves all links: what a peer says is acknowledged.
func serveAll(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *linkpb.Opened:
		ctx.Request(ctx.Sender(), &linkpb.Accepted{})
	case word:
		ctx.Respond(newWord("ack " + m.GetValue()))
	}
}

// dial connects, optionally with a small buffer for what is not read, and waits
// until the link is served.
func (s *site) dial(conf *tls.Config, small bool) (net.Conn, *bufio.Reader) {
	s.t.Helper()
	d := net.Dialer{Timeout: patience}
	c, err := d.Dial("tcp", s.ln.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	if small {
		_ = c.(*net.TCPConn).SetReadBuffer(16 << 10)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	if conf != nil {
		conf = conf.Clone()
		conf.ServerName = "server"
		c = tls.Client(c, conf)
	}
	r := bufio.NewReader(c)
	fmt.Fprintln(c, "hello")
	if line, err := r.ReadString('\n'); err != nil || line != "ack hello\n" {
		s.t.Fatalf("got %q, %v", line, err)
	}
	return c, r
}

// stop waits for all sockets to be closed.
func (s *site) stop() {
	_ = s.ln.Close()
	s.over.Wait()
	_ = s.sys.Root.StopFuture(s.root).Wait()
	s.sys.Shutdown()
}

// closes is how many links were closed with a code.
func (s *site) closes(code uint32) int64 { return s.kind.closes[code].Load() }

// progress lets a publisher stay at most window ahead of the slowest reader.
type progress struct {
	mu   sync.Mutex
	cond *sync.Cond
	seen []int
	bad  error
}

func newProgress(n int) *progress {
	p := &progress{seen: make([]int, n)}
	p.cond = sync.NewCond(&p.mu)
	return p
}

func (p *progress) note(i, seen int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen[i] = seen
	if err != nil {
		p.bad = err
	}
	p.cond.Broadcast()
}

// wait returns when everybody has seen n.
func (p *progress) wait(n int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		least := n
		for _, s := range p.seen {
			least = min(least, s)
		}
		if least >= n || p.bad != nil {
			return p.bad
		}
		p.cond.Wait()
	}
}

// consume reads n numbered lines and checks their order.
func consume(r *bufio.Reader, n int, note func(seen int, err error)) {
	for i := range n {
		line, err := r.ReadString('\n')
		if err == nil && !strings.HasPrefix(line, fmt.Sprintf("%06d ", i)) {
			err = fmt.Errorf("message %d is %.30q", i, line)
		}
		if err != nil {
			note(i, err)
			return
		}
		if i%32 == 31 || i == n-1 {
			note(i+1, nil)
		}
	}
}
