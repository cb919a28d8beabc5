//go:build linux

package star

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"parley/cmd/parley/starclient"
)

// Options are the flags of `parley bench star`. Durations are nanoseconds in JSON.
type Options struct {
	Scenario string `json:"scenario"`

	URL            string `json:"url"`
	PID            int    `json:"pid,omitempty"`
	HeapURL        string `json:"heap_url,omitempty"`
	Against        string `json:"against,omitempty"`
	AgainstPID     int    `json:"against_pid,omitempty"`
	AgainstHeapURL string `json:"against_heap_url,omitempty"`

	Key      string        `json:"key"`
	Clients  int           `json:"clients"`
	Parallel int           `json:"parallel"`
	Chunk    int           `json:"chunk_bytes"`
	MiB      int           `json:"mib"`
	Stall    time.Duration `json:"stall_ns"`
	Cycles   int           `json:"cycles"`
	Dials    float64       `json:"dials_per_second"`
	Interval time.Duration `json:"interval_ns"`
	Duration time.Duration `json:"duration_ns"`
	Settle   time.Duration `json:"settle_ns"`
	Timeout  time.Duration `json:"timeout_ns"`
	Repeat   int           `json:"repeat"`

	Goals Goals `json:"goals"`
	JSON  bool  `json:"-"`
}

// Goals are what a run must reach; 0: nothing. Ratios are those of --url to --against.
type Goals struct {
	JoinsRatio float64       `json:"joins_ratio,omitempty"`
	RateRatio  float64       `json:"rate_ratio,omitempty"`
	CPURatio   float64       `json:"cpu_ratio,omitempty"`
	Client     float64       `json:"client_kib,omitempty"`
	Growth     float64       `json:"growth_mib,omitempty"`
	Share      float64       `json:"share,omitempty"`
	Dial       time.Duration `json:"dial_ns,omitempty"`
	Heap       float64       `json:"heap_mib,omitempty"`
}

// The scenarios.
const (
	Join     = "join"
	Memory   = "memory"
	Stream   = "stream"
	Stall    = "stall"
	Announce = "announce"
	Cycles   = "cycles"
)

// Scenarios are in the order of the help text.
var Scenarios = []string{Join, Memory, Stream, Stall, Announce, Cycles}

// Kinds of keys.
const (
	keyNone = "none" // no challenge
	keyRSA  = "rsa"
	keyEd   = "ed25519"
)

var keys = []string{keyNone, keyRSA, keyEd}

// rsaBits is the length of an RSA key, as libp2p draws them.
const rsaBits = 2048

// defaults are the flags that a scenario sets when the user does not.
var defaults = map[string]map[string]string{
	Join:     {"clients": "200"},
	Memory:   {"clients": "1000"},
	Stream:   {"mib": "256"},
	Stall:    {"mib": "512"},
	Announce: {"clients": "1000", "duration": "30s"},
	Cycles:   {"cycles": "100000"},
}

// clientsMost keeps ports, which tell addresses apart, in range.
const clientsMost = 30000

// Bind declares the flags.
func (o *Options) Bind(f *pflag.FlagSet) {
	f.StringVar(&o.Scenario, "scenario", Join, fmt.Sprintf("what is done, one of %v", Scenarios))
	f.StringVar(&o.URL, "url", "ws://127.0.0.1:9090", "address of the server, ws:// or host:port")
	f.IntVar(&o.PID, "pid", 0, "process of the server, for its processor time and memory; 0: they are not measured")
	f.StringVar(&o.HeapURL, "heap-url", "", "where the server tells its heap after it has collected garbage: of a node, /debug/pprof/heap?gc=1&debug=1 of its metrics address")
	f.StringVar(&o.Against, "against", "", "address of another server, measured in turn and compared with")
	f.IntVar(&o.AgainstPID, "against-pid", 0, "--pid of the other server")
	f.StringVar(&o.AgainstHeapURL, "against-heap-url", "", "--heap-url of the other server")

	f.StringVar(&o.Key, "key", keyNone, fmt.Sprintf("what clients answer the challenge with, one of %v; none: the server must not challenge", keys))
	f.IntVar(&o.Clients, "clients", 200, "clients that join; without it 200, in memory and announce 1000")
	f.IntVar(&o.Parallel, "parallel", 1, "stream: dials at once; cycles: clients at once")
	f.IntVar(&o.Chunk, "chunk", 16<<10, "stream, stall: bytes of a chunk")
	f.IntVar(&o.MiB, "mib", 256, "stream, stall: MiB that are sent through a dial; without it 256, in stall 512")
	f.DurationVar(&o.Stall, "stall", 5*time.Second, "stall: how long nothing must get further before the receiver reads on")
	f.IntVar(&o.Cycles, "cycles", 100000, "cycles: how often clients join, dial and leave")
	f.Float64Var(&o.Dials, "dials", 20, "announce: dials a second meanwhile, by a timetable")
	f.DurationVar(&o.Interval, "interval", 10*time.Second, "announce: how often the server announces everybody")
	f.DurationVar(&o.Duration, "duration", 30*time.Second, "announce: how long it is measured, at least twice --interval")
	f.DurationVar(&o.Settle, "settle", 12*time.Second, "memory, announce, cycles: how long nothing is done before it is looked at memory, or measured")
	f.DurationVar(&o.Timeout, "timeout", time.Minute, "longest wait for connections and answers")
	f.IntVar(&o.Repeat, "repeat", 1, "rounds")

	f.Float64Var(&o.Goals.JoinsRatio, "goal-joins", 0, "exit with 1 if joins a second are fewer than so many times those of --against")
	f.Float64Var(&o.Goals.RateRatio, "goal-rate", 0, "exit with 1 if MiB a second are fewer than so many times those of --against")
	f.Float64Var(&o.Goals.CPURatio, "goal-cpu", 0, "exit with 1 if processor time per MiB is more than so many times that of --against")
	f.Float64Var(&o.Goals.Client, "goal-client", 0, "exit with 1 if a joined client needs more memory, KiB")
	f.Float64Var(&o.Goals.Growth, "goal-growth", 0, "exit with 1 if a stalled receiver makes the server larger, MiB")
	f.Float64Var(&o.Goals.Share, "goal-share", 0, "exit with 1 if announcing needs more of a processor, as in 0.02")
	f.DurationVar(&o.Goals.Dial, "goal-dial", 0, "exit with 1 if p99 of the dials meanwhile is longer")
	f.Float64Var(&o.Goals.Heap, "goal-heap", 0, "exit with 1 if the heap has grown by more in all cycles, MiB")
	f.BoolVar(&o.JSON, "json", false, "print the report as JSON")
}

// Fill fills in the scenario's own defaults and checks everything.
func (o *Options) Fill(f *pflag.FlagSet) error {
	if !slices.Contains(Scenarios, o.Scenario) {
		return fmt.Errorf("bench: unknown scenario %q, use one of %v", o.Scenario, Scenarios)
	}
	for name, value := range defaults[o.Scenario] {
		if !f.Changed(name) {
			if err := f.Set(name, value); err != nil {
				return fmt.Errorf("bench: set --%s: %w", name, err)
			}
		}
	}
	if !slices.Contains(keys, o.Key) {
		return fmt.Errorf("bench: unknown key %q, use one of %v", o.Key, keys)
	}
	for _, c := range []struct {
		name        string
		n, from, to int
	}{
		{"clients", o.Clients, 2, clientsMost},
		{"parallel", o.Parallel, 1, 60},
		{"chunk", o.Chunk, 1, 1 << 20},
		{"mib", o.MiB, 1, 1 << 20},
		{"cycles", o.Cycles, 1, 1 << 30},
		{"repeat", o.Repeat, 1, 1000},
		{"pid", o.PID, 0, 1 << 30},
		{"against-pid", o.AgainstPID, 0, 1 << 30},
	} {
		if c.n < c.from || c.n > c.to {
			return fmt.Errorf("bench: --%s is %d, must be from %d to %d", c.name, c.n, c.from, c.to)
		}
	}
	switch {
	case !(o.Dials >= 0) || o.Dials > 1000:
		return fmt.Errorf("bench: --dials is %v, must be from 0 to 1000", o.Dials)
	case o.Scenario == Announce && o.Duration < 2*o.Interval:
		return fmt.Errorf("bench: --duration is %v, must be at least twice --interval, which is %v", o.Duration, o.Interval)
	case o.Interval <= 0:
		return fmt.Errorf("bench: --interval is %v, must be over 0", o.Interval)
	}
	for _, url := range []string{o.URL, o.Against} {
		if _, err := starclient.URL(url, starclient.Three); url != "" && err != nil {
			return fmt.Errorf("bench: %w", err)
		}
	}
	if o.Against == "" && o.Goals.JoinsRatio+o.Goals.RateRatio+o.Goals.CPURatio > 0 {
		return fmt.Errorf("bench: --goal-joins, --goal-rate and --goal-cpu compare with another server: name it with --against")
	}
	return nil
}

// describe names the options that make up the scenario.
func (o *Options) describe() string {
	var say []string
	add := func(format string, args ...any) { say = append(say, fmt.Sprintf(format, args...)) }
	switch o.Scenario {
	case Join, Memory, Announce:
		add("%d clients", o.Clients)
	case Stream, Stall:
		add("%d MiB in chunks of %d bytes, %d dials", o.MiB, o.Chunk, o.Parallel)
	case Cycles:
		add("%d cycles, %d clients at once", o.Cycles, o.Parallel)
	}
	if o.Scenario == Announce {
		add("%v, %g dials/s", o.Duration, o.Dials)
	}
	add("key %s", o.Key)
	return strings.Join(say, ", ")
}
