//go:build linux

package bench

import (
	"context"
	"time"

	"parley/cmd/parley/bench/field"
	"parley/cmd/parley/bench/report"
)

// The phases of slow and storm.
const (
	phaseWithout = "without"
	phaseWith    = "with"
)

// slow measures the timetable twice, each time with fresh connections: the healthy subscribers alone, and with others
// beside them that stop reading.
func slow(ctx context.Context, o *report.Options, t *field.Target) ([]report.Run, error) {
	var runs []report.Run
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

func slowPhase(ctx context.Context, o *report.Options, t *field.Target, phase string, stalled int) (report.Run, error) {
	f, err := field.New(o, t, 1)
	if err != nil {
		return report.Run{}, err
	}
	defer f.Close()
	if err := f.Populate(ctx, o.Subscribers-o.Stalled, 1); err != nil {
		return report.Run{}, err
	}
	if err := f.WarmUpPaced(ctx); err != nil {
		return report.Run{}, err
	}
	asleep, err := f.Stall(ctx, stalled)
	if err != nil {
		return report.Run{}, err
	}
	// Waking them while the rest is measured would charge their backlog to the rest, unless that is asked for.
	var wake *time.Timer
	if o.Stall > 0 {
		wake = time.AfterFunc(o.Stall, func() { f.Resume(asleep) })
	}
	r, err := f.MeasurePaced(ctx, phase)
	if wake != nil {
		wake.Stop()
	}
	if err != nil {
		return report.Run{}, err
	}
	if err := f.Awaken(ctx, asleep); err != nil {
		return report.Run{}, err
	}
	faults := r.Faults
	f.Total().Fill(&r)
	r.Faults = faults
	return r, nil
}
