//go:build linux

package star

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"parley/cmd/parley/bench/crowd"
	"parley/cmd/parley/bench/gauge"
	"parley/cmd/parley/bench/wire"
	"parley/cmd/parley/starclient"
)

// seats are clients that join and listen to announcements: raw sockets, because a thousand of them hear a hundred thousand a
// second.
type seats struct {
	t     *target
	crowd *crowd.Crowd
	k     *known
	all   []*seat
	lost  atomic.Int64 // connections that the server has ended
	open  atomic.Int64 // questions that are not answered
	last  atomic.Int64 // when the latest answer came, as crowd.Now
	stop  context.CancelFunc
	done  sync.WaitGroup
}

// seat is one of them. Its loop calls it.
type seat struct {
	s *seats
	m *crowd.Member
	i int

	asked    int64  // when it asked, as crowd.Now; 0: nothing. Set while the crowd rests, as what follows
	answered int64  // when the answer came
	answer   []byte // JSON
}

const (
	// pingStep is how often clients ping: real ones do so every 25 s, and are given up after 45.
	pingStep = 20 * time.Second
	// readPause makes the loop of many seats take more at a time.
	readPause = time.Millisecond
)

// Beginnings of frames.
var (
	peerPrefix = []byte(`42["ws-peer","`)
	ackPrefix  = []byte("43")
)

// Text implements crowd.Sink.
func (s *seat) Text(text []byte, now int64) {
	if address, ok := bytes.CutPrefix(text, peerPrefix); ok {
		s.heard(address)
		return
	}
	if rest, ok := bytes.CutPrefix(text, ackPrefix); ok && s.asked != 0 && s.answered == 0 {
		s.answered, s.answer = now, bytes.Clone(bytes.TrimLeft(rest, "0123456789"))
		s.s.last.Store(now)
		s.s.open.Add(-1)
	}
}

// heard notes an announcement, which begins with the address.
func (s *seat) heard(address []byte) {
	if len(address) < portAt+portDigits {
		return
	}
	of := 0
	for _, d := range address[portAt : portAt+portDigits] {
		of = of*10 + int(d-'0')
	}
	if of -= s.s.k.base; of >= 0 && of < s.s.k.n { // otherwise it is of who dials beside us
		s.s.k.note(s.i, of)
	}
}

// Closed implements crowd.Sink.
func (s *seat) Closed(int, error) {
	s.s.lost.Add(1)
	if s.asked != 0 && s.answered == 0 {
		s.s.open.Add(-1)
	}
}

// seats connects clients, which have not joined yet.
func (t *target) seats(ctx context.Context, o *Options, pause time.Duration) (*seats, error) {
	n := o.Clients
	t.fresh(n)
	c, err := crowd.New(1, pause)
	if err != nil {
		return nil, err
	}
	life, stop := context.WithCancel(ctx)
	s := &seats{t: t, crowd: c, k: newKnown(n, t.base), all: make([]*seat, n), stop: stop}
	err = crowd.Gather(ctx, n, dialsAtOnce, func(_ context.Context, i int) error {
		m, err := crowd.Dial(life, t.door, o.Timeout)
		if err != nil {
			return err
		}
		if err := m.Hear(o.Timeout, func(text []byte) bool { return string(text) == "40" }); err != nil {
			m.Leave()
			return fmt.Errorf("star: client %d: %w", i, err)
		}
		s.all[i] = &seat{s: s, m: m, i: i}
		return c.Join(m, s.all[i], 0, false)
	})
	if err != nil {
		s.close()
		return nil, err
	}
	s.done.Go(func() { s.ping(life) })
	return s, nil
}

// seated is seats that have joined, some at a time.
func (t *target) seated(ctx context.Context, o *Options) (*seats, error) {
	s, err := t.seats(ctx, o, readPause)
	if err != nil {
		return nil, err
	}
	if _, _, err := s.join(ctx, o, dialsAtOnce); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// join lets all join, so many at once, and tells how fast that went. The clock stands still while nonces are signed.
func (s *seats) join(ctx context.Context, o *Options, atOnce int) (perSecond float64, times *gauge.Percentiles, err error) {
	var clock time.Duration
	var h gauge.Histogram
	for from := 0; from < len(s.all); from += atOnce {
		some := s.all[from:min(from+atOnce, len(s.all))]
		took, err := s.joinSome(ctx, o, some)
		if err != nil {
			return 0, nil, err
		}
		clock += took
		for _, one := range some {
			h.Record(one.answered - one.asked)
		}
	}
	return float64(len(s.all)) / clock.Seconds(), h.Summary(), nil
}

func (s *seats) joinSome(ctx context.Context, o *Options, some []*seat) (time.Duration, error) {
	id, data := s.t.proof(o), make([]string, len(some))
	var clock time.Duration
	if id != nil {
		for i := range data {
			data[i] = id.PublicKey()
		}
		took, err := s.ask(ctx, o, some, 0, data)
		if err != nil {
			return 0, err
		}
		clock = took
		err = crowd.Gather(ctx, len(some), runtime.GOMAXPROCS(0), func(_ context.Context, i int) (err error) {
			data[i], err = some[i].sign(id)
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	took, err := s.ask(ctx, o, some, 1, data)
	if err != nil {
		return 0, err
	}
	s.crowd.Rest(func() {
		for _, one := range some {
			if err == nil {
				err = one.joined()
			}
		}
	})
	return clock + took, err
}

// ask lets seats say ss-join at once, each with its data, and waits for all answers.
func (s *seats) ask(ctx context.Context, o *Options, some []*seat, ack int, data []string) (time.Duration, error) {
	frames := make([][]byte, len(some))
	for i, one := range some {
		text := fmt.Appendf(nil, "42%d[%q,%q,%q]", ack, starclient.EventJoin, s.t.address(one.i), data[i])
		frames[i] = wire.AppendClient(nil, wire.OpText, one.m.Mask(), text)
	}
	s.open.Store(int64(len(some)))
	began := crowd.Now()
	s.crowd.Rest(func() {
		for _, one := range some {
			one.asked, one.answered = began, 0
		}
	})
	for i, one := range some {
		one.m.Write(frames[i])
	}
	if err := until(ctx, o.Timeout, func() bool { return s.open.Load() <= 0 }); err != nil {
		return 0, err
	}
	if n := s.open.Load(); n > 0 || s.lost.Load() > 0 {
		return 0, fmt.Errorf("star: %d joins are not answered after %v, %d clients were thrown out", n, o.Timeout, s.lost.Load())
	}
	return time.Duration(s.last.Load() - began), nil
}

// sign makes a signature of the nonce that was the last answer.
func (s *seat) sign(id *starclient.Identity) (string, error) {
	nonce, begins := bytes.CutPrefix(s.answer, []byte(`[null,"`))
	nonce, ends := bytes.CutSuffix(nonce, []byte(`"]`))
	if !begins || !ends {
		return "", fmt.Errorf("star: no challenge but %.128q; without one, use --key %s", s.answer, keyNone)
	}
	return id.Sign(string(nonce))
}

// joined notes who was online. The crowd rests.
func (s *seat) joined() error {
	others, ok := bytes.CutPrefix(s.answer, []byte("[null,null,["))
	if !ok {
		return fmt.Errorf("star: refused: %.128q; is --key what the server wants?", s.answer)
	}
	for address := range bytes.SplitSeq(others, []byte(",")) {
		s.heard(bytes.TrimLeft(address, `"`))
	}
	s.answer = nil
	return nil
}

// ping keeps the connections alive.
func (s *seats) ping(ctx context.Context) {
	tick := time.NewTicker(pingStep)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, one := range s.all {
			one.m.Write(wire.AppendClient(nil, wire.OpText, one.m.Mask(), []byte("2")))
		}
	}
}

// wrong says what must not be.
func (s *seats) wrong() []string {
	if n := s.lost.Load(); n > 0 {
		return []string{fmt.Sprintf("%d clients were thrown out", n)}
	}
	return nil
}

func (s *seats) close() {
	s.stop()
	s.done.Wait()
	s.crowd.Close()
}

// memory looks at how much memory clients cost that have joined and hear of each other.
func memory(ctx context.Context, o *Options, t *target) (r Run, err error) {
	m, err := t.meter()
	if err != nil {
		return r, err
	}
	s, err := t.seated(ctx, o)
	if err != nil {
		_, _ = m.sampler.Stop()
		return r, err
	}
	defer s.close()
	if err := pause(ctx, o.Settle); err != nil {
		return r, err
	}
	if err := m.stop(&r); err != nil {
		return r, err
	}
	if r.Memory != nil {
		r.Memory.Client = float64(r.Memory.End-r.Memory.Start) / float64(o.Clients)
	}
	r.Wrong = s.wrong()
	return r, nil
}
