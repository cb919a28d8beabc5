package link

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"
)

// Budget is the node-wide ceiling of bytes queued outbound. When it is passed,
// the links with the largest queues are closed until a tenth is free again.
type Budget struct {
	limit int64 // bytes; 0: none
	used  atomic.Int64
	asked atomic.Bool  // somebody is already making room
	pause atomic.Int64 // Unix nanoseconds: nobody is asked before
	over  func()       // called once when the limit is passed, off the actors; set by links
}

// NewBudget returns a ceiling of limit bytes; 0 is no ceiling.
func NewBudget(limit int64) *Budget { return &Budget{limit: limit} }

// Used is how many bytes are queued outbound now.
func (b *Budget) Used() int64 { return b.used.Load() }

func (b *Budget) add(n int) {
	used := b.used.Add(int64(n))
	if b.limit == 0 || n <= 0 || used <= b.limit || b.over == nil || time.Now().UnixNano() < b.pause.Load() {
		return
	}
	if b.asked.CompareAndSwap(false, true) {
		b.over()
	}
}

// queue is a link's backlog when somebody looked.
type queue struct {
	out   *Outbound
	bytes int64
}

// roomPause is how long a node that is out of room and has nothing more to
// close waits before it looks again.
const roomPause = 20 * time.Millisecond

// makeRoom closes the links with the largest queues, and returns how many.
func (b *Budget) makeRoom(queues []queue) (closed int) {
	crowded := func() bool { return b.used.Load() > b.limit/10*9 }
	slices.SortFunc(queues, func(x, y queue) int { return cmp.Compare(y.bytes, x.bytes) })
	for _, q := range queues {
		if !crowded() {
			break
		}
		if q.out.evict() {
			closed++
		}
	}
	if crowded() {
		b.pause.Store(time.Now().Add(roomPause).UnixNano())
	}
	b.asked.Store(false)
	return closed
}
