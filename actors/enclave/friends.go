package enclave

import (
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/enclavepb"
	"parley/messages/faultpb"
	"parley/messages/linkpb"
	"parley/messages/storepb"
)

const (
	callersMost   = 256         // links that wait until the address book is read
	goodbyeTime   = time.Second // that friends have to take this node's goodbye
	friendMailbox = 4 << 20     // bytes of commands that wait for one friend's actor
)

type (
	// standing tells friends how a friend is. From friend.
	standing struct {
		address  string
		presence *enclavepb.Presence // frozen
	}
	// holding tells friends how many strangers wait. From strangers.
	holding struct{ callers int }
	// showing tells a friend how this node wants to be seen. From friends.
	showing struct{ own *enclavepb.Presence }
	// dismissed tells a friend that it is none any more. From friends.
	dismissed struct{}
	// leave asks a friend to say goodbye, which left answers when its links are
	// gone. From friends, when the node shuts down.
	leave struct{}
	left  struct{ address string }
	// finished says that nothing more comes of who is no friend any more. From friend.
	finished struct{ address string }
	// leaveLate says that friends had enough time for that.
	leaveLate struct{}
	// heardLate says that the store has not told what was heard.
	heardLate struct{}
)

// IgnoreDeadLetterLogging marks messages that may find friends stopped.
func (heardLate) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find friends stopped.
func (leaveLate) IgnoreDeadLetterLogging() {}

// friends has one friend for each contact that is one. It knows who may call,
// how this node is seen, and how many dials are under way.
//
//	parent    node
//	receives  linkpb.Opened, linkpb.Drain, storepb.ReadResponse, faultpb.Failed (from store), enclavepb.DialFailed, enclavepb.StatusRequest, introduced, introducedAll, parted, admitted, asked, listing, standing, holding, wish, unwish, dialLate, left, finished, leaveLate, heardLate
//	sends     linkpb.Opened, introduced, admitted, asked, showing, dismissed, dialFailed, leave to friend; knock, listing to strangers; linkpb.Close, linkpb.Accepted to links; linkpb.Drained, enclavepb.Status, enclavepb.Result to who asked; told to frontends; storepb.ReadRequest, storepb.Write to store
//	stops     with the node
type friends struct {
	o        *Options // fixed at spawn, as all of this block
	met      *meet
	instance string // this run of the node, in ids
	local    netip.Addr

	own      *enclavepb.Presence // owned, as all that follows; frozen
	people   map[string]*person  // by address
	names    map[string]*person  // by name, of those that have one
	ignored  map[string]string   // names, by address
	heard    map[string]*enclavepb.Heard
	hasHeard bool
	late     *tree.Timer // until hasHeard
	hasBook  bool
	begun    bool     // both are, and there are friends
	callers  []caller // that came before that
	sends    []*asked // likewise
	dialling dialling
	strange  int // callers that strangers has
	leaving  *leaving
}

// person is a friend as friends knows it.
type person struct {
	contact  *enclavepb.Contact // frozen
	friend   *friend            // its queued may be read
	pid      *actor.PID
	presence *enclavepb.Presence // frozen; nil: it was never there
}

func (p *person) online() bool { return p.presence.GetStatus() != Offline }

// caller is a link that waits.
type caller struct {
	link *actor.PID
	m    *linkpb.Opened
}

// leaving is a goodbye under way.
type leaving struct {
	asker *actor.PID // nil: answered
	left  map[string]bool
	timer *tree.Timer
}

func newFriends(o *Options, met *meet) actor.Actor {
	f := &friends{
		o: o, met: met, own: &enclavepb.Presence{Alias: o.Alias, Status: Available},
		people: map[string]*person{}, names: map[string]*person{}, ignored: map[string]string{}, dialling: newDialling(),
	}
	f.instance = newInstance(o)
	if local, _, ok := parseAddress(o.Local); ok {
		f.local = local
	}
	return f
}

// newInstance names this run of this node, unlike all other runs of all nodes;
// where a seed is replayed, it is the same.
func newInstance(o *Options) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(o.Local + " " + o.Alias))
	return strconv.FormatUint(rand.NewPCG(o.Seed^h.Sum64(), uint64(time.Now().UnixNano())).Uint64(), idBase)
}

func (f *friends) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		f.onStarted(ctx)
	case *actor.Stopping:
		f.onStopping()
		f.goOn(ctx)
	case *actor.Restarting:
		f.onStopping()
	case *linkpb.Opened:
		f.onOpened(ctx, m)
	case *admitted:
		f.onAdmitted(ctx, m)
	case *asked:
		attempt(ctx, m, func() { f.onAsked(ctx, m) })
	case *standing:
		f.onStanding(m)
	case *wish:
		f.onWish(ctx, m)
	case *unwish:
		f.dialling.cancel(m.address)
	case *enclavepb.DialFailed:
		f.onDialFailed(ctx, m)
	case dialLate:
		f.onDialLate(ctx, m)
	case *introduced:
		f.onIntroduced(ctx, m)
	case *introducedAll:
		f.hasBook = true
		f.begin(ctx)
	case *storepb.ReadResponse:
		f.onReadResponse(ctx, m)
	case *faultpb.Failed:
		f.onReadResponse(ctx, &storepb.ReadResponse{Error: "the database has failed"})
	case heardLate:
		f.onReadResponse(ctx, &storepb.ReadResponse{Error: "the database did not answer within " + storeTimeout.String()})
	case *parted:
		f.onParted(ctx, m)
	case *listing:
		f.onListing(ctx, m)
	case *holding:
		f.strange = m.callers
	case *enclavepb.StatusRequest:
		f.onStatusRequest(ctx)
	case *linkpb.Drain:
		f.onDrain(ctx)
	case *finished:
		f.onFinished(ctx, m)
	case *left:
		f.onLeft(ctx, m)
	case leaveLate:
		f.endLeaving(ctx)
	}
}

// onStarted asks what has been heard of friends; after a restart it makes them
// anew, and expects nothing of what was dialled before.
func (f *friends) onStarted(ctx actor.Context) {
	f.dialling.restart()
	if f.leaving != nil {
		f.endLeaving(ctx)
	}
	switch {
	case f.hasHeard && f.hasBook:
		f.begin(ctx)
	case f.hasHeard:
	case f.o.Store == nil:
		f.hasHeard = true
		f.begin(ctx)
	default:
		ctx.Request(f.o.Store, &storepb.ReadRequest{Prefix: heardPrefix})
		f.late = tree.After(ctx, storeTimeout, heardLate{})
	}
}

func (f *friends) onStopping() {
	f.late.Stop()
	f.dialling.stop()
	if f.leaving != nil {
		f.leaving.timer.Stop()
	}
}

// begin makes a friend of each contact, and looks after who called meanwhile.
func (f *friends) begin(ctx actor.Context) {
	if !f.hasHeard || !f.hasBook {
		return
	}
	for _, address := range slices.Sorted(maps.Keys(f.people)) {
		f.spawn(ctx, f.people[address])
	}
	f.begun = true
	f.forgetHeard(ctx, slices.Sorted(maps.Keys(f.heard))...) // of who was removed just before the last end
	f.heard = nil
	callers := f.callers
	f.callers = nil
	for _, c := range callers {
		f.call(ctx, c)
	}
	f.goOn(ctx)
}

func (f *friends) spawn(ctx actor.Context, p *person) {
	if p.friend == nil {
		p.friend = newFriend(f, p.contact)
	}
	p.friend.friends = ctx.Self()
	p.pid = tree.Spawn(ctx, "", tree.Spec{
		Limit: friendMailbox, Refused: refuseAsked(ctx.ActorSystem()),
		New: func() actor.Actor { return p.friend }, // what it knows outlives its restart
	})
}

func (f *friends) onIntroduced(ctx actor.Context, m *introduced) {
	address := m.contact.GetAddress()
	p := f.people[address]
	if m.contact.GetState() != enclavepb.State_STATE_FRIEND {
		f.ignored[address] = m.contact.GetName()
		f.forget(ctx, p)
		return
	}
	delete(f.ignored, address)
	if p == nil {
		p = &person{}
		f.people[address] = p
		f.met.gauges.friends.Store(int64(len(f.people)))
	}
	if p.contact.GetName() != "" {
		delete(f.names, p.contact.GetName())
	}
	p.contact = m.contact
	if p.contact.GetName() != "" {
		f.names[p.contact.GetName()] = p
	}
	switch {
	case !f.begun:
	case p.pid == nil:
		f.spawn(ctx, p)
	default:
		ctx.Send(p.pid, m)
	}
}

func (f *friends) onParted(ctx actor.Context, m *parted) {
	delete(f.ignored, m.address)
	f.forget(ctx, f.people[m.address])
}

// forget ends a friend, with what waits for it.
func (f *friends) forget(ctx actor.Context, p *person) {
	if p == nil {
		return
	}
	address := p.contact.GetAddress()
	delete(f.people, address)
	delete(f.names, p.contact.GetName())
	f.met.gauges.friends.Store(int64(len(f.people)))
	f.met.gauges.online.Add(-p.counts())
	f.dialling.cancel(address)
	if p.pid != nil {
		ctx.Send(p.pid, dismissed{})
	}
	ctx.Send(f.met.frontends, &told{&enclavepb.Event{Body: &enclavepb.Event_Gone{Gone: &enclavepb.Gone{Address: address}}}})
}

// onFinished forgets what came of who is no friend any more. Of who is one again
// that is right, and its next mark takes its place.
func (f *friends) onFinished(ctx actor.Context, m *finished) {
	if f.people[m.address] == nil {
		f.forgetHeard(ctx, m.address)
	}
}

// forgetHeard forgets which messages of addresses have come.
func (f *friends) forgetHeard(ctx actor.Context, addresses ...string) {
	if f.o.Store == nil {
		return
	}
	for some := range slices.Chunk(addresses, deletesAtOnce) {
		w := &storepb.Write{}
		for _, address := range some {
			w.Deletes = append(w.Deletes, heardPrefix+address)
		}
		ctx.Send(f.o.Store, w)
	}
}

// onAsked takes what concerns one friend, or how all see this node.
func (f *friends) onAsked(ctx actor.Context, m *asked) {
	switch c := m.command.GetBody().(type) {
	case *enclavepb.Command_Send:
		p := f.find(c.Send.GetTo())
		switch {
		case f.leaving != nil:
			answer(ctx, m, refused(m, reasonLeaving))
		case !f.begun:
			f.hold(ctx, m)
		case p == nil || p.pid == nil:
			answer(ctx, m, refused(m, f.noFriend(c.Send.GetTo())))
		default:
			ctx.Send(p.pid, m)
		}
	case *enclavepb.Command_Status:
		f.setStatus(ctx, m, c.Status)
	case *enclavepb.Command_Alias:
		f.setAlias(ctx, m, c.Alias.GetAlias())
	default:
		answer(ctx, m, refused(m, "friends do not know this command"))
	}
}

// find is the friend of that name or address; nil: there is none.
func (f *friends) find(text string) *person {
	if p := f.names[text]; p != nil {
		return p
	}
	return f.people[canonical(text)]
}

// noFriend is why nothing can be sent there, for people.
func (f *friends) noFriend(to string) string {
	address := canonical(to)
	for a, name := range f.ignored {
		if a == address || name != "" && name == to {
			return strconv.Quote(to) + " is ignored: accept it first, to talk to it"
		}
	}
	return noContact(to)
}
