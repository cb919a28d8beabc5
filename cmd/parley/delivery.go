package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
)

const (
	// windowBytes is how much may be unanswered, besides one message: what a
	// node takes from one client before it has passed it on.
	windowBytes = 1 << 20
	// firstPause is the pause after "slow down"; it doubles up to longestPause.
	firstPause   = 50 * time.Millisecond
	longestPause = 2 * time.Second
	// giveUp is how long a relay may say nothing but "slow down".
	giveUp = time.Minute

	reasonBusy     = "busy"
	reasonSlowDown = "slow down"
	subscribeNonce = 0 // a message's is its number, from 1
)

// delivery publishes lines: a window of them is unanswered at any time.
type delivery struct {
	*publication // fixed, as all of this block
	session      session
	password     string
	answers      chan *answer  // from the reader
	ended        chan error    // from the reader: why there are no more
	done         chan struct{} // lets the reader go

	last      int             // line that was taken; owned, as all that follows
	sent      map[int]message // unanswered, by nonce
	bytes     int             // of sent
	refused   []message       // to be sent again
	accepted  int             // highest nonce that was answered with ok
	published int
	retried   int
	overtaken int
}

// message is one line on its way.
type message struct {
	nonce int
	frame []byte
}

func newDelivery(p *publication, s session, password string) *delivery {
	return &delivery{
		publication: p, session: s, password: password,
		answers: make(chan *answer, maxWindow), ended: make(chan error, 1), done: make(chan struct{}),
		sent: map[int]message{},
	}
}

// run returns when all lines are answered, or cannot be. When ctx ends it takes
// no more lines, and is content if those it took are answered.
func (d *delivery) run(ctx context.Context) error {
	defer close(d.done)
	go d.read()
	defer context.AfterFunc(ctx, func() {
		time.AfterFunc(interruptGrace, func() { _ = d.session.Close() })
	})()
	err := d.subscribe(ctx)
	if err == nil {
		err = d.publish(ctx)
	}
	if err != nil && ctx.Err() != nil {
		err = errInterrupted
	}
	if first := d.firstUnanswered(); err != nil && first > 0 && d.last > 1 {
		err = fmt.Errorf("%w (%s published; line %d was not answered)", err, counted(d.published, "message"), first)
	}
	return err
}

// read passes on what answers something. It runs until the connection ends.
func (d *delivery) read() {
	for {
		a, err := hear(d.session)
		if err != nil {
			d.ended <- err
			return
		}
		if a.Type != typeResponse && a.Type != typeError {
			continue // others' messages
		}
		select {
		case d.answers <- a:
		case <-d.done:
			return
		}
	}
}

// hear returns the next answer. ctx ends the wait only if it is given.
func (d *delivery) hear(ctx context.Context) (*answer, error) {
	select {
	case a := <-d.answers:
		return a, nil
	case err := <-d.ended:
		return nil, endError(err)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// write sends a frame. When that fails, the reader knows better why.
func (d *delivery) write(frame []byte) error {
	err := d.session.Say(frame)
	if err == nil {
		return nil
	}
	select {
	case why := <-d.ended:
		return endError(why)
	case <-time.After(interruptGrace):
		return endError(err)
	}
}

func (d *delivery) subscribe(ctx context.Context) error {
	frame, err := json.Marshal(order{"subscribe", subscribeData{Topic: d.channel, Channel: d.channel, Password: d.password}, subscribeNonce})
	if err != nil {
		return &usageError{fmt.Errorf("channel %q is not UTF-8; convert it, for instance with iconv", d.channel)}
	}
	for try := 0; ; try++ {
		if err := d.write(frame); err != nil {
			return err
		}
		a, err := d.hear(ctx)
		switch {
		case err != nil:
			return err
		case a.Type == typeResponse && a.Data.OK:
			return nil
		case a.Data.Reason != reasonBusy || try == busyTries:
			return refusal(d.channel, a.Data.Reason)
		}
	}
}

func (d *delivery) publish(ctx context.Context) error {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	l := newLines(reading, d.message, d.stdin)
	next, interrupted := l.next, ctx.Done()
	for next != nil || len(d.sent) > 0 {
		more := next
		if len(d.sent) >= d.window || d.bytes >= windowBytes {
			more = nil
		}
		select {
		case text, ok := <-more:
			if !ok {
				next = nil
			} else if err := d.send(text); err != nil {
				return err
			}
		case a := <-d.answers:
			if err := d.settle(a); err != nil {
				return err
			}
		case err := <-d.ended:
			return endError(err)
		case <-interrupted:
			next, interrupted = nil, nil
		}
		if len(d.refused) > 0 {
			if err := d.again(ctx); err != nil {
				return err
			}
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return l.err
}

// send writes a line.
func (d *delivery) send(text string) error {
	d.last++
	frame, err := json.Marshal(order{"send", sendData{d.channel, text}, d.last})
	if err != nil {
		return err
	}
	return d.transmit(message{d.last, frame})
}

func (d *delivery) transmit(m message) error {
	d.sent[m.nonce] = m
	d.bytes += len(m.frame)
	return d.write(m.frame)
}

// settle takes an answer to account. A line that must be sent again waits in refused.
func (d *delivery) settle(a *answer) error {
	m, ours := d.sent[a.number()]
	if a.Type == typeError {
		return refusal(a.Data.Channel, a.Data.Reason)
	}
	if !ours {
		return nil
	}
	delete(d.sent, m.nonce)
	d.bytes -= len(m.frame)
	switch {
	case a.Data.OK:
		d.published++
		d.accepted = max(d.accepted, m.nonce)
	case a.Data.Reason == reasonSlowDown:
		d.refused = append(d.refused, m)
	default:
		return refusal(d.channel, a.Data.Reason)
	}
	return nil
}

// again waits until all is answered, and sends what was refused once more: one
// at a time, in order, and more slowly as long as the relay wants it.
func (d *delivery) again(ctx context.Context) error {
	if err := d.settleAll(ctx); err != nil {
		return err
	}
	slices.SortFunc(d.refused, func(a, b message) int { return a.nonce - b.nonce })
	for _, m := range d.refused {
		if m.nonce < d.accepted {
			d.overtaken++
		}
	}
	pause, patience := firstPause, time.Now().Add(giveUp)
	for len(d.refused) > 0 {
		if err := rest(ctx, pause); err != nil {
			return err
		}
		m := d.refused[0]
		d.refused = d.refused[1:]
		d.retried++
		if err := d.transmit(m); err != nil {
			return err
		}
		before := d.published
		if err := d.settleAll(ctx); err != nil {
			return err
		}
		switch {
		case d.published > before:
			pause, patience = 0, time.Now().Add(giveUp)
		case time.Now().After(patience):
			return errors.New("the relay was too busy for a minute; try again later")
		default:
			pause = min(max(2*pause, firstPause), longestPause)
			slices.SortFunc(d.refused, func(a, b message) int { return a.nonce - b.nonce })
		}
	}
	return nil
}

// settleAll waits for the answers to all that was sent.
func (d *delivery) settleAll(ctx context.Context) error {
	for len(d.sent) > 0 {
		a, err := d.hear(ctx)
		if err != nil {
			return err
		}
		if err := d.settle(a); err != nil {
			return err
		}
	}
	return nil
}

func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// firstUnanswered is the number of the first line that is not known to be
// published, from 1; 0: none.
func (d *delivery) firstUnanswered() int {
	first := 0
	for _, m := range d.sent {
		if first == 0 || m.nonce < first {
			first = m.nonce
		}
	}
	for _, m := range d.refused {
		if first == 0 || m.nonce < first {
			first = m.nonce
		}
	}
	return first
}
