package config

import (
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// maxAlias bounds what a node calls itself to friends, bytes. Source: the alias of Enclave packets.
const maxAlias = 128

// descriptorScheme starts the descriptor of a node.
const descriptorScheme = "parley://"

var (
	chainName = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	nodeToken = regexp.MustCompile(`^[A-Za-z0-9._~-]{1,256}$`)
)

// checkChain gives the cause why name cannot be a mesh's, or "".
func checkChain(name string) string {
	if !chainName.MatchString(name) {
		return "is not a chain's name"
	}
	return ""
}

// checkToken gives the cause why token cannot stand in a header and a descriptor, or "".
func checkToken(token string) string {
	if !nodeToken.MatchString(token) {
		return "is not a token"
	}
	return ""
}

// IsToken tells whether text can be a relay-token.
func IsToken(text string) bool { return checkToken(text) == "" }

// checkAlias gives the cause why alias cannot be sent to friends, or "".
func checkAlias(alias string) string {
	if len(alias) > maxAlias {
		return "is too long"
	}
	if strings.TrimSpace(alias) != alias || strings.ContainsFunc(alias, func(r rune) bool { return unicode.Is(unicode.Cf, r) }) {
		return "has a space at its end, or something invisible in it"
	}
	return ""
}

// checkPublicIP gives the cause why no node can be reached at text, or "".
func checkPublicIP(text string) string {
	addr, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		return "is not an IP address"
	case addr.Zone() != "":
		return "has a zone, which means something on one machine only"
	case addr.IsUnspecified() || addr.IsMulticast() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "is not the address of one machine"
	}
	return ""
}

// checkPublicURL gives the cause why text is no WebSocket address of a node, or "".
func checkPublicURL(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"\\<>`{}|^", r) }) {
		return "is not plain ASCII: write other names in their xn-- form"
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "is not a URL"
	case u.Scheme != "ws" && u.Scheme != "wss":
		return "does not begin with ws:// or wss://"
	case u.Host == "" || u.User != nil:
		return "names no host, or a user"
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#"):
		return "has more than a path after the host"
	}
	return checkHost(strings.ToLower(u.Host))
}

// checkNeighbor gives the cause why text is no descriptor of a node, or "". The
// cause says nothing of the token.
func checkNeighbor(text string) string {
	_, cause := parseNeighbor(text)
	return cause
}

// neighbor is a node as its descriptor says.
type neighbor struct {
	token string
	host  string // name, IPv4 address or [IPv6 address]
	port  uint16
	name  string // blank: not known
	tls   bool
}

// parseNeighbor reads parley://<token>@<host>:<port>[?name=<node-name>][&tls=1]. Each
// descriptor has one spelling: what could be read in two ways is refused.
func parseNeighbor(text string) (n neighbor, cause string) {
	rest, ok := strings.CutPrefix(text, descriptorScheme)
	if !ok {
		return n, "does not begin with " + descriptorScheme
	}
	token, rest, ok := strings.Cut(rest, "@")
	if !ok || checkToken(token) != "" {
		return n, "has no token before its @"
	}
	n.token = token
	place, query, asked := strings.Cut(rest, "?")
	at := strings.LastIndexByte(place, ':')
	if at <= strings.LastIndexByte(place, ']') {
		return n, "has no port"
	}
	n.host = place[:at]
	if n.host == "" || checkHost(n.host) != "" || strings.LastIndexByte(n.host, ':') > strings.LastIndexByte(n.host, ']') {
		return n, "has no host between @ and port"
	}
	port, err := strconv.ParseUint(place[at+1:], 10, 16)
	if err != nil || port == 0 || strconv.FormatUint(port, 10) != place[at+1:] {
		return n, "has no port from 1 to 65535"
	}
	n.port = uint16(port)
	if !asked {
		return n, ""
	}
	return n, n.parseQuery(query)
}

// parseQuery reads what follows the question mark: name, tls, or both in this order.
func (n *neighbor) parseQuery(query string) (cause string) {
	if name, ok := strings.CutPrefix(query, "name="); ok {
		name, rest, more := strings.Cut(name, "&")
		if checkNodeName(name) != "" {
			return "has no node's name after name="
		}
		n.name = name
		if !more {
			return ""
		}
		query = rest
	}
	if query != "tls=1" {
		return "has something else than name=<node-name> and tls=1 after its question mark"
	}
	n.tls = true
	return ""
}

// String writes the descriptor.
func (n *neighbor) String() string {
	text := descriptorScheme + n.token + "@" + n.host + ":" + strconv.Itoa(int(n.port))
	separator := "?"
	if n.name != "" {
		text, separator = text+"?name="+n.name, "&"
	}
	if n.tls {
		text += separator + "tls=1"
	}
	return text
}

// veilNeighbors hides the tokens in a comma list of descriptors. What is no
// descriptor may be a token by itself.
func veilNeighbors(text string) string {
	items := splitList(text)
	for i, item := range items {
		if n, cause := parseNeighbor(item); cause == "" {
			n.token = secretMask
			items[i] = n.String()
		} else {
			items[i] = secretMask
		}
	}
	return strings.Join(items, ",")
}
