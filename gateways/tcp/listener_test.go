package tcp

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"parley/gateways/guard"
	"parley/gateways/link"
)

// listen is a Listener on loopback.
func listen(t *testing.T, limits guard.Limits) *Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := Listen(l, limits, guard.Hooks{}, 100)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func dial(t *testing.T, to net.Addr) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*net.TCPConn)
}

// until waits for a condition that others bring about.
func until(t *testing.T, what string, met func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !met(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("no " + what)
		}
	}
}

// TestDoor: a connection is half open until its first packet, and counts until it
// is closed.
func TestDoor(t *testing.T) {
	l := listen(t, guard.Limits{MaxConns: 10, HalfOpenTotal: 10})
	far := dial(t, l.Addr())
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if got := l.Door.HalfOpen(); got != 1 {
		t.Errorf("%d half open", got)
	}
	_, _ = far.Write(stream("", "x"))
	if err := s.Next(); err != nil {
		t.Fatal(err)
	}
	if got := l.Door.HalfOpen(); got != 1 {
		t.Errorf("%d half open before the first packet", got)
	}
	if _, _, err := s.Read(nil); err != nil || l.Door.HalfOpen() != 0 || l.Door.Conns() != 1 {
		t.Errorf("%v, %d half open of %d", err, l.Door.HalfOpen(), l.Door.Conns())
	}
	if err := s.Conn().Conn.(*guest).CloseWrite(); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadAll(far); err != nil {
		t.Error(err)
	}
	_ = s.Conn().Close()
	until(t, "end", func() bool { return l.Door.Conns() == 0 })
	if s.Conn().NetConn().(*guest).NetConn().RemoteAddr().String() != far.LocalAddr().String() {
		t.Error("another connection")
	}
}

// TestDoorFull: over MaxConns newcomers are reset; over HalfOpenTotal the oldest
// is, while its link writes.
func TestDoorFull(t *testing.T) {
	l := listen(t, guard.Limits{MaxConns: 3, HalfOpenTotal: 2})
	came := make(chan *Socket)
	go func() {
		defer close(came)
		for {
			s, err := l.Accept()
			if err != nil {
				return
			}
			came <- s
		}
	}()
	far := []*net.TCPConn{dial(t, l.Addr()), dial(t, l.Addr())}
	sockets := []*Socket{<-came, <-came}
	oldest := sockets[0].conn
	oldest.Release()
	stop := make(chan struct{})
	wrote := make(chan error, 1)
	go func() { // as a friend's handshake would, whenever it likes
		for {
			select {
			case <-stop:
				wrote <- nil
				return
			default:
				if _, err := oldest.Write([]byte{0}); err != nil {
					wrote <- err
					return
				}
			}
		}
	}()
	drained := make(chan error, 1)
	go func(c net.Conn) { // or it would only be kept
		_, err := io.Copy(io.Discard, c)
		drained <- err
	}(far[0])
	far = append(far, dial(t, l.Addr()))
	if err := <-wrote; !errors.Is(err, net.ErrClosed) {
		t.Errorf("the oldest writes on: %v", err)
	}
	close(stop)
	<-drained
	until(t, "count", func() bool { return l.Door.Counts()[guard.ReasonHalfOpenTotal] == 1 })
	sockets = append(sockets, <-came)
	for i := 1; i < 3; i++ { // both are open now, so the next may be half open
		_, _ = far[i].Write(stream("x"))
		if err := sockets[i].Next(); err != nil {
			t.Fatal(err)
		}
		if _, _, err := sockets[i].Read(nil); err != nil {
			t.Fatal(err)
		}
	}
	dial(t, l.Addr())
	sockets = append(sockets, <-came)
	if c, err := net.Dial("tcp", l.Addr().String()); err == nil { // or it was reset so soon
		_ = c.SetReadDeadline(time.Now().Add(patience))
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("refused: %v", err)
		}
		_ = c.Close()
	}
	_ = l.Close()
	<-came
	for _, s := range sockets {
		_ = s.conn.Close()
	}
	until(t, "end", func() bool { return l.Door.Conns() == 0 })
}

// TestResets: thousands that connect and reset at once leave nothing behind.
func TestResets(t *testing.T) {
	const storm = 2000
	l := listen(t, guard.Limits{MaxConns: 100, HalfOpenTotal: 50})
	var links sync.WaitGroup
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			s, err := l.Accept()
			if err != nil {
				return
			}
			links.Go(func() { // as the reader of a link
				_, _ = all(s)
				_ = s.conn.Close()
			})
		}
	}()
	var stormers sync.WaitGroup
	for range 4 {
		stormers.Go(func() {
			for i := range storm / 4 {
				c, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					continue
				}
				if i%2 == 0 {
					_, _ = c.Write(stream("x", "y")[:i%11])
				}
				_ = c.(*net.TCPConn).SetLinger(0)
				_ = c.Close()
			}
		})
	}
	stormers.Wait()
	until(t, "end of all", func() bool { return l.Door.Conns() == 0 })
	far := dial(t, l.Addr())
	_, _ = far.Write(stream("x"))
	until(t, "honest one", func() bool { return l.Door.Conns() == 1 && l.Door.HalfOpen() == 0 })
	_ = far.Close()
	_ = l.Close()
	<-done
	links.Wait()
}

// TestDial: from the address that this node listens on, watched by the kernel.
func TestDial(t *testing.T) {
	l := listen(t, guard.Limits{})
	for _, local := range []string{"127.0.0.2", "::ffff:127.0.0.3", "0.0.0.0", ""} {
		d := Dialler{Limit: 100}
		d.Local, _ = netip.ParseAddr(local)
		s, err := d.Dial(t.Context(), l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		near, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		from := near.Conn().RemoteAddr().(*net.TCPAddr).IP.String()
		if want := strings.TrimPrefix(local, "::ffff:"); from != want && d.Local.IsValid() && !d.Local.IsUnspecified() {
			t.Errorf("from %s, bound to %s", from, local)
		}
		for _, e := range []*Socket{s, near} {
			_ = e.raw.Control(func(fd uintptr) {
				for _, o := range [][3]int{
					{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
					{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 30},
					{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 60_000},
					{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
				} {
					if got, err := unix.GetsockoptInt(int(fd), o[0], o[1]); err != nil || got != o[2] {
						t.Errorf("option %v is %d, %v", o, got, err)
					}
				}
			})
			_ = e.Conn().Close()
		}
	}
}

// TestDialRefused: what is no address is not looked up, and what does not answer
// is given up.
func TestDialRefused(t *testing.T) {
	for to, want := range map[string]error{
		"localhost:7776": errAddress, "127.0.0.1": errAddress, "127.0.0.1:0": errAddress, "": errAddress, "[::1]:7776": errFamily,
	} {
		d := Dialler{Local: netip.MustParseAddr("127.0.0.1")}
		if s, err := d.Dial(t.Context(), to); s != nil || !errors.Is(err, want) {
			t.Errorf("%q: %v", to, err)
		}
	}
	l := listen(t, guard.Limits{})
	_ = l.Close()
	if _, err := (&Dialler{}).Dial(t.Context(), l.Addr().String()); err == nil || !strings.HasPrefix(err.Error(), "tcp: dial ") {
		t.Error(err)
	}
	synctest.Test(t, func(t *testing.T) {
		nobody := func(ctx context.Context, network, address string) (net.Conn, error) {
			if network != "tcp6" || address != "[fe80::1%eth0]:1" {
				t.Error(network, address)
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}
		begun := time.Now()
		if _, err := (&Dialler{Connect: nobody}).Dial(t.Context(), "[fe80::1%eth0]:1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if took := time.Since(begun); took != dialTimeout {
			t.Errorf("given up after %v", took)
		}
		odd := func(context.Context, string, string) (net.Conn, error) { c, _ := net.Pipe(); return c, nil }
		if _, err := (&Dialler{Connect: odd}).Dial(t.Context(), "127.0.0.1:1"); err == nil {
			t.Error("a connection that cannot write without waiting")
		}
	})
}

var _ link.Socket = (*Socket)(nil)
