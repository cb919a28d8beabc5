package guard

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// inBubble runs f against a Server on an in-memory network and fake time, and
// checks that no connection is left counted.
func inBubble(t *testing.T, o ServerOptions, h http.Handler, f func(t *testing.T, l *fakeListener, door *Door)) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeListener(16)
		door := NewDoor(l, Limits{MaxConns: 100, HalfOpenTotal: 100, HalfOpenPerAddress: 100}, Hooks{})
		o.Door = door
		s := Server(h, o)
		served := make(chan error)
		go func() { served <- s.Serve(door) }()
		f(t, l, door)
		_ = s.Close()
		<-served
		synctest.Wait()
		if door.Conns() != 0 || door.HalfOpen() != 0 {
			t.Errorf("%d connections left, %d half open", door.Conns(), door.HalfOpen())
		}
	})
}

// lifetime waits until the server ends the connection.
func lifetime(conn net.Conn) time.Duration {
	began := time.Now()
	_, _ = io.Copy(io.Discard, conn)
	return time.Since(began)
}

var hello = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })

const getHealth = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"

func TestSlowHeader(t *testing.T) {
	peer := addrOf(t, "192.0.2.1:1")
	inBubble(t, ServerOptions{}, hello, func(t *testing.T, l *fakeListener, door *Door) {
		silent, half, drip := l.dial(peer), l.dial(peer), l.dial(peer)
		go func() { _, _ = io.WriteString(half, getHealth[:20]) }()
		var dripping sync.WaitGroup
		dripping.Go(func() {
			for i := range getHealth {
				if _, err := io.WriteString(drip, getHealth[i:i+1]); err != nil {
					return
				}
				time.Sleep(200 * time.Millisecond)
			}
		})
		ages := make(chan time.Duration)
		for _, conn := range []net.Conn{silent, half, drip} {
			go func() { ages <- lifetime(conn) }()
		}
		synctest.Wait()
		if door.HalfOpen() != 3 {
			t.Errorf("%d half open, want 3", door.HalfOpen())
		}
		for range 3 {
			if age := <-ages; age != HeaderTimeout {
				t.Errorf("cut after %v, want %v", age, HeaderTimeout)
			}
		}
		dripping.Wait()
		if door.HalfOpen() != 0 || door.Conns() != 0 {
			t.Errorf("%d half open of %d after the cut", door.HalfOpen(), door.Conns())
		}
	})
}

func TestSlowBodyAndIdle(t *testing.T) {
	peer := addrOf(t, "192.0.2.1:1")
	inBubble(t, ServerOptions{}, hello, func(t *testing.T, l *fakeListener, door *Door) {
		// A body that never comes: net/http would wait for it behind the handler.
		body := l.dial(peer)
		go func() {
			_, _ = io.WriteString(body, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nx")
		}()
		if age := lifetime(body); age < HeaderTimeout || age > RequestTimeout+time.Second {
			t.Errorf("slow body cut after %v", age)
		}
		idle := l.dial(peer)
		go func() { _, _ = io.WriteString(idle, getHealth) }()
		if _, err := http.ReadResponse(bufio.NewReader(idle), nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if door.HalfOpen() != 0 || door.Conns() != 1 {
			t.Errorf("answered: %d half open of %d, want 0 of 1", door.HalfOpen(), door.Conns())
		}
		if age := lifetime(idle); age != IdleTimeout {
			t.Errorf("idle cut after %v, want %v", age, IdleTimeout)
		}
	})
}

// No time-out of the server follows a connection through its hijacking, and it
// counts until its owner says that it is closed.
func TestHijacked(t *testing.T) {
	var taken chan net.Conn // made in the bubble, else waiting on it stops its clock
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
		}
		taken <- conn
	})
	peer := addrOf(t, "192.0.2.1:1")
	inBubble(t, ServerOptions{}, h, func(t *testing.T, l *fakeListener, door *Door) {
		taken = make(chan net.Conn, 1)
		client := l.dial(peer)
		go func() { _, _ = io.WriteString(client, getHealth) }()
		conn := <-taken
		time.Sleep(time.Hour)
		synctest.Wait()
		if door.HalfOpen() != 0 || door.Conns() != 1 {
			t.Errorf("hijacked: %d half open of %d, want 0 of 1", door.HalfOpen(), door.Conns())
		}
		go func() { _, _ = io.WriteString(client, "x") }()
		if n, err := conn.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("an hour later: %d, %v", n, err)
		}
		_ = conn.Close()
		door.Closed(conn)
		door.Closed(conn)
		if door.Conns() != 0 {
			t.Errorf("%d left", door.Conns())
		}
	})
}

// With TLS above the door the server reports *tls.Conn; a silent client is cut
// in the handshake, and HTTP/2 is not offered.
func TestTLS(t *testing.T) {
	peer := addrOf(t, "192.0.2.1:1")
	cert := selfSigned(t)
	synctest.Test(t, func(t *testing.T) {
		l := newFakeListener(16)
		door := NewDoor(l, Limits{MaxConns: 100, HalfOpenTotal: 100}, Hooks{})
		s := Server(hello, ServerOptions{Door: door})
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
		served := make(chan error)
		go func() { served <- s.ServeTLS(door, "", "") }()

		silent := l.dial(peer)
		synctest.Wait()
		if door.HalfOpen() != 1 {
			t.Errorf("%d half open, want 1", door.HalfOpen())
		}
		if age := lifetime(silent); age != HeaderTimeout {
			t.Errorf("silent TLS client cut after %v", age)
		}
		synctest.Wait()
		if door.Conns() != 0 {
			t.Errorf("%d left of the silent one", door.Conns())
		}
		client := tls.Client(l.dial(peer), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}})
		go func() { _, _ = io.WriteString(client, getHealth) }()
		if _, err := http.ReadResponse(bufio.NewReader(client), nil); err != nil {
			t.Fatal(err)
		}
		if p := client.ConnectionState().NegotiatedProtocol; p != "http/1.1" {
			t.Errorf("negotiated %q", p)
		}
		synctest.Wait()
		if door.HalfOpen() != 0 || door.Conns() != 1 {
			t.Errorf("answered: %d half open of %d, want 0 of 1", door.HalfOpen(), door.Conns())
		}
		_ = s.Close()
		<-served
		synctest.Wait()
		if door.Conns() != 0 {
			t.Errorf("%d left", door.Conns())
		}
		_ = client.Close()
	})
}

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestHeaderBytes(t *testing.T) {
	const fixed = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: \r\n\r\n"
	for size, status := range map[int]int{
		1000:            http.StatusOK,
		HeaderBytes:     http.StatusOK,
		HeaderBytes + 1: http.StatusRequestHeaderFieldsTooLarge,
		1 << 20:         http.StatusRequestHeaderFieldsTooLarge,
	} {
		raw := strings.Replace(fixed, "X: ", "X: "+strings.Repeat("x", size-len(fixed)), 1)
		if got := ask(t, Rules{}, raw).StatusCode; got != status {
			t.Errorf("header of %d bytes: %d, want %d", size, got, status)
		}
	}
}

const refusedRequest = "GET /connect HTTP/1.1\r\nHost: evil.example:5333\r\nOrigin: http://evil.example:5333\r\n" +
	"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// refuser answers refused requests, one a connection; call it for one more.
func refuser(tb testing.TB) func() {
	l := newFakeListener(1)
	limits := DefaultLimits()
	limits.Rate = 1e9
	door := NewDoor(l, limits, Hooks{})
	s := Server(door.Screen(Rules{LoopbackOnly: true, Port: 5333, HostsOption: "ui-hosts"}, hello), ServerOptions{Door: door})
	closed := make(chan struct{})
	s.ConnState = func(conn net.Conn, state http.ConnState) {
		door.ConnState(conn, state)
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}
	serve(tb, s, door)
	conn := newFakeConn(addrOf(tb, "192.0.2.1:40000"))
	input := strings.NewReader("")
	conn.input = input
	return func() {
		input.Reset(refusedRequest)
		l.arrivals <- arrival{conn: conn}
		<-closed
	}
}

// A refused request, with the connection it came on, costs at most 4 KiB.
func TestRefusalIsCheap(t *testing.T) {
	const rounds, limitBytes = 500, 4 << 10
	refuse := refuser(t)
	refuse()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range rounds {
		refuse()
	}
	runtime.ReadMemStats(&after)
	if cost := (after.TotalAlloc - before.TotalAlloc) / rounds; cost > limitBytes && !raceEnabled {
		t.Errorf("%d bytes a refusal", cost)
	}
}

func BenchmarkRefusal(b *testing.B) {
	refuse := refuser(b)
	b.ReportAllocs()
	for b.Loop() {
		refuse()
	}
}
