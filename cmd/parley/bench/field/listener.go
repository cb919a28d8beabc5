//go:build linux

package field

import (
	"parley/cmd/parley/bench/crowd"
	"parley/cmd/parley/bench/wire"
)

// listener is a connection that hears one channel. Its methods are called by its loop.
type listener struct {
	// fixed before it joins
	f       *Field
	t       *Tally
	m       *crowd.Member
	role    Role
	channel int
	first   int // the publisher of tracks[0]
	self    int // its own publisher number, or -1

	// owned by its loop; by publisher, from the first on
	tracks []track
}

// Text takes a delivery, or anything else.
func (l *listener) Text(json []byte, now int64) {
	if s, ok := l.t.finder.Find(json); ok {
		l.hear(s, now)
		return
	}
	if a, ok := wire.ParseAnswer(json); ok {
		l.t.Answered(a)
		return
	}
	l.t.Faults.Stray++
}

func (l *listener) hear(s wire.Stamp, now int64) {
	if l.role == RoleStalled {
		return // it only has to be told why it was closed
	}
	i := s.Publisher - l.first
	switch {
	case s.Publisher == l.self:
		l.t.Faults.Echoes++
		return
	case i < 0 || i >= len(l.tracks) || s.Channel != l.channel:
		l.t.Faults.Misrouted++
		return
	}
	v, skipped := l.tracks[i].see(s.Seq)
	if v == duplicate {
		l.t.Faults.Duplicates++
		return
	}
	l.t.delivered++
	l.t.Latency.Record(now - s.Nanos)
	if v == late {
		l.t.Faults.Reordered++ // it was settled when it was passed over
		return
	}
	if skipped > 0 {
		l.t.Faults.Gaps++
	}
	l.f.pubs[s.Publisher].settle(1 + int64(skipped))
}

// Closed settles what this listener will never get.
func (l *listener) Closed(code int, err error) {
	l.t.Ended(l.role, code, err)
	if l.role == RoleStalled {
		return
	}
	for i := range l.tracks {
		if pub := l.first + i; pub != l.self && pub < len(l.f.pubs) {
			l.f.pubs[pub].lose(l.channel, l.tracks[i].next)
		}
	}
}
