package limit

import (
	"errors"
	"net"

	"parley/cmd/parley/bench/wire"
)

const (
	// firstBuffer and lastBuffer bound a connection's read buffer, bytes: it doubles when a read fills it, so that a
	// publisher's burst is read at once and a subscriber's buffer stays small.
	firstBuffer = 1 << 10
	lastBuffer  = 256 << 10
)

// session is one connection's reader. All its fields are owned by its goroutine.
type session struct {
	server *Server
	conn   net.Conn
	scan   wire.Scanner
	rooms  map[string]*room // subscribed

	json  []byte // scratch
	burst []byte // joined frames for target
	to    *room
	acks  []byte // answers not written yet
}

func (s *Server) serve(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok && s.options.WriteBuffer > 0 {
		_ = t.SetWriteBuffer(s.options.WriteBuffer)
	}
	v := &session{server: s, conn: c, scan: wire.Scanner{Masked: true}, rooms: map[string]*room{}}
	defer func() {
		for name, r := range v.rooms {
			s.leave(name, r, c)
		}
	}()
	if v.upgrade() {
		v.read()
	}
}

func (v *session) upgrade() bool {
	buffer := make([]byte, firstBuffer)
	var head []byte
	for {
		n, err := v.conn.Read(buffer)
		if err != nil {
			return false
		}
		head = append(head, buffer[:n]...)
		_, lines, after, ok, err := wire.Head(head)
		if err != nil {
			return false
		}
		if !ok {
			continue
		}
		key := wire.Header(lines, "Sec-WebSocket-Key")
		if key == "" {
			_, _ = v.conn.Write([]byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
			return false
		}
		answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + wire.Accept(key) + "\r\n\r\n"
		if _, err := v.conn.Write([]byte(answer)); err != nil {
			return false
		}
		v.scan.Filled(copy(v.scan.Begin(make([]byte, len(after)+1)), after))
		return v.frames()
	}
}

func (v *session) read() {
	buffer := make([]byte, firstBuffer)
	for {
		room := v.scan.Begin(buffer)
		if len(room) == 0 {
			buffer = make([]byte, 2*v.scan.Need())
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
		if n == len(room) && len(buffer) < lastBuffer {
			buffer = make([]byte, 2*len(buffer))
		}
	}
}

// frames works off what one read brought, then writes what it has held back. It is false when the connection is over.
func (v *session) frames() bool {
	for {
		f, ok, err := v.scan.Next()
		switch {
		case err != nil:
			return false
		case !ok:
			v.scan.Keep()
			v.release()
			return true
		case f.Op == wire.OpClose:
			v.release()
			_, _ = v.conn.Write(wire.AppendServer(nil, wire.OpClose, f.Payload))
			return false
		case f.Op == wire.OpPing:
			v.acks = wire.AppendServer(v.acks, wire.OpPong, f.Payload)
		case f.Op == wire.OpText:
			if v.command(f.Payload) != nil {
				return false
			}
		}
		if !v.server.options.Join {
			v.release()
		}
	}
}

func (v *session) release() {
	if len(v.burst) > 0 {
		v.to.write(v.conn, v.burst)
		v.burst = v.burst[:0]
	}
	if len(v.acks) > 0 {
		_, _ = v.conn.Write(v.acks)
		v.acks = v.acks[:0]
	}
}

var errCommand = errors.New("limit: command without its keys")

func (v *session) command(json []byte) error {
	name, _ := wire.Value(json, `"command"`)
	nonce, _ := wire.Value(json, `"nonce"`)
	switch string(name) {
	case "send":
		return v.send(json, nonce)
	case "subscribe", "unsubscribe":
		channel, ok := wire.Value(json, `"topic"`)
		if !ok {
			channel, ok = wire.Value(json, `"channel"`)
		}
		if !ok {
			return errCommand
		}
		v.move(string(name) == "subscribe", string(channel))
		v.answer(`{"ok":true}`, nonce)
	case "list":
		v.answer(`{"ok":true,"channels":`+v.server.list()+`}`, nonce)
	default:
		return errCommand
	}
	return nil
}

// move goes into a channel or out of it.
func (v *session) move(in bool, channel string) {
	r, inside := v.rooms[channel]
	switch {
	case in && !inside:
		v.rooms[channel] = v.server.join(channel, v.conn)
	case !in && inside:
		v.server.leave(channel, r, v.conn)
		delete(v.rooms, channel)
	}
}

func (v *session) send(json, nonce []byte) error {
	message, ok := wire.Value(json, `"message"`)
	channel, ok2 := wire.Value(json, `"channel"`)
	if !ok || !ok2 {
		return errCommand
	}
	to := v.rooms[string(channel)]
	if to == nil {
		v.answer(`{"ok":false,"reason":"channel does not exist"}`, nonce)
		return nil
	}
	if to != v.to && len(v.burst) > 0 {
		// The answers wait: they follow all the deliveries of the burst.
		v.to.write(v.conn, v.burst)
		v.burst = v.burst[:0]
	}
	v.to = to
	j := append(v.json[:0], `{"type":"message","data":{"message":"`...)
	j = append(j, message...)
	j = append(j, `","channel":"`...)
	j = append(j, channel...)
	j = append(j, `"},"nonce":"`...)
	j = append(j, nonce...)
	j = append(j, `"}`...)
	v.json = j
	v.burst = wire.AppendServer(v.burst, wire.OpText, j)
	v.answer(`{"ok":true}`, nonce)
	return nil
}

func (v *session) answer(data string, nonce []byte) {
	j := append(v.json[:0], `{"type":"response","data":`...)
	j = append(j, data...)
	j = append(j, `,"nonce":"`...)
	j = append(j, nonce...)
	j = append(j, `"}`...)
	v.json = j
	v.acks = wire.AppendServer(v.acks, wire.OpText, j)
}
