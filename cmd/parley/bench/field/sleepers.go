//go:build linux

package field

import (
	"context"
	"time"

	"parley/cmd/parley/bench/crowd"
)

// Sleepers are subscribers that do not read, and that nobody waits for.
type Sleepers []*listener

// trickleStep is how often a limited subscriber reads.
const trickleStep = 20 * time.Millisecond

// Stall connects n more subscribers that do not read, and that nobody waits for.
func (f *Field) Stall(ctx context.Context, n int) (Sleepers, error) {
	asleep := make(Sleepers, 0, n)
	for i := range n {
		at := len(f.subs) + len(f.pubs) + i
		l := f.newListener(at, RoleStalled, 0, 0, 0)
		m, err := f.dial(ctx, at, f.names[0])
		if err != nil {
			return nil, err
		}
		l.m = m
		if err := f.crowd.Join(m, l, at%f.crowd.Loops(), true); err != nil {
			return nil, err
		}
		asleep = append(asleep, l)
	}
	return asleep, nil
}

// Resume lets them read again.
func (f *Field) Resume(asleep Sleepers) {
	for _, l := range asleep {
		_ = f.crowd.Resume(l.m) // one that is gone was told so
	}
}

// Awaken lets the sleepers read again and waits until each has been closed, or nothing more comes for a while: a server
// may also keep them.
func (f *Field) Awaken(ctx context.Context, asleep Sleepers) error {
	if len(asleep) == 0 {
		return nil
	}
	f.Resume(asleep)
	t := time.NewTicker(watchStep)
	defer t.Stop()
	for end := crowd.Now() + int64(f.o.Settle); crowd.Now() < end; {
		closed := uint64(0)
		for _, n := range f.Total().Closes[RoleStalled] {
			closed += n
		}
		if closed == uint64(len(asleep)) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
	return nil
}

// Trickle reads perSecond bytes of every sleeper, in small portions; none when that is 0.
func (f *Field) Trickle(ctx context.Context, asleep Sleepers, perSecond int) {
	portion := int(float64(perSecond) * trickleStep.Seconds())
	if portion == 0 {
		return
	}
	t := time.NewTicker(trickleStep)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		for _, l := range asleep {
			f.crowd.Take(l.m, portion)
		}
	}
}
