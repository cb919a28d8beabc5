package process

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	readSize  = 8 << 10  // bytes read at once
	ringSize  = 64 << 10 // bytes of stderr that are kept
	linesMost = 20       // lines that are told of an end
	lineMost  = 1 << 10  // bytes of a line that are passed on
	lineRate  = 100      // lines passed on a second
	lineBurst = 200      // lines passed on at once
)

// tail keeps the end of what a process writes, and passes its lines on as long
// as they do not come too fast. A process that writes without end costs reading
// and copying, and no more memory than this.
type tail struct {
	hand func(line string) // fixed; nil: nobody wants the lines

	ring    []byte // the last ringSize bytes, from written on, wrapped around
	written uint64 // bytes so far

	line    []byte // begun and not ended
	tokens  float64
	filled  time.Time // when tokens were counted
	dropped uint64    // lines not passed on since the last that was
}

func newTail(hand func(string)) *tail {
	return &tail{hand: hand, ring: make([]byte, ringSize), tokens: lineBurst, filled: time.Now()}
}

// readFrom reads until there is no more, or r is closed.
func (t *tail) readFrom(r io.Reader) {
	b := make([]byte, readSize)
	for {
		n, err := r.Read(b)
		t.keep(b[:n])
		if t.hand != nil {
			t.pass(b[:n], time.Now())
		}
		if err != nil {
			break
		}
	}
	if t.hand == nil {
		return
	}
	if len(t.line) > 0 {
		t.give(t.line)
	}
	t.confess()
}

// keep puts b, which is shorter than the ring, into it.
func (t *tail) keep(b []byte) {
	at := int(t.written % ringSize)
	n := copy(t.ring[at:], b)
	copy(t.ring, b[n:])
	t.written += uint64(len(b))
}

// pass takes what came at now apart into lines. When they come too fast they
// are only counted, at the speed of memory.
func (t *tail) pass(b []byte, now time.Time) {
	t.tokens = min(lineBurst, t.tokens+now.Sub(t.filled).Seconds()*lineRate)
	t.filled = now
	for {
		if t.tokens < 1 {
			t.dropped += uint64(bytes.Count(b, newline))
			if last := bytes.LastIndexByte(b, '\n'); last >= 0 {
				t.line, b = t.line[:0], b[last+1:]
			}
			t.add(b)
			return
		}
		line, rest, whole := bytes.Cut(b, newline)
		t.add(line)
		if !whole {
			return
		}
		t.give(t.line)
		t.line, b = t.line[:0], rest
	}
}

var newline = []byte{'\n'}

// add makes the begun line longer, as far as somebody will see it. One byte more
// than that tells that it was cut.
func (t *tail) add(b []byte) {
	t.line = append(t.line, b[:min(len(b), lineMost+1-len(t.line))]...)
}

func (t *tail) give(line []byte) {
	text := plain(line)
	if text == "" {
		return
	}
	t.tokens--
	t.confess()
	t.hand(text)
}

// confess tells what was left out.
func (t *tail) confess() {
	if t.dropped > 0 {
		t.hand(fmt.Sprintf("(%d lines left out: they came too fast)", t.dropped))
		t.dropped = 0
	}
}

// lines returns the last lines that were not blank, oldest first. If the process
// told of a panic in what was kept, the lines begin there: the traces behind it
// say less.
func (t *tail) lines() []string {
	b := t.ring[:min(t.written, ringSize)]
	if t.written > ringSize {
		at := t.written % ringSize
		b = append(bytes.Clone(t.ring[at:]), t.ring[:at]...)
		_, b, _ = bytes.Cut(b, newline) // the first is the end of one
	}
	var all []string
	panicked := -1
	for line := range bytes.SplitSeq(b, newline) {
		text := plain(line)
		if text == "" {
			continue
		}
		if strings.HasPrefix(text, "panic: ") || strings.HasPrefix(text, "fatal error: ") {
			panicked = len(all)
		}
		all = append(all, text)
	}
	first := max(0, len(all)-linesMost)
	if panicked >= 0 {
		first = min(first, panicked)
	}
	return all[first:min(len(all), first+linesMost)]
}

// plain makes a line harmless on a terminal and not too long: what cannot be
// seen, or changes the order in which others are seen, is replaced.
func plain(line []byte) string {
	line = bytes.TrimRight(line, " \t\r")
	var b strings.Builder
	for len(line) > 0 {
		r, n := utf8.DecodeRune(line)
		line = line[n:]
		if r == '\t' {
			r = ' '
		}
		if !unicode.IsPrint(r) {
			r = utf8.RuneError
		}
		if b.Len()+utf8.RuneLen(r) > lineMost {
			b.WriteString("…")
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}
