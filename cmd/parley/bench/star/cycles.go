//go:build linux

package star

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"parley/cmd/parley/bench/crowd"
)

// warmCycles come before the heap is looked at first.
const warmCycles = 1000

// cycles lets clients join, dial, send, and leave, again and again.
func cycles(ctx context.Context, o *Options, t *target) (r Run, err error) {
	pairs := make([]*pair, o.Parallel)
	for i := range pairs {
		if pairs[i], err = t.pair(ctx, o, i, discard); err != nil {
			return r, err
		}
		defer pairs[i].close()
	}
	c := &Repeated{Cycles: o.Cycles}
	if err = t.repeat(ctx, o, pairs, min(warmCycles, o.Cycles)); err != nil {
		return r, err
	}
	if c.HeapStart, err = t.heapNow(ctx, o); err != nil {
		return r, err
	}
	m, err := t.meter()
	if err != nil {
		return r, err
	}
	began := time.Now()
	if err = t.repeat(ctx, o, pairs, o.Cycles); err != nil {
		_, _ = m.sampler.Stop()
		return r, err
	}
	c.PerSecond = float64(o.Cycles) / time.Since(began).Seconds()
	if err = m.stop(&r); err != nil {
		return r, err
	}
	c.HeapEnd, err = t.heapNow(ctx, o)
	r.Cycles = c
	return r, err
}

// repeat makes so many cycles, all pairs together.
func (t *target) repeat(ctx context.Context, o *Options, pairs []*pair, n int) error {
	var begun atomic.Int64
	return crowd.Gather(ctx, len(pairs), len(pairs), func(ctx context.Context, i int) error {
		for begun.Add(1) <= int64(n) {
			if err := pairs[i].cycle(ctx, o, t); err != nil {
				return err
			}
		}
		return nil
	})
}

// cycle gives the address up, joins again, dials, sends a chunk, and waits for the end of the other side.
func (p *pair) cycle(ctx context.Context, o *Options, t *target) error {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	if err := p.a.Leave(p.from); err != nil {
		return err
	}
	if _, err := p.a.Join(ctx, p.from, t.proof(o)); err != nil {
		return explain(err)
	}
	s, err := p.a.Dial(ctx, p.from, p.to)
	if err != nil {
		return err
	}
	err = s.Send(ctx, []byte("once"))
	if err == nil {
		err = s.End()
	}
	if err == nil {
		_, err = s.Receive(ctx)
	}
	if err = errors.Join(eof(err), s.Close()); err != nil {
		return fmt.Errorf("star: dial %q: %w", s.ID(), err)
	}
	return nil
}

// eof is what is wrong with how a stream ended.
func eof(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil:
		return errors.New("something came")
	}
	return err
}

// heapNow is the heap in use, MiB, when nothing has been done for a while; 0: the server does not tell.
func (t *target) heapNow(ctx context.Context, o *Options) (float64, error) {
	if t.heap == "" {
		return 0, nil
	}
	if err := pause(ctx, o.Settle); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, t.heap, nil)
	if err != nil {
		return 0, fmt.Errorf("star: %w", err)
	}
	q.Close = true // a connection kept would have to be closed
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		return 0, fmt.Errorf("star: %w", err)
	}
	defer res.Body.Close()
	n, err := readHeap(res.Body)
	if err != nil {
		return 0, fmt.Errorf("star: %q: %w", t.heap, err)
	}
	return n / mebibyte, nil
}

// heapNames begin the lines that tell it, in bytes: of a Go process, and of rendezvous.mjs in testkit/foreign.
var heapNames = []string{"# HeapAlloc = ", "heap_bytes "}

func readHeap(r io.Reader) (float64, error) {
	for l := bufio.NewScanner(r); l.Scan(); {
		for _, name := range heapNames {
			if text, ok := strings.CutPrefix(l.Text(), name); ok {
				return strconv.ParseFloat(text, 64)
			}
		}
	}
	return 0, errors.New("no heap in the answer; was debug=1 left out?")
}
