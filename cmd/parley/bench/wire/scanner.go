package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// maxMessage bounds one message, bytes, over all its fragments: four times the relay's frame limit of 4 MiB. What is
// longer is a broken peer.
const maxMessage = 16 << 20

// keptMost is how much room for left-over bytes an idle scanner holds on to, bytes.
const keptMost = 4 << 10

// Errors of Next. The connection is of no more use after any of them.
var (
	ErrReserved   = errors.New("wire: reserved bit set")
	ErrOpcode     = errors.New("wire: unknown opcode")
	ErrMasking    = errors.New("wire: masked by the wrong side")
	ErrControl    = errors.New("wire: control frame fragmented or over 125 bytes")
	ErrContinuity = errors.New("wire: continuation out of place")
)

// Message is one whole message or control frame. Payload is valid until the next call of Next, Keep or Begin.
type Message struct {
	Op      byte
	Payload []byte
}

// Scanner cuts one connection's bytes into messages. Many scanners share one read buffer:
//
//	room := s.Begin(buffer)        // what was left over last time is at the start of the buffer now
//	n := read(room)
//	s.Filled(n)
//	for { m, ok, err := s.Next() … }
//	s.Keep()                       // the buffer may be used by another
//
// An idle one holds next to no memory but itself.
type Scanner struct {
	// Masked says which side is read: true for a server that reads clients. Payloads are unmasked in place.
	Masked bool

	view  []byte // unread part of the shared buffer, between Begin and Keep
	base  []byte // the shared buffer, between Begin and Filled
	held  int    // bytes of base that Begin put there
	rest  []byte // an incomplete frame, between Keep and Begin
	parts []byte // fragments of a message so far
	op    byte   // opcode of the message in parts, 0 when none is open
}

// Begin puts the left-over bytes at the start of buffer and returns the room behind them. The room is empty when the
// frame begun does not fit: then Need says how large a buffer must be.
func (s *Scanner) Begin(buffer []byte) (room []byte) {
	s.held = copy(buffer, s.rest)
	if s.held < len(s.rest) {
		return nil
	}
	s.base = buffer
	return buffer[s.held:]
}

// Need is the size of a buffer, bytes, that holds the frame begun and at least one byte of the next.
func (s *Scanner) Need() int {
	_, _, size, _ := parseHeader(s.rest)
	return max(size, len(s.rest)) + 1
}

// Filled says that n bytes were read into the room.
func (s *Scanner) Filled(n int) {
	s.view = s.base[:s.held+n]
	s.base = nil
	s.rest = s.rest[:0]
}

// Pending says whether bytes are kept that Next has not seen as a whole frame.
func (s *Scanner) Pending() bool { return len(s.rest) > 0 }

// Keep saves what Next has not consumed and lets go of the shared buffer.
func (s *Scanner) Keep() {
	if s.view == nil {
		return // nothing was read since the last time
	}
	s.rest = append(s.rest[:0], s.view...)
	s.view = nil
	if len(s.rest) == 0 && cap(s.rest) > keptMost {
		s.rest = nil
	}
}

// Next returns the next whole message or control frame, or false when there is none yet.
func (s *Scanner) Next() (Message, bool, error) {
	for {
		h, start, size, err := parseHeader(s.view)
		if err != nil {
			return Message{}, false, err
		}
		if size == 0 || len(s.view) < size {
			return Message{}, false, nil
		}
		if h.masked != s.Masked {
			return Message{}, false, ErrMasking
		}
		payload := s.view[start:size]
		s.view = s.view[size:]
		if h.masked {
			Mask(payload, h.key)
		}
		m, ok, err := s.assemble(h, payload)
		if ok || err != nil {
			return m, ok, err
		}
	}
}

// assemble joins fragments; whole frames pass without a copy.
func (s *Scanner) assemble(h header, payload []byte) (Message, bool, error) {
	switch {
	case h.op >= OpClose:
		return Message{h.op, payload}, true, nil
	case (h.op == OpContinuation) != (s.op != 0):
		return Message{}, false, ErrContinuity
	case h.op != OpContinuation && h.fin:
		return Message{h.op, payload}, true, nil
	}
	if h.op != OpContinuation {
		s.op, s.parts = h.op, s.parts[:0]
	}
	if len(s.parts)+len(payload) > maxMessage {
		return Message{}, false, fmt.Errorf("wire: message over %d bytes", maxMessage)
	}
	s.parts = append(s.parts, payload...)
	if !h.fin {
		return Message{}, false, nil
	}
	m := Message{s.op, s.parts}
	s.op = 0
	return m, true, nil
}

type header struct {
	op          byte
	fin, masked bool
	key         [4]byte
}

// parseHeader reads a frame's header. start is where its payload begins, size the whole frame's length; both are 0 when
// the header is not complete.
func parseHeader(b []byte) (h header, start, size int, err error) {
	if len(b) < 2 {
		return h, 0, 0, nil
	}
	h.op, h.fin, h.masked = b[0]&0x0F, b[0]&bitFin != 0, b[1]&bitMask != 0
	if b[0]&0x70 != 0 {
		return h, 0, 0, ErrReserved
	}
	if h.op > OpPong || (h.op > OpBinary && h.op < OpClose) {
		return h, 0, 0, ErrOpcode
	}
	n := uint64(b[1] &^ bitMask)
	if h.op >= OpClose && (!h.fin || n > smallMax) {
		return h, 0, 0, ErrControl
	}
	start = 2
	switch n {
	case marker16:
		start = 4
		if len(b) < start {
			return h, 0, 0, nil
		}
		n = uint64(binary.BigEndian.Uint16(b[2:]))
	case marker64:
		start = 10
		if len(b) < start {
			return h, 0, 0, nil
		}
		n = binary.BigEndian.Uint64(b[2:])
	}
	if n > maxMessage {
		return h, 0, 0, fmt.Errorf("wire: frame of %d bytes, over %d", n, maxMessage)
	}
	if h.masked {
		if len(b) < start+4 {
			return h, 0, 0, nil
		}
		copy(h.key[:], b[start:])
		start += 4
	}
	return h, start, start + int(n), nil
}
