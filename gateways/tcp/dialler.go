package tcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"parley/gateways/link"
)

// dialTimeout is what a connection gets at most to come about.
const dialTimeout = 10 * time.Second

// Dialler connects to peers. The zero value of all but Limit will do.
type Dialler struct {
	Limit   int           // bytes of a payload
	Local   netip.Addr    // that connections come from; not valid or unspecified: as the kernel likes
	Timeout time.Duration // 0: 10 s
	Connect func(ctx context.Context, network, address string) (net.Conn, error)
}

// Errors of Dial that are not the network's.
var (
	errAddress = errors.New("not ip:port")
	errFamily  = errors.New("this node listens on an address of the other IP version, and would not be known by another: have it listen on one of that version")
)

// Dial connects to ip:port: no name is looked up.
func (d *Dialler) Dial(ctx context.Context, to string) (*Socket, error) {
	c, err := d.dial(ctx, to)
	if err != nil {
		return nil, fmt.Errorf("tcp: dial %q: %w", to, err)
	}
	return NewSocket(c, d.Limit), nil
}

func (d *Dialler) dial(ctx context.Context, to string) (*link.Conn, error) {
	at, err := netip.ParseAddrPort(to)
	if err != nil || at.Port() == 0 {
		return nil, errAddress
	}
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	local, network := d.Local.Unmap(), "tcp6"
	if at.Addr().Is4() {
		network = "tcp4"
	}
	var dialer net.Dialer
	if local.IsValid() && !local.IsUnspecified() {
		if local.Is4() != at.Addr().Is4() {
			return nil, errFamily
		}
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
	}
	connect := dialer.DialContext
	if d.Connect != nil {
		connect = d.Connect
	}
	timeout := d.Timeout
	if timeout == 0 {
		timeout = dialTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c, err := connect(ctx, network, at.String())
	if err != nil {
		return nil, err
	}
	watch(c)
	conn, err := link.NewConn(c)
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return conn, nil
}
