package mesh

import (
	"slices"
	"strconv"
	"strings"

	"parley/gateways/jsonwalk"
	"parley/messages/relaypb"
)

// Windows of statistics. Source: PROTOCOL.md, Statistics.
var (
	trafficWindows = []string{"1s", "15s", "60s"}
	loadWindows    = []string{"1m", "5m", "15m"}
	hostWindows    = []uint32{15, 30, 45, 60} // seconds
)

// appendNodeStats appends members with a comma before the first, as all that
// follows does.
func appendNodeStats(dst []byte, s *relaypb.NodeStats) []byte {
	dst = append(dst, `,"relay":{"channels":[`...)
	for i, c := range s.GetChannels() {
		dst = quote(comma(dst, i), c.GetName())
	}
	dst = appendInteger(dst, `],"clients":`, uint64(s.GetClients()))
	dst = append(dst, `,"channel_connections":{`...)
	for i, c := range s.GetChannels() {
		dst = append(quote(comma(dst, i), c.GetName()), ':')
		dst = strconv.AppendUint(dst, uint64(c.GetSubscribers()), 10)
	}
	dst = appendTraffic(append(dst, `}},"network":`...), s.GetTotal())
	dst = append(dst, `,"channels":{`...)
	for i, c := range s.GetChannels() {
		dst = append(quote(comma(dst, i), c.GetName()), ':')
		dst = appendTraffic(dst, c.GetTraffic())
	}
	return append(dst, '}')
}

func comma(dst []byte, i int) []byte {
	if i > 0 {
		return append(dst, ',')
	}
	return dst
}

func appendTraffic(dst []byte, t *relaypb.Traffic) []byte {
	dst = appendCounts(append(dst, `{"packets":`...), t.GetPackets())
	dst = appendFigures(append(dst, `,"bandwidth":`...), trafficWindows, t.GetKilobits())
	dst = appendCounts(append(dst, `,"out":`...), t.GetDeliveries())
	return append(dst, '}')
}

func appendCounts(dst []byte, counts []uint64) []byte {
	for i, w := range trafficWindows {
		dst = append(append(append(dst, separator(i), '"'), w...), `":`...)
		n := uint64(0)
		if i < len(counts) {
			n = counts[i]
		}
		dst = appendInteger(dst, "", n)
	}
	return append(dst, '}')
}

// separator is what stands before member i of an object.
func separator(i int) byte {
	if i == 0 {
		return '{'
	}
	return ','
}

func appendFigures(dst []byte, windows []string, figures []float64) []byte {
	for i, w := range windows {
		dst = append(append(append(dst, separator(i), '"'), w...), `":`...)
		f := 0.0
		if i < len(figures) {
			f = figures[i]
		}
		dst = appendFloat(dst, f)
	}
	return append(dst, '}')
}

func appendHostStats(dst []byte, s *relaypb.HostStats) []byte {
	dst = appendFigures(append(dst, `,"cpu":`...), loadWindows, s.GetLoad())
	m := s.GetMemory()
	dst = appendInteger(dst, `,"mem":{"used":`, m.GetUsed())
	dst = appendInteger(dst, `,"free":`, m.GetFree())
	dst = appendInteger(dst, `,"cache":`, m.GetAvailable())
	dst = appendInteger(dst, `,"total":`, m.GetTotal())
	dst = append(dst, `},"disk":[`...)
	for i, d := range s.GetDisks() {
		dst = quote(append(comma(dst, i), `{"mount":`...), d.GetMount())
		dst = appendInteger(dst, `,"used":`, d.GetUsed())
		dst = appendInteger(dst, `,"free":`, d.GetFree())
		dst = append(appendInteger(dst, `,"total":`, d.GetTotal()), '}')
	}
	dst = appendWindows(append(dst, `],"network":{"bytes":`...), s, (*relaypb.NetworkCount).GetBytesIn, (*relaypb.NetworkCount).GetBytesOut)
	dst = appendWindows(append(dst, `,"packets":`...), s, (*relaypb.NetworkCount).GetPacketsIn, (*relaypb.NetworkCount).GetPacketsOut)
	return append(dst, '}')
}

// appendWindows appends what came in and went out in each window. One that was
// not sampled yet has zeros: readers expect all of them.
func appendWindows(dst []byte, s *relaypb.HostStats, in, out func(*relaypb.NetworkCount) uint64) []byte {
	for i, seconds := range hostWindows {
		var count *relaypb.NetworkCount
		for _, w := range s.GetNetwork() {
			if w.GetSeconds() == seconds {
				count = w.GetCount()
			}
		}
		key := `"` + strconv.Itoa(int(seconds)) + "s_"
		dst = append(append(append(dst, separator(i)), key...), `in":`...)
		dst = append(append(append(appendInteger(dst, "", in(count)), ','), key...), `out":`...)
		dst = appendInteger(dst, "", out(count))
	}
	return append(dst, '}')
}

// nodeStatsOf reads an answer to node-stats; nil: it is none.
func nodeStatsOf(r *results) *relaypb.NodeStats {
	s := &relaypb.NodeStats{}
	byName := map[string]*relaypb.ChannelStats{}
	channel := func(name string) *relaypb.ChannelStats {
		if byName[name] == nil && len(byName) <= maxEntries {
			byName[name] = &relaypb.ChannelStats{Name: name, Traffic: &relaypb.Traffic{}}
		}
		return byName[name]
	}
	ok := jsonwalk.Members(r.relay, func(name, value []byte) bool {
		switch string(name) {
		case "clients":
			n, ok := integer(value)
			s.Clients = uint32(n)
			return ok && n < 1<<32
		case "channels":
			return jsonwalk.Elements(value, func(v []byte) bool {
				name, ok := jsonwalk.Text(v)
				return ok && goodChannel(name) && channel(name) != nil
			})
		case "channel_connections":
			return jsonwalk.Members(value, func(name, value []byte) bool {
				n, ok := integer(value)
				if !ok || n >= 1<<32 || !goodChannel(string(name)) || channel(string(name)) == nil {
					return false
				}
				channel(string(name)).Subscribers = uint32(n)
				return true
			})
		}
		return true
	})
	if s.Total = trafficOf(r.network); !ok || s.GetTotal() == nil {
		return nil
	}
	if r.channels != nil && !jsonwalk.Members(r.channels, func(name, value []byte) bool {
		t := trafficOf(value)
		if t == nil || !goodChannel(string(name)) || channel(string(name)) == nil {
			return false
		}
		channel(string(name)).Traffic = t
		return true
	}) {
		return nil
	}
	for _, c := range byName {
		s.Channels = append(s.Channels, c)
	}
	slices.SortFunc(s.GetChannels(), func(x, y *relaypb.ChannelStats) int { return strings.Compare(x.GetName(), y.GetName()) })
	return s
}

// trafficOf reads a network dictionary; nil: it is none. Windows that are not
// there count as 0.
func trafficOf(raw []byte) *relaypb.Traffic {
	t := &relaypb.Traffic{
		Packets: make([]uint64, len(trafficWindows)), Kilobits: make([]float64, len(trafficWindows)), Deliveries: make([]uint64, len(trafficWindows)),
	}
	if !jsonwalk.Members(raw, func(name, value []byte) bool {
		switch string(name) {
		case "packets":
			return windowed(value, trafficWindows, func(i int, f float64) { t.Packets[i] = whole(f) })
		case "bandwidth":
			return windowed(value, trafficWindows, func(i int, f float64) { t.Kilobits[i] = f })
		case "out":
			return windowed(value, trafficWindows, func(i int, f float64) { t.Deliveries[i] = whole(f) })
		}
		return true
	}) {
		return nil
	}
	return t
}

// whole cuts off a fraction; what is no count is 0.
func whole(f float64) uint64 {
	if f < 0 || f > maxInteger {
		return 0
	}
	return uint64(f)
}

// windowed reads an object of numbers by window.
func windowed(raw []byte, windows []string, set func(i int, f float64)) bool {
	return jsonwalk.Members(raw, func(name, value []byte) bool {
		f, ok := number(value)
		if i := slices.Index(windows, string(name)); ok && i >= 0 {
			set(i, f)
		}
		return ok
	})
}

// hostStatsOf reads an answer to host-stats; nil: it is none.
func hostStatsOf(r *results) *relaypb.HostStats {
	s := &relaypb.HostStats{Load: make([]float64, len(loadWindows)), Memory: &relaypb.Memory{}}
	if !windowed(r.cpu, loadWindows, func(i int, f float64) { s.Load[i] = f }) || !sizes(r.mem, map[string]*uint64{
		"used": &s.Memory.Used, "free": &s.Memory.Free, "cache": &s.Memory.Available, "total": &s.Memory.Total,
	}) {
		return nil
	}
	if r.disk != nil && !jsonwalk.Elements(r.disk, func(v []byte) bool {
		d := &relaypb.Disk{}
		s.Disks = append(s.Disks, d)
		ok := sizes(v, map[string]*uint64{"used": &d.Used, "free": &d.Free, "total": &d.Total})
		return ok && len(s.GetDisks()) <= maxNames && jsonwalk.Members(v, func(name, value []byte) bool {
			if string(name) == "mount" {
				d.Mount = sane(value)
			}
			return true
		})
	}) {
		return nil
	}
	for _, seconds := range hostWindows {
		s.Network = append(s.Network, &relaypb.NetworkWindow{Seconds: seconds, Count: &relaypb.NetworkCount{}})
	}
	if r.network != nil && !networkOf(r.network, s) {
		return nil
	}
	return s
}

func networkOf(raw []byte, s *relaypb.HostStats) bool {
	sums, counts := map[string]*uint64{}, map[string]*uint64{} // bytes and packets, by "15s_in"
	for _, w := range s.GetNetwork() {
		key := strconv.Itoa(int(w.GetSeconds())) + "s_"
		sums[key+"in"], sums[key+"out"] = &w.Count.BytesIn, &w.Count.BytesOut
		counts[key+"in"], counts[key+"out"] = &w.Count.PacketsIn, &w.Count.PacketsOut
	}
	return jsonwalk.Members(raw, func(name, value []byte) bool {
		switch string(name) {
		case "bytes":
			return sizes(value, sums)
		case "packets":
			return sizes(value, counts)
		}
		return true
	})
}

// sizes reads an object of whole numbers into the places that are named.
func sizes(raw []byte, to map[string]*uint64) bool {
	return jsonwalk.Members(raw, func(name, value []byte) bool {
		place := to[string(name)]
		if place == nil {
			return true
		}
		f, ok := number(value)
		*place = whole(f)
		return ok
	})
}

// goodNodeStats and goodHostStats check what came as protobuf for what JSON
// could not say.
func goodNodeStats(s *relaypb.NodeStats) bool {
	before, ok := "", goodTraffic(s.GetTotal())
	for _, c := range s.GetChannels() {
		ok = ok && goodChannel(c.GetName()) && c.GetName() > before && goodTraffic(c.GetTraffic())
		before = c.GetName()
	}
	return ok
}

func goodTraffic(t *relaypb.Traffic) bool {
	return max(len(t.GetPackets()), len(t.GetKilobits()), len(t.GetDeliveries())) <= len(trafficWindows)
}

func goodHostStats(s *relaypb.HostStats) bool {
	return len(s.GetLoad()) <= len(loadWindows) && len(s.GetNetwork()) <= len(hostWindows) && len(s.GetDisks()) <= maxNames &&
		!slices.ContainsFunc(s.GetDisks(), func(d *relaypb.Disk) bool { return len(d.GetMount()) > maxText || !printable(d.GetMount()) })
}
