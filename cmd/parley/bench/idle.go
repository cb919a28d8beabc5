//go:build linux

package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"parley/cmd/parley/bench/crowd"
	"parley/cmd/parley/bench/field"
	"parley/cmd/parley/bench/gauge"
	"parley/cmd/parley/bench/report"
	"parley/cmd/parley/bench/wire"
)

// probeStep is how often it is looked at whether all have answered. The answers carry their own times.
const probeStep = 20 * time.Millisecond

// sitter is an idle client.
type sitter struct {
	m *crowd.Member
	t *sitters

	asked int64 // ns since 1970, 0 when nothing was asked; guarded by t.mu
}

// sitters is what all idle clients share.
type sitters struct {
	// fixed
	o      *report.Options
	target *field.Target
	crowd  *crowd.Crowd
	names  []string
	all    []*sitter

	// guarded by mu
	mu       sync.Mutex
	connects gauge.Histogram
	subs     gauge.Histogram
	answers  gauge.Histogram
	last     int64 // when the latest answer came
	tally    *field.Tally
}

func (s *sitter) Text(json []byte, now int64) {
	a, ok := wire.ParseAnswer(json)
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	if !ok || s.asked == 0 {
		s.t.tally.Faults.Stray++
		return
	}
	s.t.tally.Answered(a)
	s.t.answers.Record(now - s.asked)
	s.t.last, s.asked = now, 0
}

func (s *sitter) Closed(code int, err error) {
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	s.t.tally.Ended(field.RoleSubscriber, code, err)
}

// idle connects many clients, lets them sit, and asks them all at once.
func idle(ctx context.Context, o *report.Options, t *field.Target) ([]report.Run, error) {
	c, err := crowd.New(o.Readers, o.Pause)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	s := &sitters{o: o, target: t, crowd: c, all: make([]*sitter, o.Clients), tally: field.NewTally()}
	for i := range o.IdleChannels {
		s.names = append(s.names, fmt.Sprintf("bench-idle-%d", i))
	}
	m, err := field.StartMeter(t)
	if err != nil {
		return nil, err
	}
	r, err := s.sit(ctx)
	if err != nil {
		m.Abort()
		return nil, err
	}
	s.mu.Lock()
	s.tally.Fill(&r)
	s.mu.Unlock()
	err = m.Stop(&r, false)
	return []report.Run{r}, err
}

// sit goes through the three parts: connect, settle, ask.
func (s *sitters) sit(ctx context.Context) (report.Run, error) {
	r := report.Run{Idle: &report.Idle{Clients: s.o.Clients}}
	before, err := s.target.Procs.Memory()
	if err != nil {
		return r, err
	}
	cpu, err := s.target.Procs.CPU()
	if err != nil {
		return r, err
	}
	began := time.Now()
	if err := crowd.Gather(ctx, s.o.Clients, s.o.ConnectParallel, s.connect); err != nil {
		return r, err
	}
	r.Idle.ConnectSeconds = time.Since(began).Seconds()
	after, err := s.target.Procs.CPU()
	if err != nil {
		return r, err
	}
	r.Idle.ConnectCPUMillis = perClientMillis(after-cpu, s.o.Clients)
	if err := pause(ctx, s.o.Settle); err != nil {
		return r, err
	}
	settled, err := s.target.Procs.Memory()
	if err != nil {
		return r, err
	}
	r.Idle.SettledKiB = settled.Resident
	r.Idle.PerClient = float64(settled.Resident-before.Resident) / float64(s.o.Clients)
	if err := s.probe(ctx, r.Idle); err != nil {
		return r, err
	}
	r.Connect, r.Subscribe, r.Answer = s.connects.Summary(), s.subs.Summary(), s.answers.Summary()
	return r, nil
}

func perClientMillis(d time.Duration, n int) float64 {
	return float64(d) / float64(time.Millisecond) / float64(n)
}

func (s *sitters) connect(ctx context.Context, i int) error {
	t0 := time.Now()
	m, err := crowd.Dial(ctx, s.target.Door(i), s.o.Timeout)
	if err != nil {
		return fmt.Errorf("bench: client %d: %w", i, err)
	}
	t1 := time.Now()
	if err := field.Subscribe(m, s.o, s.names[i%len(s.names)], ""); err != nil {
		m.Leave()
		return fmt.Errorf("bench: client %d: %w", i, err)
	}
	t2 := time.Now()
	s.mu.Lock()
	s.connects.Record(int64(t1.Sub(t0)))
	s.subs.Record(int64(t2.Sub(t1)))
	s.mu.Unlock()
	s.all[i] = &sitter{m: m, t: s}
	return s.crowd.Join(m, s.all[i], i%s.crowd.Loops(), false)
}

// probe lets every client ask at once and waits until all have their answer, or none comes any more.
func (s *sitters) probe(ctx context.Context, r *report.Idle) error {
	cpu, err := s.target.Procs.CPU()
	if err != nil {
		return err
	}
	began := crowd.Now()
	s.mu.Lock()
	s.last = began
	s.mu.Unlock()
	for i, one := range s.all {
		json := wire.AppendList(nil, "l")
		if s.o.Probe == report.ProbeSubscribe {
			json = wire.AppendSubscribe(nil, s.o.SubscribeKey, s.names[i%len(s.names)], "", "l")
		}
		frame := wire.AppendClient(nil, wire.OpText, one.m.Mask(), json)
		s.mu.Lock()
		one.asked = crowd.Now()
		s.mu.Unlock()
		one.m.Write(frame)
	}
	t := time.NewTicker(probeStep)
	defer t.Stop()
	for {
		s.mu.Lock()
		got, last := int(s.answers.Count()), s.last
		s.mu.Unlock()
		if got == s.o.Clients || crowd.Now()-last > int64(s.o.StallAfter) {
			r.AllAnswered = time.Duration(last - began).Seconds()
			r.Missing = s.o.Clients - got
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
	after, err := s.target.Procs.CPU()
	r.ProbeCPUMillis = perClientMillis(after-cpu, s.o.Clients)
	return err
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
