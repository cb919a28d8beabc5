package config

import (
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Enclave are the options of person-to-person messages.
type Enclave struct {
	EnclaveAddress   string        // enclave-address; blank: off
	EnclavePort      int           // enclave-port; 0: any free port
	EnclaveAlias     string        // enclave-alias; never blank
	EnclaveMaxPacket int64         // enclave-max-packet, bytes
	EnclaveRetention time.Duration // enclave-retention; 0: for ever, negative: not at all
	EnclaveOutbox    bool          // enclave-outbox
	EnclaveAllow     []string      // enclave-allow; empty: anybody may ask to be let in
}

// keepNothing is enclave-retention off.
const keepNothing = -1

func newEnclave(v *Values) Enclave {
	e := Enclave{
		EnclaveAddress: listenAt(v, optEnclaveAddress), EnclavePort: v.Int(optEnclavePort), EnclaveAlias: v.String(optEnclaveAlias),
		EnclaveMaxPacket: v.Size(optEnclaveMaxPacket), EnclaveOutbox: v.String(optEnclaveOutbox) == "on",
		EnclaveAllow: v.List(optEnclaveAllow),
	}
	switch text := v.String(optEnclaveRetention); text {
	case forEver:
	case off:
		e.EnclaveRetention = keepNothing
	default:
		e.EnclaveRetention = time.Duration(retentionDays(text)) * 24 * time.Hour
	}
	return e
}

// HasEnclave tells whether the node takes part in Enclave.
func (e *Enclave) HasEnclave() bool { return e.EnclaveAddress != "" }

// EnclaveListen gives address:port of the Enclave's listener.
func (e *Enclave) EnclaveListen() string {
	return net.JoinHostPort(e.EnclaveAddress, strconv.Itoa(e.EnclavePort))
}

// EnclaveDirectory gives the directory of the named pipes. A node that root had
// become another user (dropped) can make none beside its own directory.
func (n *Node) EnclaveDirectory(dropped bool) string {
	if dropped {
		return filepath.Join(n.Directory(), "enclave")
	}
	return filepath.Join(n.DataDirectory, "enclave")
}

// EnclaveAllows tells whether a stranger of an address, an IP without a port, may
// ask to be let in.
func (e *Enclave) EnclaveAllows(address string) bool {
	if len(e.EnclaveAllow) == 0 {
		return true
	}
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(e.EnclaveAllow, func(text string) bool {
		p, _ := prefixOf(text)
		return p.Contains(addr)
	})
}

// overlays derive addresses from keys, so that these prove something: cjdns and
// Yggdrasil. Source: gateways/enclave/PROTOCOL.md, Who may call.
var overlays = []netip.Prefix{netip.MustParsePrefix("fc00::/8"), netip.MustParsePrefix("200::/7")}

// warnEnclave says what it means to listen where addresses prove nothing.
func (l *loader) warnEnclave(n *Node) {
	addr := hostAddr(n.EnclaveAddress).WithZone("")
	if !n.HasEnclave() || addr.IsLoopback() || overlays[0].Contains(addr) || overlays[1].Contains(addr) {
		return
	}
	l.warnings = append(l.warnings, optEnclaveAddress+": "+quote(n.EnclaveAddress)+" is in no network that derives addresses from keys"+
		" (cjdns, Yggdrasil): whoever is on the way to a friend can read along and take the friend's place")
}

// prefixOf reads an address, or a range of them as 10.0.0.0/8.
func prefixOf(text string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(text); err == nil && !p.Addr().Is4In6() {
		return p.Masked(), true
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, false
	}
	addr = addr.Unmap()
	return netip.PrefixFrom(addr, addr.BitLen()), true
}

// checkAllowed gives the cause why text is no address and no range of them, or "".
func checkAllowed(text string) string {
	if _, ok := prefixOf(text); !ok {
		return "is neither an IP address nor a range of them"
	}
	return ""
}

// Values of enclave-retention beside off.
const (
	forEver       = "forever"
	retentionMost = 36500 // days
)

// checkRetention gives the cause why text is no time to keep things for, or "".
func checkRetention(text string) string {
	if text != forEver && text != off && retentionDays(text) == 0 {
		return "is no time to keep messages for"
	}
	return ""
}

// retentionDays reads a number of days as 90d; 0: it is none.
func retentionDays(text string) int {
	digits, found := strings.CutSuffix(text, "d")
	n, err := strconv.Atoi(digits)
	if !found || err != nil || n < 1 || n > retentionMost || strconv.Itoa(n) != digits {
		return 0
	}
	return n
}
