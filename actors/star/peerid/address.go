package peerid

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/mr-tron/base58"
)

// Limits of what is looked at.
const (
	partsMost = 32  // of an address
	nameMost  = 253 // bytes of a DNS name
	idMost    = 128 // characters of an id; the longest in use have 53
	portMost  = 5   // digits
)

// Parts of addresses that something hangs on.
const (
	partStar  = "p2p-websocket-star"
	partIPFS  = "ipfs"
	partP2P   = "p2p"
	partTCP   = "tcp"
	partPlain = "ws"
	partTLS   = "wss"
)

// hosts are the parts that an address of WebSocketStar begins with. Each takes a
// value.
var hosts = map[string]func(string) bool{
	"ip4": isIPv4, "ip6": isIPv6,
	"dns": isName, "dns4": isName, "dns6": isName, "dnsaddr": isName,
}

// known are the parts that clients of the public kind can read, beside hosts. One
// without a function takes no value. Clients end when they are told of an address
// with any other.
var known = map[string]func(string) bool{
	partTCP: isPort, "udp": isPort,
	partPlain: nil, partTLS: nil, "http": nil, "https": nil, "quic": nil,
	partStar: nil, "p2p-webrtc-star": nil, "p2p-webrtc-direct": nil, "p2p-circuit": nil,
	partIPFS: isID, partP2P: isID,
}

// IsStar tells whether address is one of WebSocketStar: a host, a port, which
// only names may go without, /ws or /wss, /p2p-websocket-star, and an id behind
// /ipfs or /p2p.
func IsStar(address string) bool {
	parts, ok := split(address)
	if !ok || len(parts) < 2 || hosts[parts[0]] == nil || !hosts[parts[0]](parts[1]) {
		return false
	}
	ip := parts[0] == "ip4" || parts[0] == "ip6"
	parts = parts[2:]
	switch {
	case len(parts) > 1 && parts[0] == partTCP && isPort(parts[1]):
		parts = parts[2:]
	case ip:
		return false
	}
	return len(parts) == 4 && (parts[0] == partPlain || parts[0] == partTLS) && parts[1] == partStar &&
		(parts[2] == partIPFS || parts[2] == partP2P) && isID(parts[3])
}

// IsHarmless tells whether clients of the public kind survive to be told of an
// address: they can read all of its parts, and it ends in /ipfs and an id. A host
// that is named ipfs or p2p is none of theirs: they cut the address there.
func IsHarmless(address string) bool {
	parts, ok := split(address)
	if !ok || len(parts) < 2 || parts[len(parts)-2] != partIPFS || !isID(parts[len(parts)-1]) {
		return false
	}
	for len(parts) > 0 {
		takes, host := hosts[parts[0]]
		ok := host
		if !host {
			takes, ok = known[parts[0]]
		}
		switch {
		case !ok:
			return false
		case host && len(parts) > 1 && (parts[1] == partIPFS || parts[1] == partP2P):
			return false
		case takes == nil:
			parts = parts[1:]
		case len(parts) < 2 || !takes(parts[1]):
			return false
		default:
			parts = parts[2:]
		}
	}
	return true
}

// OfAddress returns the id of an address: what follows its last /ipfs or /p2p.
// Empty: there is none.
func OfAddress(address string) string {
	at := max(strings.LastIndex(address, "/"+partIPFS+"/"), strings.LastIndex(address, "/"+partP2P+"/"))
	if at < 0 {
		return ""
	}
	_, id, _ := strings.Cut(address[at+1:], "/")
	return id
}

// split takes an address apart, unless it has more parts than any of sense.
func split(address string) (parts []string, ok bool) {
	rest, ok := strings.CutPrefix(address, "/")
	if !ok || strings.Count(rest, "/") >= partsMost {
		return nil, false
	}
	return strings.Split(rest, "/"), true
}

func isIPv4(s string) bool {
	ip, err := netip.ParseAddr(s)
	return err == nil && ip.Is4()
}

func isIPv6(s string) bool {
	ip, err := netip.ParseAddr(s)
	return err == nil && ip.Is6() && ip.Zone() == ""
}

// isName leaves it to resolvers what a name may look like.
func isName(s string) bool {
	return s != "" && len(s) <= nameMost && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f })
}

func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil && len(s) <= portMost
}

// isID tells whether s is base58. Ids of which it is not known what they are made
// from are ids, too.
func isID(s string) bool {
	if s == "" || len(s) > idMost {
		return false
	}
	_, err := base58.Decode(s)
	return err == nil
}
