//go:build linux

package bench

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"parley/cmd/parley/bench/report"
	"parley/cmd/parley/bench/ui"
)

func uiCommand() *cobra.Command {
	o := &ui.Options{}
	c := &cobra.Command{
		Use:   "ui",
		Short: "Load a Daemon as user interfaces do, and time it and its Node",
		Long: `Load a Daemon as user interfaces do, and print percentiles, losses and memory; with a goal, exit with 1 if it is missed.
Without --ui-port a Daemon is started for the run, in a data directory of its own and on free ports.

Scenarios:
  ready      a Daemon is started: until it listens, and until it has answered; in an empty directory, and again
  start      a Node is started, asked something, and shut down
  crash      user interfaces are connected, the Node is killed: until all of them know
  broadcast  user interfaces are connected, a parameter is changed: until all of them know
  talk       user interfaces ask in many conversations at once: at full speed, then by a timetable; then the same of a
             bare server. Times of the timetable count from when a request was due
  rss        memory of an idle Daemon and Node, and of idle conversations; memory once used is seldom given back, so
             a Daemon of its own says more

At full speed every conversation has a request under way all the time, so answers take as long as the machine needs for
all of them: what users feel is the timetable. With --ui-port, start, crash and rss start Nodes of that Daemon and end
them, and broadcast changes gas-price for a moment.`,
		Example: `  parley bench ui --scenario start --goal 150ms
  parley bench ui --scenario talk --uis 100 --conversations 10 --rate 10000 --goal 2ms
  parley bench ui --scenario rss --goal-daemon 30 --goal-node 45 --json
  parley bench ui --scenario crash --ui-port 5333`,
	}
	return loads(c, o, func(ctx context.Context, out io.Writer) error {
		return uis(ctx, o, beside(c, "limit-ui"), out)
	})
}

// uis runs the scenario and prints the report.
func uis(ctx context.Context, o *ui.Options, limitWords []string, out io.Writer) error {
	runs, err := ui.Do(ctx, o, limitWords)
	if err != nil {
		return err
	}
	rep := &ui.Report{Version: ui.Version, Scenario: o.Scenario, Machine: report.ThisMachine(), Options: *o, Runs: runs}
	rep.Violations = rep.Judge()
	return finish(out, rep, o.JSON, rep.Violations)
}

func limitUICommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "limit-ui",
		Short: "Answer user interfaces as barely as possible, as a yardstick",
		Long: `Answer every request of a user interface at once, with an empty payload: a goroutine a connection that decodes the
envelope and writes the answer, without any checks or limits. It is not for anything but measuring.

When it listens it prints one line: ready {"ui":"127.0.0.1:…"}`,
		Example: `  parley bench limit-ui --listen 127.0.0.1:5334`,
	}
	return yardstick(c, "ui", func(address string, out io.Writer) (bareServer, error) {
		return ui.ListenLimit(address)
	})
}
