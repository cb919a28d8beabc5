package vault

import (
	"container/list"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// How checks are slowed down. A member that got the present password right is
// slowed by its own failures only; all others share one line, in which each
// failure of anybody delays the next check of anybody: a fresh connection is no
// fresh start.
const (
	delayFirst = time.Second      // after one failure; doubles
	delayMost  = 30 * time.Second // 1,000 guesses take 8 hours
	// forgiven is after how long without a failure counting begins anew. Whoever
	// waits for that guesses slower than once in delayMost.
	forgiven = 15 * time.Minute

	lineMost    = 8    // checks of one member that wait
	membersMost = 4096 // that are remembered
)

// delay is how long nothing is checked after so many failures in a row.
func delay(failures int) time.Duration {
	if failures < 1 {
		return 0
	}
	return min(delayFirst<<min(failures-1, 10), delayMost)
}

// strikes counts failures.
type strikes struct {
	count int
	ready time.Time // nothing is checked before
	last  time.Time
}

func (s *strikes) failed(now time.Time) {
	if now.Sub(s.last) > forgiven {
		s.count = 0
	}
	s.count++
	s.last, s.ready = now, now.Add(delay(s.count))
}

// member is a connection that asked.
type member struct {
	id      uint64
	proven  bool // it got the present password right
	strikes strikes
	line    []*ask // waiting, the one at work first
	working bool
	waiting bool // it is among the strangers or the sleepers
	place   *list.Element
}

// ask is a CheckRequest, RekeyRequest or RevealRequest.
type ask struct {
	asker    *actor.PID // nil: the safe itself
	member   uint64
	serial   uint64
	password *string // nil: none was given
	m        any
}

// members are remembered, the longest unused first to be forgotten.
type members struct {
	byID  map[uint64]*member
	order *list.List // newest first
}

func newMembers() members { return members{map[uint64]*member{}, list.New()} }

// of finds or makes a member; nil: there are too many.
func (ms *members) of(id uint64) *member {
	if m := ms.byID[id]; m != nil {
		ms.order.MoveToFront(m.place)
		return m
	}
	if len(ms.byID) >= membersMost && !ms.forgetOne() {
		return nil
	}
	m := &member{id: id}
	m.place = ms.order.PushFront(m)
	ms.byID[id] = m
	return m
}

// forgetOne forgets who has nothing waiting: the longest unused that was never
// right, or else the longest unused.
func (ms *members) forgetOne() bool {
	var found *member
	for e := ms.order.Back(); e != nil; e = e.Prev() {
		m := e.Value.(*member)
		if len(m.line) > 0 {
			continue
		}
		if found == nil {
			found = m
		}
		if !m.proven {
			found = m
			break
		}
	}
	if found == nil {
		return false
	}
	ms.forget(found)
	return true
}

func (ms *members) forget(m *member) {
	delete(ms.byID, m.id)
	ms.order.Remove(m.place)
}
