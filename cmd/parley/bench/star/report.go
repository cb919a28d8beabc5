//go:build linux

package star

import (
	"fmt"

	"parley/cmd/parley/bench/gauge"
	"parley/cmd/parley/bench/report"
)

// Version is raised when a key of the report changes its meaning.
const Version = 1

// Report is everything that one `parley bench star` has found out; --json prints it.
type Report struct {
	Version  int            `json:"version"`
	Scenario string         `json:"scenario"`
	Machine  report.Machine `json:"machine"`
	Options  Options        `json:"options"`
	Runs     []Run          `json:"runs"` // in the order they were made
	// Violations says what went wrong or missed its goal, one sentence each; with none the bench exits with 0.
	Violations []string `json:"violations,omitempty"`
}

// Run is one round against one server. What a scenario does not measure is left out.
type Run struct {
	Target  string  `json:"target"`
	Round   int     `json:"round"` // from 1
	Seconds float64 `json:"seconds"`

	Server *Load     `json:"server,omitempty"` // nil: its process is not known
	Client *Load     `json:"client"`
	Memory *Resident `json:"memory,omitempty"` // likewise

	Joins    *Joins    `json:"joins,omitempty"`
	Stream   *Flow     `json:"stream,omitempty"`
	Announce *Heard    `json:"announce,omitempty"`
	Dials    *Dialled  `json:"dials,omitempty"`
	Cycles   *Repeated `json:"cycles,omitempty"`

	Wrong  []string `json:"wrong,omitempty"`  // what must not be, one sentence each
	Failed string   `json:"failed,omitempty"` // why the other server was not measured
}

// Load is processor time.
type Load struct {
	Seconds float64 `json:"cpu_seconds"`
	Share   float64 `json:"cpu_share"` // of one processor
}

// Resident is the server's resident memory, KiB.
type Resident struct {
	Start  int64   `json:"start_kib"`
	Peak   int64   `json:"peak_kib"`
	End    int64   `json:"end_kib"`
	Client float64 `json:"each_client_kib,omitempty"` // of growth from start to end
}

// Joins are clients that joined at once.
type Joins struct {
	Clients   int                `json:"clients"`
	PerSecond float64            `json:"per_second"`
	CPUMillis float64            `json:"server_cpu_ms_each,omitempty"`
	Time      *gauge.Percentiles `json:"time"`
	Unheard   int                `json:"unheard"` // pairs of which neither was told of the other
}

// Flow is what went through streams.
type Flow struct {
	MiB          float64 `json:"mib"`
	PerSecond    float64 `json:"mib_per_second,omitempty"`
	CPUMillis    float64 `json:"server_cpu_ms_per_mib,omitempty"`
	TakenStalled float64 `json:"mib_taken_while_stalled,omitempty"`
	Growth       float64 `json:"growth_mib,omitempty"` // of the server's memory while the receiver stalled
}

// Heard is what clients were told of each other in the time that was measured.
type Heard struct {
	Clients   int     `json:"clients"`
	Announced uint64  `json:"announced"`
	Delivered float64 `json:"delivered"` // share of what is due: everybody to everybody each interval
	Unheard   int     `json:"unheard"`   // pairs of which one was never told of the other
}

// Dialled are the dials made meanwhile.
type Dialled struct {
	Time   *gauge.Percentiles `json:"time"`
	Failed map[string]int     `json:"failed,omitempty"`
}

// Repeated are the cycles.
type Repeated struct {
	Cycles    int     `json:"cycles"`
	PerSecond float64 `json:"per_second"`
	HeapStart float64 `json:"heap_start_mib,omitempty"`
	HeapEnd   float64 `json:"heap_end_mib,omitempty"`
}

// The names of targets.
const (
	targetServer  = "server"
	targetAgainst = "against"
)

// Judge says what a run has found that must not be, and which goals it missed. A goal that nothing was measured for is
// missed. Only --url is judged.
func (r *Report) Judge() []string {
	var bad []string
	for i := range r.Runs {
		x := &r.Runs[i]
		if x.Target != targetServer {
			continue
		}
		for _, w := range x.Wrong {
			bad = append(bad, fmt.Sprintf("round %d: %s", x.Round, w))
		}
		for _, c := range r.checks(x) {
			if c.goal > 0 && (c.got == nil || *c.got > c.goal) {
				bad = append(bad, fmt.Sprintf("round %d: %s is %s, the goal is %.4g", x.Round, c.what, shown(c.got), c.goal))
			}
		}
	}
	for _, c := range r.ratios() {
		if c.goal > 0 && (c.got == nil || c.least && *c.got < c.goal || !c.least && *c.got > c.goal) {
			bad = append(bad, fmt.Sprintf("%s, %s / %s, is %s, the goal is %.4g", c.what, targetServer, targetAgainst, shown(c.got), c.goal))
		}
	}
	return bad
}

// check is a figure and its goal.
type check struct {
	what  string
	got   *float64 // nil: not measured
	goal  float64
	least bool // it must be at least that
}

func shown(v *float64) string {
	if v == nil {
		return "not known"
	}
	return fmt.Sprintf("%.4g", *v)
}

// checks are the goals of one run.
func (r *Report) checks(x *Run) []check {
	g := &r.Options.Goals
	var client, growth, share, dial, heap *float64
	if x.Memory != nil && x.Memory.Client != 0 {
		client = &x.Memory.Client
	}
	if x.Stream != nil && x.Memory != nil {
		growth = &x.Stream.Growth
	}
	if x.Server != nil {
		share = &x.Server.Share
	}
	if x.Dials != nil && x.Dials.Time != nil {
		dial = &x.Dials.Time.P99
	}
	if c := x.Cycles; c != nil && c.HeapEnd > 0 {
		grown := c.HeapEnd - c.HeapStart
		heap = &grown
	}
	return []check{
		{"memory of a client, KiB", client, g.Client, false},
		{"growth, MiB", growth, g.Growth, false},
		{"share of a processor", share, g.Share, false},
		{"p99 of dials, µs", dial, gauge.Micros(g.Dial), false},
		{"growth of the heap, MiB", heap, g.Heap, false},
	}
}

// ratios compare medians over all rounds with those of the other server.
func (r *Report) ratios() []check {
	g := &r.Options.Goals
	ratio := func(of func(x *Run) float64) *float64 {
		own, other := r.median(targetServer, of), r.median(targetAgainst, of)
		if own == 0 || other == 0 {
			return nil
		}
		v := own / other
		return &v
	}
	switch r.Scenario {
	case Join:
		return []check{{"joins a second", ratio(func(x *Run) float64 { return x.Joins.PerSecond }), g.JoinsRatio, true}}
	case Memory:
		return []check{{"memory of a client", ratio(func(x *Run) float64 {
			if x.Memory == nil {
				return 0
			}
			return x.Memory.Client
		}), 0, false}}
	case Stream:
		return []check{
			{"MiB a second", ratio(func(x *Run) float64 { return x.Stream.PerSecond }), g.RateRatio, true},
			{"processor time per MiB", ratio(func(x *Run) float64 { return x.Stream.CPUMillis }), g.CPURatio, false},
		}
	case Cycles:
		return []check{{"cycles a second", ratio(func(x *Run) float64 { return x.Cycles.PerSecond }), 0, true}}
	case Announce:
		return []check{{"share of a processor", ratio(func(x *Run) float64 {
			if x.Server == nil {
				return 0
			}
			return x.Server.Share
		}), 0, false}}
	}
	return nil
}
