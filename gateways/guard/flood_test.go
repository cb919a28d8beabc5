package guard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// floodSize is the number of half-open connections of the flood tests, less
// where the process may not have that many descriptors (two a connection).
func floodSize(t *testing.T) int {
	const want, spare = 5000, 500
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	return min(want, (int(files.Cur)-spare)/2)
}

// flooded is a Server with a Door on a real socket; every connection that ends
// is told.
type flooded struct {
	door  *Door
	addr  string
	ended chan struct{}
}

func newFlooded(t *testing.T, limits Limits) *flooded {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &flooded{door: NewDoor(l, limits, Hooks{}), addr: l.Addr().String(), ended: make(chan struct{}, 3*floodSize(t))}
	// The attackers stay as long as the test lasts, however slow the machine is.
	s := Server(hello, ServerOptions{Door: f.door, Header: time.Hour})
	s.ConnState = func(conn net.Conn, state http.ConnState) {
		f.door.ConnState(conn, state)
		if state == http.StateClosed {
			f.ended <- struct{}{}
		}
	}
	serve(t, s, f.door)
	return f
}

// attack opens n connections from 127.1.0.x, spread over so many addresses,
// each with half a header, and closes them when the test ends.
func (f *flooded) attack(t *testing.T, n, addresses int) {
	for i := range n {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(i%addresses>>8), byte(1+i%addresses))}}
		conn, err := d.DialContext(t.Context(), "tcp", f.addr)
		if errors.Is(err, syscall.ECONNRESET) {
			continue // turned away before connect looked
		}
		if err != nil {
			t.Fatalf("attacker %d: %v", i, err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_, _ = io.WriteString(conn, getHealth[:20]) // may be reset already
	}
}

// good asks as an honest client from an address of its own.
func (f *flooded) good(t *testing.T) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 2, 0, 1)}}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return d.DialContext(ctx, network, f.addr)
		},
	}}
	res, err := client.Get(fmt.Sprintf("http://%s/health", f.addr))
	if err != nil {
		t.Fatalf("good client: %v", err)
	}
	defer func() { _ = res.Body.Close() }()
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "hello" {
		t.Fatalf("good client: %q, %v", body, err)
	}
}

// All of the flood is held half open, and the good client does not notice.
func TestFloodHeld(t *testing.T) {
	n := floodSize(t)
	f := newFlooded(t, Limits{HalfOpenPerAddress: n / 100, HalfOpenTotal: n + 10})
	f.attack(t, n, 100)
	f.good(t)
	<-f.ended
	if got := f.door.HalfOpen(); got != n {
		t.Errorf("%d half open, want %d", got, n)
	}
}

// One address holds what one address may; everybody else is served.
func TestFloodOneAddress(t *testing.T) {
	const perAddress = 64
	n := floodSize(t)
	f := newFlooded(t, Limits{HalfOpenPerAddress: perAddress, HalfOpenTotal: n})
	f.attack(t, n, 1)
	f.good(t)
	<-f.ended
	if got := f.door.HalfOpen(); got != perAddress {
		t.Errorf("%d half open, want %d", got, perAddress)
	}
	if got := f.door.Counts()[ReasonHalfOpenAddress]; got != uint64(n-perAddress) {
		t.Errorf("%d refused, want %d", got, n-perAddress)
	}
}

// Many addresses fill the door, and lose their oldest to the good client.
func TestFloodManyAddresses(t *testing.T) {
	const total = 500
	n := floodSize(t)
	f := newFlooded(t, Limits{HalfOpenPerAddress: 64, HalfOpenTotal: total})
	f.attack(t, n, 200)
	f.good(t)
	for range n - total + 1 + 1 { // the cut attackers, one more for the good client, and the good client
		<-f.ended
	}
	if got := f.door.HalfOpen(); got != total-1 {
		t.Errorf("%d half open, want %d", got, total-1)
	}
	if got := f.door.Counts()[ReasonHalfOpenTotal]; got != uint64(n-total+1) {
		t.Errorf("%d cut, want %d", got, n-total+1)
	}
}

// An owner who forgets Closed does not lock the door: connections that are
// closed on our side are found when the limit is hit.
func TestForgottenConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	// Refused for ever, the third would leave Accept waiting for a fourth.
	if err := l.(*net.TCPListener).SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	door := NewDoor(l, Limits{MaxConns: 2}, Hooks{})
	defer func() { _ = door.Close() }()
	arrive := func() net.Conn {
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close() })
		conn, err := door.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := conn.(*net.TCPConn); !ok {
			t.Fatalf("the door wraps: %T", conn)
		}
		t.Cleanup(func() { _ = conn.Close() })
		door.Opened(conn)
		return conn
	}
	forgotten := arrive()
	arrive()
	_ = forgotten.Close()
	arrive()
	if n := door.Conns(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
	if n := door.Counts()[ReasonMaxConns]; n != 0 {
		t.Errorf("%d refused", n)
	}
}
