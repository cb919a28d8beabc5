package config

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// crossCheck compares options with each other, and gives the node's options. It looks at
// nothing outside but the size of the memory. An option with a bad value of its own is left
// out: its effective value is not what the user means.
func (l *loader) crossCheck() Node {
	v := &Values{table: l.table, koanf: l.values, origins: l.origins}
	var memory int64
	if strings.HasSuffix(v.String(optOutboundCeiling), "%") {
		var err error
		if memory, err = l.opts.Memory(); err != nil || memory <= 0 {
			l.clash(optOutboundCeiling, "", fmt.Sprintf("is a percentage, but the size of the memory is unknown (%v)", err), "write a size, as 512MiB")
		}
	}
	node := newNode(v, memory, l.opts.Cores)
	if node.DeadAfter <= node.PingInterval {
		l.clash(optDeadAfter, optPingInterval, "must be longer than", "raise the one or lower the other")
	}
	if node.OutboundLimit > node.OutboundCeiling && (memory > 0 || !strings.HasSuffix(v.String(optOutboundCeiling), "%")) {
		l.clash(optOutboundLimit, optOutboundCeiling, "must not be larger than", "the ceiling is "+strconv.FormatInt(node.OutboundCeiling, 10)+
			" bytes on this machine: lower the limit or raise the ceiling")
	}
	if node.HalfOpenTotal < node.HalfOpenPerAddress {
		l.clash(optHalfOpenTotal, optHalfOpenAddress, "must not be smaller than", "raise the one or lower the other")
	}
	l.checkPlaces(&node)
	if mode := node.NeighborhoodMode; len(node.Neighbors) == 0 && (mode == ModeOriginate || mode == ModeConsume) {
		l.need(optNeighbors, optNeighbors, optNeighborhoodMode, "are needed by", "name at least one node, or choose another neighborhood-mode")
	}
	switch {
	case node.RelayTLSCertificate != "" && node.RelayTLSKey == "":
		l.need(optTLSKey, optTLSCertificate, optTLSKey, "needs", "set both for TLS, or neither")
	case node.RelayTLSCertificate == "" && node.RelayTLSKey != "":
		l.need(optTLSCertificate, optTLSKey, optTLSCertificate, "needs", "set both for TLS, or neither")
	}
	node.UIUsers = l.users(v)
	return node
}

// users gives the numbers of ui-users.
func (l *loader) users(v *Values) []uint32 {
	uids, unknown := l.accounts.resolve(v.List(optUIUsers))
	if unknown != "" {
		bad := unknownUser(unknown)
		l.problems = append(l.problems, Problem{Option: optUIUsers, Value: bad.value, Origin: l.origins[optUIUsers], Cause: bad.cause, Next: bad.next})
	}
	return uids
}

// need is clash of name with other, where missing wants a value.
func (l *loader) need(missing, name, other, cause, next string) {
	if !l.failed[missing] && !l.failed[name] && !l.failed[other] {
		l.required = append(l.required, missing)
	}
	l.clash(name, other, cause, next)
}

// clash reports that an option does not go with another (blank: with the machine).
func (l *loader) clash(name, other, cause, next string) {
	if l.failed[name] || l.failed[other] {
		return
	}
	v := &Values{table: l.table, koanf: l.values, origins: l.origins}
	if other != "" {
		cause = fmt.Sprintf("%s %s (%s, %s)", cause, other, quote(v.Text(other)), l.origins[other])
	}
	l.problems = append(l.problems, Problem{Option: name, Value: v.Text(name), Origin: l.origins[name], Cause: cause, Next: next})
}

// place is where a gateway listens.
type place struct {
	gateway string
	option  string // that is to be changed
	address []netip.Addr
	port    int    // 0: any free one
	without string // how to do without it; blank: not at all
}

// places gives where a node listens.
func (l *loader) places(n *Node) []place {
	all := []place{{"the relay", optClandestinePort, []netip.Addr{hostAddr(n.RelayAddress)}, n.ClandestinePort, ""}}
	if host, port, err := net.SplitHostPort(n.MetricsAddress); err == nil {
		number, _ := strconv.Atoi(port)
		all = append(all, place{"metrics", optMetricsAddress, []netip.Addr{hostAddr(host)}, number, ", or off for metrics"})
	}
	if n.HasUI() {
		all = append(all, place{"the gateway for user interfaces", optUIPort, []netip.Addr{hostAddr("127.0.0.1"), hostAddr("::1")}, n.UIPort, ""})
	}
	if n.HasStar() {
		all = append(all, place{"the rendezvous", optStarPort, []netip.Addr{hostAddr(n.StarAddress)}, n.StarPort, ", or off for star-address"})
	}
	if n.HasEnclave() {
		all = append(all, place{"the Enclave", optEnclavePort, []netip.Addr{hostAddr(n.EnclaveAddress)}, n.EnclavePort, ", or off for enclave-address"})
	}
	return all
}

// checkPlaces reports gateways that would listen on the same port of the same address.
func (l *loader) checkPlaces(n *Node) {
	all := l.places(n)
	for i, later := range all {
		for _, earlier := range all[:i] {
			if later.meets(earlier) {
				l.clash(later.option, earlier.option, "takes the same address and port as "+earlier.gateway+" does by",
					"choose another port for one of them"+later.without)
			}
		}
	}
}

func (p place) meets(other place) bool {
	return p.port != 0 && p.port == other.port && slices.ContainsFunc(p.address, func(a netip.Addr) bool {
		return a.IsUnspecified() || slices.ContainsFunc(other.address, func(b netip.Addr) bool { return b.IsUnspecified() || a == b })
	})
}

// hostAddr gives the IP address of a checked host; localhost is 127.0.0.1.
func hostAddr(host string) netip.Addr {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// checkMachine compares options with the machine.
func (l *loader) checkMachine(n *Node) {
	if n.RelayTLSCertificate != "" && n.RelayTLSKey != "" {
		l.checkTLS(n)
	}
}

// checkTLS checks that certificate and key can be read, are kept from others,
// and belong together.
func (l *loader) checkTLS(n *Node) {
	before := len(l.problems)
	l.checkReadable(optTLSCertificate, n.RelayTLSCertificate, 0)
	l.checkReadable(optTLSKey, n.RelayTLSKey, 0o077)
	if len(l.problems) > before {
		return
	}
	pair, err := tls.LoadX509KeyPair(n.RelayTLSCertificate, n.RelayTLSKey)
	if err != nil {
		l.clash(optTLSCertificate, optTLSKey, "does not fit", "name a PEM certificate and its own PEM key ("+strings.TrimPrefix(err.Error(), "tls: ")+")")
		return
	}
	if pair.Leaf != nil && time.Now().After(pair.Leaf.NotAfter) {
		l.warnings = append(l.warnings, fmt.Sprintf("%s: %s ended on %s: clients will refuse it", optTLSCertificate,
			quote(n.RelayTLSCertificate), pair.Leaf.NotAfter.UTC().Format(time.DateOnly)))
	}
}

// checkReadable reports a file that is not there, not a file, cannot be read, or has
// one of the forbidden permission bits.
func (l *loader) checkReadable(option, name string, forbidden os.FileMode) {
	info, err := os.Stat(name)
	if err != nil {
		l.clash(option, "", "cannot be read: "+reason(err), "name a file that the node's user can read")
		return
	}
	if info.IsDir() {
		l.clash(option, "", "is a directory", "name a file in it")
		return
	}
	if mode := info.Mode().Perm(); mode&forbidden != 0 {
		l.clash(option, "", fmt.Sprintf("is open to other users (mode %04o)", mode), "run: chmod 600 "+shellWord(name))
		return
	}
	f, err := os.Open(name)
	if err != nil {
		l.clash(option, "", "cannot be read: "+reason(err), "name a file that the node's user can read")
		return
	}
	f.Close()
}
