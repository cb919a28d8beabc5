//go:build linux

package bench

import (
	"context"

	"parley/cmd/parley/bench/field"
	"parley/cmd/parley/bench/report"
)

// fanout has one channel, all subscribers on it, and a closed loop.
func fanout(ctx context.Context, o *report.Options, t *field.Target) ([]report.Run, error) {
	return closedLoop(ctx, o, t, 1, o.Subscribers)
}

// channels has many channels with few subscribers each, shared among the publishers.
func channels(ctx context.Context, o *report.Options, t *field.Target) ([]report.Run, error) {
	return closedLoop(ctx, o, t, o.Channels, o.PerChannel)
}

func closedLoop(ctx context.Context, o *report.Options, t *field.Target, channels, perChannel int) ([]report.Run, error) {
	f, err := field.New(o, t, channels)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.Populate(ctx, perChannel, o.Publishers); err != nil {
		return nil, err
	}
	if err := f.WarmUp(ctx); err != nil {
		return nil, err
	}
	r, err := f.Measure(ctx, "")
	if err != nil {
		return nil, err
	}
	return []report.Run{r}, nil
}
