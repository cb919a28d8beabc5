package guard

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// addrOf is a net.Addr for any "ip:port".
func addrOf(t testing.TB, s string) net.Addr {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// fakeConn is a connection that delivers a fixed input and forgets what is
// written, unless it is asked to keep it.
type fakeConn struct {
	remote net.Addr
	input  io.Reader        // nil = end of file
	output *strings.Builder // nil = forget
	once   sync.Once
	closed chan struct{} // closed by Close
}

func newFakeConn(remote net.Addr) *fakeConn {
	return &fakeConn{remote: remote, closed: make(chan struct{})}
}

func (c *fakeConn) Read(p []byte) (int, error) {
	if c.input == nil {
		return 0, io.EOF
	}
	return c.input.Read(p)
}

func (c *fakeConn) Write(p []byte) (int, error) {
	if c.output != nil {
		c.output.Write(p)
	}
	return len(p), nil
}

func (c *fakeConn) Close() error                     { c.once.Do(func() { close(c.closed) }); return nil }
func (c *fakeConn) LocalAddr() net.Addr              { return c.remote }
func (c *fakeConn) RemoteAddr() net.Addr             { return c.remote }
func (c *fakeConn) SetDeadline(time.Time) error      { return nil }
func (c *fakeConn) SetReadDeadline(time.Time) error  { return nil }
func (c *fakeConn) SetWriteDeadline(time.Time) error { return nil }

func (c *fakeConn) isClosed() bool {
	select {
	case <-c.closed:
		return true
	default:
		return false
	}
}

// arrival is what a scripted Accept returns.
type arrival struct {
	conn net.Conn
	err  error
}

// fakeListener hands out what is sent to arrivals.
type fakeListener struct {
	arrivals chan arrival
	once     sync.Once
	done     chan struct{}
}

func newFakeListener(queue int) *fakeListener {
	return &fakeListener{arrivals: make(chan arrival, queue), done: make(chan struct{})}
}

func (l *fakeListener) Accept() (net.Conn, error) {
	select {
	case a := <-l.arrivals:
		return a.conn, a.err
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *fakeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *fakeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5333} }

// pipeConn is one end of a net.Pipe with an address.
type pipeConn struct {
	net.Conn
	remote net.Addr
}

func (c *pipeConn) RemoteAddr() net.Addr { return c.remote }

// dial opens an in-memory connection to the listener.
func (l *fakeListener) dial(remote net.Addr) net.Conn {
	client, server := net.Pipe()
	l.arrivals <- arrival{conn: &pipeConn{server, remote}}
	return client
}

// wrapped is what a link layer does to a connection.
type wrapped struct{ net.Conn }

func (w *wrapped) NetConn() net.Conn { return w.Conn }

// serve runs a Server over the listener until the test ends.
func serve(t testing.TB, s *http.Server, l net.Listener) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l) // http.ErrServerClosed
	}()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
}

// ask sends one raw request through a real net/http server with the rules and
// returns the answer.
func ask(t testing.TB, rules Rules, raw string) *http.Response {
	t.Helper()
	l := newFakeListener(1)
	door := NewDoor(l, Limits{}, Hooks{})
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "in") })
	s := Server(door.Screen(rules, ok), ServerOptions{Door: door})
	closed := make(chan struct{})
	s.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			close(closed)
		}
	}
	serve(t, s, door)
	conn := newFakeConn(addrOf(t, "127.0.0.1:40000"))
	conn.input, conn.output = strings.NewReader(raw), new(strings.Builder)
	l.arrivals <- arrival{conn: conn}
	<-closed
	res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(conn.output.String())), nil)
	if err != nil {
		t.Fatalf("answer %q: %v", conn.output.String(), err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}
