package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"parley/cmd/parley/bench/gauge"
	"parley/testkit/leaks"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		v    []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(c.v); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.v, got, c.want)
		}
	}
}

func TestMain(m *testing.M) { leaks.Main(m) }

// sample is one with everything in it.
func sample() *Report {
	run := func(target, phase string, round int, perMillion float64) Run {
		return Run{
			Target: target, Phase: phase, Round: round, Seconds: 1, Deliveries: 1000, DeliveriesPerSecond: 1000 * perMillion,
			Latency: &gauge.Percentiles{P50: 10, P99: 100 * perMillion},
			Server:  &CPU{Seconds: 1, Share: 1, PerMillion: perMillion}, Client: &CPU{Share: 0.95, PerMillion: 1},
			Memory: &Memory{Start: 1024, Peak: 2048, End: 1500},
		}
	}
	r := &Report{Version: Version, Scenario: ScenarioFanout, Options: Options{Scenario: ScenarioFanout, Repeat: 3, Readers: 1}}
	for i, v := range []float64{2, 8, 4} {
		r.Runs = append(r.Runs, run("server", "", i+1, v), run("limit", "", i+1, 2))
	}
	return r
}

func TestRatios(t *testing.T) {
	r := sample()
	r.Summarize()
	if len(r.Medians) != 2 || r.Medians[0].ServerPerMillion != 4 || r.Medians[0].Rounds != 3 || r.Medians[1].P99 != 200 {
		t.Fatalf("%+v", r.Medians)
	}
	want := []Ratio{
		{"server CPU per delivery", "server", "limit", 2},
		{"deliveries per second", "server", "limit", 2},
		{"latency p99", "server", "limit", 2},
	}
	if len(r.Ratios) != len(want) {
		t.Fatalf("%+v", r.Ratios)
	}
	for i := range want {
		if r.Ratios[i] != want[i] {
			t.Errorf("%+v, want %+v", r.Ratios[i], want[i])
		}
	}
	// Within one target a later phase is compared with the first.
	r = sample()
	for i := range r.Runs {
		r.Runs[i].Target, r.Runs[i].Phase = "server", []string{"without", "with"}[i%2]
	}
	r.Summarize()
	if x := r.Ratios[0]; x.Of != "server with" || x.To != "server without" || x.Value != 0.5 {
		t.Fatalf("%+v", x)
	}
}

// TestPrint: every scenario prints aligned rows with its figures, also when little was measured.
func TestPrint(t *testing.T) {
	full := sample()
	full.Runs[0].Late = &gauge.Percentiles{P50: 1, P99: 2_000, Max: 3_000_000}
	full.Runs[0].Responses = map[string]uint64{"ok": 5, "slow down": 2}
	full.Runs[0].Closes = map[string]map[int]uint64{"stalled": {1013: 5}}
	full.Runs[0].Storm = &Storm{GuessesPerSecond: 63, Answers: map[string]uint64{"invalid password": 3}}
	full.Runs[1].Phase = "with"
	full.Runs[0].Faults.Lost = 7
	full.Summarize()
	full.Violations = full.Judge()
	bare := &Report{Runs: []Run{{
		Target: "server", Round: 1, Client: &CPU{}, Flood: &Flood{Sent: 9}, Idle: &Idle{Clients: 4},
		Connect: &gauge.Percentiles{}, Subscribe: &gauge.Percentiles{}, Answer: &gauge.Percentiles{P99: 5},
	}}}
	for _, c := range []struct {
		scenario string
		r        *Report
		want     []string
	}{
		{ScenarioFanout, full, []string{
			"deliveries/s", "3.00s", `"ok" 5, "slow down" 2`, "stalled 1013 ×5", "63 guesses/s", "closes none",
			"median of", "server / limit: 2.00", "VIOLATION: round 1, server: 7 deliveries lost", "hands full", "2.0MiB",
		}},
		{ScenarioChannels, bare, []string{"0 channels"}},
		{ScenarioRate, bare, []string{"messages/s"}},
		{ScenarioSlow, bare, []string{"stop reading"}},
		{ScenarioStorm, bare, []string{"guessers"}},
		{ScenarioIdle, bare, []string{"all answered", "5µs"}},
		{ScenarioFlood, bare, []string{"accepted/s", "9"}},
	} {
		var out bytes.Buffer
		c.r.Scenario, c.r.Options.Scenario = c.scenario, c.scenario
		if err := c.r.Print(&out); err != nil {
			t.Fatal(err)
		}
		for _, w := range c.want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%s: no %q in\n%s", c.scenario, w, out.String())
			}
		}
	}
}

// TestReportKeys holds the JSON names still that others read.
func TestReportKeys(t *testing.T) {
	r := sample()
	r.Summarize()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{
		`"version":1`, `"scenario"`, `"machine":{"cpus"`, `"options"`, `"runs"`, `"medians"`, `"ratios"`, `"target":"server"`, `"round":1`,
		`"deliveries_per_second"`, `"latency":{"count"`, `"p99_us"`, `"faults":{"lost"`, `"reordered"`, `"server_cpu":{"seconds"`,
		`"per_million"`, `"client_cpu"`, `"memory":{"start_kib"`, `"peak_kib"`, `"server_cpu_per_million"`, `"figure"`,
	} {
		if !bytes.Contains(b, []byte(key)) {
			t.Errorf("no %s in %s", key, b)
		}
	}
}
