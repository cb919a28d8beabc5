//go:build linux

package star

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"parley/cmd/parley/bench/crowd"
	"parley/cmd/parley/starclient"
)

// mebibyte is what streams are measured in, bytes.
const mebibyte = 1 << 20

// flow is one dial through which much goes one way.
type flow struct {
	p        *pair
	sent     atomic.Int64 // bytes
	received atomic.Int64
	wrong    atomic.Pointer[string]
	gate     chan struct{} // closed when the receiver may read
	over     chan struct{} // closed when it has seen the end
}

// flow makes a pair whose second counts what comes.
func (t *target) flow(ctx context.Context, o *Options, number int) (*flow, error) {
	f := &flow{gate: make(chan struct{}), over: make(chan struct{})}
	var err error
	f.p, err = t.pair(ctx, o, number, func(ctx context.Context, s *starclient.Stream) {
		defer close(f.over)
		select {
		case <-f.gate:
		case <-ctx.Done():
		}
		f.read(ctx, s)
	})
	return f, err
}

// read counts chunks, whose first byte counts too: so a lost one, or one at the wrong place, is seen.
func (f *flow) read(ctx context.Context, s *starclient.Stream) {
	for i := 0; ; i++ {
		chunk, err := s.Receive(ctx)
		if errors.Is(err, io.EOF) {
			_ = s.Close()
			return
		}
		if err == nil && (len(chunk) == 0 || chunk[0] != byte(i)) {
			err = fmt.Errorf("chunk %d came wrong", i)
		}
		if err != nil {
			text := err.Error()
			f.wrong.Store(&text)
			_ = s.Close()
			return
		}
		f.received.Add(int64(len(chunk)))
	}
}

// send dials, and sends all of it.
func (f *flow) send(ctx context.Context, o *Options) error {
	s, err := f.p.a.Dial(ctx, f.p.from, f.p.to)
	if err != nil {
		return err
	}
	chunk := make([]byte, o.Chunk)
	for i := 0; f.sent.Load() < int64(o.MiB)*mebibyte; i++ {
		chunk[0] = byte(i)
		if err := s.Send(ctx, chunk); err != nil {
			return err
		}
		f.sent.Add(int64(len(chunk)))
	}
	return s.End()
}

// settle says what went wrong, after the end.
func (f *flow) settle(r *Run) {
	if w := f.wrong.Load(); w != nil {
		r.Wrong = append(r.Wrong, *w)
	}
	if got, sent := f.received.Load(), f.sent.Load(); got != sent {
		r.Wrong = append(r.Wrong, fmt.Sprintf("%d bytes of %d came through", got, sent))
	}
}

// stream measures how much goes through, and what it costs.
func stream(ctx context.Context, o *Options, t *target) (r Run, err error) {
	flows := make([]*flow, o.Parallel)
	for i := range flows {
		if flows[i], err = t.flow(ctx, o, i); err != nil {
			return r, err
		}
		defer flows[i].p.close()
		close(flows[i].gate)
	}
	m, err := t.meter()
	if err != nil {
		return r, err
	}
	err = crowd.Gather(ctx, len(flows), len(flows), func(ctx context.Context, i int) error {
		if err := flows[i].send(ctx, o); err != nil {
			return err
		}
		return wait(ctx, flows[i].over)
	})
	if err != nil {
		_, _ = m.sampler.Stop()
		return r, err
	}
	if err := m.stop(&r); err != nil {
		return r, err
	}
	r.Stream = &Flow{}
	for _, f := range flows {
		f.settle(&r)
		r.Stream.MiB += float64(f.received.Load()) / mebibyte
	}
	r.Stream.PerSecond = r.Stream.MiB / r.Seconds
	if r.Server != nil {
		r.Stream.CPUMillis = r.Server.Seconds * 1e3 / r.Stream.MiB
	}
	return r, nil
}

// stall sends to a receiver that does not read until nothing gets further, and then reads all of it.
func stall(ctx context.Context, o *Options, t *target) (r Run, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f, err := t.flow(ctx, o, 0)
	if err != nil {
		return r, err
	}
	defer f.p.close()
	m, err := t.meter()
	if err != nil {
		return r, err
	}
	sent := make(chan error, 1)
	go func() { sent <- f.send(ctx, o) }()
	err = f.stuck(ctx, o)
	taken := float64(f.sent.Load()) / mebibyte
	err = errors.Join(err, m.stop(&r))
	close(f.gate)
	if err == nil {
		err = <-sent
	} else {
		cancel()
		f.p.a.Cut() // it may be waiting for the server to take more
		<-sent
	}
	if err != nil {
		return r, err
	}
	if err := wait(ctx, f.over); err != nil {
		return r, err
	}
	f.settle(&r)
	r.Stream = &Flow{MiB: float64(f.received.Load()) / mebibyte, TakenStalled: taken}
	if r.Memory != nil {
		r.Stream.Growth = float64(r.Memory.Peak-r.Memory.Start) / 1024
	}
	return r, nil
}

// stuck waits until nothing more was sent for a while.
func (f *flow) stuck(ctx context.Context, o *Options) error {
	at, since := int64(-1), time.Now()
	for {
		if now := f.sent.Load(); now != at {
			at, since = now, time.Now()
		} else if time.Since(since) >= o.Stall {
			return nil
		}
		if err := pause(ctx, lookStep); err != nil {
			return err
		}
	}
}

func wait(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
