package tcp

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"parley/gateways/link"
	"parley/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// patience is how long the tests on real sockets wait for anything. They never
// wait for it to pass.
const patience = time.Minute

// parts is a connection whose peer has said certain parts, each read by itself,
// and closed.
type parts struct {
	net.Conn

	left      [][]byte
	deadlines int // that were set
}

func (p *parts) Read(b []byte) (int, error) {
	for len(p.left) > 0 && len(p.left[0]) == 0 {
		p.left = p.left[1:]
	}
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.left[0])
	p.left[0] = p.left[0][n:]
	return n, nil
}

func (p *parts) SetReadDeadline(t time.Time) error {
	if !t.IsZero() {
		p.deadlines++
	}
	return nil
}

func (*parts) TryWrite(b []byte) (int, error) { return len(b), nil }

// said is a Socket whose peer has said certain parts.
func said(limit int, all ...[]byte) *Socket {
	c, err := link.NewConn(&parts{left: all})
	if err != nil {
		panic(err)
	}
	return NewSocket(c, limit)
}

// all reads until the end.
func all(s *Socket) (got []string, err error) {
	for {
		if err = s.Next(); err != nil {
			return got, err
		}
		var frame []byte
		if frame, _, err = s.Read(nil); err != nil {
			return got, err
		}
		got = append(got, string(frame))
	}
}

// stream is packets in their frames.
func stream(packets ...string) (b []byte) {
	for _, p := range packets {
		b = Framing{}.AppendFrame(b, []byte(p))
	}
	return b
}

func length(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
