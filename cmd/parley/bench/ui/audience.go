//go:build linux

package ui

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"syscall"
	"time"

	"parley/cmd/parley/bench/crowd"
	"parley/cmd/parley/bench/gauge"
	"parley/cmd/parley/bench/wire"
)

// audience is user interfaces that wait for the same broadcast.
type audience struct {
	crowd *crowd.Crowd
	size  int
	all   chan struct{} // capacity 1: the last one has heard it

	// owned by the crowd's loop; others see it while the crowd rests
	wanted func(text []byte) bool
	round  int
	began  int64 // ns since 1970
	heard  int   // in this round
	last   int64
	each   gauge.Histogram
	lasts  gauge.Histogram
	faults Faults
}

// listener is one of them.
type listener struct {
	a     *audience
	round int // last heard in
}

// dialParallel is how many connections are opened at a time.
const dialParallel = 32

func gather(ctx context.Context, o *Options, port int) (*audience, error) {
	c, err := crowd.New(1, 0)
	if err != nil {
		return nil, err
	}
	a := &audience{crowd: c, size: o.UIs, all: make(chan struct{}, 1)}
	err = crowd.Gather(ctx, o.UIs, dialParallel, func(ctx context.Context, i int) error {
		m, err := crowd.Dial(ctx, doorOf(port), o.Timeout)
		if err != nil {
			return fmt.Errorf("ui: user interface %d: %w", i, err)
		}
		return c.Join(m, &listener{a: a}, 0, false)
	})
	if err != nil {
		c.Close()
		return nil, err
	}
	return a, nil
}

// Text implements crowd.Sink.
func (l *listener) Text(text []byte, now int64) {
	a := l.a
	if a.wanted == nil || !a.wanted(text) {
		return
	}
	if l.round == a.round {
		a.faults.Twice++
		return
	}
	l.round = a.round
	a.each.Record(now - a.began)
	a.last = now
	if a.heard++; a.heard == a.size {
		a.lasts.Record(now - a.began)
		a.all <- struct{}{}
	}
}

// Closed implements crowd.Sink.
func (l *listener) Closed(code int, _ error) { l.a.faults.closed(code, 1) }

// hear calls cause, and waits until all have heard what it makes happen. Those that do not are counted.
func (a *audience) hear(ctx context.Context, o *Options, wanted func(text []byte) bool, cause func() error) error {
	select {
	case <-a.all: // of a round that was given up
	default:
	}
	a.crowd.Rest(func() {
		a.wanted, a.heard, a.began = wanted, 0, crowd.Now()
		a.round++
	})
	if err := cause(); err != nil {
		return err
	}
	late := time.NewTimer(o.Timeout)
	defer late.Stop()
	select {
	case <-a.all:
	case <-ctx.Done():
		return ctx.Err()
	case <-late.C:
		a.crowd.Rest(func() { a.faults.Missing += uint64(a.size - a.heard) })
	}
	return nil
}

// run is what was measured.
func (a *audience) run(target string, times int) (r Run) {
	a.crowd.Rest(func() {
		r = Run{Target: target, Times: times, Latency: a.each.Summary(), Last: a.lasts.Summary(), Faults: a.faults}
	})
	return r
}

// crash kills Nodes.
func crash(ctx context.Context, o *Options, _ []string) (runs []Run, err error) {
	err = withDaemon(ctx, o, func(d *process) error {
		f, err := dial(ctx, d.port, o.Timeout)
		if err != nil {
			return err
		}
		defer f.leave()
		a, err := gather(ctx, o, d.port)
		if err != nil {
			return err
		}
		defer a.crowd.Close()
		for range o.Repeat {
			n, err := startNode(f)
			if err != nil {
				return err
			}
			at, err := visit(ctx, o, n)
			if err != nil {
				return err
			}
			at.leave()
			pid := strconv.Itoa(n.Process)
			wanted := func(text []byte) bool {
				v, _ := wire.Value(text, `"processId"`)
				return string(v) == pid && opcodeOf(text) == "crashed"
			}
			if err := a.hear(ctx, o, wanted, func() error { return syscall.Kill(n.Process, syscall.SIGKILL) }); err != nil {
				return fmt.Errorf("ui: kill Node %d: %w", n.Process, err)
			}
			if err := gone(f, n); err != nil {
				return err
			}
		}
		runs = append(runs, a.run(targetDaemon, o.Repeat))
		return nil
	})
	return runs, err
}

// changed is the parameter that broadcast changes: one that means nothing to anybody.
const changed = "gas-price"

// broadcast changes a parameter of the Setup space.
func broadcast(ctx context.Context, o *Options, _ []string) (runs []Run, err error) {
	err = withDaemon(ctx, o, func(d *process) error {
		f, err := dial(ctx, d.port, o.Timeout)
		if err != nil {
			return err
		}
		defer f.leave()
		before, err := f.parameter(changed)
		if err != nil {
			return err
		}
		a, err := gather(ctx, o, d.port)
		if err != nil {
			return err
		}
		defer a.crowd.Close()
		var answers gauge.Histogram
		for i := range o.Repeat {
			value := strconv.FormatInt(firstValue+int64(i), 10)
			wanted := func(text []byte) bool {
				return opcodeOf(text) == "setup" && bytes.Contains(text, []byte(`"`+value+`"`))
			}
			err := a.hear(ctx, o, wanted, func() error {
				began := time.Now()
				err := f.set(changed, &value)
				answers.Record(int64(time.Since(began)))
				return err
			})
			if err != nil {
				return err
			}
		}
		r := a.run(targetDaemon, o.Repeat)
		r.Answer = answers.Summary()
		runs = append(runs, r)
		return f.set(changed, before)
	})
	return runs, err
}

// firstValue begins the values that broadcast sets: no other parameter has them.
const firstValue = 4_711_000_000

// parameter is what a user interface has set a parameter to, nil if none has.
func (f *face) parameter(name string) (*string, error) {
	answer, err := f.ask("setup", dump)
	if err != nil {
		return nil, err
	}
	var s struct {
		Values []struct{ Name, Value, Status string }
	}
	if err := json.Unmarshal(answer, &s); err != nil {
		return nil, fmt.Errorf("ui: setup: %w", err)
	}
	for _, v := range s.Values {
		if v.Name == name && v.Status == "Set" {
			return &v.Value, nil
		}
	}
	return nil, nil
}

// set changes a parameter; nil clears it.
func (f *face) set(name string, value *string) error {
	payload, err := json.Marshal(map[string]any{"values": []any{map[string]any{"name": name, "value": value}}})
	if err != nil {
		return err
	}
	answer, err := f.ask("setup", string(payload))
	if err != nil {
		return err
	}
	var s struct {
		Running bool
		Errors  [][2]string
	}
	switch err := json.Unmarshal(answer, &s); {
	case err != nil:
		return fmt.Errorf("ui: setup: %w", err)
	case s.Running:
		return fmt.Errorf("ui: setup: the Setup space is frozen; shut the Node down first")
	case len(s.Errors) > 0:
		return fmt.Errorf("ui: setup: %q", s.Errors)
	}
	return nil
}
