//go:build linux

package enclave

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"

	"parley/cmd/parley/bench/bare"
	"parley/cmd/parley/enclavewire"
)

// Limit is the yardstick: a goroutine a connection that cuts what comes into packets, acknowledges the last one of each read, and
// tells of messages in lines. It checks and keeps nothing.
type Limit struct {
	*bare.Server

	tell io.Writer // nil: nobody is told
}

// limitBuffer is what is read at once, bytes.
const limitBuffer = 64 << 10

// Listen begins to serve on a TCP address such as "127.0.0.1:0". Messages are told to out; nil: to nobody.
func Listen(address string, out io.Writer) (*Limit, error) {
	s := &Limit{tell: out}
	b, err := bare.Listen(address, s.serve)
	s.Server = b
	return s, err
}

// packetStart is how a message begins, and goodbyeStart the last packet.
var (
	packetStart  = []byte(`{"message":"`)
	goodbyeStart = []byte(`{"status":0`)
)

func (s *Limit) serve(c net.Conn) {
	r := bufio.NewReaderSize(c, limitBuffer)
	if _, err := c.Write(enclavewire.Append(nil, handshakeOwn)); err != nil {
		return
	}
	var content, out, line, id []byte
	for {
		head, err := r.Peek(lengthSize)
		if err != nil {
			return
		}
		n := int(binary.BigEndian.Uint32(head))
		_, _ = r.Discard(lengthSize) // it is there
		if n > limitBuffer {
			return
		}
		if content = append(content[:0], make([]byte, n)...); n > 0 {
			if _, err := io.ReadFull(r, content); err != nil {
				return
			}
		}
		if bytes.HasPrefix(content, goodbyeStart) {
			return
		}
		if text, ok := bytes.CutPrefix(content, packetStart); ok {
			if got := valueAfter(text, idMark); got != nil {
				id = append(id[:0], got...)
			}
			if s.tell != nil {
				line = append(append(line, `{"event":"message","message":"`...), text[:max(bytes.IndexByte(text, '"'), 0)]...)
				line = append(line, "\"}\n"...)
			}
		}
		if r.Buffered() > 0 {
			continue
		}
		if len(line) > 0 {
			if _, err := s.tell.Write(line); errors.Is(err, os.ErrClosed) {
				return
			}
			line = line[:0]
		}
		if len(id) > 0 {
			out = enclavewire.Append(out[:0], `{"timestamp":1795219316,"ack":"`+string(id)+`"}`)
			if _, err := c.Write(out); err != nil {
				return
			}
			id = id[:0]
		}
	}
}
