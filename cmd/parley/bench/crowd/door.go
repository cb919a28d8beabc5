//go:build linux

package crowd

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"

	"golang.org/x/sys/unix"
)

// Door is where a server is reached.
type Door struct {
	// Address is the server's, resolved.
	Address netip.AddrPort
	// Host and Path are sent in the handshake; so is Origin unless it is empty.
	Host, Path, Origin string
	// Subprotocol is offered unless it is empty, and then the server must choose it.
	Subprotocol string
	// Source is the local address to dial from; any when it is not valid.
	Source netip.Addr
}

// Resolve reads a ws:// URL. Its path is /connect when it has none.
func Resolve(ctx context.Context, raw string) (Door, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return Door{}, fmt.Errorf("crowd: not a ws:// address: %q", raw)
	}
	if u.Scheme != "ws" {
		return Door{}, fmt.Errorf("crowd: only ws:// can be loaded, not %q", raw)
	}
	port := 80
	if u.Port() != "" {
		if port, err = strconv.Atoi(u.Port()); err != nil || port < 1 || port > 65535 {
			return Door{}, fmt.Errorf("crowd: invalid port in %q", raw)
		}
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return Door{}, fmt.Errorf("crowd: resolve %q: %w", raw, err)
	}
	path := u.RequestURI()
	if path == "/" {
		path = "/connect"
	}
	return Door{Address: netip.AddrPortFrom(ips[0].Unmap(), uint16(port)), Host: u.Host, Path: path}, nil
}

// sockaddr is an address in the form that the system calls take, and its family.
func sockaddr(a netip.Addr, port uint16) (unix.Sockaddr, int) {
	if a.Is4() {
		return &unix.SockaddrInet4{Port: int(port), Addr: a.As4()}, unix.AF_INET
	}
	return &unix.SockaddrInet6{Port: int(port), Addr: a.As16()}, unix.AF_INET6
}
