package config

import (
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// maxNodeName bounds a node's name, bytes. Source: gateways/relay/PROTOCOL.md, names.
const maxNodeName = 64

// maxHostName is the longest host name of the DNS in text, bytes.
const maxHostName = 253

// fallbackNodeName is the name of a node on a machine without one.
const fallbackNodeName = "node"

var (
	nodeName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	hostName = regexp.MustCompile(`^[a-z0-9_-]+(\.[a-z0-9_-]+)*$`)
	// numericEnd finds what browsers read as an IPv4 address, in any spelling.
	numericEnd = regexp.MustCompile(`(^|\.)([0-9]+|0x[0-9a-f]*)$`)
)

// checkNodeName gives the cause why name cannot be a node's, or "".
func checkNodeName(name string) string {
	if !nodeName.MatchString(name) {
		return "is not a node's name"
	}
	return ""
}

// sanitizeNodeName makes a node's name of a host name.
func sanitizeNodeName(host string) string {
	name := strings.Map(func(r rune) rune {
		if r < 128 && nodeName.MatchString(string(r)) {
			return r
		}
		return '-'
	}, host)
	if len(name) > maxNodeName {
		name = name[:maxNodeName]
	}
	if name == "" {
		return fallbackNodeName
	}
	return name
}

// checkOrigin gives the cause why no browser would send origin, or "".
func checkOrigin(origin string) string {
	if origin == "null" || origin == "file://" {
		return ""
	}
	if strings.ContainsFunc(origin, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
		return "is not plain ASCII: browsers send other names in their xn-- form"
	}
	u, err := url.Parse(origin)
	if err != nil || u.Scheme == "" || u.Host == "" || u.User != nil {
		return "is not an Origin"
	}
	if exact := strings.ToLower(u.Scheme + "://" + u.Host); exact != origin {
		return "is not what browsers send: write " + strconv.Quote(exact)
	}
	if (u.Scheme == "https" && u.Port() == "443") || (u.Scheme == "http" && u.Port() == "80") {
		return "names the port of its scheme, which browsers leave out: write " + strconv.Quote(u.Scheme+"://"+u.Hostname())
	}
	return ""
}

// checkHost gives the cause why host is no Host header value, or "". Whatever
// could be read as an address in two ways is no name either.
func checkHost(host string) string {
	if addr, err := netip.ParseAddr(host); err == nil && addr.Is6() {
		return "is an IPv6 address without brackets"
	}
	name, port := host, ""
	if at := strings.LastIndexByte(host, ':'); at > strings.LastIndexByte(host, ']') {
		name, port = host[:at], host[at+1:]
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
			return "has no port from 1 to 65535 after its last colon"
		}
	}
	if inner, ok := strings.CutPrefix(name, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		if err != nil || !addr.Is6() || addr.Zone() != "" || !strings.HasSuffix(inner, "]") {
			return "is not an IPv6 address in brackets"
		}
		return ""
	}
	if numericEnd.MatchString(name) {
		if addr, err := netip.ParseAddr(name); err != nil || !addr.Is4() {
			return "is neither a name nor an IPv4 address"
		}
		return ""
	}
	if len(name) > maxHostName || !hostName.MatchString(name) {
		return "is not a host name in lower case"
	}
	return ""
}
