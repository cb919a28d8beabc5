package mesh

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/messages/meshpb"
	"parley/messages/storepb"
)

const (
	// viewsMost is how many overviews may wait for their history.
	viewsMost = 64

	errNoHistory = "mesh: no history is kept: give the node a data directory"
	errNoStep    = "mesh: no such step: ask for 10, 60 or 3600 seconds"
	errBusy      = "mesh: too many ask for histories: try again"
)

// view is somebody who waits for an Overview.
type view struct {
	asker  *actor.PID
	serial uint64
}

func (m *master) onOverview(ctx actor.Context, msg *meshpb.OverviewRequest) {
	v := view{ctx.Sender(), msg.GetSerial()}
	i := slices.IndexFunc(resolutions, func(r resolution) bool { return r.step == uint64(msg.GetStep()) })
	fault := ""
	switch {
	case v.asker == nil:
		return
	case msg.GetStep() == 0:
		m.show(ctx, v, nil)
		return
	case i < 0:
		fault = errNoStep
	case m.o.Store == nil:
		fault = errNoHistory
	case len(m.views) == viewsMost:
		fault = errBusy
	}
	if fault != "" {
		m.show(ctx, v, &storepb.ReadResponse{Error: fault})
		return
	}
	r := resolutions[i]
	from, to := msg.GetFrom(), msg.GetTo()
	if to == 0 {
		to = uint64(m.o.Now().Unix()) + 1
	}
	if from == 0 {
		from = to - min(to, uint64(r.usual.Seconds()))
	}
	m.views[m.read(ctx, r.step, from, to)] = v
}

// show answers with the network as it is, and with the history that was read;
// nil: none was asked for.
func (m *master) show(ctx actor.Context, v view, read *storepb.ReadResponse) {
	o := &meshpb.Overview{
		Serial: v.serial, Leader: m.leader, Corrections: m.mendings,
		History: pointsOf(read.GetRecords()), Error: read.GetError(), Totals: &meshpb.Totals{},
	}
	m.showNodes(o)
	for _, e := range m.edges() {
		l := &meshpb.LinkView{A: e.a, B: e.b}
		if f := m.latency[e]; f != nil {
			l.Ms = proto.Float64(f.ms)
		}
		o.Links = append(o.Links, l)
	}
	m.showChannels(o)
	o.Totals.Nodes, o.Totals.Links, o.Totals.Channels = uint32(len(o.GetNodes())), uint32(len(o.GetLinks())), uint32(len(o.GetChannels()))
	ctx.Send(v.asker, o)
}

func (m *master) showNodes(o *meshpb.Overview) {
	for _, n := range m.network.GetMembers() {
		out := &meshpb.NodeView{Name: n.GetName(), Host: n.GetHost(), Boot: n.GetBoot(), Foreign: n.GetForeign(), Master: n.GetMaster()}
		if n.GetName() == m.o.Name {
			out.Host, out.Boot, out.Master, out.Foreign = m.o.Host, m.o.Boot, true, false
		}
		if f := m.figures[n.GetName()]; f != nil {
			out.Stats, out.HostStats = f.stats, f.host
			if f.stats != nil {
				out.At = uint64(f.at.UnixMilli())
			}
		}
		o.At = max(o.At, out.At)
		packets, kilobits, deliveries := rates(out.GetStats().GetTotal())
		o.Totals.Clients += uint64(out.GetStats().GetClients())
		o.Totals.Packets += packets
		o.Totals.Kilobits += kilobits
		o.Totals.Deliveries += deliveries
		o.Nodes = append(o.Nodes, out)
	}
}

func (m *master) showChannels(o *meshpb.Overview) {
	clients := map[string]uint64{}
	for _, n := range o.GetNodes() {
		for _, c := range n.GetStats().GetChannels() {
			clients[c.GetName()] += uint64(c.GetSubscribers())
		}
	}
	for _, h := range m.holdings.GetChannels() {
		o.Channels = append(o.Channels, &meshpb.ChannelView{
			Name: h.GetName(), Protected: h.GetProtected(), Holders: h.GetHolders(), Clients: clients[h.GetName()],
		})
	}
}

func edgeOf(a, b string) edge { return edge{min(a, b), max(a, b)} }

// edges is the links of the network, sorted: what both ends name, and what a
// foreign node's peer names.
func (m *master) edges() []edge {
	says := map[edge]int{}
	foreign := map[string]bool{}
	for _, n := range m.network.GetMembers() {
		foreign[n.GetName()] = n.GetForeign()
	}
	for _, n := range m.network.GetMembers() {
		for _, l := range n.GetLinks() {
			if alone, there := foreign[l.GetPeer()]; there {
				e := edgeOf(n.GetName(), l.GetPeer())
				if says[e]++; alone {
					says[e]++
				}
			}
		}
	}
	maps.DeleteFunc(says, func(_ edge, ends int) bool { return ends < 2 })
	return slices.SortedFunc(maps.Keys(says), func(x, y edge) int {
		return cmp.Or(strings.Compare(x.a, y.a), strings.Compare(x.b, y.b))
	})
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
