package mesh

import (
	"maps"
	"slices"
	"time"
)

// Limits of what this node keeps of others: about 225 bytes an entry. What is
// over them is counted and left out, and the record is known to be partial.
const (
	recordEntries = 1 << 15 // in one node's record: what max-channels may be, and names that linger
	totalEntries  = 100_000 // in the records of charted nodes, pending changes among them
	looseEntries  = 25_000  // likewise of all others
	peerEntries   = 10_000  // of these, that one peer has told of
	recordsMost   = 1024    // charted nodes
	looseMost     = 512     // others
)

// How long a record that was not told whole is left before it is asked for again.
const (
	partialElse = 10 * time.Second // it was another node that told it
	partialOwn  = time.Minute      // it is more than its own node can tell
)

type (
	// keeping is how much of a record is kept, and for whom. A record is loose
	// until link state tells of its node: anybody can invent a node, so those that
	// are there must not have to share with such.
	keeping struct {
		charted bool
		by      string        // peer that told of it first; empty: nobody told of its channels
		left    int           // entries that there was no room for; at least
		lacks   time.Duration // it was not told whole: when it is to be asked for again; 0: it was
	}
	// kept counts what is kept.
	kept struct {
		most    limits
		size    int            // entries and pending changes of charted nodes
		loose   int            // likewise of others
		lent    map[string]int // loose, by the peer that told of them
		charted int            // records
		known   map[string]bool
		partial map[string]*record // of charted nodes
		outside map[string]bool    // charted nodes without a record: there were too many
		bytes   int                // of this node's own record, on the wire
	}
	limits struct{ record, total, loose, peer int }
)

func newKept() kept {
	return kept{
		most: limits{recordEntries, totalEntries, looseEntries, peerEntries},
		lent: map[string]int{}, partial: map[string]*record{}, outside: map[string]bool{},
	}
}

// isPartial tells whether the node has channels open that the record lacks.
func (k *keeping) isPartial() bool { return k.left > 0 || k.lacks > 0 }

// rank tells which records matter more: 0 first.
func (k *keeping) rank() int {
	if k.charted {
		return 0
	}
	return 1
}

// blind tells whether some holders are not known, of nodes that link state
// tells of.
func (s *kept) blind() bool { return len(s.partial)+len(s.outside) > 0 }

// tooMuch tells whether other nodes cannot know all of this node's own record.
func (r *records) tooMuch() bool {
	return len(r.own.entries) > r.most.record || r.bytes > listingMost
}

// room tells whether there is room for n more of a record.
func (r *records) room(rec *record, n int) bool {
	switch {
	case rec == r.own:
		return true
	case len(rec.entries)+n > r.most.record:
		return false
	case rec.charted:
		return r.size+n <= r.most.total
	}
	return r.loose+n <= r.most.loose && r.lent[rec.by]+n <= r.most.peer
}

// book counts n more of a record, or fewer.
func (r *records) book(rec *record, n int) {
	switch {
	case rec == r.own || n == 0:
	case rec.charted:
		r.size += n
	default:
		r.loose += n
		if r.lent[rec.by] += n; r.lent[rec.by] == 0 {
			delete(r.lent, rec.by)
		}
	}
}

// refuse notes that n entries were left out of a record.
func (r *records) refuse(rec *record, n int) {
	r.left += n
	rec.left += n
	r.mark(rec)
}

// whole notes that a record is told anew. lacks is 0 if it is whole, as told.
func (r *records) whole(rec *record, lacks time.Duration) {
	rec.left, rec.lacks = 0, lacks
	r.mark(rec)
}

func (r *records) mark(rec *record) {
	switch {
	case rec.via:
	case rec.charted && rec.isPartial():
		r.partial[rec.node] = rec
	default:
		delete(r.partial, rec.node)
	}
}

// place tells whether one more record may be kept.
func (r *records) place(node string) bool {
	if !r.known[node] {
		return len(r.nodes)-r.charted < looseMost
	}
	if r.charted >= recordsMost {
		r.outside[node] = true
		return false
	}
	return true
}

// lodge counts a record that is new.
func (r *records) lodge(rec *record) {
	if r.known[rec.node] {
		rec.charted = true
		r.charted++
	}
	delete(r.outside, rec.node)
}

// dislodge ends lodge. The record is empty.
func (r *records) dislodge(rec *record) {
	if rec.charted {
		r.charted--
	}
	delete(r.partial, rec.node)
}

// chart takes of which nodes link state tells. A node that it told of once stays
// one of these until it is forgotten.
func (r *records) chart(known map[string]bool) {
	r.known = known
	maps.DeleteFunc(r.outside, func(node string, _ bool) bool { return !known[node] })
	for _, node := range slices.Sorted(maps.Keys(known)) {
		if rec := r.nodes[node]; rec != nil && !rec.charted {
			r.admit(rec)
		}
	}
}

// admit makes a loose record one of a charted node. If there is no room, it has
// to be told anew some day.
func (r *records) admit(rec *record) {
	if !r.place(rec.node) {
		return
	}
	n := len(rec.entries) + len(rec.pending)
	if r.size+n > r.most.total {
		r.refuse(rec, len(rec.entries))
		r.empty(rec)
		n = 0
	}
	r.book(rec, -n)
	r.lodge(rec)
	r.book(rec, n)
	r.mark(rec)
}

// wanting tells whether a partial record is to be asked for again.
func (r *records) wanting(rec *record, now time.Time) bool {
	if !rec.charted || !rec.isPartial() || !r.room(rec, min(1, rec.left)) {
		return false
	}
	wait := max(partialElse, rec.lacks)
	if !r.room(rec, rec.left) { // so much is only guessed to be missing
		wait = partialOwn
	}
	return now.Sub(rec.last) >= wait
}
