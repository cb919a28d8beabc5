package config

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Neighbor is one of the option neighbors.
type Neighbor struct {
	Name  string // blank: not known
	URL   string // ws:// or wss://, with a slash at its end
	Token string
}

// Dialled gives the nodes to connect to; what is written twice counts once.
func (m *Mesh) Dialled() []Neighbor {
	var all []Neighbor
	seen := map[string]bool{}
	for _, text := range m.Neighbors {
		n, cause := parseNeighbor(text)
		if cause != "" || seen[text] { // the first was checked
			continue
		}
		seen[text] = true
		all = append(all, Neighbor{n.name, webSocket(n.host, n.port, n.tls), n.token})
	}
	return all
}

// webSocket gives the address of a node.
func webSocket(host string, port uint16, tls bool) string {
	scheme := "ws://"
	if tls {
		scheme = "wss://"
	}
	return scheme + host + ":" + strconv.Itoa(int(port)) + "/"
}

// Meshed tells whether the node takes part in a mesh.
func (m *Mesh) Meshed() bool { return m.NeighborhoodMode != ModeZeroHop }

// Accepts tells whether other nodes may connect.
func (m *Mesh) Accepts() bool { return m.NeighborhoodMode == ModeStandard }

// Relays tells whether the node passes on what is for others.
func (m *Mesh) Relays() bool { return m.Meshed() && m.NeighborhoodMode != ModeConsume }

// TLS tells whether the relay speaks TLS only.
func (n *Node) TLS() bool { return n.RelayTLSCertificate != "" }

// Host gives the URL that other nodes are told, of a relay that listens on port;
// blank: none is known, or nobody may connect.
func (n *Node) Host(port uint16) string {
	switch {
	case !n.Accepts():
		return ""
	case n.PublicURL != "":
		return n.PublicURL
	}
	if host := n.host(); host != "" {
		return webSocket(host, port, n.TLS())
	}
	return ""
}

// host gives the name or address of this node, as it stands in a URL; blank: every interface
// is listened on, and nothing says which of them others see.
func (n *Node) host() string {
	text := n.IP
	if text == "" {
		text = n.RelayAddress
	}
	addr, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		return text
	case addr.IsUnspecified():
		return ""
	case addr.Is6():
		return "[" + addr.WithZone("").String() + "]"
	}
	return addr.String()
}

// Descriptor gives what stands in the neighbors of other nodes to reach this one, whose relay
// listens on port; blank: it cannot be reached, or not by a descriptor.
func (n *Node) Descriptor(port uint16, token string) string {
	if !n.Accepts() || token == "" {
		return ""
	}
	d := neighbor{token: token, host: n.host(), port: port, name: n.Name, tls: n.TLS()}
	if n.PublicURL != "" && !d.public(n.PublicURL) || d.host == "" {
		return ""
	}
	return d.String()
}

// public takes the address from a public URL; false: a descriptor cannot say it.
func (n *neighbor) public(text string) bool {
	u, err := url.Parse(text)
	if err != nil || strings.Trim(u.Path, "/") != "" {
		return false
	}
	n.tls = u.Scheme == "wss"
	n.port = 80
	if n.tls {
		n.port = 443
	}
	n.host = u.Host
	if host, port, err := net.SplitHostPort(u.Host); err == nil {
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return false
		}
		n.port = uint16(number)
		if n.host = host; strings.Contains(host, ":") {
			n.host = "[" + host + "]"
		}
	}
	return true
}
