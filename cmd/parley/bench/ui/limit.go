//go:build linux

package ui

import (
	"encoding/json"
	"net"
	"strconv"

	"parley/cmd/parley/bench/bare"
	"parley/cmd/parley/bench/wire"
)

// ListenLimit begins to serve the yardstick of talk on a TCP address such as "127.0.0.1:0": a goroutine a connection that
// decodes the envelope of each request with encoding/json and answers it at once, with an empty payload and a write of
// its own. It checks nothing.
func ListenLimit(address string) (*bare.Server, error) {
	return bare.Listen(address, func(c net.Conn) {
		v := &session{conn: c, scan: wire.Scanner{Masked: true}, buffer: make([]byte, sessionBuffer)}
		if v.upgrade() {
			v.read()
		}
	})
}

// sessionBuffer is what one read takes at most, bytes.
const sessionBuffer = 16 << 10

// session is one connection. All its fields are owned by its goroutine.
type session struct {
	conn   net.Conn
	scan   wire.Scanner
	buffer []byte
	json   []byte // scratch, as frame
	frame  []byte
}

func (v *session) upgrade() bool {
	var head []byte
	for {
		n, err := v.conn.Read(v.buffer)
		if err != nil {
			return false
		}
		head = append(head, v.buffer[:n]...)
		_, lines, after, ok, err := wire.Head(head)
		if err != nil {
			return false
		}
		if !ok {
			continue
		}
		answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: " + subprotocol +
			"\r\nSec-WebSocket-Accept: " + wire.Accept(wire.Header(lines, "Sec-WebSocket-Key")) + "\r\n\r\n"
		if _, err := v.conn.Write([]byte(answer)); err != nil {
			return false
		}
		v.scan.Filled(copy(v.scan.Begin(make([]byte, len(after)+1)), after))
		return v.frames()
	}
}

func (v *session) read() {
	for {
		room := v.scan.Begin(v.buffer)
		if len(room) == 0 {
			v.buffer = make([]byte, 2*v.scan.Need())
			continue
		}
		n, err := v.conn.Read(room)
		if err != nil {
			return
		}
		v.scan.Filled(n)
		if !v.frames() {
			return
		}
	}
}

// frames works off what one read brought. It is false when the connection is over.
func (v *session) frames() bool {
	for {
		f, ok, err := v.scan.Next()
		switch {
		case err != nil:
			return false
		case !ok:
			v.scan.Keep()
			return true
		case f.Op == wire.OpClose:
			_, _ = v.conn.Write(wire.AppendServer(nil, wire.OpClose, f.Payload))
			return false
		case f.Op == wire.OpPing:
			_, err = v.conn.Write(wire.AppendServer(nil, wire.OpPong, f.Payload))
		case f.Op == wire.OpText:
			err = v.answer(f.Payload)
		}
		if err != nil {
			return false
		}
	}
}

func (v *session) answer(text []byte) error {
	var m frame
	if err := json.Unmarshal(text, &m); err != nil {
		return err
	}
	if m.Context == nil {
		return nil
	}
	v.json = strconv.AppendQuote(append(v.json[:0], `{"opcode":`...), m.Opcode)
	v.json = strconv.AppendUint(append(v.json, `,"contextId":`...), *m.Context, 10)
	v.json = append(v.json, `,"payload":{}}`...)
	v.frame = wire.AppendServer(v.frame[:0], wire.OpText, v.json)
	_, err := v.conn.Write(v.frame)
	return err
}
