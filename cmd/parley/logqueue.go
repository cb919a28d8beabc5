package main

import (
	"io"
	"sync"
	"time"
)

const (
	logQueueMost = 256 << 10       // bytes of lines that wait for whoever takes them
	lastWords    = 2 * time.Second // that a process waits at its end for them to be taken
)

// logQueue stands before a writer that may take its time, or nothing any more: a
// pager that was stopped, a terminal after Ctrl-S. Actors log, and actors never
// wait. When too much waits, lines are dropped until all that waits is written;
// a line in their place says how many they were.
type logQueue struct {
	to      io.Writer // fixed, as all of this block; only run writes to it
	gap     func(w io.Writer, lines int64)
	turn    func() // what Turn asks for
	dropped func()
	wake    chan struct{}
	over    chan struct{} // closed when all is written after Close

	mu      sync.Mutex // guards what follows
	text    []byte     // whole lines
	writing int        // bytes that run has taken
	missing int64      // lines since the last gap
	final   []byte     // behind all else, whatever it takes
	turning bool
	closed  bool
}

// newLogQueue begins to write to w. gap writes a line about lost ones, and dropped
// is called for each of them; Turn calls turn.
func newLogQueue(w io.Writer, gap func(w io.Writer, lines int64), turn, dropped func()) *logQueue {
	q := &logQueue{to: w, gap: gap, turn: turn, dropped: dropped, wake: make(chan struct{}, 1), over: make(chan struct{})}
	go q.run()
	return q
}

// Write implements io.Writer; it takes whole lines, never waits and never fails.
func (q *logQueue) Write(line []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
	case q.missing > 0 || q.writing+len(q.text)+len(line) > logQueueMost:
		q.missing++
		q.dropped()
	default:
		q.text = append(q.text, line...)
		q.stir()
	}
	return len(line), nil
}

// Turn has turn called before anything else is written.
func (q *logQueue) Turn() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.turning = true
	q.stir()
}

// stir has run look.
func (q *logQueue) stir() {
	select {
	case q.wake <- struct{}{}:
	default: // it will
	}
}

// run writes until Close.
func (q *logQueue) run() {
	defer close(q.over)
	var text []byte
	for range q.wake {
		for more := true; more; {
			more = false
			t := q.take(text)
			if text = t.text; t.turning {
				q.turn()
			}
			if len(text) > 0 {
				_, _ = q.to.Write(text) // nobody may be listening any more
				more = true
			}
			if t.missing > 0 {
				q.gap(q.to, t.missing)
				more = true
			}
			if !more && t.closed {
				if len(t.final) > 0 {
					_, _ = q.to.Write(t.final)
				}
				return
			}
		}
	}
}

// turnover is what run has to do.
type turnover struct {
	text, final     []byte
	missing         int64 // lines behind text
	turning, closed bool
}

// take returns what waits; used is what was written, to be filled again. Once
// lines are missing none is taken until all before them are written.
func (q *logQueue) take(used []byte) turnover {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := turnover{text: q.text, final: q.final, turning: q.turning, closed: q.closed}
	q.text, q.turning, q.writing = used[:0], false, len(t.text)
	if len(t.text) == 0 {
		t.missing, q.missing = q.missing, 0
	}
	return t
}

// Close takes no more, and waits until all is written, final at the very end, but
// at most so long. It tells whether that came to be. Any goroutine may call it,
// and again, for nothing new.
func (q *logQueue) Close(most time.Duration, final string) bool {
	q.mu.Lock()
	if !q.closed {
		q.closed, q.final = true, []byte(final)
	}
	q.stir()
	q.mu.Unlock()
	late := time.NewTimer(most)
	defer late.Stop()
	select {
	case <-q.over:
		return true
	case <-late.C:
		return false
	}
}
