//go:build linux

package enclave

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"parley/cmd/parley/bench/gauge"
	"parley/cmd/parley/enclavewire"
)

// outbox has people send messages to a friend who is online, so many commands at once, and counts what was answered: with an
// outbox that is what survives a kill. The friend must get all of them, in order.
func outbox(ctx context.Context, o *Options, s *server) (r Run, err error) {
	c, err := call(ctx, s, peerIP, o)
	if err != nil {
		return r, err
	}
	defer c.Close()
	if err := c.SetReadDeadline(time.Now().Add(o.Duration + o.Timeout)); err != nil {
		return r, err
	}
	got := &receiver{c: c, news: make(chan struct{}, 1)}
	var all sync.WaitGroup
	all.Go(got.read)
	defer all.Wait()
	defer c.Close()
	a := &asker{slots: make(chan struct{}, o.Inflight), asked: make([]time.Time, o.Inflight)}
	s.front.listen(a.hear)
	defer s.front.listen(nil)
	m, err := s.meter()
	if err != nil {
		return r, err
	}
	late := time.NewTimer(o.Duration + o.Timeout)
	defer late.Stop()
	sent := uint64(0)
	var line []byte
	for end := m.began.Add(o.Duration); time.Now().Before(end); sent++ {
		select {
		case a.slots <- struct{}{}:
		case <-ctx.Done():
			return r, ctx.Err()
		case <-late.C:
			return r, errors.New("enclave: the node does not answer commands")
		}
		a.mark(sent)
		line = append(line[:0], `{"cmd":"send","to":"`+peerName+`","message":"`...)
		line = append(append(strconv.AppendUint(line, sent, 10), ' '), c.text...)
		line = append(strconv.AppendUint(append(line, `","id":"`...), sent, 10), "\"}\n"...)
		if _, err := s.front.in.Write(line); err != nil {
			return r, fmt.Errorf("enclave: write commands: %w", err)
		}
	}
	for range o.Inflight { // all are answered
		select {
		case a.slots <- struct{}{}:
		case <-ctx.Done():
			return r, ctx.Err()
		case <-late.C:
			return r, errors.New("enclave: the node does not answer commands")
		}
	}
	if err := m.stop(&r, sent); err != nil {
		return r, err
	}
	err = got.await(ctx, sent-a.refused(), late.C)
	_ = c.Say(farewell)
	r.Time, r.Wrong = a.times.Summary(), append(r.Wrong, got.wrong()...)
	if n := a.refused(); n > 0 {
		r.Wrong = append(r.Wrong, fmt.Sprintf("%d commands were refused: %s", n, a.reason))
	}
	return r, err
}

// asker times commands. Results come in the order of the commands.
type asker struct {
	slots chan struct{}

	mu     sync.Mutex // guards what follows
	asked  []time.Time
	next   uint64
	times  gauge.Histogram
	no     uint64
	reason string // of the last that was refused
}

var okMark = []byte(`"ok":true`)

// hear takes a line of the pipe.
func (a *asker) hear(line []byte, at time.Time) {
	if !bytes.HasPrefix(line, resultMark) {
		return
	}
	a.mu.Lock()
	a.times.Record(int64(at.Sub(a.asked[a.next%uint64(len(a.asked))])))
	a.next++
	if !bytes.Contains(line, okMark) {
		a.no++
		a.reason = string(valueAfter(line, []byte(`"reason":"`)))
	}
	a.mu.Unlock()
	<-a.slots
}

func (a *asker) mark(n uint64) {
	a.mu.Lock()
	a.asked[n%uint64(len(a.asked))] = time.Now()
	a.mu.Unlock()
}

func (a *asker) refused() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.no
}

// receiver is the friend.
type receiver struct {
	c    *caller
	news chan struct{}

	mu    sync.Mutex // guards what follows
	count uint64
	order uint64 // messages that were not greater than the one before
	last  int64
	err   error
}

// read takes messages, and acknowledges the last of what has come together if the friend is of our own kind.
func (f *receiver) read() {
	var buf, out []byte
	f.last = -1
	for {
		content, err := f.c.Next(buf)
		if err != nil {
			f.mu.Lock()
			f.err = err
			f.mu.Unlock()
			f.rouse()
			return
		}
		if text := valueAfter(content, packetStart); text != nil {
			f.take(text)
		}
		if id := valueAfter(content, idMark); id != nil && !f.c.foreign && f.c.Waiting() == 0 {
			out = enclavewire.Append(out[:0], `{"timestamp":1795219316,"ack":"`+string(id)+`"}`)
			_, _ = f.c.Write(out) // a connection that fails is read as one
		}
		buf = content[:0]
	}
}

func (f *receiver) take(text []byte) {
	digits, _, _ := bytes.Cut(text, []byte(" "))
	n, err := strconv.ParseInt(string(digits), 10, 64)
	f.mu.Lock()
	f.count++
	if err != nil || n <= f.last {
		f.order++
	}
	f.last = n
	f.mu.Unlock()
	f.rouse()
}

func (f *receiver) rouse() {
	select {
	case f.news <- struct{}{}:
	default:
	}
}

// await waits for so many messages.
func (f *receiver) await(ctx context.Context, n uint64, late <-chan time.Time) error {
	for {
		f.mu.Lock()
		count, err := f.count, f.err
		f.mu.Unlock()
		switch {
		case count >= n:
			return nil
		case err != nil:
			return fmt.Errorf("enclave: %d of %d messages came: %w", count, n, err)
		}
		select {
		case <-f.news:
		case <-ctx.Done():
			return ctx.Err()
		case <-late:
			return fmt.Errorf("enclave: %d of %d messages came", count, n)
		}
	}
}

func (f *receiver) wrong() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.order > 0 {
		return []string{fmt.Sprintf("%d messages came twice or out of order", f.order)}
	}
	return nil
}
