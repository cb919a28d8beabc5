package tcp

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"parley/gateways/link"
)

// emptyMost is how many packets without content may come in emptyTime: each is
// nothing, and all together they are work that nobody is charged for.
const (
	emptyMost = 1024
	emptyTime = 10 * time.Second
)

// packetTime is what a packet that has begun gets to be whole. Source:
// gateways/enclave/PROTOCOL.md, Limits.
const packetTime = 10 * time.Second

// Why a connection is ended, for counters and logs: peers are told nothing.
const (
	closePolicy   = 1008
	closeTooBig   = 1009
	reasonTooBig  = "packet too big"
	reasonTooLate = "packet took too long"
	reasonEmpty   = "too many empty packets"
)

// burstSize is how much is read in one call, in bytes.
const burstSize = 16 << 10

// bursts are borrowed from a read that found something until it is used up: few
// system calls for a busy peer, no memory for an idle one.
var bursts = sync.Pool{New: func() any { b := make([]byte, burstSize); return &b }}

// Socket is one TCP connection, of either end. It implements link.Socket.
type Socket struct {
	conn  *link.Conn      // fixed, as all of this block
	raw   syscall.RawConn // nil: the connection is no socket
	limit int             // bytes of a payload
	first func()          // told of the first packet; nil: nobody wants to know

	out *link.Outbound // set by Bind

	burst   *[]byte // owned, as all that follows; nil: left is empty
	left    []byte  // of burst, not used yet
	head    [headerSize]byte
	size    int  // of the payload that Next has found
	came    bool // a packet has come whole
	timed   bool // a deadline for the packet under way is set
	empty   int  // packets without content, since emptied
	emptied time.Time

	attempt func(fd uintptr) bool // one try to read, or to wait for it
	patient bool                  // attempt waits
	n       int                   // what attempt has read
	bad     error                 // why it has not
}

// NewSocket makes a Socket of a connection; limit is the longest payload in
// bytes.
func NewSocket(c *link.Conn, limit int) *Socket {
	s := &Socket{conn: c, raw: c.Raw(), limit: limit}
	s.attempt = s.read
	return s
}

// Bind implements link.Socket.
func (s *Socket) Bind(o *link.Outbound) { s.out = o }

// Conn implements link.Socket.
func (s *Socket) Conn() *link.Conn { return s.conn }

// Writer implements link.Socket.
func (s *Socket) Writer() net.Conn { return s.conn }

// Next implements link.Socket: it returns when a length is known that is not 0
// and not over the limit.
func (s *Socket) Next() error {
	for {
		for got := 0; got < headerSize; {
			if len(s.left) == 0 {
				if err := s.fill(got > 0); err != nil {
					return s.over(err)
				}
			}
			n := copy(s.head[got:], s.left)
			s.use(n)
			got += n
		}
		size := binary.BigEndian.Uint32(s.head[:])
		if uint64(size) > uint64(s.limit) {
			return s.over(&link.Violation{Code: closeTooBig, Reason: reasonTooBig})
		}
		if size > 0 {
			s.size = int(size)
			return nil
		}
		s.calm()
		if s.flooded() {
			return s.over(&link.Violation{Code: closePolicy, Reason: reasonEmpty})
		}
	}
}

// flooded counts a packet without content, and reports whether there were too many.
// It looks at the clock once in emptyMost of them.
func (s *Socket) flooded() bool {
	if s.empty++; s.empty == 1 {
		s.emptied = time.Now()
	}
	if s.empty < emptyMost {
		return false
	}
	s.empty = 0
	return time.Since(s.emptied) < emptyTime
}

// Read implements link.Socket. What it allocates grows with what came.
func (s *Socket) Read(buf []byte) (frame []byte, binary bool, err error) {
	for frame = buf; s.size > 0; {
		if len(s.left) == 0 {
			if err := s.fill(true); err != nil {
				return nil, false, s.over(err)
			}
		}
		n := min(s.size, len(s.left))
		frame = append(frame, s.left[:n]...)
		s.use(n)
		s.size -= n
	}
	s.calm()
	if !s.came {
		s.came = true
		if s.first != nil {
			s.first()
		}
	}
	return frame, false, nil
}

// use takes n bytes off what was read.
func (s *Socket) use(n int) {
	if s.left = s.left[n:]; len(s.left) == 0 {
		s.drop()
	}
}

// drop gives the buffer back.
func (s *Socket) drop() {
	s.left = nil
	if s.burst != nil {
		bursts.Put(s.burst)
		s.burst = nil
	}
}

// over ends the reading: nobody looks at what is left.
func (s *Socket) over(err error) error {
	s.drop()
	return err
}

// calm takes the deadline of a packet away.
func (s *Socket) calm() {
	if s.timed {
		s.timed = false
		_ = s.conn.SetReadDeadline(time.Time{})
	}
}

// hurry gives the packet under way its time, once. It begins when more of it is
// waited for: what came while nobody wanted to read says nothing about the peer.
func (s *Socket) hurry() {
	if !s.timed {
		s.timed = true
		_ = s.conn.SetReadDeadline(time.Now().Add(packetTime))
	}
}

// fill reads what has come, waiting for it; left is empty before. within tells
// that a packet is under way.
func (s *Socket) fill(within bool) error {
	if s.raw == nil {
		return s.fillPlain(within)
	}
	s.patient = !within || s.timed
	err := s.raw.Read(s.attempt)
	if err == nil && s.bad == syscall.EAGAIN { // the rest is not there: now it is late some time
		s.hurry()
		s.patient = true
		err = s.raw.Read(s.attempt)
	}
	switch {
	case err != nil:
		return s.late(err)
	case s.bad != nil:
		return os.NewSyscallError("read", s.bad)
	case s.n <= 0:
		return io.EOF
	}
	s.heard()
	return nil
}

// read is one read call, outside which there is no buffer.
func (s *Socket) read(fd uintptr) bool {
	s.burst = bursts.Get().(*[]byte)
	for {
		if s.n, s.bad = syscall.Read(int(fd), *s.burst); s.bad != syscall.EINTR {
			break
		}
	}
	if s.n <= 0 {
		s.drop()
		return s.bad != syscall.EAGAIN || !s.patient
	}
	return true
}

// fillPlain is fill for connections that are no sockets.
func (s *Socket) fillPlain(within bool) error {
	if within {
		s.hurry()
	}
	s.burst = bursts.Get().(*[]byte)
	n, err := s.conn.Read(*s.burst)
	if n == 0 {
		s.drop()
		if err == nil {
			err = io.ErrNoProgress
		}
		return s.late(err)
	}
	s.n = n
	s.heard()
	return nil
}

// heard takes what was read.
func (s *Socket) heard() {
	s.left = (*s.burst)[:s.n]
	if s.out != nil {
		s.out.Seen()
	}
}

// late is err, unless it is that a packet took too long.
func (s *Socket) late(err error) error {
	if s.timed && errors.Is(err, os.ErrDeadlineExceeded) {
		return &link.Violation{Code: closePolicy, Reason: reasonTooLate}
	}
	return err
}
