package link

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// sendBuffer is the kernel's send buffer for a socket, in bytes. Left alone, it
// grows to 4.2 MB for a peer that never reads (measured), past all our limits.
const sendBuffer = 64 << 10

// TryWriter is a connection that can take what fits now, and no more, without
// waiting. Sockets that are no *net.TCPConn must implement it.
type TryWriter interface {
	TryWrite(b []byte) (n int, err error)
}

// Conn is a net.Conn whose Write never blocks once Release was called: what
// the kernel does not take is kept, and written by flush. Before that, during
// the HTTP and TLS handshakes, it is the plain connection.
//
// net/http, crypto/tls and the WebSocket library run on top of it unchanged.
type Conn struct {
	net.Conn

	mu       sync.Mutex
	fd       int       // of the socket; noSocket: use other
	other    TryWriter // for connections that are no sockets
	rest     []byte    // not yet taken by the kernel, oldest first
	flushing bool      // flush has taken bytes that are not yet written
	own      bool      // the outbound is writing, not TLS by itself
	closed   bool      // fd may be somebody else's by now
	closing  bool      // a close frame is on its way: read deadlines are final
	err      error     // of the last write; final
	deadline time.Time // of flush's write under way
	until    time.Time // when flush must be over; zero: not closing
	raw      syscall.RawConn
	released atomic.Bool
	taken    atomic.Int64 // bytes that the kernel took in flush
}

// noSocket stands for the descriptor that a connection does not have.
const noSocket = -1

// NewConn wraps an accepted connection.
func NewConn(c net.Conn) (*Conn, error) {
	w := &Conn{Conn: c, fd: noSocket}
	switch t := c.(type) {
	case *net.TCPConn:
		if err := t.SetWriteBuffer(sendBuffer); err != nil {
			return nil, err
		}
		var err error
		if w.raw, err = t.SyscallConn(); err != nil {
			return nil, err
		}
		if err = w.raw.Control(func(fd uintptr) { w.fd = int(fd) }); err != nil {
			return nil, err
		}
	case TryWriter:
		w.other = t
	default:
		return nil, errors.New("link: connection cannot write without waiting")
	}
	return w, nil
}

// try makes one write call that does not wait, and returns what was taken. It
// goes to the descriptor itself: through net.Conn it would touch four more
// places in memory that are cold when ten thousand links take turns. mu is held
// and Close takes it too, so the descriptor is ours.
func (c *Conn) try(b []byte) (int, error) {
	if c.fd == noSocket {
		return c.other.TryWrite(b)
	}
	if c.closed {
		return 0, net.ErrClosed
	}
	for {
		n, err := syscall.Write(c.fd, b)
		switch err {
		case nil:
			return n, nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, nil
		default:
			return 0, os.NewSyscallError("write", err)
		}
	}
}

// Close implements net.Conn.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	return c.Conn.Close()
}

// NetConn is the connection below.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// Raw is the socket, for reading; nil if the connection is none.
func (c *Conn) Raw() syscall.RawConn { return c.raw }

// Release makes Write non-blocking.
func (c *Conn) Release() { c.released.Store(true) }

// Write takes all of b, or fails for good.
func (c *Conn) Write(b []byte) (int, error) {
	if !c.released.Load() {
		return c.Conn.Write(b)
	}
	if _, err := c.offer(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// maxAlone is how many bytes TLS may add by itself to what a peer does not
// take: answers to its key updates, which no limit of ours sees.
const maxAlone = 64 << 10

// mine tells whether the next writes are the outbound's.
func (c *Conn) mine(own bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.own = own
}

// offer is Write of a released connection; kept is how much of all that was
// written the kernel has not taken.
func (c *Conn) offer(b []byte) (kept int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	if len(c.rest) > 0 || c.flushing {
		if !c.own && len(c.rest)+len(b) > maxAlone {
			c.err = errors.New("link: peer makes TLS write more than it reads")
			return 0, c.err
		}
		c.rest = append(c.rest, b...)
		return len(c.rest), nil
	}
	n, err := c.try(b)
	if err != nil {
		c.err = err
		return 0, err
	}
	if n < len(b) {
		c.rest = append([]byte(nil), b[n:]...)
	}
	return len(c.rest), nil
}

// keep is offer for who flushes next: b is not copied, and must stay as it is
// until the flush is over.
func (c *Conn) keep(b []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if len(c.rest) == 0 {
		c.rest = b[:len(b):len(b)] // what is appended must not be written behind it
	} else {
		c.rest = append(c.rest, b...)
	}
	return nil
}

// kept is how many written bytes are not with the kernel yet. Nobody may be
// flushing.
func (c *Conn) kept() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.rest)
}

// flushStep is how many bytes one blocking write takes: a peer that takes
// 64 KiB in the write time-out is slow, not gone.
const flushStep = 64 << 10

// flush writes what is kept, waiting for the peer at most timeout a step. One
// goroutine at a time.
func (c *Conn) flush(timeout time.Duration) error {
	for {
		c.mu.Lock()
		b := c.rest
		c.rest, c.flushing = nil, len(b) > 0
		err := c.err
		c.mu.Unlock()
		if err != nil || len(b) == 0 {
			return err
		}
		for len(b) > 0 && err == nil {
			c.nextStep(timeout)
			var n int
			n, err = c.Conn.Write(b[:min(len(b), flushStep)])
			c.taken.Add(int64(n))
			b = b[n:]
		}
		_ = c.SetWriteDeadline(time.Time{}) // or a later try would find it expired
		if err != nil {
			return c.flushFailed(b, err)
		}
	}
}

// nextStep sets the deadline of one write.
func (c *Conn) nextStep(timeout time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = time.Now().Add(timeout)
	if !c.until.IsZero() && c.until.Before(c.deadline) {
		c.deadline = c.until
	}
	_ = c.SetWriteDeadline(c.deadline)
}

// hurry makes flush end at until, also a write that is under way.
func (c *Conn) hurry(until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = until
	if c.flushing && until.Before(c.deadline) {
		c.deadline = until
		_ = c.SetWriteDeadline(until)
	}
}

// flushFailed keeps what a peer did not take in time: the frame that is half
// written must be whole before anything else can follow it.
func (c *Conn) flushFailed(left []byte, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flushing = false
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.rest = append(append(make([]byte, 0, len(left)+len(c.rest)), left...), c.rest...)
		return err
	}
	c.err, c.rest = err, nil
	return err
}

// closeWrite ends our side of the stream; the peer still may send.
func (c *Conn) closeWrite() {
	if h, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		_ = h.CloseWrite()
	}
}

// hangUp makes reads fail after linger. It is final: later read deadlines of
// the protocol are ignored.
func (c *Conn) hangUp(linger time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
	_ = c.Conn.SetReadDeadline(time.Now().Add(linger))
}

// SetReadDeadline implements net.Conn; it does nothing once the link is closing.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock() // or a deadline that was decided on before hangUp could be set after its
	defer c.mu.Unlock()
	if c.closing {
		return nil
	}
	return c.Conn.SetReadDeadline(t)
}

// listener wraps what it accepts.
type listener struct{ net.Listener }

// Listener makes l hand out *Conn.
func Listener(l net.Listener) net.Listener { return listener{l} }

func (l listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		w, err := NewConn(c)
		if err == nil {
			return w, nil
		}
		_ = c.Close() // it went away between the kernel's accept and now
	}
}
