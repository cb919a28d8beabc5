//go:build linux

package star

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"parley/cmd/parley/bench/gauge"
	"parley/cmd/parley/show"
)

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
		if r.Runs[i].Failed != "" {
			continue
		}
		head, cells := r.Runs[i].row()
		if i == 0 {
			row(head)
		}
		row(cells)
	}
	text("\n")
	for _, c := range r.ratios() {
		if c.got != nil {
			text("%s, %s / %s: %.3g\n", c.what, targetServer, targetAgainst, *c.got)
		}
	}
	for i := range r.Runs {
		x := &r.Runs[i]
		for _, s := range x.Wrong {
			text("round %d, %s: %s\n", x.Round, x.Target, show.Line(s))
		}
		if x.Failed != "" {
			text("round %d, %s: not measured: %s\n", x.Round, x.Target, show.Line(x.Failed))
		}
		if x.Dials != nil {
			for _, why := range slices.Sorted(maps.Keys(x.Dials.Failed)) {
				text("round %d, %s: %d dials failed: %s\n", x.Round, x.Target, x.Dials.Failed[why], show.Line(why))
			}
		}
	}
	for _, v := range r.Violations {
		text("VIOLATION: %s\n", v)
	}
	if err == nil {
		err = w.Flush()
	}
	return err
}

// row is one run, with the columns that its scenario has.
func (x *Run) row() (head, cells []string) {
	cell := func(name, format string, args ...any) {
		head, cells = append(head, name), append(cells, fmt.Sprintf(format, args...))
	}
	times := func(name string, p *gauge.Percentiles) {
		if p == nil {
			p = &gauge.Percentiles{}
		}
		cell(name+" p50", "%s", us(p.P50))
		cell("p99", "%s", us(p.P99))
		cell("max", "%s", us(p.Max))
	}
	cell("round", "%d", x.Round)
	cell("target", "%s", x.Target)
	cell("time", "%.2fs", x.Seconds)
	if j := x.Joins; j != nil {
		cell("joins/s", "%.0f", j.PerSecond)
		times("join", j.Time)
		cell("server CPU each", "%.2fms", j.CPUMillis)
		cell("unheard", "%d", j.Unheard)
	}
	if s := x.Stream; s != nil {
		cell("MiB", "%.0f", s.MiB)
		if s.TakenStalled == 0 {
			cell("MiB/s", "%.0f", s.PerSecond)
			cell("server CPU per MiB", "%.2fms", s.CPUMillis)
		} else {
			cell("taken while stalled", "%.1fMiB", s.TakenStalled)
			cell("growth", "%.1fMiB", s.Growth)
		}
	}
	if a := x.Announce; a != nil {
		cell("announced", "%d", a.Announced)
		cell("of those due", "%.1f%%", a.Delivered*100)
		cell("unheard", "%d", a.Unheard)
	}
	if d := x.Dials; d != nil {
		times("dial", d.Time)
	}
	if c := x.Cycles; c != nil {
		cell("cycles/s", "%.0f", c.PerSecond)
		cell("heap before", "%.2fMiB", c.HeapStart)
		cell("after", "%.2fMiB", c.HeapEnd)
	}
	if x.Server != nil {
		cell("server CPU", "%.1f%%", x.Server.Share*100)
	}
	cell("client CPU", "%.1f%%", x.Client.Share*100)
	if m := x.Memory; m != nil {
		cell("RSS", "%s", mib(m.Start))
		cell("peak", "%s", mib(m.Peak))
		cell("end", "%s", mib(m.End))
		if m.Client != 0 {
			cell("each client", "%.1fKiB", m.Client)
		}
	}
	return head, cells
}

// us prints microseconds with a unit that suits them.
func us(v float64) string {
	switch {
	case v == 0:
		return "-"
	case v < 1e3:
		return fmt.Sprintf("%.0fµs", v)
	case v < 1e6:
		return fmt.Sprintf("%.2fms", v/1e3)
	}
	return fmt.Sprintf("%.2fs", v/1e6)
}

func mib(kib int64) string { return fmt.Sprintf("%.1fMiB", float64(kib)/1024) }
