package node

import (
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/actors/ui"
	"parley/messages/relaypb"
	"parley/messages/uipb"
)

// stageNone is how far a node is connected that has no links to others. Source:
// gateways/uiv2/PROTOCOL.md, connectionStatus.
const stageNone = "NotConnected"

// figuresTimeout is how long status waits for who counts. Counting gives up on
// its own parts after a second.
const figuresTimeout = 5 * time.Second

// Reporting is what status tells, and whom it asks for the rest.
type Reporting struct {
	Name       string        // of this node
	Descriptor func() string // how peers reach this node; empty: they cannot. Returns at once
	Stats      *actor.PID    // answers relaypb.NodeStatsRequest
	Host       *actor.PID    // answers relaypb.HostStatsRequest
	Broadcasts *actor.PID
}

// status tells user interfaces how this node is: its place in the mesh, and its
// figures. Who asks for figures while they are counted gets the same ones.
// Source: gateways/uiv2/PROTOCOL.md, Messages of the Node.
//
//	parent    node
//	receives  uipb.Ask, uipb.Stage, relaypb.NodeStats, relaypb.HostStats, figuresLate
//	sends     relaypb.NodeStatsRequest to stats; relaypb.HostStatsRequest to host; uipb.Announce to broadcasts; the body of a response to askers
//	stops     with the node
type status struct {
	r Reporting // fixed at spawn

	stage   string // owned, as all that follows
	traffic figures
	host    figures
}

// figures are numbers that another actor counts.
type figures struct {
	from   *actor.PID
	demand proto.Message
	askers []figuresAsker // empty: nobody waits for them
	late   *tree.Timer
	round  uint64
}

type figuresAsker struct {
	pid      *actor.PID
	channels bool // only these are wanted
}

// figuresLate says that figuresTimeout is over.
type figuresLate struct {
	of    *figures
	round uint64
}

// IgnoreDeadLetterLogging marks messages that may find status stopped.
func (figuresLate) IgnoreDeadLetterLogging() {}

// SpawnStatus starts the actor that answers descriptor, connectionStatus,
// neighborhoodGraph, peers, nodeStats, hostStats and channels. A uipb.Stage sent
// to it changes how far this node is connected.
func SpawnStatus(ctx actor.SpawnerContext, r Reporting) *actor.PID {
	s := &status{
		r: r, stage: stageNone,
		traffic: figures{from: r.Stats, demand: &relaypb.NodeStatsRequest{}},
		host:    figures{from: r.Host, demand: &relaypb.HostStatsRequest{}},
	}
	// The stage outlives a restart: it is told once.
	return tree.Spawn(ctx, "status", tree.Spec{Asked: true, New: func() actor.Actor { return s }})
}

func (s *status) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Stopping:
		s.traffic.late.Stop()
		s.host.late.Stop()
	case *actor.Restarting:
		s.onRestarting(ctx)
	case *uipb.Ask:
		s.onAsk(ctx, m)
	case *uipb.Stage:
		s.onStage(ctx, m)
	case *relaypb.NodeStats:
		s.onNodeStats(ctx, m)
	case *relaypb.HostStats:
		s.host.answer(ctx, func(figuresAsker) proto.Message { return m })
	case *actor.DeadLetterResponse:
		s.onDeadLetter(ctx, m)
	case figuresLate:
		m.of.onLate(ctx, m.round)
	}
}

// onRestarting leaves nobody waiting.
func (s *status) onRestarting(ctx actor.Context) {
	s.traffic.fail(ctx)
	s.host.fail(ctx)
}

func (s *status) onAsk(ctx actor.Context, m *uipb.Ask) {
	switch opcode := m.GetRequest().GetOpcode(); opcode {
	case "descriptor":
		ctx.Respond(s.descriptor())
	case "connectionStatus":
		ctx.Respond(&uipb.Stage{Stage: s.stage})
	case "neighborhoodGraph":
		ctx.Respond(&uipb.Graph{Graph: graph(s.r.Name)})
	case "peers":
		ctx.Respond(&uipb.Peers{})
	case "nodeStats":
		s.traffic.ask(ctx, false)
	case "channels":
		s.traffic.ask(ctx, true)
	case "hostStats":
		s.host.ask(ctx, false)
	default:
		refuse(ctx, opcode)
	}
}

func (s *status) descriptor() *uipb.Descriptor {
	d := &uipb.Descriptor{}
	if text := s.r.Descriptor(); text != "" {
		d.Descriptor_ = &text
	}
	return d
}

// onStage tells user interfaces that this node is connected in another way.
// Some of them die of hearing that it is not at all: only who asked for it is
// told. Source: gateways/uiv2/PROTOCOL.md, Broadcasts.
func (s *status) onStage(ctx actor.Context, m *uipb.Stage) {
	if m.GetStage() == s.stage {
		return
	}
	s.stage = m.GetStage()
	ctx.Send(s.r.Broadcasts, &uipb.Announce{
		Response: uipb.Broadcast("connectionChange", &uipb.Stage{Stage: s.stage}), OptIn: s.stage == stageNone,
	})
}

func (s *status) onNodeStats(ctx actor.Context, m *relaypb.NodeStats) {
	s.traffic.answer(ctx, func(a figuresAsker) proto.Message {
		if a.channels {
			return &uipb.Channels{Channels: m.GetChannels()}
		}
		return m
	})
}

// onDeadLetter finds who counts gone.
func (s *status) onDeadLetter(ctx actor.Context, m *actor.DeadLetterResponse) {
	for _, f := range []*figures{&s.traffic, &s.host} {
		if f.from.Equal(m.Target) {
			f.fail(ctx)
		}
	}
}

// ask adds an asker, and has the figures counted unless they are already.
func (f *figures) ask(ctx actor.Context, channels bool) {
	if len(f.askers) == 0 {
		f.round++
		f.late = tree.After(ctx, figuresTimeout, figuresLate{f, f.round})
		ctx.Request(f.from, f.demand)
	}
	f.askers = append(f.askers, figuresAsker{ctx.Sender(), channels})
}

// answer tells all askers. Figures that come too late for those who wanted them
// are fresh enough for who asks now.
func (f *figures) answer(ctx actor.Context, body func(figuresAsker) proto.Message) {
	f.late.Stop()
	askers := f.askers
	f.askers = nil
	for _, a := range askers {
		ctx.Send(a.pid, body(a))
	}
}

func (f *figures) fail(ctx actor.Context) {
	f.answer(ctx, func(figuresAsker) proto.Message {
		return ui.Fault(ui.CodeUnknown, "The figures could not be counted; the log of the Node says why")
	})
}

func (f *figures) onLate(ctx actor.Context, round uint64) {
	if round != f.round {
		return
	}
	f.answer(ctx, func(figuresAsker) proto.Message {
		return ui.Fault(ui.CodeTimeout, "The figures were not counted within "+figuresTimeout.String()+"; try again")
	})
}

// graph writes the mesh in Graphviz dot: nodes are those that this one knows,
// its own is filled.
func graph(own string, others ...string) string {
	var b strings.Builder
	b.WriteString("digraph mesh {\n\t" + quoteDot(own) + " [style=filled];\n")
	for _, o := range slices.Sorted(slices.Values(others)) {
		b.WriteString("\t" + quoteDot(o) + ";\n")
	}
	b.WriteString("}\n")
	return b.String()
}

// quoteDot makes a name an identifier of dot. There a backslash is one only in
// pairs, and line ends have an escape.
func quoteDot(name string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`).Replace(name) + `"`
}
