package ws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// Client is the dialling side of a connection, for command-line verbs. Say may
// be called by one goroutine, Hear by another.
type Client struct{ ws *websocket.Conn }

// closeWait is how long Close waits to get its goodbye written.
const closeWait = 2 * time.Second

// fragment is what Say writes as one frame, bytes. The library cuts what is
// longer, and a Socket takes maxFragments of a message of 64 MiB at most.
const fragment = 128 << 10

// fragments are in use while Say is.
var fragments = &sync.Pool{}

// refusalBytes is how much of the body of a refusal is kept.
const refusalBytes = 4 << 10

// Refused says that a server answered with something else than an upgrade.
type Refused struct {
	URL    string
	Code   int    // as in 403
	Status string // as in "403 Forbidden"
	Body   []byte // its first refusalBytes
}

func (r *Refused) Error() string {
	return fmt.Sprintf("ws: %q answered %s: %.512s", r.URL, r.Status, r.Body)
}

// Dial opens a client connection; limit is the longest message in bytes. A
// server that does not upgrade is a *Refused. One that compresses although
// nobody asked is an error: the library would inflate without a limit.
func Dial(ctx context.Context, url string, limit int64) (*Client, error) {
	return DialProtocol(ctx, url, limit, "")
}

// DialProtocol is Dial for a server that must agree to a subprotocol; "": any.
func DialProtocol(ctx context.Context, url string, limit int64, subprotocol string) (*Client, error) {
	d := websocket.Dialer{HandshakeTimeout: 10 * time.Second, Proxy: http.ProxyFromEnvironment, WriteBufferSize: fragment, WriteBufferPool: fragments}
	if subprotocol != "" {
		d.Subprotocols = []string{subprotocol}
	}
	c, res, err := d.DialContext(ctx, url, nil)
	if err != nil {
		if res != nil && res.StatusCode != http.StatusSwitchingProtocols {
			body, _ := io.ReadAll(io.LimitReader(res.Body, refusalBytes))
			return nil, &Refused{URL: url, Code: res.StatusCode, Status: res.Status, Body: body}
		}
		return nil, fmt.Errorf("ws: dial %q: %w", url, err)
	}
	if ext := res.Header.Values("Sec-Websocket-Extensions"); len(ext) > 0 {
		_ = c.Close()
		return nil, fmt.Errorf("ws: dial %q: the server uses extensions nobody asked for: %q", url, ext)
	}
	if got := c.Subprotocol(); subprotocol != "" && got != subprotocol {
		_ = c.Close()
		return nil, fmt.Errorf("ws: dial %q: the server speaks %q, not %q", url, got, subprotocol)
	}
	c.SetReadLimit(limit)
	return &Client{c}, nil
}

// Ends returns the addresses of the connection: the server's, and the one here.
func (c *Client) Ends() (remote, local netip.AddrPort) {
	return endpoint(c.ws.RemoteAddr()), endpoint(c.ws.LocalAddr())
}

// endpoint is the zero AddrPort for what is no TCP address.
func endpoint(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// Say sends one text message.
func (c *Client) Say(b []byte) error { return c.ws.WriteMessage(websocket.TextMessage, b) }

// Hear returns the next message. A server that closed is a *Closed.
func (c *Client) Hear() ([]byte, error) {
	_, b, err := c.ws.ReadMessage()
	var ce *websocket.CloseError
	if errors.As(err, &ce) {
		return nil, &Closed{Code: ce.Code, Reason: ce.Text}
	}
	return b, err
}

// Closed says that and why the server ended the connection.
type Closed struct {
	Code   int // WebSocket close code
	Reason string
}

func (c *Closed) Error() string {
	if c.Reason == "" {
		return fmt.Sprintf("ws: closed by the server with code %d", c.Code)
	}
	return fmt.Sprintf("ws: closed by the server with code %d: %s", c.Code, c.Reason)
}

// Close says goodbye and closes the connection. It may be called at any time,
// by any goroutine.
func (c *Client) Close() error {
	msg := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	_ = c.ws.WriteControl(websocket.CloseMessage, msg, time.Now().Add(closeWait))
	return c.ws.Close()
}
