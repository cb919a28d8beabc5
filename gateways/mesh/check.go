package mesh

import (
	"slices"
	"strings"
	"unicode/utf8"

	"parley/gateways/jsonwalk"
	"parley/messages/meshpb"
)

// Limits of what a frame may hold. Source: PROTOCOL.md, Limits.
const (
	maxName        = 64       // bytes of a node's name, or of a command's
	maxChannel     = 256      // bytes of a channel's name
	maxNonce       = 256      // bytes of a packet's nonce
	maxClientNonce = 4 << 10  // bytes of a client's
	maxText        = 1 << 10  // bytes of a reason, an address, a token
	maxVia         = 1024     // nodes that a message names
	maxNames       = 4096     // nodes, file systems in one list
	maxLinks       = 512      // that a hello tells of; a node has not nearly as many
	maxHello       = 64 << 10 // bytes of one in JSON: nodes keep and pass on what it came as
	maxEncodings   = 8        // that a handshake offers
	maxEntries     = 1 << 17  // channels, records, packets and the like in one frame
	maxMs          = 1e9      // round trip
	keyDigits      = 16
)

// everyone is the destination of what is for all nodes.
const everyone = "*"

// checkPacket says why nobody may see a packet, "" if all may. It is the same for
// both encodings, and puts lists in order.
func checkPacket(p *meshpb.Packet) (reason string) {
	switch {
	case !goodName(p.GetSource()):
		return reasonSource
	case p.GetDestination() != everyone && !goodName(p.GetDestination()):
		return reasonDestination
	case p.GetBoot() == 0 && (p.GetNonce() == "" || len(p.GetNonce()) > maxNonce || p.GetSeq() != 0), p.GetBoot() != 0 && p.GetNonce() != "":
		return reasonNonce
	case len(p.GetVia()) > maxVia || !goodNames(p.GetVia()):
		return reasonVia
	}
	parts := 0
	if p.GetMessage() != nil {
		parts, reason = 1, checkMessage(p.GetMessage())
	}
	if p.GetCommand() != nil {
		parts, reason = parts+1, checkCommand(p.GetCommand())
		if p.GetCommand().GetHello() != nil && len(p.GetJson()) > maxHello {
			reason = reasonHello
		}
	}
	if p.GetResponse() != nil {
		parts, reason = parts+1, checkResponse(p.GetResponse())
	}
	if parts != 1 {
		return reasonType
	}
	return reason
}

func checkMessage(m *meshpb.Message) (reason string) {
	switch {
	case !goodChannel(m.GetChannel()):
		return reasonChannel
	case len(m.GetNonce()) > maxClientNonce || !jsonwalk.Shallow(m.GetNonce(), maxValueDepth):
		return reasonNonce
	case m.GetKey() != "" && (len(m.GetKey()) != keyDigits || !lowerHex(m.GetKey())):
		return reasonKey
	}
	return ""
}

func checkCommand(c *meshpb.Command) (reason string) {
	switch {
	case c.GetName() == "" || len(c.GetName()) > maxName || !printable(c.GetName()):
		return reasonCommand
	case c.GetNode() != "" && !goodName(c.GetNode()):
		return reasonNode
	case c.GetChannel() != "" && !goodChannel(c.GetChannel()):
		return reasonChannel
	case !goodPassword(c.GetPassword()):
		return reasonPassword
	case !goodClaim(c.GetClaim()):
		return reasonClaim
	case c.GetBoot() > maxInteger || c.GetVer() > maxInteger:
		return reasonVersion
	case len(c.GetHolders()) > maxNames || !goodNames(c.GetHolders()):
		return reasonHolders
	case c.GetHello() != nil && !goodHello(c.GetHello()):
		return reasonHello
	case !goodRecords(c.GetRecords()):
		return reasonRecords
	}
	switch c.GetName() {
	case cmdConnection, cmdToken, cmdLatency:
		if c.GetNode() == "" {
			return reasonNode
		}
	case cmdReserve, cmdUnreserve:
		if c.GetChannel() == "" {
			return reasonChannel
		}
	case cmdHello:
		if c.GetHello() == nil {
			return reasonHello
		}
	}
	return ""
}

func checkResponse(m *meshpb.Response) (reason string) {
	l, c, w := m.GetListing(), m.GetConnection(), m.GetWinner()
	switch {
	case len(m.GetReason()) > maxText || !printable(m.GetReason()),
		m.GetDestination() != "" && !goodName(m.GetDestination()),
		m.GetNodes() != nil && (len(m.GetNodes().GetNames()) > maxNames || !goodNames(m.GetNodes().GetNames())),
		l != nil && !checkListing(l),
		c != nil && (c.GetToken() == "" || len(c.GetToken()) > maxText || len(c.GetHost()) > maxText || !printable(c.GetToken()) || !printable(c.GetHost())),
		m.Latency != nil && !goodMs(m.GetLatency()),
		m.GetNodeStats() != nil && !goodNodeStats(m.GetNodeStats()),
		m.GetHostStats() != nil && !goodHostStats(m.GetHostStats()),
		w != nil && !goodWinner(w),
		parts(m) > 1:
		return reasonResponse
	}
	return ""
}

// parts is how many of its parts a response has; one is what it may.
func parts(m *meshpb.Response) (n int) {
	for _, there := range []bool{
		m.GetNodes() != nil, m.GetListing() != nil, m.GetConnection() != nil, m.Latency != nil, m.GetNodeStats() != nil, m.GetHostStats() != nil, m.GetWinner() != nil,
	} {
		if there {
			n++
		}
	}
	return n
}

func checkListing(l *meshpb.Listing) bool {
	return l.GetBoot() <= maxInteger && l.GetVer() <= maxInteger && goodEntries(l.GetEntries()) && goodRecords(l.GetRecords())
}

func goodWinner(e *meshpb.Entry) bool {
	return e.GetClaim() != nil && (e.GetName() == "" || goodChannel(e.GetName())) && goodPassword(e.GetPassword()) && goodClaim(e.GetClaim())
}

func goodHello(h *meshpb.Hello) bool {
	if h.GetBoot() > maxInteger || h.GetVer() > maxInteger || h.GetRound() > maxInteger || len(h.GetLinks()) > maxLinks || len(h.GetHost()) > maxText || !printable(h.GetHost()) {
		return false
	}
	before := ""
	for _, l := range h.GetLinks() {
		if !goodName(l.GetPeer()) || !goodMs(l.GetMs()) || l.GetPeer() <= before {
			return false
		}
		before = l.GetPeer()
	}
	return true
}

func goodRecords(list []*meshpb.Record) bool {
	return !slices.ContainsFunc(list, func(r *meshpb.Record) bool {
		return !goodName(r.GetNode()) || r.GetBoot() > maxInteger || r.GetVer() > maxInteger || !goodEntries(r.GetEntries())
	})
}

// goodEntries puts a list in order, and takes none that names a channel twice.
func goodEntries(list []*meshpb.Entry) bool {
	byName := func(x, y *meshpb.Entry) int { return strings.Compare(x.GetName(), y.GetName()) }
	if !slices.IsSortedFunc(list, byName) {
		slices.SortStableFunc(list, byName)
	}
	before := ""
	for _, e := range list {
		if !goodChannel(e.GetName()) || e.GetName() == before || !goodPassword(e.GetPassword()) || !goodClaim(e.GetClaim()) {
			return false
		}
		before = e.GetName()
	}
	return true
}

func goodClaim(c *meshpb.Claim) bool {
	return c == nil || c.GetTs() <= maxInteger && goodName(c.GetOwner())
}

// goodPassword takes the hashes that there are: of 32 bytes, and of 64.
func goodPassword(hash string) bool {
	return hash == "" || (len(hash) == 64 || len(hash) == 128) && lowerHex(hash)
}

func goodMs(ms float64) bool { return ms >= 0 && ms <= maxMs }

func lowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// goodName reports whether s can be the name of a node.
func goodName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= maxName
}

func goodNames(list []string) bool {
	return !slices.ContainsFunc(list, func(s string) bool { return !goodName(s) })
}

// goodChannel reports whether s can be the name of a channel.
func goodChannel(s string) bool { return s != "" && len(s) <= maxChannel && printable(s) }

// printable reports whether s is text without control characters.
func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 })
}
