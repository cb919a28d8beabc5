//go:build linux

package ui

import (
	"fmt"
	"time"

	"parley/cmd/parley/bench/gauge"
	"parley/cmd/parley/bench/report"
)

// Version is raised when a key of the report changes its meaning.
const Version = 1

// Report is everything that one `parley bench ui` has found out; --json prints it.
type Report struct {
	Version  int            `json:"version"`
	Scenario string         `json:"scenario"`
	Machine  report.Machine `json:"machine"`
	Options  Options        `json:"options"`
	Runs     []Run          `json:"runs"` // in the order they were made
	// Violations says what went wrong or missed its goal, one sentence each; with none the bench exits with 0.
	Violations []string `json:"violations,omitempty"`
}

// Run is one phase against one target. What a scenario does not measure is left out.
type Run struct {
	Target  string  `json:"target"`
	Phase   string  `json:"phase,omitempty"`
	Times   int     `json:"times,omitempty"` // that it was done
	Seconds float64 `json:"seconds,omitempty"`

	// Latency is from the cause to the effect that the scenario is about, each one counted: ready, from exec to the first
	// answer; start, from the request to an answer of the Node; crash and broadcast, to each user interface; talk, from
	// sent, or due, to answered.
	Latency *gauge.Percentiles `json:"latency,omitempty"`
	Listens *gauge.Percentiles `json:"listens,omitempty"` // ready: from exec to the line that says so
	Answer  *gauge.Percentiles `json:"answer,omitempty"`  // start, broadcast: to the answer of who asked
	Last    *gauge.Percentiles `json:"last,omitempty"`    // crash, broadcast: to the last user interface, once a round
	Late    *gauge.Percentiles `json:"late,omitempty"`    // talk, paced: how late our own timetable was

	Requests          uint64  `json:"requests,omitempty"`
	RequestsPerSecond float64 `json:"requests_per_second,omitempty"`

	Faults Faults      `json:"faults"`
	Server *report.CPU `json:"server_cpu,omitempty"` // per million: requests
	Client *report.CPU `json:"client_cpu,omitempty"`
	Memory *Memory     `json:"memory,omitempty"`
}

// Faults are broken promises.
type Faults struct {
	Missing uint64            `json:"missing"` // what was to be heard, and was not
	Twice   uint64            `json:"twice"`   // heard again
	Stray   uint64            `json:"stray"`   // answers that nobody had asked for
	Errors  map[string]uint64 `json:"errors,omitempty"`
	Closes  map[int]uint64    `json:"closes,omitempty"` // by close code; 1006 is "without a close frame"
}

// Memory is what idle processes hold.
type Memory struct {
	DaemonKiB       int64   `json:"daemon_kib"`
	NodeKiB         int64   `json:"node_kib,omitempty"`
	Conversations   int     `json:"conversations"`
	PerConversation float64 `json:"bytes_per_conversation"` // growth of the Daemon; right only on a fresh one
}

func (f *Faults) refused(text string, n uint64) {
	if f.Errors == nil {
		f.Errors = map[string]uint64{}
	}
	f.Errors[text] += n
}

func (f *Faults) closed(code int, n uint64) {
	if f.Closes == nil {
		f.Closes = map[int]uint64{}
	}
	f.Closes[code] += n
}

// Judge says what a run has found that must not be, and which goals it missed.
func (r *Report) Judge() []string {
	var bad []string
	for i := range r.Runs {
		x := &r.Runs[i]
		where := label(x)
		count := func(n uint64, what string) {
			if n > 0 {
				bad = append(bad, fmt.Sprintf("%s: %d %s", where, n, what))
			}
		}
		count(x.Faults.Missing, "messages never came")
		count(x.Faults.Twice, "messages came twice")
		count(x.Faults.Stray, "answers that nobody had asked for")
		for text, n := range x.Faults.Errors {
			count(n, fmt.Sprintf("requests refused: %s", text))
		}
		for code, n := range x.Faults.Closes {
			count(n, fmt.Sprintf("connections closed by the server with %d", code))
		}
		bad = append(bad, r.missed(x)...)
	}
	return bad
}

// missed compares a run with the goals.
func (r *Report) missed(x *Run) (bad []string) {
	o, where := &r.Options, label(x)
	if took, what := x.headline(r.Scenario); o.Goal > 0 && took > gauge.Micros(o.Goal) {
		bad = append(bad, fmt.Sprintf("%s: %s is %s, over the goal of %s", where, what, us(took), o.Goal))
	}
	if m := x.Memory; m != nil {
		for _, c := range []struct {
			what      string
			got, goal float64
			unit      string
		}{
			{"an idle Daemon", mib(m.DaemonKiB), o.GoalDaemon, "MiB"},
			{"an idle Node", mib(m.NodeKiB), o.GoalNode, "MiB"},
			{"an idle conversation", m.PerConversation, float64(o.GoalConversation), "bytes"},
		} {
			if c.goal > 0 && c.got > c.goal {
				bad = append(bad, fmt.Sprintf("%s: %s has %.1f %s, over the goal of %g", where, c.what, c.got, c.unit, c.goal))
			}
		}
	}
	return bad
}

// headline is the figure that --goal is for, µs; 0 if this run has none.
func (x *Run) headline(scenario string) (float64, string) {
	switch {
	case x.Latency == nil:
	case scenario == Ready || scenario == Start:
		return x.Latency.P50, "the median"
	case scenario == Talk && x.Phase == phasePaced && x.Target == targetDaemon:
		return x.Latency.P99, "p99"
	case x.Last != nil:
		return x.Last.Max, "the last"
	}
	return 0, ""
}

// took fills in how long a phase was, and its rate.
func (x *Run) took(d time.Duration, requests uint64) {
	x.Seconds, x.Requests = d.Seconds(), requests
	if x.Seconds > 0 {
		x.RequestsPerSecond = float64(requests) / x.Seconds
	}
}
