//go:build linux

package enclave

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync/atomic"
	"time"
)

// burst sends messages as fast as the other side takes them. A peer of our own kind has the acknowledgement of the last one
// before the clock is stopped; another says that it goes offline, and has the connection closed.
func burst(ctx context.Context, o *Options, s *server) (r Run, err error) {
	c, err := call(ctx, s, peerIP, o)
	if err != nil {
		return r, err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	if err := c.SetReadDeadline(time.Now().Add(o.Duration + o.Timeout)); err != nil {
		return r, err
	}
	lost := &losses{}
	if s.front != nil {
		s.front.listen(lost.hear)
		defer s.front.listen(nil)
	}
	acks := make(chan uint64, 1<<16)
	over := make(chan error, 1)
	go func() { over <- c.hearAcks(acks) }()
	m, err := s.meter()
	if err != nil {
		return r, err
	}
	var b []byte
	for end := m.began.Add(o.Duration); time.Now().Before(end); {
		b = b[:0]
		for range o.Burst {
			b = c.appendMessage(b, c.text)
		}
		if _, err := c.Write(b); err != nil {
			return r, errors.Join(fmt.Errorf("enclave: the %s has ended the connection: %w", s.name, err), ctx.Err())
		}
	}
	if o.Foreign {
		err = c.Say(farewell)
		if err == nil {
			err = <-over
		}
	} else {
		err = c.awaitAck(acks, over)
	}
	if err != nil {
		return r, errors.Join(err, ctx.Err())
	}
	err = m.stop(&r, c.sent)
	n := lost.count.Load()
	r.Lost = &n
	return r, err
}

// losses are messages that a front end was told it has lost.
type losses struct{ count atomic.Uint64 }

// droppedMark begins the line that says so. Source: gateways/enclave/PROTOCOL.md, Front ends.
var droppedMark = []byte(`{"event":"dropped","count":`)

func (l *losses) hear(line []byte, _ time.Time) {
	rest, ok := bytes.CutPrefix(line, droppedMark)
	if !ok {
		return
	}
	digits, _, _ := bytes.Cut(rest, []byte("}"))
	if n, err := strconv.ParseUint(string(digits), 10, 64); err == nil {
		l.count.Add(n)
	}
}

// hearAcks hands over the numbers that are acknowledged, the newest if there is no room, until the other side closes.
func (c *caller) hearAcks(acks chan<- uint64) error {
	defer close(acks)
	var buf []byte
	for {
		content, err := c.Next(buf)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("enclave: wait for acknowledgements: %w", err)
		}
		if n := number(valueAfter(content, ackMark)); n > 0 {
			acks <- n
		}
		buf = content[:0]
	}
}

// awaitAck waits until all that was sent is acknowledged.
func (c *caller) awaitAck(acks <-chan uint64, over <-chan error) error {
	for n := range acks {
		if n == c.sent {
			_ = c.Say(farewell)
			return nil
		}
	}
	if err := <-over; err != nil {
		return err
	}
	return fmt.Errorf("enclave: the connection was closed before %d messages were acknowledged", c.sent)
}
