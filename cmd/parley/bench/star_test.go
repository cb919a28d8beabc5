//go:build linux

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"parley/actors/tree"
	"parley/cmd/parley/assemble"
	"parley/cmd/parley/bench/star"
	"parley/cmd/parley/config"
	"parley/testkit/port"
)

// rendezvous runs a node on free ports, and returns the addresses of its rendezvous and of what tells its heap.
func rendezvous(t *testing.T, challenge string) (at, heap string) {
	t.Helper()
	values, err := config.Load(config.LoadOptions{Environ: func() []string { return []string{"PARLEY_STAR_CRYPTO_CHALLENGE=" + challenge} }})
	if err != nil {
		t.Fatal(err)
	}
	c := values.Node()
	var listeners [3]net.Listener
	for i := range listeners {
		if listeners[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	pool := tree.NewPool()
	sys := tree.New(tree.Options{Log: slog.New(slog.DiscardHandler), Driver: pool, Fatal: func(reason any) { t.Error(reason) }})
	n := assemble.Start(sys, &c, assemble.Listeners{Relay: listeners[0], Star: listeners[1], Metrics: listeners[2]})
	t.Cleanup(func() {
		defer pool.Close()
		const most = time.Minute
		ctx, cancel := context.WithTimeout(context.Background(), most)
		defer cancel()
		if err := n.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return listeners[1].Addr().String(), "http://" + listeners[2].Addr().String() + "/debug/pprof/heap?gc=1&debug=1"
}

// benchStar runs `bench star` and returns its report. Nothing here depends on how long it takes, but where something never comes.
func benchStar(t *testing.T, flags ...string) (*star.Report, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out bytes.Buffer
	c := Command()
	c.SetOut(&out)
	c.SetArgs(append([]string{
		"star", "--json", "--settle", "10ms", "--interval", "100ms", "--duration", "300ms", "--stall", "100ms", "--timeout", patience.String(), "--pid",
		strconv.Itoa(os.Getpid()),
	}, flags...))
	err := c.ExecuteContext(ctx)
	if out.Len() == 0 {
		return nil, err
	}
	r := &star.Report{}
	d := json.NewDecoder(&out)
	d.DisallowUnknownFields()
	if bad := d.Decode(r); bad != nil {
		t.Fatalf("report: %v", bad)
	}
	return r, err
}

// TestBenchStar runs all scenarios, small. Both servers are nodes of this process.
func TestBenchStar(t *testing.T) {
	at, heap := rendezvous(t, "off")
	other, _ := rendezvous(t, "off")
	for _, c := range []struct {
		scenario string
		flags    []string
		check    func(x *star.Run) bool
	}{
		{star.Join, []string{"--clients", "9", "--repeat", "2"}, func(x *star.Run) bool {
			return x.Joins.Clients == 9 && x.Joins.PerSecond > 0 && x.Joins.Time.Count == 9
		}},
		{star.Memory, []string{"--clients", "9"}, func(x *star.Run) bool { return x.Memory.Start > 0 && x.Memory.End > 0 }},
		{star.Stream, []string{"--mib", "3", "--parallel", "2"}, func(x *star.Run) bool { return x.Stream.MiB == 6 && x.Stream.PerSecond > 0 }},
		{star.Stall, []string{"--mib", "2"}, func(x *star.Run) bool { return x.Stream.MiB == 2 && x.Stream.TakenStalled > 0 }},
		{star.Cycles, []string{"--cycles", "30", "--parallel", "3", "--heap-url", heap}, func(x *star.Run) bool {
			return x.Cycles.Cycles == 30 && (x.Target == "against" || x.Cycles.HeapStart > 0 && x.Cycles.HeapEnd > 0)
		}},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			r, err := benchStar(t, append([]string{"--scenario", c.scenario, "--url", at, "--against", other, "--against-pid", strconv.Itoa(os.Getpid())}, c.flags...)...)
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Runs) != 2*r.Options.Repeat || r.Runs[0].Target != "server" || r.Runs[1].Target != "against" {
				t.Fatalf("runs: %+v", r.Runs)
			}
			for i := range r.Runs {
				if x := &r.Runs[i]; len(x.Wrong) > 0 || x.Server == nil || !c.check(x) {
					t.Errorf("%+v", x)
				}
			}
			if err := r.Print(&strings.Builder{}); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestBenchStarAnnounce may have too little time for all to hear of all again, and then says so.
func TestBenchStarAnnounce(t *testing.T) {
	at, _ := rendezvous(t, "on")
	r, err := benchStar(t, "--scenario", star.Announce, "--url", at, "--key", "ed25519", "--clients", "7", "--dials", "50")
	if r == nil {
		t.Fatal(err)
	}
	x := &r.Runs[0]
	late := x.Announce.Unheard > 0
	if x.Announce.Clients != 7 || x.Dials.Time == nil || len(x.Dials.Failed) > 0 || late != (err != nil) || late != (len(r.Violations) == 1) {
		t.Errorf("%+v %+v %q", x.Announce, x.Dials, r.Violations)
	}
}

// TestBenchStarProves joins with a challenge, and says what to do where the key is not what the server wants.
func TestBenchStarProves(t *testing.T) {
	at, _ := rendezvous(t, "on")
	for _, key := range []string{"rsa", "ed25519"} {
		r, err := benchStar(t, "--url", at, "--key", key, "--clients", "5")
		if err != nil || r.Runs[0].Joins.Unheard > 0 {
			t.Errorf("%s: %v, %+v", key, err, r)
		}
	}
	for _, scenario := range []string{star.Join, star.Memory, star.Stream} {
		if _, err := benchStar(t, "--scenario", scenario, "--url", at, "--clients", "5"); err == nil || !strings.Contains(err.Error(), "--key") {
			t.Errorf("%s: %v", scenario, err)
		}
	}
}

// TestBenchStarGoals misses goals, and reaches others.
func TestBenchStarGoals(t *testing.T) {
	at, _ := rendezvous(t, "off")
	if _, err := benchStar(t, "--scenario", star.Memory, "--url", at, "--clients", "5", "--goal-client", "1e9"); err != nil {
		t.Error(err)
	}
	_, err := benchStar(t, "--url", at, "--against", at, "--clients", "5", "--goal-joins", "1e9")
	if err == nil || !strings.Contains(err.Error(), "joins a second, server / against, is ") {
		t.Error(err)
	}
	for _, flags := range [][]string{
		{"--scenario", "nothing"},
		{"--key", "secp256k1"},
		{"--clients", "1"},
		{"--chunk", "0"},
		{"--goal-joins", "6"},
		{"--url", "ftp://x"},
		{"--scenario", star.Announce, "--duration", "1s", "--interval", "1s"},
	} {
		var code interface{ ExitCode() int }
		if _, err := benchStar(t, flags...); !errors.As(err, &code) || code.ExitCode() != exitUsage {
			t.Errorf("%q: %v", flags, err)
		}
	}
	var code interface{ ExitCode() int }
	if _, err := benchStar(t, "--url", fmt.Sprintf("127.0.0.1:%d", port.Free(t)), "--clients", "2"); !errors.As(err, &code) || code.ExitCode() != exitUnreachable {
		t.Errorf("nobody there: %v", err)
	}
}
