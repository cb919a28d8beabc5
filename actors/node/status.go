package node

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/actors/ui"
	"parley/messages/meshpb"
	"parley/messages/relaypb"
	"parley/messages/starpb"
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
	Star       *actor.PID // answers starpb.StatusRequest; nil: this node has no rendezvous
	Mesh       Mesh
}

// Mesh is what status asks about other nodes; all nil: this node is in no mesh.
type Mesh struct {
	Peers    *actor.PID // answers meshpb.PeersRequest
	Network  *actor.PID // answers meshpb.NetworkRequest
	Holdings *actor.PID // answers meshpb.HoldingsRequest
	Commands *actor.PID // answers meshpb.AskRequest
}

// status tells user interfaces how this node is: its place in the mesh, and its
// figures. Who asks for figures while they are counted gets the same ones; what
// is asked of another node has an actor of its own. Source:
// gateways/uiv2/PROTOCOL.md, Messages of the Node.
//
//	parent    node
//	receives  uipb.Ask, uipb.Stage, relaypb.NodeStats, relaypb.HostStats, meshpb.PeersResponse, meshpb.NetworkResponse, meshpb.HoldingsResponse, starpb.Status, figuresLate
//	sends     relaypb.NodeStatsRequest to stats; relaypb.HostStatsRequest to host; meshpb.PeersRequest to peers; meshpb.NetworkRequest to router; meshpb.HoldingsRequest to reservations; starpb.StatusRequest to registry; uipb.Announce to broadcasts; the body of a response to askers
//	stops     with the node
type status struct {
	r Reporting // fixed at spawn

	stage    string // owned, as all that follows
	traffic  figures
	host     figures
	peers    figures
	network  figures
	holdings figures
	star     figures
}

// figures are what another actor knows.
type figures struct {
	from   *actor.PID
	demand proto.Message
	askers []figuresAsker // empty: nobody waits for them
	late   *tree.Timer
	round  uint64
}

type figuresAsker struct {
	pid  *actor.PID
	body func(proto.Message) proto.Message // what of them is wanted
}

// figuresLate says that figuresTimeout is over.
type figuresLate struct {
	of    *figures
	round uint64
}

// IgnoreDeadLetterLogging marks messages that may find status stopped.
func (figuresLate) IgnoreDeadLetterLogging() {}

// SpawnStatus starts the actor that answers descriptor, connectionStatus,
// neighborhoodGraph, peers, starPeers, nodeStats, hostStats and channels. A
// uipb.Stage sent to it changes how far this node is connected.
func SpawnStatus(ctx actor.SpawnerContext, r Reporting) *actor.PID {
	s := &status{
		r: r, stage: stageNone,
		traffic:  figures{from: r.Stats, demand: &relaypb.NodeStatsRequest{}},
		host:     figures{from: r.Host, demand: &relaypb.HostStatsRequest{}},
		peers:    figures{from: r.Mesh.Peers, demand: &meshpb.PeersRequest{}},
		network:  figures{from: r.Mesh.Network, demand: &meshpb.NetworkRequest{}},
		holdings: figures{from: r.Mesh.Holdings, demand: &meshpb.HoldingsRequest{}},
		star:     figures{from: r.Star, demand: &starpb.StatusRequest{}},
	}
	// The stage outlives a restart: it is told once.
	return tree.Spawn(ctx, "status", tree.Spec{Asked: true, New: func() actor.Actor { return s }})
}

func (s *status) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Stopping:
		s.onStopping()
	case *actor.Restarting:
		s.onRestarting(ctx)
	case *uipb.Ask:
		s.onAsk(ctx, m)
	case *uipb.Stage:
		s.onStage(ctx, m)
	case *relaypb.NodeStats:
		s.traffic.answer(ctx, m)
	case *relaypb.HostStats:
		s.host.answer(ctx, m)
	case *meshpb.PeersResponse:
		s.peers.answer(ctx, m)
	case *meshpb.NetworkResponse:
		s.network.answer(ctx, m)
	case *meshpb.HoldingsResponse:
		s.holdings.answer(ctx, m)
	case *starpb.Status:
		s.star.answer(ctx, m)
	case *actor.DeadLetterResponse:
		s.onDeadLetter(ctx, m)
	case figuresLate:
		m.of.onLate(ctx, m.round)
	}
}

func (s *status) all() []*figures {
	return []*figures{&s.traffic, &s.host, &s.peers, &s.network, &s.holdings, &s.star}
}

func (s *status) onStopping() {
	for _, f := range s.all() {
		f.late.Stop()
	}
}

// onRestarting leaves nobody waiting.
func (s *status) onRestarting(ctx actor.Context) {
	for _, f := range s.all() {
		f.fail(ctx)
	}
}

func (s *status) onAsk(ctx actor.Context, m *uipb.Ask) {
	switch r := m.GetRequest(); r.GetOpcode() {
	case "descriptor":
		ctx.Respond(s.descriptor())
	case "connectionStatus":
		ctx.Respond(&uipb.Stage{Stage: s.stage})
	case "neighborhoodGraph":
		s.onGraph(ctx)
	case "peers":
		s.onPeers(ctx)
	case "starPeers":
		s.onStarPeers(ctx)
	case "channels":
		s.onChannels(ctx, r.GetChannels().GetNetwork())
	case "nodeStats":
		s.onStats(ctx, r, &s.traffic)
	case "hostStats":
		s.onStats(ctx, r, &s.host)
	default:
		refuse(ctx, r.GetOpcode())
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

// onDeadLetter finds who knows gone.
func (s *status) onDeadLetter(ctx actor.Context, m *actor.DeadLetterResponse) {
	for _, f := range s.all() {
		if f.from != nil && f.from.Equal(m.Target) {
			f.fail(ctx)
		}
	}
}

// whole wants all of the figures, as they are.
func whole(m proto.Message) proto.Message { return m }

// ask adds the sender as an asker, and has the figures counted unless they are
// already.
func (f *figures) ask(ctx actor.Context, body func(proto.Message) proto.Message) {
	if len(f.askers) == 0 {
		f.round++
		f.late = tree.After(ctx, figuresTimeout, figuresLate{f, f.round})
		ctx.Request(f.from, f.demand)
	}
	f.askers = append(f.askers, figuresAsker{ctx.Sender(), body})
}

// answer tells all askers. Figures that come too late for those who wanted them
// are fresh enough for who asks now.
func (f *figures) answer(ctx actor.Context, m proto.Message) {
	f.end(ctx, func(a figuresAsker) proto.Message { return a.body(m) })
}

func (f *figures) end(ctx actor.Context, body func(figuresAsker) proto.Message) {
	f.late.Stop()
	askers := f.askers
	f.askers = nil
	for _, a := range askers {
		ctx.Send(a.pid, body(a))
	}
}

func (f *figures) fail(ctx actor.Context) {
	f.end(ctx, func(figuresAsker) proto.Message {
		return ui.Fault(ui.CodeUnknown, "The figures could not be counted; the log of the Node says why")
	})
}

func (f *figures) onLate(ctx actor.Context, round uint64) {
	if round != f.round {
		return
	}
	f.end(ctx, func(figuresAsker) proto.Message {
		return ui.Fault(ui.CodeTimeout, "The figures were not counted within "+figuresTimeout.String()+"; try again")
	})
}
