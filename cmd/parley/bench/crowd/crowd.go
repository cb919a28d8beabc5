//go:build linux

package crowd

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"parley/cmd/parley/bench/wire"
)

// Crowd is a set of joined members and the loops that read them.
type Crowd struct {
	loops []*loop
	done  sync.WaitGroup
}

// New starts n loops. Each sleeps for pause after every batch of events: more arrives a wake-up, later.
func New(n int, pause time.Duration) (*Crowd, error) {
	c := &Crowd{}
	for range n {
		l, err := newLoop(pause)
		if err != nil {
			c.Close()
			return nil, err
		}
		c.loops = append(c.loops, l)
		c.done.Go(l.run)
	}
	return c, nil
}

// Loops is the number of loops.
func (c *Crowd) Loops() int { return len(c.loops) }

// ErrClosed is returned by Join after Close.
var ErrClosed = errors.New("crowd: closed")

// Join gives a member to loop i. A member that joins stopped is not read before Resume.
func (c *Crowd) Join(m *Member, sink Sink, i int, stopped bool) error {
	l := c.loops[i]
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		m.shut(wire.CloseNormal)
		return ErrClosed
	}
	m.sink, m.loop, m.stopped = sink, l, stopped
	l.members[m.fd] = m
	if stopped {
		return nil
	}
	return l.start(m)
}

// start begins to read.
func (l *loop) start(m *Member) error {
	if !l.leftovers(m) {
		return nil
	}
	return l.watch(m)
}

// leftovers hands over what came along with the answer that Ask waited for. It is false when the connection has ended.
func (l *loop) leftovers(m *Member) bool {
	if !m.scan.Pending() {
		return true
	}
	l.room(m)
	m.scan.Filled(0)
	return l.deliver(m)
}

// Resume begins to read a stopped member.
func (c *Crowd) Resume(m *Member) error {
	m.loop.mu.Lock()
	defer m.loop.mu.Unlock()
	if !m.stopped || m.loop.closed || m.loop.members[m.fd] != m {
		return nil
	}
	m.stopped = false
	return m.loop.start(m)
}

// Take reads at most n bytes of a stopped member now, if there are any, besides what came before it was stopped.
func (c *Crowd) Take(m *Member, n int) {
	l := m.loop
	l.mu.Lock()
	defer l.mu.Unlock()
	if !m.stopped || l.closed || l.members[m.fd] != m {
		return
	}
	if l.leftovers(m) {
		l.limit = n
		l.receive(m, false)
		l.limit = 0
	}
}

// Rest calls f while every loop is between two batches, so that f sees, and may change, what sinks own.
func (c *Crowd) Rest(f func()) {
	for _, l := range c.loops {
		l.mu.Lock()
		defer l.mu.Unlock()
	}
	f()
}

// Close leaves with 1000 at every member, without telling the sinks, and ends the loops.
func (c *Crowd) Close() {
	for _, l := range c.loops {
		l.mu.Lock()
		if !l.closed {
			l.closed = true
			for _, m := range l.members {
				m.shut(wire.CloseNormal)
			}
			clear(l.members)
			_, _ = unix.Write(l.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		}
		l.mu.Unlock()
	}
	c.done.Wait()
}

// Gather calls f for 0 to n-1, up to parallel at a time, and returns the first error; the rest is not begun then.
func Gather(ctx context.Context, n, parallel int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(n, parallel) {
		all.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := f(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}
