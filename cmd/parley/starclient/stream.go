package starclient

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
)

// Events of socket.io-pull-stream, each with ".<stream id>" behind it.
const (
	streamPrefix = "socket.io-pull-stream."
	streamAccept = streamPrefix + "accept."
	streamQueue  = streamPrefix + "queue."
	streamError  = streamPrefix + "error."

	dialerSuffix   = ".dialer"   // from who dialled
	listenerSuffix = ".listener" // to who dialled
)

// inboxMost is how many chunks a stream keeps that nobody has read. Then its
// whole connection is read no more, as there is no other way to slow a sender.
const inboxMost = 64

// Stream is a dial: chunks go both ways, and keep their boundaries. Sending is
// for one goroutine, Receive for another.
type Stream struct {
	client  *Client
	dial    string
	out, in string // ids

	accepted chan struct{} // closed when the other side reads
	inbox    chan []byte
	over     chan struct{} // closed when nothing more comes
	dropped  chan struct{} // closed when nobody reads any more
	drop     sync.Once
	finished sync.Once
	err      error // why nothing more comes; set before over is closed
	taken    bool  // owned by the reader: accepted is closed
}

// streamEvent splits the name of an event: its kind, by its first letter, and
// the id; 0: it is none.
func streamEvent(name string) (kind byte, id string) {
	for _, prefix := range []string{streamQueue, streamAccept, streamError} {
		if id, ok := strings.CutPrefix(name, prefix); ok {
			return prefix[len(streamPrefix)], id
		}
	}
	return 0, ""
}

// newStream makes this side of a dial ready to hear.
func (c *Client) newStream(dial string, dialled bool) (*Stream, error) {
	s := &Stream{
		client: c, dial: dial, out: dial + dialerSuffix, in: dial + listenerSuffix,
		accepted: make(chan struct{}), inbox: make(chan []byte, inboxMost), over: make(chan struct{}), dropped: make(chan struct{}),
	}
	if dialled {
		s.out, s.in = s.in, s.out
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return nil, c.err
	}
	c.streams[s.in], c.sinks[s.out] = s, s
	return s, nil
}

// Dial connects to whoever has the address to. from is an address of ours.
func (c *Client) Dial(ctx context.Context, from, to string) (*Stream, error) {
	return c.DialAs(ctx, from, to, rand.Text())
}

// DialAs is Dial with an id that the caller chose.
func (c *Client) DialAs(ctx context.Context, from, to, dial string) (*Stream, error) {
	s, err := c.newStream(dial, false)
	if err != nil {
		return nil, err
	}
	got, err := c.Ask(ctx, EventDial, from, to, dial)
	if err == nil {
		err = refusal(EventDial, got)
	}
	if err == nil {
		err = s.accept()
	}
	if err != nil {
		s.free()
		return nil, err
	}
	return s, nil
}

// accept says that this side reads.
func (s *Stream) accept() error { return s.client.Emit(streamAccept + s.in) }

// ID is what the dial is called.
func (s *Stream) ID() string { return s.dial }

// Send sends one chunk, which may be empty. It waits until the other side reads,
// and while the server does not take more.
func (s *Stream) Send(ctx context.Context, chunk []byte) error {
	select {
	case <-s.accepted:
	default:
		select {
		case <-s.accepted:
		case <-s.client.done:
			return s.client.Err()
		case <-ctx.Done():
			return fmt.Errorf("starclient: send: %w", ctx.Err())
		}
	}
	return s.client.wire.Packet(fmt.Sprintf(`%c1-["%s%s",{"_placeholder":true,"num":0}]`, BinaryEvent, streamQueue, s.out), chunk)
}

// End says that nothing more is sent.
func (s *Stream) End() error { return s.client.Emit(streamError+s.out, true) }

// Receive returns the next chunk. At the end it is io.EOF.
func (s *Stream) Receive(ctx context.Context) ([]byte, error) {
	select {
	case chunk := <-s.inbox:
		return chunk, nil
	default:
	}
	select {
	case chunk := <-s.inbox:
		return chunk, nil
	case <-s.over:
	case <-ctx.Done():
		return nil, fmt.Errorf("starclient: receive: %w", ctx.Err())
	}
	select { // what came before the end
	case chunk := <-s.inbox:
		return chunk, nil
	default:
		return nil, s.err
	}
}

// Close ends the stream in both directions: what still comes is thrown away.
func (s *Stream) Close() error {
	s.drop.Do(func() { close(s.dropped) })
	s.finish(ErrClosed)
	err := s.End()
	s.free()
	if errors.Is(s.client.Err(), ErrClosed) {
		return nil
	}
	return err
}

// free forgets the stream.
func (s *Stream) free() {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	delete(s.client.streams, s.in)
	delete(s.client.sinks, s.out)
}

// finish says that nothing more comes.
func (s *Stream) finish(why error) {
	s.finished.Do(func() {
		s.err = why
		close(s.over)
	})
}

// stream takes one event of a stream. What is of no stream of ours is ignored,
// as libp2p's client does.
func (c *Client) stream(kind byte, id string, p *Packet, attachments [][]byte) error {
	c.mu.Lock()
	in, out := c.streams[id], c.sinks[id]
	c.mu.Unlock()
	switch {
	case kind == 'a' && out != nil && !out.taken:
		out.taken = true
		close(out.accepted)
	case kind == 'q' && in != nil:
		if len(attachments) != 1 {
			return fmt.Errorf("starclient: a chunk with %d attachments", len(attachments))
		}
		in.keep(attachments[0])
	case kind == 'e' && in != nil:
		a, err := p.Arguments()
		if err != nil {
			return err
		}
		if len(a) == 0 || isTrue(a[0]) {
			in.finish(io.EOF)
		} else {
			in.finish(refusal(streamError+id, a))
		}
	}
	return nil
}

// keep hands a chunk to who reads, and waits while it is not wanted.
func (s *Stream) keep(chunk []byte) {
	select {
	case s.inbox <- chunk:
		return
	default:
	}
	s.client.waiting.Store(true)
	defer s.client.waiting.Store(false)
	select {
	case s.inbox <- chunk:
	case <-s.over:
	case <-s.dropped:
	}
}
