package ws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

// Client is the dialling side of a connection, for command-line verbs. Say may
// be called by one goroutine, Hear by another.
type Client struct{ ws *websocket.Conn }

// closeWait is how long Close waits for the server's goodbye.
const closeWait = 2 * time.Second

// Dial opens a client connection. A server that answers with something else
// than an upgrade is an error that quotes its status and the start of its body.
func Dial(ctx context.Context, url string, limit int64) (*Client, error) {
	d := websocket.Dialer{HandshakeTimeout: 10 * time.Second, Proxy: http.ProxyFromEnvironment}
	c, res, err := d.DialContext(ctx, url, nil)
	if err != nil {
		if res != nil {
			body, _ := io.ReadAll(io.LimitReader(res.Body, 512))
			return nil, fmt.Errorf("ws: %q answered %s: %s", url, res.Status, body)
		}
		return nil, fmt.Errorf("ws: dial %q: %w", url, err)
	}
	c.SetReadLimit(limit)
	return &Client{c}, nil
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
