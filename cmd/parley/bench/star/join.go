//go:build linux

package star

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"parley/cmd/parley/bench/crowd"
	"parley/cmd/parley/starclient"
)

const (
	// dialsAtOnce is how many clients connect at once.
	dialsAtOnce = 32
	// hearMost is how long announcements may be on their way after the last join was answered.
	hearMost = 5 * time.Second
	// lookStep is how often it is looked at whether all is done.
	lookStep = 5 * time.Millisecond
)

// join connects clients, which does not count, and lets all of them join at once. What clients do to sign their nonces does
// not count either: elsewhere they have processors of their own.
func join(ctx context.Context, o *Options, t *target) (r Run, err error) {
	n := o.Clients
	s, err := t.seats(ctx, o, 0)
	if err != nil {
		return r, err
	}
	defer s.close()
	m, err := t.meter()
	if err != nil {
		return r, err
	}
	j := &Joins{Clients: n}
	if j.PerSecond, j.Time, err = s.join(ctx, o, n); err != nil {
		_, _ = m.sampler.Stop()
		return r, err
	}
	r.Joins = j
	heard := func() bool {
		s.crowd.Rest(func() { j.Unheard = s.k.strangers(false) })
		return j.Unheard == 0
	}
	if err = until(ctx, hearMost, heard); err != nil {
		return r, err
	}
	if j.Unheard > 0 {
		r.Wrong = append(r.Wrong, fmt.Sprintf("%d pairs of clients never heard of each other", j.Unheard))
	}
	if err = m.stop(&r); r.Server != nil {
		j.CPUMillis = r.Server.Seconds * 1e3 / float64(n)
	}
	return r, err
}

// connect dials the server.
func (t *target) connect(ctx context.Context, o *Options, options starclient.Options) (*starclient.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	c, err := starclient.Dial(ctx, t.url, options)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", crowd.ErrUnreachable, err)
	}
	return c, nil
}

// explain adds what to do about a join that failed.
func explain(err error) error {
	var refused *starclient.Refused
	if errors.As(err, &refused) && refused.Event == starclient.EventJoin {
		return fmt.Errorf("%w; is --key what the server wants?", err)
	}
	return err
}

// leave ends all connections.
func leave(clients []*starclient.Client) {
	var all sync.WaitGroup
	for _, c := range clients {
		if c != nil {
			all.Go(c.Close)
		}
	}
	all.Wait()
}

// until waits for a condition, but not longer than it may take.
func until(ctx context.Context, most time.Duration, done func() bool) error {
	tick := time.NewTicker(lookStep)
	defer tick.Stop()
	for end := time.Now().Add(most); !done() && time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}
