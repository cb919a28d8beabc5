//go:build linux

package star

import (
	"context"
	"fmt"
	"slices"
	"time"

	"parley/cmd/parley/bench/crowd"
	"parley/cmd/parley/bench/gauge"
	"parley/cmd/parley/starclient"
)

// target is one server.
type target struct {
	name string
	url  string // ws://, with path and version
	door crowd.Door
	proc gauge.Processes // empty: not known
	heap string          // URL; empty: not known
	key  *starclient.Identity
	base int // port of the first address of this round
}

// scenario does one round against one server.
type scenario func(context.Context, *Options, *target) (Run, error)

var scenarios = map[string]scenario{Join: join, Memory: memory, Stream: stream, Stall: stall, Announce: announce, Cycles: cycles}

// betweenRuns lets a server finish with the connections of the run before.
const betweenRuns = 500 * time.Millisecond

// Do makes all rounds. They alternate between the servers, so that what the machine does besides falls on both.
func Do(ctx context.Context, o *Options) ([]Run, error) {
	key, err := draw(o.Key)
	if err != nil {
		return nil, err
	}
	var targets []*target
	for _, t := range []struct {
		name, url string
		pid       int
		heap      string
	}{{targetServer, o.URL, o.PID, o.HeapURL}, {targetAgainst, o.Against, o.AgainstPID, o.AgainstHeapURL}} {
		if t.url == "" {
			continue
		}
		one, err := newTarget(ctx, t.name, t.url, t.pid, t.heap)
		if err != nil {
			return nil, err
		}
		one.key = key
		targets = append(targets, one)
	}
	var runs []Run
	for round := range o.Repeat {
		for _, t := range targets {
			if len(runs) > 0 {
				if err := pause(ctx, betweenRuns); err != nil {
					return runs, err
				}
			}
			r, err := scenarios[o.Scenario](ctx, o, t)
			switch {
			case err != nil && t.name == targetAgainst && ctx.Err() == nil: // that is a result, too
				r = Run{Failed: err.Error()}
			case err != nil:
				return runs, fmt.Errorf("%w (round %d against %s)", err, round+1, t.name)
			}
			r.Round, r.Target = round+1, t.name
			runs = append(runs, r)
		}
	}
	return runs, nil
}

func draw(kind string) (*starclient.Identity, error) {
	switch kind {
	case keyRSA:
		return starclient.NewRSA(rsaBits)
	default: // it also names those who need no key
		return starclient.NewEd25519()
	}
}

func newTarget(ctx context.Context, name, url string, pid int, heap string) (*target, error) {
	t := &target{name: name, heap: heap, base: firstPort}
	var err error
	if t.url, err = starclient.URL(url, starclient.Three); err != nil {
		return nil, err
	}
	if t.door, err = crowd.Resolve(ctx, t.url); err != nil {
		return nil, err
	}
	if pid > 0 {
		t.proc = gauge.Processes{pid}
		if _, err := t.proc.CPU(); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// Ports of addresses, all of five digits.
const (
	firstPort = 10000
	lastPort  = 65535
)

// fresh moves on to addresses that nobody has had in the round before, who may not be known to be gone yet.
func (t *target) fresh(n int) {
	if t.base += n; t.base+n > lastPort {
		t.base = firstPort
	}
}

// address is the one with a number.
func (t *target) address(i int) string { return t.key.Address("127.0.0.1", t.base+i) }

// proof is what a client joins with.
func (t *target) proof(o *Options) *starclient.Identity {
	if o.Key == keyNone {
		return nil
	}
	return t.key
}

// meter measures processor time and memory over one phase.
type meter struct {
	t       *target
	began   time.Time
	server  time.Duration
	client  time.Duration
	sampler *gauge.Sampler
}

// sampleStep is how often the server's memory is looked at.
const sampleStep = 50 * time.Millisecond

func (t *target) meter() (*meter, error) {
	m := &meter{t: t, sampler: gauge.StartSampler(t.proc, sampleStep)}
	var err error
	if m.server, err = t.proc.CPU(); err != nil {
		_, _ = m.sampler.Stop()
		return nil, err
	}
	m.client, m.began = gauge.SelfCPU(), time.Now()
	return m, nil
}

// stop ends the phase and fills in what was measured. It may be called again.
func (m *meter) stop(r *Run) error {
	took := time.Since(m.began)
	r.Seconds = took.Seconds()
	client := gauge.SelfCPU() - m.client
	r.Client = &Load{client.Seconds(), client.Seconds() / took.Seconds()}
	samples, err := m.sampler.Stop()
	if err != nil || len(m.t.proc) == 0 {
		return err
	}
	now, err := m.t.proc.CPU()
	if err != nil {
		return err
	}
	server := now - m.server
	r.Server = &Load{server.Seconds(), server.Seconds() / took.Seconds()}
	r.Memory = &Resident{Start: samples[0].Resident, End: samples[len(samples)-1].Resident}
	for _, s := range samples {
		r.Memory.Peak = max(r.Memory.Peak, s.Resident)
	}
	return nil
}

// median of a figure over all rounds of a target; 0: there is none.
func (r *Report) median(target string, of func(*Run) float64) float64 {
	var all []float64
	for i := range r.Runs {
		if r.Runs[i].Target == target && r.Runs[i].Failed == "" {
			all = append(all, of(&r.Runs[i]))
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
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
