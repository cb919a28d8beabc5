package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"parley/cmd/parley/bench/gauge"
)

// Print writes the report for people: one row a run, then medians and ratios.
func (r *Report) Print(out io.Writer) error {
	t := &table{w: tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)}
	o := &r.Options
	t.text("%s: %s\n%d processors, %s, %s\n\n", r.Scenario, o.describe(), r.Machine.CPUs, r.Machine.System, r.Machine.Go)
	switch {
	case r.Scenario == ScenarioIdle:
		r.printIdle(t)
	case r.Scenario == ScenarioFlood:
		r.printFlood(t)
	default:
		r.printDeliveries(t)
	}
	r.printDetails(t)
	if o.Repeat > 1 {
		r.printMedians(t)
	}
	for _, x := range r.Ratios {
		t.text("%s, %s / %s: %.2f\n", x.Figure, x.Of, x.To, x.Value)
	}
	for _, v := range r.Violations {
		t.text("VIOLATION: %s\n", v)
	}
	if t.err == nil {
		t.err = t.w.Flush()
	}
	return t.err
}

// describe names the options that make up a scenario.
func (o *Options) describe() string {
	switch o.Scenario {
	case ScenarioFanout:
		return fmt.Sprintf("%d subscribers, %d publishers, %d B, %d in flight", o.Subscribers, o.Publishers, o.Size, o.Inflight)
	case ScenarioChannels:
		return fmt.Sprintf("%d channels of %d subscribers, %d publishers, %d B, %d in flight each", o.Channels, o.PerChannel, o.Publishers, o.Size, o.Inflight)
	case ScenarioIdle:
		return fmt.Sprintf("%d clients on %d channels, %d connecting at a time", o.Clients, o.IdleChannels, o.ConnectParallel)
	case ScenarioRate:
		return fmt.Sprintf("%d subscribers, %g messages/s of %d B", o.Subscribers, o.Rate, o.Size)
	case ScenarioSlow:
		return fmt.Sprintf("%d subscribers of which %d stop reading, %g messages/s of %d B", o.Subscribers, o.Stalled, o.Rate, o.Size)
	case ScenarioStorm:
		return fmt.Sprintf("%d guessers beside %d subscribers, %d B, %d in flight", o.Guessers, o.Subscribers, o.Size, o.Inflight)
	default:
		return fmt.Sprintf("%d subscribers that read %d B/s each, %d B", o.Subscribers, o.ReadRate, o.Size)
	}
}

// table writes aligned rows, and keeps the first error.
type table struct {
	w   *tabwriter.Writer
	err error
}

func (t *table) row(cells ...string) { t.text("%s\t\n", strings.Join(cells, "\t")) }

func (t *table) text(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format, args...)
	}
}

// end closes a block of rows, so that the next is aligned for itself.
func (t *table) end() {
	t.text("\n")
	if t.err == nil {
		t.err = t.w.Flush()
	}
}

func (r *Report) printDeliveries(t *table) {
	t.row("round", "target", "deliveries/s", "p50", "p90", "p99", "p99.9", "max", "lost", "order", "twice",
		"server s/M", "client s/M", "server CPU", "client CPU", "RSS peak")
	for _, x := range r.Runs {
		l := x.Latency
		if l == nil {
			l = &gauge.Percentiles{}
		}
		server, share, rss := "-", "-", "-"
		if x.Server != nil {
			server, share = fmt.Sprintf("%.3f", x.Server.PerMillion), percent(x.Server.Share)
		}
		if x.Memory != nil {
			rss = mib(x.Memory.Peak)
		}
		t.row(fmt.Sprint(x.Round), label(x.Target, x.Phase), fmt.Sprintf("%.0f", x.DeliveriesPerSecond),
			us(l.P50), us(l.P90), us(l.P99), us(l.P999), us(l.Max),
			fmt.Sprint(x.Faults.Lost), fmt.Sprint(x.Faults.Reordered), fmt.Sprint(x.Faults.Duplicates),
			server, fmt.Sprintf("%.3f", x.Client.PerMillion), share, percent(x.Client.Share), rss)
	}
	t.end()
}

func (r *Report) printIdle(t *table) {
	t.row("round", "clients", "all connected", "connect p50", "p99", "subscribe p50", "p99", "server CPU each",
		"RSS", "growth each", "all answered", "answer p99", "no answer")
	for _, x := range r.Runs {
		cpu, rss, each := "-", "-", "-"
		if x.Memory != nil {
			cpu, rss, each = fmt.Sprintf("%.3fms", x.Idle.ConnectCPUMillis), mib(x.Idle.SettledKiB), fmt.Sprintf("%.1fKiB", x.Idle.PerClient)
		}
		answer := 0.0
		if x.Answer != nil {
			answer = x.Answer.P99
		}
		t.row(fmt.Sprint(x.Round), fmt.Sprint(x.Idle.Clients), fmt.Sprintf("%.2fs", x.Idle.ConnectSeconds),
			us(x.Connect.P50), us(x.Connect.P99), us(x.Subscribe.P50), us(x.Subscribe.P99), cpu, rss, each,
			fmt.Sprintf("%.3fs", x.Idle.AllAnswered), us(answer), fmt.Sprint(x.Idle.Missing))
	}
	t.end()
}

func (r *Report) printFlood(t *table) {
	t.row("round", "sent", "accepted/s", "MB/s", "RSS start", "peak", "end", "server CPU", "client CPU")
	for _, x := range r.Runs {
		start, peak, end, share := "-", "-", "-", "-"
		if x.Memory != nil {
			start, peak, end, share = mib(x.Memory.Start), mib(x.Memory.Peak), mib(x.Memory.End), percent(x.Server.Share)
		}
		t.row(fmt.Sprint(x.Round), fmt.Sprint(x.Flood.Sent), fmt.Sprintf("%.0f", x.Flood.AcceptedPerSecond),
			fmt.Sprintf("%.1f", x.Flood.BytesPerSecond/1e6), start, peak, end, share, percent(x.Client.Share))
	}
	t.end()
}

// printDetails says what does not fit a row, for the runs where there is something to say.
func (r *Report) printDetails(t *table) {
	for _, x := range r.Runs {
		var say []string
		if len(x.Responses) > 1 || (len(x.Responses) == 1 && x.Responses["ok"] == 0) {
			say = append(say, "answers "+counts(x.Responses))
		}
		for _, who := range slices.Sorted(maps.Keys(x.Closes)) {
			say = append(say, "closed by the server: "+who+" "+codes(x.Closes[who]))
		}
		if x.Late != nil {
			say = append(say, fmt.Sprintf("own timetable late by p50 %s p99 %s max %s", us(x.Late.P50), us(x.Late.P99), us(x.Late.Max)))
		}
		if s := x.Storm; s != nil {
			say = append(say, fmt.Sprintf("%.0f guesses/s: answers %s, closes %s, dials refused %d", s.GuessesPerSecond, counts(s.Answers), codes(s.Closes), s.Refused))
		}
		if busy := 0.9 * float64(r.Options.Readers); x.Client.Share > busy {
			say = append(say, "the client had its hands full: it may be what limits these figures")
		}
		if m := x.Memory; m != nil && x.Phase != "" {
			say = append(say, fmt.Sprintf("RSS start %s peak %s end %s", mib(m.Start), mib(m.Peak), mib(m.End)))
		}
		for _, s := range say {
			t.text("round %d, %s: %s\n", x.Round, label(x.Target, x.Phase), s)
		}
	}
	t.end()
}

func (r *Report) printMedians(t *table) {
	t.row("median of", "target", "deliveries/s", "p50", "p99", "server s/M", "client s/M", "RSS peak")
	for _, m := range r.Medians {
		t.row(fmt.Sprint(m.Rounds), m.label(), fmt.Sprintf("%.0f", m.DeliveriesPerSecond), us(m.P50), us(m.P99),
			fmt.Sprintf("%.3f", m.ServerPerMillion), fmt.Sprintf("%.3f", m.ClientPerMillion), mib(int64(m.PeakKiB)))
	}
	t.end()
}

func label(target, phase string) string { return Median{Target: target, Phase: phase}.label() }

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

func percent(share float64) string { return fmt.Sprintf("%.0f%%", share*100) }

func mib(kib int64) string { return fmt.Sprintf("%.1fMiB", float64(kib)/1024) }

func counts(m map[string]uint64) string {
	if len(m) == 0 {
		return "none"
	}
	var s []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		s = append(s, fmt.Sprintf("%q %d", k, m[k]))
	}
	return strings.Join(s, ", ")
}

func codes(m map[int]uint64) string {
	if len(m) == 0 {
		return "none"
	}
	var s []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		s = append(s, fmt.Sprintf("%d ×%d", k, m[k]))
	}
	return strings.Join(s, ", ")
}
