package starclient

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"parley/gateways/ws"
)

// The versions of Engine.IO.
const (
	Three = 3 // socket.io 1 and 2
	Four  = 4 // socket.io 3 and 4
)

const (
	// messageMost is the longest message that is taken, bytes: four times what a server takes.
	messageMost = 16 << 20
	// binaryMark is what a binary frame of version 3 begins with.
	binaryMark = 0x04
	// base64Mark begins a text frame that stands for a binary one.
	base64Mark = "b4"
	// goodbyeTime is how long Close waits to get its goodbye written.
	goodbyeTime = time.Second

	closeNormal = 1000 // WebSocket close code
)

// Wire is one connection of Engine.IO over WebSocket. Sending is for any
// goroutine, Hear for one at a time.
type Wire struct {
	Version int

	socket *ws.Socket
	mu     sync.Mutex // guards out and part, and the order of what is sent
	out    []byte
	part   []byte // a frame's payload in the making
	close  sync.Once
}

// Frame is one Engine.IO packet as it came.
type Frame struct {
	Data   []byte // valid until the next call of Hear; of a binary one without any mark
	Binary bool
}

// URL is where the socket of a server is opened. An address is host:port, or a
// ws://, wss://, http:// or https:// URL.
func URL(address string, version int) (string, error) {
	if !strings.Contains(address, "://") {
		address = "ws://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("starclient: %q is no address of a server, as in ws://127.0.0.1:9090", address)
	}
	switch u.Scheme {
	case "http":
		u.Scheme = "ws"
	case "https":
		u.Scheme = "wss"
	case "ws", "wss":
	default:
		return "", fmt.Errorf("starclient: %q is no address of a server, as in ws://127.0.0.1:9090", address)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/socket.io/"
	}
	u.RawQuery = fmt.Sprintf("EIO=%d&transport=websocket", version)
	return u.String(), nil
}

// Open connects, and says and hears nothing yet. A server that does not upgrade
// is a *ws.Refused.
func Open(ctx context.Context, address string, version int) (*Wire, error) {
	return open(ctx, address, version, nil)
}

func open(ctx context.Context, address string, version int, connect func(ctx context.Context, network, address string) (net.Conn, error)) (*Wire, error) {
	to, err := URL(address, version)
	if err != nil {
		return nil, err
	}
	d := ws.Dialler{Limit: messageMost, Connect: connect}
	s, err := d.Dial(ctx, to, nil)
	if err != nil {
		return nil, fmt.Errorf("starclient: %w", err)
	}
	return &Wire{Version: version, socket: s}, nil
}

// Say sends one text frame, which begins with the type of its packet.
func (w *Wire) Say(text string) error {
	return w.send(func(dst []byte) []byte { return ws.Masked{}.AppendFrame(dst, []byte(text)) })
}

// SayBinary sends one binary frame as it is.
func (w *Wire) SayBinary(b []byte) error {
	return w.send(func(dst []byte) []byte { return ws.Masked{}.AppendBinary(dst, b) })
}

// Packet sends a socket.io packet and its attachments, with nothing in between.
func (w *Wire) Packet(packet string, attachments ...[]byte) error {
	return w.send(func(dst []byte) []byte {
		w.part = append(append(w.part[:0], engineMessage), packet...)
		dst = ws.Masked{}.AppendFrame(dst, w.part)
		for _, a := range attachments {
			if w.part = w.part[:0]; w.Version == Three {
				w.part = append(w.part, binaryMark)
			}
			w.part = append(w.part, a...)
			dst = ws.Masked{}.AppendBinary(dst, w.part)
		}
		return dst
	})
}

// send writes whole frames, and waits while the server does not take them.
func (w *Wire) send(build func(dst []byte) []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out = build(w.out[:0])
	if _, err := w.socket.Writer().Write(w.out); err != nil {
		return fmt.Errorf("starclient: %w", err)
	}
	return nil
}

// Hear returns the next frame; buf is used if it is large enough.
func (w *Wire) Hear(buf []byte) (Frame, error) {
	if err := w.socket.Next(); err != nil {
		return Frame{}, fmt.Errorf("starclient: %w", err)
	}
	b, binary, err := w.socket.Read(buf[:0])
	if err != nil {
		return Frame{}, fmt.Errorf("starclient: %w", err)
	}
	switch {
	case binary && w.Version == Four:
		return Frame{b, true}, nil
	case binary:
		if len(b) == 0 || b[0] != binaryMark {
			return Frame{}, errors.New("starclient: a binary frame without its mark")
		}
		return Frame{b[1:], true}, nil
	case len(b) == 0:
		return Frame{}, errors.New("starclient: an empty frame")
	case b[0] == base64Mark[0]:
		mark := base64Mark
		if w.Version == Four {
			mark = base64Mark[:1]
		}
		text, ok := strings.CutPrefix(string(b), mark)
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil || !ok {
			return Frame{}, fmt.Errorf("starclient: not base64: %.64q", b)
		}
		return Frame{raw, true}, nil
	}
	return Frame{b, false}, nil
}

// HearBy is Hear that gives up at a time; after that the wire is of no more use.
func (w *Wire) HearBy(end time.Time, buf []byte) (Frame, error) {
	hurry := time.AfterFunc(time.Until(end), func() { _ = w.socket.Conn().SetReadDeadline(time.Unix(1, 0)) })
	defer hurry.Stop()
	return w.Hear(buf)
}

// Close says goodbye and ends the connection. It may be called at any time, by
// any goroutine, and again.
func (w *Wire) Close() {
	w.close.Do(func() {
		c := w.socket.Conn()
		_ = c.SetWriteDeadline(time.Now().Add(goodbyeTime)) // somebody may be waiting in send
		_ = w.send(func(dst []byte) []byte { return ws.Masked{}.AppendClose(dst, closeNormal, "") })
		_ = c.Close()
	})
}

// Cut ends the connection without a word.
func (w *Wire) Cut() {
	w.close.Do(func() { _ = w.socket.Conn().Close() })
}
