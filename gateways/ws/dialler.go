package ws

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/gorilla/websocket"

	"parley/gateways/link"
)

// Dialler opens connections whose client end is a Socket. The zero value of all
// but Limit will do.
type Dialler struct {
	Limit   int64         // bytes of one message
	Timeout time.Duration // of all of it: name, connection, TLS, handshake; 0: 10 s
	TLS     TLS           // of wss://
	Connect func(ctx context.Context, network, address string) (net.Conn, error)
}

// TLS says whose certificates are trusted.
type TLS struct {
	RootCAs            *x509.CertPool // nil: the system's
	InsecureSkipVerify bool           // anybody's: whoever is in between reads and changes everything
}

// dialTimeout is what a handshake gets at most when nothing else is said.
const dialTimeout = 10 * time.Second

// Dial opens a connection to a ws:// or wss:// URL; header is sent with the
// request. A server that does not upgrade is a *Refused; all other errors are of
// the network, or of a server that breaks the protocol.
func (d *Dialler) Dial(ctx context.Context, to string, header http.Header) (*Socket, error) {
	u, err := url.Parse(to)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "ws" && u.Scheme != "wss" {
		return nil, errors.New("ws: dial: not a ws:// or wss:// address") // it may hold a secret
	}
	timeout := d.Timeout
	if timeout == 0 {
		timeout = dialTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	s, err := d.shake(ctx, u, header)
	var refused *Refused
	if err != nil && !errors.As(err, &refused) {
		return nil, fmt.Errorf("ws: dial %q: %w", u.Host, err)
	}
	return s, err
}

// shake connects and makes the handshake; the end of ctx ends both.
func (d *Dialler) shake(ctx context.Context, u *url.URL, header http.Header) (*Socket, error) {
	var v *view
	var hangUp func() bool
	open := func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := d.open(ctx, network, address, u)
		if err != nil {
			return nil, err
		}
		if v, err = newSocket(c, d.Limit); err != nil {
			_ = c.Close()
			return nil, err
		}
		v.answer = &answer{}
		hangUp = context.AfterFunc(ctx, func() { _ = v.SetDeadline(time.Unix(1, 0)) })
		return v, nil
	}
	w := websocket.Dialer{
		ReadBufferSize: readBuffer, WriteBufferSize: handshakeBuffer, WriteBufferPool: writeBuffers,
		NetDialContext: open, NetDialTLSContext: open,
	}
	c, res, err := w.DialContext(ctx, u.String(), header)
	late := hangUp != nil && !hangUp()
	switch {
	case err == nil && late:
		_ = c.Close()
		return nil, ctx.Err()
	case err != nil && res != nil && res.StatusCode != http.StatusSwitchingProtocols:
		body, _ := io.ReadAll(io.LimitReader(res.Body, refusalBytes))
		return nil, &Refused{URL: u.Host, Code: res.StatusCode, Status: res.Status, Body: body}
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded): // the connection's, which is that of ctx and may be first
		return nil, context.DeadlineExceeded
	case err != nil:
		return nil, err
	}
	if err = asAsked(res.Header); err == nil && v.answer != nil {
		err = errOddAnswer // the library and we do not agree on where frames begin
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	c.SetReadLimit(d.Limit)
	return &Socket{view: v, ws: c}, nil
}

// asAsked makes sure that a server chose nothing that was not offered. The
// library would inflate without a limit.
func asAsked(h http.Header) error {
	for _, name := range []string{"Sec-Websocket-Extensions", "Sec-Websocket-Protocol"} {
		if v := h.Values(name); len(v) > 0 {
			return fmt.Errorf("the server chose %s %q, which nobody offered", name, v)
		}
	}
	return nil
}

// open connects, and makes the handshake of TLS.
func (d *Dialler) open(ctx context.Context, network, address string, u *url.URL) (net.Conn, error) {
	connect := d.Connect
	if connect == nil {
		connect = (&net.Dialer{}).DialContext
	}
	c, err := connect(ctx, network, address)
	if err != nil {
		return nil, err
	}
	base, err := link.NewConn(c)
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	if u.Scheme == "ws" {
		return base, nil
	}
	secret := tls.Client(base, &tls.Config{
		ServerName: u.Hostname(), RootCAs: d.TLS.RootCAs, InsecureSkipVerify: d.TLS.InsecureSkipVerify, MinVersion: tls.VersionTLS12,
	})
	if err := secret.HandshakeContext(ctx); err != nil {
		_ = base.Close()
		return nil, err
	}
	return secret, nil
}
