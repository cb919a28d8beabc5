package star

import (
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/star/peerid"
	"parley/actors/tree"
	"parley/messages/starpb"
)

// tellingMost is how long a join waits until all others have been told of it: a
// shard that failed never says so.
const tellingMost = 5 * time.Second

// registry knows who is online under which address, and tells the others of
// newcomers before these are answered.
//
//	parent    node
//	receives  enlist, delist, yielded, told, tellingLate, find, starpb.StatusRequest
//	sends     enlisted, rival, ousted to session; messages.Multicast to shards; appeared, vanished to announcer; found to proxies;
//	          starpb.Status to the asker
//	stops     with the node
type registry struct {
	venue *venue // fixed at spawn

	online   map[string]*holding // by address; owned, as all that follows
	sockets  map[string]*socket  // that have an address, by session's id
	crowd    crowd               // their links
	public   frozen[string]      // addresses that others are told of
	contests map[string]*enlist  // newcomers that wait for what the holder says, by address
	tellings map[uint64]*telling // by serial
	serial   uint64              // of the last telling
	late     *tree.Timer         // nil: nothing is being told
}

// holding is an address that is online.
type holding struct {
	address string
	turn    uint64 // of the join that made it so
	owner   *socket
	place   int // in public; -1: it is not
}

// socket is a client that has an address.
type socket struct {
	caller
	holdings []*holding
	place    int // in the crowd
}

// telling is a join whose news are on their way.
type telling struct {
	session *actor.PID
	answer  *enlisted
	left    int // shards that have not written
	since   time.Time
}

type (
	// told says that a shard has written what it was given for a telling.
	told struct{ serial uint64 }
	// tellingLate asks for a look at tellings that took too long.
	tellingLate struct{}
)

// IgnoreDeadLetterLogging marks messages that may find the registry stopped.
func (*told) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find the registry stopped.
func (tellingLate) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find a session stopped.
func (*enlisted) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find a session stopped.
func (*rival) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find a session stopped.
func (*ousted) IgnoreDeadLetterLogging() {}

func newRegistry(v *venue) actor.Actor {
	return &registry{
		venue: v, online: map[string]*holding{}, sockets: map[string]*socket{}, crowd: newCrowd(&v.Fanout),
		contests: map[string]*enlist{}, tellings: map[uint64]*telling{},
	}
}

func (r *registry) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		r.watch(ctx) // a restart may have lost its timer
	case *actor.Stopping:
		r.late.Stop()
	case *enlist:
		r.onEnlist(ctx, m)
	case *delist:
		r.onDelist(ctx, ctx.Sender(), m.addresses)
	case *yielded:
		r.onYielded(ctx, m)
	case *actor.DeadLetterResponse:
		r.onDeadLetter(ctx, m)
	case *told:
		r.onTold(ctx, m)
	case tellingLate:
		r.onTellingLate(ctx)
	case *find:
		r.onFind(ctx, m)
	case *starpb.StatusRequest:
		r.onStatus(ctx)
	}
}

// onEnlist registers at once what is free, or is the same client's. What another
// has goes to the newcomer if it has proven to have the key; otherwise the other
// is asked.
func (r *registry) onEnlist(ctx actor.Context, m *enlist) {
	h := r.online[m.address]
	switch {
	case h == nil:
		r.register(ctx, m)
	case h.owner.session.Equal(m.who.session):
		h.turn = m.turn
		r.defend(ctx, m.address)
		others, own := r.others(h.owner)
		ctx.Respond(&enlisted{turn: m.turn, others: others, own: own})
	case m.proven:
		r.oust(ctx, h)
		r.register(ctx, m)
	case r.contests[m.address] != nil:
		ctx.Respond(&enlisted{turn: m.turn, reason: errInUse})
	default:
		r.contests[m.address] = m
		ctx.Request(h.owner.session, &rival{address: m.address, turn: h.turn})
	}
}

func (r *registry) onYielded(ctx actor.Context, m *yielded) {
	h, c := r.online[m.address], r.contests[m.address]
	if h == nil || h.turn != m.turn || !h.owner.session.Equal(ctx.Sender()) {
		return // it left, or joined again, before it heard of its rival
	}
	if !m.ok {
		r.defend(ctx, m.address)
		return
	}
	r.vanish(ctx, h)
	if c != nil { // else the newcomer left
		delete(r.contests, m.address)
		r.register(ctx, c)
	}
}

// defend refuses an address to who waits for it, if somebody does.
func (r *registry) defend(ctx actor.Context, address string) {
	if c := r.contests[address]; c != nil {
		delete(r.contests, address)
		ctx.Send(c.who.session, &enlisted{turn: c.turn, reason: errInUse})
	}
}

// onDelist ends what a session gives up: addresses, or its turn to get one.
func (r *registry) onDelist(ctx actor.Context, session *actor.PID, addresses []string) {
	for _, address := range addresses {
		c := r.contests[address]
		if c != nil && c.who.session.Equal(session) {
			delete(r.contests, address)
			c = nil
		}
		h := r.online[address]
		if h == nil || !h.owner.session.Equal(session) {
			continue
		}
		r.vanish(ctx, h)
		if c != nil { // who waited for it need not ask any more
			delete(r.contests, address)
			r.register(ctx, c)
		}
	}
}

// onDeadLetter ends what a session had that failed before it could say so.
func (r *registry) onDeadLetter(ctx actor.Context, m *actor.DeadLetterResponse) {
	s := r.sockets[m.GetTarget().GetId()]
	if s == nil {
		return
	}
	var all []string
	for _, h := range s.holdings {
		all = append(all, h.address)
	}
	r.onDelist(ctx, s.session, all)
}

// register makes an address that is free its owner's, and tells all others. Only
// then the newcomer is answered.
func (r *registry) register(ctx actor.Context, m *enlist) {
	s := r.sockets[m.who.session.GetId()]
	if s == nil {
		s = &socket{caller: m.who}
		r.sockets[m.who.session.GetId()] = s
		r.row(s).add(s.member, &s.place)
	}
	others, own := r.others(s)
	h := &holding{address: m.address, turn: m.turn, owner: s, place: -1}
	r.online[m.address] = h
	s.holdings = append(s.holdings, h)
	harmless := peerid.IsHarmless(m.address)
	if harmless {
		r.public.add(h.address, &h.place)
	}
	r.venue.counts.peers.Store(int64(len(r.online)))
	ctx.Send(r.venue.announcer, &appeared{address: m.address, who: m.who, announced: harmless})
	answer := &enlisted{turn: m.turn, others: others, own: own}
	if !harmless {
		ctx.Send(s.session, answer)
		return
	}
	r.announce(ctx, h, answer)
}

// announce tells all others of an address, and answers when that is written.
func (r *registry) announce(ctx actor.Context, h *holding, answer *enlisted) {
	r.serial++
	t := &telling{session: h.owner.session, answer: answer, since: r.venue.Now()}
	root, self, done := ctx.ActorSystem().Root, ctx.Self(), &told{r.serial}
	t.left = r.venue.tell(ctx, &r.crowd, news(h.address), &h.owner.caller, func() { root.Send(self, done) })
	if t.left == 0 {
		ctx.Send(t.session, answer)
		return
	}
	r.tellings[r.serial] = t
	if r.late == nil {
		r.watch(ctx)
	}
}

func (r *registry) onTold(ctx actor.Context, m *told) {
	t := r.tellings[m.serial]
	if t == nil { // it was late
		return
	}
	if t.left--; t.left == 0 {
		delete(r.tellings, m.serial)
		ctx.Send(t.session, t.answer)
	}
}

// watch sets the timer that looks after tellings.
func (r *registry) watch(ctx actor.Context) {
	r.late.Stop()
	r.late = nil
	if len(r.tellings) > 0 {
		r.late = tree.After(ctx, tellingMost, tellingLate{})
	}
}

func (r *registry) onTellingLate(ctx actor.Context) {
	now := r.venue.Now()
	for _, serial := range slices.Sorted(maps.Keys(r.tellings)) {
		if t := r.tellings[serial]; now.Sub(t.since) >= tellingMost {
			delete(r.tellings, serial)
			ctx.Send(t.session, t.answer)
		}
	}
	r.watch(ctx)
}

func (r *registry) row(s *socket) *frozen[uint64] { return r.crowd.row(&r.venue.Fanout, s.caller) }

// oust takes an address from its owner, for another that has its key.
func (r *registry) oust(ctx actor.Context, h *holding) {
	ctx.Send(h.owner.session, &ousted{address: h.address, turn: h.turn})
	r.vanish(ctx, h)
}

// vanish ends a registration.
func (r *registry) vanish(ctx actor.Context, h *holding) {
	s := h.owner
	delete(r.online, h.address)
	if h.place >= 0 {
		r.public.remove(&h.place)
	}
	s.holdings = slices.DeleteFunc(s.holdings, func(other *holding) bool { return other == h })
	if len(s.holdings) == 0 {
		delete(r.sockets, s.session.GetId())
		r.row(s).remove(&s.place)
	}
	r.venue.counts.peers.Store(int64(len(r.online)))
	ctx.Send(r.venue.announcer, &vanished{address: h.address, who: s.caller})
}

// others are the addresses that a client is told of when it joins, and its own
// among them, which it is not. The list is the same for all: a client that joins
// again and again would keep the registry busy with copies.
func (r *registry) others(s *socket) (all, own []string) {
	for _, h := range s.holdings {
		if h.place >= 0 {
			own = append(own, h.address)
		}
	}
	return r.public.lend(), own
}

func (r *registry) onFind(ctx actor.Context, m *find) {
	answer := &found{dial: m.dial}
	if h := r.online[m.address]; h != nil {
		who := h.owner.caller
		answer.who = &who
	}
	ctx.Respond(answer)
}

func (r *registry) onStatus(ctx actor.Context) {
	ctx.Respond(&starpb.Status{
		Sockets: uint32(r.venue.counts.sockets.Load()), Peers: uint32(len(r.online)),
		Addresses: slices.Sorted(maps.Keys(r.online)), Dials: uint32(r.venue.counts.dials.Load()),
	})
}
