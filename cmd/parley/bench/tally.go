//go:build linux

package bench

import (
	"parley/cmd/parley/bench/gauge"
	"parley/cmd/parley/bench/wire"
)

// role is what a connection is for: closes are counted by it.
type role string

const (
	roleSubscriber role = "subscriber"
	rolePublisher  role = "publisher"
	roleStalled    role = "stalled"
	roleGuesser    role = "guesser"
)

// tally is what one loop of a crowd has counted. It is owned by that loop; others see it while the crowd rests.
type tally struct {
	finder    wire.Finder
	latency   gauge.Histogram
	delivered uint64 // by counted listeners, each message once
	answers   map[string]uint64
	closes    map[role]map[int]uint64
	faults    Faults
	broken    error // the first frame that was wrong
}

func newTally() *tally {
	return &tally{answers: map[string]uint64{}, closes: map[role]map[int]uint64{}}
}

// reset forgets everything but where stamps are found.
func (t *tally) reset() {
	f := t.finder
	*t = *newTally()
	t.finder = f
}

// add takes over what another has counted.
func (t *tally) add(o *tally) {
	t.latency.Add(&o.latency)
	t.delivered += o.delivered
	for k, n := range o.answers {
		t.answers[k] += n
	}
	for r, codes := range o.closes {
		for code, n := range codes {
			t.closed(r, code, n)
		}
	}
	t.faults.add(o.faults)
	if t.broken == nil {
		t.broken = o.broken
	}
}

func (t *tally) closed(r role, code int, n uint64) {
	if t.closes[r] == nil {
		t.closes[r] = map[int]uint64{}
	}
	t.closes[r][code] += n
}

// ended notes that the server has ended a connection.
func (t *tally) ended(r role, code int, err error) {
	t.closed(r, code, 1)
	if err != nil && t.broken == nil {
		t.broken = err
	}
}

// answered counts an answer under "ok", or its reason.
func (t *tally) answered(a wire.Answer) {
	if a.OK {
		t.answers["ok"]++
		return
	}
	t.answers[string(a.Reason)]++
}
