package testkit

import (
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// SimConn is one end of a connection in a Network.
type SimConn struct {
	net           *Network
	in, out       *stream
	local, remote netip.AddrPort
	closed        atomic.Bool
}

var _ net.Conn = (*SimConn)(nil)

// Read implements net.Conn.
func (c *SimConn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	if err != nil && err != io.EOF {
		err = opError("read", c.LocalAddr(), c.RemoteAddr(), err)
	}
	return n, err
}

// Write implements net.Conn. It waits while the window is full.
func (c *SimConn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	return n, c.writeError(err)
}

// TryWrite takes what fits into the window and does not wait; n may be 0.
func (c *SimConn) TryWrite(p []byte) (n int, err error) {
	n, err = c.out.tryWrite(p)
	return n, c.writeError(err)
}

func (c *SimConn) writeError(err error) error {
	if err == nil {
		return nil
	}
	return opError("write", c.LocalAddr(), c.RemoteAddr(), err)
}

// CloseWrite ends this side of the stream, as TCP can: the other end reads to
// the end and may still write.
func (c *SimConn) CloseWrite() error {
	if c.closed.Load() {
		return opError("close", c.LocalAddr(), c.RemoteAddr(), net.ErrClosed)
	}
	c.out.end()
	return nil
}

// Close implements net.Conn. What was written still arrives; the other end can
// write no more.
func (c *SimConn) Close() error {
	if c.closed.Swap(true) {
		return opError("close", c.LocalAddr(), c.RemoteAddr(), net.ErrClosed)
	}
	c.net.mu.Lock()
	delete(c.net.conns, c)
	c.net.mu.Unlock()
	c.in.leave()
	c.out.end()
	c.in.stopTimers(reading)
	c.out.stopTimers(writing)
	return nil
}

// Cut breaks the connection: both ends fail at once.
func (c *SimConn) Cut() {
	c.in.cut()
	c.out.cut()
}

// LocalAddr implements net.Conn; it is a *net.TCPAddr.
func (c *SimConn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.local) }

// RemoteAddr implements net.Conn; it is a *net.TCPAddr.
func (c *SimConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

// SetDeadline implements net.Conn.
func (c *SimConn) SetDeadline(t time.Time) error {
	c.in.setDeadline(reading, t)
	c.out.setDeadline(writing, t)
	return nil
}

// SetReadDeadline implements net.Conn.
func (c *SimConn) SetReadDeadline(t time.Time) error {
	c.in.setDeadline(reading, t)
	return nil
}

// SetWriteDeadline implements net.Conn.
func (c *SimConn) SetWriteDeadline(t time.Time) error {
	c.out.setDeadline(writing, t)
	return nil
}

// simListener is a listener of a Network.
type simListener struct {
	net   *Network
	at    netip.AddrPort
	queue chan *SimConn // sent to under the network's lock
	done  chan struct{} // closed under the network's lock
}

// Accept implements net.Listener.
func (l *simListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.done:
		return nil, opError("accept", nil, l.Addr(), net.ErrClosed)
	}
}

// Close implements net.Listener. Connections nobody accepted are cut.
func (l *simListener) Close() error {
	l.net.mu.Lock()
	if l.net.listeners[l.at] != l {
		l.net.mu.Unlock()
		return opError("close", nil, l.Addr(), net.ErrClosed)
	}
	delete(l.net.listeners, l.at)
	close(l.done)
	l.net.mu.Unlock()
	for {
		select {
		case c := <-l.queue: // nobody dials any more
			c.in.cut()
			c.out.cut()
			_ = c.Close()
		default:
			return nil
		}
	}
}

// Addr implements net.Listener; it is a *net.TCPAddr.
func (l *simListener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.at) }
