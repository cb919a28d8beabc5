//go:build linux

package bench

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"parley/cmd/parley/bench/field"
	"parley/cmd/parley/bench/limit"
	"parley/cmd/parley/bench/report"
)

// Command is `bench` with its subcommands. Errors that a run returns may have a method ExitCode() int.
func Command() *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "Load a server and measure it",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(relayCommand(), limitCommand(), uiCommand(), limitUICommand(), meshCommand(), starCommand(), enclaveCommand(), limitEnclaveCommand())
	return c
}

func relayCommand() *cobra.Command {
	o := &report.Options{}
	c := &cobra.Command{
		Use:   "relay",
		Short: "Load any server of the relay's client wire",
		Long: `Load any server of the relay's client wire and print throughput, percentiles, losses and changes of order;
with --pid also the server's processor time and memory.

Scenarios:
  fanout    one channel, a closed loop: a burst is sent when all subscribers have the one before
  channels  many channels with few subscribers each, shared among publishers, a closed loop each
  idle      clients that connect, subscribe and sit; in the end all ask at once
  rate      a fixed number of messages a second; times count from when a message was due
  slow      a fixed rate, without and with subscribers that stop reading
  storm     fanout, without and with clients that guess a password
  flood     a publisher that never waits, and subscribers that read little or nothing

Memory that a server has used once it seldom gives back: for idle, start a fresh one. One process holds about 19,000
connections under a limit of 20,000 descriptors, and one pair of addresses about 28,000: start several, with --source.`,
		Example: `  parley bench relay --pid 4711 --subscribers 1000 --inflight 32 --against-limit --repeat 5
  parley bench relay --scenario idle --clients 10000 --pid 4711 --json
  parley bench relay --scenario slow --url ws://127.0.0.1:8912/connect`,
	}
	return loads(c, o, func(ctx context.Context, out io.Writer) error {
		return relay(ctx, o, beside(c, "limit"), out)
	})
}

// scenario does one round against one target.
type scenario func(context.Context, *report.Options, *field.Target) ([]report.Run, error)

var scenarios = map[string]scenario{
	report.ScenarioFanout: fanout, report.ScenarioChannels: channels, report.ScenarioIdle: idle, report.ScenarioRate: rate,
	report.ScenarioSlow: slow, report.ScenarioStorm: storm, report.ScenarioFlood: flood,
}

// relay runs all rounds and prints the report.
func relay(ctx context.Context, o *report.Options, limitWords []string, out io.Writer) error {
	main, err := field.NewTarget(ctx, field.TargetServer, o, o.URLs, o.PIDs)
	if err != nil {
		return usage(err)
	}
	targets := []*field.Target{main}
	if o.AgainstLimit {
		more, stop, err := limits(ctx, o, limitWords)
		if err != nil {
			return err
		}
		defer stop()
		targets = append(targets, more...)
	}
	rep := &report.Report{Version: report.Version, Scenario: o.Scenario, Machine: report.ThisMachine(), Options: *o}
	if err := rounds(ctx, o, targets, rep); err != nil {
		return err
	}
	rep.Summarize()
	rep.Violations = rep.Judge()
	failures := rep.Violations
	if o.AllowLoss {
		failures = nil
	}
	return finish(out, rep, o.JSON, failures)
}

// betweenRuns lets a server finish with the connections of the run before.
const betweenRuns = 300 * time.Millisecond

// rounds alternates between the targets, so that what the machine does besides falls on all of them.
func rounds(ctx context.Context, o *report.Options, targets []*field.Target, rep *report.Report) error {
	for round := range o.Repeat {
		for _, t := range targets {
			if len(rep.Runs) > 0 {
				if err := pause(ctx, betweenRuns); err != nil {
					return err
				}
			}
			runs, err := scenarios[o.Scenario](ctx, o, t)
			if err != nil {
				return fmt.Errorf("%w (round %d against %s)", err, round+1, t.Name)
			}
			for _, r := range runs {
				r.Round, r.Target = round+1, t.Name
				rep.Runs = append(rep.Runs, r)
			}
		}
	}
	return nil
}

func limitCommand() *cobra.Command {
	var o limit.Options
	c := &cobra.Command{
		Use:   "limit",
		Short: "Serve the relay's client wire as barely as possible, as a yardstick",
		Long: `Serve the relay's client wire in a plain loop over the subscribers, one write a frame and socket, without any checks,
limits or back-pressure. It shows what the system calls alone cost. It is not for anything but measuring.

When it listens it prints one line: ready {"relay":"127.0.0.1:…"}`,
		Example: `  parley bench limit --listen 127.0.0.1:8913 --join`,
	}
	c.Flags().BoolVar(&o.Join, "join", false, "write all frames of a burst to a subscriber at once")
	c.Flags().IntVar(&o.WriteBuffer, "write-buffer", 0, "the kernel's send buffer of a connection, bytes; 0 leaves it alone")
	return yardstick(c, "relay", func(address string, out io.Writer) (bareServer, error) {
		return limit.Listen(address, o)
	})
}
