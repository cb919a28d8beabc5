package mesh

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/messages/linkpb"
)

const (
	tripsKept   = 5 // round trips that a median is made of
	highAllowed = 2 // high medians in a row that are no ailment yet
)

// trips holds a link's last round trips, in ms. The zero value has none.
type trips struct {
	ms   [tripsKept]float64
	n    int // of ms, in use
	next int // to be overwritten
}

// add notes a round trip and returns the median of the last ones.
func (t *trips) add(d time.Duration) (ms float64) {
	t.ms[t.next] = float64(d) / float64(time.Millisecond)
	t.next = (t.next + 1) % tripsKept
	t.n = min(t.n+1, tripsKept)
	sorted := t.ms
	s := sorted[:t.n]
	slices.Sort(s)
	if t.n%2 == 0 {
		return (s[t.n/2-1] + s[t.n/2]) / 2
	}
	return s[t.n/2]
}

// timed is a new median of a link's round trips. From peer to peers.
type timed struct {
	who *actor.PID // peer
	ms  float64
}

// onRoundTrip also counts as a sign of life.
func (p *peer) onRoundTrip(ctx actor.Context, m *linkpb.RoundTrip) {
	p.pulse.beat()
	if ns := m.GetNanoseconds(); ns > 0 {
		ctx.Send(p.peers, &timed{ctx.Self(), p.trips.add(time.Duration(ns))})
	}
}

func (p *peers) onTimed(ctx actor.Context, m *timed) {
	t := p.ties[m.who.GetId()]
	if t == nil {
		return
	}
	t.ms, t.timed = m.ms, true
	if limit := p.o.HighRTT; limit > 0 && m.ms > float64(limit)/float64(time.Millisecond) {
		t.high++
	} else {
		t.high = 0
	}
	if t.linked {
		ctx.Send(p.met.hello, &measured{t.name, t.ms})
		p.examine(ctx)
	}
}
