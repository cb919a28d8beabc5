package link

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
)

// wheelSlots is the size of the timer wheel, in seconds; later dues go round
// again. A power of two above the usual ping and dead times.
const wheelSlots = 128

// trimEvery is how often, in seconds, a shard lets go of room for parcels, whose
// size is that of its busiest moment.
const trimEvery = 16

// wheel visits each link at its next due second: one timer for all pings and
// silence deadlines of a shard.
type wheel struct {
	now   int64 // seconds since start
	slots [wheelSlots][]*Outbound
}

func (w *wheel) add(o *Outbound, due int64) {
	o.due = due
	i := due % wheelSlots
	w.slots[i] = append(w.slots[i], o)
}

// first is when a new link is visited: after a ping interval, or when it may be
// dead, whichever is set; after a second where round trips are wanted.
func (w *wheel) first(k *Kind) int64 {
	if k.RoundTrips {
		return 1
	}
	return max(1, seconds(nearest(k.Ping, k.Dead)))
}

func nearest(a, b time.Duration) time.Duration {
	switch {
	case a == 0:
		return b
	case b == 0:
		return a
	}
	return min(a, b)
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

func (s *shard) onTick(ctx actor.Context, m tick) {
	if m.round != s.round {
		return
	}
	tree.After(ctx, time.Second, tick{s.round})
	now := s.kind.seconds()
	s.kind.clock.Store(now)
	for s.wheel.now < now { // more than one, if this shard was busy
		s.wheel.now++
		s.turn(s.wheel.now)
	}
	if s.wheel.now%trimEvery == 0 {
		s.work = nil
	}
}

// turn visits the links of one second.
func (s *shard) turn(now int64) {
	if s.kind.Ping == 0 && s.kind.Dead == 0 {
		s.wheel.slots[now%wheelSlots] = nil
		return
	}
	slot := &s.wheel.slots[now%wheelSlots]
	due := *slot
	*slot = nil
	for _, o := range due {
		switch {
		case o.gone:
		case o.due > now:
			s.wheel.add(o, o.due)
		default:
			s.visit(o, now)
		}
	}
}

// visit pings a link, or ends one that was silent for too long. One with a
// backlog is not asked for signs of life: the write time-out watches it. One that
// nobody reads cannot give any; it is pinged, so that it sees that we live.
func (s *shard) visit(o *Outbound, now int64) {
	behind := o.bytes.Load() > 0
	if behind || o.credit.spent() {
		o.Seen()
	}
	ping, dead := seconds(s.kind.Ping), seconds(s.kind.Dead)
	silent := now - o.seen.Load()
	if dead > 0 && silent >= dead {
		o.shut(closePolicy, "no sign of life")
		o.tell(&ended{"no sign of life"})
		return
	}
	next := now + wheelSlots
	if ping > 0 {
		if now-o.pinged >= ping || o.pinged == 0 && s.kind.RoundTrips {
			o.pinged = now
			if !behind {
				o.ping()
			}
		}
		next = min(next, o.pinged+ping)
	}
	if dead > 0 {
		next = min(next, o.seen.Load()+dead)
	}
	s.wheel.add(o, max(next, now+1))
}

// Seen notes that something came from the peer.
func (o *Outbound) Seen() { o.seen.Store(o.kind.clock.Load()) }

// question is a ping whose pong is waited for.
type question struct {
	data [8]byte // drawn: nobody can answer before it was asked
	at   time.Time
}

// ponged tells the link actor how long a ping took.
type ponged struct{ took time.Duration }

// IgnoreDeadLetterLogging marks messages that may find the link stopped.
func (*ponged) IgnoreDeadLetterLogging() {}

// ping asks for a sign of life; one that is to be timed forgets those before it.
func (o *Outbound) ping() {
	var data []byte
	if o.kind.RoundTrips {
		q := &question{at: time.Now()}
		binary.NativeEndian.PutUint64(q.data[:], rand.Uint64())
		o.asked.Store(q)
		data = q.data[:]
	}
	o.send(nil, chunk{wire: o.kind.Framing.AppendPing(nil, data), frames: 1})
}

// Ponged notes a pong. One that answers another ping than the last, or none at
// all, tells nothing.
func (o *Outbound) Ponged(data []byte) {
	q := o.asked.Load()
	if q == nil || string(data) != string(q.data[:]) || !o.asked.CompareAndSwap(q, nil) {
		return
	}
	took := time.Since(q.at)
	o.mu.Lock()
	defer o.unlock()
	o.say(&ponged{took})
}

// Pong answers a ping.
func (o *Outbound) Pong(data []byte) {
	o.send(nil, chunk{wire: o.kind.Framing.AppendPong(nil, data), frames: 1})
}

// detach lets go of the link actor: until the wheel comes round, the outbound
// is still held, and a held PID would keep all that the actor had.
func (o *Outbound) detach() {
	o.gone = true
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tell = func(any) {}
}
