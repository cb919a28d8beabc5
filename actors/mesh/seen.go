package mesh

import (
	"hash/maphash"
	"math/bits"
	"time"

	"parley/messages/meshpb"
)

// How much of the past is known.
const (
	seenSpan   = 1 << 16          // sequence numbers of one start of a node; older ones are duplicates
	seenFirst  = 1 << 10          // of them, in a window that has not grown yet
	seenLimit  = 1 << 16          // packets in one generation of a set
	seenRotate = 60 * time.Second // after which a generation is the old one
)

// bitRing holds a bit for each of the sequence numbers of a window: that of seq
// is seq mod its size, which is a power of two and at least 64.
type bitRing []uint64

func (b bitRing) at(seq uint64) (word, bit uint64) {
	return (seq >> 6) & uint64(len(b)-1), 1 << (seq & 63)
}

func (b bitRing) has(seq uint64) bool {
	w, bit := b.at(seq)
	return b[w]&bit != 0
}

func (b bitRing) set(seq uint64) {
	w, bit := b.at(seq)
	b[w] |= bit
}

// clear makes room for the numbers from first to last.
func (b bitRing) clear(first, last uint64) {
	if last-first >= uint64(len(b))<<6 {
		clear(b)
		return
	}
	for seq := first; ; seq++ { // last may be the largest number there is
		w, bit := b.at(seq)
		if seq&63 == 0 && last-seq >= 63 {
			b[w] = 0
			seq += 63
		} else {
			b[w] &^= bit
		}
		if seq == last {
			return
		}
	}
}

// grown is a ring of n numbers that holds what b has from low to high.
func (b bitRing) grown(n, low, high uint64) bitRing {
	c := make(bitRing, n>>6)
	for w := low >> 6; w <= high>>6; w++ {
		v := b[w&uint64(len(b)-1)]
		if w == low>>6 {
			v &= ^uint64(0) << (low & 63) // the ring's other end may be in the same word
		}
		if w == high>>6 {
			v &= ^uint64(0) >> (63 - high&63)
		}
		c[w&uint64(len(c)-1)] |= v
	}
	return c
}

// seenWindow knows which packets of one start of a node have been here, by
// their sequence numbers. It starts small and grows as far as it must.
//
// What moves it on must come by the link that leads to the node: who lies on
// another one could leave all that comes behind it by a large number. What is
// ahead of it on other links goes to the sets.
type seenWindow struct {
	boot      uint64
	far       uint64    // largest number that went to the sets
	used      time.Time // when a number was taken last
	high, low uint64    // largest and smallest number taken, low at most seenSpan behind
	taken     bitRing   // nil: none yet
	treed     bitRing   // of those, what went along a tree only; nil: nothing did
}

// take notes a number and reports whether it was new.
func (w *seenWindow) take(seq uint64) bool {
	switch {
	case w.taken == nil:
		w.taken = make(bitRing, seenFirst>>6)
		w.high, w.low = seq, seq
	case seq > w.high:
		low := w.low
		if seq-low >= seenSpan {
			low = seq - seenSpan + 1
		}
		if low > w.high {
			low = seq // nothing of the past is left
		}
		w.fit(seq - low + 1)
		w.taken.clear(w.high+1, seq)
		if w.treed != nil {
			w.treed.clear(w.high+1, seq)
		}
		w.high, w.low = seq, low
	case w.high-seq >= seenSpan:
		return false
	case seq < w.low:
		w.fit(w.high - seq + 1)
		w.low = seq
	case w.taken.has(seq):
		return false
	}
	w.taken.set(seq)
	return true
}

// holds reports whether a number is one of those that the window tells of.
func (w *seenWindow) holds(seq uint64) bool {
	return w.taken != nil && seq <= w.high && seq >= w.low
}

// ahead reports whether a number is larger than all that were taken.
func (w *seenWindow) ahead(seq uint64) bool { return w.taken == nil || seq > w.high }

// renew forgets a past that cannot be: the node counts far below it, and nothing
// of what it says came for longer than any node is silent.
func (w *seenWindow) renew(seq uint64, now time.Time) {
	if !w.ahead(seq) && w.high-seq >= seenSpan && now.Sub(w.used) >= aliveFor {
		w.taken, w.treed = nil, nil
	}
}

// has reports whether take would say no.
func (w *seenWindow) has(seq uint64) bool {
	switch {
	case w.taken == nil || seq > w.high:
		return false
	case w.high-seq >= seenSpan:
		return true
	}
	return seq >= w.low && w.taken.has(seq)
}

// fit grows the window to n numbers or more.
func (w *seenWindow) fit(n uint64) {
	if n <= uint64(len(w.taken))<<6 {
		return
	}
	n = 1 << bits.Len64(n-1)
	w.taken = w.taken.grown(n, w.low, w.high)
	if w.treed != nil {
		w.treed = w.treed.grown(n, w.low, w.high)
	}
}

// mark notes that a packet which was just taken went along a tree only.
func (w *seenWindow) mark(seq uint64) {
	if w.treed == nil {
		w.treed = make(bitRing, len(w.taken))
	}
	w.treed.set(seq)
}

// unmark reports whether a packet that was taken went along a tree only, once.
func (w *seenWindow) unmark(seq uint64) bool {
	if w.treed == nil || seq > w.high || seq < w.low || !w.treed.has(seq) {
		return false
	}
	w.treed.clear(seq, seq)
	return true
}

// windows are those of a node's last two starts, as it told of them itself.
type windows struct {
	now, before *seenWindow
	since       time.Time // of now; there may be packets in the sets that are older
}

// begin makes a window for a start that is newer than all before.
func (w *windows) begin(boot uint64, at time.Time) {
	w.before, w.now, w.since = w.now, &seenWindow{boot: boot}, at
}

// of returns the window of a start, nil if there is none.
func (w *windows) of(boot uint64) *seenWindow {
	switch {
	case w.now != nil && w.now.boot == boot:
		return w.now
	case w.before != nil && w.before.boot == boot:
		return w.before
	}
	return nil
}

// seenKey names a packet whose number says nothing about others. It is a hash
// under random keys: what a packet is called, others may choose.
type seenKey [2]uint64

// seenSets know of packets of nodes that do not number them, of those of nodes
// that are not known, and of responses: the numbers of these are another node's.
// They are forgotten after one to two times seenRotate.
type seenSets struct {
	seeds      [2]maphash.Seed // fixed
	young, old map[seenKey]struct{}
	rotated    time.Time
	numbered   [2]int // of young and old: packets that could have gone to a window
}

func newSeenSets() *seenSets {
	return &seenSets{
		seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		young: map[seenKey]struct{}{}, old: map[seenKey]struct{}{},
	}
}

// key is (is response, source, nonce), for responses with the destination: two
// who ask the same node may use the same nonce.
func (s *seenSets) key(p *meshpb.Packet) seenKey {
	k := struct {
		response            bool
		source, nonce, dest string
		boot, seq           uint64
	}{p.GetResponse() != nil, p.GetSource(), p.GetNonce(), "", p.GetBoot(), p.GetSeq()}
	if k.response {
		k.dest = p.GetDestination()
	}
	return seenKey{maphash.Comparable(s.seeds[0], k), maphash.Comparable(s.seeds[1], k)}
}

func (s *seenSets) has(k seenKey) bool {
	if _, ok := s.young[k]; ok {
		return true
	}
	_, ok := s.old[k]
	return ok
}

func (s *seenSets) take(p *meshpb.Packet, now time.Time) bool {
	k := s.key(p)
	if s.has(k) {
		return false
	}
	if len(s.young) >= seenLimit {
		s.rotate(now)
	}
	s.young[k] = struct{}{}
	if numbered(p) {
		s.numbered[0]++
	}
	return true
}

// rotate forgets the older generation.
func (s *seenSets) rotate(now time.Time) {
	s.young, s.old, s.rotated = map[seenKey]struct{}{}, s.young, now
	s.numbered[0], s.numbered[1] = 0, s.numbered[0]
}

// age rotates when it is time to.
func (s *seenSets) age(now time.Time) {
	if now.Sub(s.rotated) >= seenRotate {
		s.rotate(now)
	}
}

// numbered reports whether a packet's nonce is a number of its own source.
func numbered(p *meshpb.Packet) bool {
	return p.GetBoot() != 0 && p.GetSeq() < drawn && p.GetResponse() == nil
}

// window returns where a packet of v is looked up, nil for the sets.
func (v *vertex) window(p *meshpb.Packet) *seenWindow {
	if v == nil || !numbered(p) {
		return nil
	}
	return v.windows.of(p.GetBoot())
}

// first notes that a packet of v came, which may be nil, and reports whether
// none like it did before. leads tells that it came by the link that leads to v.
func (s *seenSets) first(v *vertex, p *meshpb.Packet, now time.Time, leads bool) bool {
	w, seq := v.window(p), p.GetSeq()
	switch {
	case w == nil:
		return s.take(p, now)
	case leads:
		w.renew(seq, now)
	case w.ahead(seq):
		w.far = max(w.far, seq)
		return s.take(p, now)
	}
	if !w.take(seq) {
		return false
	}
	w.used = now
	if s.numbered[0]+s.numbered[1] > 0 && (seq <= w.far || now.Sub(v.windows.since) < 2*seenRotate) {
		return !s.has(s.key(p))
	}
	return true
}

// known reports whether first would say no.
func (s *seenSets) known(v *vertex, p *meshpb.Packet) bool {
	if w := v.window(p); w != nil && w.has(p.GetSeq()) {
		return true
	}
	return s.has(s.key(p))
}
