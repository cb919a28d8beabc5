package mesh

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unique"
)

const (
	pendingMost = 1024             // changes of one record that came too early
	recordSpan  = 60 * time.Second // a node's record goes when it has not been heard for so long
	foreignTS   = 1<<53 - 1        // claim of who makes none
)

type (
	// claim is who opened a name first, and the password. It is frozen: records
	// share it. Source: gateways/mesh/PROTOCOL.md, Who has what.
	claim struct {
		ts    uint64 // Unix ms
		owner unique.Handle[string]
		hash  string // of the password, 32 bytes or 64; empty: none
	}
	// held is a name that at least one record holds.
	held struct {
		name string
		by   []*record
	}
	// delta is one change of a record.
	delta struct {
		name  string
		claim *claim // nil: it was closed
	}
	// extent is how far a record is known.
	extent struct {
		boot, ver uint64 // 0: it is foreign, or not heard yet
		told      uint64 // largest ver of this boot that the node has spoken of
	}
	// record is what one node has open. Only that node changes it.
	record struct {
		node string
		extent
		entries map[*held]*claim
		foreign bool
		via     bool // what a foreign peer says is reserved, by whom it does not say

		fresh   time.Time        // when the node was last heard
		pending map[uint64]delta // by ver, beyond the next one; nil: none
		doubt   bool             // the node spoke of less than is known of it
		keeping
		looking // owned by reservations
	}
	// change is one holder more or less of a name, or another claim of one.
	change struct {
		node, name string
		via        bool // of a via record
		now        bool // it holds the name
		before     bool // it did before
	}
)

// records is who has what, as one node knows it: its own record, those of
// others, and the index of names over all of them. The smallest claim on a name
// is the effective one: as every node takes the minimum of the same set, all
// agree, in whatever order they learned of it.
type records struct {
	own     *record
	nodes   map[string]*record // of others
	vias    map[string]*record // by foreign peer
	names   map[string]*held
	left    int      // out because of a limit, since the last take
	changes []change // since the last take
	kept
}

func newRecords(self string, boot uint64) *records {
	return &records{
		own:   &record{node: self, extent: extent{boot: boot}, entries: map[*held]*claim{}},
		nodes: map[string]*record{}, vias: map[string]*record{}, names: map[string]*held{}, kept: newKept(),
	}
}

// before tells whether c wins against d.
func (c *claim) before(d *claim) bool {
	if c.ts != d.ts {
		return c.ts < d.ts
	}
	if c.owner != d.owner {
		return c.owner.Value() < d.owner.Value()
	}
	return c.hash < d.hash
}

// effective is the claim that a name belongs to; nil: it is free.
func (r *records) effective(name string) *claim { return r.names[name].winner() }

func (h *held) winner() (best *claim) {
	if h == nil {
		return nil
	}
	for _, rec := range h.by {
		if c := rec.entries[h]; best == nil || c.before(best) {
			best = c
		}
	}
	return best
}

// entry is what a record says of a name; nil: nothing.
func (r *records) entry(rec *record, name string) *claim {
	h := r.names[name]
	if h == nil {
		return nil
	}
	return rec.entries[h]
}

// alone tells whether a name is in this node's own record and in no other.
func (r *records) alone(name string) bool {
	h := r.names[name]
	return h != nil && len(h.by) == 1 && h.by[0] == r.own
}

// open enters a name in this node's own record.
func (r *records) open(name string, c *claim) {
	r.own.ver++
	if was := r.entry(r.own, name); was != nil {
		r.bytes -= claimSize(name, was)
	}
	r.bytes += claimSize(name, c)
	r.put(r.own, name, *c)
}

// shut takes it out again.
func (r *records) shut(name string) {
	r.own.ver++
	if was := r.entry(r.own, name); was != nil {
		r.bytes -= claimSize(name, was)
	}
	r.drop(r.own, r.names[name])
}

// of finds the record of another node, or makes one; nil: there are too many.
// from is the peer that tells of it; empty: nothing is told of its channels.
func (r *records) of(node, from string, boot uint64, now time.Time) *record {
	rec := r.nodes[node]
	if rec == nil {
		if !r.place(node) {
			r.left++
			return nil
		}
		rec = &record{node: node, extent: extent{boot: boot}, foreign: boot == 0, entries: map[*held]*claim{}, fresh: now}
		r.nodes[node] = rec
		r.lodge(rec)
	}
	if rec.by == "" {
		rec.by = from
	}
	return rec
}

// begin is what a node's larger boot means: what it had open before is gone.
func (r *records) begin(rec *record, boot uint64) {
	r.empty(rec)
	rec.extent, rec.foreign, rec.doubt = extent{boot: boot}, false, false
	r.whole(rec, 0)
}

// change takes one change of another node's record, from that node. The next
// one is made, older ones are known, later ones wait for those between.
func (r *records) change(node, from string, boot, ver uint64, d delta, now time.Time) *record {
	rec := r.of(node, from, boot, now)
	if rec == nil || boot < rec.boot {
		return rec
	}
	if boot > rec.boot {
		r.begin(rec, boot)
	}
	rec.fresh = now
	rec.told = max(rec.told, ver)
	switch {
	case ver == rec.ver && !rec.isPartial() && !r.made(rec, d):
		rec.doubt = true // whoever told that version said something else
	case ver <= rec.ver:
	case ver == rec.ver+1:
		r.apply(rec, d)
		r.drain(rec)
	case len(rec.pending) >= pendingMost || !r.room(rec, 1):
		r.left++ // told is larger than ver: the record will be asked for
	default:
		if _, known := rec.pending[ver]; !known {
			if rec.pending == nil {
				rec.pending = map[uint64]delta{}
			}
			rec.pending[ver] = d
			r.book(rec, 1)
		}
	}
	return rec
}

// made reports whether a record is as a change left it.
func (r *records) made(rec *record, d delta) bool {
	c := r.entry(rec, d.name)
	if c == nil || d.claim == nil {
		return c == nil && d.claim == nil
	}
	return *c == *d.claim
}

func (r *records) apply(rec *record, d delta) {
	rec.ver++
	if d.claim == nil {
		if rec.left > 1 && r.entry(rec, d.name) == nil {
			rec.left--
		}
		r.drop(rec, r.names[d.name])
		return
	}
	r.put(rec, d.name, *d.claim)
}

// amend makes one change of a record that has no version.
func (r *records) amend(rec *record, d delta) {
	r.apply(rec, d)
	rec.ver = 0
}

// drain makes the changes that have become the next ones, and forgets those
// that are known by now.
func (r *records) drain(rec *record) {
	for len(rec.pending) > 0 {
		d, ok := rec.pending[rec.ver+1]
		if !ok {
			break
		}
		delete(rec.pending, rec.ver+1)
		r.book(rec, -1)
		r.apply(rec, d)
	}
	for ver := range rec.pending {
		if ver <= rec.ver {
			delete(rec.pending, ver)
			r.book(rec, -1)
		}
	}
	if len(rec.pending) == 0 {
		rec.pending = nil
	}
}

// put enters a name in a record, or another claim on it.
func (r *records) put(rec *record, name string, c claim) {
	h := r.names[name]
	if h != nil {
		if have, ok := rec.entries[h]; ok {
			if *have != c {
				rec.entries[h] = h.shared(c)
				r.note(rec, h.name, true, true)
			}
			return
		}
	}
	if !r.room(rec, 1) {
		r.refuse(rec, 1)
		return
	}
	r.book(rec, 1)
	if h == nil {
		h = &held{name: strings.Clone(name)} // it may be part of a whole frame
		r.names[h.name] = h
	}
	rec.entries[h] = h.shared(c)
	h.by = append(h.by, rec)
	r.note(rec, h.name, false, true)
}

// shared returns c, by a pointer that another record has for it where possible:
// who joins copies the claim.
func (h *held) shared(c claim) *claim {
	for _, rec := range h.by[:min(len(h.by), 4)] {
		if have := rec.entries[h]; have != nil && *have == c {
			return have
		}
	}
	return &c
}

// drop takes a name out of a record, if it is there.
func (r *records) drop(rec *record, h *held) {
	if h == nil {
		return
	}
	if _, ok := rec.entries[h]; !ok {
		return
	}
	delete(rec.entries, h)
	r.book(rec, -1)
	i := slices.Index(h.by, rec)
	h.by = slices.Delete(h.by, i, i+1)
	if len(h.by) == 0 {
		delete(r.names, h.name)
	}
	r.note(rec, h.name, true, false)
}

func (r *records) empty(rec *record) {
	for _, h := range byName(rec.entries) {
		r.drop(rec, h)
	}
	r.forgetPending(rec)
}

func (r *records) forgetPending(rec *record) {
	r.book(rec, -len(rec.pending))
	rec.pending = nil
}

// forget drops all that is known of another node.
func (r *records) forget(node string) {
	if rec := r.nodes[node]; rec != nil {
		r.empty(rec)
		delete(r.nodes, node)
		r.dislodge(rec)
	}
}

func (r *records) note(rec *record, name string, before, now bool) {
	if rec != r.own {
		r.changes = append(r.changes, change{rec.node, name, rec.via, now, before})
	}
}

// take returns what changed in others' records since it was last called, in
// order, and how much was left out because of a limit.
func (r *records) take() (changes []change, left int) {
	changes, left = r.changes, r.left
	r.changes, r.left = nil, 0
	return changes, left
}

// byName sorts the names of a record: maps have no order, and what is told of
// them must have one.
func byName(entries map[*held]*claim) []*held {
	list := make([]*held, 0, len(entries))
	for h := range entries {
		list = append(list, h)
	}
	slices.SortFunc(list, func(a, b *held) int { return cmp.Compare(a.name, b.name) })
	return list
}
