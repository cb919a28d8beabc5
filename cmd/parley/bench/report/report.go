package report

import (
	"runtime"
	"slices"
	"strings"

	"parley/cmd/parley/bench/gauge"
)

// Version is raised when a key of the report changes its meaning.
const Version = 1

// Report is everything that one `parley bench relay` has found out; --json prints it.
type Report struct {
	Version  int     `json:"version"`
	Scenario string  `json:"scenario"`
	Machine  Machine `json:"machine"`
	Options  Options `json:"options"`
	// Runs are in the order they were made.
	Runs []Run `json:"runs"`
	// Medians has one entry a target and phase, over all rounds.
	Medians []Median `json:"medians"`
	Ratios  []Ratio  `json:"ratios,omitempty"`
	// Violations says what went wrong, one sentence each; with none the bench exits with 0.
	Violations []string `json:"violations,omitempty"`
}

// Machine is where the bench ran.
type Machine struct {
	CPUs   int    `json:"cpus"`
	Go     string `json:"go"`
	System string `json:"system"`
}

// ThisMachine describes it.
func ThisMachine() Machine {
	return Machine{CPUs: runtime.NumCPU(), Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
}

// Run is one phase of one round against one target. What a scenario does not measure is left out.
type Run struct {
	Target  string  `json:"target"`
	Phase   string  `json:"phase,omitempty"`
	Round   int     `json:"round"` // from 1
	Seconds float64 `json:"seconds"`

	Messages            uint64  `json:"messages,omitempty"`
	Deliveries          uint64  `json:"deliveries,omitempty"` // each message once a subscriber
	MessagesPerSecond   float64 `json:"messages_per_second,omitempty"`
	DeliveriesPerSecond float64 `json:"deliveries_per_second,omitempty"`

	Latency   *gauge.Percentiles `json:"latency,omitempty"` // from sent, or due, to received
	Late      *gauge.Percentiles `json:"late,omitempty"`    // how late our own timetable was
	Connect   *gauge.Percentiles `json:"connect,omitempty"` // connection and handshake
	Subscribe *gauge.Percentiles `json:"subscribe,omitempty"`
	Answer    *gauge.Percentiles `json:"answer,omitempty"` // a command's

	Faults Faults `json:"faults"`
	// Responses counts answers by "ok" or their reason.
	Responses map[string]uint64 `json:"responses,omitempty"`
	// Closes counts connections that the server ended, by role and close code; 1006 is "without a close frame".
	Closes map[string]map[int]uint64 `json:"closes,omitempty"`

	// Broken is the first frame that was not a WebSocket's, if any.
	Broken string `json:"broken,omitempty"`

	Server *CPU    `json:"server_cpu,omitempty"` // with --pid
	Client *CPU    `json:"client_cpu,omitempty"`
	Memory *Memory `json:"memory,omitempty"` // the server's, with --pid

	Idle  *Idle  `json:"idle,omitempty"`
	Storm *Storm `json:"storm,omitempty"`
	Flood *Flood `json:"flood,omitempty"`
}

// Faults are broken promises.
type Faults struct {
	Lost       int64  `json:"lost"`       // deliveries that never came
	Gaps       uint64 `json:"gaps"`       // times that numbers were passed over
	Reordered  uint64 `json:"reordered"`  // came after a later one
	Duplicates uint64 `json:"duplicates"` // came again
	Misrouted  uint64 `json:"misrouted"`  // came to who had not subscribed
	Echoes     uint64 `json:"echoes"`     // came back to their publisher
	Stray      uint64 `json:"stray"`      // were nothing that the wire knows
	Stalled    bool   `json:"stalled"`    // the run was given up: nothing came any more
}

func (f *Faults) Add(o Faults) {
	f.Lost += o.Lost
	f.Gaps += o.Gaps
	f.Reordered += o.Reordered
	f.Duplicates += o.Duplicates
	f.Misrouted += o.Misrouted
	f.Echoes += o.Echoes
	f.Stray += o.Stray
	f.Stalled = f.Stalled || o.Stalled
}

// CPU is a process's processor time during a run.
type CPU struct {
	Seconds    float64 `json:"seconds"`
	Share      float64 `json:"share"`                 // of one processor
	PerMillion float64 `json:"per_million,omitempty"` // seconds per million deliveries
}

// Memory is the server's resident memory, KiB.
type Memory struct {
	Start   int64          `json:"start_kib"`
	Peak    int64          `json:"peak_kib"` // the most seen during the run
	End     int64          `json:"end_kib"`
	Highest int64          `json:"highest_kib"` // since the server started
	Samples []gauge.Sample `json:"samples,omitempty"`
}

// Idle is what the scenario of that name finds out.
type Idle struct {
	Clients int `json:"clients"`
	// ConnectSeconds is how long it took until all were connected and subscribed.
	ConnectSeconds   float64 `json:"connect_seconds"`
	ConnectCPUMillis float64 `json:"connect_cpu_ms,omitempty"`        // the server's, a client
	PerClient        float64 `json:"rss_per_client_kib,omitempty"`    // the server's growth, a client: right only on a fresh server
	SettledKiB       int64   `json:"settled_rss_kib,omitempty"`       // the server, with all clients sitting
	AllAnswered      float64 `json:"all_answered_seconds"`            // from the first probe sent to the last answer
	ProbeCPUMillis   float64 `json:"probe_cpu_ms_per_call,omitempty"` // the server's, a probe
	Missing          int     `json:"missing"`                         // clients that got no answer
}

// Storm is what the guessers did while a phase was measured.
type Storm struct {
	Guesses          uint64            `json:"guesses"` // answered
	GuessesPerSecond float64           `json:"guesses_per_second"`
	Answers          map[string]uint64 `json:"answers,omitempty"`
	Closes           map[int]uint64    `json:"closes,omitempty"`
	Refused          uint64            `json:"refused"` // dials that failed
}

// Flood is what the flat-out publisher got through.
type Flood struct {
	Sent              uint64  `json:"sent"`
	AcceptedPerSecond float64 `json:"accepted_per_second"`
	BytesPerSecond    float64 `json:"bytes_per_second"`
	// ReadLimit is what each subscriber took at most.
	ReadLimit int `json:"read_limit_bytes_per_second"`
}

// Median holds the medians over the rounds of one target and phase.
type Median struct {
	Target              string  `json:"target"`
	Phase               string  `json:"phase,omitempty"`
	Rounds              int     `json:"rounds"`
	DeliveriesPerSecond float64 `json:"deliveries_per_second,omitempty"`
	P50                 float64 `json:"latency_p50_us,omitempty"`
	P99                 float64 `json:"latency_p99_us,omitempty"`
	ServerPerMillion    float64 `json:"server_cpu_per_million,omitempty"`
	ClientPerMillion    float64 `json:"client_cpu_per_million,omitempty"`
	PeakKiB             float64 `json:"peak_rss_kib,omitempty"`
}

// Ratio compares two medians: Of divided by To.
type Ratio struct {
	Figure string  `json:"figure"`
	Of     string  `json:"of"`
	To     string  `json:"to"`
	Value  float64 `json:"value"`
}

// Summarize fills Medians and Ratios from Runs.
func (r *Report) Summarize() {
	for _, run := range r.Runs {
		if !slices.ContainsFunc(r.Medians, func(m Median) bool { return m.Target == run.Target && m.Phase == run.Phase }) {
			r.Medians = append(r.Medians, medianOf(r.Runs, run.Target, run.Phase))
		}
	}
	main := r.Medians
	if len(main) == 0 {
		return
	}
	for _, m := range main[1:] {
		of, to := main[0], m
		if m.Target == of.Target {
			of, to = m, of // a later phase is compared with the first, the server with the limits
		} else if m.Phase != of.Phase {
			continue
		}
		r.ratio("server CPU per delivery", of, to, of.ServerPerMillion, to.ServerPerMillion)
		r.ratio("deliveries per second", of, to, of.DeliveriesPerSecond, to.DeliveriesPerSecond)
		r.ratio("latency p99", of, to, of.P99, to.P99)
	}
}

func (r *Report) ratio(figure string, of, to Median, a, b float64) {
	if a > 0 && b > 0 {
		r.Ratios = append(r.Ratios, Ratio{figure, of.label(), to.label(), a / b})
	}
}

func (m Median) label() string { return strings.TrimSuffix(m.Target+" "+m.Phase, " ") }

func medianOf(runs []Run, target, phase string) Median {
	m := Median{Target: target, Phase: phase}
	var rate, p50, p99, server, client, peak []float64
	for _, r := range runs {
		if r.Target != target || r.Phase != phase {
			continue
		}
		m.Rounds++
		rate = append(rate, r.DeliveriesPerSecond)
		if r.Latency != nil {
			p50, p99 = append(p50, r.Latency.P50), append(p99, r.Latency.P99)
		}
		if r.Server != nil {
			server = append(server, r.Server.PerMillion)
		}
		if r.Client != nil {
			client = append(client, r.Client.PerMillion)
		}
		if r.Memory != nil {
			peak = append(peak, float64(r.Memory.Peak))
		}
	}
	m.DeliveriesPerSecond, m.P50, m.P99 = median(rate), median(p50), median(p99)
	m.ServerPerMillion, m.ClientPerMillion, m.PeakKiB = median(server), median(client), median(peak)
	return m
}

// median is 0 for nothing, and the mean of the middle two for an even count.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	mid := len(v) / 2
	if len(v)%2 == 1 {
		return v[mid]
	}
	return (v[mid-1] + v[mid]) / 2
}
