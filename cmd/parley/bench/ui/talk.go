//go:build linux

package ui

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"parley/cmd/parley/bench/crowd"
	"parley/cmd/parley/bench/field"
	"parley/cmd/parley/bench/gauge"
	"parley/cmd/parley/bench/report"
	"parley/cmd/parley/bench/wire"
)

// The phases of talk.
const (
	phaseFull  = "full"  // each conversation asks as soon as it is answered
	phasePaced = "paced" // all of them ask by a timetable
)

// talk has user interfaces ask in many conversations at once: the Daemon, and the yardstick.
func talk(ctx context.Context, o *Options, limit []string) (runs []Run, err error) {
	measure := func(name string) func(*process) error {
		return func(p *process) error {
			got, err := talkTo(ctx, o, name, p)
			runs = append(runs, got...)
			return err
		}
	}
	if err := withDaemon(ctx, o, measure(targetDaemon)); err != nil || !o.AgainstLimit {
		return runs, err
	}
	p, err := launch(ctx, limit...)
	if err != nil {
		return runs, err
	}
	err = measure(targetLimit)(p)
	_ = p.stop() // it has nothing to lose
	return runs, err
}

func talkTo(ctx context.Context, o *Options, name string, p *process) (runs []Run, err error) {
	t := &talks{o: o, target: &field.Target{Name: name}, payload: payloadOf(o.Opcode)}
	if p.pid != 0 {
		t.target.Procs = gauge.Processes{p.pid}
	}
	if t.crowd, err = crowd.New(1, 0); err != nil {
		return nil, err
	}
	defer t.crowd.Close()
	if err := t.connect(ctx, p.port); err != nil {
		return nil, err
	}
	for _, phase := range []string{phaseFull, phasePaced} {
		if phase == phasePaced && o.Rate == 0 {
			continue
		}
		r, err := t.measure(ctx, phase)
		if err != nil {
			return runs, err
		}
		runs = append(runs, r)
	}
	return runs, nil
}

// payloadOf is what goes with an opcode: nothing that changes anything.
func payloadOf(opcode string) string {
	switch opcode {
	case "setup":
		return dump
	case "unsubscribe":
		return `{"opcodes":[]}`
	}
	return "{}"
}

// talks is what all who talk share.
type talks struct {
	o       *Options // fixed, as all of this block
	target  *field.Target
	payload string
	crowd   *crowd.Crowd
	all     []*talker

	until    atomic.Int64 // full: when nobody asks any more, ns since 1970
	underway atomic.Int64 // requests
	answered atomic.Uint64

	latency gauge.Histogram // owned by the crowd's loop, as what follows
	faults  Faults
}

// talker is one user interface.
type talker struct {
	t *talks
	m *crowd.Member

	mu    sync.Mutex // guards what follows: the timetable asks, too
	talks []underway
	frame []byte
	gone  bool
}

// underway is one conversation.
type underway struct {
	asked int64   // when its request was sent, or due; ns since 1970; 0: none is under way
	due   []int64 // requests that wait for the answer
}

func (t *talks) connect(ctx context.Context, port int) error {
	t.all = make([]*talker, t.o.UIs)
	return crowd.Gather(ctx, t.o.UIs, dialParallel, func(ctx context.Context, i int) error {
		m, err := crowd.Dial(ctx, doorOf(port), t.o.Timeout)
		if err != nil {
			return fmt.Errorf("ui: user interface %d: %w", i, err)
		}
		t.all[i] = &talker{t: t, m: m, talks: make([]underway, t.o.Conversations)}
		return t.crowd.Join(m, t.all[i], 0, false)
	})
}

// ask sends a request. With mu held.
func (k *talker) ask(i int, from int64) {
	json := appendRequest(nil, k.t.o.Opcode, uint64(i), k.t.payload)
	k.frame = wire.AppendClient(k.frame[:0], wire.OpText, k.m.Mask(), json)
	k.talks[i].asked = from
	k.m.Write(k.frame)
}

// say asks now, or as soon as the conversation is free.
func (k *talker) say(i int, from int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone {
		return
	}
	k.t.underway.Add(1)
	if k.talks[i].asked != 0 {
		k.talks[i].due = append(k.talks[i].due, from)
		return
	}
	k.ask(i, from)
}

// Text implements crowd.Sink.
func (k *talker) Text(text []byte, now int64) {
	context, ok := contextOf(text[:min(len(text), envelopeMost)])
	if !ok {
		return // a broadcast
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if context >= uint64(len(k.talks)) || k.talks[context].asked == 0 {
		k.t.faults.Stray++
		return
	}
	c := &k.talks[context]
	k.t.latency.Record(now - c.asked)
	k.t.answered.Add(1)
	if bytes.Contains(text[:min(len(text), envelopeMost)], []byte(`"error":{`)) {
		message, _ := wire.Value(text, `"message"`)
		k.t.faults.refused(string(message), 1)
	}
	switch {
	case len(c.due) > 0:
		next := c.due[0]
		c.due = c.due[1:]
		k.t.underway.Add(-1)
		k.ask(int(context), next)
	case now < k.t.until.Load():
		k.ask(int(context), now)
	default:
		c.asked = 0
		k.t.underway.Add(-1)
	}
}

// envelopeMost is where the envelope of an answer ends at the latest, bytes: an opcode and a number.
const envelopeMost = 128

// Closed implements crowd.Sink.
func (k *talker) Closed(code int, _ error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.gone = true
	k.t.faults.closed(code, 1)
	for i := range k.talks {
		c := &k.talks[i]
		if c.asked != 0 {
			k.t.faults.Missing += uint64(1 + len(c.due))
			k.t.underway.Add(-int64(1 + len(c.due)))
		}
		*c = underway{}
	}
}

// measure runs one phase: first unseen, then counted.
func (t *talks) measure(ctx context.Context, phase string) (Run, error) {
	run := t.full
	if phase == phasePaced {
		run = t.paced
	}
	if _, err := run(ctx, t.o.Warmup); err != nil {
		return Run{}, err
	}
	t.crowd.Rest(func() { t.latency = gauge.Histogram{} })
	before := t.answered.Load()
	m, err := field.StartMeter(t.target)
	if err != nil {
		return Run{}, err
	}
	began := time.Now()
	late, err := run(ctx, t.o.Duration)
	if err != nil {
		m.Abort()
		return Run{}, err
	}
	r := Run{Target: t.target.Name, Phase: phase, Late: late.Summary()}
	r.took(time.Since(began), t.answered.Load()-before)
	t.crowd.Rest(func() {
		r.Latency = t.latency.Summary()
		r.Faults, t.faults = t.faults, Faults{}
	})
	cpu := report.Run{Deliveries: r.Requests}
	if err := m.Stop(&cpu, false); err != nil {
		return Run{}, err
	}
	r.Server, r.Client = cpu.Server, cpu.Client
	return r, nil
}

// full lets each conversation ask as soon as it is answered.
func (t *talks) full(ctx context.Context, d time.Duration) (*gauge.Histogram, error) {
	t.until.Store(crowd.Now() + int64(d))
	for _, k := range t.all {
		for i := range k.talks {
			k.say(i, crowd.Now())
		}
	}
	if err := wait(ctx, d); err != nil {
		return nil, err
	}
	return &gauge.Histogram{}, t.drain(ctx)
}

// paced lets the conversations ask in turn, by a timetable.
func (t *talks) paced(ctx context.Context, d time.Duration) (*gauge.Histogram, error) {
	t.until.Store(0)
	late := make(chan *gauge.Histogram, 1)
	go func() {
		// The thread's timers are made exact, so it must not be used by others: it ends with this goroutine.
		runtime.LockOSThread()
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
		late <- t.timetable(ctx, d)
	}()
	return <-late, t.drain(ctx)
}

// timetable asks for the k-th time k/Rate after the start, and returns how late that was.
func (t *talks) timetable(ctx context.Context, d time.Duration) *gauge.Histogram {
	late := &gauge.Histogram{}
	step := float64(time.Second) / t.o.Rate
	begin, total := crowd.Now(), int(float64(d)/step)
	for k := 0; k < total && ctx.Err() == nil; {
		due, now := begin+int64(float64(k)*step), crowd.Now()
		if due > now {
			ts := unix.NsecToTimespec(due - now)
			_ = unix.Nanosleep(&ts, nil)
			continue
		}
		late.Record(now - due)
		t.all[k%len(t.all)].say(k/len(t.all)%t.o.Conversations, due)
		k++
	}
	return late
}

// drainStep is how often it is looked at whether all have answered.
const drainStep = time.Millisecond

// drain waits until all is answered. Without progress it gives up.
func (t *talks) drain(ctx context.Context) error {
	last, since := t.answered.Load(), time.Now()
	for t.underway.Load() > 0 {
		if now := t.answered.Load(); now != last {
			last, since = now, time.Now()
		}
		if time.Since(since) > t.o.Timeout {
			return fmt.Errorf("ui: %s: given up, nothing came for %s, %d requests are not answered", t.target.Name, t.o.Timeout, t.underway.Load())
		}
		if err := wait(ctx, drainStep); err != nil {
			return err
		}
	}
	return nil
}

// wait waits, or ends with the context.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
