package mesh

import (
	"strconv"

	"parley/gateways/jsonwalk"
	"parley/messages/meshpb"
)

// results are the members of a response's data, as raw JSON within it.
type results struct {
	ok, reason, destination, nodes, channels, boot, ver, records, host, token, latency []byte
	relay, network, cpu, mem, disk                                                     []byte
	channel, password, ts, owner, partial                                              []byte
}

func (r *results) read(data []byte) bool {
	to := map[string]*[]byte{
		"ok": &r.ok, "reason": &r.reason, "destination": &r.destination, "nodes": &r.nodes, "channels": &r.channels,
		"boot": &r.boot, "ver": &r.ver, "records": &r.records, "host": &r.host, "token": &r.token, "latency": &r.latency,
		"relay": &r.relay, "network": &r.network, "cpu": &r.cpu, "mem": &r.mem, "disk": &r.disk,
		"channel": &r.channel, "password": &r.password, "ts": &r.ts, "owner": &r.owner, "partial": &r.partial,
	}
	return jsonwalk.Members(data, func(name, value []byte) bool {
		if place := to[string(name)]; place != nil {
			*place = value
		}
		return true
	})
}

// responseOf reads the data of a response, which may be anything: what is no
// answer to any command that is known is passed on as it is. Which command it
// answers is not known here, so its parts tell. A part that says nothing sound
// is left out, but a list that is too long is refused.
func responseOf(data []byte) (m *meshpb.Response, reason string) {
	m = &meshpb.Response{}
	var r results
	if !r.read(data) {
		return m, ""
	}
	if is, ok := truth(r.ok); ok {
		m.Ok = &is
	}
	m.Reason = sane(r.reason)
	if s, ok := jsonwalk.Text(r.destination); ok && goodName(s) {
		m.Destination = s
	}
	switch {
	case r.relay != nil:
		m.NodeStats = nodeStatsOf(&r)
	case r.cpu != nil:
		m.HostStats = hostStatsOf(&r)
	case r.channels != nil:
		return m, r.listing(m)
	case r.nodes != nil:
		if list, ok := names(r.nodes, maxNames); ok && goodNames(list) {
			m.Nodes = &meshpb.Nodes{Names: list}
		}
	case r.token != nil:
		c := &meshpb.Connection{Host: sane(r.host), Token: sane(r.token)}
		if c.GetToken() != "" {
			m.Connection = c
		}
	case r.latency != nil:
		if ms, ok := number(r.latency); ok && goodMs(ms) {
			m.Latency = &ms
		}
	case r.ts != nil:
		m.Winner = r.winner()
	}
	return m, ""
}

// sane is a text of moderate length that can be shown; "" is none.
func sane(raw []byte) string {
	s, ok := jsonwalk.Text(raw)
	if !ok || len(s) > maxText || !printable(s) {
		return ""
	}
	return s
}

func (r *results) listing(m *meshpb.Response) (reason string) {
	most := maxEntries
	l := &meshpb.Listing{}
	var ok bool
	if l.Entries, ok = entriesOf(r.channels, &most); ok && r.records != nil {
		l.Records, ok = recordsOf(r.records, &most)
	}
	ok = ok && optional(r.boot, &l.Boot) && optional(r.ver, &l.Ver)
	if ok && r.partial != nil {
		l.Partial, ok = truth(r.partial)
	}
	if most < 0 {
		return reasonTooMany
	}
	if ok && checkListing(l) {
		m.Listing = l
	}
	return ""
}

func (r *results) winner() *meshpb.Entry {
	e := &meshpb.Entry{}
	var ok bool
	if e.Claim, ok = claimOf(r.ts, r.owner); !ok {
		return nil
	}
	if r.channel != nil {
		if e.Name, ok = jsonwalk.Text(r.channel); !ok {
			return nil
		}
	}
	if e.Password, ok = passwordOf(r.password); !ok || !goodWinner(e) {
		return nil
	}
	return e
}

// appendResponse appends the data of a response.
func appendResponse(dst []byte, m *meshpb.Response) []byte {
	from := len(dst)
	if m.Ok != nil {
		dst = strconv.AppendBool(append(dst, `,"ok":`...), m.GetOk())
	}
	dst = quoteUnlessEmpty(dst, `,"reason":`, m.GetReason())
	dst = quoteUnlessEmpty(dst, `,"destination":`, m.GetDestination())
	switch {
	case m.GetNodes() != nil:
		dst = quoteList(append(dst, `,"nodes":`...), m.GetNodes().GetNames())
	case m.GetListing() != nil:
		dst = appendListing(dst, m.GetListing())
	case m.GetConnection() != nil:
		dst = quoteUnlessEmpty(dst, `,"host":`, m.GetConnection().GetHost())
		dst = quote(append(dst, `,"token":`...), m.GetConnection().GetToken())
	case m.Latency != nil:
		dst = appendFloat(append(dst, `,"latency":`...), m.GetLatency())
	case m.GetNodeStats() != nil:
		dst = appendNodeStats(dst, m.GetNodeStats())
	case m.GetHostStats() != nil:
		dst = appendHostStats(dst, m.GetHostStats())
	case m.GetWinner() != nil:
		w := m.GetWinner()
		dst = quoteUnlessEmpty(dst, `,"channel":`, w.GetName())
		dst = quote(append(dst, `,"password":`...), w.GetPassword())
		dst = appendClaim(dst, w.GetClaim())
	}
	if len(dst) == from {
		return append(dst, "{}"...)
	}
	dst[from] = '{' // instead of the first comma
	return append(dst, '}')
}

func appendListing(dst []byte, l *meshpb.Listing) []byte {
	dst = appendEntries(append(dst, ','), l.GetEntries())
	if l.GetBoot() != 0 {
		dst = appendInteger(dst, `,"boot":`, l.GetBoot())
		dst = appendPartial(appendInteger(dst, `,"ver":`, l.GetVer()), l.GetPartial())
	}
	if len(l.GetRecords()) > 0 {
		dst = appendRecords(dst, l.GetRecords())
	}
	return dst
}
