//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"parley/cmd/parley/bench/crowd"
	"parley/cmd/parley/bench/field"
	"parley/cmd/parley/bench/report"
	"parley/cmd/parley/bench/wire"
)

// storm measures the closed loop without and with clients beside it that guess a channel's password.
func storm(ctx context.Context, o *report.Options, t *field.Target) ([]report.Run, error) {
	f, err := field.New(o, t, 1)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.Populate(ctx, o.Subscribers, o.Publishers); err != nil {
		return nil, err
	}
	if err := f.WarmUp(ctx); err != nil {
		return nil, err
	}
	without, err := f.Measure(ctx, phaseWithout)
	if err != nil || without.Faults.Stalled {
		return []report.Run{without}, err
	}
	g, err := startGuessing(ctx, o, t, f.Channel(0)+"-locked")
	if err != nil {
		return nil, err
	}
	defer g.stop()
	if err := f.WarmUp(ctx); err != nil {
		return nil, err
	}
	g.reset()
	with, err := f.Measure(ctx, phaseWith)
	if err != nil {
		return nil, err
	}
	g.report(&with)
	return []report.Run{without, with}, nil
}

// guessers are all clients that guess.
type guessers struct {
	// fixed
	o      *report.Options
	target *field.Target
	crowd  *crowd.Crowd
	locked string // the channel
	ctx    context.Context
	cancel context.CancelFunc
	dials  chan struct{} // one token a dial under way

	all sync.WaitGroup // redials to come, and dials under way

	// owned by the crowd's loop
	tally *field.Tally

	mu      sync.Mutex // guards what follows
	stopped bool
	refused uint64
}

// startGuessing protects a channel and lets all guessers at it.
func startGuessing(ctx context.Context, o *report.Options, t *field.Target, channel string) (*guessers, error) {
	c, err := crowd.New(1, o.Pause)
	if err != nil {
		return nil, err
	}
	g := &guessers{
		o: o, target: t, crowd: c, locked: channel, tally: field.NewTally(),
		dials: make(chan struct{}, o.ConnectParallel),
	}
	g.ctx, g.cancel = context.WithCancel(ctx)
	if err := g.lock(); err != nil {
		g.stop()
		return nil, err
	}
	for i := range o.Guessers {
		one := &guesser{g: g, index: i}
		g.all.Add(1)
		go one.dial()
	}
	return g, nil
}

// lock subscribes the channel's first client, whose password becomes the channel's.
func (g *guessers) lock() error {
	owner := &guesser{g: g, owner: true}
	m, err := field.Connect(g.ctx, g.o, g.target, 0)
	if err != nil {
		return err
	}
	if err := field.Subscribe(m, g.o, g.locked, "the right one"); err != nil {
		m.Leave()
		return err
	}
	owner.m = m
	return g.crowd.Join(m, owner, 0, false)
}

// stop ends all guessing and waits for it.
func (g *guessers) stop() {
	g.mu.Lock()
	g.stopped = true
	g.mu.Unlock()
	g.cancel()
	g.all.Wait()
	g.crowd.Close()
}

func (g *guessers) reset() {
	g.crowd.Rest(g.tally.Reset)
	g.mu.Lock()
	g.refused = 0
	g.mu.Unlock()
}

// report writes what was guessed since reset.
func (g *guessers) report(r *report.Run) {
	sum := field.NewTally()
	g.crowd.Rest(func() { sum.Add(g.tally) })
	g.mu.Lock()
	defer g.mu.Unlock()
	s := &report.Storm{Answers: sum.Answers, Closes: sum.Closes[field.RoleGuesser], Refused: g.refused}
	for _, n := range sum.Answers {
		s.Guesses += n
	}
	s.GuessesPerSecond = float64(s.Guesses) / r.Seconds
	r.Answer, r.Storm = sum.Latency.Summary(), s
	if codes := sum.Closes[field.RoleSubscriber]; codes != nil {
		r.Broken = fmt.Sprintf("bench: the protected channel's owner was closed: %v", codes)
	}
}

// guesser is one client that guesses, waits for the answer, and guesses again; cut off, it dials again.
type guesser struct {
	g     *guessers
	index int
	owner bool // it only keeps the channel open

	// seen and changed only by the crowd's loop, or while the crowd rests
	m     *crowd.Member
	tries uint64
	asked int64
	frame []byte
}

// dial connects and makes the first guess. It runs in a goroutine that all counts.
func (s *guesser) dial() {
	defer s.g.all.Done()
	select {
	case s.g.dials <- struct{}{}:
	case <-s.g.ctx.Done():
		return
	}
	m, err := crowd.Dial(s.g.ctx, s.g.target.Door(s.index), s.g.o.Timeout)
	<-s.g.dials
	if err != nil {
		s.g.mu.Lock()
		s.g.refused++
		s.g.mu.Unlock()
		s.later(s.g.o.Redial, func() { go s.dial() })
		return
	}
	// A guess that was put off may still come, from the crowd's side.
	s.g.crowd.Rest(func() {
		s.m = m
		s.guess()
	})
	if err := s.g.crowd.Join(m, s, 0, false); err != nil && !errors.Is(err, crowd.ErrClosed) {
		m.Leave()
	}
}

// guess sends the next one.
func (s *guesser) guess() {
	s.tries++
	password := "guess " + strconv.Itoa(s.index) + "." + strconv.FormatUint(s.tries, 10)
	json := wire.AppendSubscribe(nil, s.g.o.SubscribeKey, s.g.locked, password, "g")
	s.frame = wire.AppendClient(s.frame[:0], wire.OpText, s.m.Mask(), json)
	s.asked = crowd.Now()
	s.m.Write(s.frame)
}

func (s *guesser) Text(json []byte, now int64) {
	a, ok := wire.ParseAnswer(json)
	if !ok || s.owner {
		s.g.tally.Faults.Stray++
		return
	}
	s.g.tally.Answered(a)
	s.g.tally.Latency.Record(now - s.asked)
	if s.g.o.GuessPause <= 0 {
		s.guess()
		return
	}
	s.later(s.g.o.GuessPause, func() {
		defer s.g.all.Done()
		s.g.crowd.Rest(s.guess)
	})
}

func (s *guesser) Closed(code int, err error) {
	if s.owner {
		s.g.tally.Ended(field.RoleSubscriber, code, err)
		return
	}
	s.g.tally.Ended(field.RoleGuesser, code, err)
	s.later(s.g.o.Redial, func() { go s.dial() })
}

// later calls f after a while, unless the guessing has been stopped by then. f, or what it starts, calls all.Done.
func (s *guesser) later(d time.Duration, f func()) {
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	if s.g.stopped {
		return
	}
	s.g.all.Add(1)
	time.AfterFunc(d, f)
}
