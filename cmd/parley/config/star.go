package config

import (
	"net"
	"net/netip"
	"strconv"
)

// Star are the options of the rendezvous.
type Star struct {
	StarAddress         string // star-address; blank: off
	StarPort            int    // star-port; 0: any free port
	StarCryptoChallenge bool   // star-crypto-challenge
	StarStrictMultiaddr bool   // star-strict-multiaddr
	StarAnnounceDelta   bool   // star-announce delta
	MaxStarClients      int    // max-star-clients
}

func newStar(v *Values) Star {
	return Star{
		StarAddress: listenAt(v, optStarAddress), StarPort: v.Int(optStarPort),
		StarCryptoChallenge: v.String(optStarChallenge) == "on", StarStrictMultiaddr: v.String(optStarStrict) == "on",
		StarAnnounceDelta: v.String(optStarAnnounce) == announceDelta, MaxStarClients: v.Int(optMaxStarClients),
	}
}

// HasStar tells whether the node has a rendezvous.
func (s *Star) HasStar() bool { return s.StarAddress != "" }

// StarListen gives address:port of the rendezvous's listener.
func (s *Star) StarListen() string {
	return net.JoinHostPort(s.StarAddress, strconv.Itoa(s.StarPort))
}

// StarOnLoopback tells whether only this machine can reach the rendezvous: then
// the Host header is checked.
func (s *Star) StarOnLoopback() bool { return isLoopback(s.StarAddress) }

// Multiaddr gives the address that clients of a rendezvous on port are given. Of
// one on every interface it is the public one, or that which this machine knows.
// A name in its certificate is not known here: clients may have to write that.
func (n *Node) Multiaddr(port uint16) string {
	addr, transport := hostAddr(n.StarAddress), "/ws"
	switch public, err := netip.ParseAddr(n.IP); {
	case addr.IsLoopback():
	case err == nil:
		addr = public.Unmap()
	case addr.IsUnspecified():
		addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	family := "/ip4/"
	if addr.Is6() {
		family = "/ip6/"
	}
	if n.TLS() {
		transport = "/wss"
	}
	return family + addr.WithZone("").String() + "/tcp/" + strconv.Itoa(int(port)) + transport + "/p2p-websocket-star"
}
