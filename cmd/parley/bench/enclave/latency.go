//go:build linux

package enclave

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"parley/cmd/parley/bench/gauge"
)

// latency sends messages by a timetable, and times each from when it was due until a front end has its line.
func latency(ctx context.Context, o *Options, s *server) (r Run, err error) {
	c, err := call(ctx, s, peerIP, o)
	if err != nil {
		return r, err
	}
	defer c.Close()
	var others sync.WaitGroup
	defer others.Wait()
	defer c.Close()
	others.Go(func() { _, _ = io.Copy(io.Discard, c.TCPConn) })
	total := uint64(o.Rate * o.Duration.Seconds())
	began := time.Now().Add(10 * time.Millisecond) // that it takes to begin
	l := &lines{total: total, began: began, step: time.Duration(float64(time.Second) / o.Rate), over: make(chan struct{})}
	if s.front != nil {
		s.front.listen(l.hear)
		defer s.front.listen(nil)
	} else {
		others.Go(func() { l.readAll(s) })
		defer s.release()
	}
	m, err := s.meter()
	if err != nil {
		return r, err
	}
	var b []byte
	for n := uint64(0); n < total; {
		if err := pause(ctx, time.Until(l.due(n))); err != nil {
			return r, err
		}
		b = b[:0]
		for now := time.Now(); n < total && !l.due(n).After(now); n++ {
			text := strconv.FormatUint(n, 10) + " " + c.text
			b = c.appendMessage(b, text[:max(o.Size, len(text)-len(c.text))])
		}
		if _, err := c.Write(b); err != nil {
			return r, fmt.Errorf("enclave: the %s has ended the connection: %w", s.name, err)
		}
	}
	late := time.NewTimer(o.Timeout)
	defer late.Stop()
	select {
	case <-l.over:
	case <-ctx.Done():
		return r, ctx.Err()
	case <-late.C:
		return r, errors.New("enclave: not all messages came to the front end")
	}
	if err := m.stop(&r, total); err != nil {
		return r, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	r.Time = l.times.Summary()
	if l.order > 0 {
		r.Wrong = append(r.Wrong, fmt.Sprintf("%d messages came twice or out of order", l.order))
	}
	return r, nil
}

// lines times what a front end reads.
type lines struct {
	total uint64 // fixed, as the next three
	began time.Time
	step  time.Duration
	over  chan struct{} // closed when the last has come

	mu    sync.Mutex // guards what follows
	next  uint64
	order uint64
	times gauge.Histogram
}

func (l *lines) due(n uint64) time.Time { return l.began.Add(time.Duration(n) * l.step) }

// eventMark begins the line of a message, textMark its text.
var (
	eventMark = []byte(`{"event":"message"`)
	textMark  = []byte(`"message":"`)
)

func (l *lines) hear(line []byte, at time.Time) {
	rest, ok := bytes.CutPrefix(line, eventMark)
	if !ok {
		return
	}
	_, text, _ := bytes.Cut(rest, textMark)
	digits, _, _ := bytes.Cut(text, []byte(" "))
	n, err := strconv.ParseUint(string(digits), 10, 64)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || n != l.next {
		l.order++
		return
	}
	l.times.Record(int64(at.Sub(l.due(n))))
	if l.next++; l.next == l.total {
		close(l.over)
	}
}

// readAll hears what a server says on its standard output, until all has come or that ends.
func (l *lines) readAll(s *server) {
	for {
		line, err := s.out.ReadSlice('\n')
		if err != nil {
			return
		}
		l.hear(line, time.Now())
		select {
		case <-l.over:
			return
		default:
		}
	}
}
