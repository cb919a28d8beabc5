//go:build linux

package bench

import (
	"context"
	"fmt"
	"math"
	"time"
)

// fanout has one channel, all subscribers on it, and a closed loop.
func fanout(ctx context.Context, o *Options, t *target) ([]Run, error) {
	return closedLoop(ctx, o, t, 1, o.Subscribers)
}

// channels has many channels with few subscribers each, shared among the publishers.
func channels(ctx context.Context, o *Options, t *target) ([]Run, error) {
	return closedLoop(ctx, o, t, o.Channels, o.PerChannel)
}

func closedLoop(ctx context.Context, o *Options, t *target, channels, perChannel int) ([]Run, error) {
	f, err := newField(o, t, channels)
	if err != nil {
		return nil, err
	}
	defer f.close()
	if err := f.populate(ctx, perChannel, o.Publishers); err != nil {
		return nil, err
	}
	if err := f.warmUp(ctx); err != nil {
		return nil, err
	}
	r, err := f.measure(ctx, "")
	if err != nil {
		return nil, err
	}
	return []Run{r}, nil
}

// warmUp runs the closed loop without counting.
func (f *field) warmUp(ctx context.Context) error {
	if f.o.Warmup <= 0 {
		return nil
	}
	stalled, err := f.bursts(ctx, f.o.Warmup, 0)
	if stalled && err == nil && !f.closedLoop.Load() {
		_, expected := f.expected()
		sum := f.total()
		err = fmt.Errorf("bench: warm-up given up: nothing came for %s, %d of %d deliveries did, answers %v",
			f.o.StallAfter, sum.delivered, expected, sum.answers)
	}
	return err
}

// measure runs the closed loop for one phase and counts.
func (f *field) measure(ctx context.Context, phase string) (Run, error) {
	f.reset()
	m, err := startMeter(f.target)
	if err != nil {
		return Run{}, err
	}
	stalled, err := f.bursts(ctx, f.o.Duration, f.o.Messages)
	if err != nil {
		m.abort()
		return Run{}, err
	}
	r := f.run(phase, stalled)
	err = m.stop(&r, false)
	return r, err
}

// run sums up what was counted since reset.
func (f *field) run(phase string, stalled bool) Run {
	sum := f.total()
	messages, expected := f.expected()
	r := Run{Phase: phase, Messages: messages, Deliveries: sum.delivered, Latency: sum.latency.Summary()}
	r.take(sum)
	r.Faults.Lost = expected - int64(sum.delivered)
	r.Faults.Stalled = stalled
	return r
}

// take copies what a tally has counted but for the deliveries.
func (r *Run) take(t *tally) {
	r.Faults, r.Responses, r.Closes = t.faults, t.answers, map[string]map[int]uint64{}
	for who, codes := range t.closes {
		r.Closes[string(who)] = codes
	}
	if t.broken != nil {
		r.Broken = t.broken.Error()
	}
}

// bursts runs the closed loop for a time, or for a number of messages when that is not 0.
func (f *field) bursts(ctx context.Context, d time.Duration, messages uint64) (stalled bool, err error) {
	select {
	case <-f.finished:
	default:
	}
	each := uint64(math.MaxUint64)
	deadline := time.Now().Add(d)
	if messages > 0 {
		each = (messages + uint64(len(f.pubs)) - 1) / uint64(len(f.pubs))
		deadline = time.Now().Add(time.Hour)
	}
	f.deadline.Store(deadline.UnixNano())
	f.active.Store(int64(len(f.pubs)))
	f.closedLoop.Store(true)
	for _, p := range f.pubs {
		p.start(each)
	}
	return f.await(ctx)
}
