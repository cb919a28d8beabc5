//go:build linux

package field

import (
	"time"

	"parley/cmd/parley/bench/gauge"
	"parley/cmd/parley/bench/report"
)

// sampleStep is how often the server's memory is looked at. Reading it costs about 30 µs.
const sampleStep = 100 * time.Millisecond

// Meter measures processor time and memory over one phase.
type Meter struct {
	t       *Target
	began   time.Time
	server  time.Duration
	client  time.Duration
	sampler *gauge.Sampler
}

// StartMeter begins a phase.
func StartMeter(t *Target) (*Meter, error) {
	m := &Meter{t: t, sampler: gauge.StartSampler(t.Procs, sampleStep)}
	var err error
	if m.server, err = t.Procs.CPU(); err != nil {
		_, _ = m.sampler.Stop()
		return nil, err
	}
	m.client, m.began = gauge.SelfCPU(), time.Now()
	return m, nil
}

// Stop ends the phase and writes what was measured into r. Deliveries must be known by then.
func (m *Meter) Stop(r *report.Run, keepSamples bool) error {
	took := time.Since(m.began)
	client := gauge.SelfCPU() - m.client
	r.Target, r.Seconds = m.t.Name, took.Seconds()
	r.Client = cpuOf(client, took, r.Deliveries)
	if r.Seconds > 0 {
		r.MessagesPerSecond = float64(r.Messages) / r.Seconds
		r.DeliveriesPerSecond = float64(r.Deliveries) / r.Seconds
	}
	samples, err := m.sampler.Stop()
	if err != nil || len(m.t.Procs) == 0 {
		return err
	}
	now, err := m.t.Procs.CPU()
	if err != nil {
		return err
	}
	r.Server = cpuOf(now-m.server, took, r.Deliveries)
	mem, err := m.t.Procs.Memory()
	if err != nil {
		return err
	}
	r.Memory = &report.Memory{Start: samples[0].Resident, End: mem.Resident, Highest: mem.Highest}
	for _, s := range samples {
		r.Memory.Peak = max(r.Memory.Peak, s.Resident)
	}
	if keepSamples {
		r.Memory.Samples = samples
	}
	return nil
}

// Abort is Stop for a phase that failed.
func (m *Meter) Abort() { _, _ = m.sampler.Stop() }

func cpuOf(d, took time.Duration, deliveries uint64) *report.CPU {
	c := &report.CPU{Seconds: d.Seconds()}
	if took > 0 {
		c.Share = d.Seconds() / took.Seconds()
	}
	if deliveries > 0 {
		c.PerMillion = d.Seconds() / float64(deliveries) * 1e6
	}
	return c
}
