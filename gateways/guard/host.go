package guard

import (
	"net/netip"
	"strconv"
	"strings"
)

// authority is a parsed Host: a name or an address, and perhaps a port.
type authority struct {
	name string     // lower case, no trailing dot; "" when ip is set
	ip   netip.Addr // no zone
	port int        // 1–65535, 0 when absent
}

// maxHostBytes is the longest DNS name in text (253) with brackets, dot and
// port to spare.
const maxHostBytes = 264

// parseAuthority reads host[:port]. It takes only the plain spellings: a name
// of letters, digits, - and _ in labels, four decimal parts without leading
// zeros, or an IPv6 address in brackets. Whatever a resolver might read as an
// address in another way (017700000001, 0x7f.1, 127.1) is no name either.
func parseAuthority(s string) (a authority, ok bool) {
	if s == "" || len(s) > maxHostBytes {
		return a, false
	}
	host, port := s, ""
	if s[0] == '[' {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return a, false
		}
		host, port = s[1:end], s[end+1:]
		if a.ip, ok = parseIPv6(host); !ok {
			return a, false
		}
	} else {
		if colon := strings.IndexByte(s, ':'); colon >= 0 {
			host, port = s[:colon], s[colon:]
		}
		if a.name, a.ip, ok = parseName(host); !ok {
			return a, false
		}
	}
	if port == "" {
		return a, true
	}
	a.port, ok = parsePort(port)
	return a, ok
}

func parseIPv6(s string) (netip.Addr, bool) {
	ip, err := netip.ParseAddr(s)
	if err != nil || !ip.Is6() || ip.Zone() != "" {
		return netip.Addr{}, false
	}
	return ip, true
}

func parseName(s string) (name string, ip netip.Addr, ok bool) {
	if looksNumeric(s) {
		ip, err := netip.ParseAddr(s)
		return "", ip, err == nil && ip.Is4()
	}
	s = strings.TrimSuffix(s, ".")
	start, upper := 0, false
	for i := 0; i <= len(s); i++ {
		if i == len(s) || s[i] == '.' {
			if i == start {
				return "", ip, false // an empty label
			}
			start = i + 1
			continue
		}
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			upper = true
		} else if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return "", ip, false
		}
	}
	if looksNumeric(s) {
		return "", ip, false // "127.0.0.1.", which is an address to a browser
	}
	if upper {
		s = strings.ToLower(s)
	}
	return s, ip, true
}

// looksNumeric tells whether the last label of a host is a number, decimal,
// octal or hexadecimal: then browsers and resolvers read it as an IPv4 address.
func looksNumeric(s string) bool {
	label := s[strings.LastIndexByte(s, '.')+1:]
	if len(label) >= 2 && label[0] == '0' && (label[1] == 'x' || label[1] == 'X') {
		for i := 2; i < len(label); i++ {
			c := label[i] | 0x20
			if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
				return false
			}
		}
		return true
	}
	for i := range len(label) {
		if label[i] < '0' || label[i] > '9' {
			return false
		}
	}
	return label != ""
}

// parsePort reads ":1" to ":65535"; no sign, no leading zero, not empty.
func parsePort(s string) (int, bool) {
	const maxDigits = 5
	digits := s[1:]
	if s[0] != ':' || digits == "" || len(digits) > maxDigits || digits[0] == '0' {
		return 0, false
	}
	port := 0
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return 0, false
		}
		port = port*10 + int(digits[i]-'0')
	}
	return port, port < 1<<16
}

// loopback tells whether the authority is this machine under one of the
// spellings that no foreign name server can hand out.
func (a authority) loopback() bool {
	if a.name != "" {
		return a.name == "localhost"
	}
	return a.ip.IsLoopback() && !a.ip.Is4In6()
}

// sameHost compares without the port.
func (a authority) sameHost(b authority) bool { return a.name == b.name && a.ip == b.ip }

func (a authority) String() string {
	host := a.name
	switch {
	case a.ip.Is4():
		host = a.ip.String()
	case a.ip.Is6():
		host = "[" + a.ip.String() + "]"
	}
	if a.port != 0 {
		host += ":" + strconv.Itoa(a.port)
	}
	return host
}
