package foreign_test

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley/cmd/parley/bench/gauge"
)

// flatMost is how much a node may grow, KiB, while twice as much waits for a receiver. Most of it is what the runtime collects later;
// what 512 MiB cost is measured by `parley bench star --scenario stall`.
const flatMost = 32 << 10

// startStar starts a node with a rendezvous; port 0 is any.
func startStar(ctx context.Context, t *testing.T, challenge, port string) *process {
	t.Helper()
	return startParley(
		ctx, t, "node", "--clandestine-port", "0", "--metrics-address", "off",
		"--star-address", "127.0.0.1", "--star-port", port, "--star-crypto-challenge", challenge,
	)
}

// TestStarClient lets libp2p's own client do all that it can at a rendezvous. The scripts say themselves what is wrong.
func TestStarClient(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	challenging, open := startStar(ctx, t, "on", "0"), startStar(ctx, t, "off", "0")
	for _, c := range []struct {
		scenario string
		at       *process
	}{{"challenge", challenging}, {"open", open}, {"hundred", challenging}} {
		t.Run(c.scenario, func(t *testing.T) { expectScenario(ctx, t, c.scenario, c.at, func(string) {}) })
	}
	t.Run("pressure", func(t *testing.T) { expectFlat(ctx, t, challenging) })
	for _, p := range []*process{challenging, open} {
		p.terminate(t)
		p.expectExit(t)
	}
}

// TestStarRestart restarts the node under its clients.
func TestStarRestart(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	p := startStar(ctx, t, "on", "0")
	_, port, err := net.SplitHostPort(p.star)
	if err != nil {
		t.Fatal(err)
	}
	expectScenario(ctx, t, "restart", p, func(line string) {
		if line != "restart the server" {
			return
		}
		p.terminate(t)
		p.expectExit(t)
		p = startStar(ctx, t, "on", port)
	})
	p.terminate(t)
	p.expectExit(t)
}

// expectScenario runs star.mjs and compares what it tells with testdata, line by line.
func expectScenario(ctx context.Context, t *testing.T, scenario string, at *process, heard func(line string)) {
	t.Helper()
	var said []string
	err := runScript(ctx, t, func(line string) {
		said = append(said, line)
		heard(line)
	}, "star.mjs", scenario, at.star)
	if err != nil {
		t.Error(err)
	}
	compare(t, filepath.Join("testdata", "star-"+scenario+".txt"), said)
}

// expectFlat watches the node's memory while 64 MiB wait for a receiver, and come back.
func expectFlat(ctx context.Context, t *testing.T, at *process) {
	t.Helper()
	const often = 50 * time.Millisecond
	var sampler *gauge.Sampler
	expectScenario(ctx, t, "pressure", at, func(line string) {
		if sampler == nil && strings.HasPrefix(line, "64 MiB") {
			sampler = gauge.StartSampler(gauge.Processes{at.command.Process.Pid}, often)
		}
	})
	samples, err := sampler.Stop()
	if err != nil || len(samples) == 0 {
		t.Fatalf("foreign: %d samples of the node's memory: %v", len(samples), err)
	}
	peak := samples[0].Resident
	for _, s := range samples {
		peak = max(peak, s.Resident)
	}
	if grown := peak - samples[0].Resident; grown > flatMost {
		t.Errorf("foreign: the node has grown by %d KiB, at most %d are right", grown, flatMost)
	} else {
		t.Logf("the node has grown by %d KiB", grown)
	}
}

// TestSocketClients lets plain socket.io clients of two versions talk to each other.
func TestSocketClients(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	p := startStar(ctx, t, "off", "0")
	var said []string
	if err := runScript(ctx, t, func(line string) { said = append(said, line) }, "sockets.mjs", p.star); err != nil {
		t.Error(err)
	}
	compare(t, "testdata/sockets.txt", said)
	p.terminate(t)
	p.expectExit(t)
}
