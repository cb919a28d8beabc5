package field

import "slices"

// maxGaps bounds how many gaps a track remembers; the oldest are forgotten, and what fills them later is taken for a
// duplicate.
const maxGaps = 4096

// track follows the sequence numbers of one publisher on one channel, as one subscriber sees them.
type track struct {
	next uint64 // one more than the highest seen
	gaps []span // passed over and not seen yet, ascending
}

// span is the numbers from first up to, not including, end.
type span struct{ first, end uint64 }

type verdict int

const (
	fresh     verdict = iota // seen for the first time, and higher than all before
	late                     // seen for the first time, after a higher one
	duplicate                // seen before
)

// see notes a number. skipped is how many numbers a fresh one has passed over.
func (t *track) see(seq uint64) (v verdict, skipped uint64) {
	if seq >= t.next {
		skipped = seq - t.next
		if skipped > 0 {
			if len(t.gaps) == maxGaps {
				t.gaps = slices.Delete(t.gaps, 0, 1)
			}
			t.gaps = append(t.gaps, span{t.next, seq})
		}
		t.next = seq + 1
		return fresh, skipped
	}
	i, found := slices.BinarySearchFunc(t.gaps, seq, func(g span, n uint64) int {
		switch {
		case n < g.first:
			return 1
		case n >= g.end:
			return -1
		}
		return 0
	})
	if !found {
		return duplicate, 0
	}
	g := t.gaps[i]
	left, right := span{g.first, seq}, span{seq + 1, g.end}
	t.gaps = slices.Delete(t.gaps, i, i+1)
	if right.first < right.end {
		t.gaps = slices.Insert(t.gaps, i, right)
	}
	if left.first < left.end {
		t.gaps = slices.Insert(t.gaps, i, left)
	}
	return late, 0
}

// missing is how many numbers below the highest were never seen.
func (t *track) missing() uint64 {
	var n uint64
	for _, g := range t.gaps {
		n += g.end - g.first
	}
	return n
}
