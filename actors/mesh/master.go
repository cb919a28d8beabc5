package mesh

import (
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/meshpb"
	"parley/messages/relaypb"
	"parley/messages/storepb"
)

// How often a master asks, in beats. Source: gateways/mesh/PROTOCOL.md, Master.
const (
	masterBeat   = 5 * time.Second
	nodeBeats    = 2 // node-stats
	hostBeats    = 3 // host-stats
	checkBeats   = 6 // get-latency of each link, list-channels, list-reserved-channels
	latencyOpen  = 16
	masterAsked  = 15 * time.Second // what commands has not answered by then was lost
	latencyKnown = 90 * time.Second // for so long a link's latency is believed
)

// master watches over the mesh: it keeps histories, shows the network as it is,
// and mends what nodes believe of each other's channels, where that is wrong. No
// message goes through it, and nothing stops without it.
//
//	parent    node
//	receives  masterBeats, meshpb.AskResponse, meshpb.NetworkResponse, meshpb.HoldingsResponse, meshpb.PeersResponse,
//	          relaypb.NodeStats, relaypb.HostStats, meshpb.OverviewRequest, storepb.ReadResponse, storepb.Written
//	sends     meshpb.AskRequest to commands; meshpb.NetworkRequest to router; meshpb.HoldingsRequest to reservations;
//	          meshpb.PeersRequest to peers; relaypb.NodeStatsRequest to stats; relaypb.HostStatsRequest to host;
//	          storepb.Write, storepb.ReadRequest to store; meshpb.Overview to askers
//	stops     with the node
type master struct {
	o   *Options // fixed at spawn
	met *meet

	beats   uint64 // owned, as all that follows
	turn    uint64 // of timer
	timer   *tree.Timer
	asked   map[uint64]*masterAsk // by ticket
	tickets uint64

	network  *meshpb.NetworkResponse // as last told; nil: not yet
	holdings *meshpb.HoldingsResponse
	figures  map[string]*nodeFigures // by node, this one too
	latency  map[edge]*linkFigure
	unasked  []edge // whose latency is to be asked for

	poll     poll
	check    check
	history  history
	views    map[uint64]view // Overviews that wait for their history, by serial of the read
	leader   string          // the master that corrects; empty: not known yet
	mended   *tree.Counter   // set by Started
	mendings uint64          // since this node's start
}

type (
	// masterAsk is a question to other nodes that is not answered yet.
	masterAsk struct {
		at   time.Time
		done func(ctx actor.Context, m *meshpb.AskResponse)
	}
	// nodeFigures is what one node last told.
	nodeFigures struct {
		stats *relaypb.NodeStats // nil: nothing yet
		host  *relaypb.HostStats // likewise
		at    time.Time          // of stats
		bytes [2]int             // of stats and host, on the wire
	}
	// edge is a link by its ends; a is the smaller name.
	edge struct{ a, b string }
	// linkFigure is what one link's end last told.
	linkFigure struct {
		ms float64
		at time.Time
	}
	// poll is a round of node-stats: one point of the history.
	poll struct {
		running     bool
		own, others bool // have answered
	}
	// masterBeats says that masterBeat is over.
	masterBeats struct{ turn uint64 }
)

// IgnoreDeadLetterLogging marks messages that may find the master stopped.
func (masterBeats) IgnoreDeadLetterLogging() {}

func newMaster(o *Options, met *meet) actor.Actor {
	return &master{
		o: o, met: met, asked: map[uint64]*masterAsk{}, figures: map[string]*nodeFigures{},
		latency: map[edge]*linkFigure{}, views: map[uint64]view{}, history: newHistory(),
	}
}

func (m *master) Receive(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *actor.Started:
		m.onStarted(ctx)
	case *actor.Stopping, *actor.Restarting:
		m.timer.Stop()
	case masterBeats:
		m.onBeat(ctx, msg)
	case *meshpb.AskResponse:
		m.onAnswers(ctx, msg)
	case *meshpb.NetworkResponse:
		m.onNetwork(ctx, msg)
	case *meshpb.HoldingsResponse:
		m.onHoldings(ctx, msg)
	case *meshpb.PeersResponse:
		m.onPeers(msg)
	case *relaypb.NodeStats:
		m.onStats(ctx, m.o.Name, msg)
		m.poll.own = true
		m.point(ctx)
	case *relaypb.HostStats:
		m.of(m.o.Name).host = msg
	case *meshpb.OverviewRequest:
		m.onOverview(ctx, msg)
	case *storepb.ReadResponse:
		m.onRead(ctx, msg)
	case *storepb.Written:
		if msg.GetError() != "" {
			tree.Log(ctx.ActorSystem()).Warn("history not written", slog.String("error", msg.GetError()))
		}
	}
}

func (m *master) onStarted(ctx actor.Context) {
	m.mended = tree.Of(ctx.ActorSystem()).Counter("mesh_corrections_total", "Entries that this master corrected in what nodes believe to be reserved.", "", "")
	m.wait(ctx)
	m.look(ctx)
	m.recall(ctx)
}

func (m *master) wait(ctx actor.Context) {
	m.turn++
	m.timer = tree.After(ctx, masterBeat, masterBeats{m.turn})
}

func (m *master) onBeat(ctx actor.Context, b masterBeats) {
	if b.turn != m.turn {
		return
	}
	m.wait(ctx)
	m.beats++
	for ticket, a := range m.asked {
		if time.Since(a.at) > masterAsked {
			delete(m.asked, ticket)
		}
	}
	if m.beats%nodeBeats == 0 {
		m.look(ctx)
		m.pollNodes(ctx)
	}
	if m.beats%hostBeats == 0 {
		m.pollHosts(ctx)
	}
	if m.beats%checkBeats == 0 {
		m.pollLatencies(ctx)
		m.beginCheck(ctx)
	}
}

// ask puts a question to one node or to all. done gets the answers; nil: nobody
// does.
func (m *master) ask(ctx actor.Context, to string, c *meshpb.Command, done func(ctx actor.Context, m *meshpb.AskResponse)) {
	m.tickets++
	if done != nil {
		m.asked[m.tickets] = &masterAsk{time.Now(), done}
	}
	ctx.Request(m.met.commands, &meshpb.AskRequest{Destination: to, Command: c, Ticket: m.tickets})
}

func (m *master) onAnswers(ctx actor.Context, msg *meshpb.AskResponse) {
	if a := m.asked[msg.GetTicket()]; a != nil {
		delete(m.asked, msg.GetTicket())
		a.done(ctx, msg)
	}
}

// look asks this node's own actors what they know.
func (m *master) look(ctx actor.Context) {
	ctx.Request(m.met.router, &meshpb.NetworkRequest{})
	ctx.Request(m.met.reservations, &meshpb.HoldingsRequest{})
	ctx.Request(m.met.peers, &meshpb.PeersRequest{})
}

// onNetwork also forgets what was told by nodes and of links that are no more.
func (m *master) onNetwork(ctx actor.Context, msg *meshpb.NetworkResponse) {
	m.network, m.leader = msg, m.o.Name
	there := map[string]bool{m.o.Name: true}
	for _, n := range msg.GetMembers() {
		there[n.GetName()] = true
		if n.GetMaster() {
			m.leader = min(m.leader, n.GetName())
		}
	}
	for name := range m.figures {
		if !there[name] {
			delete(m.figures, name)
		}
	}
	for e, f := range m.latency {
		if !there[e.a] || !there[e.b] || time.Since(f.at) > latencyKnown {
			delete(m.latency, e)
		}
	}
	m.endCheck(ctx)
}

func (m *master) of(node string) *nodeFigures {
	f := m.figures[node]
	if f == nil {
		f = &nodeFigures{}
		m.figures[node] = f
	}
	return f
}

// figuresMost is what all figures of others may be on the wire, in bytes: nodes can
// be invented, and their figures be as long as a frame.
const figuresMost = 64 << 20

// room notes how many bytes a node's figures of one kind are, and reports whether
// there is room for them.
func (m *master) room(node string, kind int, s proto.Message) bool {
	f, size := m.of(node), proto.Size(s)
	f.bytes[kind] = 0
	sum := size
	for _, g := range m.figures {
		sum += g.bytes[0] + g.bytes[1]
	}
	if sum > figuresMost {
		return false
	}
	f.bytes[kind] = size
	return true
}

func (m *master) onStats(_ actor.Context, node string, s *relaypb.NodeStats) {
	f := m.of(node)
	f.stats, f.at = nil, time.Time{}
	if node == m.o.Name || m.room(node, 0, s) {
		f.stats, f.at = s, m.o.Now()
	}
}

func (m *master) pollNodes(ctx actor.Context) {
	m.poll = poll{running: true, own: m.met.Stats == nil}
	if m.met.Stats != nil {
		ctx.Request(m.met.Stats, &relaypb.NodeStatsRequest{})
	}
	m.ask(ctx, everyone, &meshpb.Command{Name: cmdNodeStats}, func(ctx actor.Context, r *meshpb.AskResponse) {
		for _, a := range r.GetAnswers() {
			if s := a.GetResponse().GetNodeStats(); s != nil {
				m.onStats(ctx, a.GetNode(), s)
			}
		}
		m.poll.others = true
		m.point(ctx)
	})
}

func (m *master) pollHosts(ctx actor.Context) {
	if m.met.Host != nil {
		ctx.Request(m.met.Host, &relaypb.HostStatsRequest{})
	}
	m.ask(ctx, everyone, &meshpb.Command{Name: cmdHostStats}, func(_ actor.Context, r *meshpb.AskResponse) {
		for _, a := range r.GetAnswers() {
			if s := a.GetResponse().GetHostStats(); s != nil {
				if m.of(a.GetNode()).host = nil; m.room(a.GetNode(), 1, s) {
					m.of(a.GetNode()).host = s
				}
			}
		}
	})
}

// onPeers takes the latency of this node's own links.
func (m *master) onPeers(msg *meshpb.PeersResponse) {
	for _, p := range msg.GetPeers() {
		if p.Ms != nil {
			m.latency[edgeOf(m.o.Name, p.GetName())] = &linkFigure{p.GetMs(), time.Now()}
		}
	}
}

// pollLatencies asks one end of each link of others, a few at once.
func (m *master) pollLatencies(ctx actor.Context) {
	if len(m.unasked) > 0 {
		return // the last round goes on
	}
	for _, e := range m.edges() {
		if e.a != m.o.Name && e.b != m.o.Name {
			m.unasked = append(m.unasked, e)
		}
	}
	for range min(latencyOpen, len(m.unasked)) {
		m.nextLatency(ctx)
	}
}

func (m *master) nextLatency(ctx actor.Context) {
	if len(m.unasked) == 0 {
		return
	}
	e := m.unasked[0]
	m.unasked = m.unasked[1:]
	m.ask(ctx, e.a, &meshpb.Command{Name: cmdLatency, Node: e.b}, func(ctx actor.Context, r *meshpb.AskResponse) {
		for _, a := range r.GetAnswers() {
			if a.GetResponse().Latency != nil {
				m.latency[e] = &linkFigure{a.GetResponse().GetLatency(), time.Now()}
			}
		}
		m.nextLatency(ctx)
	})
}
