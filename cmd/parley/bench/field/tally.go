//go:build linux

package field

import (
	"parley/cmd/parley/bench/gauge"
	"parley/cmd/parley/bench/report"
	"parley/cmd/parley/bench/wire"
)

// Role is what a connection is for: closes are counted by it.
type Role string

const (
	RoleSubscriber Role = "subscriber"
	RolePublisher  Role = "publisher"
	RoleStalled    Role = "stalled"
	RoleGuesser    Role = "guesser"
)

// Tally is what one loop of a crowd has counted. It is owned by that loop; others see it while the crowd rests.
type Tally struct {
	finder    wire.Finder
	Latency   gauge.Histogram
	delivered uint64 // by counted listeners, each message once
	Answers   map[string]uint64
	Closes    map[Role]map[int]uint64
	Faults    report.Faults
	broken    error // the first frame that was wrong
}

// NewTally makes an empty one.
func NewTally() *Tally {
	return &Tally{Answers: map[string]uint64{}, Closes: map[Role]map[int]uint64{}}
}

// Reset forgets everything but where stamps are found.
func (t *Tally) Reset() {
	f := t.finder
	*t = *NewTally()
	t.finder = f
}

// Add takes over what another has counted.
func (t *Tally) Add(o *Tally) {
	t.Latency.Add(&o.Latency)
	t.delivered += o.delivered
	for k, n := range o.Answers {
		t.Answers[k] += n
	}
	for r, codes := range o.Closes {
		for code, n := range codes {
			t.closed(r, code, n)
		}
	}
	t.Faults.Add(o.Faults)
	if t.broken == nil {
		t.broken = o.broken
	}
}

func (t *Tally) closed(r Role, code int, n uint64) {
	if t.Closes[r] == nil {
		t.Closes[r] = map[int]uint64{}
	}
	t.Closes[r][code] += n
}

// Ended notes that the server has ended a connection.
func (t *Tally) Ended(r Role, code int, err error) {
	t.closed(r, code, 1)
	if err != nil && t.broken == nil {
		t.broken = err
	}
}

// Answered counts an answer under "ok", or its reason.
func (t *Tally) Answered(a wire.Answer) {
	if a.OK {
		t.Answers["ok"]++
		return
	}
	t.Answers[string(a.Reason)]++
}

// Fill copies what was counted into a run, but for the deliveries.
func (t *Tally) Fill(r *report.Run) {
	r.Faults, r.Responses, r.Closes = t.Faults, t.Answers, map[string]map[int]uint64{}
	for who, codes := range t.Closes {
		r.Closes[string(who)] = codes
	}
	if t.broken != nil {
		r.Broken = t.broken.Error()
	}
}
