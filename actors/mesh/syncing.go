package mesh

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/meshpb"
)

type (
	// teller is a peer, and how far it has told what it knows.
	teller struct {
		neighbor
		waiting int             // questions that are not answered yet
		failed  bool            // one of them was not
		synced  bool            // both were answered, once
		next    time.Time       // when a foreign one is asked again
		closed  map[string]bool // names closed since it was asked what is reserved; nil: it was not
	}
	// looking is how far a record is being asked for.
	looking struct {
		due    time.Time // since when it is to be asked for, in checkAfter; zero: it is not
		asked  bool
		forced bool      // also if nothing seems to be missing
		rumor  extent    // that it is so far, a peer said; zero: nothing was said
		last   time.Time // when it was asked for
		late   []delta   // changes of a foreign one since it was asked for
	}
	// recordDue says that a record has been behind for checkAfter, or rumored
	// to be for rumorAfter.
	recordDue struct{ node string }
)

// rumorAfter is how long a change may be behind the record that it is in.
const rumorAfter = 250 * time.Millisecond

// IgnoreDeadLetterLogging marks messages that may find reservations stopped.
func (*recordDue) IgnoreDeadLetterLogging() {}

// onLinked asks a new peer for all it knows, as it asks us.
func (r *reservations) onLinked(ctx actor.Context, m *linked) {
	t := &teller{neighbor: m.neighbor}
	r.links[m.name] = t
	if rec := r.records.nodes[m.name]; rec != nil && m.foreign && !rec.foreign {
		r.records.forget(m.name) // another program goes by that name now
		r.settle(ctx)
	}
	if m.foreign {
		r.records.of(m.name, "", 0, time.Now())
	}
	r.beginFirst(ctx)
	r.consult(ctx, t)
}

func (r *reservations) onUnlinked(ctx actor.Context, m *unlinked) {
	t := r.links[m.name]
	if t == nil || t.side != m.side || t.member != m.member {
		return
	}
	delete(r.links, m.name)
	r.records.unconvey(m.name)
	r.settle(ctx)
	if r.first.running && len(r.links) == 0 {
		r.endFirst(ctx)
	}
}

// consult asks a peer for its own record and for those that it knows.
func (r *reservations) consult(ctx actor.Context, t *teller) {
	t.waiting, t.failed, t.next = 2, false, time.Now().Add(foreignSpan)
	t.closed = map[string]bool{}
	answered := func(ctx actor.Context, ok bool) {
		t.failed = t.failed || !ok
		if t.waiting--; t.waiting == 0 && !t.failed && !t.synced && r.links[t.name] == t {
			t.synced = true
			ctx.Send(r.met.peers, &synced{t.name})
			if r.first.running {
				r.endFirst(ctx)
			}
		}
	}
	r.fetch(ctx, t.name, true, answered)
	r.ask(ctx, t.name, &meshpb.Command{Name: cmdReserved}, 0, func(ctx actor.Context, m *meshpb.AskResponse) {
		l := listingOf(m, t.name)
		if r.links[t.name] == t && l != nil {
			r.onReservedList(ctx, t, l)
		}
		t.closed = nil
		answered(ctx, l != nil)
	})
}

func (r *reservations) onReservedList(ctx actor.Context, t *teller, l *meshpb.Listing) {
	if !t.foreign {
		r.take(ctx, l.GetRecords(), t.name)
		return
	}
	r.records.convey(t.name, func(yield func(string, claim) bool) {
		for name, c := range entriesOf(l.GetEntries(), t.name) {
			if !t.closed[name] && !yield(name, c) {
				return
			}
		}
	})
	r.settle(ctx)
}

// noteClosed remembers what was closed while foreign peers tell what is reserved:
// they may not have heard of it when they wrote their answer.
func (r *reservations) noteClosed(name string) {
	for _, t := range r.links {
		if t.foreign && t.closed != nil {
			t.closed[name] = true
		}
	}
}

// listingOf is what a node answered; nil: nothing, or that it cannot.
func listingOf(m *meshpb.AskResponse, node string) *meshpb.Listing {
	for _, a := range m.GetAnswers() {
		if a.GetNode() == node {
			return a.GetResponse().GetListing()
		}
	}
	return nil
}

// fetch asks a node for its record, and has then called when it came or not.
// What is new in that of a peer is news to others, too; any other node has told
// all of them of itself.
func (r *reservations) fetch(ctx actor.Context, node string, peer bool, then func(ctx actor.Context, ok bool)) {
	var known extent
	if rec := r.records.nodes[node]; rec != nil {
		rec.asked, rec.forced, rec.rumor, rec.late, rec.last = true, false, extent{}, nil, time.Now()
		known = rec.extent
	}
	r.ask(ctx, node, &meshpb.Command{Name: cmdChannels}, 0, func(ctx actor.Context, m *meshpb.AskResponse) {
		l := listingOf(m, node)
		if l != nil && r.onRecord(node, l, known) && peer {
			rec := &meshpb.Record{Node: node, Boot: l.GetBoot(), Ver: l.GetVer(), Entries: l.GetEntries(), Partial: l.GetPartial()}
			r.passOn(ctx, []*meshpb.Record{rec}, node)
		}
		if rec := r.records.nodes[node]; rec != nil {
			rec.asked, rec.late = false, nil
			if rec.behind() || rec.forced {
				r.check(ctx, rec)
			}
		}
		r.settle(ctx)
		then(ctx, l != nil)
	})
}

// onRecord takes a record from the node that it is of, and reports whether it is
// newer. known is how far it was known when it was asked for.
func (r *reservations) onRecord(node string, l *meshpb.Listing, known extent) bool {
	now, entries := time.Now(), entriesOf(l.GetEntries(), node)
	if l.GetBoot() > 0 {
		m := telling{node, node, l.GetBoot(), l.GetVer(), entries, l.GetPartial()}
		return r.records.correct(m, known, now)
	}
	if rec := r.records.show(node, entries, now); rec != nil {
		for _, d := range rec.late {
			r.records.amend(rec, d)
		}
	}
	return false
}

// onSync takes what a peer tells. What only came over a peer, of another node, would
// pass for that peer's own word.
func (r *reservations) onSync(ctx actor.Context, m *inquiry) {
	if m.packet.GetSource() != m.from {
		tree.Of(ctx.ActorSystem()).Drop(tree.MeshMalformed, 1)
		return
	}
	r.take(ctx, m.packet.GetCommand().GetRecords(), m.from)
}

// take merges records that a peer tells of, and passes on those that are new,
// unless it is more of a node that nobody knows than is kept here. What the node
// has to bear out itself it is asked for, by all that hear of it.
func (r *reservations) take(ctx actor.Context, all []*meshpb.Record, from string) {
	now := time.Now()
	var fresh []*meshpb.Record
	for _, rec := range all {
		age := time.Duration(rec.GetAge()) * time.Second
		if age >= recordSpan || !validName(rec.GetNode()) {
			continue
		}
		m := telling{rec.GetNode(), from, rec.GetBoot(), rec.GetVer(), entriesOf(rec.GetEntries(), rec.GetNode()), rec.GetPartial()}
		switch bare := m.partial && len(rec.GetEntries()) == 0; {
		case r.records.unsaid(m, bare):
			if r.rumored(ctx, m) {
				fresh = append(fresh, &meshpb.Record{Node: m.node, Boot: m.boot, Ver: m.ver, Partial: true})
			}
			continue
		case r.records.denied(m):
			r.suspect(ctx, m.node)
			continue
		}
		if !r.records.merge(m, now.Add(-age)) {
			continue
		}
		if got := r.records.nodes[m.node]; got.charted || got.left == 0 {
			fresh = append(fresh, trimmed(rec))
		}
	}
	r.settle(ctx)
	r.passOn(ctx, fresh, from)
}

// rumored takes word of a peer that another node's record is further than is
// known. It is a reason to ask that node, soon: nothing else is going to bring what
// is missing, unless it is on its way. It reports whether it is news. Not often:
// see suspect.
func (r *reservations) rumored(ctx actor.Context, m telling) bool {
	rec := r.records.nodes[m.node]
	if rec.asked || rec.rumor.boot > 0 || time.Since(rec.last) < suspectSpan {
		return false
	}
	rec.rumor = extent{boot: m.boot, ver: m.ver}
	if rec.due.IsZero() {
		rec.due = time.Now()
	}
	tree.After(ctx, rumorAfter, &recordDue{m.node})
	return true
}

// passOn tells all other peers of records that are new here.
func (r *reservations) passOn(ctx actor.Context, fresh []*meshpb.Record, from string) {
	if len(fresh) == 0 {
		return
	}
	parts := packets(fresh)
	for _, name := range slices.Sorted(maps.Keys(r.links)) {
		if name != from && !r.links[name].foreign {
			r.send(ctx, name, parts)
		}
	}
}

// send sends records to a peer.
func (r *reservations) send(ctx actor.Context, peer string, parts [][]*meshpb.Record) {
	for _, part := range parts {
		ctx.Send(r.met.router, &post{destination: peer, only: peer, command: &meshpb.Command{Name: cmdSync, Records: part}})
	}
}

// wire writes a record. made is entries that are written already, if they are of
// the same claim.
func (r *reservations) wire(rec *record, made map[*held]*meshpb.Entry) *meshpb.Record {
	m := &meshpb.Record{Node: rec.node, Boot: rec.boot, Ver: rec.ver, Entries: make([]*meshpb.Entry, 0, len(rec.entries))}
	for h, c := range rec.entries {
		e := made[h]
		if e == nil || h.winner() != c {
			e = entryOf(h.name, c)
		}
		m.Entries = append(m.Entries, e)
	}
	slices.SortFunc(m.Entries, func(a, b *meshpb.Entry) int { return cmp.Compare(a.GetName(), b.GetName()) })
	if rec != r.records.own {
		m.Age = uint32(max(0, time.Since(rec.fresh)) / time.Second)
	}
	m.Partial = rec.isPartial()
	return trimmed(m)
}

// wireAll writes all records that have a version, but for that of one node, and
// those first that link state tells of. Of what would be too much it only tells
// that it is there: who hears it asks each node.
func (r *reservations) wireAll(but string, made map[*held]*meshpb.Entry) []*meshpb.Record {
	nodes := slices.Collect(maps.Values(r.records.nodes))
	slices.SortFunc(nodes, func(a, b *record) int { return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.node, b.node)) })
	all, size := make([]*meshpb.Record, 0, len(nodes)+1), 0
	for _, rec := range append([]*record{r.records.own}, nodes...) {
		if rec.foreign || rec.node == but {
			continue
		}
		m := r.wire(rec, made)
		if size += recordSize(m); size > recordsSize {
			m.Entries, m.Partial = nil, true
		}
		all = append(all, m)
	}
	return all
}

// reservedNames is the names that others hold, sorted.
func (r *reservations) reservedNames() []*held {
	list := make([]*held, 0, len(r.records.names))
	for _, h := range r.records.names {
		if len(h.by) > 1 || h.by[0] != r.records.own {
			list = append(list, h)
		}
	}
	slices.SortFunc(list, func(a, b *held) int { return cmp.Compare(a.name, b.name) })
	return list
}

// onHeard compares what a node says of its record with what is known of it.
func (r *reservations) onHeard(ctx actor.Context, m *heard) {
	if m.node == r.o.Name {
		return
	}
	now := time.Now()
	if m.foreign || m.boot == 0 {
		rec := r.records.of(m.node, "", 0, now)
		if rec == nil || !rec.foreign {
			return
		}
		rec.fresh = now
		if rec.last.IsZero() {
			r.fetch(ctx, m.node, false, func(actor.Context, bool) {})
		}
		return
	}
	rec := r.records.hear(m.node, m.boot, m.ver, now)
	r.settle(ctx)
	if rec != nil && rec.behind() {
		r.check(ctx, rec)
	}
}

// check asks for a record soon, unless what is missing comes until then.
func (r *reservations) check(ctx actor.Context, rec *record) {
	if rec.asked || !rec.due.IsZero() {
		return
	}
	rec.due = time.Now()
	tree.After(ctx, checkAfter, &recordDue{rec.node})
}

func (r *reservations) onDue(ctx actor.Context, node string) {
	rec := r.records.nodes[node]
	if rec == nil {
		return
	}
	late := rec.rumor.boot > 0 && r.records.newer(node, rec.rumor.boot, rec.rumor.ver)
	rec.due, rec.rumor = time.Time{}, extent{}
	if !rec.asked && (rec.behind() || rec.forced || late) {
		r.fetch(ctx, node, false, func(actor.Context, bool) {})
	}
}

// sweepLink asks a peer again that has not answered, and a foreign one that was
// not asked for long.
func (r *reservations) sweepLink(ctx actor.Context, t *teller, now time.Time) {
	if rec := r.records.nodes[t.name]; rec != nil {
		rec.fresh = now // its link is watched
	}
	if t.waiting == 0 && (!t.synced || t.foreign && !now.Before(t.next)) {
		r.consult(ctx, t)
	}
}

// onSurveyed sorts out which records are of nodes that are there.
func (r *reservations) onSurveyed(ctx actor.Context, m *surveyed) {
	r.records.chart(m.nodes)
	r.settle(ctx)
}

// sweepRecord drops a record whose node was not heard for too long, and asks for
// one that is partial. One that is behind and not asked for was forgotten in a
// restart.
func (r *reservations) sweepRecord(ctx actor.Context, rec *record, now time.Time) {
	switch {
	case now.Sub(rec.fresh) >= recordSpan:
		r.records.forget(rec.node)
	case rec.foreign && r.links[rec.node] == nil && !rec.asked && now.Sub(rec.last) >= foreignSpan:
		r.fetch(ctx, rec.node, false, func(actor.Context, bool) {})
	case !rec.asked && rec.due.IsZero() && r.records.wanting(rec, now):
		rec.forced = true
		r.check(ctx, rec)
	case !rec.due.IsZero() && now.Sub(rec.due) >= sweepEvery:
		rec.due = time.Time{}
		r.check(ctx, rec)
	}
}
