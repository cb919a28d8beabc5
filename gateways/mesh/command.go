package mesh

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"parley/gateways/jsonwalk"
	"parley/messages/meshpb"
)

// Names of commands that have a shape of their own. Source: PROTOCOL.md, Commands.
const (
	cmdHandshake  = "handshake"
	cmdConnection = "get-node-connection"
	cmdToken      = "get-connection-token"
	cmdLatency    = "get-latency"
	cmdReserve    = "reserve-channel"
	cmdUnreserve  = "unreserve-channel"
	cmdHello      = "hello"
	cmdSync       = "sync"
)

// arguments are the members of a command's data, as raw JSON within it.
type arguments struct {
	command, node, channel, password, ts, owner, boot, ver, open, holders, links, master, round, leaf, host, records []byte
}

func (a *arguments) read(data []byte) bool {
	return jsonwalk.Members(data, func(name, value []byte) bool {
		switch string(name) {
		case "command":
			a.command = value
		case "node":
			a.node = value
		case "channel":
			a.channel = value
		case "password":
			a.password = value
		case "ts":
			a.ts = value
		case "owner":
			a.owner = value
		case "boot":
			a.boot = value
		case "ver":
			a.ver = value
		case "open":
			a.open = value
		case "holders":
			a.holders = value
		case "links":
			a.links = value
		case "master":
			a.master = value
		case "round":
			a.round = value
		case "leaf":
			a.leaf = value
		case "host":
			a.host = value
		case "records":
			a.records = value
		}
		return true
	})
}

// commandOf reads the data of a command. Of one that is not known only the name
// is read; what it holds is passed on as it is.
func commandOf(data []byte) (c *meshpb.Command, reason string) {
	var a arguments
	if !a.read(data) {
		return nil, reasonData
	}
	c = &meshpb.Command{}
	var ok bool
	if c.Name, ok = jsonwalk.Text(a.command); !ok {
		return nil, reasonCommand
	}
	switch c.GetName() {
	case cmdConnection, cmdToken, cmdLatency:
		return c, a.about(c)
	case cmdReserve:
		return c, a.reserve(c)
	case cmdUnreserve:
		return c, a.reservation(c)
	case cmdHello:
		return c, a.hello(c)
	case cmdSync:
		most := maxEntries
		if c.Records, ok = recordsOf(a.records, &most); !ok {
			return nil, reasonRecords
		}
	}
	return c, ""
}

// about reads which node a command is about.
func (a *arguments) about(c *meshpb.Command) (reason string) {
	var ok bool
	if c.Node, ok = jsonwalk.Text(a.node); !ok {
		return reasonNode
	}
	return ""
}

// reservation reads what reserving and its opposite have in common.
func (a *arguments) reservation(c *meshpb.Command) (reason string) {
	var ok bool
	if c.Channel, ok = jsonwalk.Text(a.channel); !ok {
		return reasonChannel
	}
	if a.node != nil {
		if reason := a.about(c); reason != "" {
			return reason
		}
	}
	if !optional(a.boot, &c.Boot) || !optional(a.ver, &c.Ver) {
		return reasonVersion
	}
	return ""
}

func (a *arguments) reserve(c *meshpb.Command) (reason string) {
	if reason := a.reservation(c); reason != "" {
		return reason
	}
	var ok bool
	if c.Password, ok = passwordOf(a.password); !ok {
		return reasonPassword
	}
	if c.Claim, ok = claimOf(a.ts, a.owner); !ok {
		return reasonClaim
	}
	if a.open != nil {
		is, ok := truth(a.open)
		if !ok {
			return reasonOpen
		}
		c.Open = &is
	}
	if a.holders != nil {
		if c.Holders, ok = names(a.holders, maxNames); !ok {
			return reasonHolders
		}
	}
	return ""
}

func (a *arguments) hello(c *meshpb.Command) (reason string) {
	h := &meshpb.Hello{}
	c.Hello = h
	if !optional(a.boot, &h.Boot) || !optional(a.ver, &h.Ver) || !optional(a.round, &h.Round) {
		return reasonHello
	}
	var ok bool
	if a.master != nil {
		if h.Master, ok = truth(a.master); !ok {
			return reasonHello
		}
	}
	if a.leaf != nil {
		if h.Leaf, ok = truth(a.leaf); !ok {
			return reasonHello
		}
	}
	if a.host != nil {
		if h.Host, ok = jsonwalk.Text(a.host); !ok {
			return reasonHello
		}
	}
	if a.links == nil {
		return ""
	}
	if !jsonwalk.Members(a.links, func(name, value []byte) bool {
		ms, ok := number(value)
		h.Links = append(h.Links, &meshpb.LinkCost{Peer: string(name), Ms: ms})
		return ok && len(h.GetLinks()) <= maxLinks
	}) {
		return reasonHello
	}
	slices.SortFunc(h.GetLinks(), func(x, y *meshpb.LinkCost) int { return cmp.Compare(x.GetPeer(), y.GetPeer()) })
	return ""
}

// optional reads a whole number that may be absent.
func optional(raw []byte, to *uint64) (ok bool) {
	if raw == nil {
		return true
	}
	*to, ok = integer(raw)
	return ok
}

// passwordOf reads a hash; null and absent are none.
func passwordOf(raw []byte) (hash string, ok bool) {
	if raw == nil || string(raw) == "null" {
		return "", true
	}
	return jsonwalk.Text(raw)
}

// claimOf reads both parts of a claim, or none.
func claimOf(ts, owner []byte) (c *meshpb.Claim, ok bool) {
	if ts == nil && owner == nil {
		return nil, true
	}
	c = &meshpb.Claim{}
	if c.Ts, ok = integer(ts); !ok {
		return nil, false
	}
	c.Owner, ok = jsonwalk.Text(owner)
	return c, ok
}

// names reads a list of at most most strings.
func names(raw []byte, most int) (list []string, ok bool) {
	ok = jsonwalk.Elements(raw, func(v []byte) bool {
		s, ok := jsonwalk.Text(v)
		list = append(list, s)
		return ok && len(list) <= most
	})
	return list, ok
}

// entriesOf reads a list of channels; most is how many may still come.
func entriesOf(raw []byte, most *int) (list []*meshpb.Entry, ok bool) {
	ok = jsonwalk.Elements(raw, func(v []byte) bool {
		e, ok := entryOf(v)
		list = append(list, e)
		*most--
		return ok && *most >= 0
	})
	return list, ok
}

func entryOf(raw []byte) (e *meshpb.Entry, ok bool) {
	var name, password, ts, owner []byte
	if !jsonwalk.Members(raw, func(key, value []byte) bool {
		switch string(key) {
		case "name":
			name = value
		case "password":
			password = value
		case "ts":
			ts = value
		case "owner":
			owner = value
		}
		return true
	}) {
		return nil, false
	}
	e = &meshpb.Entry{}
	if e.Name, ok = jsonwalk.Text(name); !ok {
		return nil, false
	}
	if e.Password, ok = passwordOf(password); !ok {
		return nil, false
	}
	e.Claim, ok = claimOf(ts, owner)
	return e, ok
}

// recordsOf is entriesOf for records; a record counts as one entry.
func recordsOf(raw []byte, most *int) (list []*meshpb.Record, ok bool) {
	ok = jsonwalk.Elements(raw, func(v []byte) bool {
		r := &meshpb.Record{}
		list = append(list, r)
		*most--
		good := true
		whole := jsonwalk.Members(v, func(key, value []byte) bool {
			switch string(key) {
			case "node":
				r.Node, good = jsonwalk.Text(value)
			case "boot":
				r.Boot, good = integer(value)
			case "ver":
				r.Ver, good = integer(value)
			case "age":
				var n uint64
				n, good = integer(value)
				r.Age = uint32(min(n, math.MaxUint32))
			case "partial":
				r.Partial, good = truth(value)
			case "channels":
				r.Entries, good = entriesOf(value, most)
			}
			return good
		})
		return whole && *most >= 0
	})
	return list, ok
}

// appendCommand appends the data of a command.
func appendCommand(dst []byte, c *meshpb.Command) []byte {
	dst = quote(append(dst, `{"command":`...), c.GetName())
	dst = quoteUnlessEmpty(dst, `,"node":`, c.GetNode())
	dst = quoteUnlessEmpty(dst, `,"channel":`, c.GetChannel())
	if c.GetName() == cmdReserve {
		dst = quote(append(dst, `,"password":`...), c.GetPassword())
	}
	dst = appendClaim(dst, c.GetClaim())
	dst = appendUnlessZero(dst, `,"boot":`, c.GetBoot())
	dst = appendUnlessZero(dst, `,"ver":`, c.GetVer())
	if c.Open != nil {
		dst = strconv.AppendBool(append(dst, `,"open":`...), c.GetOpen())
	}
	if len(c.GetHolders()) > 0 {
		dst = quoteList(append(dst, `,"holders":`...), c.GetHolders())
	}
	if c.GetHello() != nil {
		dst = appendHello(dst, c.GetHello())
	}
	if c.GetName() == cmdSync {
		dst = appendRecords(dst, c.GetRecords())
	}
	return append(dst, '}')
}

func appendHello(dst []byte, h *meshpb.Hello) []byte {
	dst = appendInteger(dst, `,"boot":`, h.GetBoot())
	dst = appendInteger(dst, `,"ver":`, h.GetVer())
	dst = append(dst, `,"links":{`...)
	for i, l := range h.GetLinks() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(quote(dst, l.GetPeer()), ':')
		dst = appendFloat(dst, l.GetMs())
	}
	dst = strconv.AppendBool(append(dst, `},"master":`...), h.GetMaster())
	dst = appendUnlessZero(dst, `,"round":`, h.GetRound())
	if h.GetLeaf() {
		dst = append(dst, `,"leaf":true`...)
	}
	return quoteUnlessEmpty(dst, `,"host":`, h.GetHost())
}

// appendInteger appends the largest number that readers see as it is, if n is
// larger.
func appendInteger(dst []byte, key string, n uint64) []byte {
	return strconv.AppendUint(append(dst, key...), min(n, maxInteger), 10)
}

func appendUnlessZero(dst []byte, key string, n uint64) []byte {
	if n == 0 {
		return dst
	}
	return appendInteger(dst, key, n)
}

func appendClaim(dst []byte, c *meshpb.Claim) []byte {
	if c == nil {
		return dst
	}
	return quote(append(appendInteger(dst, `,"ts":`, c.GetTs()), `,"owner":`...), c.GetOwner())
}

func appendEntries(dst []byte, list []*meshpb.Entry) []byte {
	dst = append(dst, `"channels":[`...)
	for i, e := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = quote(append(dst, `{"name":`...), e.GetName())
		dst = quote(append(dst, `,"password":`...), e.GetPassword())
		dst = append(appendClaim(dst, e.GetClaim()), '}')
	}
	return append(dst, ']')
}

func appendRecords(dst []byte, list []*meshpb.Record) []byte {
	dst = append(dst, `,"records":[`...)
	for i, r := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = quote(append(dst, `{"node":`...), r.GetNode())
		dst = appendInteger(dst, `,"boot":`, r.GetBoot())
		dst = appendInteger(dst, `,"ver":`, r.GetVer())
		dst = append(appendPartial(appendUnlessZero(dst, `,"age":`, uint64(r.GetAge())), r.GetPartial()), ',')
		dst = append(appendEntries(dst, r.GetEntries()), '}')
	}
	return append(dst, ']')
}

func appendPartial(dst []byte, is bool) []byte {
	if is {
		dst = append(dst, `,"partial":true`...)
	}
	return dst
}
