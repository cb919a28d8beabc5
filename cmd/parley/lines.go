package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

const (
	// maxLine is the longest line that is read, in bytes: no node can be told to
	// take a longer message.
	maxLine = 64 << 20
	// lineBuffer is what is read at once, in bytes.
	lineBuffer = 64 << 10
)

// lines are the messages to be published, in order.
type lines struct {
	next chan string
	err  error // why there are no more; nil: they are all there. Set before next is closed
}

// newLines gives one message, or the lines of r. It reads ahead by one line. Its
// goroutine ends with ctx or r; a read that waits for a terminal, with the
// process.
func newLines(ctx context.Context, message string, r io.Reader) *lines {
	l := &lines{next: make(chan string)}
	go func() {
		defer close(l.next)
		if r == nil {
			l.err = l.offer(ctx, message, 1)
			return
		}
		b := bufio.NewReaderSize(r, lineBuffer)
		for n := 1; l.err == nil; n++ {
			var text string
			if text, l.err = readLine(b, n); l.err == nil {
				l.err = l.offer(ctx, text, n)
			}
		}
		if errors.Is(l.err, io.EOF) {
			l.err = nil
		}
	}()
	return l
}

// offer hands out one line.
func (l *lines) offer(ctx context.Context, text string, n int) error {
	if !utf8.ValidString(text) {
		return fmt.Errorf("line %d is not UTF-8; convert it, for instance: iconv -f latin1 -t utf-8", n)
	}
	select {
	case l.next <- text:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// readLine returns the next line without its end; a last one need not have one.
func readLine(r *bufio.Reader, n int) (string, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxLine:
			return "", fmt.Errorf("line %d is longer than any node takes (%d bytes)", n, maxLine)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(line) > 0:
			return string(line), nil
		case errors.Is(err, io.EOF):
			return "", io.EOF
		case err != nil:
			return "", fmt.Errorf("line %d cannot be read: %w", n, err)
		}
		return string(bytes.TrimSuffix(line[:len(line)-1], []byte("\r"))), nil
	}
}
