package link

import "sync/atomic"

// Budget is the node-wide ceiling of bytes queued outbound. When it is passed,
// the links with the largest queues are closed until a tenth is free again.
type Budget struct {
	limit int64 // bytes; 0: none
	used  atomic.Int64
	asked atomic.Bool // somebody is already making room
	over  func()      // called once when the limit is passed, off the actors; set by links
}

// NewBudget returns a ceiling of limit bytes; 0 is no ceiling.
func NewBudget(limit int64) *Budget { return &Budget{limit: limit} }

// Used is how many bytes are queued outbound now.
func (b *Budget) Used() int64 { return b.used.Load() }

func (b *Budget) add(n int) {
	if used := b.used.Add(int64(n)); b.limit > 0 && n > 0 && used > b.limit && b.over != nil && b.asked.CompareAndSwap(false, true) {
		b.over()
	}
}

// crowded reports whether room must still be made, and ends the request when not.
func (b *Budget) crowded() bool {
	if b.limit > 0 && b.used.Load() > b.limit/10*9 {
		return true
	}
	b.asked.Store(false)
	return false
}
