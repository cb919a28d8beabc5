//go:build linux

package bench

import (
	"context"
	"time"

	"parley/cmd/parley/bench/crowd"
)

// The phases of slow and storm.
const (
	phaseWithout = "without"
	phaseWith    = "with"
)

// slow measures the timetable twice, each time with fresh connections: the healthy subscribers alone, and with others
// beside them that stop reading.
func slow(ctx context.Context, o *Options, t *target) ([]Run, error) {
	var runs []Run
	for _, phase := range []string{phaseWithout, phaseWith} {
		stalled := 0
		if phase == phaseWith {
			stalled = o.Stalled
		}
		r, err := slowPhase(ctx, o, t, phase, stalled)
		if err != nil {
			return runs, err
		}
		runs = append(runs, r)
	}
	return runs, nil
}

func slowPhase(ctx context.Context, o *Options, t *target, phase string, stalled int) (Run, error) {
	f, err := newField(o, t, 1)
	if err != nil {
		return Run{}, err
	}
	defer f.close()
	if err := f.populate(ctx, o.Subscribers-o.Stalled, 1); err != nil {
		return Run{}, err
	}
	if _, _, err := f.paced(ctx, o.Warmup); err != nil {
		return Run{}, err
	}
	asleep, err := f.stall(ctx, stalled)
	if err != nil {
		return Run{}, err
	}
	// Waking them while the rest is measured would charge their backlog to the rest, unless that is asked for.
	var wake *time.Timer
	if o.Stall > 0 {
		wake = time.AfterFunc(o.Stall, func() { f.resume(asleep) })
	}
	r, err := f.measurePaced(ctx, phase)
	if wake != nil {
		wake.Stop()
	}
	if err != nil {
		return Run{}, err
	}
	if err := f.awaken(ctx, asleep); err != nil {
		return Run{}, err
	}
	faults := r.Faults
	r.take(f.total())
	r.Faults = faults
	return r, nil
}

// stall connects n more subscribers that do not read, and that nobody waits for.
func (f *field) stall(ctx context.Context, n int) ([]*listener, error) {
	asleep := make([]*listener, 0, n)
	for i := range n {
		at := len(f.subs) + len(f.pubs) + i
		l := f.newListener(at, roleStalled, 0, 0, 0)
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

func (f *field) resume(asleep []*listener) {
	for _, l := range asleep {
		_ = f.crowd.Resume(l.m) // one that is gone was told so
	}
}

// awaken lets the sleepers read again and waits until each has been closed, or nothing more comes for a while: a server
// may also keep them.
func (f *field) awaken(ctx context.Context, asleep []*listener) error {
	if len(asleep) == 0 {
		return nil
	}
	f.resume(asleep)
	t := time.NewTicker(watchStep)
	defer t.Stop()
	for end := crowd.Now() + int64(f.o.Settle); crowd.Now() < end; {
		closed := uint64(0)
		for _, n := range f.total().closes[roleStalled] {
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
