package node

import (
	"slices"
	"strconv"
	"strings"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/ui"
	"parley/messages/meshpb"
	"parley/messages/relaypb"
	"parley/messages/uipb"
)

// onGraph draws the mesh. Without one it is this node.
func (s *status) onGraph(ctx actor.Context) {
	if s.r.Mesh.Network == nil {
		ctx.Respond(&uipb.Graph{Graph: graph(s.r.Name, nil)})
		return
	}
	s.network.ask(ctx, func(m proto.Message) proto.Message {
		n, _ := m.(*meshpb.NetworkResponse)
		return &uipb.Graph{Graph: graph(s.r.Name, n.GetMembers())}
	})
}

func (s *status) onPeers(ctx actor.Context) {
	if s.r.Mesh.Peers == nil {
		ctx.Respond(&uipb.Peers{})
		return
	}
	s.peers.ask(ctx, func(m proto.Message) proto.Message {
		all, _ := m.(*meshpb.PeersResponse)
		body := &uipb.Peers{}
		for _, p := range all.GetPeers() {
			body.Peers = append(body.Peers, &uipb.Peer{
				Name: p.GetName(), Address: p.GetRemote(), Host: p.GetHost(), Dialled: p.GetDialled(), Configured: p.GetConfigured(),
				Ms: p.Ms, Since: p.GetSince(), Encoding: p.GetEncoding(), Foreign: p.GetForeign(), Version: p.GetVersion(),
			})
		}
		return body
	})
}

func (s *status) onChannels(ctx actor.Context, network bool) {
	switch {
	case !network:
		s.traffic.ask(ctx, func(m proto.Message) proto.Message {
			n, _ := m.(*relaypb.NodeStats)
			return &uipb.Channels{Channels: n.GetChannels()}
		})
	case s.r.Mesh.Holdings == nil:
		ctx.Respond(ui.Fault(ui.CodeNode, textNoMesh))
	default:
		s.holdings.ask(ctx, func(m proto.Message) proto.Message {
			all, _ := m.(*meshpb.HoldingsResponse)
			body := &uipb.Channels{Network: true}
			for _, h := range all.GetChannels() {
				body.Holdings = append(body.Holdings, &uipb.Holding{Name: h.GetName(), Protected: h.GetProtected(), Holders: h.GetHolders()})
			}
			return body
		})
	}
}

// textNoMesh is for who asks about other nodes where there are none.
const textNoMesh = "This Node is in no mesh, because its neighborhood-mode is zero-hop; it knows of itself only"

// onStats counts here, or asks another node.
func (s *status) onStats(ctx actor.Context, r *uipb.Request, own *figures) {
	name := r.GetStats().GetNode()
	switch {
	case name == "" || name == s.r.Name:
		own.ask(ctx, whole)
	case s.r.Mesh.Commands == nil:
		ctx.Respond(ui.Fault(ui.CodeNode, textNoMesh))
	default:
		spawnErrand(ctx, errand{commands: s.r.Mesh.Commands, asker: ctx.Sender(), node: name, command: elsewhere[r.GetOpcode()]})
	}
}

// elsewhere is what an opcode is called among nodes. Source:
// gateways/mesh/PROTOCOL.md, Commands.
var elsewhere = map[string]string{"nodeStats": "node-stats", "hostStats": "host-stats"}

// graph writes the mesh in Graphviz dot. Source: gateways/uiv2/PROTOCOL.md,
// neighborhoodGraph.
func graph(own string, members []*meshpb.Member) string {
	if !slices.ContainsFunc(members, func(m *meshpb.Member) bool { return m.GetName() == own }) {
		members = append([]*meshpb.Member{{Name: own}}, members...)
	}
	var b strings.Builder
	b.WriteString("digraph mesh {\n")
	for _, m := range members {
		b.WriteString("\t" + quoteDot(m.GetName()) + attributes(m, own) + ";\n")
	}
	for _, m := range members {
		for _, l := range m.GetLinks() {
			b.WriteString("\t" + quoteDot(m.GetName()) + " -> " + quoteDot(l.GetPeer()))
			if l.GetMs() > 0 {
				b.WriteString(` [label="` + strconv.FormatFloat(l.GetMs(), 'g', 3, 64) + ` ms"]`)
			}
			b.WriteString(";\n")
		}
	}
	b.WriteString("}\n")
	return b.String()
}

func attributes(m *meshpb.Member, own string) string {
	var all []string
	switch {
	case m.GetName() == own:
		all = append(all, "style=filled")
	case m.GetForeign():
		all = append(all, "style=dashed")
	}
	if m.GetMaster() {
		all = append(all, "peripheries=2")
	}
	if len(all) == 0 {
		return ""
	}
	return " [" + strings.Join(all, " ") + "]"
}

// quoteDot makes a name an identifier of dot. There a backslash is one only in
// pairs, and line ends have an escape.
func quoteDot(name string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`).Replace(name) + `"`
}
