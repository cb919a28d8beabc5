//go:build linux

package enclave

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/pflag"
)

// Options are the flags of `parley bench enclave`. Durations are nanoseconds in JSON.
type Options struct {
	Scenario  string        `json:"scenario"`
	Size      int           `json:"size_bytes"`
	Burst     int           `json:"burst"`
	Inflight  int           `json:"inflight"`
	Rate      float64       `json:"rate_per_second"`
	Friends   int           `json:"friends"`
	Foreign   bool          `json:"foreign"`
	Retention string        `json:"retention"`
	Duration  time.Duration `json:"duration_ns"`
	Settle    time.Duration `json:"settle_ns"`
	Timeout   time.Duration `json:"timeout_ns"`
	Repeat    int           `json:"repeat"`
	Against   bool          `json:"against_limit"`

	Goals Goals `json:"goals"`
	JSON  bool  `json:"-"`
}

// Goals are what a run of the node must reach; 0: nothing.
type Goals struct {
	Rate    float64       `json:"rate_per_second,omitempty"`
	P99     time.Duration `json:"p99_ns,omitempty"`
	Friends float64       `json:"friends_mib,omitempty"`
	Prefix  float64       `json:"prefix_kib,omitempty"`
}

// The scenarios.
const (
	Burst   = "burst"
	Outbox  = "outbox"
	Friends = "friends"
	Prefix  = "prefix"
	Latency = "latency"
)

// Scenarios are in the order of the help text.
var Scenarios = []string{Burst, Outbox, Friends, Prefix, Latency}

// defaults are the flags that a scenario sets when the user does not.
var defaults = map[string]map[string]string{
	Friends: {"settle": "10s"},
	Prefix:  {"friends": "200", "settle": "4s"},
}

// Limits of options.
const (
	friendsMost = 60 * friendsRow // addresses that friendIP has
	sizeLeast   = 24              // bytes that a stamp needs
	sizeMost    = 60 << 10
	settleMost  = 9 * time.Second // of a packet that is not whole: then the node ends the link
)

// Bind declares the flags.
func (o *Options) Bind(f *pflag.FlagSet) {
	f.StringVar(&o.Scenario, "scenario", Burst, fmt.Sprintf("what is done, one of %v", Scenarios))
	f.IntVar(&o.Size, "size", 64, "bytes of a message")
	f.IntVar(&o.Burst, "burst", 256, "burst: messages that are written at once")
	f.IntVar(&o.Inflight, "inflight", 64, "outbox: commands that are not answered; more than 64 are not read")
	f.Float64Var(&o.Rate, "rate", 1000, "latency: messages a second, by a timetable")
	f.IntVar(&o.Friends, "friends", 1000, "friends, prefix: how many; without it 1000, in prefix 200")
	f.BoolVar(&o.Foreign, "foreign", false, "burst, outbox, latency: the peer is not of our own kind: it acknowledges nothing, and wants no acknowledgements")
	f.StringVar(&o.Retention, "retention", "off", "the node's enclave-retention: off, forever, or days as in 30d")
	f.DurationVar(&o.Duration, "duration", 5*time.Second, "how long each round is measured")
	f.DurationVar(&o.Settle, "settle", 4*time.Second, "friends, prefix: how long nothing is done before it is looked at memory; friends: without it 10s")
	f.DurationVar(&o.Timeout, "timeout", time.Minute, "longest wait for a node, and for answers")
	f.IntVar(&o.Repeat, "repeat", 1, "rounds")
	f.BoolVar(&o.Against, "against-limit", true, "burst, latency: also run a bare loop over the same sockets, in turn; outbox: a node without outbox")

	f.Float64Var(&o.Goals.Rate, "goal-rate", 0, "exit with 1 if messages a second are fewer")
	f.DurationVar(&o.Goals.P99, "goal-p99", 0, "exit with 1 if p99 is longer")
	f.Float64Var(&o.Goals.Friends, "goal-friends", 0, "exit with 1 if all friends together, online, need more memory, MiB")
	f.Float64Var(&o.Goals.Prefix, "goal-prefix", 0, "exit with 1 if the length of a packet that never comes costs more memory, KiB")
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
	for _, c := range []struct {
		name        string
		n, from, to int
	}{
		{"size", o.Size, sizeLeast, sizeMost},
		{"burst", o.Burst, 1, 1 << 16},
		{"inflight", o.Inflight, 1, 1 << 16},
		{"friends", o.Friends, 1, friendsMost},
		{"repeat", o.Repeat, 1, 1000},
	} {
		if c.n < c.from || c.n > c.to {
			return fmt.Errorf("bench: --%s is %d, must be from %d to %d", c.name, c.n, c.from, c.to)
		}
	}
	switch {
	case !(o.Rate > 0) || o.Rate > 1e6:
		return fmt.Errorf("bench: --rate is %v, must be over 0 and at most 1000000", o.Rate)
	case o.Duration <= 0:
		return fmt.Errorf("bench: --duration is %v, must be over 0", o.Duration)
	case o.Scenario == Prefix && o.Settle > settleMost:
		return fmt.Errorf("bench: --settle is %v, must be at most %v: a packet that is not whole then ends the link", o.Settle, settleMost)
	}
	return nil
}

// describe names the options that make up the scenario.
func (o *Options) describe() string {
	kind := "own kind"
	if o.Foreign {
		kind = "another make"
	}
	switch o.Scenario {
	case Burst:
		return fmt.Sprintf("%d B, %d in a write, %v, peer of %s, retention %s", o.Size, o.Burst, o.Duration, kind, o.Retention)
	case Outbox:
		return fmt.Sprintf("%d B, %d commands in flight, %v, peer of %s, retention %s", o.Size, o.Inflight, o.Duration, kind, o.Retention)
	case Latency:
		return fmt.Sprintf("%d B, %g messages/s, %v, peer of %s, retention %s", o.Size, o.Rate, o.Duration, kind, o.Retention)
	}
	return fmt.Sprintf("%d friends, looked at after %v", o.Friends, o.Settle)
}
