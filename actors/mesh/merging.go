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

// telling is a whole record, as somebody tells it.
type telling struct {
	node, from string // from is the peer that tells it, or the node itself
	boot, ver  uint64
	entries    iter.Seq2[string, claim]
	partial    bool // it has more entries than these
}

// merge takes a whole record if it is newer than what is known, and reports
// whether it is. heard is when anybody has last heard that node.
func (r *records) merge(m telling, heard time.Time) bool {
	if m.node == r.own.node || m.boot == 0 || !r.newer(m.node, m.boot, m.ver) {
		return false
	}
	rec := r.of(m.node, m.from, m.boot, heard)
	if rec == nil {
		return false
	}
	if heard.After(rec.fresh) {
		rec.fresh = heard
	}
	r.replace(rec, m)
	return true
}

// replace makes a record what is told. Changes that came early stay, if they are
// of that boot.
func (r *records) replace(rec *record, m telling) {
	if rec.boot != m.boot {
		r.forgetPending(rec)
		rec.told = 0
	}
	rec.boot, rec.ver, rec.foreign, rec.doubt = m.boot, m.ver, m.boot == 0, false
	rec.told = max(rec.told, m.ver)
	var lacks time.Duration
	switch {
	case m.partial && m.from == m.node:
		lacks = partialOwn
	case m.partial:
		lacks = partialElse
	}
	r.fill(rec, m.entries, lacks)
	r.drain(rec)
}

// fill makes the entries of a record those, in the order of their arrival; of
// two with the same name the smaller claim counts. What the record has no more
// goes first: it makes room. lacks is as in whole.
func (r *records) fill(rec *record, entries iter.Seq2[string, claim], lacks time.Duration) {
	r.whole(rec, lacks)
	known := make(map[*held]bool, len(rec.entries)) // of those that stay, what is not yet told
	if len(rec.entries) > 0 {
		for name := range entries {
			if h := r.names[name]; h != nil && rec.entries[h] != nil {
				known[h] = true
			}
		}
		for _, h := range byName(rec.entries) {
			if !known[h] {
				r.drop(rec, h)
			}
		}
	}
	for name, c := range entries {
		h := r.names[name]
		if h == nil || rec.entries[h] == nil || known[h] || c.before(rec.entries[h]) {
			r.put(rec, name, c)
			delete(known, h)
		}
	}
}

// hear takes what a node says of its own record without showing it, and returns
// that; nil: there are too many.
func (r *records) hear(node string, boot, ver uint64, now time.Time) *record {
	rec := r.of(node, "", boot, now)
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

// unsaid reports whether a peer tells of another node what that one has to bear
// out itself: more than it has spoken of, or a later start, or, of a foreign one,
// anything. Else anybody could replace anybody's record. Of a node that is not
// known nobody has anything better. bare is a record that only tells how far it is.
func (r *records) unsaid(m telling, bare bool) bool {
	rec := r.nodes[m.node]
	switch {
	case rec == nil || m.node == m.from || m.boot < rec.boot:
		return false
	case m.boot > rec.boot: // that of a foreign one is 0
		return true
	}
	return m.ver > rec.told || bare && m.ver > rec.ver
}

// denied reports whether two peers tell of another node's record in one version,
// and not the same: one of them lies.
func (r *records) denied(m telling) bool {
	rec := r.nodes[m.node]
	if rec == nil || m.node == m.from || m.boot != rec.boot || m.ver != rec.ver || m.partial || rec.isPartial() {
		return false
	}
	return !r.same(rec, m.entries)
}

// same reports whether a record has these entries, and no others.
func (r *records) same(rec *record, entries iter.Seq2[string, claim]) bool {
	n := 0
	for name, c := range entries {
		if have := r.entry(rec, name); have == nil || *have != c {
			return false
		}
		n++
	}
	return n == len(rec.entries)
}

// correct takes a whole record from the node that it is of, and reports whether
// it is newer than what was known. It also counts when it is not: others may
// have told lies. Only that it crossed changes of the same node must be ruled
// out, so known is how far it was known when it was asked for.
func (r *records) correct(m telling, known extent, now time.Time) bool {
	rec := r.nodes[m.node]
	if rec != nil && known.boot == m.boot && rec.boot == m.boot && rec.told == known.told && rec.told > m.ver {
		r.forgetPending(rec) // there never was so much, it says now
		rec.told = m.ver
	}
	if r.merge(m, now) {
		return true
	}
	if rec == nil || m.boot == 0 {
		return false
	}
	rec.fresh = now
	switch {
	case rec.boot == m.boot && rec.ver == m.ver:
		r.replace(rec, m)
	case rec.boot == known.boot && rec.ver == known.ver:
		r.forgetPending(rec)
		rec.told = 0
		r.replace(rec, m)
	}
	return false
}

// show makes the record of a foreign node what it says it has open. As such
// records have no version, only their node can tell.
func (r *records) show(node string, entries iter.Seq2[string, claim], now time.Time) *record {
	rec := r.of(node, node, 0, now)
	if rec == nil || !rec.foreign {
		return nil
	}
	rec.fresh = now
	r.fill(rec, entries, 0)
	return rec
}

// convey books what a foreign peer says is reserved, by whom it does not say:
// only what nobody else is known to hold.
func (r *records) convey(peer string, entries iter.Seq2[string, claim]) {
	rec := r.vias[peer]
	if rec == nil {
		rec = &record{node: peer, foreign: true, via: true, entries: map[*held]*claim{}, keeping: keeping{by: peer}}
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
	}, 0)
}

// unconvey drops what convey booked.
func (r *records) unconvey(peer string) {
	if rec := r.vias[peer]; rec != nil {
		r.empty(rec)
		delete(r.vias, peer)
	}
}
