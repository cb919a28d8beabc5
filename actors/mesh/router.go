package mesh

import (
	"math/rand/v2"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/linkpb"
	"parley/messages/meshpb"
)

const (
	maxHops      = 16               // links that a packet may come over
	viaMost      = 1024             // names in it
	nonceMost    = 256              // bytes of one that is not of our own format
	trustedAfter = 2 * time.Second  // from when on a peer speaks for itself only over its own link
	routerBeat   = time.Second      // between two looks at who is gone
	strangerFor  = 15 * time.Second // that a node was named, and said no hello: it says none
	strangerBeat = 10               // routerBeats between two words to reservations about such nodes
)

// router knows which packets were here, where others go, and what this node's
// channels get. It is the only one that writes packets to links.
//
//	parent    node
//	receives  tree.Batch, arrived, meshpb.Publish, post, linked, unlinked, holds, doubtful, meshpb.Carry, meshpb.Drop, meshpb.NetworkRequest, whereabouts, dealt, routerTick, payday
//	sends     messages.Multicast to shards; linkpb.Settled, linkpb.Close to links; received, gone to commands; heard, gone, surveyed to reservations; surveyed to peers; posted, located, meshpb.NetworkResponse to askers; meshpb.Delivery to channels; relaypb.Ailment to health
//	stops     with the node
type router struct {
	o   *Options // fixed at spawn
	met *meet

	topology *topology // owned, as all that follows; outlives a restart
	interest *interest
	learned  learned
	sets     *seenSets
	out      outgoing
	debts    debts
	loans    loans
	seq      uint64     // of this node's last packet
	random   *rand.Rand // of the numbers of what this node asks
	parts    parts
	suspects []suspect
	haste    pace                // of what hurry computes at once
	asides   map[string]sighting // the last hello of a node that was not believed
	weighed  uint64              // epoch of the topology when asides were looked at
	strikes  map[string]*strikes // forged packets, by the peer that they came over
	twins    twins
	doubtful bool            // not all holders are known
	surveyed map[string]bool // as reservations was told
	epoch    uint64          // of the topology then

	now        time.Time // of the message that is being handled; this block is scratch
	targets    []*lane
	duplicates int
	metrics    *tree.Metrics
	in, sent   *tree.Counter
	repeated   *tree.Counter

	round   int // tells timers of an earlier incarnation
	beats   int
	started time.Time // first
	unpaid  bool      // a payday is to come
}

type (
	// routerTick looks after what is too old.
	routerTick struct{ round int }
	// payday looks whether links may read on.
	payday struct{ round int }
)

// IgnoreDeadLetterLogging marks messages that may find the router stopped.
func (routerTick) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find the router stopped.
func (payday) IgnoreDeadLetterLogging() {}

// Bytes implements messages.Load.
func (a *arrived) Bytes() int {
	n := arrivedBytes
	for _, p := range a.packets {
		n += arrivedBytes + len(p.GetJson()) + len(p.GetMessage().GetPayload()) +
			arrivedEntry*(len(p.GetCommand().GetRecords())+len(p.GetResponse().GetListing().GetEntries()))
	}
	return n
}

// Weights of queued packets without payload, and of one entry of a list in them.
const (
	arrivedBytes = 400
	arrivedEntry = 100
)

func newRouter(o *Options, met *meet) actor.Actor {
	return &router{
		o: o, met: met, topology: newTopology(o), interest: newInterest(), sets: newSeenSets(),
		out:    outgoing{fanout: &o.Fanout, casts: map[string][]cast{}},
		loans:  loans{open: map[uint64]*loan{}},
		random: newRandom(o.Seed),
		asides: map[string]sighting{}, strikes: map[string]*strikes{}, twins: twins{rivals: map[string]*rival{}},
		targets: make([]*lane, 0, o.MaxLinks),
	}
}

func (r *router) Receive(ctx actor.Context) {
	r.now, r.out.ctx = time.Now(), ctx
	switch m := ctx.Message().(type) {
	case *actor.Started:
		r.onStarted(ctx)
	case *tree.Batch:
		r.onBatch(ctx, m)
	case *arrived:
		r.onArrived(ctx, m)
	case *meshpb.Publish:
		r.onPublish(m.GetMessage())
	case *post:
		r.onPost(ctx, m)
	case *linked:
		r.onLinked(ctx, &m.neighbor)
	case *unlinked:
		r.onUnlinked(ctx, m)
	case *holds:
		r.onHolds(m)
	case *doubtful:
		r.doubtful = m.now
	case *meshpb.Carry:
		r.interest.carry(m, ctx.Sender())
	case *meshpb.Drop:
		r.interest.drop(m.GetChannel())
	case *meshpb.NetworkRequest:
		ctx.Respond(r.topology.network())
	case *whereabouts:
		r.onWhereabouts(ctx, m)
	case dealt:
		r.onDealt(m)
	case routerTick:
		r.onTick(ctx, m)
	case payday:
		if m.round == r.round {
			r.unpaid = false
		}
	}
	r.finish(ctx)
}

// finish sends what the message made, and lets links read on.
func (r *router) finish(ctx actor.Context) {
	if len(r.asides) > 0 && (r.topology.stale || r.weighed != r.topology.epoch) {
		r.reconsider(ctx)
	}
	r.out.flush()
	if a := r.o.Alone; a != nil {
		a.Store(len(r.out.lanes) == 0 && len(r.topology.vertices) == 1)
	}
	r.sent.Add(int64(r.out.sent))
	r.repeated.Add(int64(r.duplicates))
	r.out.sent, r.duplicates = 0, 0
	switch {
	case len(r.debts.all) == 0 || r.unpaid:
	case r.o.Hold != nil && r.o.Hold():
		r.unpaid = true
		tree.After(ctx, holdPause, payday{r.round})
	default:
		r.debts.pay(ctx)
	}
}

// onStarted also takes up work after a panic: what was queued is lost, and so is
// what links were owed.
func (r *router) onStarted(ctx actor.Context) {
	r.metrics = tree.Of(ctx.ActorSystem())
	r.in = r.metrics.Counter("mesh_packets_in_total", "Packets read from other nodes.", "", "")
	r.sent = r.metrics.Counter("mesh_packets_out_total", "Packets sent to other nodes, once a link.", "", "")
	r.repeated = r.metrics.Counter("mesh_duplicates_total", "Packets that had come before, over another link.", "", "")
	if r.round++; r.round == 1 {
		r.started, r.sets.rotated = r.now, r.now
	}
	r.unpaid, r.out.queued, r.debts.all = false, false, nil
	r.loans.forget()
	for _, l := range r.out.lanes {
		if lost := l.forget(); lost > 0 {
			r.metrics.Drop(tree.MeshLinkLost, lost)
		}
		ctx.Send(l.link, &linkpb.Settled{All: true})
	}
	tree.After(ctx, routerBeat, routerTick{r.round})
}

// onBatch is the hot path.
func (r *router) onBatch(ctx actor.Context, b *tree.Batch) {
	for _, l := range b.Messages {
		switch m := l.(type) {
		case *arrived:
			r.onArrived(ctx, m)
		case *meshpb.Publish:
			r.onPublish(m.GetMessage())
		}
	}
}

func (r *router) onArrived(ctx actor.Context, m *arrived) {
	r.loans.begin(m.charge > 0)
	over := r.lane(m.from)
	r.in.Add(int64(len(m.packets)))
	for _, p := range m.packets {
		r.take(ctx, p, m.from, over)
	}
	if !r.loans.end(m.link, m.charge) && m.charge > 0 {
		r.debts.add(m.link, m.charge)
	}
}

// lane returns the link with a peer, nil if there is none.
func (r *router) lane(peer string) *lane {
	if i, ok := r.out.find(peer); ok {
		return r.out.lanes[i]
	}
	return nil
}

func (r *router) drop(why tree.DropReason) { r.metrics.Drop(why, 1) }

// take decides what becomes of a packet of another node. over is the link it
// came by, nil if that is no more.
func (r *router) take(ctx actor.Context, p *meshpb.Packet, from string, over *lane) {
	v := r.topology.vertices[p.Source]
	if !wellFormed(p) || v == nil && !validName(p.Source) {
		r.drop(tree.MeshMalformed)
		return
	}
	if p.Source == r.o.Name {
		r.onOwn(ctx, p)
		return
	}
	if p.Hops >= maxHops {
		r.drop(tree.MeshHops)
		if p.Command != nil && p.Destination != everyone {
			r.sendBack(p)
		}
		return
	}
	if p.Message != nil {
		r.topology.refresh()
	}
	if !r.believes(v, p, from) {
		if isHello(p) && !r.keeps(p, from) {
			p = bare(p) // not put aside, but held against who sent it
		}
		r.refuse(ctx, v, p, from)
		return
	}
	mine := p.Response != nil && p.Destination == r.o.Name // who asked tells apart which count
	if !r.sets.first(v, p, r.now, r.leads(v, p, over)) && !mine {
		r.again(p, v, from)
		return
	}
	r.learned.note(v, p.Source, over, r.now)
	switch {
	case p.Message != nil:
		a := r.interest.of(p.Message.Channel)
		r.pass(p, v, a, from)
		a.deliver(ctx, p.Message)
	case p.Destination == everyone:
		if r.early(v, p, from) {
			return
		}
		r.pass(p, v, nil, from)
		r.hear(ctx, p, from)
	case p.Destination == r.o.Name:
		r.hear(ctx, p, from)
	default:
		r.forward(p, from)
	}
}

// wellFormed checks what no decoder does.
func wellFormed(p *meshpb.Packet) bool {
	n := 0
	if p.Message != nil {
		n++
	}
	if p.Command != nil {
		n++
	}
	if p.Response != nil {
		n++
	}
	all := p.Destination == everyone
	switch {
	case n != 1, p.Destination == "", len(p.Destination) > nameMost, p.Message != nil && !all, p.Response != nil && all,
		p.Boot == 0 && p.Nonce == "", len(p.Nonce) > nonceMost, len(p.Via) > viaMost:
		return false
	case isHello(p):
		h := p.Command.GetHello()
		return h.GetBoot() != 0 && (p.Boot == 0 || p.Boot == h.GetBoot())
	}
	return true
}

// isHello reports whether a packet tells of its source.
func isHello(p *meshpb.Packet) bool {
	return p.GetCommand().GetName() == cmdHello && p.Destination == everyone
}

// lean is a packet with what is needed to carry it out and to answer it: it may
// have to wait, and what it came as is as large as who made it likes.
func lean(p *meshpb.Packet) *meshpb.Packet {
	return &meshpb.Packet{
		Source: p.Source, Destination: p.Destination, Boot: p.Boot, Seq: p.Seq, Nonce: p.Nonce, Hops: p.Hops,
		Command: p.Command, Response: p.Response,
	}
}

// hear takes what is for this node, perhaps among others.
func (r *router) hear(ctx actor.Context, p *meshpb.Packet, from string) {
	if isHello(p) {
		r.onHello(ctx, p, from)
		return
	}
	if p.Command.GetRecords() != nil || p.Response.GetListing() != nil {
		r.survey(ctx)
	}
	ctx.Send(r.met.commands, &received{lean(p), from, r.loans.hand()})
}

func (r *router) onHello(ctx actor.Context, p *meshpb.Packet, from string) {
	h, v := p.Command.GetHello(), r.topology.speaking(p.Source, from, r.now)
	if v == nil {
		r.drop(tree.MeshNodesFull)
		return
	}
	if h.GetBoot() < v.boot {
		if v.near != nil || r.now.Sub(v.said.at) < aliveFor {
			r.rival(ctx, v, p)
			return // it is of before the node was started again
		}
		r.displace(ctx, v)
	}
	if r.topology.tell(v, h, r.now) {
		r.topology.touch(r.now)
	}
	if !r.keeps(p, from) { // it counts all the same, and is told to no new peer
		p = bare(p)
	}
	v.said.renew(p, from, r.now)
	ctx.Send(r.met.reservations, &heard{node: v.name, boot: h.GetBoot(), ver: h.GetVer()})
}

// onHolds also makes known whose record was told before the node itself was
// heard, so that it is gone some day if it never is.
func (r *router) onHolds(m *holds) {
	if m.node == r.o.Name {
		return
	}
	if m.now {
		r.topology.named(m.node, r.now)
	}
	r.interest.hold(m, r.now)
}

func (r *router) onTick(ctx actor.Context, m routerTick) {
	if m.round != r.round {
		return
	}
	tree.After(ctx, routerBeat, m)
	r.lateHellos(ctx)
	r.topology.refresh()
	r.survey(ctx)
	r.convict(ctx)
	r.reconsider(ctx)
	r.ageTwins(ctx)
	r.sets.age(r.now)
	for _, v := range r.topology.expire(r.now) {
		r.tellGone(ctx, v)
	}
	if r.beats++; r.beats%strangerBeat == 0 {
		r.learned.age(r.now)
		r.strangers(ctx)
	}
}

// strangers tells reservations of nodes that live, as their peers say, and tell
// nothing of themselves.
func (r *router) strangers(ctx actor.Context) {
	for _, v := range r.topology.reach {
		if !v.hello && v.near == nil && r.now.Sub(v.since) >= strangerFor {
			ctx.Send(r.met.reservations, &heard{node: v.name, foreign: true})
		}
	}
}
