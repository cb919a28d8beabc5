//go:build linux

package mesh

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"parley/cmd/parley/bench/gauge"
	"parley/cmd/parley/bench/report"
)

func filled(args ...string) (*Options, error) {
	o, f := &Options{}, pflag.NewFlagSet("mesh", pflag.ContinueOnError)
	o.Bind(f)
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	return o, o.Fill(f)
}

func TestDefaults(t *testing.T) {
	for scenario, want := range map[string]string{"line": "3 500", "ring": "10 9", "full": "10 9"} {
		o, err := filled("--scenario", scenario)
		if err != nil || fmt.Sprint(o.Nodes, " ", o.Subscribers) != want {
			t.Errorf("%s: %+v, %v", scenario, o, err)
		}
	}
	for _, args := range []string{"--scenario star", "--nodes 1", "--nodes 51", "--subscribers 0", "--inflight 0", "--size 1", "--repeat 0", "--rate -1", "--rate NaN"} {
		if _, err := filled(strings.Fields(args)...); err == nil {
			t.Errorf("%s was taken", args)
		}
	}
}

// measured is a run of the mesh that found nothing bad.
func measured(o Options) *Report {
	return &Report{Scenario: "line", Options: o, Runs: []Run{
		{
			Run: report.Run{
				Target: targetMesh, Round: 1, Deliveries: 1000, Latency: &gauge.Percentiles{P50: 900},
				Server: &report.CPU{Seconds: 0.002, PerMillion: 2}, Client: &report.CPU{},
			},
			Hop: 5, Transmissions: 2, Nodes: []float64{1, 2, 3},
		},
		{Run: report.Run{Target: "limit", Round: 1, Deliveries: 1000, Server: &report.CPU{Seconds: 0.001, PerMillion: 1}, Client: &report.CPU{}}},
	}}
}

func TestGoals(t *testing.T) {
	reached := Options{GoalCPU: 2, GoalP50: time.Millisecond, GoalHop: 5, GoalTransmissions: 2}
	if bad := measured(reached).Judge(); len(bad) > 0 {
		t.Errorf("goals that were reached: %q", bad)
	}
	missed := Options{GoalCPU: 1.9, GoalP50: 800 * time.Microsecond, GoalHop: 4, GoalTransmissions: 1.5}
	if bad := measured(missed).Judge(); len(bad) != 4 {
		t.Errorf("goals that were missed: %q", bad)
	}
	r := measured(Options{GoalHop: 5})
	r.Runs[0].Hop = 0 // nobody only passed on
	if bad := r.Judge(); len(bad) != 1 || !strings.Contains(bad[0], "CPU per hop") {
		t.Errorf("a goal that nothing was measured for: %q", bad)
	}
	r = measured(Options{})
	r.Runs[0].Faults.Lost, r.Runs[0].Faults.Duplicates = 3, 1
	if bad := r.Judge(); len(bad) != 2 {
		t.Errorf("faults: %q", bad)
	}
}

func TestPrint(t *testing.T) {
	r := measured(Options{Scenario: "line", Nodes: 3, Inflight: 1})
	r.Violations = []string{"too slow"}
	var b strings.Builder
	if err := r.Print(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"3 nodes (line)", "900µs", "5.00µs", "2.00", "mesh / limit: 2.00", "[1 2 3]", "VIOLATION: too slow"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("without %q:\n%s", want, b.String())
		}
	}
}
