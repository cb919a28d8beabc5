package mesh

import (
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/meshpb"
	"parley/messages/relaypb"
)

const (
	sweepEvery  = 5 * time.Second  // between two looks for what is overdue
	queryMost   = 15 * time.Second // what commands has not answered by then was lost
	firstSync   = 2 * time.Second  // how long openings wait for the first peer to tell what it knows
	checkAfter  = time.Second      // how long a change may be late before the whole record is asked for
	foreignSpan = 30 * time.Second // between two looks at what a foreign node has
	hintSpan    = 5 * time.Second  // how long a refusal is believed whose reason did not come
	hintsMost   = 1024
)

// reservations knows who has which channel open, and decides whose a name is
// when two opened it. What goes to other nodes about it goes from here. Source:
// gateways/mesh/PROTOCOL.md, Who has what.
//
//	parent    node
//	receives  meshpb.OpenRequest, meshpb.Drop, meshpb.HoldingsRequest, meshpb.AskResponse, inquiry, linked, unlinked, heard, gone, surveyed,
//	          firstSyncOver, lingerOver, recordDue, sweepRecords
//	sends     meshpb.AskRequest to commands; post, dealt, holds, doubtful to router; version to hello; synced to peers; meshpb.Evict to channels;
//	          meshpb.OpenResponse, meshpb.HoldingsResponse to askers; relaypb.Ailment to health
//	stops     with the node
type reservations struct {
	o   *Options // fixed at spawn
	met *meet

	records *records // owned, as all that follows
	asking  map[string]*opening
	linger  lingering
	hints   map[string]hint
	links   map[string]*teller
	spent   spending // on lists
	queries map[uint64]*query
	ticket  uint64 // of the last query
	first   firstTime
	at      []waiter // being decided
	blind   bool     // as router was told
	full    bool     // as health was told
	sweep   *tree.Timer
}

// query is a question to other nodes that is not answered yet.
type query struct {
	at   time.Time
	done func(ctx actor.Context, m *meshpb.AskResponse)
}

// sweepRecords looks for what is overdue.
type sweepRecords struct{}

// IgnoreDeadLetterLogging marks messages that may find reservations stopped.
func (sweepRecords) IgnoreDeadLetterLogging() {}

func newReservations(o *Options, met *meet) actor.Actor {
	return &reservations{
		o: o, met: met, records: newRecords(o.Name, o.Boot),
		asking: map[string]*opening{}, linger: lingering{since: map[string]time.Time{}}, hints: map[string]hint{},
		links: map[string]*teller{}, queries: map[uint64]*query{}, spent: spending{},
	}
}

func (r *reservations) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		r.onStarted(ctx)
	case *actor.Stopping:
		r.stopTimers()
	case *actor.Restarting:
		r.onRestarting(ctx)
	case *meshpb.OpenRequest:
		r.onOpen(ctx, m)
	case *meshpb.Drop:
		r.onDrop(ctx, m)
	case *meshpb.HoldingsRequest:
		ctx.Respond(r.holdings())
	case *meshpb.AskResponse:
		r.onAnswers(ctx, m)
	case *inquiry:
		r.onInquiry(ctx, m)
	case *linked:
		r.onLinked(ctx, m)
	case *unlinked:
		r.onUnlinked(ctx, m)
	case *heard:
		r.onHeard(ctx, m)
	case *gone:
		r.records.forget(m.node)
		r.settle(ctx)
	case *surveyed:
		r.onSurveyed(ctx, m)
	case firstSyncOver:
		r.endFirst(ctx)
	case lingerOver:
		r.onLingerOver(ctx)
	case *recordDue:
		r.onDue(ctx, m.node)
	case sweepRecords:
		r.onSweep(ctx)
	}
}

func (r *reservations) onStarted(ctx actor.Context) {
	r.sweep = tree.After(ctx, sweepEvery, sweepRecords{})
	r.rest(ctx)
	if r.first.running {
		r.first.timer = tree.After(ctx, firstSync, firstSyncOver{})
	}
}

func (r *reservations) stopTimers() {
	r.sweep.Stop()
	r.linger.timer.Stop()
	r.first.timer.Stop()
}

// onRestarting answers the requests that were being decided when this actor
// failed: they are gone.
func (r *reservations) onRestarting(ctx actor.Context) {
	r.stopTimers()
	for i := range r.at {
		r.answer(ctx, &r.at[i], meshpb.Outcome_OUTCOME_BUSY, "")
	}
	r.at = nil
}

// ask puts a question to one node or to all, and has done called with what they
// answered. within is how long they have; 0: as the protocol says.
func (r *reservations) ask(ctx actor.Context, to string, c *meshpb.Command, within time.Duration, done func(ctx actor.Context, m *meshpb.AskResponse)) {
	r.ticket++
	r.queries[r.ticket] = &query{time.Now(), done}
	ctx.Request(r.met.commands, &meshpb.AskRequest{Destination: to, Command: c, TimeoutMs: uint32(within.Milliseconds()), Ticket: r.ticket})
}

func (r *reservations) onAnswers(ctx actor.Context, m *meshpb.AskResponse) {
	if q := r.queries[m.GetTicket()]; q != nil {
		delete(r.queries, m.GetTicket())
		q.done(ctx, m)
	}
}

// settle tells others what changed in the records, and gives up names that turn
// out to be somebody else's.
func (r *reservations) settle(ctx actor.Context) {
	changes, left := r.records.take()
	if left > 0 {
		tree.Of(ctx.ActorSystem()).Drop(tree.MeshRecordFull, left)
	}
	if r.records.blind() {
		r.tellFull(ctx)
	}
	for _, c := range changes {
		delete(r.hints, c.name)
		if !c.via && c.before != c.now {
			ctx.Send(r.met.router, &holds{c.node, c.name, c.now})
		}
		if !c.now {
			r.noteClosed(c.name)
		}
	}
	for _, c := range changes {
		own := r.records.entry(r.records.own, c.name)
		if own != nil && r.records.effective(c.name).hash != own.hash {
			r.evict(ctx, c.name)
		}
	}
	r.tellFull(ctx)
}

// reasonFull says that some holders of channels are not known, here or elsewhere:
// more are open than nodes keep. Source: gateways/relay/PROTOCOL.md, Health.
const reasonFull = "records full"

// tellFull tells router and health whether all holders are known, where that has
// changed.
func (r *reservations) tellFull(ctx actor.Context) {
	blind := r.records.blind()
	if blind != r.blind {
		r.blind = blind
		ctx.Send(r.met.router, &doubtful{blind})
	}
	full := blind || len(r.links) > 0 && r.records.tooMuch()
	if full != r.full && r.met.Health != nil {
		r.full = full
		ctx.Send(r.met.Health, &relaypb.Ailment{Healthy: healthDegraded, Reason: reasonFull, Over: !full})
	}
}

// reserve tells all what a name that this node has just opened is; done gets
// what they answered.
func (r *reservations) reserve(ctx actor.Context, name string, c *claim, within time.Duration, done func(actor.Context, *meshpb.AskResponse)) {
	r.records.open(name, c)
	ctx.Send(r.met.hello, &version{r.records.own.ver})
	if len(r.links) == 0 {
		return
	}
	cmd := reserving(name, c)
	cmd.Boot, cmd.Ver = r.records.own.boot, r.records.own.ver
	r.ask(ctx, everyone, cmd, within, done)
}

// unreserve takes a name out of this node's record and tells all. Who has it
// open says so; for nodes that forgot it all the same it is reserved again.
func (r *reservations) unreserve(ctx actor.Context, name string) {
	was := r.records.entry(r.records.own, name)
	r.records.shut(name)
	r.noteClosed(name)
	ctx.Send(r.met.hello, &version{r.records.own.ver})
	if len(r.links) == 0 {
		return
	}
	cmd := &meshpb.Command{Name: cmdUnreserve, Channel: name, Boot: r.records.own.boot, Ver: r.records.own.ver}
	r.ask(ctx, everyone, cmd, 0, func(ctx actor.Context, m *meshpb.AskResponse) {
		var holders []string
		for _, a := range m.GetAnswers() {
			if refuses(a.GetResponse(), reasonStillOpen) {
				holders = append(holders, a.GetNode())
			}
		}
		if len(holders) == 0 || r.records.entry(r.records.own, name) != nil || len(r.links) == 0 {
			return
		}
		now := r.records.effective(name)
		if now == nil {
			now = was
		}
		again := reserving(name, now)
		again.Open, again.Holders = proto.Bool(false), slices.Compact(slices.Sorted(slices.Values(holders)))
		r.ask(ctx, everyone, again, 0, func(actor.Context, *meshpb.AskResponse) {})
	})
}

// refuses tells whether a response says no for a reason.
func refuses(r *meshpb.Response, reason string) bool {
	return r != nil && r.Ok != nil && !r.GetOk() && r.GetReason() == reason
}

// holdings is the whole network's channels.
func (r *reservations) holdings() *meshpb.HoldingsResponse {
	m := &meshpb.HoldingsResponse{}
	for _, name := range slices.Sorted(maps.Keys(r.records.names)) {
		h := r.records.names[name]
		who := make([]string, 0, len(h.by))
		for _, rec := range h.by {
			who = append(who, rec.node)
		}
		slices.Sort(who)
		m.Channels = append(m.Channels, &meshpb.Holding{Name: name, Protected: h.winner().hash != "", Holders: slices.Compact(who)})
	}
	return m
}

// onSweep drops what nobody has spoken of for too long, and asks again where an
// answer did not come.
func (r *reservations) onSweep(ctx actor.Context) {
	r.sweep.Stop() // another may run: this one can be from before a restart
	r.sweep = tree.After(ctx, sweepEvery, sweepRecords{})
	now := time.Now()
	for _, ticket := range slices.Sorted(maps.Keys(r.queries)) {
		if q := r.queries[ticket]; q != nil && now.Sub(q.at) >= queryMost {
			delete(r.queries, ticket)
			q.done(ctx, &meshpb.AskResponse{})
		}
	}
	r.spent.age(now)
	maps.DeleteFunc(r.hints, func(_ string, h hint) bool { return now.Sub(h.at) >= hintSpan })
	for _, name := range slices.Sorted(maps.Keys(r.links)) {
		r.sweepLink(ctx, r.links[name], now)
	}
	for _, node := range slices.Sorted(maps.Keys(r.records.nodes)) {
		r.sweepRecord(ctx, r.records.nodes[node], now)
	}
	r.settle(ctx)
}
