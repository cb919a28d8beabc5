//go:build linux

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"parley/cmd/parley/bench/ui"
)

// benchUI runs `bench ui` with Daemons of the test's own binary, and returns its report. Nothing here depends on how long
// it takes, but where something never comes.
func benchUI(t *testing.T, modes string, flags ...string) (*ui.Report, error) {
	t.Helper()
	t.Setenv(modeVariable, modes)
	t.Setenv("GORACE", "atexit_sleep_ms=0") // else each process would take a second to end under the race detector
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out bytes.Buffer
	c := Command()
	c.SetOut(&out)
	c.SetArgs(append([]string{
		"ui", "--json", "--warmup", "5ms", "--duration", "100ms", "--settle", "10ms", "--uis", "7", "--conversations", "3",
		"--repeat", "3", "--timeout", patience.String(),
	}, flags...))
	err := c.ExecuteContext(ctx)
	if out.Len() == 0 {
		return nil, err
	}
	r := &ui.Report{}
	d := json.NewDecoder(&out)
	d.DisallowUnknownFields()
	if bad := d.Decode(r); bad != nil {
		t.Fatalf("report: %v", bad)
	}
	return r, err
}

func mustBenchUI(t *testing.T, flags ...string) *ui.Report {
	t.Helper()
	r, err := benchUI(t, "", flags...)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range r.Runs {
		if x.Faults.Missing+x.Faults.Twice+x.Faults.Stray > 0 || x.Faults.Errors != nil || x.Faults.Closes != nil {
			t.Errorf("%s %s: %+v", x.Target, x.Phase, x.Faults)
		}
	}
	return r
}

func TestUIReady(t *testing.T) {
	r := mustBenchUI(t, "--scenario", "ready")
	if len(r.Runs) != 2 {
		t.Fatalf("%d runs", len(r.Runs))
	}
	for _, x := range r.Runs {
		if x.Latency.Count != 3 || x.Listens.Count != 3 || x.Latency.P50 < x.Listens.P50 {
			t.Errorf("%s: listens %+v, answers %+v", x.Phase, x.Listens, x.Latency)
		}
	}
}

func TestUIStart(t *testing.T) {
	x := mustBenchUI(t, "--scenario", "start").Runs[0]
	if x.Times != 3 || x.Answer.Count != 3 || x.Latency.Count != 3 {
		t.Errorf("%+v", x)
	}
}

func TestUICrash(t *testing.T) {
	x := mustBenchUI(t, "--scenario", "crash").Runs[0]
	if x.Times != 3 || x.Latency.Count != 3*7 || x.Last.Count != 3 || x.Last.Max != x.Latency.Max {
		t.Errorf("%+v", x)
	}
}

func TestUIBroadcast(t *testing.T) {
	x := mustBenchUI(t, "--scenario", "broadcast").Runs[0]
	if x.Times != 3 || x.Latency.Count != 3*7 || x.Last.Count != 3 || x.Answer.Count != 3 {
		t.Errorf("%+v", x)
	}
}

func TestUITalk(t *testing.T) {
	r := mustBenchUI(t, "--scenario", "talk", "--rate", "500", "--against-limit", "--opcode", "unsubscribe")
	var seen []string
	for _, x := range r.Runs {
		seen = append(seen, x.Target+" "+x.Phase)
		if x.Requests == 0 || x.Latency.Count != x.Requests || x.RequestsPerSecond <= 0 || x.Server == nil || x.Client == nil {
			t.Errorf("%+v", x)
		}
		if paced := x.Phase == "paced"; paced != (x.Late != nil) || paced && x.Requests != 50 {
			t.Errorf("%s %s: %d requests, late by %+v", x.Target, x.Phase, x.Requests, x.Late)
		}
	}
	if want := []string{"Daemon full", "Daemon paced", "limit full", "limit paced"}; !slices.Equal(seen, want) {
		t.Errorf("runs are %q", seen)
	}
	for _, opcode := range []string{"setup", "unsubscribe"} {
		r = mustBenchUI(t, "--scenario", "talk", "--rate", "0", "--against-limit=false", "--opcode", opcode)
		if len(r.Runs) != 1 || r.Runs[0].Phase != "full" {
			t.Errorf("%s: %d runs", opcode, len(r.Runs))
		}
	}
}

func TestUIMemory(t *testing.T) {
	x := mustBenchUI(t, "--scenario", "rss").Runs[0]
	if m := x.Memory; m.DaemonKiB <= 0 || m.NodeKiB <= 0 || m.Conversations != 21 {
		t.Errorf("%+v", m)
	}
}

// TestUIOfOneThatRuns loads a server that is there.
func TestUIOfOneThatRuns(t *testing.T) {
	s, err := ui.ListenLimit("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	_, port, _ := net.SplitHostPort(s.Address())
	r := mustBenchUI(t, "--scenario", "talk", "--ui-port", port, "--pid", self(), "--against-limit=false")
	if len(r.Runs) != 2 || r.Runs[0].Server == nil {
		t.Errorf("%+v", r.Runs)
	}
	r = mustBenchUI(t, "--scenario", "talk", "--ui-port", port, "--against-limit=false")
	if r.Runs[0].Server != nil {
		t.Errorf("%+v", r.Runs[0].Server)
	}
}

// TestUIFaultsAreFound: each broken promise is counted, and fails the run.
func TestUIFaultsAreFound(t *testing.T) {
	for _, c := range []struct {
		mode  string
		flags []string
		says  string
	}{
		{"deaf", []string{"--scenario", "broadcast", "--repeat", "1", "--timeout", "2s"}, "1 messages never came"},
		{"deaf", []string{"--scenario", "crash", "--repeat", "1", "--timeout", "2s"}, "1 messages never came"},
		{"refuse", []string{"--scenario", "talk", "--against-limit=false"}, "requests refused: not today"},
		{"stray", []string{"--scenario", "talk", "--against-limit=false"}, "answers that nobody had asked for"},
		{"hangup", []string{"--scenario", "talk", "--against-limit=false"}, "7 connections closed by the server with 1006"},
	} {
		r, err := benchUI(t, c.mode, c.flags...)
		var code interface{ ExitCode() int }
		if !errors.As(err, &code) || code.ExitCode() != exitFailed || r == nil || !strings.Contains(strings.Join(r.Violations, "; "), c.says) {
			t.Errorf("%s %v: %v, want %q", c.mode, c.flags, err, c.says)
		}
	}
}

// TestUITwice: what comes a second time is seen when the next round has not begun, and never spoils it.
func TestUITwice(t *testing.T) {
	r, err := benchUI(t, "twice", "--scenario", "broadcast", "--repeat", "20")
	if r == nil || (err != nil) != (r.Runs[0].Faults.Twice > 0) || r.Runs[0].Faults.Missing > 0 || r.Runs[0].Latency.Count != 140 {
		t.Errorf("%+v %v", r, err)
	}
}

func TestUIGoals(t *testing.T) {
	for scenario, goals := range map[string][]string{
		"ready": {"--goal", "1ns"}, "start": {"--goal", "1ns"}, "crash": {"--goal", "1ns"}, "broadcast": {"--goal", "1ns"},
		"talk": {"--goal", "1ns", "--against-limit=false"}, "rss": {"--goal-daemon", "0.1", "--goal-node", "0.1"},
	} {
		r, err := benchUI(t, "", append([]string{"--scenario", scenario, "--repeat", "1"}, goals...)...)
		if err == nil || !strings.Contains(err.Error(), "over the goal of") || len(r.Violations) == 0 {
			t.Errorf("%s: %v", scenario, err)
		}
		r, err = benchUI(t, "", "--scenario", scenario, "--repeat", "1", "--goal", "1h", "--goal-daemon", "1e6", "--against-limit=false")
		if err != nil || len(r.Violations) > 0 {
			t.Errorf("%s: %v", scenario, err)
		}
	}
}

func TestUIFailures(t *testing.T) {
	for _, c := range []struct {
		name, mode string
		flags      []string
		code       int
		says       string
	}{
		{"scenario", "", []string{"--scenario", "x"}, exitUsage, "unknown scenario"},
		{"few", "", []string{"--uis", "0"}, exitUsage, "--uis is 0"},
		{"rate", "", []string{"--rate", "-1"}, exitUsage, "--rate is -1"},
		{"port", "", []string{"--ui-port", "70000"}, exitUsage, "at most 65535"},
		{"pid alone", "", []string{"--pid", "1"}, exitUsage, "--ui-port"},
		{"ready of another", "", []string{"--scenario", "ready", "--ui-port", "5333"}, exitUsage, "leave --ui-port out"},
		{"too many", "", []string{"--scenario", "rss", "--conversations", "1025"}, exitUsage, "1024"},
		{"no pid", "", []string{"--scenario", "rss", "--ui-port", "5333"}, exitUsage, "--pid"},
		{"nobody", "", []string{"--ui-port", "1"}, exitUnreachable, "is the server running"},
		{"mute", "mute", nil, exitFailed, "did not start"},
		{"babble", "babble", nil, exitFailed, `said "hello`},
		{"late", "late", []string{"--scenario", "broadcast"}, exitFailed, "did not end in order"},
		{"running", "running", []string{"--scenario", "start"}, exitFailed, "shut the Node down first"},
		{"frozen", "frozen", []string{"--scenario", "broadcast"}, exitFailed, "frozen"},
		{"refused", "refuse", []string{"--scenario", "rss"}, exitFailed, "not today"},
	} {
		r, err := benchUI(t, c.mode, c.flags...)
		var code interface{ ExitCode() int }
		if r != nil || !errors.As(err, &code) || code.ExitCode() != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.name, err, c.says)
		}
	}
}

// TestUIPrint: each scenario has a table, and what went wrong below it.
func TestUIPrint(t *testing.T) {
	t.Setenv(modeVariable, "")
	t.Setenv("GORACE", "atexit_sleep_ms=0")
	for _, scenario := range ui.Scenarios {
		var out bytes.Buffer
		c := Command()
		c.SetOut(&out)
		c.SetArgs([]string{
			"ui", "--scenario", scenario, "--uis", "2", "--conversations", "2", "--repeat", "1", "--duration", "20ms",
			"--warmup", "1ms", "--settle", "1ms", "--goal", "1ns", "--goal-daemon", "0.1",
		})
		err := c.ExecuteContext(t.Context())
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if err == nil || len(lines) < 5 || !strings.HasPrefix(lines[0], scenario+": ") || !strings.Contains(lines[3], "target") || !strings.Contains(out.String(), "VIOLATION: ") {
			t.Errorf("%s: %v\n%s", scenario, err, out.String())
		}
	}
}

// TestUIInterrupted ends at once, and leaves no process and no directory.
func TestUIInterrupted(t *testing.T) {
	t.Setenv(modeVariable, "")
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := Command()
	c.SetArgs([]string{"ui", "--scenario", "talk"})
	if err := c.ExecuteContext(ctx); err == nil {
		t.Error("it went on")
	}
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) > 0 {
		t.Errorf("left is %s", fmt.Sprint(left))
	}
}
