package report

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"parley/cmd/parley/bench/wire"
)

// Options are the flags of `parley bench relay`. Durations are nanoseconds in JSON.
type Options struct {
	Scenario     string   `json:"scenario"`
	URLs         []string `json:"urls"`
	PIDs         []int    `json:"pids,omitempty"`
	Sources      []string `json:"sources,omitempty"`
	SubscribeKey string   `json:"subscribe_key"`
	Origin       string   `json:"origin,omitempty"`
	NoAck        bool     `json:"no_ack"`

	Subscribers int `json:"subscribers"`
	Publishers  int `json:"publishers"`
	Size        int `json:"size_bytes"`
	Inflight    int `json:"inflight"`
	Channels    int `json:"channels"`
	PerChannel  int `json:"per_channel"`

	Clients      int    `json:"clients"`
	IdleChannels int    `json:"idle_channels"`
	Probe        string `json:"probe"`

	Rate     float64       `json:"rate_per_second"`
	Stalled  int           `json:"stalled"`
	Stall    time.Duration `json:"stall_ns"`
	ReadRate int           `json:"read_rate_bytes_per_second"`

	Guessers   int           `json:"guessers"`
	GuessPause time.Duration `json:"guess_pause_ns"`
	Redial     time.Duration `json:"redial_ns"`

	Duration   time.Duration `json:"duration_ns"`
	Messages   uint64        `json:"messages"`
	Warmup     time.Duration `json:"warmup_ns"`
	Settle     time.Duration `json:"settle_ns"`
	Timeout    time.Duration `json:"timeout_ns"`
	StallAfter time.Duration `json:"give_up_ns"`
	Repeat     int           `json:"repeat"`

	ConnectParallel int           `json:"connect_parallel"`
	Readers         int           `json:"readers"`
	Pause           time.Duration `json:"read_pause_ns"`

	AgainstLimit bool `json:"against_limit"`
	AllowLoss    bool `json:"allow_loss"`
	JSON         bool `json:"-"`
}

// The scenarios.
const (
	ScenarioFanout   = "fanout"
	ScenarioChannels = "channels"
	ScenarioIdle     = "idle"
	ScenarioRate     = "rate"
	ScenarioSlow     = "slow"
	ScenarioStorm    = "storm"
	ScenarioFlood    = "flood"
)

// defaults are the flags that a scenario sets when the user does not.
var defaults = map[string]map[string]string{
	ScenarioFanout:   {},
	ScenarioChannels: {"publishers": "50"},
	ScenarioIdle:     {},
	ScenarioRate:     {"subscribers": "100"},
	ScenarioSlow:     {"subscribers": "100", "size": "2000", "rate": "2000", "duration": "8s"},
	ScenarioStorm:    {"subscribers": "100", "repeat": "3"},
	ScenarioFlood:    {"subscribers": "10", "size": "2000"},
}

// Scenarios are in the order of the help text.
var Scenarios = []string{
	ScenarioFanout, ScenarioChannels, ScenarioIdle, ScenarioRate, ScenarioSlow, ScenarioStorm, ScenarioFlood,
}

// Bind declares the flags.
func (o *Options) Bind(f *pflag.FlagSet) {
	f.StringVar(&o.Scenario, "scenario", ScenarioFanout, fmt.Sprintf("what to do, one of %v", Scenarios))
	f.StringSliceVar(&o.URLs, "url", []string{"ws://127.0.0.1:8912/connect"}, "the server; several are used in turn")
	f.IntSliceVar(&o.PIDs, "pid", nil, "the server's process, to measure its processor time and memory; several are added up")
	f.StringSliceVar(&o.Sources, "source", nil, "local address to connect from; several are used in turn, when ports run short")
	f.StringVar(&o.SubscribeKey, "subscribe-key", wire.KeyTopic, "the subscribe command's key for the channel: topic, channel or both")
	f.StringVar(&o.Origin, "origin", "", "Origin header of the handshake")
	f.BoolVar(&o.NoAck, "no-ack", false, `send with the extension key "ack":false, and do not wait for answers`)

	f.IntVar(&o.Subscribers, "subscribers", 1000, "subscribers of the one channel (fanout, rate, slow, storm, flood)")
	f.IntVar(&o.Publishers, "publishers", 1, "publishers (fanout, channels, storm)")
	f.IntVar(&o.Size, "size", 128, fmt.Sprintf("length of a message's text, bytes, at least %d", wire.MinText))
	f.IntVar(&o.Inflight, "inflight", 1, "messages that a publisher sends in one burst and waits for (fanout, channels, storm)")
	f.IntVar(&o.Channels, "channels", 1000, "channels (channels)")
	f.IntVar(&o.PerChannel, "per-channel", 5, "subscribers of each channel (channels)")

	f.IntVar(&o.Clients, "clients", 10000, "clients (idle)")
	f.IntVar(&o.IdleChannels, "idle-channels", 100, "channels that the clients share (idle)")
	f.StringVar(&o.Probe, "probe", ProbeList, "what every client asks in the end: list or subscribe (idle)")

	f.Float64Var(&o.Rate, "rate", 1000, "messages a second (rate, slow)")
	f.IntVar(&o.Stalled, "stalled", 5, "how many of the subscribers stop reading (slow)")
	f.DurationVar(&o.Stall, "stall", 4*time.Second, "how long they do; 0 is until the end (slow)")
	f.IntVar(&o.ReadRate, "read-rate", 0, "bytes a second that each subscriber reads; 0 is none (flood)")

	f.IntVar(&o.Guessers, "guessers", 1000, "clients that guess a password (storm)")
	f.DurationVar(&o.GuessPause, "guess-pause", 0, "how long each waits between an answer and the next guess (storm)")
	f.DurationVar(&o.Redial, "redial", 100*time.Millisecond, "how long one that was cut off waits before it connects again (storm)")
	f.IntVar(&o.Repeat, "rounds", 1, "the same as --repeat")

	f.DurationVar(&o.Duration, "duration", 5*time.Second, "how long each phase is measured")
	f.Uint64Var(&o.Messages, "messages", 0, "measure this many messages instead (fanout, channels, storm)")
	f.DurationVar(&o.Warmup, "warmup", time.Second, "how long each phase runs before that")
	f.DurationVar(&o.Settle, "settle", 3*time.Second, "how long idle clients sit before memory is read, and stalled ones may take to be closed")
	f.DurationVar(&o.Timeout, "timeout", 10*time.Second, "longest wait for a connection or an answer to subscribe")
	f.DurationVar(&o.StallAfter, "give-up", 3*time.Second, "how long nothing may arrive before what is missing counts as lost")
	f.IntVar(&o.Repeat, "repeat", 1, "rounds; medians are printed")

	f.IntVar(&o.ConnectParallel, "connect-parallel", 32, "connections opened at the same time")
	f.IntVar(&o.Readers, "readers", 1, "loops that read; more than one only on many processors")
	f.DurationVar(&o.Pause, "read-pause", 0, "how long a loop sleeps after every batch: cheaper, and later")

	f.BoolVar(&o.AgainstLimit, "against-limit", false, "also run against \"bench limit\" in turn, and compare (fanout, channels, rate)")
	f.BoolVar(&o.AllowLoss, "allow-loss", false, "report losses and changes of order, but do not fail for them")
	f.BoolVar(&o.JSON, "json", false, "print the report as JSON")
}

// Fill fills in the scenario's own defaults and checks everything.
func (o *Options) Fill(f *pflag.FlagSet) error {
	own, ok := defaults[o.Scenario]
	if !ok {
		return fmt.Errorf("bench: unknown scenario %q, use one of %v", o.Scenario, Scenarios)
	}
	for name, value := range own {
		if name == "repeat" && f.Changed("rounds") {
			continue
		}
		if !f.Changed(name) {
			if err := f.Set(name, value); err != nil {
				return fmt.Errorf("bench: set --%s: %w", name, err)
			}
		}
	}
	return o.check()
}

func (o *Options) check() error {
	for _, c := range []struct {
		name    string
		n, from int
	}{
		{"subscribers", o.Subscribers, 1},
		{"publishers", o.Publishers, 1},
		{"inflight", o.Inflight, 1},
		{"channels", o.Channels, 1},
		{"per-channel", o.PerChannel, 1},
		{"clients", o.Clients, 1},
		{"idle-channels", o.IdleChannels, 1},
		{"stalled", o.Stalled, 0},
		{"read-rate", o.ReadRate, 0},
		{"guessers", o.Guessers, 0},
		{"repeat", o.Repeat, 1},
		{"connect-parallel", o.ConnectParallel, 1},
		{"readers", o.Readers, 1},
		{"size", o.Size, wire.MinText},
	} {
		if c.n < c.from {
			return fmt.Errorf("bench: --%s is %d, must be at least %d", c.name, c.n, c.from)
		}
	}
	switch {
	case o.Rate <= 0:
		return fmt.Errorf("bench: --rate is %v, must be over 0", o.Rate)
	case o.Scenario == ScenarioSlow && o.Stalled >= o.Subscribers:
		return fmt.Errorf("bench: --stalled %d leaves none of %d subscribers", o.Stalled, o.Subscribers)
	case o.Scenario == ScenarioChannels && o.Publishers > o.Channels:
		return fmt.Errorf("bench: %d publishers for %d channels, each needs one of its own", o.Publishers, o.Channels)
	case !slices.Contains([]string{wire.KeyTopic, wire.KeyChannel, wire.KeyBoth}, o.SubscribeKey):
		return fmt.Errorf("bench: unknown --subscribe-key %q, use topic, channel or both", o.SubscribeKey)
	case !slices.Contains([]string{ProbeList, ProbeSubscribe}, o.Probe):
		return fmt.Errorf("bench: unknown --probe %q, use list or subscribe", o.Probe)
	case o.AgainstLimit && !slices.Contains([]string{ScenarioFanout, ScenarioChannels, ScenarioRate}, o.Scenario):
		return fmt.Errorf("bench: --against-limit compares fanout, channels or rate, not %q", o.Scenario)
	case o.AgainstLimit && len(o.PIDs) == 0:
		return fmt.Errorf("bench: --against-limit compares processor times, so it needs the server's --pid")
	}
	return nil
}

// The commands that idle clients can be probed with.
const (
	ProbeList      = "list"
	ProbeSubscribe = "subscribe" // once more to the same channel, which is always granted
)
