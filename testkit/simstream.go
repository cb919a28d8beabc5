package testkit

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// stream is one direction of a simulated connection: bytes that were written,
// are on their way, and can be read. Waiting is on a condition variable, which
// a synctest bubble sees as durably blocked.
type stream struct {
	window int           // fixed, as all of this block: bytes written and not read
	carry  func(func())  // runs its argument when what is sent now arrives; nil: at once
	chop   func(int) int // how many of the readable bytes one Read gives

	mu      sync.Mutex
	changed *sync.Cond
	data    []byte // written and not read, oldest first
	arrived int    // of data: what can be read

	ended    bool  // by the writer
	endSeen  bool  // the end has arrived
	gone     bool  // the reader closed
	held     bool  // a partition: nothing arrives
	broken   error // the connection was cut: all fails at once
	deadline [2]limit
}

// limit is one of a stream's deadlines.
type limit struct {
	at    time.Time // zero: none
	timer *time.Timer
}

const (
	reading = iota
	writing
)

func newStream(window int, carry func(func()), chop func(int) int) *stream {
	s := &stream{window: window, carry: carry, chop: chop}
	s.changed = sync.NewCond(&s.mu)
	return s
}

// change runs f under the lock and wakes whoever waits.
func (s *stream) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	s.changed.Broadcast()
}

// expired reports whether a deadline has passed.
func (s *stream) expired(side int) bool {
	at := s.deadline[side].at
	return !at.IsZero() && !time.Now().Before(at)
}

func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.gone:
			return 0, net.ErrClosed
		case s.broken != nil:
			return 0, s.broken
		case s.expired(reading):
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case s.held:
		case s.arrived > 0:
			n := copy(p[:s.chop(min(len(p), s.arrived))], s.data)
			s.data, s.arrived = s.data[n:], s.arrived-n
			if len(s.data) == 0 {
				s.data = nil
			}
			s.changed.Broadcast()
			return n, nil
		case s.endSeen && len(s.data) == 0:
			return 0, io.EOF
		}
		s.changed.Wait()
	}
}

// writable is why nothing can be written; the lock is held.
func (s *stream) writable() error {
	switch {
	case s.ended:
		return net.ErrClosed
	case s.broken != nil:
		return s.broken
	case s.gone:
		return syscall.EPIPE
	case s.expired(writing):
		return os.ErrDeadlineExceeded
	}
	return nil
}

// put takes what fits of p; the lock is held.
func (s *stream) put(p []byte) int {
	n := min(len(p), s.window-len(s.data))
	if n <= 0 {
		return 0
	}
	s.data = append(s.data, p[:n]...)
	s.arrive(func() { s.arrived = min(s.arrived+n, len(s.data)) })
	return n
}

// arrive runs f, which changes s, when what is sent now arrives; the lock is held.
func (s *stream) arrive(f func()) {
	if s.carry == nil {
		f()
		return
	}
	s.carry(func() { s.change(f) })
}

func (s *stream) write(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if err := s.writable(); err != nil {
			return n, err
		}
		k := s.put(p[n:])
		if n += k; n == len(p) {
			s.changed.Broadcast()
			return n, nil
		}
		if k > 0 {
			s.changed.Broadcast()
		}
		s.changed.Wait()
	}
}

// tryWrite is write that takes what fits and does not wait.
func (s *stream) tryWrite(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.writable(); err != nil {
		return 0, err
	}
	n := s.put(p)
	s.changed.Broadcast()
	return n, nil
}

// end is the writer's last word; what it wrote still arrives.
func (s *stream) end() {
	s.change(func() {
		if !s.ended {
			s.ended = true
			s.arrive(func() { s.endSeen = true })
		}
	})
}

// leave is the reader's: what was not read is lost.
func (s *stream) leave() {
	s.change(func() { s.gone, s.data, s.arrived = true, nil, 0 })
}

// cut fails everything that still wants to read or write.
func (s *stream) cut() {
	s.change(func() {
		if !s.gone || !s.ended {
			s.broken, s.data, s.arrived = syscall.ECONNRESET, nil, 0
		}
	})
}

// hold starts and ends a partition.
func (s *stream) hold(on bool) { s.change(func() { s.held = on }) }

func (s *stream) setDeadline(side int, at time.Time) {
	s.change(func() {
		l := &s.deadline[side]
		if l.timer != nil {
			l.timer.Stop()
		}
		l.at, l.timer = at, nil
		if !at.IsZero() {
			l.timer = time.AfterFunc(time.Until(at), func() { s.change(func() {}) })
		}
	})
}

// stopTimers ends what deadlines are pending, when nobody waits any more.
func (s *stream) stopTimers(side int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.deadline[side].timer; t != nil {
		t.Stop()
	}
}
