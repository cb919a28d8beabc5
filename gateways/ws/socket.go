package ws

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"parley/gateways/link"
)

// startFrame is how much room a frame without any gets first, in bytes.
const startFrame = 512

// Socket is one WebSocket connection, of either end. It implements link.Socket.
type Socket struct {
	view *view
	ws   *websocket.Conn
	kind int       // of the message that Next found
	from io.Reader // of the message that Next found
	done int       // messages and control frames that were read
	read int       // messages of done
}

// view is the connection as the library sees it: reads are metered, and once
// the handshake is done writes go nowhere, because all writing is the link's.
type view struct {
	net.Conn             // TLS or base
	base     *link.Conn  // below TLS
	muted    atomic.Bool // set by Bind
	out      *link.Outbound
	meter    meter
	timed    bool // a read deadline for the message under way is set
	timing   int  // meter.gaps when it was

	raw   syscall.RawConn // of the socket; nil: TLS, or no socket
	burst *burst          // read ahead; nil: nothing
	busy  bool            // the last burst was full
	left  []byte          // of burst, not yet handed on
	ended error           // what comes behind left: a broken rule, or the stream's end

	answer *answer // to our handshake; nil: it is over, or was the peer's
}

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
	if v.answer != nil {
		return v.readAnswer(b)
	}
	if len(v.left) == 0 && v.ended == nil && v.raw != nil && len(b) < burstSize {
		v.ahead()
	}
	if len(v.left) > 0 {
		n := copy(b, v.left)
		if v.left = v.left[n:]; len(v.left) == 0 {
			v.drop()
		}
		return n, nil
	}
	if v.ended != nil {
		return 0, v.ended
	}
	n, err := v.Conn.Read(b)
	if n == 0 {
		return 0, err
	}
	if n = v.came(b[:n]); n == 0 {
		return 0, v.ended
	}
	return n, err
}

// came meters bytes from the peer, and returns how many may be handed on: those
// before a frame that breaks the rules.
func (v *view) came(b []byte) int {
	if v.out != nil {
		v.out.Seen()
	}
	good, bad := v.meter.feed(b)
	if bad != nil {
		v.ended = bad
		return good
	}
	switch within := v.meter.within(); {
	case within && (!v.timed || v.timing != v.meter.gaps): // each message has its own time
		v.timed, v.timing = true, v.meter.gaps
		_ = v.base.SetReadDeadline(time.Now().Add(maxMessageTime))
	case !within && v.timed:
		v.timed = false
		_ = v.base.SetReadDeadline(time.Time{})
	}
	return good
}

// renew gives the message under way its full time from now on: what came of it
// while nobody wanted to read says nothing about its sender.
func (v *view) renew() {
	if v.timed {
		_ = v.base.SetReadDeadline(time.Now().Add(maxMessageTime))
	}
}

func newSocket(c net.Conn, limit int64) (*view, error) {
	v := &view{Conn: c, meter: meter{limit: limit}}
	switch t := c.(type) {
	case *link.Conn:
		v.base, v.raw = t, t.Raw()
	case *tls.Conn:
		base, ok := t.NetConn().(*link.Conn)
		if !ok {
			return nil, errors.New("ws: connection is no link connection")
		}
		v.base = base
	default:
		return nil, errors.New("ws: connection is no link connection")
	}
	return v, nil
}

// Bind implements link.Socket.
func (s *Socket) Bind(o *link.Outbound) {
	s.view.out = o
	s.view.muted.Store(true)
	s.ws.SetPingHandler(func(data string) error {
		s.done++
		o.Pong([]byte(data))
		return nil
	})
	s.ws.SetPongHandler(func(data string) error {
		s.done++
		o.Ponged([]byte(data))
		return nil
	})
	s.ws.SetCloseHandler(func(int, string) error { return nil })
}

// Conn implements link.Socket.
func (s *Socket) Conn() *link.Conn { return s.view.base }

// Writer implements link.Socket.
func (s *Socket) Writer() net.Conn { return s.view.Conn }

// Next implements link.Socket.
func (s *Socket) Next() (err error) {
	if !s.Ready() {
		s.view.renew()
		if s.done == s.view.meter.done { // the library has read all that came
			s.view.await()
		}
	}
	if s.kind, s.from, err = s.ws.NextReader(); err != nil {
		return s.why(err)
	}
	return nil
}

// Ready reports that the next message is here, whole: Next and Read do not wait
// for it.
func (s *Socket) Ready() bool { return s.read < s.view.meter.messages }

// Read implements link.Socket.
func (s *Socket) Read(buf []byte) (frame []byte, binary bool, err error) {
	frame = buf
	text, checked := s.kind == websocket.TextMessage, len(buf)
	for {
		if len(frame) == cap(frame) {
			frame = slices.Grow(frame, max(cap(frame), startFrame))
		}
		n, err := s.from.Read(frame[len(frame):cap(frame)])
		frame = frame[:len(frame)+n]
		end := errors.Is(err, io.EOF)
		if err != nil && !end {
			return nil, false, s.why(err)
		}
		if text {
			checked += wholeText(frame[checked:])
			if rest := frame[checked:]; len(rest) > 0 && (end || utf8.FullRune(rest)) {
				return nil, false, &link.Violation{Code: closeUTF8, Reason: "text is not UTF-8"}
			}
		}
		if end {
			s.done++
			s.read++
			return frame, !text, nil
		}
	}
}

// wholeText is how many bytes of b are whole characters. What is left is either
// the start of one or no UTF-8.
func wholeText(b []byte) int {
	if utf8.Valid(b) {
		return len(b)
	}
	n := 0
	for n < len(b) {
		r, size := utf8.DecodeRune(b[n:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		n += size
	}
	return n
}

// why turns an error of the library into what the link does about it.
func (s *Socket) why(err error) error {
	var (
		ce *websocket.CloseError
		v  *link.Violation
	)
	switch {
	case errors.As(err, &v):
		return v
	case isTimeout(err) && s.view.timed:
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

// isTimeout asks the error itself: the library hides what it wraps.
func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

func isNetwork(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) || errors.Is(err, io.ErrUnexpectedEOF)
}

func clip(s string) string { return s[:min(len(s), maxReason)] }
