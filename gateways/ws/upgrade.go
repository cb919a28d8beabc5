package ws

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/gorilla/websocket"
)

// readBuffer is the library's buffer for one connection, in bytes: room for the
// longest header and control frame. Bursts are read ahead of it (view.await),
// large payloads past it.
const readBuffer = 128

// handshakeBuffer holds the answer to a handshake, in bytes.
const handshakeBuffer = 1 << 10

// writeBuffers are only used for the handshake's answer.
var writeBuffers = &sync.Pool{}

// Upgrader does server handshakes. Host, Origin and subprotocol are decided
// before it is called (gateways/guard).
type Upgrader struct {
	Limit       int64  // bytes of one message
	Subprotocol string // named in the answer; empty: none
}

// Asked reports whether a request wants to become a WebSocket.
func Asked(r *http.Request) bool { return websocket.IsWebSocketUpgrade(r) }

// Upgrade turns a request into a Socket. On error the client was answered.
func (u Upgrader) Upgrade(w http.ResponseWriter, r *http.Request) (*Socket, error) {
	up := websocket.Upgrader{
		ReadBufferSize:  readBuffer,
		WriteBufferSize: handshakeBuffer,
		WriteBufferPool: writeBuffers,
		CheckOrigin:     func(*http.Request) bool { return true },
	}
	if u.Subprotocol != "" {
		up.Subprotocols = []string{u.Subprotocol}
		if offers := r.Header.Values("Sec-Websocket-Protocol"); len(offers) > 1 { // the library looks at the first line only
			r.Header.Set("Sec-Websocket-Protocol", strings.Join(offers, ","))
		}
	}
	h := &hijacker{ResponseWriter: w, limit: u.Limit}
	c, err := up.Upgrade(h, r, nil)
	if err != nil {
		if h.view != nil {
			_ = h.view.Close()
		}
		return nil, fmt.Errorf("ws: handshake: %w", err)
	}
	c.SetReadLimit(u.Limit)
	return &Socket{view: h.view, ws: c}, nil
}

// hijacker puts a view between the library and the connection it takes over.
type hijacker struct {
	http.ResponseWriter
	limit int64
	view  *view
}

// Hijack implements http.Hijacker.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	hj, ok := h.ResponseWriter.(http.Hijacker)
	if !ok {
		return nil, nil, fmt.Errorf("ws: %T cannot be taken over", h.ResponseWriter)
	}
	c, rw, err := hj.Hijack()
	if err != nil {
		return nil, nil, err
	}
	v, err := newSocket(c, h.limit)
	if err != nil {
		_ = c.Close()
		return nil, nil, err
	}
	h.view = v
	return v, rw, nil
}
