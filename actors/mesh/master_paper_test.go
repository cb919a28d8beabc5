package mesh

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"unique"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/messages/meshpb"
	"parley/messages/relaypb"
	"parley/messages/storepb"
	"parley/testkit"
)

// mastersDesk is a master among paper, and a network of paper around it.
type mastersDesk struct {
	*bureau
	nodes map[string]*paperNode // the master's own one too
	links []edge
	told  []string          // commands that change something, as sent
	store map[string]string // records that expire
	until map[string]uint64 // when they do
	onAsk func(m *meshpb.AskRequest)
}

// paperNode is one node: what it has open, and what it believes others to have.
type paperNode struct {
	boot     uint64
	open     map[string]claim
	believes map[string]claim
	records  []*meshpb.Record // it tells these, too
	clients  uint32
	foreign  bool
	silent   bool
	master   bool
	stubborn bool // what it is told changes nothing
}

func hash32(c string) string { return strings.Repeat(c, hashShort) }

func claimBy(owner string, ts uint64, password string) claim {
	return claim{ts: ts, owner: unique.Make(owner), hash: password}
}

// newMastersDesk has the nodes self, anna, bob and carl in a ring, with channels.
func newMastersDesk(t testing.TB, d *testkit.Driver, o Options) *mastersDesk {
	w := &mastersDesk{
		nodes: map[string]*paperNode{}, store: map[string]string{}, until: map[string]uint64{},
		links: []edge{{"anna", "bob"}, {"anna", "self"}, {"bob", "carl"}, {"carl", "self"}},
	}
	for i, name := range []string{"self", "anna", "bob", "carl"} {
		w.nodes[name] = &paperNode{boot: uint64(100 + i), open: map[string]claim{}, clients: uint32(i)}
	}
	w.nodes["self"].master = true
	w.nodes["anna"].open["alpha"] = claimBy("anna", 1, "")
	w.nodes["bob"].open["alpha"] = claimBy("anna", 1, "")
	w.nodes["bob"].open["beta"] = claimBy("bob", 2, hash32("b"))
	w.nodes["self"].open["gamma"] = claimBy("self", 3, hash32("c"))
	w.learn()
	o.Boot, o.Master = 100, true
	w.bureau = newBureau(t, d, o, "master", newMaster)
	w.extra = w.act
	return w
}

// learn makes all nodes believe what is.
func (w *mastersDesk) learn() {
	for name, n := range w.nodes {
		n.believes = map[string]claim{}
		for other, o := range w.nodes {
			if other == name {
				continue
			}
			for channel, c := range o.open {
				if was, ok := n.believes[channel]; !ok || c.before(&was) {
					n.believes[channel] = c
				}
			}
		}
	}
}

// act is what paper says to the master.
func (w *mastersDesk) act(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *meshpb.AskRequest:
		if w.onAsk != nil {
			w.onAsk(m)
		}
		ctx.Respond(w.answer(m))
	case *meshpb.NetworkRequest:
		ctx.Respond(w.network())
	case *meshpb.HoldingsRequest:
		ctx.Respond(w.holdings())
	case *meshpb.PeersRequest:
		ctx.Respond(&meshpb.PeersResponse{Peers: []*meshpb.Peer{{Name: "anna", Ms: proto.Float64(7)}, {Name: "carl"}}})
	case *relaypb.NodeStatsRequest:
		ctx.Respond(w.stats("self"))
	case *relaypb.HostStatsRequest:
		ctx.Respond(&relaypb.HostStats{Load: []float64{0.5}, Memory: &relaypb.Memory{Used: 1, Total: 4}})
	case *storepb.Write:
		for _, r := range m.GetPuts() {
			w.store[r.GetKey()], w.until[r.GetKey()] = string(r.GetValue()), r.GetExpires()
		}
		ctx.Respond(&storepb.Written{})
	case *storepb.ReadRequest:
		out := &storepb.ReadResponse{Serial: m.GetSerial()}
		for _, key := range slices.Sorted(maps.Keys(w.store)) {
			if strings.HasPrefix(key, m.GetPrefix()) && key >= m.GetFrom() && key < m.GetTo() && m.GetExpiring() {
				out.Records = append(out.Records, &storepb.Record{Key: key, Value: []byte(w.store[key]), Expires: w.until[key]})
			}
		}
		ctx.Respond(out)
	}
}

func (w *mastersDesk) answer(m *meshpb.AskRequest) *meshpb.AskResponse {
	out := &meshpb.AskResponse{Ticket: m.GetTicket()}
	for _, name := range slices.Sorted(maps.Keys(w.nodes)) {
		n := w.nodes[name]
		if m.GetDestination() != everyone && m.GetDestination() != name || name == w.o.Name {
			continue
		}
		if n.silent {
			out.Silent = append(out.Silent, name)
			continue
		}
		out.Answers = append(out.Answers, &meshpb.Answer{Node: name, Response: w.respond(name, n, m.GetCommand())})
	}
	return out
}

func (w *mastersDesk) respond(name string, n *paperNode, c *meshpb.Command) *meshpb.Response {
	switch c.GetName() {
	case cmdChannels:
		return &meshpb.Response{Listing: &meshpb.Listing{Entries: entriesIn(n.open, n.foreign), Boot: n.boot, Ver: 1}}
	case cmdReserved:
		return &meshpb.Response{Listing: &meshpb.Listing{Entries: entriesIn(n.believes, n.foreign), Records: n.records}}
	case cmdNodeStats:
		return &meshpb.Response{NodeStats: w.stats(name)}
	case cmdHostStats:
		return &meshpb.Response{HostStats: &relaypb.HostStats{Load: []float64{1}}}
	case cmdLatency:
		return &meshpb.Response{Ok: proto.Bool(true), Latency: proto.Float64(3)}
	}
	w.told = append(w.told, fmt.Sprintf("%s to %s: %s %.2s %s %v", c.GetName(), name, c.GetChannel(), c.GetPassword(), c.GetNode(), c.GetHolders()))
	if !n.stubborn {
		w.learn() // a good one asks those who know
		n.records = nil
	}
	return &meshpb.Response{Ok: proto.Bool(true)}
}

func entriesIn(open map[string]claim, foreign bool) (out []*meshpb.Entry) {
	for _, name := range slices.Sorted(maps.Keys(open)) {
		c := open[name]
		e := entryOf(name, &c)
		if foreign {
			e.Claim = nil
		}
		out = append(out, e)
	}
	return out
}

func (w *mastersDesk) network() *meshpb.NetworkResponse {
	out := &meshpb.NetworkResponse{Self: "self"}
	for _, name := range slices.Sorted(maps.Keys(w.nodes)) {
		n := w.nodes[name]
		m := &meshpb.Member{Name: name, Boot: n.boot, Master: n.master, Foreign: n.foreign, Host: "ws://" + name}
		for _, e := range w.links {
			if e.a == name || e.b == name {
				peer := e.a
				if e.a == name {
					peer = e.b
				}
				if w.nodes[peer] != nil && !n.foreign {
					m.Links = append(m.Links, &meshpb.LinkCost{Peer: peer, Ms: 1})
				}
			}
		}
		out.Members = append(out.Members, m)
	}
	return out
}

func (w *mastersDesk) holdings() *meshpb.HoldingsResponse {
	out := &meshpb.HoldingsResponse{}
	all := map[string]*meshpb.Holding{}
	for _, name := range slices.Sorted(maps.Keys(w.nodes)) {
		for channel, c := range w.nodes[name].open {
			if all[channel] == nil {
				all[channel] = &meshpb.Holding{Name: channel, Protected: c.hash != ""}
			}
			all[channel].Holders = append(all[channel].Holders, name)
		}
	}
	for _, channel := range slices.Sorted(maps.Keys(all)) {
		out.Channels = append(out.Channels, all[channel])
	}
	return out
}

func (w *mastersDesk) stats(name string) *relaypb.NodeStats {
	n := w.nodes[name]
	out := &relaypb.NodeStats{Clients: n.clients, Total: &relaypb.Traffic{
		Packets: []uint64{1, 30, 60}, Kilobits: []float64{1, 2, 3}, Deliveries: []uint64{1, 45, 90},
	}}
	for _, channel := range slices.Sorted(maps.Keys(n.open)) {
		out.Channels = append(out.Channels, &relaypb.ChannelStats{Name: channel, Subscribers: 2})
	}
	return out
}

// commands is what the master told others to change since the last call.
func (w *mastersDesk) commands() []string {
	out := w.told
	w.told = nil
	return out
}

// overview asks the master.
func (w *mastersDesk) overview(m *meshpb.OverviewRequest) *meshpb.Overview {
	w.t.Helper()
	w.others = nil
	w.tell(m)
	if len(w.others) != 1 {
		w.t.Fatalf("answered %d times", len(w.others))
	}
	return w.others[0].(*meshpb.Overview)
}
