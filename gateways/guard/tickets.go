package guard

import (
	"net"
	"sync"
	"syscall"
	"time"
)

// tickets knows every connection that came in by a Door until it is released,
// exactly once: a ticket is in byConn or it is gone.
type tickets struct {
	limits Limits
	rates  *Rates // nil = no rate limit

	mu             sync.Mutex
	byConn         map[net.Conn]*ticket
	halfOpenOf     map[peerKey]int // half-open connections of an address, never 0; exempt ones not counted
	oldest, newest *ticket         // the half-open ones, in order of arrival
	halfOpen       int             // their number
	swept          time.Time
}

// ticket is a connection that counts.
type ticket struct {
	conn       net.Conn
	key        peerKey
	exempt     bool // not counted in halfOpenOf
	halfOpen   bool // linked between oldest and newest
	prev, next *ticket
}

// sweepEvery is the least time between two searches for connections whose
// owner forgot to call Closed.
const sweepEvery = time.Second

func newTickets(limits Limits) *tickets {
	t := &tickets{limits: limits, byConn: make(map[net.Conn]*ticket), halfOpenOf: make(map[peerKey]int)}
	if limits.Rate > 0 {
		t.rates = NewRates(limits.Rate, limits.Burst)
	}
	return t
}

// admit gives conn a ticket, or says why not. victim, when not nil, has lost its
// ticket to conn and was closed.
func (t *tickets) admit(conn net.Conn, key peerKey, exempt bool) (reason string, victim net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	reason = t.over(key, exempt)
	if reason != "" && reason != ReasonRate && t.sweep() {
		reason = t.over(key, exempt)
	}
	if reason != "" {
		return reason, nil
	}
	if t.limits.HalfOpenTotal > 0 && t.halfOpen >= t.limits.HalfOpenTotal {
		victim = t.oldest.conn
		t.release(t.oldest)
		// Closed under the lock: its handshake, if it ends this instant, waits for
		// the lock before it answers, and nobody writes to a descriptor that is
		// somebody else's by then.
		reset(victim)
	}
	k := &ticket{conn: conn, key: key, exempt: exempt, halfOpen: true, prev: t.newest}
	if t.newest == nil {
		t.oldest = k
	} else {
		t.newest.next = k
	}
	t.newest = k
	t.halfOpen++
	if !exempt {
		t.halfOpenOf[key]++
	}
	t.byConn[conn] = k
	return "", victim
}

// over names the limit that a newcomer would break. The rate comes last: only
// who is let in pays a token.
func (t *tickets) over(key peerKey, exempt bool) string {
	l := &t.limits
	switch {
	case l.MaxConns > 0 && len(t.byConn) >= l.MaxConns:
		return ReasonMaxConns
	case exempt:
		return ""
	case l.HalfOpenPerAddress > 0 && t.halfOpenOf[key] >= l.HalfOpenPerAddress:
		return ReasonHalfOpenAddress
	case t.rates != nil && !t.rates.allow(key):
		return ReasonRate
	}
	return ""
}

// opened ends the half-open time of conn. Without MaxConns an open connection
// need not be remembered.
func (t *tickets) opened(conn net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.find(conn)
	switch {
	case k == nil:
	case t.limits.MaxConns > 0:
		t.unlink(k)
	default:
		t.release(k)
	}
}

func (t *tickets) closed(conn net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if k := t.find(conn); k != nil {
		t.release(k)
	}
}

// find looks through the wrappers of conn until one has a ticket.
func (t *tickets) find(conn net.Conn) *ticket {
	for conn != nil {
		if k := t.byConn[conn]; k != nil {
			return k
		}
		wrapper, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		conn = wrapper.NetConn()
	}
	return nil
}

func (t *tickets) release(k *ticket) {
	t.unlink(k)
	delete(t.byConn, k.conn)
}

// unlink takes k out of the half-open ones, once.
func (t *tickets) unlink(k *ticket) {
	if !k.halfOpen {
		return
	}
	if k.prev == nil {
		t.oldest = k.next
	} else {
		k.prev.next = k.next
	}
	if k.next == nil {
		t.newest = k.prev
	} else {
		k.next.prev = k.prev
	}
	k.halfOpen, k.prev, k.next = false, nil, nil
	t.halfOpen--
	if k.exempt {
		return
	}
	if t.halfOpenOf[k.key]--; t.halfOpenOf[k.key] == 0 {
		delete(t.halfOpenOf, k.key)
	}
}

// sweep releases the TCP connections that are closed on our side, and tells
// whether there were any. It is a net under Closed, so that an owner who forgets
// it cannot lock the door for ever; at most once in sweepEvery.
func (t *tickets) sweep() bool {
	now := time.Now()
	if now.Sub(t.swept) < sweepEvery {
		return false
	}
	t.swept = now
	before := len(t.byConn)
	for conn, k := range t.byConn {
		if isClosed(conn) {
			t.release(k)
		}
	}
	return len(t.byConn) < before
}

// isClosed tells whether our side has closed conn; connections without a
// descriptor count as not closed.
func isClosed(conn net.Conn) bool {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	return raw.Control(func(uintptr) {}) != nil
}

// count returns the half-open connections and all that have a ticket.
func (t *tickets) count() (halfOpen, all int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.halfOpen, len(t.byConn)
}
