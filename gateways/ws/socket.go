package ws

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"parley/gateways/link"
)

// Socket is one client's WebSocket connection. It implements link.Socket.
type Socket struct {
	view *view
	ws   *websocket.Conn
	kind int // of the message that Next found, and its
	from io.Reader
}

// view is the connection as the library sees it: reads are metered, and once
// the handshake is done writes go nowhere, because all writing is the link's.
type view struct {
	net.Conn             // TLS or base
	base     *link.Conn  // below TLS
	muted    atomic.Bool // set by Bind
	out      *link.Outbound
	meter    meter
	timed    bool            // a read deadline for the message under way is set
	broken   *link.Violation // what the meter found

	burst *[]byte // read ahead in one call; nil: nothing
	left  []byte  // of burst, not yet handed on
	full  bool    // the last read filled its buffer: there is more
}

// bursts are borrowed while a peer sends more than the library's own buffer
// holds: fewer system calls for a busy peer, nothing for an idle one.
var bursts = sync.Pool{New: func() any { b := make([]byte, burstSize); return &b }}

const burstSize = 16 << 10

func (v *view) Write(b []byte) (int, error) {
	if v.muted.Load() {
		return len(b), nil
	}
	return v.Conn.Write(b)
}

// SetWriteDeadline implements net.Conn; the link sets its own.
func (v *view) SetWriteDeadline(t time.Time) error {
	if v.muted.Load() {
		return nil
	}
	return v.Conn.SetWriteDeadline(t)
}

func (v *view) Read(b []byte) (int, error) {
	if len(v.left) > 0 {
		return v.fromBurst(b), nil
	}
	if v.full && len(b) < burstSize/2 {
		v.burst = bursts.Get().(*[]byte)
		n, err := v.read(*v.burst)
		v.left = (*v.burst)[:n]
		if n == 0 {
			v.endBurst()
			return 0, err
		}
		return v.fromBurst(b), nil // an error comes again with the next read
	}
	return v.read(b)
}

func (v *view) fromBurst(b []byte) int {
	n := copy(b, v.left)
	if v.left = v.left[n:]; len(v.left) == 0 {
		v.endBurst()
	}
	return n
}

func (v *view) endBurst() {
	bursts.Put(v.burst)
	v.burst, v.left = nil, nil
}

// read makes one call to the connection, and meters what came.
func (v *view) read(b []byte) (int, error) {
	n, err := v.Conn.Read(b)
	v.full = n == len(b)
	if n == 0 {
		return 0, err
	}
	if v.out != nil {
		v.out.Seen()
	}
	if bad := v.meter.feed(b[:n]); bad != nil {
		v.broken = bad
		return 0, bad
	}
	if within := v.meter.within(); within != v.timed {
		v.timed = within
		deadline := time.Time{}
		if within {
			deadline = time.Now().Add(maxMessageTime)
		}
		_ = v.base.SetReadDeadline(deadline)
	}
	return n, err
}

func newSocket(c net.Conn, limit int64) (*view, error) {
	v := &view{Conn: c, meter: meter{limit: limit}}
	switch t := c.(type) {
	case *link.Conn:
		v.base = t
	case *tls.Conn:
		base, ok := t.NetConn().(*link.Conn)
		if !ok {
			return nil, errors.New("ws: connection does not come from a link listener")
		}
		v.base = base
	default:
		return nil, errors.New("ws: connection does not come from a link listener")
	}
	return v, nil
}

// Bind implements link.Socket.
func (s *Socket) Bind(o *link.Outbound) {
	s.view.out = o
	s.view.muted.Store(true)
	s.ws.SetPingHandler(func(data string) error {
		o.Pong([]byte(data))
		return nil
	})
	s.ws.SetPongHandler(func(string) error { return nil })
	s.ws.SetCloseHandler(func(int, string) error { return nil })
}

// Conn implements link.Socket.
func (s *Socket) Conn() *link.Conn { return s.view.base }

// Writer implements link.Socket.
func (s *Socket) Writer() net.Conn { return s.view.Conn }

// Next implements link.Socket.
func (s *Socket) Next() (err error) {
	if s.kind, s.from, err = s.ws.NextReader(); err != nil {
		return s.why(err)
	}
	return nil
}

// Read implements link.Socket.
func (s *Socket) Read(buf []byte) (frame []byte, binary bool, err error) {
	frame = buf
	for {
		if len(frame) == cap(frame) {
			frame = append(frame, 0)[:len(frame)]
		}
		n, err := s.from.Read(frame[len(frame):cap(frame)])
		frame = frame[:len(frame)+n]
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, false, s.why(err)
		}
	}
	if s.kind == websocket.TextMessage && !utf8.Valid(frame) {
		return nil, false, &link.Violation{Code: closeUTF8, Reason: "text is not UTF-8"}
	}
	return frame, s.kind == websocket.BinaryMessage, nil
}

// why turns an error of the library into what the link does about it.
func (s *Socket) why(err error) error {
	var ce *websocket.CloseError
	switch {
	case s.view.broken != nil:
		return s.view.broken
	case errors.Is(err, os.ErrDeadlineExceeded) && s.view.timed:
		return &link.Violation{Code: closePolicy, Reason: "message took too long"}
	case errors.Is(err, websocket.ErrReadLimit):
		return &link.Violation{Code: closeTooBig, Reason: "message too big"}
	case errors.As(err, &ce):
		return closed(ce)
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), isNetwork(err):
		return err
	default: // the library's protocol errors have no type
		return &link.Violation{Code: closeProtocol, Reason: clip(err.Error())}
	}
}

func closed(ce *websocket.CloseError) error {
	switch ce.Code {
	case websocket.CloseAbnormalClosure: // the stream just ended
		return io.EOF
	case websocket.CloseNoStatusReceived:
		return &link.Hangup{Code: websocket.CloseNormalClosure}
	}
	return &link.Hangup{Code: uint32(ce.Code)}
}

func isNetwork(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) || errors.Is(err, io.ErrUnexpectedEOF)
}

func clip(s string) string { return s[:min(len(s), maxReason)] }
