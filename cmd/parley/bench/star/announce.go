//go:build linux

package star

import (
	"context"
	"fmt"
	"sync"
	"time"

	"parley/cmd/parley/bench/gauge"
	"parley/cmd/parley/starclient"
)

// announce measures what it costs to tell everybody of everybody, and how long dials take meanwhile.
func announce(ctx context.Context, o *Options, t *target) (r Run, err error) {
	p, err := t.pair(ctx, o, 0, discard)
	if err != nil {
		return r, err
	}
	defer p.close()
	s, err := t.seated(ctx, o)
	if err != nil {
		return r, err
	}
	defer s.close()
	if err := pause(ctx, o.Settle); err != nil {
		return r, err
	}
	m, err := t.meter()
	if err != nil {
		return r, err
	}
	s.crowd.Rest(s.k.clear)
	during, cancel := context.WithTimeout(ctx, o.Duration)
	defer cancel()
	r.Dials = p.probe(during, o)
	<-during.Done()
	if err := ctx.Err(); err != nil {
		return r, err
	}
	a := &Heard{Clients: o.Clients}
	s.crowd.Rest(func() { a.Announced, a.Unheard = s.k.count, s.k.strangers(true) })
	if err := m.stop(&r); err != nil {
		return r, err
	}
	n := float64(o.Clients)
	a.Delivered = float64(a.Announced) / (n * (n - 1) * r.Seconds / o.Interval.Seconds())
	r.Announce = a
	if r.Wrong = s.wrong(); r.Announce.Unheard > 0 {
		r.Wrong = append(r.Wrong, fmt.Sprintf("%d pairs of clients did not hear of each other in %v", r.Announce.Unheard, o.Duration))
	}
	return r, nil
}

// pair is two clients that have joined: one dials the other.
type pair struct {
	a, b     *starclient.Client
	from, to string
	answers  sync.WaitGroup
}

// pair connects two clients and lets them join; take is what the second does with a dial. Their addresses are on other
// hosts than those of clients that only listen.
func (t *target) pair(ctx context.Context, o *Options, number int, take func(context.Context, *starclient.Stream)) (*pair, error) {
	p := &pair{from: t.key.Address("127.0.0.2", firstPort+number), to: t.key.Address("127.0.0.3", firstPort+number)}
	var err error
	if p.a, err = t.connect(ctx, o, starclient.Options{}); err != nil {
		return nil, err
	}
	p.b, err = t.connect(ctx, o, starclient.Options{Incoming: func(_ string, s *starclient.Stream) string {
		p.answers.Go(func() { take(ctx, s) })
		return ""
	}})
	if err == nil {
		err = p.join(ctx, o, t)
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// discard reads a dial to its end, and then ends the other direction.
func discard(ctx context.Context, s *starclient.Stream) {
	for {
		if _, err := s.Receive(ctx); err != nil {
			_ = s.Close()
			return
		}
	}
}

func (p *pair) join(ctx context.Context, o *Options, t *target) error {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	if _, err := p.a.Join(ctx, p.from, t.proof(o)); err != nil {
		return explain(err)
	}
	_, err := p.b.Join(ctx, p.to, t.proof(o))
	return explain(err)
}

func (p *pair) close() {
	leave([]*starclient.Client{p.a, p.b})
	p.answers.Wait()
}

// probe dials by a timetable until during ends. Times count from when a dial was due; the last one counts with the time
// that it has taken until then.
func (p *pair) probe(during context.Context, o *Options) *Dialled {
	d := &Dialled{Failed: map[string]int{}}
	if o.Dials == 0 {
		return d
	}
	var h gauge.Histogram
	step := time.Duration(float64(time.Second) / o.Dials)
	for due := time.Now(); pause(during, time.Until(due)) == nil; due = due.Add(step) {
		s, err := p.a.Dial(during, p.from, p.to)
		if err != nil && during.Err() == nil {
			d.Failed[err.Error()]++
			continue
		}
		h.Record(int64(time.Since(due)))
		if err == nil {
			_ = s.Close()
		}
	}
	d.Time = h.Summary()
	return d
}
