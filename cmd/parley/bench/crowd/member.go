//go:build linux

package crowd

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"parley/cmd/parley/bench/wire"
)

// Sink is told what arrives at a member. Its methods are called by one loop at a time, with that loop's lock held: they
// must not wait, and may write to members but not join, stop or close them.
type Sink interface {
	// Text is called for every text message. json is valid until it returns; now is the time after the read, in
	// nanoseconds since 1970.
	Text(json []byte, now int64)
	// Closed is called once, when the server ended the connection: with the code of its close frame, or
	// wire.CloseAbnormal. err says what was wrong with the server's frames, if anything.
	Closed(code int, err error)
}

// Member is one client's connection.
type Member struct {
	// fixed at Dial
	fd   int
	mask [4]byte
	ctx  context.Context

	// used until Join, by the one who dialled
	deadline time.Time

	// owned by the loop after Join
	scan    wire.Scanner
	sink    Sink
	loop    *loop
	stopped bool

	// guarded by mu
	mu   sync.Mutex
	out  []byte // not yet taken by the kernel
	gone bool
}

// Mask is the member's masking key, for building frames.
func (m *Member) Mask() [4]byte { return m.mask }

// Write sends whole frames without ever waiting: what the kernel does not take is kept and sent by the loop. A
// connection that is gone swallows them; the sink is told by Closed.
func (m *Member) Write(frames []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gone {
		return
	}
	if len(m.out) > 0 {
		m.out = append(m.out, frames...)
		return
	}
	m.out = append(m.out, m.push(frames)...)
}

// push writes what the kernel takes and returns the rest. An error is left to the reading side, which meets it too.
func (m *Member) push(b []byte) []byte {
	for len(b) > 0 {
		n, err := unix.Write(m.fd, b)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if errors.Is(err, unix.EAGAIN) {
			return b
		}
		if err != nil {
			return nil
		}
		b = b[n:]
	}
	return nil
}

// flush sends what was kept, when the socket takes more again.
func (m *Member) flush() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gone || len(m.out) == 0 {
		return
	}
	m.out = append(m.out[:0], m.push(m.out)...)
}

// WriteAll sends whole frames and waits as long as the kernel does not take them, unlike Write. False when the
// connection or the context has ended. It must be the only writer of this member.
func (m *Member) WriteAll(ctx context.Context, b []byte) bool {
	for {
		m.mu.Lock()
		if m.gone {
			m.mu.Unlock()
			return false
		}
		b = m.push(b)
		m.mu.Unlock()
		if len(b) == 0 {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		// The member cannot be closed meanwhile but by its loop; then the poll of a dead descriptor returns at once
		// and gone is seen above.
		p := []unix.PollFd{{Fd: int32(m.fd), Events: unix.POLLOUT}}
		_, _ = unix.Poll(p, pollStep)
	}
}

// shut closes the socket, once. A code other than 0 is told to the server first.
func (m *Member) shut(code int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gone {
		return
	}
	if code != 0 && len(m.out) == 0 {
		m.push(wire.AppendClient(nil, wire.OpClose, m.mask, wire.AppendClose(nil, code, "")))
	}
	m.gone, m.out = true, nil
	_ = unix.Close(m.fd)
}

// Leave closes a member that was not joined.
func (m *Member) Leave() { m.shut(wire.CloseNormal) }
