//go:build linux

package field

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"parley/cmd/parley/bench/crowd"
	"parley/cmd/parley/bench/report"
)

// Field is one run's channels with all that subscribe and publish on them, connected.
type Field struct {
	// fixed
	o      *report.Options
	target *Target
	crowd  *crowd.Crowd
	names  []string // of the channels
	pubs   []*publisher
	subs   []*listener

	// one a loop, owned by it
	tallies []*Tally

	// the phase that runs
	closedLoop atomic.Bool   // a publisher that has finished a burst sends the next
	deadline   atomic.Int64  // when no more bursts begin, ns since 1970
	active     atomic.Int64  // publishers that have not finished
	finished   chan struct{} // capacity 1: the last one has
}

// New makes a field without anybody in it. Channel names are new every time, so that what a server remembers of
// earlier runs does not matter.
func New(o *report.Options, t *Target, channels int) (*Field, error) {
	c, err := crowd.New(o.Readers, o.Pause)
	if err != nil {
		return nil, err
	}
	f := &Field{o: o, target: t, crowd: c, finished: make(chan struct{}, 1)}
	run := strings.ToLower(rand.Text()[:6])
	for i := range channels {
		f.names = append(f.names, fmt.Sprintf("bench-%s-%d", run, i))
	}
	for range c.Loops() {
		f.tallies = append(f.tallies, NewTally())
	}
	return f, nil
}

// Close leaves with every connection.
func (f *Field) Close() { f.crowd.Close() }

// Populate connects perChannel subscribers to every channel and the publishers, who share the channels among them; with
// fewer channels than publishers, all publish on all.
func (f *Field) Populate(ctx context.Context, perChannel, publishers int) error {
	shared := publishers > len(f.names)
	first := func(channel int) (pub, count int) {
		if shared {
			return 0, publishers
		}
		return channel % publishers, 1
	}
	n := perChannel * len(f.names)
	f.subs = make([]*listener, n)
	err := crowd.Gather(ctx, n, f.o.ConnectParallel, func(ctx context.Context, i int) (err error) {
		channel := i % len(f.names)
		pub, count := first(channel)
		l := f.newListener(i, RoleSubscriber, channel, pub, count)
		f.subs[i] = l
		l.m, err = f.dial(ctx, i, f.names[channel])
		return err
	})
	f.pubs = make([]*publisher, publishers)
	if err == nil {
		err = crowd.Gather(ctx, publishers, f.o.ConnectParallel, func(ctx context.Context, i int) (err error) {
			p := newPublisher(f, i)
			f.pubs[i] = p
			for c := range f.names {
				if pub, count := first(c); i >= pub && i < pub+count {
					p.routes = append(p.routes, route{channel: c, listeners: perChannel + count - 1})
				}
			}
			p.listener = f.newListener(n+i, RolePublisher, p.routes[0].channel, 0, publishers)
			p.self = i
			p.m, err = connect(ctx, f.o, f.target.publisher(n, i), p.names()...)
			return err
		})
	}
	return f.join(err)
}

// join hands all connections to the crowd. After a failure it closes those that were made.
func (f *Field) join(failed error) error {
	for i, s := range f.subs {
		failed = f.joinOne(failed, s, s, i)
	}
	for i, p := range f.pubs {
		if p != nil {
			failed = f.joinOne(failed, p.listener, p, len(f.subs)+i)
		}
	}
	return failed
}

func (f *Field) joinOne(failed error, l *listener, sink crowd.Sink, i int) error {
	switch {
	case l == nil || l.m == nil:
		return failed
	case failed != nil:
		l.m.Leave()
		return failed
	}
	return f.crowd.Join(l.m, sink, i%f.crowd.Loops(), false)
}

// newListener makes the listener of connection i; it expects the messages of count publishers from the first on.
func (f *Field) newListener(i int, r Role, channel, first, count int) *listener {
	return &listener{
		f: f, t: f.tallies[i%len(f.tallies)], role: r,
		channel: channel, first: first, tracks: make([]track, count), self: -1,
	}
}

// dial opens connection i and subscribes it.
func (f *Field) dial(ctx context.Context, i int, channels ...string) (*crowd.Member, error) {
	return Connect(ctx, f.o, f.target, i, channels...)
}

// Channel is the name of channel i.
func (f *Field) Channel(i int) string { return f.names[i] }

// Total adds up all loops' tallies.
func (f *Field) Total() *Tally {
	sum := NewTally()
	f.crowd.Rest(func() {
		for _, t := range f.tallies {
			sum.Add(t)
		}
	})
	return sum
}

// reset begins to count anew. Nothing may be under way.
func (f *Field) reset() {
	f.crowd.Rest(func() {
		for _, t := range f.tallies {
			t.Reset()
		}
	})
	for _, p := range f.pubs {
		p.reset()
	}
}

// expected is what the publishers have sent since reset: messages, and deliveries to counted listeners.
func (f *Field) expected() (messages uint64, deliveries int64) {
	for _, p := range f.pubs {
		m, d := p.sent()
		messages += m
		deliveries += d
	}
	return messages, deliveries
}

// watchStep is how often a phase is looked at for progress.
const watchStep = 50 * time.Millisecond

var ErrPublisherGone = errors.New("field: server closed a publisher's connection")

// await waits until nothing is under way. Without progress for StallAfter it gives up, or, when losses are allowed and
// bursts follow each other, pushes the publishers on, three times in a row. stalled says that something never came.
func (f *Field) await(ctx context.Context) (stalled bool, err error) {
	t := time.NewTicker(watchStep)
	defer t.Stop()
	var last uint64
	since, pushed := time.Now(), 0
	for {
		select {
		case <-f.finished:
			return stalled, nil
		case <-ctx.Done():
			return stalled, ctx.Err()
		case <-t.C:
		}
		for _, p := range f.pubs {
			if p.isGone() {
				return true, ErrPublisherGone
			}
		}
		now := f.progress()
		if now != last {
			last, since, pushed = now, time.Now(), 0
			continue
		}
		if time.Since(since) < f.o.StallAfter {
			continue
		}
		stalled = true
		const mostPushes = 3
		if pushed++; !f.o.AllowLoss || pushed > mostPushes || !f.closedLoop.Load() {
			f.abandon()
			return stalled, nil
		}
		since = time.Now()
		for _, p := range f.pubs {
			p.push()
		}
	}
}

// abandon forgets what is under way.
func (f *Field) abandon() {
	f.closedLoop.Store(false)
	for _, p := range f.pubs {
		p.abandon()
	}
	select {
	case <-f.finished:
	default:
	}
}

func (f *Field) progress() uint64 {
	var n uint64
	f.crowd.Rest(func() {
		for _, t := range f.tallies {
			n += t.delivered
			for _, a := range t.Answers {
				n += a
			}
		}
	})
	return n
}

// done is called by a publisher that has nothing under way and will send no more.
func (f *Field) done() {
	if f.active.Add(-1) == 0 {
		select {
		case f.finished <- struct{}{}:
		default:
		}
	}
}
