package tcp

import (
	"net"
	"sync/atomic"

	"parley/gateways/guard"
	"parley/gateways/link"
)

// Listener lets peers in. A connection is half open for its Door until its first
// packet has come.
type Listener struct {
	Door *guard.Door // closes what it refuses; whoever else closes, it is told

	limit int // bytes of a payload
}

// Listen guards l, which it owns from now on; limit is the longest payload in
// bytes.
func Listen(l net.Listener, limits guard.Limits, hooks guard.Hooks, limit int) *Listener {
	t := &Listener{limit: limit}
	t.Door = guard.NewDoor(&porch{link.Listener(l), t}, limits, hooks)
	return t
}

// Accept returns the next connection that may come in.
func (l *Listener) Accept() (*Socket, error) {
	c, err := l.Door.Accept()
	if err != nil {
		return nil, err
	}
	conn := c.(*link.Conn)
	s := NewSocket(conn, l.limit)
	s.first = func() { l.Door.Opened(conn) }
	g := conn.Conn.(*guest)
	g.in.Store(true)
	watch(g.Conn)
	return s, nil
}

// Close ends Accept, not the connections that came in.
func (l *Listener) Close() error { return l.Door.Close() }

// Addr is where peers connect to.
func (l *Listener) Addr() net.Addr { return l.Door.Addr() }

// porch is the listener before the door. The door may reset a connection that a
// link writes to already; it must do that through link.Conn, which never writes
// to a descriptor that is somebody else's by then.
type porch struct {
	net.Listener

	l *Listener
}

// Accept implements net.Listener.
func (p *porch) Accept() (net.Conn, error) {
	c, err := p.Listener.Accept()
	if err != nil {
		return nil, err
	}
	conn := c.(*link.Conn)
	conn.Conn = &guest{Conn: conn.Conn, gone: func() { p.l.Door.Closed(conn) }}
	return conn, nil
}

// guest is a connection that tells the door when it is closed.
type guest struct {
	net.Conn

	gone func()
	in   atomic.Bool // it may come in
}

// Close implements net.Conn. What may not come in leaves nothing behind in the
// kernel. The door is told beside it: it may be the one that closes, and holds
// its lock then.
func (g *guest) Close() error {
	if t, ok := g.Conn.(*net.TCPConn); ok && !g.in.Load() {
		_ = t.SetLinger(0) // fails only on a closed socket
	}
	go g.gone()
	return g.Conn.Close()
}

// NetConn is the connection below.
func (g *guest) NetConn() net.Conn { return g.Conn }

// CloseWrite ends our side of the stream.
func (g *guest) CloseWrite() error {
	if h, ok := g.Conn.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return nil
}
