package mesh

import (
	"math/rand/v2"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/meshpb"
	"parley/messages/storepb"
)

const (
	scoutDraws = 0x73636f7574 // tells what scout draws from Options.Seed from what others do

	extraMost    = 6               // links to nodes that the configuration does not name
	linksFew     = 2               // below that no time is lost
	askedMost    = 64              // nodes that are asked for their peers
	askedAtOnce  = 4               // of them
	triesMost    = 12              // nodes that are tried before a pause
	exploreSoon  = 5 * time.Second // between two looks for further nodes: when there are few links, or one was made
	exploreLater = time.Minute     // when there was nobody
	mapTime      = 5 * time.Second // that the router has for its answer
	reachTime    = ticketLife + 5*time.Second
	setbackFirst = time.Minute // until a node is tried again; doubles
	setbackMost  = time.Hour   // longest pause
)

type (
	// exploreDue says that it is time to look for further nodes.
	exploreDue struct{ round uint64 }
	// scoutLate says that an answer has not come in time.
	scoutLate struct{ round uint64 }
)

// IgnoreDeadLetterLogging marks messages that may find scout stopped.
func (exploreDue) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find scout stopped.
func (scoutLate) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find scout stopped.
func (*reached) IgnoreDeadLetterLogging() {}

// scout finds nodes to be linked with beyond those of the configuration. At first
// it asks node after node for its peers, later the router knows the mesh. One by
// one it lets a peer of a node ask that for a token, and has it dialled: half of
// them for their low latency, half at random, since links to the nearest only
// would leave a mesh of islands. Source: gateways/mesh/PROTOCOL.md, Pool.
//
//	parent    node
//	receives  linked, unlinked, reached, returned, exploreDue, scoutLate, meshpb.NetworkResponse, storepb.ReadResponse, storepb.Written
//	sends     meshpb.NetworkRequest to router; reach to peers; storepb.ReadRequest, storepb.Write to store
//	stops     with the node
type scout struct {
	o   *Options // fixed at spawn, as all of this block
	met *meet

	rng       *rand.Rand // owned, as all that follows; outlives a restart, as all of it
	state     actor.ReceiveFunc
	linked    map[string]bool
	extra     map[string]bool // links that scout wanted; true: for its latency
	setbacks  map[string]setback
	known     map[string]string // addresses by name, of nodes that were ever linked
	onboarded bool              // nodes were asked for their peers

	edges   map[string][]string // peers by node, as they said
	queue   []string            // nodes to be asked
	seen    map[string]bool     // that are or were in queue
	open    map[uint64]bool     // errands under way
	errands uint64
	network *meshpb.NetworkResponse // of this look
	choice  choice
	tries   int // of this look
	timer   *tree.Timer
	round   uint64 // tells an older timer's message
	serial  uint64 // of the last question to the store
}

// setback is what keeps scout from trying a node again.
type setback struct {
	times int
	until time.Time
}

func newScout(o *Options, met *meet) actor.Actor {
	s := &scout{
		o: o, met: met, rng: rand.New(rand.NewPCG(o.Seed, scoutDraws)), linked: map[string]bool{}, extra: map[string]bool{},
		setbacks: map[string]setback{}, known: map[string]string{}, edges: map[string][]string{}, open: map[uint64]bool{},
	}
	s.state = s.idle
	return s
}

func (s *scout) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		s.onStarted(ctx)
	case *actor.Stopping, *actor.Restarting:
		s.timer.Stop()
		s.state = func(actor.Context) {} // nothing goes on from what its errands still say
	case *linked:
		s.onLinked(ctx, m)
	case *unlinked:
		s.onUnlinked(ctx, m)
	case *storepb.ReadResponse:
		s.onReadResponse(ctx, m)
	case *storepb.Written:
		s.onWritten(ctx, m)
	default:
		s.state(ctx)
	}
}

func (s *scout) onStarted(ctx actor.Context) {
	s.recall(ctx)
	s.rest(ctx, exploreSoon)
}

func (s *scout) onLinked(ctx actor.Context, m *linked) {
	s.linked[m.name] = true
	delete(s.setbacks, m.name)
	s.remember(ctx, m.name, m.host)
	if len(s.linked) < linksFew {
		s.hurry(ctx)
	}
}

func (s *scout) onUnlinked(ctx actor.Context, m *unlinked) {
	delete(s.linked, m.name)
	delete(s.extra, m.name)
	if len(s.linked) == 0 {
		s.onboarded = false // what it knew may be long past when it is linked again
	} else if len(s.linked) < linksFew {
		s.hurry(ctx)
	}
}

// await sets the one timer of scout.
func (s *scout) await(ctx actor.Context, d time.Duration, msg func(round uint64) any) {
	s.timer.Stop()
	s.round++
	s.timer = tree.After(ctx, d, msg(s.round))
}

func late(round uint64) any { return scoutLate{round} }

// rest ends a look for further nodes, until the next.
func (s *scout) rest(ctx actor.Context, d time.Duration) {
	s.state, s.network, s.queue, s.seen = s.idle, nil, nil, nil
	d = time.Duration(float64(d) * (1 + redialJitter*(2*s.rng.Float64()-1)))
	s.await(ctx, d, func(round uint64) any { return exploreDue{round} })
}

// hurry does not wait for the next look.
func (s *scout) hurry(ctx actor.Context) {
	if s.resting() {
		s.round++
		s.timer.Stop()
		s.explore(ctx)
	}
}

func (s *scout) resting() bool { return s.seen == nil && s.network == nil }

// idle is the state between two looks.
func (s *scout) idle(ctx actor.Context) {
	if m, ok := ctx.Message().(exploreDue); ok && m.round == s.round {
		s.explore(ctx)
	}
}

// explore looks for further nodes, where that makes sense.
func (s *scout) explore(ctx actor.Context) {
	s.tries = 0
	switch {
	case s.o.Dial == nil || len(s.linked) == 0 || len(s.extra) >= extraMost:
		s.rest(ctx, exploreLater)
	case !s.onboarded:
		s.list(ctx)
	default:
		s.survey(ctx)
	}
}

// listing is the state in which nodes are asked for their peers.
func (s *scout) listing(ctx actor.Context) {
	if m, ok := ctx.Message().(*returned); ok && s.open[m.errand] {
		delete(s.open, m.errand)
		s.onListed(m)
		s.askOn(ctx)
	}
}

// mapping is the state in which the router is asked for the mesh.
func (s *scout) mapping(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *meshpb.NetworkResponse:
		s.network = m
		s.choose(ctx)
	case scoutLate:
		if m.round == s.round {
			s.rest(ctx, exploreSoon)
		}
	}
}

// fetching is the state in which a node's peer is asked for a token.
func (s *scout) fetching(ctx actor.Context) {
	if m, ok := ctx.Message().(*returned); ok && s.open[m.errand] {
		delete(s.open, m.errand)
		s.onConnection(ctx, m.response)
	}
}

// dialling is the state in which peers dial.
func (s *scout) dialling(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *reached:
		if m.name == s.choice.name {
			s.onReached(ctx, m)
		}
	case scoutLate:
		if m.round == s.round {
			s.onReached(ctx, &reached{name: s.choice.name})
		}
	}
}
