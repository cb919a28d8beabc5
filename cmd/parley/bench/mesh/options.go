//go:build linux

package mesh

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"parley/cmd/parley/bench/report"
	"parley/cmd/parley/bench/wire"
	"parley/cmd/parley/fleet"
)

// Options are the flags of `parley bench mesh`. Durations are nanoseconds in JSON.
type Options struct {
	Scenario    string        `json:"scenario"` // a shape
	Nodes       int           `json:"nodes"`
	Subscribers int           `json:"subscribers"`
	Inflight    int           `json:"inflight"`
	Size        int           `json:"size_bytes"`
	Rate        float64       `json:"rate_per_second"`
	Duration    time.Duration `json:"duration_ns"`
	Warmup      time.Duration `json:"warmup_ns"`
	Settle      time.Duration `json:"settle_ns"`
	Timeout     time.Duration `json:"timeout_ns"`
	Repeat      int           `json:"repeat"`

	AgainstLimit bool `json:"against_limit"`

	GoalCPU           float64       `json:"goal_cpu_per_million,omitempty"`
	GoalP50           time.Duration `json:"goal_p50_ns,omitempty"`
	GoalHop           float64       `json:"goal_hop_us,omitempty"`
	GoalTransmissions float64       `json:"goal_transmissions,omitempty"`

	JSON bool `json:"-"`
}

// defaults are the flags that a scenario sets when the user does not.
var defaults = map[string]map[string]string{
	fleet.Line: {"nodes": "3", "subscribers": "500"},
	fleet.Ring: {"nodes": "10", "subscribers": "9"},
	fleet.Full: {"nodes": "10", "subscribers": "9"},
}

const (
	mostNodes = 50 // processes
	giveUp    = 3 * time.Second
)

// Bind declares the flags.
func (o *Options) Bind(f *pflag.FlagSet) {
	f.StringVar(&o.Scenario, "scenario", fleet.Line, fmt.Sprintf("how the nodes are linked, one of %v", fleet.Shapes))
	f.IntVar(&o.Nodes, "nodes", 0, "nodes; without it 3 in a line, else 10")
	f.IntVar(&o.Subscribers, "subscribers", 0, "subscribers: in a line all on the last node, else on all nodes but the first in turn; without it 500 in a line, else 9")
	f.IntVar(&o.Inflight, "inflight", 1, "messages that the publisher sends in one burst and waits for")
	f.Float64Var(&o.Rate, "rate", 0, "messages a second by a timetable, instead of bursts; 0: bursts")
	f.IntVar(&o.Size, "size", 128, fmt.Sprintf("length of a message's text, bytes, at least %d", wire.MinText))
	f.DurationVar(&o.Duration, "duration", 5*time.Second, "how long each round is measured")
	f.DurationVar(&o.Warmup, "warmup", time.Second, "how long each round runs before that")
	f.DurationVar(&o.Settle, "settle", 4*time.Second, "how long nothing is sent once all are linked, and once all have subscribed: then the nodes know their ways")
	f.DurationVar(&o.Timeout, "timeout", 20*time.Second, "longest wait for nodes, links and answers")
	f.IntVar(&o.Repeat, "repeat", 1, "rounds")
	f.BoolVar(&o.AgainstLimit, "against-limit", true, "also run against \"bench limit\", one bare server, in turn, and compare")

	f.Float64Var(&o.GoalCPU, "goal-cpu", 0, "exit with 1 if all nodes together need more CPU seconds per million deliveries")
	f.DurationVar(&o.GoalP50, "goal-p50", 0, "exit with 1 if half of the deliveries take longer")
	f.Float64Var(&o.GoalHop, "goal-hop", 0, "exit with 1 if a node that only passes on needs more CPU a message, µs")
	f.Float64Var(&o.GoalTransmissions, "goal-transmissions", 0, "exit with 1 if a message is sent over more links, counting each time")
	f.BoolVar(&o.JSON, "json", false, "print the report as JSON")
}

// Fill fills in the scenario's own defaults and checks everything.
func (o *Options) Fill(f *pflag.FlagSet) error {
	if !slices.Contains(fleet.Shapes, o.Scenario) {
		return fmt.Errorf("bench: unknown scenario %q, use one of %v", o.Scenario, fleet.Shapes)
	}
	for name, value := range defaults[o.Scenario] {
		if !f.Changed(name) {
			if err := f.Set(name, value); err != nil {
				return fmt.Errorf("bench: set --%s: %w", name, err)
			}
		}
	}
	for _, c := range []struct {
		name    string
		n, from int
	}{{"nodes", o.Nodes, 2}, {"subscribers", o.Subscribers, 1}, {"inflight", o.Inflight, 1}, {"size", o.Size, wire.MinText}, {"repeat", o.Repeat, 1}} {
		if c.n < c.from {
			return fmt.Errorf("bench: --%s is %d, must be at least %d", c.name, c.n, c.from)
		}
	}
	switch {
	case o.Nodes > mostNodes:
		return fmt.Errorf("bench: --nodes is %d, must be at most %d", o.Nodes, mostNodes)
	case !(o.Rate >= 0):
		return fmt.Errorf("bench: --rate is %v, must not be under 0", o.Rate)
	}
	return nil
}

// field is what the load generator is told.
func (o *Options) field() *report.Options {
	return &report.Options{
		Scenario: report.ScenarioFanout, SubscribeKey: wire.KeyTopic, Subscribers: o.Subscribers, Publishers: 1, Size: o.Size, Inflight: o.Inflight,
		Rate: o.Rate, Duration: o.Duration, Warmup: o.Warmup, Settle: o.Settle, Timeout: o.Timeout, StallAfter: giveUp, Repeat: 1,
		ConnectParallel: 32, Readers: 1,
	}
}

// describe names the options that make up a run.
func (o *Options) describe() string {
	how := fmt.Sprintf("%d in flight", o.Inflight)
	if o.Rate > 0 {
		how = fmt.Sprintf("%g messages/s", o.Rate)
	}
	return fmt.Sprintf("%d nodes (%s), %d subscribers, %d B, %s", o.Nodes, o.Scenario, o.Subscribers, o.Size, how)
}
