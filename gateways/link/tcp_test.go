package link

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"parley/actors/tree"
	"parley/messages"
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
	s := &site{t: t, sys: tree.New(tree.Options{})}
	s.kind = newKind(s.sys, change)
	var links *actor.PID
	started := make(chan struct{})
	s.root = tree.Spawn(s.sys.Root, "root", tree.Spec{New: func() actor.Actor {
		return funcActor(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); !ok {
				return
			}
			s.fan = SpawnShards(ctx, "fanout", s.kind)
			up := tree.Spawn(ctx, "servers", tree.Spec{New: func() actor.Actor { return funcActor(serveAll) }})
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
			Accept(s.kind, links, newLineSocket(c, c))
		case *tls.Conn:
			if c.Handshake() == nil {
				Accept(s.kind, links, newLineSocket(c.NetConn().(*Conn), c))
			}
		}
	}
}

// serveAll is one actor that serves all links: what a peer says is acknowledged.
func serveAll(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *linkpb.Opened:
		ctx.Request(ctx.Sender(), &linkpb.Accepted{})
	case *wrapperspb.StringValue:
		ctx.Respond(wrapperspb.String("ack " + m.GetValue()))
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

// TestStoppedPeerAmongGoodOnes has one peer that never reads among 50 that do,
// and a publisher as fast as these: they get all of it in order, the stopped
// one is closed and, when it reads at last, learns why.
func TestStoppedPeerAmongGoodOnes(t *testing.T) {
	for _, c := range []struct {
		name   string
		secret bool
		good   int
		n      int
	}{
		{"plain", false, 50, 3000},
		{"TLS", true, 10, 2000},
	} {
		t.Run(c.name, func(t *testing.T) {
			var server, client *tls.Config
			if c.secret {
				server, client = selfSigned(), trusting()
			}
			s := newSite(t, server, func(k *Kind) { k.OutboundLimit = 512 << 10 })
			stopped, rest := s.dial(client, true)
			members := []uint64{1}
			p := newProgress(c.good)
			var readers sync.WaitGroup
			var conns []net.Conn
			for i := range c.good {
				conn, r := s.dial(client, false)
				conns, members = append(conns, conn), append(members, uint64(i+2))
				readers.Go(func() { consume(r, c.n, func(seen int, err error) { p.note(i, seen, err) }) })
			}
			pad := strings.Repeat("x", 1000)
			last := make(chan string, 1)
			wakes := func() { last <- lastWords(t, rest) }
			for i := range c.n {
				if i%64 == 0 {
					if wakes != nil && s.closes(closeSlow) > 0 { // it has closeLinger to read the reason
						go wakes()
						wakes = nil
					}
					if err := p.wait(i - 192); err != nil {
						t.Fatal(err)
					}
				}
				text := fmt.Sprintf("%06d %s", i, pad)
				s.sys.Root.Send(s.fan.Shards[0], &messages.Multicast{
					Members: members, Size: len(text), Frame: &messages.Shared{Message: wrapperspb.String(text)},
				})
			}
			if err := p.wait(c.n); err != nil {
				t.Error(err)
			}
			readers.Wait()
			if got := s.closes(closeSlow); got != 1 {
				t.Errorf("%d links closed as slow, want the stopped one", got)
			}
			if wakes != nil {
				t.Error("the stopped peer was not closed while messages came")
				go wakes()
			}
			if got := <-last; got != "close 1013 slow consumer\n" {
				t.Errorf("the stopped peer's last line is %.60q", got)
			}
			for _, conn := range append(conns, stopped) {
				_ = conn.Close()
			}
			s.stop()
		})
	}
}

// lastWords reads numbered lines to the end of the stream. TLS may end without
// its own goodbye: ours was said.
func lastWords(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	for i := 0; ; i++ {
		line, err := r.ReadString('\n')
		if err != nil {
			return fmt.Sprintf("line %d: %.30q, %v", i, line, err)
		}
		if !strings.HasPrefix(line, fmt.Sprintf("%06d ", i)) {
			if _, err := r.ReadByte(); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("behind the last line: %v", err)
			}
			return line
		}
	}
}

// TestSendNeverWaits times the calls to a peer that does not read. The worst is
// logged: machines differ.
func TestSendNeverWaits(t *testing.T) {
	s := newSite(t, nil, func(k *Kind) { k.OutboundLimit = 1 << 20 })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	far, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = far.(*net.TCPConn).SetReadBuffer(16 << 10)
	near, err := Listener(ln).Accept()
	if err != nil {
		t.Fatal(err)
	}
	base := near.(*Conn)
	base.Release()
	var slow atomic.Bool
	o := &Outbound{kind: s.kind, conn: base, w: base, tell: func(any) { slow.Store(true) }}
	wire := frame(strings.Repeat("x", 2047))
	worst, sent, most := time.Duration(0), 0, int64(0)
	for !slow.Load() {
		start := time.Now()
		o.send(nil, chunk{wire: wire, frames: 1})
		worst, sent = max(worst, time.Since(start)), sent+1
		most = max(most, o.bytes.Load())
	}
	t.Logf("%d frames of 2 KiB were taken; the worst call took %v; %d bytes queued at most", sent, worst, most)
	if limit := int64(s.kind.OutboundLimit + 2*len(wire)); most > limit {
		t.Errorf("%d bytes were queued, at most %d may", most, limit)
	}
	_ = far.SetReadDeadline(time.Now().Add(patience))
	got, err := io.ReadAll(far)
	if err != nil || !strings.HasSuffix(string(got), "x\nclose 1013 slow consumer\n") {
		t.Errorf("the peer read %d bytes, %v", len(got), err)
	}
	_, _, _ = far.Close(), near.Close(), ln.Close()
	s.stop()
}

// TestGoodbyeIsHeardByATalker: a peer that is closed while it talks must not
// lose the reason to a reset.
func TestGoodbyeIsHeardByATalker(t *testing.T) {
	s := newSite(t, nil, nil)
	c, r := s.dial(nil, false)
	var talk sync.WaitGroup
	talk.Go(func() {
		for range 2000 {
			if _, err := fmt.Fprintln(c, strings.Repeat("x", 1000)); err != nil {
				return
			}
		}
	})
	fmt.Fprintln(c, "bad 1002")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("no goodbye: %v", err)
		}
		if line == "close 1002 bad line\n" {
			break
		}
	}
	_ = c.Close()
	talk.Wait()
	s.stop()
}

// TestPeerResets ends the connection in the rudest way.
func TestPeerResets(t *testing.T) {
	s := newSite(t, nil, nil)
	c, _ := s.dial(nil, false)
	_ = c.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
	d, _ := s.dial(nil, false)
	text := strings.Repeat("x", 1000)
	for range 100 {
		s.sys.Root.Send(s.fan.Shards[0], &messages.Multicast{
			Members: []uint64{1, 2}, Size: len(text), Frame: &messages.Shared{Message: wrapperspb.String(text)},
		})
	}
	r := bufio.NewReader(d)
	for range 100 {
		if line, err := r.ReadString('\n'); err != nil || line != text+"\n" {
			t.Fatalf("%.20q, %v", line, err)
		}
	}
	_ = d.Close()
	s.stop()
}

// TestTryWriteTakesWhatFits on a real socket.
func TestTryWriteTakesWhatFits(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	far, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := Listener(ln).Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := near.(*Conn)
	if c.Raw() == nil {
		t.Error("a TCP connection has no raw socket")
	}
	c.Release()
	total := 0
	for c.kept() == 0 {
		n, err := c.Write(make([]byte, 100_000))
		if n != 100_000 || err != nil {
			t.Fatalf("Write: %d, %v", n, err)
		}
		total += n
	}
	if err := c.flush(time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) || c.kept() == 0 {
		t.Errorf("flush to a peer that does not read: %v with %d bytes left", err, c.kept())
	}
	done := make(chan int)
	go func() {
		n, _ := io.Copy(io.Discard, far)
		done <- int(n)
	}()
	if err := c.flush(patience); err != nil || c.kept() != 0 {
		t.Errorf("flush: %v with %d bytes left", err, c.kept())
	}
	c.closeWrite()
	if got := <-done; got != total {
		t.Errorf("%d of %d bytes arrived", got, total)
	}
	_, _ = far.Close(), near.Close()
	if _, err := c.Write([]byte("late")); err == nil {
		t.Error("a closed connection was written to")
	}
	if _, err := c.Write([]byte("late")); err == nil {
		t.Error("a closed connection was written to again")
	}
}
