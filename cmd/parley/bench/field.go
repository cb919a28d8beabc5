//go:build linux

package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"parley/cmd/parley/bench/crowd"
	"parley/cmd/parley/bench/wire"
)

// field is one run's channels with all that subscribe and publish on them, connected.
type field struct {
	// fixed
	o      *Options
	target *target
	crowd  *crowd.Crowd
	names  []string // of the channels
	pubs   []*publisher
	subs   []*listener

	// one a loop, owned by it
	tallies []*tally

	// the phase that runs
	closedLoop atomic.Bool   // a publisher that has finished a burst sends the next
	deadline   atomic.Int64  // when no more bursts begin, ns since 1970
	active     atomic.Int64  // publishers that have not finished
	finished   chan struct{} // capacity 1: the last one has
}

// newField makes a field without anybody in it. Channel names are new every time, so that what a server remembers of
// earlier runs does not matter.
func newField(o *Options, t *target, channels int) (*field, error) {
	c, err := crowd.New(o.Readers, o.Pause)
	if err != nil {
		return nil, err
	}
	f := &field{o: o, target: t, crowd: c, finished: make(chan struct{}, 1)}
	run := strings.ToLower(rand.Text()[:6])
	for i := range channels {
		f.names = append(f.names, fmt.Sprintf("bench-%s-%d", run, i))
	}
	for range c.Loops() {
		f.tallies = append(f.tallies, newTally())
	}
	return f, nil
}

func (f *field) close() { f.crowd.Close() }

// populate connects perChannel subscribers to every channel and the publishers, who share the channels among them; with
// fewer channels than publishers, all publish on all.
func (f *field) populate(ctx context.Context, perChannel, publishers int) error {
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
		l := f.newListener(i, roleSubscriber, channel, pub, count)
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
			p.listener = f.newListener(n+i, rolePublisher, p.routes[0].channel, 0, publishers)
			p.self = i
			p.m, err = f.dial(ctx, n+i, p.names()...)
			return err
		})
	}
	return f.join(err)
}

// join hands all connections to the crowd. After a failure it closes those that were made.
func (f *field) join(failed error) error {
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

func (f *field) joinOne(failed error, l *listener, sink crowd.Sink, i int) error {
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
func (f *field) newListener(i int, r role, channel, first, count int) *listener {
	return &listener{
		f: f, t: f.tallies[i%len(f.tallies)], role: r,
		channel: channel, first: first, tracks: make([]track, count), self: -1,
	}
}

// dial opens connection i and subscribes it.
func (f *field) dial(ctx context.Context, i int, channels ...string) (*crowd.Member, error) {
	return connect(ctx, f.o, f.target, i, channels...)
}

// connect opens a connection to a target and subscribes it to channels.
func connect(ctx context.Context, o *Options, t *target, i int, channels ...string) (*crowd.Member, error) {
	m, err := crowd.Dial(ctx, t.door(i), o.Timeout)
	if err != nil {
		return nil, unreachable(err)
	}
	for _, c := range channels {
		if err := subscribe(m, o, c, ""); err != nil {
			m.Leave()
			return nil, err
		}
	}
	return m, nil
}

func subscribe(m *crowd.Member, o *Options, channel, password string) error {
	ok, reason, err := m.Ask(wire.AppendSubscribe(nil, o.SubscribeKey, channel, password, "s"), o.Timeout)
	if err != nil {
		return fmt.Errorf("bench: subscribe to %q: %w", channel, err)
	}
	if !ok {
		return fmt.Errorf("bench: subscribe to %q: refused: %q", channel, reason)
	}
	return nil
}

// total adds up all loops' tallies.
func (f *field) total() *tally {
	sum := newTally()
	f.crowd.Rest(func() {
		for _, t := range f.tallies {
			sum.add(t)
		}
	})
	return sum
}

// reset begins to count anew. Nothing may be under way.
func (f *field) reset() {
	f.crowd.Rest(func() {
		for _, t := range f.tallies {
			t.reset()
		}
	})
	for _, p := range f.pubs {
		p.reset()
	}
}

// expected is what the publishers have sent since reset: messages, and deliveries to counted listeners.
func (f *field) expected() (messages uint64, deliveries int64) {
	for _, p := range f.pubs {
		m, d := p.sent()
		messages += m
		deliveries += d
	}
	return messages, deliveries
}

// watchStep is how often a phase is looked at for progress.
const watchStep = 50 * time.Millisecond

var errPublisherGone = errors.New("bench: server closed a publisher's connection")

// await waits until nothing is under way. Without progress for StallAfter it gives up, or, when losses are allowed and
// bursts follow each other, pushes the publishers on, three times in a row. stalled says that something never came.
func (f *field) await(ctx context.Context) (stalled bool, err error) {
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
				return true, errPublisherGone
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
func (f *field) abandon() {
	f.closedLoop.Store(false)
	for _, p := range f.pubs {
		p.abandon()
	}
	select {
	case <-f.finished:
	default:
	}
}

func (f *field) progress() uint64 {
	var n uint64
	f.crowd.Rest(func() {
		for _, t := range f.tallies {
			n += t.delivered
			for _, a := range t.answers {
				n += a
			}
		}
	})
	return n
}

// done is called by a publisher that has nothing under way and will send no more.
func (f *field) done() {
	if f.active.Add(-1) == 0 {
		select {
		case f.finished <- struct{}{}:
		default:
		}
	}
}
