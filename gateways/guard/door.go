package guard

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Limits of a Door; 0 = no such limit.
type Limits struct {
	HalfOpenPerAddress int     // connections without a finished handshake, of one IPv4 address or IPv6 /64
	HalfOpenTotal      int     // the same, of all addresses
	Rate               float64 // new connections a second, of one address, in the long run
	Burst              int     // new connections at once, of one address; at least 1
	MaxConns           int     // connections in all, open or half open
	// ExemptLoopback takes peers on this machine out of Rate and
	// HalfOpenPerAddress: behind a reverse proxy they stand for everybody.
	ExemptLoopback bool
}

// DefaultLimits fit a public relay: an office behind one address can return
// within seconds after a restart, one host cannot fill the half-open places.
func DefaultLimits() Limits {
	return Limits{
		HalfOpenPerAddress: 128,
		HalfOpenTotal:      4096,
		Rate:               50,
		Burst:              500,
		MaxConns:           100_000,
		ExemptLoopback:     true,
	}
}

// Hooks of a Door; each may be nil.
type Hooks struct {
	// Log gets at most one line a second for each reason.
	Log *slog.Logger
	// Refused is called for everyone who is turned away, on the goroutine that
	// accepts or serves: it must not block. peer is zero when not known, and
	// must not become a metric label.
	Refused func(reason string, peer netip.Addr)
}

// Door is a net.Listener that lets in no more than its Limits allow; see the
// package comment.
type Door struct {
	// fixed at creation
	inner  net.Listener
	exempt bool // loopback
	hooks  Hooks

	counters *counters
	accepted atomic.Uint64
	tickets  *tickets

	closeOnce sync.Once
	done      chan struct{} // closed by Close
	closeErr  error         // set before done is closed
}

// NewDoor guards l, which it owns from now on.
func NewDoor(l net.Listener, limits Limits, hooks Hooks) *Door {
	return &Door{
		inner:    l,
		exempt:   limits.ExemptLoopback,
		hooks:    hooks,
		counters: newCounters(hooks.Log),
		tickets:  newTickets(limits),
		done:     make(chan struct{}),
	}
}

// Accept returns the next connection that may come in, unchanged, as the
// listener below made it. Those over a limit are reset and the next is taken.
// Errors that may pass are retried after a pause of 5 ms to 1 s.
func (d *Door) Accept() (net.Conn, error) {
	var pause time.Duration
	for {
		conn, err := d.inner.Accept()
		if err != nil {
			reason, longest := retryable(err)
			if reason == "" {
				return nil, err
			}
			d.note(reason, netip.Addr{}, err)
			pause = min(max(2*pause, minPause), longest)
			if !d.sleep(pause) {
				return nil, net.ErrClosed
			}
			continue
		}
		pause = 0
		if d.admit(conn) {
			return conn, nil
		}
	}
}

func (d *Door) admit(conn net.Conn) bool {
	addr := conn.RemoteAddr()
	ip := ipOf(addr)
	reason, victim := d.tickets.admit(conn, keyOf(ip), d.exempt && IsLoopback(addr))
	if reason != "" {
		d.note(reason, ip, nil)
		reset(conn)
		return false
	}
	if victim != nil {
		d.note(ReasonHalfOpenTotal, ipOf(victim.RemoteAddr()), nil)
	}
	d.accepted.Add(1)
	return true
}

// reset closes without FIN and TIME_WAIT: nothing stays behind in the kernel,
// and Close cannot block.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // fails only on a closed socket
	}
	_ = conn.Close() // nothing was written that could be lost
}

const (
	minPause = 5 * time.Millisecond
	maxPause = time.Second
)

// retryable sorts the errors of accept(2): the reason to count and the longest
// pause, or "" when the listener is of no more use. Out of descriptors or memory
// needs patience. An error of the connection itself has used that connection up,
// and must not let one peer slow the others down.
func retryable(err error) (reason string, longest time.Duration) {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return "", 0
	}
	switch errno {
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM:
		return ReasonNoFiles, maxPause
	case syscall.ECONNABORTED, syscall.ECONNRESET, syscall.EINTR, syscall.EPROTO, syscall.EPERM,
		syscall.ENETDOWN, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.EHOSTUNREACH, syscall.ENOPROTOOPT:
		return ReasonAcceptError, minPause
	}
	return "", 0
}

// sleep reports false when the door was closed meanwhile.
func (d *Door) sleep(pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-d.done:
		return false
	}
}

// Close closes the listener, not the connections that came in.
func (d *Door) Close() error {
	d.closeOnce.Do(func() {
		d.closeErr = d.inner.Close()
		close(d.done)
	})
	return d.closeErr
}

// Addr is that of the listener.
func (d *Door) Addr() net.Addr { return d.inner.Addr() }

// ConnState is the hook for http.Server.ConnState. An answered first request
// and a hijacking end the half-open time, the end of the connection all. So a
// connection whose first request is answered late counts as half open till then.
// Connections of other listeners are ignored.
func (d *Door) ConnState(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateIdle, http.StateHijacked:
		d.Opened(conn)
	case http.StateClosed:
		d.Closed(conn)
	}
}

// Opened says that the handshake on conn, or on a wrapper of it, is done. More
// calls, and calls after Closed, change nothing.
func (d *Door) Opened(conn net.Conn) { d.tickets.opened(conn) }

// Closed says that conn, or a wrapper of it, is closed. More calls change
// nothing.
func (d *Door) Closed(conn net.Conn) { d.tickets.closed(conn) }

// Refuse answers a request with the Refusal and counts it.
func (d *Door) Refuse(w http.ResponseWriter, req *http.Request, refusal *Refusal) {
	peer, _ := netip.ParseAddrPort(req.RemoteAddr)
	d.note(refusal.Reason, peer.Addr().Unmap(), nil)
	refusal.WriteTo(w)
}

// Screen serves with next what the rules allow, and refuses the rest.
func (d *Door) Screen(rules Rules, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if refusal := rules.Check(req); refusal != nil {
			d.Refuse(w, req, refusal)
			return
		}
		next.ServeHTTP(w, req)
	})
}

// note counts, logs and tells the hook.
func (d *Door) note(reason string, peer netip.Addr, err error) {
	d.counters.add(reason, peer, err)
	if d.hooks.Refused != nil {
		d.hooks.Refused(reason, peer)
	}
}

// Counts returns how many were turned away since the start, for each of Reasons.
func (d *Door) Counts() map[string]uint64 { return d.counters.snapshot() }

// Accepted is the number of connections that came in since the start.
func (d *Door) Accepted() uint64 { return d.accepted.Load() }

// HalfOpen is the number of connections whose handshake is not done.
func (d *Door) HalfOpen() int {
	halfOpen, _ := d.tickets.count()
	return halfOpen
}

// Conns is the number of connections that count against MaxConns; without that
// limit, of the half-open ones.
func (d *Door) Conns() int {
	_, all := d.tickets.count()
	return all
}
