package mesh

import "time"

// How much of long answers the nodes behind one link may have: so much at once,
// and then so much a second. A command for one is short and goes a long way, the
// answer comes back over links that others need, too. Both lists of a node at
// their longest are within it.
const (
	spendMost  = 2 * listingMost // bytes
	spendRate  = 4 << 20         // bytes a second
	spendLeast = 4 << 10         // bytes that the shortest list counts for: it must be made
)

// spending is what was answered lately, by the peer that the commands came over.
type spending map[string]*spent

type spent struct {
	bytes float64 // at, of spendMost
	at    time.Time
}

// may reports whether there is something left. The last answer may be over it.
func (s spending) may(from string, now time.Time) bool {
	p := s[from]
	if p == nil {
		return true
	}
	p.bytes, p.at = p.bytes-now.Sub(p.at).Seconds()*spendRate, now
	if p.bytes <= 0 {
		delete(s, from)
		return true
	}
	return p.bytes < spendMost
}

// note counts an answer; may was asked before.
func (s spending) note(from string, bytes int, now time.Time) {
	p := s[from]
	if p == nil {
		p = &spent{at: now}
		s[from] = p
	}
	p.bytes += float64(max(bytes, spendLeast))
}

// age forgets who has everything left again.
func (s spending) age(now time.Time) {
	for from := range s {
		s.may(from, now)
	}
}
