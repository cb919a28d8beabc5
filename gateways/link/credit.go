package link

import (
	"sync"
	"sync/atomic"

	"parley/messages"
)

// creditLimit is how many charges (messages.Charge) of a link may be unsettled
// before its reader waits: the peer is slowed by TCP, memory stays flat.
const creditLimit = messages.ChargeAll

// credit counts what a link's peer has sent and nobody has settled yet.
type credit struct {
	held   atomic.Int64
	closed atomic.Bool
	mu     sync.Mutex
	cond   *sync.Cond // made by the first wait
}

// take adds n for a message about to be handed on.
func (c *credit) take(n uint32) { c.held.Add(int64(n)) }

// wait returns when the next message may be read; false: the link is closed.
func (c *credit) wait() bool {
	if c.held.Load() < creditLimit {
		return !c.closed.Load()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cond == nil {
		c.cond = sync.NewCond(&c.mu)
	}
	for c.held.Load() >= creditLimit && !c.closed.Load() {
		c.cond.Wait()
	}
	return !c.closed.Load()
}

// spent reports that nothing more is read for now.
func (c *credit) spent() bool { return c.held.Load() >= creditLimit }

// give settles n. More than is held counts as all: after reset, late
// settlements of what was forgiven may still come.
func (c *credit) give(n uint32) {
	for {
		old := c.held.Load()
		now := max(old-int64(n), 0)
		if c.held.CompareAndSwap(old, now) {
			if old >= creditLimit && now < creditLimit {
				c.wake()
			}
			return
		}
	}
}

// reset forgives all: who held it is gone.
func (c *credit) reset() {
	c.held.Store(0)
	c.wake()
}

// close lets the reader go.
func (c *credit) close() {
	c.closed.Store(true)
	c.wake()
}

func (c *credit) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cond != nil {
		c.cond.Broadcast()
	}
}
