//go:build linux

package ui

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"parley/cmd/parley/bench/gauge"
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
		head, cells := r.row(&r.Runs[i])
		if i == 0 {
			row(head)
		}
		row(cells)
	}
	if a, b := r.paired(); a != nil {
		text("\nrequests per second, %s / %s: %.2f\n", label(a), label(b), a.RequestsPerSecond/b.RequestsPerSecond)
	}
	for _, v := range r.Violations {
		text("VIOLATION: %s\n", v)
	}
	if err == nil {
		err = w.Flush()
	}
	return err
}

// paired are the full speeds of the Daemon and of its yardstick.
func (r *Report) paired() (of, to *Run) {
	for i := range r.Runs {
		switch x := &r.Runs[i]; {
		case x.Phase != phaseFull || x.RequestsPerSecond == 0:
		case x.Target == targetDaemon:
			of = x
		default:
			to = x
		}
	}
	if to == nil {
		return nil, nil
	}
	return of, to
}

// row is one run as the scenario's table shows it.
func (r *Report) row(x *Run) (head, cells []string) {
	cell := func(name, value string) { head, cells = append(head, name), append(cells, value) }
	times := func(name string, p *gauge.Percentiles) {
		if p == nil {
			p = &gauge.Percentiles{}
		}
		cell(name+" p50", us(p.P50))
		cell("p99", us(p.P99))
		cell("max", us(p.Max))
	}
	cell("target", label(x))
	switch r.Scenario {
	case Talk:
		cell("requests/s", fmt.Sprintf("%.0f", x.RequestsPerSecond))
		times("answer", x.Latency)
		times("own delay", x.Late)
		cpu := "-"
		if x.Server != nil {
			cpu = fmt.Sprintf("%.1f", x.Server.PerMillion)
		}
		cell("server CPU s/M", cpu)
		cell("client CPU s/M", fmt.Sprintf("%.1f", x.Client.PerMillion))
	case RSS:
		m := x.Memory
		cell("Daemon", fmt.Sprintf("%.1fMiB", mib(m.DaemonKiB)))
		cell("Node", fmt.Sprintf("%.1fMiB", mib(m.NodeKiB)))
		cell("conversations", fmt.Sprint(m.Conversations))
		cell("growth each", fmt.Sprintf("%.0fB", m.PerConversation))
	default:
		cell("times", fmt.Sprint(x.Times))
		switch r.Scenario {
		case Ready:
			times("listens", x.Listens)
			times("first answer", x.Latency)
		case Start:
			times("start answered", x.Answer)
			times("Node answers", x.Latency)
		case Crash:
			times("each UI", x.Latency)
			times("last UI", x.Last)
		case Broadcast:
			times("asker", x.Answer)
			times("each UI", x.Latency)
			times("last UI", x.Last)
		}
	}
	return head, cells
}

// describe names the options that make up a scenario.
func (o *Options) describe() string {
	switch o.Scenario {
	case Ready:
		return "a fresh Daemon, and one that is started again"
	case Start:
		return "start, a request to the Node, shutdown"
	case Crash:
		return fmt.Sprintf("kill -9 of the Node, %d user interfaces connected", o.UIs)
	case Broadcast:
		return fmt.Sprintf("a change of the Setup space, %d user interfaces connected", o.UIs)
	case Talk:
		return fmt.Sprintf("%d user interfaces with %d conversations each, %s", o.UIs, o.Conversations, o.Opcode)
	default:
		return fmt.Sprintf("idle, then %d user interfaces with %d conversations each", o.UIs, o.Conversations)
	}
}

func label(x *Run) string { return strings.TrimSuffix(x.Target+" "+x.Phase, " ") }

func mib(kib int64) float64 { return float64(kib) / 1024 }

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
