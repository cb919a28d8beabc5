package mesh

import "time"

// How long it counts over which link a node was heard, and of how many nodes
// that are not known this is remembered: one to two times as many.
const (
	learnedFor  = 60 * time.Second
	learnedMost = 2048
)

// learned tells over which link nodes were heard first, last time: the way back
// to those that say nothing of their links. What is known of a node's own place
// is in its vertex; here are the others, in two generations.
type learned struct {
	young, old map[string]hearing
}

// hearing is when a node was heard, and over which link.
type hearing struct {
	over *lane
	at   time.Time
}

// note remembers that a node, v if it is known, was heard first over a link.
func (l *learned) note(v *vertex, name string, over *lane, now time.Time) {
	switch {
	case over == nil:
	case v != nil:
		v.hearing = hearing{over, now}
	default:
		if l.young == nil || len(l.young) >= learnedMost {
			l.young, l.old = map[string]hearing{}, l.young
		}
		l.young[name] = hearing{over, now}
	}
}

// way returns the link by which a node was heard, nil if that is too long ago or
// the link is no more.
func (l *learned) way(v *vertex, name string, now time.Time) *lane {
	h, ok := hearing{}, false
	if v != nil {
		h = v.hearing
	}
	if h.over == nil {
		if h, ok = l.young[name]; !ok {
			h = l.old[name]
		}
	}
	if h.over == nil || h.over.down || now.Sub(h.at) > learnedFor {
		return nil
	}
	return h.over
}

// age forgets what nobody may use any more.
func (l *learned) age(now time.Time) {
	for _, m := range []map[string]hearing{l.young, l.old} {
		for name, h := range m {
			if h.over.down || now.Sub(h.at) > learnedFor {
				delete(m, name)
			}
		}
	}
}
