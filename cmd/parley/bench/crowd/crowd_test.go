//go:build linux

package crowd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/cmd/parley/bench/wire"
	"parley/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// patience bounds every wait of these tests; nothing comes near it unless something is broken.
const patience = time.Minute

// script listens and hands each connection to f, which plays the server.
func script(t *testing.T, f func(net.Conn)) Door {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(patience))
			all.Go(func() {
				defer func() { _ = c.Close() }()
				f(c)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	return resolve(t, "ws://"+l.Addr().String())
}

func resolve(t *testing.T, url string) Door {
	t.Helper()
	d, err := Resolve(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// upgrade answers a handshake and returns whether it was one.
func upgrade(c net.Conn, extra string) bool {
	var head []byte
	b := make([]byte, 1024)
	for {
		n, err := c.Read(b)
		if err != nil {
			return false
		}
		head = append(head, b[:n]...)
		_, lines, _, ok, _ := wire.Head(head)
		if ok {
			_, err := fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: %s\r\n\r\n%s",
				wire.Accept(wire.Header(lines, "Sec-WebSocket-Key")), extra)
			return err == nil
		}
	}
}

func text(s string) string { return string(wire.AppendServer(nil, wire.OpText, []byte(s))) }

// read returns the next whole client frame.
func read(c net.Conn, s *wire.Scanner) (wire.Message, bool) {
	b := make([]byte, 256<<10)
	for {
		s.Begin(b)
		s.Filled(0)
		m, ok, err := s.Next()
		if err != nil {
			return m, false
		}
		if ok {
			m.Payload = bytes.Clone(m.Payload)
			s.Keep()
			return m, true
		}
		s.Keep()
		n, err := c.Read(s.Begin(b))
		if err != nil {
			return m, false
		}
		s.Filled(n)
		s.Keep()
	}
}

// collector is a sink that hands on what it is told.
type collector struct {
	texts  chan string
	closes chan int
	errs   chan error
}

func newCollector() *collector {
	return &collector{make(chan string, 1000), make(chan int, 1), make(chan error, 1)}
}

func (c *collector) Text(json []byte, _ int64) { c.texts <- string(json) }

func (c *collector) Closed(code int, err error) {
	c.closes <- code
	c.errs <- err
}

func next[T any](t *testing.T, c chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

func start(t *testing.T, loops int) *Crowd {
	t.Helper()
	c, err := New(loops, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func open(t *testing.T, d Door) *Member {
	t.Helper()
	m, err := Dial(t.Context(), d, patience)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestResolve(t *testing.T) {
	for _, c := range []struct{ url, address, host, path string }{
		{"ws://127.0.0.1:8912", "127.0.0.1:8912", "127.0.0.1:8912", "/connect"},
		{"ws://127.0.0.1:8912/", "127.0.0.1:8912", "127.0.0.1:8912", "/connect"},
		{"ws://127.0.0.1:8912/other?x=1", "127.0.0.1:8912", "127.0.0.1:8912", "/other?x=1"},
		{"ws://127.0.0.1/connect", "127.0.0.1:80", "127.0.0.1", "/connect"},
		{"ws://[::1]:9/connect", "[::1]:9", "[::1]:9", "/connect"},
	} {
		d := resolve(t, c.url)
		if d.Address.String() != c.address || d.Host != c.host || d.Path != c.path {
			t.Errorf("%s: %+v", c.url, d)
		}
	}
	for _, bad := range []string{"", "127.0.0.1:8912", "wss://127.0.0.1:1/", "http://127.0.0.1:1/", "ws://127.0.0.1:0/", "ws://127.0.0.1:70000/", "ws://%zz"} {
		if d, err := Resolve(t.Context(), bad); err == nil {
			t.Errorf("%q is accepted: %+v", bad, d)
		}
	}
}

func TestDialFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := resolve(t, "ws://"+l.Addr().String())
	_ = l.Close()
	if _, err := Dial(t.Context(), dead, patience); !errors.Is(err, ErrUnreachable) {
		t.Fatalf("nobody listens: %v", err)
	}
	for _, c := range []struct {
		name, want string
		server     func(net.Conn)
	}{
		{"refused", "403", func(c net.Conn) { _, _ = c.Write([]byte("HTTP/1.1 403 Forbidden\r\n\r\n")) }},
		{"closed", "closed", func(net.Conn) {}},
		{"wrong key", "accept key", func(c net.Conn) {
			_, _ = c.Write([]byte("HTTP/1.1 101 x\r\nSec-WebSocket-Accept: x\r\n\r\n"))
		}},
		{"endless", "over", func(c net.Conn) { _, _ = c.Write(bytes.Repeat([]byte("x"), 1<<20)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := script(t, func(conn net.Conn) {
				_, _ = conn.Read(make([]byte, 1024))
				c.server(conn)
			})
			if _, err := Dial(t.Context(), d, patience); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want %q", err, c.want)
			}
		})
	}
	silent := script(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 1)); _, _ = c.Read(make([]byte, 4096)); upgrade(c, "") })
	if _, err := Dial(t.Context(), silent, 20*time.Millisecond); err == nil {
		t.Fatal("a silent server is waited for without end")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Dial(ctx, silent, patience); !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
}

func TestSource(t *testing.T) {
	from := make(chan string, 1)
	d := script(t, func(c net.Conn) {
		from <- c.RemoteAddr().String()
		upgrade(c, "")
	})
	d.Source = resolve(t, "ws://127.0.0.9:1/").Address.Addr()
	open(t, d).Leave()
	if got := next(t, from); !strings.HasPrefix(got, "127.0.0.9:") {
		t.Fatalf("came from %s", got)
	}
}

// TestLife goes through a connection's life: an answer among deliveries and a ping, frames left over from it, a message
// in pieces, one larger than the buffer, a ping, and the server's close.
func TestLife(t *testing.T) {
	pongs := make(chan string, 2)
	ended := make(chan wire.Message, 1)
	large := strings.Repeat("l", readBuffer*2+7)
	d := script(t, func(c net.Conn) {
		if !upgrade(c, text("early")) {
			return
		}
		s := &wire.Scanner{Masked: true}
		if m, ok := read(c, s); !ok || string(m.Payload) != `{"ask":1}` {
			return
		}
		third := text("three")
		_, _ = c.Write([]byte(text("delivery") + string(wire.AppendServer(nil, wire.OpPing, []byte("a"))) +
			text(`{"type":"response","data":{"ok":false,"reason":"why"},"nonce":""}`) + text("one") + text("two") + third[:3]))
		if m, ok := read(c, s); ok && m.Op == wire.OpPong {
			pongs <- string(m.Payload)
		}
		_, _ = c.Write([]byte(third[3:] + text(large) + string(wire.AppendServer(nil, wire.OpPing, []byte("b")))))
		if m, ok := read(c, s); ok && m.Op == wire.OpPong {
			pongs <- string(m.Payload)
		}
		_, _ = c.Write(wire.AppendServer(nil, wire.OpClose, wire.AppendClose(nil, 1013, "slow consumer")))
		m, _ := read(c, s)
		ended <- m
	})
	c := start(t, 1)
	m := open(t, d)
	ok, reason, err := m.Ask([]byte(`{"ask":1}`), patience)
	if ok || reason != "why" || err != nil {
		t.Fatalf("%t %q %v", ok, reason, err)
	}
	sink := newCollector()
	if err := c.Join(m, sink, 0, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"one", "two", "three", large} {
		if got := next(t, sink.texts); got != want {
			t.Fatalf("%d bytes %.20q, want %.20q", len(got), got, want)
		}
	}
	if a, b := next(t, pongs), next(t, pongs); a != "a" || b != "b" {
		t.Fatalf("pongs %q and %q", a, b)
	}
	if code, err := next(t, sink.closes), next(t, sink.errs); code != 1013 || err != nil {
		t.Fatalf("closed with %d, %v", code, err)
	}
	if m := next(t, ended); m.Op != wire.OpClose {
		t.Fatalf("the close was answered with op %d", m.Op)
	}
	m.Write([]byte("swallowed"))
	if m.WriteAll(t.Context(), []byte("x")) {
		t.Fatal("a closed member can be written to")
	}
}

func TestAskAndTheServerCloses(t *testing.T) {
	for _, c := range []struct {
		name, says string
		code       int
	}{
		{"with a code", string(wire.AppendServer(nil, wire.OpClose, wire.AppendClose(nil, 1008, ""))), 1008},
		{"without", "", wire.CloseAbnormal},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := script(t, func(conn net.Conn) {
				if upgrade(conn, "") {
					read(conn, &wire.Scanner{Masked: true})
					_, _ = conn.Write([]byte(c.says))
				}
			})
			m := open(t, d)
			defer m.Leave()
			_, _, err := m.Ask([]byte("{}"), patience)
			var closed *ClosedError
			if !errors.As(err, &closed) || closed.Code != c.code {
				t.Fatalf("error %v, want code %d", err, c.code)
			}
		})
	}
}

func TestBrokenFramesAreReported(t *testing.T) {
	d := script(t, func(c net.Conn) {
		if upgrade(c, "") {
			_, _ = c.Write([]byte{0xFF, 0xFF})
			_, _ = c.Read(make([]byte, 1024))
		}
	})
	c := start(t, 1)
	sink := newCollector()
	if err := c.Join(open(t, d), sink, 0, false); err != nil {
		t.Fatal(err)
	}
	if code, err := next(t, sink.closes), next(t, sink.errs); code != wire.CloseAbnormal || !errors.Is(err, wire.ErrReserved) {
		t.Fatalf("closed with %d, %v", code, err)
	}
}

// TestStopped: a stopped member is read only by Take, and by the loop after Resume; then it learns its close.
func TestStopped(t *testing.T) {
	d := script(t, func(c net.Conn) {
		if upgrade(c, "") {
			read(c, &wire.Scanner{Masked: true})
			_, _ = c.Write([]byte(text("a") + text("b") + text("c")))
			_, _ = c.Write(wire.AppendServer(nil, wire.OpClose, wire.AppendClose(nil, 1013, "")))
			_, _ = c.Read(make([]byte, 1024))
		}
	})
	c := start(t, 2)
	sink := newCollector()
	m := open(t, d)
	if err := c.Join(m, sink, 1, true); err != nil {
		t.Fatal(err)
	}
	m.Write(wire.AppendClient(nil, wire.OpText, m.Mask(), []byte("begin")))
	for end := time.Now().Add(patience); len(sink.texts) == 0; {
		if time.Now().After(end) {
			t.Fatal("nothing came")
		}
		c.Take(m, len(text("a")))
	}
	if got := next(t, sink.texts); got != "a" || len(sink.texts) != 0 {
		t.Fatalf("took %q and %d more", got, len(sink.texts))
	}
	if err := c.Resume(m); err != nil {
		t.Fatal(err)
	}
	if a, b := next(t, sink.texts), next(t, sink.texts); a != "b" || b != "c" {
		t.Fatalf("then %q and %q", a, b)
	}
	if code := next(t, sink.closes); code != 1013 {
		t.Fatalf("closed with %d", code)
	}
	if err := c.Resume(m); err != nil {
		t.Fatal(err)
	}
	c.Take(m, 10)
}

// TestWritesWait: a server that does not read for a while still gets everything, in order, from both kinds of write.
func TestWritesWait(t *testing.T) {
	const frames, size = 200, 64 << 10
	for _, wait := range []bool{false, true} {
		t.Run(fmt.Sprintf("wait %t", wait), func(t *testing.T) {
			begin, done := make(chan struct{}), make(chan int, 1)
			d := script(t, func(c net.Conn) {
				if !upgrade(c, "") {
					return
				}
				<-begin
				s := &wire.Scanner{Masked: true}
				n := 0
				for n < frames {
					m, ok := read(c, s)
					if !ok || len(m.Payload) != size || m.Payload[0] != byte(n) {
						break
					}
					n++
				}
				done <- n
			})
			c := start(t, 1)
			m := open(t, d)
			if err := c.Join(m, newCollector(), 0, false); err != nil {
				t.Fatal(err)
			}
			if wait {
				close(begin)
			}
			for i := range frames {
				f := wire.AppendClient(nil, wire.OpText, m.Mask(), bytes.Repeat([]byte{byte(i)}, size))
				if !wait {
					m.Write(f)
				} else if !m.WriteAll(t.Context(), f) {
					t.Fatal("the connection ended")
				}
			}
			if !wait {
				close(begin)
			}
			if n := next(t, done); n != frames {
				t.Fatalf("%d frames came", n)
			}
		})
	}
}

func TestWriteAllEndsWithTheContext(t *testing.T) {
	stop := make(chan struct{})
	d := script(t, func(c net.Conn) {
		upgrade(c, "")
		<-stop
	})
	defer close(stop)
	c := start(t, 1)
	m := open(t, d)
	if err := c.Join(m, newCollector(), 0, false); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	for m.WriteAll(ctx, make([]byte, 1<<20)) {
		if ctx.Err() != nil && t.Context().Err() != nil {
			t.Fatal("never full")
		}
	}
}

func TestCloseSaysGoodbye(t *testing.T) {
	ended := make(chan int, 1)
	d := script(t, func(c net.Conn) {
		if upgrade(c, "") {
			m, _ := read(c, &wire.Scanner{Masked: true})
			ended <- wire.CloseCode(m.Payload)
		}
	})
	c := start(t, 1)
	m := open(t, d)
	sink := newCollector()
	if err := c.Join(m, sink, 0, false); err != nil {
		t.Fatal(err)
	}
	rested := false
	c.Rest(func() { rested = true })
	c.Close()
	c.Close()
	if code := next(t, ended); code != wire.CloseNormal || len(sink.closes) != 0 || !rested {
		t.Fatalf("left with %d, sink told %d times", code, len(sink.closes))
	}
	if err := c.Join(m, sink, 0, false); !errors.Is(err, ErrClosed) {
		t.Fatalf("joined a closed crowd: %v", err)
	}
}

func TestGather(t *testing.T) {
	var mu sync.Mutex
	seen := map[int]bool{}
	err := Gather(t.Context(), 100, 7, func(_ context.Context, i int) error {
		mu.Lock()
		defer mu.Unlock()
		seen[i] = true
		return nil
	})
	if err != nil || len(seen) != 100 {
		t.Fatalf("%d calls, %v", len(seen), err)
	}
	boom := errors.New("boom")
	n := 0
	err = Gather(t.Context(), 100, 1, func(context.Context, int) error {
		n++
		return boom
	})
	if !errors.Is(err, boom) || n != 1 {
		t.Fatalf("%d calls, %v", n, err)
	}
}

// TestSubprotocol is offered, and must be chosen.
func TestSubprotocol(t *testing.T) {
	for _, c := range []struct {
		offered, chosen string
		ok              bool
	}{{"a", "a", true}, {"a", "b", false}, {"a", "", false}, {"", "a", false}, {"", "", true}} {
		d := script(t, func(conn net.Conn) {
			var head []byte
			b := make([]byte, 1024)
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			head = append(head, b[:n]...)
			_, lines, _, _, _ := wire.Head(head)
			line := ""
			if c.chosen != "" && wire.Header(lines, subprotocol) == c.offered {
				line = "Sec-WebSocket-Protocol: " + c.chosen + "\r\n"
			}
			fmt.Fprintf(conn, "HTTP/1.1 101 x\r\n%sSec-WebSocket-Accept: %s\r\n\r\n", line, wire.Accept(wire.Header(lines, "Sec-WebSocket-Key")))
			_, _ = conn.Read(b) // until it leaves
		})
		d.Subprotocol = c.offered
		m, err := Dial(t.Context(), d, patience)
		if (err == nil) != c.ok {
			t.Errorf("offered %q, chosen %q: %v", c.offered, c.chosen, err)
		}
		if err == nil {
			m.Leave()
		}
	}
}

// TestHear finds one message among many, of which some came along with an earlier one.
func TestHear(t *testing.T) {
	long := strings.Repeat("x", 3*smallBuffer)
	d := script(t, func(c net.Conn) {
		if !upgrade(c, text("1")+text("2")) {
			return
		}
		s := wire.Scanner{Masked: true}
		if m, ok := read(c, &s); !ok || string(m.Payload) != "go on" {
			return
		}
		all := text("3")
		for range 9 {
			all += text(long)
		}
		_, _ = c.Write([]byte(all + text("4") + text("5")))
		_, _ = read(c, &s)
	})
	m := open(t, d)
	defer m.Leave()
	var heard []string
	hear := func(want string) {
		t.Helper()
		err := m.Hear(patience, func(json []byte) bool {
			heard = append(heard, string(json[:1]))
			return string(json) == want
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	hear("1")
	hear("2")
	if err := m.Say([]byte("go on"), patience); err != nil {
		t.Fatal(err)
	}
	hear("4")
	hear("5")
	if got := strings.Join(heard, ""); got != "123xxxxxxxxx45" {
		t.Errorf("heard %s", got)
	}
}
