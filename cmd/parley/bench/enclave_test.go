//go:build linux

package bench

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"parley/cmd/parley/bench/enclave"
	"parley/cmd/parley/bench/gauge"
)

// TestBenchEnclaveUsage refuses what cannot be. The scenarios themselves run in testkit/life, with the program as it is built.
func TestBenchEnclaveUsage(t *testing.T) {
	for _, flags := range [][]string{
		{"--scenario", "nothing"},
		{"--size", "3"},
		{"--burst", "0"},
		{"--friends", "0"},
		{"--friends", "1000000"},
		{"--rate", "0"},
		{"--duration", "0s"},
		{"--scenario", "prefix", "--settle", "10s"},
	} {
		c := Command()
		c.SetArgs(append([]string{"enclave"}, flags...))
		var code interface{ ExitCode() int }
		if err := c.ExecuteContext(t.Context()); !errors.As(err, &code) || code.ExitCode() != exitUsage {
			t.Errorf("%q: %v", flags, err)
		}
	}
}

// TestEnclaveReport judges the node alone.
func TestEnclaveReport(t *testing.T) {
	r := &enclave.Report{Scenario: enclave.Burst, Runs: []enclave.Run{
		{Target: "node", Round: 1, PerSecond: 1000, Time: &gauge.Percentiles{P99: 1500}},
		{Target: "limit", Round: 1, PerSecond: 4000},
		{Target: "node", Round: 2, Wrong: []string{"lost\x1b[2J"}, Held: &enclave.Held{Friends: 100, Start: 1000, Known: 2000, Online: 4072, Prefix: 4472, Whole: 9000}},
	}}
	g := &r.Options.Goals
	if bad := r.Judge(); len(bad) != 1 || !strings.Contains(bad[0], "round 2: lost") {
		t.Errorf("%q", bad)
	}
	g.Rate, g.P99, g.Friends, g.Prefix = 500, 2*time.Millisecond, 3, 4
	want := []string{
		"round 1: memory of all friends, MiB is 0, the goal is 3", "round 1: memory of a packet that never comes, KiB is 0, the goal is 4",
		"round 2: lost\x1b[2J", "round 2: messages a second is 0, the goal is 500", "round 2: p99, µs is 0, the goal is 2000",
	}
	if bad := r.Judge(); strings.Join(bad, "\n") != strings.Join(want, "\n") {
		t.Errorf("%q", bad)
	}
	g.P99, g.Rate = time.Millisecond, 2000
	if bad := r.Judge(); !strings.Contains(bad[0], "messages a second is 1000") || !strings.Contains(bad[1], "p99, µs is 1500, the goal is 1000") {
		t.Errorf("%q", bad)
	}
	r.Violations = r.Judge()
	var out bytes.Buffer
	if err := r.Print(&out); err != nil || strings.Contains(out.String(), "\x1b") || !strings.Contains(out.String(), "messages a second, node / limit: 0.25\n") {
		t.Errorf("%v\n%s", err, out.String())
	}
}
