//go:build linux

package bench

import (
	"context"

	"parley/cmd/parley/bench/field"
	"parley/cmd/parley/bench/report"
)

// rate publishes by a timetable and looks at how long deliveries take.
func rate(ctx context.Context, o *report.Options, t *field.Target) ([]report.Run, error) {
	f, err := field.New(o, t, 1)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.Populate(ctx, o.Subscribers, 1); err != nil {
		return nil, err
	}
	if err := f.WarmUpPaced(ctx); err != nil {
		return nil, err
	}
	r, err := f.MeasurePaced(ctx, "")
	if err != nil {
		return nil, err
	}
	return []report.Run{r}, nil
}
