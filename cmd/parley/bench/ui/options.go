//go:build linux

package ui

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"
)

// Options are the flags of `parley bench ui`. Durations are nanoseconds in JSON.
type Options struct {
	Scenario string `json:"scenario"`
	Port     int    `json:"ui_port"`
	PID      int    `json:"pid,omitempty"`

	UIs           int           `json:"uis"`
	Conversations int           `json:"conversations"`
	Opcode        string        `json:"opcode"`
	Rate          float64       `json:"rate_per_second"`
	Repeat        int           `json:"repeat"`
	Duration      time.Duration `json:"duration_ns"`
	Warmup        time.Duration `json:"warmup_ns"`
	Settle        time.Duration `json:"settle_ns"`
	Timeout       time.Duration `json:"timeout_ns"`
	AgainstLimit  bool          `json:"against_limit"`

	Goal             time.Duration `json:"goal_ns,omitempty"`
	GoalDaemon       float64       `json:"goal_daemon_mib,omitempty"`
	GoalNode         float64       `json:"goal_node_mib,omitempty"`
	GoalConversation int           `json:"goal_conversation_bytes,omitempty"`

	JSON bool `json:"-"`
}

// The scenarios.
const (
	Ready     = "ready"
	Start     = "start"
	Crash     = "crash"
	Broadcast = "broadcast"
	Talk      = "talk"
	RSS       = "rss"
)

// Scenarios are in the order of the help text.
var Scenarios = []string{Ready, Start, Crash, Broadcast, Talk, RSS}

// talksMost is how many conversations of a connection are kept. Source: gateways/uiv2/PROTOCOL.md, Conversations.
const talksMost = 1024

// defaults are the flags that a scenario sets when the user does not.
var defaults = map[string]map[string]string{
	Ready:     {"repeat": "20"},
	Start:     {"repeat": "100"},
	Crash:     {"repeat": "10"},
	Broadcast: {"repeat": "20", "uis": "1000"},
	Talk:      {},
	RSS:       {"uis": "10", "conversations": "1000"},
}

// Bind declares the flags.
func (o *Options) Bind(f *pflag.FlagSet) {
	f.StringVar(&o.Scenario, "scenario", Talk, fmt.Sprintf("what to do, one of %v", Scenarios))
	f.IntVar(&o.Port, "ui-port", 0, "port of a Daemon that runs; 0 starts one for this run (ready always does)")
	f.IntVar(&o.PID, "pid", 0, "process of the Daemon at --ui-port, to measure its processor time and memory")

	f.IntVar(&o.UIs, "uis", 100, "user interfaces that are connected (crash, broadcast, talk, rss)")
	f.IntVar(&o.Conversations, "conversations", 10, "conversations of each (talk, rss)")
	f.StringVar(&o.Opcode, "opcode", "unsubscribe", "what they ask: unsubscribe, setup, or any request with an empty payload (talk)")
	f.Float64Var(&o.Rate, "rate", 10000, "requests a second of the paced phase, over all conversations; 0 leaves it out (talk)")
	f.IntVar(&o.Repeat, "repeat", 1, "how often it is done (all but talk, rss)")
	f.DurationVar(&o.Duration, "duration", 5*time.Second, "how long each phase is measured (talk)")
	f.DurationVar(&o.Warmup, "warmup", time.Second, "how long each phase runs before that (talk)")
	f.DurationVar(&o.Settle, "settle", 3*time.Second, "how long a process sits before its memory is read (rss)")
	f.DurationVar(&o.Timeout, "timeout", 20*time.Second, "longest wait for anything")
	f.BoolVar(&o.AgainstLimit, "against-limit", true, "also talk to \"bench limit-ui\", and compare (talk)")

	f.DurationVar(&o.Goal, "goal", 0, "exit with 1 if it takes longer: ready, start: the median; crash, broadcast: the last of all; talk: p99, paced")
	f.Float64Var(&o.GoalDaemon, "goal-daemon", 0, "exit with 1 if an idle Daemon has more memory, MiB (rss)")
	f.Float64Var(&o.GoalNode, "goal-node", 0, "exit with 1 if an idle Node has more memory, MiB (rss)")
	f.IntVar(&o.GoalConversation, "goal-conversation", 0, "exit with 1 if an idle conversation costs more memory, bytes (rss)")
	f.BoolVar(&o.JSON, "json", false, "print the report as JSON")
}

// Fill fills in the scenario's own defaults and checks everything.
func (o *Options) Fill(f *pflag.FlagSet) error {
	own, ok := defaults[o.Scenario]
	if !ok {
		return fmt.Errorf("bench: unknown scenario %q, use one of %v", o.Scenario, Scenarios)
	}
	for name, value := range own {
		if !f.Changed(name) {
			if err := f.Set(name, value); err != nil {
				return fmt.Errorf("bench: set --%s: %w", name, err)
			}
		}
	}
	for _, c := range []struct {
		name    string
		n, from int
	}{
		{"uis", o.UIs, 1},
		{"conversations", o.Conversations, 1},
		{"repeat", o.Repeat, 1},
		{"ui-port", o.Port, 0},
		{"pid", o.PID, 0},
	} {
		if c.n < c.from {
			return fmt.Errorf("bench: --%s is %d, must be at least %d", c.name, c.n, c.from)
		}
	}
	switch {
	case o.Port > 65535:
		return fmt.Errorf("bench: --ui-port is %d, must be at most 65535", o.Port)
	case o.Rate < 0:
		return fmt.Errorf("bench: --rate is %v, must not be under 0", o.Rate)
	case o.PID != 0 && o.Port == 0:
		return fmt.Errorf("bench: --pid belongs to a Daemon that runs: give its --ui-port too")
	case o.Scenario == RSS && o.Conversations > talksMost:
		return fmt.Errorf("bench: --conversations is %d: a connection keeps at most %d of them", o.Conversations, talksMost)
	case o.Scenario == RSS && o.Port != 0 && o.PID == 0:
		return fmt.Errorf("bench: rss reads the memory of the Daemon at --ui-port: give its --pid too")
	case o.Scenario == Ready && o.Port != 0:
		return fmt.Errorf("bench: ready starts Daemons of its own: leave --ui-port out")
	}
	return nil
}
