package guard

import (
	"encoding/binary"
	"net"
	"net/netip"
)

// IsLoopback tells whether the other end, or a listener, is on this machine:
// 127.0.0.0/8 (also IPv4-mapped), ::1, a unix socket, an in-memory pipe. The
// unspecified addresses 0.0.0.0 and :: are not loopback.
func IsLoopback(addr net.Addr) bool {
	if addr == nil {
		return false
	}
	if ip := ipOf(addr); ip.IsValid() {
		return ip.IsLoopback()
	}
	switch addr.Network() {
	case "unix", "unixgram", "unixpacket", "pipe":
		return true
	}
	return false
}

// ipOf returns the address without port and IPv4 mapping, or the zero Addr when
// there is none.
func ipOf(addr net.Addr) netip.Addr {
	switch a := addr.(type) {
	case nil:
		return netip.Addr{}
	case *net.TCPAddr:
		return a.AddrPort().Addr().Unmap()
	}
	// In-memory networks of tests have address types of their own.
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// peerKey stands for all addresses that share one bucket and one half-open
// limit: an IPv4 address, or the /64 of an IPv6 one, because a single host
// commands all of it. IPv4 takes the values below 2^32, which as IPv6 prefixes
// are reserved and never a source. What is no IP address is 0.
type peerKey uint64

func keyOf(ip netip.Addr) peerKey {
	ip = ip.Unmap()
	if ip.Is4() {
		b := ip.As4()
		return peerKey(binary.BigEndian.Uint32(b[:]))
	}
	b := ip.As16()
	return peerKey(binary.BigEndian.Uint64(b[:8]))
}
