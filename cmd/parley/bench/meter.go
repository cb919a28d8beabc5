//go:build linux

package bench

import (
	"time"

	"parley/cmd/parley/bench/gauge"
)

// sampleStep is how often the server's memory is looked at. Reading it costs about 30 µs.
const sampleStep = 100 * time.Millisecond

// meter measures processor time and memory over one phase.
type meter struct {
	t       *target
	began   time.Time
	server  time.Duration
	client  time.Duration
	sampler *gauge.Sampler
}

func startMeter(t *target) (*meter, error) {
	m := &meter{t: t, sampler: gauge.StartSampler(t.procs, sampleStep)}
	var err error
	if m.server, err = t.procs.CPU(); err != nil {
		_, _ = m.sampler.Stop()
		return nil, err
	}
	m.client, m.began = gauge.SelfCPU(), time.Now()
	return m, nil
}

// stop ends the phase and writes what was measured into r. Deliveries must be known by then.
func (m *meter) stop(r *Run, keepSamples bool) error {
	took := time.Since(m.began)
	client := gauge.SelfCPU() - m.client
	r.Target, r.Seconds = m.t.name, took.Seconds()
	r.Client = cpuOf(client, took, r.Deliveries)
	if r.Seconds > 0 {
		r.MessagesPerSecond = float64(r.Messages) / r.Seconds
		r.DeliveriesPerSecond = float64(r.Deliveries) / r.Seconds
	}
	samples, err := m.sampler.Stop()
	if err != nil || len(m.t.procs) == 0 {
		return err
	}
	now, err := m.t.procs.CPU()
	if err != nil {
		return err
	}
	r.Server = cpuOf(now-m.server, took, r.Deliveries)
	mem, err := m.t.procs.Memory()
	if err != nil {
		return err
	}
	r.Memory = &Memory{Start: samples[0].Resident, End: mem.Resident, Highest: mem.Highest}
	for _, s := range samples {
		r.Memory.Peak = max(r.Memory.Peak, s.Resident)
	}
	if keepSamples {
		r.Memory.Samples = samples
	}
	return nil
}

// abort is stop for a phase that failed.
func (m *meter) abort() { _, _ = m.sampler.Stop() }

func cpuOf(d, took time.Duration, deliveries uint64) *CPU {
	c := &CPU{Seconds: d.Seconds()}
	if took > 0 {
		c.Share = d.Seconds() / took.Seconds()
	}
	if deliveries > 0 {
		c.PerMillion = d.Seconds() / float64(deliveries) * 1e6
	}
	return c
}
