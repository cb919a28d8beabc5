//go:build linux

package enclave

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"parley/cmd/parley/bench/gauge"
	"parley/cmd/parley/bench/report"
	"parley/cmd/parley/show"
)

// Version is raised when a key of the report changes its meaning.
const Version = 1

// Report is everything that one `parley bench enclave` has found out; --json prints it.
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
	Server  Load    `json:"server"`
	Client  Load    `json:"client"`

	Messages  uint64             `json:"messages,omitempty"`
	PerSecond float64            `json:"per_second,omitempty"`
	Lost      *uint64            `json:"lost,omitempty"`               // of messages: the front end had no room for them, and was told so
	CPUMicros float64            `json:"server_cpu_us_each,omitempty"` // of a message
	Time      *gauge.Percentiles `json:"time,omitempty"`
	Held      *Held              `json:"memory,omitempty"`

	Wrong []string `json:"wrong,omitempty"` // what must not be, one sentence each
}

// Load is processor time.
type Load struct {
	Seconds float64 `json:"cpu_seconds"`
	Share   float64 `json:"cpu_share"` // of one processor
}

// Held is the node's resident memory, KiB, each time when it has gone quiet.
type Held struct {
	Friends int   `json:"friends"`
	Start   int64 `json:"start_kib"`            // it knows nobody
	Known   int64 `json:"known_kib"`            // it knows all of them
	Online  int64 `json:"online_kib"`           // all are online
	Prefix  int64 `json:"prefix_kib,omitempty"` // each has announced a packet, and sent one byte of it
	Whole   int64 `json:"whole_kib,omitempty"`  // each has sent all of it but a byte
}

// total is what all friends need, MiB, and each what a step costs a friend, KiB.
func (h *Held) total() float64                  { return float64(h.Online-h.Start) / 1024 }
func (h *Held) each(from, to int64) float64     { return float64(to-from) / float64(h.Friends) }
func (h *Held) announced() (kib float64)        { return h.each(h.Online, h.Prefix) }
func (r *Report) of(target string) (all []*Run) { return runsOf(r.Runs, target) }

func runsOf(runs []Run, target string) (all []*Run) {
	for i := range runs {
		if runs[i].Target == target {
			all = append(all, &runs[i])
		}
	}
	return all
}

// Judge says what a run has found that must not be, and which goals it missed. A goal that nothing was measured for is missed.
// Only the node is judged.
func (r *Report) Judge() []string {
	var bad []string
	g := &r.Options.Goals
	for _, x := range r.of(targetNode) {
		for _, w := range x.Wrong {
			bad = append(bad, fmt.Sprintf("round %d: %s", x.Round, w))
		}
		miss := func(what string, got, goal float64, missed bool) {
			if goal > 0 && (got == 0 || missed) {
				bad = append(bad, fmt.Sprintf("round %d: %s is %.4g, the goal is %.4g", x.Round, what, got, goal))
			}
		}
		miss("messages a second", x.PerSecond, g.Rate, x.PerSecond < g.Rate)
		var p99, total, prefix float64
		if x.Time != nil {
			p99 = x.Time.P99
		}
		if x.Held != nil {
			total = x.Held.total()
		}
		if x.Held != nil && x.Held.Prefix > 0 {
			prefix = max(x.Held.announced(), 1e-9) // it may be less than before
		}
		miss("p99, µs", p99, gauge.Micros(g.P99), p99 > gauge.Micros(g.P99))
		miss("memory of all friends, MiB", total, g.Friends, total > g.Friends)
		miss("memory of a packet that never comes, KiB", prefix, g.Prefix, prefix > g.Prefix)
	}
	return bad
}

// Print writes the report for people: one row a run.
func (r *Report) Print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	var err error
	text := func(format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(w, format, args...)
		}
	}
	row := func(cells []string) { text("%s\t\n", strings.Join(cells, "\t")) }
	text("%s: %s\n%d processors, %s, %s\n\n", r.Scenario, r.Options.describe(), r.Machine.CPUs, r.Machine.System, r.Machine.Go)
	for i := range r.Runs {
		head, cells := r.Runs[i].row()
		if i == 0 {
			row(head)
		}
		row(cells)
	}
	text("\n")
	for _, target := range []string{targetLimit, targetPlain} {
		own, other := median(r.of(targetNode)), median(r.of(target))
		if own > 0 && other > 0 && r.Scenario != Latency {
			text("messages a second, %s / %s: %.3g\n", targetNode, target, own/other)
		}
	}
	for i := range r.Runs {
		for _, s := range r.Runs[i].Wrong {
			text("round %d, %s: %s\n", r.Runs[i].Round, r.Runs[i].Target, show.Line(s))
		}
	}
	for _, v := range r.Violations {
		text("VIOLATION: %s\n", show.Line(v))
	}
	if err == nil {
		err = w.Flush()
	}
	return err
}

// median of messages a second; 0: there is none.
func median(runs []*Run) float64 {
	var all []float64
	for _, x := range runs {
		all = append(all, x.PerSecond)
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// row is one run, with the columns that its scenario has.
func (x *Run) row() (head, cells []string) {
	cell := func(name, format string, args ...any) {
		head, cells = append(head, name), append(cells, fmt.Sprintf(format, args...))
	}
	cell("round", "%d", x.Round)
	cell("target", "%s", x.Target)
	cell("time", "%.2fs", x.Seconds)
	if h := x.Held; h != nil {
		cell("RSS", "%s", mib(h.Start))
		cell("known", "%s", mib(h.Known))
		cell("each", "%.1fKiB", h.each(h.Start, h.Known))
		cell("online", "%s", mib(h.Online))
		cell("each", "%.1fKiB", h.each(h.Known, h.Online))
		if h.Prefix > 0 {
			cell("a length", "%s", mib(h.Prefix))
			cell("each", "%.1fKiB", h.announced())
			cell("all but a byte", "%s", mib(h.Whole))
			cell("each", "%.1fKiB", h.each(h.Online, h.Whole))
		}
	} else {
		cell("messages/s", "%.0f", x.PerSecond)
		cell("server CPU each", "%.2fµs", x.CPUMicros)
		if x.Lost != nil {
			cell("not told", "%.3g%%", float64(*x.Lost)/float64(max(x.Messages, 1))*100)
		}
	}
	if p := x.Time; p != nil {
		cell("p50", "%s", us(p.P50))
		cell("p99", "%s", us(p.P99))
		cell("max", "%s", us(p.Max))
	}
	cell("server CPU", "%.0f%%", x.Server.Share*100)
	cell("client CPU", "%.0f%%", x.Client.Share*100)
	return head, cells
}

// us prints microseconds with a unit that suits them.
func us(v float64) string {
	switch {
	case v < 1e3:
		return fmt.Sprintf("%.0fµs", v)
	case v < 1e6:
		return fmt.Sprintf("%.2fms", v/1e3)
	}
	return fmt.Sprintf("%.2fs", v/1e6)
}

func mib(kib int64) string { return fmt.Sprintf("%.1fMiB", float64(kib)/1024) }
