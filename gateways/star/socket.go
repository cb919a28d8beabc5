package star

import (
	"encoding/base64"
	"errors"
	"net"
	"time"

	"parley/gateways/link"
)

// Close codes of RFC 6455, 7.4.1.
const (
	closeProtocol = 1002
	closePolicy   = 1008
	closeTooBig   = 1009
)

// What a client is told that breaks the rules of attachments. Source:
// PROTOCOL.md, Connection.
const (
	reasonUnexpected = "unexpected binary"
	reasonText       = "text where an attachment is due"
	reasonBase64     = "invalid base64"
	reasonLate       = "attachments took too long"
	reasonTooBig     = "message too big"
)

// Socket is a WebSocket whose messages are Engine.IO packets; one that announces
// attachments is read together with them, as one composite. It implements
// link.Socket.
type Socket struct {
	link.Socket // the WebSocket; fixed, as all of this block

	ready interface{ Ready() bool } // nil: nobody knows
	four  bool

	// The packet that waits for attachments, while other packets pass.
	body    []byte // read so far; owned by the socket while held
	held    bool
	text    int       // bytes of body that are the packet
	due     int       // attachments
	spans   []span    // of those that came
	until   time.Time // zero: nobody has waited yet
	left    time.Time // when the last packet was handed on in between; zero: none was
	hurried bool      // a read deadline is set
}

// NewSocket makes a Socket of a connection that has been upgraded.
func NewSocket(s link.Socket, four bool) *Socket {
	ready, _ := s.(interface{ Ready() bool })
	return &Socket{Socket: s, ready: ready, four: four}
}

// Ready reports that the next message is here, but perhaps for its attachments.
func (s *Socket) Ready() bool { return !s.held && s.ready != nil && s.ready.Ready() }

// Next implements link.Socket.
func (s *Socket) Next() error {
	if s.held {
		return nil // Read goes on
	}
	return s.Socket.Next()
}

// Read implements link.Socket.
func (s *Socket) Read(buf []byte) (frame []byte, binary bool, err error) {
	if s.held {
		if !s.until.IsZero() {
			s.until = s.until.Add(time.Since(s.left)) // nobody read meanwhile
		}
		return s.assemble(s.body)
	}
	start := len(buf)
	if buf, binary, err = s.Socket.Read(buf); err != nil {
		return nil, false, err
	}
	if binary || len(buf) > start && buf[start] == engineBase64 {
		return nil, false, &link.Violation{Code: closeProtocol, Reason: reasonUnexpected}
	}
	n := announced(buf[start:])
	if n == 0 {
		return buf, false, nil
	}
	s.text, s.due, s.spans, s.until = len(buf), n, s.spans[:0], time.Time{}
	return s.assemble(buf)
}

// announced is how many attachments follow a message. One that is malformed is
// the Codec's to refuse.
func announced(message []byte) int {
	if len(message) < 2 || message[0] != engineMessage || message[1] != typeBinaryEvent && message[1] != typeBinaryAck {
		return 0
	}
	var p packet
	if p.parse(message[1:]) != "" {
		return 0
	}
	return p.attachments
}

// assemble reads attachments behind body until all are there, or a packet comes
// between that is not part of it: then that is handed on, and the next Read goes
// on with the rest.
func (s *Socket) assemble(body []byte) (frame []byte, binary bool, err error) {
	s.held, s.body = false, nil
	for len(s.spans) < s.due {
		mark := len(body)
		if body, binary, err = s.next(body); err != nil {
			return nil, false, err
		}
		if !binary && passes(body[mark:]) {
			between := append([]byte(nil), body[mark:]...)
			s.body, s.held, s.left = body[:mark], true, time.Now()
			s.calm()
			return between, false, nil
		}
		var at span
		if body, at, err = s.attachment(body, mark, binary); err != nil {
			return nil, false, err
		}
		s.spans = append(s.spans, at)
		if s.size() > MaxMessage {
			return nil, false, &link.Violation{Code: closeTooBig, Reason: reasonTooBig}
		}
	}
	s.calm()
	return compose(body, s.text, s.spans), true, nil
}

// next reads one more message behind body, in the time that is left. One that is
// here already takes none.
func (s *Socket) next(body []byte) ([]byte, bool, error) {
	ready := s.ready != nil && s.ready.Ready()
	if !ready {
		if s.until.IsZero() {
			s.until = time.Now().Add(assembleTime)
		}
		s.hurried = true
		_ = s.Conn().SetReadDeadline(s.until)
	}
	if err := s.Socket.Next(); err != nil {
		return nil, false, s.late(err)
	}
	body, binary, err := s.Socket.Read(body)
	if err != nil {
		return nil, false, s.late(err)
	}
	if !ready && time.Now().After(s.until) { // a message that began in time has its own
		return nil, false, &link.Violation{Code: closePolicy, Reason: reasonLate}
	}
	return body, binary, nil
}

// calm takes the deadline away: a message that is under way gets its own with
// the next Next.
func (s *Socket) calm() {
	if s.hurried {
		s.hurried = false
		_ = s.Conn().SetReadDeadline(time.Time{})
	}
}

// late is err, unless it is that the deadline of attachments is over.
func (s *Socket) late(err error) error {
	var (
		v  *link.Violation
		ne net.Error
	)
	if !errors.As(err, &v) && errors.As(err, &ne) && ne.Timeout() {
		return &link.Violation{Code: closePolicy, Reason: reasonLate}
	}
	return err
}

// passes reports whether a text may come between a packet and its attachments:
// all that Engine.IO says for itself.
func passes(text []byte) bool {
	return len(text) > 0 && text[0] >= engineClose && text[0] <= engineNoop && text[0] != engineMessage
}

// attachment is where the message at mark is, without what says that it is one.
func (s *Socket) attachment(body []byte, mark int, binary bool) ([]byte, span, error) {
	message := body[mark:]
	switch {
	case binary && s.four:
		return body, span{mark, len(body)}, nil
	case binary:
		if len(message) == 0 || message[0] != engineBinary {
			return nil, span{}, &link.Violation{Code: closeProtocol, Reason: reasonUnexpected}
		}
		return body, span{mark + 1, len(body)}, nil
	case len(message) == 0 || message[0] != engineBase64:
		return nil, span{}, &link.Violation{Code: closeProtocol, Reason: reasonText}
	}
	message = message[1:]
	if !s.four {
		if len(message) == 0 || message[0] != engineMessage {
			return nil, span{}, &link.Violation{Code: closeProtocol, Reason: reasonText}
		}
		message = message[1:]
	}
	from := len(body)
	body, err := base64.StdEncoding.AppendDecode(body, message)
	if err != nil {
		return nil, span{}, &link.Violation{Code: closeProtocol, Reason: reasonBase64}
	}
	return body, span{from, len(body)}, nil
}

// size is how large the message is so far.
func (s *Socket) size() int {
	n := s.text
	for _, at := range s.spans {
		n += at.to - at.from
	}
	return n
}
