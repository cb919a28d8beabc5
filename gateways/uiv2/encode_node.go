package uiv2

import (
	"math"
	"strconv"

	"parley/messages/relaypb"
	"parley/messages/uipb"
)

// inertBefore and inertAfter are what user interfaces of this protocol refuse
// to live without, though it means nothing here. Source: PROTOCOL.md, Node
// messages.
const (
	inertBefore = `"gasPrice":0,"startBlock":null,"portMappingProtocol":null,`
	inertAfter  = `,"paymentThresholds":{"thresholdIntervalSec":0,"debtThresholdGwei":0,"paymentGracePeriodSec":0,` +
		`"maturityThresholdSec":0,"permanentDebtAllowedGwei":0,"unbanBelowGwei":0}` +
		`,"ratePack":{"routingByteRate":0,"routingServiceRate":0,"exitByteRate":0,"exitServiceRate":0}` +
		`,"scanIntervals":{"pendingPayableSec":0,"payableSec":0,"receivableSec":0}`
)

func appendConfiguration(dst []byte, m *uipb.Configuration) []byte {
	dst = quote(append(append(append(dst, '{'), inertBefore...), `"chainName":`...), m.GetChainName())
	dst = appendCount(dst, `,"clandestinePort":`, uint64(m.GetClandestinePort()))
	dst = appendCount(dst, `,"currentSchemaVersion":"`, uint64(m.GetCurrentSchemaVersion()))
	dst = quote(append(dst, `","neighborhoodMode":`...), m.GetNeighborhoodMode())
	dst = quoteList(append(dst, `,"pastNeighbors":`...), m.GetPastNeighbors())
	dst = append(dst, inertAfter...)
	dst = quote(append(dst, `,"nodeName":`...), m.GetNodeName())
	dst = append(dst, `,"gateways":[`...)
	for i, g := range m.GetGateways() {
		dst = appendGateway(comma(dst, i), g)
	}
	return append(dst, "]}"...)
}

func appendPeers(dst []byte, m *uipb.Peers) []byte {
	dst = append(dst, `{"peers":[`...)
	for i, p := range m.GetPeers() {
		dst = quote(append(comma(dst, i), `{"name":`...), p.GetName())
		dst = quote(append(dst, `,"address":`...), p.GetAddress())
		dst = quote(append(dst, `,"host":`...), p.GetHost())
		dst = strconv.AppendBool(append(dst, `,"dialled":`...), p.GetDialled())
		dst = strconv.AppendBool(append(dst, `,"configured":`...), p.GetConfigured())
		dst = append(dst, `,"latency":`...)
		if p.Ms == nil {
			dst = append(dst, "null"...)
		} else {
			dst = appendFloat(dst, p.GetMs())
		}
		dst = appendCount(dst, `,"since":`, p.GetSince())
		dst = quote(append(dst, `,"encoding":`...), p.GetEncoding())
		dst = strconv.AppendBool(append(dst, `,"foreign":`...), p.GetForeign())
		dst = append(quote(append(dst, `,"version":`...), p.GetVersion()), '}')
	}
	return append(dst, "]}"...)
}

func appendStarPeers(dst []byte, m *uipb.StarPeers) []byte {
	dst = quoteList(append(dst, `{"peers":`...), m.GetPeers())
	dst = appendCount(dst, `,"online":`, uint64(m.GetOnline()))
	dst = appendCount(dst, `,"sockets":`, uint64(m.GetSockets()))
	return append(appendCount(dst, `,"dials":`, uint64(m.GetDials())), '}')
}

func appendGateway(dst []byte, m *uipb.Gateway) []byte {
	dst = quote(append(dst, `{"name":`...), m.GetName())
	dst = quote(append(dst, `,"address":`...), m.GetAddress())
	if m.GetMultiaddr() != "" {
		dst = quote(append(dst, `,"multiaddr":`...), m.GetMultiaddr())
	}
	return append(dst, '}')
}

func appendChannels(dst []byte, m *uipb.Channels) []byte {
	dst = append(dst, `{"channels":[`...)
	if m.GetNetwork() {
		for i, h := range m.GetHoldings() {
			dst = quote(append(comma(dst, i), `{"name":`...), h.GetName())
			dst = strconv.AppendBool(append(dst, `,"protected":`...), h.GetProtected())
			dst = append(quoteList(append(dst, `,"holders":`...), h.GetHolders()), '}')
		}
		return append(dst, "]}"...)
	}
	for i, c := range m.GetChannels() {
		dst = quote(append(comma(dst, i), `{"name":`...), c.GetName())
		dst = append(appendCount(dst, `,"subscribers":`, uint64(c.GetSubscribers())), '}')
	}
	return append(dst, "]}"...)
}

func appendNodeStats(dst []byte, m *relaypb.NodeStats) []byte {
	dst = append(dst, `{"relay":{"channels":[`...)
	for i, c := range m.GetChannels() {
		dst = quote(comma(dst, i), c.GetName())
	}
	dst = appendCount(dst, `],"clients":`, uint64(m.GetClients()))
	dst = append(dst, `,"channel_connections":{`...)
	for i, c := range m.GetChannels() {
		dst = quote(comma(dst, i), c.GetName())
		dst = appendCount(dst, ":", uint64(c.GetSubscribers()))
	}
	dst = appendTraffic(append(dst, `}},"network":`...), m.GetTotal())
	dst = append(dst, `,"channels":{`...)
	for i, c := range m.GetChannels() {
		dst = append(quote(comma(dst, i), c.GetName()), ':')
		dst = appendTraffic(dst, c.GetTraffic())
	}
	return append(dst, "}}"...)
}

// windows are the names of relaypb.Traffic's windows.
var windows = [...]string{`"1s":`, `"15s":`, `"60s":`}

func appendTraffic(dst []byte, m *relaypb.Traffic) []byte {
	dst = appendWindows(append(dst, `{"packets":`...), m.GetPackets(), appendUint)
	dst = appendWindows(append(dst, `,"bandwidth":`...), m.GetKilobits(), appendFloat)
	dst = appendWindows(append(dst, `,"out":`...), m.GetDeliveries(), appendUint)
	return append(dst, '}')
}

// appendWindows appends a number for every window: 0 where nothing was counted.
func appendWindows[N uint64 | float64](dst []byte, counts []N, write func([]byte, N) []byte) []byte {
	dst = append(dst, '{')
	for i, name := range windows {
		dst = append(comma(dst, i), name...)
		dst = write(dst, at(counts, i))
	}
	return append(dst, '}')
}

func at[N any](all []N, i int) (n N) {
	if i < len(all) {
		return all[i]
	}
	return n
}

func appendUint(dst []byte, n uint64) []byte { return strconv.AppendUint(dst, n, 10) }

// appendFloat appends a figure to a thousandth: more would be noise.
func appendFloat(dst []byte, f float64) []byte {
	const grain = 1000
	switch rounded := math.Round(f*grain) / grain; {
	case math.IsNaN(f) || math.IsInf(f, 0):
		f = 0 // JSON has no word for it
	case !math.IsInf(rounded, 0):
		f = rounded
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

func appendHostStats(dst []byte, m *relaypb.HostStats) []byte {
	dst = append(dst, `{"cpu":{`...)
	for i, name := range [...]string{`"1m":`, `"5m":`, `"15m":`} {
		dst = appendFloat(append(comma(dst, i), name...), at(m.GetLoad(), i))
	}
	mem := m.GetMemory()
	dst = appendCount(dst, `},"mem":{"used":`, mem.GetUsed())
	dst = appendCount(dst, `,"free":`, mem.GetFree())
	dst = appendCount(dst, `,"cache":`, mem.GetAvailable())
	dst = appendCount(dst, `,"total":`, mem.GetTotal())
	dst = append(dst, `},"disk":[`...)
	for i, d := range m.GetDisks() {
		dst = quote(append(comma(dst, i), `{"mount":`...), d.GetMount())
		dst = appendCount(dst, `,"used":`, d.GetUsed())
		dst = appendCount(dst, `,"free":`, d.GetFree())
		dst = append(appendCount(dst, `,"total":`, d.GetTotal()), '}')
	}
	dst = append(dst, `],"network":{"bytes":{`...)
	for i, w := range m.GetNetwork() {
		dst = appendWindow(comma(dst, i), w.GetSeconds(), w.GetCount().GetBytesIn(), w.GetCount().GetBytesOut())
	}
	dst = append(dst, `},"packets":{`...)
	for i, w := range m.GetNetwork() {
		dst = appendWindow(comma(dst, i), w.GetSeconds(), w.GetCount().GetPacketsIn(), w.GetCount().GetPacketsOut())
	}
	return append(dst, "}}}"...)
}

// appendWindow appends what came in and went out in the last seconds.
func appendWindow(dst []byte, seconds uint32, in, out uint64) []byte {
	dst = appendCount(dst, `"`, uint64(seconds))
	dst = appendCount(dst, `s_in":`, in)
	dst = appendCount(dst, `,"`, uint64(seconds))
	return appendCount(dst, `s_out":`, out)
}
