//go:build linux

package bench

import (
	"context"
	"sync"

	"parley/cmd/parley/bench/field"
	"parley/cmd/parley/bench/report"
)

// flood has one publisher that never waits for an answer, and subscribers that read too little.
func flood(ctx context.Context, o *report.Options, t *field.Target) ([]report.Run, error) {
	f, err := field.New(o, t, 1)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.Populate(ctx, 0, 1); err != nil {
		return nil, err
	}
	asleep, err := f.Stall(ctx, o.Subscribers)
	if err != nil {
		return nil, err
	}
	m, err := field.StartMeter(t)
	if err != nil {
		return nil, err
	}
	during, cancel := context.WithTimeout(ctx, o.Duration)
	defer cancel()
	var both sync.WaitGroup
	var sent, bytes uint64
	both.Go(func() { sent, bytes = f.FlatOut(during) })
	both.Go(func() { f.Trickle(during, asleep, o.ReadRate) })
	both.Wait()
	if err := ctx.Err(); err != nil {
		m.Abort()
		return nil, err
	}
	r := report.Run{Flood: &report.Flood{Sent: sent, ReadLimit: o.ReadRate}, Messages: sent}
	accepted := f.Total().Answers["ok"]
	if err := m.Stop(&r, true); err != nil {
		return nil, err
	}
	r.Flood.AcceptedPerSecond = float64(accepted) / r.Seconds
	r.Flood.BytesPerSecond = float64(bytes) / r.Seconds
	if err := f.Awaken(ctx, asleep); err != nil {
		return nil, err
	}
	f.Total().Fill(&r)
	// It must still be there for others; on a channel of its own, or it would get what is left of the flood.
	alive, err := field.Connect(ctx, o, t, 0, f.Channel(0)+"-after")
	if err != nil {
		return []report.Run{r}, err
	}
	alive.Leave()
	return []report.Run{r}, nil
}
