package mesh

import (
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/meshpb"
)

// peersDraws tells what peers draw from Options.Seed from what others do.
const peersDraws = 0x70656572

// setMaxLinks changes Options.MaxLinks while the node runs.
type setMaxLinks struct{ links int }

// SetMaxLinks changes how many links there may be. Those that there are stay.
func SetMaxLinks(ctx actor.SenderContext, m *Mesh, links int) {
	ctx.Send(m.Peers, &setMaxLinks{links})
}

// peers supervises one peer a link. It decides who may connect and which of two
// links to a node stays, dials the neighbors of the configuration for ever, and
// tells all others who is linked.
//
//	parent    node
//	receives  linkpb.Opened, meshpb.AdmitRequest, meshpb.PeersRequest, meshpb.DialFailed, presented, timed, synced, inquiry, returned, reach, dialDue, dialLate, lonely, surveyed, located, setMaxLinks
//	sends     linked, unlinked to router, hello, commands, reservations, scout; measured to hello; post, dealt, whereabouts to router; admit, dismiss to peer; reached to scout; meshpb.AdmitResponse, meshpb.PeersResponse to askers; messages.Multicast to shards; linkpb.Close to links; relaypb.Ailment to health; uipb.Stage to status
//	stops     with the node
type peers struct {
	o     *Options // fixed at spawn, as all of this block
	met   *meet
	goals []*goal // one a neighbor of the configuration

	rng      *rand.Rand // owned, as all that follows; outlives a restart, as all of it
	most     int        // links
	tokens   tokens
	tickets  map[uint64]*ticket
	drawn    uint64                    // last ticket
	ties     map[string]*tie           // by id of the peer actor
	linked   map[string]*tie           // by name
	asked    map[uint64]*meshpb.Packet // get-node-connection under way, by errand
	errands  uint64
	stage    string          // that status was told
	ailing   map[string]bool // that health was told, by reason
	known    map[string]bool // nodes that are there, as router says
	alone    *tree.Timer
	aloneFor uint64 // tells an older timer's message
	lone     bool   // no neighbor has been linked for too long
}

// tie is a link as peers knows it.
type tie struct {
	neighbor            // name and what the handshake says, once that is here
	pid      *actor.PID // peer
	remote   string
	ticket   *ticket
	pulse    *pulse
	version  string // of its program, as it says; empty: it does not
	linked   bool
	leaving  bool
	since    time.Time // linked
	synced   bool
	claim    *meshpb.Handshake // waits for router to say that nobody else has its name; nil: nothing does
	ms       float64           // median round trip
	timed    bool              // ms is known
	high     int               // medians in a row over Options.HighRTT
}

func newPeers(o *Options, met *meet) actor.Actor {
	p := &peers{
		o: o, met: met, rng: rand.New(rand.NewPCG(o.Seed, peersDraws)), most: o.MaxLinks, tokens: newTokens(o.Token, o.Tokens),
		tickets: map[uint64]*ticket{}, ties: map[string]*tie{}, linked: map[string]*tie{}, asked: map[uint64]*meshpb.Packet{},
		stage: stageNone, ailing: map[string]bool{},
	}
	for _, n := range o.Neighbors {
		p.goals = append(p.goals, &goal{neighbor: n, name: n.Name})
	}
	return p
}

func (p *peers) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		p.onStarted(ctx)
	case *actor.Stopping, *actor.Restarting:
		p.onStopping()
	case *meshpb.AdmitRequest:
		p.onAdmitRequest(ctx, m)
	case *linkpb.Opened:
		p.onOpened(ctx, m)
	case *presented:
		p.onPresented(ctx, m)
	case *actor.Terminated:
		p.onTerminated(ctx, m)
	case *timed:
		p.onTimed(ctx, m)
	case *synced:
		p.onSynced(ctx, m)
	case dialDue:
		p.onDialDue(ctx, m)
	case *meshpb.DialFailed:
		p.onDialFailed(ctx, m)
	case dialLate:
		p.onDialLate(ctx, m)
	case *reach:
		p.onReach(ctx, m)
	case *inquiry:
		p.onInquiry(ctx, m)
	case *returned:
		p.onReturned(ctx, m)
	case *meshpb.PeersRequest:
		p.onPeersRequest(ctx)
	case lonely:
		p.onLonely(ctx, m)
	case *surveyed:
		p.known = m.nodes
	case *located:
		p.onLocated(ctx, m)
	case *setMaxLinks:
		p.most = m.links
	}
}

// onStarted dials whoever is not linked: at the start of the node all, after a
// restart those that were lost with it.
func (p *peers) onStarted(ctx actor.Context) {
	for _, id := range slices.Sorted(maps.Keys(p.tickets)) {
		if t := p.tickets[id]; t.side == Dialled { // its timer has been stopped
			p.dropTicket(id)
			p.fruitless(ctx, t, "", false)
		}
	}
	for i, g := range p.goals {
		if p.isSelf(g) {
			p.giveUp(ctx, g)
			continue
		}
		p.dialGoal(ctx, i)
	}
	p.examine(ctx)
}

// onStopping leaves no timer behind. The links end with their peers, and each
// is told of by onTerminated.
func (p *peers) onStopping() {
	p.alone.Stop()
	p.alone = nil
	for _, g := range p.goals {
		g.timer.Stop()
	}
	for _, t := range p.tickets {
		t.timer.Stop()
	}
}

// onOpened serves a link that was let in, or that this node dialled.
func (p *peers) onOpened(ctx actor.Context, m *linkpb.Opened) {
	link := ctx.Sender()
	t := p.tickets[m.GetTicket()]
	if t == nil || !time.Now().Before(t.until) {
		p.dropTicket(m.GetTicket())
		refuse(ctx, link)
		if t != nil && t.side == Dialled { // its timer will not say so any more
			p.fruitless(ctx, t, "no connection in time", false)
		}
		return
	}
	p.dropTicket(t.id)
	n := &tie{
		neighbor: neighbor{side: t.side, member: m.GetMember(), link: link},
		remote:   m.GetRemote(), ticket: t, pulse: newPulse(),
	}
	if t.side == Dialled {
		p.greet(ctx, n)
	}
	self := ctx.Self()
	n.pid = tree.Spawn(ctx, "", tree.Spec{Inline: true, New: func() actor.Actor {
		return &peer{met: p.met, peers: self, link: link, dialled: t.side == Dialled, pulse: n.pulse}
	}})
	p.ties[n.pid.GetId()] = n
}

// greet sends this node's handshake, through the shard: sent to the link itself,
// packets could overtake it.
func (p *peers) greet(ctx actor.Context, t *tie) {
	shards := p.o.Fanout[t.side].Shards
	ctx.Send(shards[t.member%uint64(len(shards))], &messages.Multicast{Origin: t.member, Answer: p.handshake()})
}

// handshake is what this node says of itself.
func (p *peers) handshake() *meshpb.Handshake {
	return &meshpb.Handshake{
		Name: p.o.Name, Boot: p.o.Boot, Time: uint64(p.o.Now().UnixMilli()), Host: p.o.Host, Links: p.names(),
		Chain: p.o.Chain, Version: p.o.Version, Encodings: []string{encodingJSON, encodingPB},
	}
}

// names lists the linked nodes, sorted.
func (p *peers) names() []string { return slices.Sorted(maps.Keys(p.linked)) }

// onTerminated hears that a link is gone. Errands end, too.
func (p *peers) onTerminated(ctx actor.Context, m *actor.Terminated) {
	t := p.ties[m.GetWho().GetId()]
	if t == nil {
		return
	}
	delete(p.ties, m.GetWho().GetId())
	p.unlink(ctx, t)
	p.over(ctx, t)
}

// onPeersRequest lists the links.
func (p *peers) onPeersRequest(ctx actor.Context) {
	r := &meshpb.PeersResponse{}
	for _, name := range p.names() {
		t := p.linked[name]
		n := &meshpb.Peer{
			Name: name, Remote: t.remote, Host: t.host, Dialled: t.side == Dialled, Configured: p.configured(name),
			Since: uint64(t.since.UnixMilli()), Encoding: encodingJSON, Foreign: t.foreign, Version: t.version,
		}
		if t.timed {
			n.Ms = proto.Float64(t.ms)
		}
		if t.pb {
			n.Encoding = encodingPB
		}
		r.Peers = append(r.Peers, n)
	}
	ctx.Respond(r)
}

// log is a line about a link.
func (p *peers) log(ctx actor.Context) *slog.Logger {
	return tree.Log(ctx.ActorSystem()).With(slog.String("node", p.o.Name))
}

// Encodings of frames, as in handshakes.
const (
	encodingJSON = "json"
	encodingPB   = "pb"
)
