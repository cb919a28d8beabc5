package guard

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func TestIsLoopback(t *testing.T) {
	for s, want := range map[string]bool{
		"127.0.0.1:1": true, "127.9.9.9:1": true, "[::1]:1": true, "[::ffff:127.0.0.1]:1": true,
		"0.0.0.0:1": false, "[::]:1": false, "192.0.2.1:1": false, "[fe80::1%1]:1": false,
	} {
		if got := IsLoopback(addrOf(t, s)); got != want {
			t.Errorf("%s: %v", s, got)
		}
	}
	pipe, other := net.Pipe()
	defer func() { _, _ = pipe.Close(), other.Close() }()
	if !IsLoopback(pipe.LocalAddr()) || !IsLoopback(&net.UnixAddr{Name: "s", Net: "unix"}) {
		t.Error("a pipe or unix socket is not local")
	}
	if IsLoopback(nil) || IsLoopback(namedAddr("somewhere")) {
		t.Error("an unknown address is local")
	}
	if !IsLoopback(namedAddr("127.0.0.1:80")) {
		t.Error("an address type of a test network is not understood")
	}
}

type namedAddr string

func (a namedAddr) Network() string { return "sim" }
func (a namedAddr) String() string  { return string(a) }

// model is what tickets must do, in the plainest form.
type model struct {
	limits Limits
	order  []*modelConn // that have a ticket, by arrival
}

type modelConn struct {
	conn     net.Conn // what the door sees
	outer    net.Conn // what the server sees: conn, or a wrapper of it
	peer     string
	halfOpen bool
}

func (m *model) halfOpen(peer string) (n int) {
	for _, c := range m.order {
		if c.halfOpen && (peer == "" || c.peer == peer) {
			n++
		}
	}
	return n
}

func (m *model) remove(c *modelConn) {
	for i := range m.order {
		if m.order[i] == c {
			m.order = append(m.order[:i:i], m.order[i+1:]...)
			return
		}
	}
}

// arrive returns the reason of refusal and the connection that must go.
func (m *model) arrive(c *modelConn) (reason string, victim *modelConn) {
	switch local := strings.HasPrefix(c.peer, "127."); {
	case m.limits.MaxConns > 0 && len(m.order) >= m.limits.MaxConns:
		return ReasonMaxConns, nil
	case m.limits.HalfOpenPerAddress > 0 && !(local && m.limits.ExemptLoopback) && m.halfOpen(c.peer) >= m.limits.HalfOpenPerAddress:
		return ReasonHalfOpenAddress, nil
	}
	if m.limits.HalfOpenTotal > 0 && m.halfOpen("") >= m.limits.HalfOpenTotal {
		for _, o := range m.order {
			if o.halfOpen {
				victim = o
				break
			}
		}
		m.remove(victim)
	}
	c.halfOpen = true
	m.order = append(m.order, c)
	return "", victim
}

func (m *model) open(c *modelConn) {
	if c.halfOpen = false; m.limits.MaxConns == 0 {
		m.remove(c)
	}
}

// accounting is a Door and what it should be.
type accounting struct {
	door    *Door
	model   model
	all     []*modelConn // that ever came in
	refused map[string]uint64
}

func (a *accounting) pick(rt *rapid.T) *modelConn {
	if len(a.all) == 0 {
		rt.Skip("nobody there")
	}
	return rapid.SampledFrom(a.all).Draw(rt, "conn")
}

func (a *accounting) arrive(rt *rapid.T) {
	peer := rapid.SampledFrom([]string{"127.0.0.1", "192.0.2.1", "192.0.2.2"}).Draw(rt, "peer")
	fake := newFakeConn(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(peer + ":1")))
	c := &modelConn{conn: fake, outer: fake, peer: peer}
	for range rapid.IntRange(0, 2).Draw(rt, "wrappers") {
		c.outer = &wrapped{c.outer}
	}
	reason, victim := a.model.arrive(c)
	if a.door.admit(fake) != (reason == "") || fake.isClosed() != (reason != "") {
		rt.Fatalf("want reason %q, closed %v", reason, fake.isClosed())
	}
	if reason == "" {
		a.all = append(a.all, c)
	} else {
		a.refused[reason]++
	}
	if victim != nil {
		a.refused[ReasonHalfOpenTotal]++
		if !victim.conn.(*fakeConn).isClosed() {
			rt.Fatal("the oldest half-open connection is not closed")
		}
	}
}

// report is what http.Server says of some connection, in place or out of it.
func (a *accounting) report(state http.ConnState) func(*rapid.T) {
	return func(rt *rapid.T) {
		c := a.pick(rt)
		a.door.ConnState(c.outer, state)
		switch state {
		case http.StateIdle, http.StateHijacked:
			a.model.open(c)
		case http.StateClosed:
			a.model.remove(c)
		}
	}
}

func (a *accounting) check(rt *rapid.T) {
	halfOpen, all := a.model.halfOpen(""), len(a.model.order)
	if a.door.HalfOpen() != halfOpen || a.door.Conns() != all {
		rt.Fatalf("%d half open of %d, want %d of %d", a.door.HalfOpen(), a.door.Conns(), halfOpen, all)
	}
	for reason, n := range a.door.Counts() {
		if n != a.refused[reason] {
			rt.Fatalf("%d times %s, want %d", n, reason, a.refused[reason])
		}
	}
	if a.door.Accepted() != uint64(len(a.all)) {
		rt.Fatalf("%d accepted, want %d", a.door.Accepted(), len(a.all))
	}
}

// leftBehind describes what tickets hold although nobody is there, or is "".
func leftBehind(k *tickets) string {
	if len(k.byConn)+len(k.halfOpenOf)+k.halfOpen != 0 || k.oldest != nil || k.newest != nil {
		return fmt.Sprintf("%d connections, half open %d: %v", len(k.byConn), k.halfOpen, k.halfOpenOf)
	}
	return ""
}

// Whatever is reported of connections, in whatever order and how often, every
// connection counts until it is released, and is released once.
func TestAccounting(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		limits := Limits{
			MaxConns:           rapid.SampledFrom([]int{0, 1, 6}).Draw(rt, "max"),
			HalfOpenTotal:      rapid.SampledFrom([]int{0, 1, 4}).Draw(rt, "total"),
			HalfOpenPerAddress: rapid.SampledFrom([]int{0, 1, 2}).Draw(rt, "address"),
			ExemptLoopback:     rapid.Bool().Draw(rt, "exempt"),
		}
		a := &accounting{
			door:    NewDoor(newFakeListener(1), limits, Hooks{}),
			model:   model{limits: limits},
			refused: make(map[string]uint64),
		}
		rt.Repeat(map[string]func(*rapid.T){
			"arrive":   a.arrive,
			"new":      a.report(http.StateNew),
			"active":   a.report(http.StateActive),
			"idle":     a.report(http.StateIdle),
			"hijacked": a.report(http.StateHijacked),
			"closed":   a.report(http.StateClosed),
			"opened":   func(rt *rapid.T) { c := a.pick(rt); a.door.Opened(c.outer); a.model.open(c) },
			"gone":     func(rt *rapid.T) { c := a.pick(rt); a.door.Closed(c.conn); a.model.remove(c) },
			"stranger": func(*rapid.T) { a.door.Closed(newFakeConn(nil)); a.door.Opened(&wrapped{}); a.door.Closed(nil) },
			"":         a.check,
		})
		for _, c := range a.all {
			a.door.Closed(c.outer)
		}
		if left := leftBehind(a.door.tickets); left != "" {
			rt.Fatal(left)
		}
	})
}

// The same under real concurrency: reports of one connection race each other.
func TestAccountingConcurrent(t *testing.T) {
	door := NewDoor(newFakeListener(1), Limits{MaxConns: 1000, HalfOpenTotal: 50, HalfOpenPerAddress: 40}, Hooks{})
	var wg sync.WaitGroup
	for g := range 8 {
		peer := addrOf(t, fmt.Sprintf("192.0.2.%d:1", g%3))
		wg.Go(func() {
			for range 500 {
				conn := newFakeConn(peer)
				if !door.admit(conn) {
					continue
				}
				var reports sync.WaitGroup
				for _, state := range []http.ConnState{http.StateIdle, http.StateHijacked, http.StateClosed} {
					reports.Go(func() { door.ConnState(&wrapped{conn}, state) })
				}
				reports.Wait()
			}
		})
	}
	wg.Wait()
	if left := leftBehind(door.tickets); left != "" {
		t.Error(left)
	}
}

// Errors of accept as package net gives them.
var (
	noFiles = &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	aborted = &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.ECONNABORTED)}
)

func TestAcceptErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines strings.Builder
		l := newFakeListener(64)
		hooked := map[string]int{}
		door := NewDoor(l, Limits{}, Hooks{
			Log:     slog.New(slog.NewTextHandler(&lines, nil)),
			Refused: func(reason string, _ netip.Addr) { hooked[reason]++ },
		})
		accept := func(conn net.Conn, errs ...error) time.Duration {
			for _, err := range errs {
				l.arrivals <- arrival{err: err}
			}
			l.arrivals <- arrival{conn: conn}
			began := time.Now()
			if got, err := door.Accept(); err != nil || got != conn {
				t.Fatalf("accept: %v, %v", got, err)
			}
			return time.Since(began)
		}
		conn := newFakeConn(addrOf(t, "192.0.2.1:1"))
		if d := accept(conn, noFiles, noFiles, noFiles); d != 35*time.Millisecond {
			t.Errorf("3 errors took %v, want 5+10+20 ms", d)
		}
		if d := accept(conn, noFiles); d != minPause {
			t.Errorf("after a success the pause is %v", d)
		}
		if d := accept(conn, noFiles, noFiles, noFiles, noFiles, noFiles, noFiles, noFiles, noFiles, noFiles, noFiles); d != 1275*time.Millisecond+2*maxPause {
			t.Errorf("10 errors took %v", d)
		}
		if d := accept(conn, aborted, aborted, aborted, aborted); d != 4*minPause {
			t.Errorf("aborted connections took %v", d)
		}
		if n := door.Counts(); n[ReasonNoFiles] != 14 || n[ReasonAcceptError] != 4 || hooked[ReasonNoFiles] != 14 {
			t.Errorf("counts %v, hook %v", n, hooked)
		}
		if n := strings.Count(lines.String(), "reason=no_files"); n < 1 || n > 5 {
			t.Errorf("%d log lines:\n%s", n, lines.String())
		}
	})
}

func TestAcceptEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeListener(2)
		door := NewDoor(l, Limits{}, Hooks{})
		broken := errors.New("sim: listener broken")
		l.arrivals <- arrival{err: broken}
		if _, err := door.Accept(); !errors.Is(err, broken) {
			t.Errorf("another error: %v", err)
		}
		// Close ends a pause at once.
		l.arrivals <- arrival{err: noFiles}
		began := time.Now()
		ended := make(chan error)
		go func() {
			_, err := door.Accept()
			ended <- err
		}()
		synctest.Wait()
		if err := errors.Join(door.Close(), door.Close()); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, net.ErrClosed) || time.Since(began) != 0 {
			t.Errorf("after Close: %v in %v", err, time.Since(began))
		}
	})
}

func TestRateAtTheDoor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		door := NewDoor(newFakeListener(1), Limits{Rate: 2, Burst: 3, ExemptLoopback: true}, Hooks{})
		try := func(peer string, n int) (in int) {
			for range n {
				if door.admit(newFakeConn(addrOf(t, peer))) {
					in++
				}
			}
			return in
		}
		if n := try("192.0.2.1:1", 10); n != 3 {
			t.Errorf("%d of a burst of 3", n)
		}
		if n := try("[::ffff:192.0.2.1]:9", 10); n != 0 {
			t.Errorf("%d more under a mapped address", n)
		}
		if n := try("127.0.0.1:1", 10); n != 10 {
			t.Errorf("loopback: %d of 10", n)
		}
		time.Sleep(time.Second)
		if n := try("192.0.2.1:1", 10); n != 2 {
			t.Errorf("%d after a second, want 2", n)
		}
		if n := door.Counts()[ReasonRate]; n != 7+10+8 {
			t.Errorf("counted %d", n)
		}
	})
}

func BenchmarkAccept(b *testing.B) {
	peer := addrOf(b, "192.0.2.1:40000")
	conn := newFakeConn(peer)
	b.Run("in and out", func(b *testing.B) {
		limits := DefaultLimits()
		limits.Rate = 1e9
		door := NewDoor(newFakeListener(1), limits, Hooks{})
		b.ReportAllocs()
		for b.Loop() {
			door.admit(conn)
			door.Opened(conn)
			door.Closed(conn)
		}
	})
	b.Run("refused", func(b *testing.B) {
		door := NewDoor(newFakeListener(1), Limits{HalfOpenPerAddress: 1}, Hooks{})
		door.admit(newFakeConn(peer))
		b.ReportAllocs()
		for b.Loop() {
			door.admit(conn)
		}
	})
}
