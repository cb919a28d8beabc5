package node

import (
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/ui"
	"parley/messages/meshpb"
	"parley/messages/relaypb"
	"parley/messages/uipb"
	"parley/testkit"
)

// meshed is status beside a mesh made of paper.
type meshed struct {
	*world
	status *actor.PID
	mesh   *actor.PID
	asks   []proto.Message // of the mesh
	from   []*actor.PID    // who asked
}

func inMesh(t *testing.T, test func(t *testing.T, m *meshed)) {
	testkit.Seeds(t, 10, func(t *testing.T, d *testkit.Driver) {
		m := &meshed{}
		m.world = newWorld(t, d, func(w *world, ctx actor.Context) {
			m.mesh = w.paper(ctx, "mesh", func(ctx actor.Context) {
				switch q := ctx.Message().(type) {
				case *meshpb.PeersRequest, *meshpb.NetworkRequest, *meshpb.HoldingsRequest, *meshpb.AskRequest, *relaypb.NodeStatsRequest:
					m.asks, m.from = append(m.asks, q.(proto.Message)), append(m.from, ctx.Sender())
				}
			})
			m.status = SpawnStatus(ctx, Reporting{
				Name: "ada", Stats: m.mesh, Host: m.mesh, Broadcasts: w.broadcasts, Descriptor: func() string { return "" },
				Mesh: Mesh{Peers: m.mesh, Network: m.mesh, Holdings: m.mesh, Commands: m.mesh},
			})
		})
		test(t, m)
		m.stop()
	})
}

// ask sends a request with a body.
func (m *meshed) ask(r *uipb.Request) *asked {
	m.asks, m.from = nil, nil
	a := m.world.ask(m.status, owner, r.GetOpcode(), r)
	m.d.Settle()
	return a
}

// tell answers whoever asked last.
func (m *meshed) tell(t *testing.T, want, answer proto.Message) {
	t.Helper()
	if len(m.asks) != 1 || !proto.Equal(m.asks[0], want) {
		t.Fatalf("the mesh was asked %v, want %v", m.asks, want)
	}
	m.sys.Root.Send(m.from[0], answer)
}

func TestStatusOfAMesh(t *testing.T) {
	inMesh(t, func(t *testing.T, m *meshed) {
		a := m.ask(&uipb.Request{Opcode: "peers"})
		m.tell(t, &meshpb.PeersRequest{}, &meshpb.PeersResponse{Peers: []*meshpb.Peer{
			{Name: "ben", Remote: "h:1", Host: "ws://h:1/", Dialled: true, Configured: true, Ms: proto.Float64(0.5), Since: 7, Encoding: "pb", Version: "1"},
			{Name: "cid", Foreign: true, Encoding: "json"},
		}})
		a.hears(&uipb.Peers{Peers: []*uipb.Peer{
			{Name: "ben", Address: "h:1", Host: "ws://h:1/", Dialled: true, Configured: true, Ms: proto.Float64(0.5), Since: 7, Encoding: "pb", Version: "1"},
			{Name: "cid", Foreign: true, Encoding: "json"},
		}})

		a = m.ask(&uipb.Request{Opcode: "channels", Body: &uipb.Request_Channels{Channels: &uipb.ChannelsRequest{Network: true}}})
		m.tell(t, &meshpb.HoldingsRequest{}, &meshpb.HoldingsResponse{Channels: []*meshpb.Holding{{Name: "x", Protected: true, Holders: []string{"ada", "ben"}}}})
		a.hears(&uipb.Channels{Network: true, Holdings: []*uipb.Holding{{Name: "x", Protected: true, Holders: []string{"ada", "ben"}}}})

		a = m.ask(&uipb.Request{Opcode: "channels", Body: &uipb.Request_Channels{Channels: &uipb.ChannelsRequest{}}})
		m.tell(t, &relaypb.NodeStatsRequest{}, &relaypb.NodeStats{Channels: []*relaypb.ChannelStats{{Name: "y", Subscribers: 1}}})
		a.hears(&uipb.Channels{Channels: []*relaypb.ChannelStats{{Name: "y", Subscribers: 1}}})

		a = m.ask(&uipb.Request{Opcode: "neighborhoodGraph"})
		m.tell(t, &meshpb.NetworkRequest{}, &meshpb.NetworkResponse{Self: "ada", Members: []*meshpb.Member{
			{Name: "ada", Links: []*meshpb.LinkCost{{Peer: "ben", Ms: 0.25}, {Peer: "cid"}}, Master: true}, {Name: "ben", Links: []*meshpb.LinkCost{{Peer: "ada", Ms: 1234.5}}}, {Name: "cid", Foreign: true},
		}})
		a.hears(&uipb.Graph{Graph: "digraph mesh {\n\t\"ada\" [style=filled peripheries=2];\n\t\"ben\";\n\t\"cid\" [style=dashed];\n" +
			"\t\"ada\" -> \"ben\" [label=\"0.25 ms\"];\n\t\"ada\" -> \"cid\";\n\t\"ben\" -> \"ada\" [label=\"1.23e+03 ms\"];\n}\n"})
	})
}

// statsOf asks for the figures of a node.
func (m *meshed) statsOf(opcode, node string) *asked {
	return m.ask(&uipb.Request{Opcode: opcode, Body: &uipb.Request_Stats{Stats: &uipb.StatsRequest{Node: node}}})
}

func TestFiguresOfOthers(t *testing.T) {
	says := func(r *meshpb.Response) *meshpb.AskResponse {
		return &meshpb.AskResponse{Answers: []*meshpb.Answer{{Node: "ben", Response: r}}}
	}
	node := &meshpb.AskRequest{Destination: "ben", Command: &meshpb.Command{Name: "node-stats"}}
	host := &meshpb.AskRequest{Destination: "ben", Command: &meshpb.Command{Name: "host-stats"}}
	late := ui.Fault(ui.CodeTimeout, `Node "ben" has not answered; it may be gone, or the way to it`)
	inMesh(t, func(t *testing.T, m *meshed) {
		figures := &relaypb.NodeStats{Clients: 3}
		a := m.statsOf("nodeStats", "ada")
		m.tell(t, &relaypb.NodeStatsRequest{}, figures)
		a.hears(figures)

		a = m.statsOf("nodeStats", "ben")
		m.tell(t, node, says(&meshpb.Response{NodeStats: figures}))
		a.hears(figures)
		a = m.statsOf("hostStats", "ben")
		m.tell(t, host, says(&meshpb.Response{HostStats: &relaypb.HostStats{Load: []float64{1}}}))
		a.hears(&relaypb.HostStats{Load: []float64{1}})
		a = m.statsOf("hostStats", "ben")
		m.tell(t, host, says(&meshpb.Response{Ok: proto.Bool(false), Reason: "unknown command"}))
		a.hears(ui.Fault(ui.CodeNode, `Node "ben" did not tell: unknown command`))
		a = m.statsOf("hostStats", "ben")
		m.tell(t, host, says(&meshpb.Response{Ok: proto.Bool(false), Reason: "return to sender"}))
		a.hears(ui.Fault(ui.CodeNode, `No node "ben" can be reached; peers, and channels of scope network, name nodes that are known`))
		a = m.statsOf("hostStats", "ben")
		m.tell(t, host, &meshpb.AskResponse{Silent: []string{"ben"}})
		a.hears(late)
		a = m.statsOf("hostStats", "ben")
		m.tell(t, host, &meshpb.AskResponse{})
		a.hears(ui.Fault(ui.CodeNode, `No node "ben" is known in this mesh; peers, and channels of scope network, name nodes that are`))

		a = m.statsOf("nodeStats", "ben")
		m.d.Run(errandTimeout - time.Millisecond)
		a.silent()
		m.d.Run(time.Millisecond)
		a.hears(late)
	})
}

// TestNoMesh is a node by itself.
func TestNoMesh(t *testing.T) {
	onStatus(t, nil, func(_ *testing.T, c *counters) {
		c.ask("neighborhoodGraph").hears(&uipb.Graph{Graph: "digraph mesh {\n\t\"ada \\\"the\\\\first\\\"\" [style=filled];\n}\n"})
		none := ui.Fault(ui.CodeNode, textNoMesh)
		for _, r := range []*uipb.Request{
			{Opcode: "channels", Body: &uipb.Request_Channels{Channels: &uipb.ChannelsRequest{Network: true}}},
			{Opcode: "nodeStats", Body: &uipb.Request_Stats{Stats: &uipb.StatsRequest{Node: "ben"}}},
		} {
			c.world.ask(c.status, owner, r.GetOpcode(), r).hears(none)
		}
	})
}

func TestGraphQuotes(t *testing.T) {
	const want = "digraph mesh {\n\t\"own\" [style=filled];\n\t\"a\\\\\";\n\t\"b\\nc\\r\\\"\";\n}\n"
	if got := graph("own", []*meshpb.Member{{Name: `a\`}, {Name: "b\nc\r\""}}); got != want {
		t.Errorf("graph is\n%s, want\n%s", got, want)
	}
}
