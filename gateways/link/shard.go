package link

import (
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages"
)

// shardLimit is how many bytes of multicasts may wait for one shard; channels
// refuse to publish ("slow down") before it is reached.
const shardLimit = 64 << 20

// Fanout is a gateway's shards, for the actors that multicast to its links.
type Fanout struct {
	Shards []*actor.PID
	Gauges []*tree.Gauge // what is queued for each
}

// SpawnShards starts a gateway's shards.
func SpawnShards(ctx actor.SpawnerContext, name string, k *Kind) Fanout {
	var f Fanout
	for i := range k.Shards {
		s := &shard{kind: k, links: map[uint64]*Outbound{}}
		g := &tree.Gauge{}
		f.Gauges = append(f.Gauges, g)
		s.self = tree.Spawn(ctx, name+"-"+string(rune('a'+i)), tree.Spec{
			New:   func() actor.Actor { return s }, // the members outlive a restart
			Limit: shardLimit, Batch: true, Gauge: g,
			Refused: func(m any) { s.refused(m) },
		})
		f.Shards = append(f.Shards, s.self)
	}
	return f
}

// shard fans out to its part of a gateway's links, and keeps their timer wheel.
//
//	parent    node
//	receives  tree.Batch of messages.Multicast, attach, detach, tick, evict, settle
//	sends     evict to the next shard
//	stops     with the node
type shard struct {
	kind *Kind // fixed at spawn, as self
	self *actor.PID

	links   map[uint64]*Outbound // owned, as all of this block; by member
	wheel   wheel
	groups  []group
	work    []parcel // of this batch; the slices in it are used again
	touched int      // of work, in use
	join    []byte   // scratch for one write
	arena   []byte   // scratch for answers of one batch
	round   int      // tells ticks of an earlier incarnation
}

// attach and detach tell a shard which links it has.
type (
	attach struct{ out *Outbound }
	detach struct{ out *Outbound }
	tick   struct{ round int }
	// settle gives back the credit of a multicast that the queue refused.
	settle struct {
		origin uint64
		charge uint32
	}
	// evict asks all shards in turn what is queued; the last makes room.
	evict struct {
		rest   []*actor.PID // shards still to be asked
		queues []queue
	}
)

// IgnoreDeadLetterLogging marks messages that may find the shard stopped.
func (*detach) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find the shard stopped.
func (tick) IgnoreDeadLetterLogging() {}

func (s *shard) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		s.onStarted(ctx)
	case *tree.Batch:
		s.onBatch(m)
	case *attach:
		s.links[m.out.member] = m.out
		s.wheel.add(m.out, s.wheel.now+s.wheel.first(s.kind))
	case *detach:
		delete(s.links, m.out.member)
		m.out.detach()
	case tick:
		s.onTick(ctx, m)
	case settle:
		if o := s.links[m.origin]; o != nil {
			o.credit.give(m.charge)
		}
	case evict:
		s.onEvict(ctx, m)
	}
}

// refused runs on a sender's goroutine when the queue is over its limit. The
// sender's answer is lost with the message: nothing was promised.
func (s *shard) refused(msg any) {
	m, ok := msg.(*messages.Multicast)
	lost := 1
	if ok && m.Count > 0 {
		lost = m.Count * (len(m.Members) + len(m.Lossy))
	}
	s.kind.metrics.Drop(tree.MailboxFull, lost)
	if ok && m.Charge > 0 {
		s.kind.root.Send(s.self, settle{m.Origin, m.Charge})
	}
	if ok && m.Written != nil {
		m.Written()
	}
}

func (s *shard) onStarted(ctx actor.Context) {
	s.round++
	s.groups, s.work, s.touched = nil, nil, 0 // a panic may have left half a batch
	for _, o := range s.links {
		o.place = 0
		o.credit.reset() // what a lost batch would have given back
	}
	tree.After(ctx, time.Second, tick{s.round})
}

// group is the multicasts of one batch that go to the same members.
type group struct {
	first *messages.Multicast
	all   []*messages.Multicast
}

// key tells whether two multicasts go to the same members: lists are frozen, so
// the same memory is the same list.
type key struct {
	members, lossy *uint64
	n, m           int
}

func keyOf(m *messages.Multicast) key {
	k := key{n: len(m.Members), m: len(m.Lossy)}
	if k.n > 0 {
		k.members = &m.Members[0]
	}
	if k.m > 0 {
		k.lossy = &m.Lossy[0]
	}
	return k
}

func (s *shard) onBatch(b *tree.Batch) {
	s.group(b)
	s.arena = s.arena[:0]
	next, direct := 0, len(s.groups) == 1
	for _, l := range b.Messages {
		m := l.(*messages.Multicast)
		if next < len(s.groups) && s.groups[next].first == m {
			if direct {
				s.sendAll() // earlier answers: "you are subscribed" comes before the first message
			}
			s.deliver(&s.groups[next], direct)
			next++
		}
		s.answer(m)
	}
	s.sendAll()
	for _, l := range b.Messages { // after the writes: a publisher is slowed by what it caused
		m := l.(*messages.Multicast)
		if o := s.links[m.Origin]; o != nil && m.Charge > 0 {
			o.credit.give(m.Charge)
		}
		if m.Written != nil {
			m.Written()
		}
	}
	clear(s.groups)
	s.groups = s.groups[:0]
	if cap(s.arena) > keepBuffer {
		s.arena = nil
	}
	if cap(s.join) > keepBuffer {
		s.join = nil
	}
}

// group sorts a batch by members, in order of first appearance.
func (s *shard) group(b *tree.Batch) {
	var index map[key]int
	for i, l := range b.Messages {
		m := l.(*messages.Multicast)
		if m.Frame == nil || len(m.Members)+len(m.Lossy) == 0 {
			continue
		}
		k := keyOf(m)
		if n := len(s.groups); n > 0 && keyOf(s.groups[n-1].first) == k {
			s.groups[n-1].all = append(s.groups[n-1].all, m)
			continue
		}
		if index == nil && len(s.groups) > 0 {
			index = make(map[key]int, len(b.Messages)-i+len(s.groups))
			for j := range s.groups {
				index[keyOf(s.groups[j].first)] = j
			}
		}
		if j, ok := index[k]; ok {
			s.groups[j].all = append(s.groups[j].all, m)
			continue
		}
		if index != nil {
			index[k] = len(s.groups)
		}
		s.groups = append(s.groups, group{first: m, all: []*messages.Multicast{m}})
	}
}

func (s *shard) onEvict(ctx actor.Context, m evict) {
	for _, o := range s.links {
		if n := o.bytes.Load(); n > 0 {
			m.queues = append(m.queues, queue{o, n})
		}
	}
	if len(m.rest) > 0 {
		ctx.Send(m.rest[0], evict{m.rest[1:], m.queues})
		return
	}
	before := s.kind.Budget.Used()
	if n := s.kind.Budget.makeRoom(m.queues); n > 0 {
		tree.Log(ctx.ActorSystem()).Warn("outbound ceiling passed, closed the links with the largest queues",
			slog.Int("links", n), slog.Int64("queued", before), slog.Int64("left", s.kind.Budget.Used()))
	}
}
