package enclave

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Lengths in bytes. Source: gateways/enclave/PROTOCOL.md, Attributes.
const (
	nameMost   = 128 // a contact's name, and what this node calls itself
	statusMost = 1 << 10
	notesMost  = 4 << 10
	zoneMost   = 32
)

// parseAddress reads "ip", "ip:port" and "[ip]:port". The address is canonical:
// IPv4 as such, a zone only where it is needed. port is 0 where none is given.
func parseAddress(text string) (addr netip.Addr, port uint32, ok bool) {
	bare := text
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		bare = text[1 : len(text)-1]
	}
	addr, err := netip.ParseAddr(bare)
	if err != nil {
		ap, err := netip.ParseAddrPort(text)
		if err != nil || ap.Port() == 0 {
			return netip.Addr{}, 0, false
		}
		addr, port = ap.Addr(), uint32(ap.Port())
	}
	addr = addr.Unmap()
	if !addr.IsLinkLocalUnicast() {
		addr = addr.WithZone("")
	}
	ok = !addr.IsUnspecified() && !addr.IsMulticast() && addr != broadcast && validZone(addr.Zone())
	return addr, port, ok
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// validZone keeps zones out that would make no key of the store.
func validZone(zone string) bool {
	return len(zone) <= zoneMost && strings.IndexFunc(zone, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("._-", r))
	}) < 0
}

// canonical is the address that a text names, "" if it is none.
func canonical(text string) string {
	addr, _, ok := parseAddress(text)
	if !ok {
		return ""
	}
	return addr.String()
}

// dialAddress is where a contact is dialled.
func dialAddress(addr netip.Addr, port uint32) string {
	if port == 0 {
		port = DefaultPort
	}
	return netip.AddrPortFrom(addr, uint16(port)).String()
}

// wrongName is why a text is no name of a contact, for people; "": it is one.
func wrongName(name string) string {
	switch {
	case name != strings.TrimSpace(name):
		return "a name neither begins nor ends with a space"
	case canonical(name) != "":
		return "a name is no address: choose another"
	}
	return wrongText("a name", name, nameMost)
}

// wrongText is why a text cannot be shown in a line, for people; "": it can.
func wrongText(what, text string, most int) string {
	switch {
	case len(text) > most:
		return what + " is too long: shorten it"
	case !utf8.ValidString(text):
		return what + " must be UTF-8"
	case strings.IndexFunc(text, unicode.IsControl) >= 0:
		return what + " must be one line, without control characters"
	}
	return ""
}

// apart reports that nothing gets from one address to the other: they are of two
// families, or a is this machine's own, and b another's.
func apart(a, b netip.Addr) bool {
	return a.IsValid() && (a.BitLen() != b.BitLen() || a.IsLoopback() && !b.IsLoopback())
}

// order compares two addresses as both of their nodes do: without zones, which
// are each node's own. 0: they are equal, or of two families, and nothing follows.
func order(a, b netip.Addr) int {
	if !a.IsValid() || !b.IsValid() || a.BitLen() != b.BitLen() {
		return 0
	}
	return a.WithZone("").Compare(b.WithZone(""))
}
