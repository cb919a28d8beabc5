package config

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
)

// crossCheck compares options with each other and with the machine, and gives
// the node's options. An option with a bad value of its own is left out: its
// effective value is not what the user means.
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
	if samePlace(&node) {
		l.clash(optMetricsAddress, optClandestinePort, "takes the same address and port as the relay does by", "choose another port for one of them, or off for metrics")
	}
	l.checkTLS(&node)
	return node
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

// samePlace tells whether metrics and relay would listen on the same port of
// the same address.
func samePlace(n *Node) bool {
	host, port, err := net.SplitHostPort(n.MetricsAddress)
	if err != nil || port == "0" || port != strconv.Itoa(n.ClandestinePort) {
		return false
	}
	return hostAddr(n.RelayAddress).IsUnspecified() || hostAddr(n.RelayAddress) == hostAddr(host)
}

// hostAddr gives the IP address of a checked host; localhost is 127.0.0.1.
func hostAddr(host string) netip.Addr {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// checkTLS checks that certificate and key are both or neither there, can be
// read, are kept from others, and belong together.
func (l *loader) checkTLS(n *Node) {
	switch {
	case n.RelayTLSCertificate == "" && n.RelayTLSKey == "":
		return
	case n.RelayTLSKey == "":
		l.clash(optTLSCertificate, optTLSKey, "needs", "set both for TLS, or neither")
		return
	case n.RelayTLSCertificate == "":
		l.clash(optTLSKey, optTLSCertificate, "needs", "set both for TLS, or neither")
		return
	}
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
