//go:build linux

package field

import (
	"context"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"parley/cmd/parley/bench/crowd"
	"parley/cmd/parley/bench/gauge"
	"parley/cmd/parley/bench/report"
)

// WarmUpPaced runs the timetable without counting.
func (f *Field) WarmUpPaced(ctx context.Context) error {
	_, _, err := f.paced(ctx, f.o.Warmup)
	return err
}

// MeasurePaced runs the timetable for one phase and counts.
func (f *Field) MeasurePaced(ctx context.Context, phase string) (report.Run, error) {
	f.reset()
	m, err := StartMeter(f.target)
	if err != nil {
		return report.Run{}, err
	}
	lateness, stalled, err := f.paced(ctx, f.o.Duration)
	if err != nil {
		m.Abort()
		return report.Run{}, err
	}
	r := f.run(phase, stalled)
	r.Late = lateness.Summary()
	err = m.Stop(&r, false)
	return r, err
}

// paced sends Rate messages a second for the time given, then waits for what is under way.
func (f *Field) paced(ctx context.Context, d time.Duration) (*gauge.Histogram, bool, error) {
	late := make(chan *gauge.Histogram, 1)
	go func() {
		// The thread's timers are made exact, so it must not be used by others: it ends with this goroutine.
		runtime.LockOSThread()
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
		late <- f.pubs[0].timetable(ctx, f.o.Rate, d)
	}()
	lateness := <-late
	stalled, err := f.drain(ctx)
	return lateness, stalled, err
}

// timetable sends message k when it is due, k/perSecond after the start; when it comes late, all that are due at once,
// each stamped with the time it was due. It returns how late they left.
func (p *publisher) timetable(ctx context.Context, perSecond float64, d time.Duration) *gauge.Histogram {
	late := &gauge.Histogram{}
	step := float64(time.Second) / perSecond
	start := crowd.Now()
	total := int64(float64(d) / step)
	dueAt := func(k int64) int64 { return start + int64(float64(k)*step) }
	for k := int64(0); k < total && ctx.Err() == nil; {
		now := crowd.Now()
		n := int64(0)
		for k+n < total && dueAt(k+n) <= now && n < maxDue {
			late.Record(now - dueAt(k+n))
			n++
		}
		if n > 0 {
			p.mu.Lock()
			if p.gone {
				p.mu.Unlock()
				return late
			}
			p.emit(int(n), dueAt(k), int64(step))
			p.mu.Unlock()
			k += n
			continue
		}
		ts := unix.NsecToTimespec(dueAt(k) - now)
		_ = unix.Nanosleep(&ts, nil)
	}
	return late
}

// maxDue bounds how many messages that are due at once leave in one write.
const maxDue = 256

// drain waits until nothing is under way, after a timetable. Without progress for StallAfter it gives up.
func (f *Field) drain(ctx context.Context) (stalled bool, err error) {
	const step = 2 * time.Millisecond
	t := time.NewTicker(step)
	defer t.Stop()
	var last uint64
	since := time.Now()
	for {
		under := int64(0)
		for _, p := range f.pubs {
			if p.isGone() {
				return true, ErrPublisherGone
			}
			under += p.pending.Load()
		}
		if under == 0 {
			return false, nil
		}
		if now := f.progress(); now != last {
			last, since = now, time.Now()
		}
		if time.Since(since) > f.o.StallAfter {
			f.abandon()
			return true, nil
		}
		select {
		case <-ctx.Done():
			return true, ctx.Err()
		case <-t.C:
		}
	}
}
