//go:build linux

package field

import (
	"context"
	"fmt"
	"math"
	"time"

	"parley/cmd/parley/bench/report"
)

// WarmUp runs the closed loop without counting.
func (f *Field) WarmUp(ctx context.Context) error {
	if f.o.Warmup <= 0 {
		return nil
	}
	stalled, err := f.bursts(ctx, f.o.Warmup, 0)
	if stalled && err == nil && !f.closedLoop.Load() {
		_, expected := f.expected()
		sum := f.Total()
		err = fmt.Errorf("field: warm-up given up: nothing came for %s, %d of %d deliveries did, answers %v",
			f.o.StallAfter, sum.delivered, expected, sum.Answers)
	}
	return err
}

// Measure runs the closed loop for one phase and counts.
func (f *Field) Measure(ctx context.Context, phase string) (report.Run, error) {
	f.reset()
	m, err := StartMeter(f.target)
	if err != nil {
		return report.Run{}, err
	}
	stalled, err := f.bursts(ctx, f.o.Duration, f.o.Messages)
	if err != nil {
		m.Abort()
		return report.Run{}, err
	}
	r := f.run(phase, stalled)
	err = m.Stop(&r, false)
	return r, err
}

// run sums up what was counted since reset.
func (f *Field) run(phase string, stalled bool) report.Run {
	sum := f.Total()
	messages, expected := f.expected()
	r := report.Run{Phase: phase, Messages: messages, Deliveries: sum.delivered, Latency: sum.Latency.Summary()}
	sum.Fill(&r)
	r.Faults.Lost = expected - int64(sum.delivered)
	r.Faults.Stalled = stalled
	return r
}

// bursts runs the closed loop for a time, or for a number of messages when that is not 0.
func (f *Field) bursts(ctx context.Context, d time.Duration, messages uint64) (stalled bool, err error) {
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
