package mesh

import (
	"iter"
	"slices"
	"time"
)

// newer tells whether (boot, ver) is beyond what is known of a node.
func (r *records) newer(node string, boot, ver uint64) bool {
	rec := r.nodes[node]
	return rec == nil || rec.boot < boot || rec.boot == boot && rec.ver < ver
}

// merge takes a whole record if it is newer than what is known, and reports
// whether it is. heard is when anybody has last heard that node.
func (r *records) merge(node string, boot, ver uint64, entries iter.Seq2[string, claim], heard time.Time) bool {
	if node == r.own.node || boot == 0 || !r.newer(node, boot, ver) {
		return false
	}
	rec := r.of(node, boot, heard)
	if rec == nil {
		return false
	}
	if heard.After(rec.fresh) {
		rec.fresh = heard
	}
	r.replace(rec, boot, ver, entries)
	return true
}

// replace makes a record what entries say, at (boot, ver). Changes that came
// early stay, if they are of that boot.
func (r *records) replace(rec *record, boot, ver uint64, entries iter.Seq2[string, claim]) {
	if rec.boot != boot {
		r.forgetPending(rec)
		rec.told = 0
	}
	rec.boot, rec.ver, rec.foreign, rec.doubt = boot, ver, boot == 0, false
	rec.told = max(rec.told, ver)
	r.fill(rec, entries)
	r.drain(rec)
}

// fill makes the entries of a record those, in the order of their arrival; of
// two with the same name the smaller claim counts.
func (r *records) fill(rec *record, entries iter.Seq2[string, claim]) {
	gone := rec.entries
	rec.entries = make(map[*held]*claim, len(gone))
	for name, c := range entries {
		h := r.names[name]
		if h != nil && rec.entries[h] != nil {
			if c.before(rec.entries[h]) {
				r.put(rec, name, c)
			}
			continue
		}
		if was := gone[h]; was != nil && len(rec.entries) < recordEntries {
			delete(gone, h)
			rec.entries[h] = was
		}
		if gone[h] == nil {
			r.put(rec, name, c)
		}
	}
	for _, h := range byName(gone) {
		rec.entries[h] = gone[h]
		r.drop(rec, h)
	}
}

// hear takes what a node says of its own record without showing it, and returns
// that; nil: there are too many.
func (r *records) hear(node string, boot, ver uint64, now time.Time) *record {
	rec := r.of(node, boot, now)
	if rec == nil {
		return nil
	}
	rec.fresh = now
	if boot > rec.boot {
		r.begin(rec, boot)
	}
	if boot == rec.boot {
		rec.told = max(rec.told, ver)
	}
	rec.doubt = boot < rec.boot || ver < rec.ver
	return rec
}

// behind tells whether a node has spoken of another record than is known of it.
func (rec *record) behind() bool { return rec.told > rec.ver || rec.doubt }

// correct takes a whole record from the node that it is of, and reports whether
// it is newer than what was known. It also counts when it is not: others may
// have told lies. Only that it crossed changes of the same node must be ruled
// out, so knownBoot and knownVer are what was known when it was asked for.
func (r *records) correct(node string, boot, ver uint64, entries iter.Seq2[string, claim], knownBoot, knownVer uint64, now time.Time) bool {
	if r.merge(node, boot, ver, entries, now) {
		return true
	}
	rec := r.nodes[node]
	if rec == nil || boot == 0 {
		return false
	}
	rec.fresh = now
	switch {
	case rec.boot == boot && rec.ver == ver:
		r.replace(rec, boot, ver, entries)
	case rec.boot == knownBoot && rec.ver == knownVer:
		r.forgetPending(rec)
		rec.told = 0
		r.replace(rec, boot, ver, entries)
	}
	return false
}

// show makes the record of a foreign node what it says it has open. As such
// records have no version, only their node can tell.
func (r *records) show(node string, entries iter.Seq2[string, claim], now time.Time) *record {
	rec := r.of(node, 0, now)
	if rec == nil || !rec.foreign {
		return nil
	}
	rec.fresh = now
	r.fill(rec, entries)
	return rec
}

// convey books what a foreign peer says is reserved, by whom it does not say:
// only what nobody else is known to hold.
func (r *records) convey(peer string, entries iter.Seq2[string, claim]) {
	rec := r.vias[peer]
	if rec == nil {
		rec = &record{node: peer, foreign: true, via: true, entries: map[*held]*claim{}}
		r.vias[peer] = rec
	}
	r.fill(rec, func(yield func(string, claim) bool) {
		for name, c := range entries {
			h := r.names[name]
			if h != nil && slices.ContainsFunc(h.by, func(by *record) bool { return !by.via }) {
				continue
			}
			if !yield(name, c) {
				return
			}
		}
	})
}

// unconvey drops what convey booked.
func (r *records) unconvey(peer string) {
	if rec := r.vias[peer]; rec != nil {
		r.empty(rec)
		delete(r.vias, peer)
	}
}
