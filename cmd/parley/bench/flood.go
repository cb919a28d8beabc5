//go:build linux

package bench

import (
	"context"
	"sync"
	"time"

	"parley/cmd/parley/bench/crowd"
	"parley/cmd/parley/bench/wire"
)

const (
	// floodChunk is how many messages the flooding publisher hands to the kernel at once.
	floodChunk = 32
	// sipStep is how often a limited subscriber reads.
	sipStep = 20 * time.Millisecond
)

// flood has one publisher that never waits for an answer, and subscribers that read too little.
func flood(ctx context.Context, o *Options, t *target) ([]Run, error) {
	f, err := newField(o, t, 1)
	if err != nil {
		return nil, err
	}
	defer f.close()
	if err := f.populate(ctx, 0, 1); err != nil {
		return nil, err
	}
	asleep, err := f.stall(ctx, o.Subscribers)
	if err != nil {
		return nil, err
	}
	m, err := startMeter(t)
	if err != nil {
		return nil, err
	}
	during, cancel := context.WithTimeout(ctx, o.Duration)
	defer cancel()
	var both sync.WaitGroup
	var sent, bytes uint64
	both.Go(func() { sent, bytes = f.pubs[0].flatOut(during) })
	both.Go(func() { f.sip(during, asleep, o.ReadRate) })
	both.Wait()
	if err := ctx.Err(); err != nil {
		m.abort()
		return nil, err
	}
	r := Run{Flood: &Flood{Sent: sent, ReadLimit: o.ReadRate}, Messages: sent}
	accepted := f.total().answers["ok"]
	if err := m.stop(&r, true); err != nil {
		return nil, err
	}
	r.Flood.AcceptedPerSecond = float64(accepted) / r.Seconds
	r.Flood.BytesPerSecond = float64(bytes) / r.Seconds
	if err := f.awaken(ctx, asleep); err != nil {
		return nil, err
	}
	r.take(f.total())
	// It must still be there for others.
	alive, err := connect(ctx, o, t, 0, f.names[0])
	if err != nil {
		return []Run{r}, err
	}
	alive.Leave()
	return []Run{r}, nil
}

// flatOut writes messages as fast as the socket takes them until the context ends.
func (p *publisher) flatOut(ctx context.Context) (sent, bytes uint64) {
	r := &p.routes[0]
	for ctx.Err() == nil {
		b := p.frames[:0]
		now := crowd.Now()
		for range floodChunk {
			stamp := wire.Stamp{Publisher: p.index, Channel: r.channel, Seq: r.seq, Nanos: now}
			b = p.send.AppendFrame(b, p.m.Mask(), p.f.names[r.channel], stamp, r.seq)
			r.seq++
		}
		p.frames = b
		if !p.m.WriteAll(ctx, b) {
			break
		}
		sent += floodChunk
		bytes += uint64(len(b))
	}
	return sent, bytes
}

// sip reads perSecond bytes of every sleeper, in small portions; none when that is 0.
func (f *field) sip(ctx context.Context, asleep []*listener, perSecond int) {
	portion := int(float64(perSecond) * sipStep.Seconds())
	if portion == 0 {
		return
	}
	t := time.NewTicker(sipStep)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		for _, l := range asleep {
			f.crowd.Take(l.m, portion)
		}
	}
}
