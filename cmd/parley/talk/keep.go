package talk

import (
	"errors"
	"time"

	"github.com/go-json-experiment/json"

	"parley/cmd/parley/show"
	"parley/gateways/ws"
)

// Pauses between attempts to have a connection again.
const (
	shortestPause = 50 * time.Millisecond
	longestPause  = 2 * time.Second
)

// keep has a connection whenever there can be one, until Close.
func (s *Session) keep() {
	for {
		w := s.wire()
		select {
		case <-s.ctx.Done():
			return
		case <-w.ended:
		}
		if _, err := s.place(s.ctx, Anywhere); err == nil {
			continue // nobody needs to know
		}
		if s.ctx.Err() != nil {
			return
		}
		w.mu.Lock()
		why := w.why
		w.mu.Unlock()
		s.o.Lost(farewell(why))
		if !s.again() {
			return
		}
		if s.o.Back != nil {
			s.o.Back()
		}
	}
}

// again dials until it succeeds; false: the session was closed.
func (s *Session) again() bool {
	for pause := shortestPause; ; pause = min(2*pause, longestPause) {
		select {
		case <-s.ctx.Done():
			return false
		case <-time.After(pause):
		}
		if _, err := s.place(s.ctx, Anywhere); err == nil {
			return true
		}
	}
}

// farewell is how a connection ended, for people.
func farewell(err error) error {
	var (
		closed *ws.Closed
		bad    *Malformed
	)
	switch {
	case errors.As(err, &bad):
		return err
	case !errors.As(err, &closed), closed.Code == abnormal:
		return errors.New("it broke without a goodbye")
	case closed.Reason != "":
		return errors.New(show.Line(closed.Reason))
	case closed.Code == goingAway:
		return errors.New("it was shut down")
	}
	return err
}

// Close codes. Source: RFC 6455, 7.4.1.
const (
	goingAway = 1001
	abnormal  = 1006
)

// turnedAway is what a server said that did not let this side in.
func turnedAway(err error) error {
	var r *ws.Refused
	if !errors.As(err, &r) {
		return errors.New(show.Line(err.Error()))
	}
	var body struct {
		Help string `json:"help"`
	}
	said := string(r.Body)
	if json.Unmarshal(r.Body, &body) == nil && body.Help != "" {
		said = body.Help
	}
	return errors.New("it answered " + show.Line(r.Status) + ": " + show.Text(said))
}
