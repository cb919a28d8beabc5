//go:build linux

package mesh

import (
	"context"
	"errors"
	"fmt"
	"time"

	"parley/cmd/parley/bench/field"
	"parley/cmd/parley/bench/gauge"
	"parley/cmd/parley/bench/report"
	"parley/cmd/parley/fleet"
)

// targetMesh is the name of what is measured.
const targetMesh = "mesh"

// Do makes all rounds: against nodes of its own, and in turn against the yardsticks, if there are any.
func Do(ctx context.Context, o *Options, limits []*field.Target) (runs []Run, err error) {
	f, err := fleet.New(fleet.Options{Nodes: o.Nodes, Shape: o.Scenario, HighLatency: time.Second, Args: []string{"--log-level", "warn"}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	t, s, err := begin(ctx, o, f)
	if err != nil {
		return nil, err
	}
	for round := range o.Repeat {
		r, err := s.round(ctx, o, t)
		if err != nil {
			return runs, err
		}
		r.Round = round + 1
		runs = append(runs, r)
		for _, l := range limits {
			one, err := measure(ctx, o, l, nil)
			if err != nil {
				return runs, err
			}
			one.Round, one.Target = round+1, l.Name
			runs = append(runs, Run{Run: one})
		}
	}
	return runs, nil
}

// servers are the nodes while they are measured.
type servers struct {
	pids    []int
	metrics []string
	passing []int // indexes of those with neither publisher nor subscribers
}

// begin starts the nodes and waits until all links are there.
func begin(ctx context.Context, o *Options, f *fleet.Fleet) (*field.Target, *servers, error) {
	if err := f.Start(ctx); err != nil {
		return nil, nil, err
	}
	s := &servers{}
	var urls []string
	for i, n := range f.Nodes {
		at, runs := n.Place()
		url, _ := n.URL()
		if !runs {
			return nil, nil, fmt.Errorf("mesh: %s has ended; its log was %s", n.Name, n.Log)
		}
		s.pids, s.metrics, urls = append(s.pids, at.PID), append(s.metrics, "http://"+at.Metrics+"/metrics"), append(urls, url)
		if o.Scenario == fleet.Line && i > 0 && i < o.Nodes-1 {
			s.passing = append(s.passing, i)
		}
	}
	if err := s.linked(ctx, o, len(f.Edges())); err != nil {
		return nil, nil, err
	}
	subscribers := urls[1:]
	if o.Scenario == fleet.Line {
		subscribers = urls[o.Nodes-1:]
	}
	t, err := field.NewTarget(ctx, targetMesh, o.field(), subscribers, s.pids)
	if err == nil {
		err = t.PublishAt(ctx, urls[0])
	}
	return t, s, err
}

// lookEvery is the pause between two looks at who is linked.
const lookEvery = 50 * time.Millisecond

// linked waits until so many links are there, and a while longer.
func (s *servers) linked(ctx context.Context, o *Options, links int) error {
	for end := time.Now().Add(o.Timeout); ; {
		ends, err := s.sum(ctx, metricLinks)
		switch {
		case err != nil:
			return err
		case ends == float64(2*links): // each has two
			return pause(ctx, o.Settle)
		case time.Now().After(end):
			return fmt.Errorf("mesh: after %v there are %g ends of links, not %d", o.Timeout, ends, 2*links)
		}
		if err := pause(ctx, lookEvery); err != nil {
			return err
		}
	}
}

// round measures the mesh once.
func (s *servers) round(ctx context.Context, o *Options, t *field.Target) (Run, error) {
	var r Run
	began := make([]time.Duration, len(s.pids))
	var sent float64
	one, err := measure(ctx, o, t, func(over bool) (err error) {
		now, err := s.sum(ctx, metricSent)
		if err != nil {
			return err
		}
		for i, pid := range s.pids {
			cpu, err := gauge.Processes{pid}.CPU()
			if err != nil {
				return err
			}
			if over {
				r.Nodes = append(r.Nodes, (cpu - began[i]).Seconds())
			}
			began[i] = cpu
		}
		r.Transmissions, sent = now-sent, now
		return nil
	})
	r.Run = one
	if err != nil || one.Messages == 0 {
		return r, err
	}
	r.Transmissions /= float64(one.Messages)
	if len(s.passing) > 0 {
		for _, i := range s.passing {
			r.Hop += r.Nodes[i] * 1e6 / float64(one.Messages) / float64(len(s.passing))
		}
	}
	return r, nil
}

// measure loads a target for one round. look is called before and after what counts; nil: nobody looks.
func measure(ctx context.Context, o *Options, t *field.Target, look func(over bool) error) (r report.Run, err error) {
	if look == nil {
		look = func(bool) error { return nil }
	}
	f, err := field.New(o.field(), t, 1)
	if err != nil {
		return r, err
	}
	defer f.Close()
	if err := f.Populate(ctx, o.Subscribers, 1); err != nil {
		return r, err
	}
	if err := pause(ctx, o.Settle); err != nil {
		return r, err
	}
	warm, load := f.WarmUp, f.Measure
	if o.Rate > 0 {
		warm, load = f.WarmUpPaced, f.MeasurePaced
	}
	if err := warm(ctx); err != nil {
		return r, err
	}
	if err := look(false); err != nil {
		return r, err
	}
	if r, err = load(ctx, ""); err != nil {
		return r, err
	}
	return r, look(true)
}

// pause waits, or ends with the context.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
