//go:build linux

package mesh

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"parley/cmd/parley/bench/gauge"
	"parley/cmd/parley/bench/report"
)

// Version is raised when a key of the report changes its meaning.
const Version = 1

// Report is everything that one `parley bench mesh` has found out; --json prints it.
type Report struct {
	Version  int            `json:"version"`
	Scenario string         `json:"scenario"`
	Machine  report.Machine `json:"machine"`
	Options  Options        `json:"options"`
	Runs     []Run          `json:"runs"` // in the order they were made
	// Violations says what went wrong or missed its goal, one sentence each; with none the bench exits with 0.
	Violations []string `json:"violations,omitempty"`
}

// Run is one round against the mesh, or against a yardstick. What server_cpu has is the sum over all nodes.
type Run struct {
	report.Run
	Nodes         []float64 `json:"nodes_cpu_seconds,omitempty"`         // of each node, in order; the publisher is on the first
	Hop           float64   `json:"hop_cpu_us,omitempty"`                // CPU a message of a node that only passes on
	Transmissions float64   `json:"transmissions_per_message,omitempty"` // packets between nodes; what they say besides is in it
}

// Judge says what a run has found that must not be, and which goals it missed. A goal that nothing was measured for is
// missed.
func (r *Report) Judge() []string {
	plain := report.Report{Options: *r.Options.field()}
	for i := range r.Runs {
		plain.Runs = append(plain.Runs, r.Runs[i].Run)
	}
	bad := plain.Judge()
	o := &r.Options
	for i := range r.Runs {
		x := &r.Runs[i]
		if x.Target != targetMesh {
			continue
		}
		var cpu, p50 float64
		if x.Server != nil {
			cpu = x.Server.PerMillion
		}
		if x.Latency != nil {
			p50 = x.Latency.P50
		}
		for _, c := range []struct {
			what      string
			got, goal float64
			unit      string
		}{
			{"CPU of all nodes per million deliveries", cpu, o.GoalCPU, "s"},
			{"p50", p50, gauge.Micros(o.GoalP50), "µs"},
			{"CPU per hop", x.Hop, o.GoalHop, "µs"},
			{"transmissions per message", x.Transmissions, o.GoalTransmissions, ""},
		} {
			if c.goal > 0 && (c.got > c.goal || c.got == 0) {
				bad = append(bad, fmt.Sprintf("round %d: %s is %.4g%s, the goal is %.4g", x.Round, c.what, c.got, c.unit, c.goal))
			}
		}
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
	row := func(cells ...string) { text("%s\t\n", strings.Join(cells, "\t")) }
	text("%s: %s\n%d processors, %s, %s\n\n", r.Scenario, r.Options.describe(), r.Machine.CPUs, r.Machine.System, r.Machine.Go)
	row("round", "target", "deliveries/s", "messages/s", "p50", "p99", "max", "lost", "order", "twice", "server s/M", "client s/M", "per hop", "sent")
	for i := range r.Runs {
		row(r.Runs[i].cells()...)
	}
	text("\n")
	for i := range r.Runs {
		if x := &r.Runs[i]; len(x.Nodes) > 0 {
			text("round %d, CPU of each node, s: %.3g\n", x.Round, x.Nodes)
		}
	}
	if ratio := r.ratio(); ratio > 0 {
		text("server CPU per delivery, %s / limit: %.2f\n", targetMesh, ratio)
	}
	for _, v := range r.Violations {
		text("VIOLATION: %s\n", v)
	}
	if err == nil {
		err = w.Flush()
	}
	return err
}

func (x *Run) cells() []string {
	l, server, hop, sent := x.Latency, "-", "-", "-"
	if l == nil {
		l = &gauge.Percentiles{}
	}
	if x.Server != nil {
		server = fmt.Sprintf("%.3f", x.Server.PerMillion)
	}
	if x.Hop > 0 {
		hop = fmt.Sprintf("%.2fµs", x.Hop)
	}
	if x.Transmissions > 0 {
		sent = fmt.Sprintf("%.2f", x.Transmissions)
	}
	return []string{
		fmt.Sprint(x.Round), x.Target, fmt.Sprintf("%.0f", x.DeliveriesPerSecond), fmt.Sprintf("%.0f", x.MessagesPerSecond),
		us(l.P50), us(l.P99), us(l.Max), fmt.Sprint(x.Faults.Lost), fmt.Sprint(x.Faults.Reordered), fmt.Sprint(x.Faults.Duplicates),
		server, fmt.Sprintf("%.3f", x.Client.PerMillion), hop, sent,
	}
}

// ratio compares the CPU of the nodes with that of the first yardstick, over all rounds; 0: there is none.
func (r *Report) ratio() float64 {
	var mesh, limit report.CPU
	var own, other uint64
	for i := range r.Runs {
		x := &r.Runs[i]
		switch {
		case x.Server == nil:
		case x.Target == targetMesh:
			mesh.Seconds, own = mesh.Seconds+x.Server.Seconds, own+x.Deliveries
		case x.Target == r.Runs[1].Target:
			limit.Seconds, other = limit.Seconds+x.Server.Seconds, other+x.Deliveries
		}
	}
	if own == 0 || other == 0 || limit.Seconds == 0 {
		return 0
	}
	return mesh.Seconds / float64(own) / (limit.Seconds / float64(other))
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
