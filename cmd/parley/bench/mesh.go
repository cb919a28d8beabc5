//go:build linux

package bench

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"parley/cmd/parley/bench/field"
	"parley/cmd/parley/bench/mesh"
	"parley/cmd/parley/bench/report"
)

func meshCommand() *cobra.Command {
	o := &mesh.Options{}
	c := &cobra.Command{
		Use:   "mesh",
		Short: "Start several nodes, linked in a shape, and measure what goes through them",
		Long: `Start several nodes on free ports of loopback, linked in a shape, publish on the first, subscribe on others, and print deliveries a second,
percentiles, losses, the processor time of all nodes together, of each, and of one hop, and how often a message was sent between nodes.
With a goal, exit with 1 if it is missed.

Scenarios:
  line   the publisher at one end, all subscribers at the other: what is between passes on, and is what a hop costs
  ring   subscribers on all nodes but the publisher's
  full   the same, every node linked with every other

A burst is sent when all subscribers have the one before; with --rate messages leave by a timetable, and times count from when they were due.
The yardstick is "parley bench limit": one bare server with the same subscribers.`,
		Example: `  parley bench mesh --subscribers 500 --inflight 32
  parley bench mesh --subscribers 1 --rate 50000 --goal-hop 6
  parley bench mesh --scenario full --goal-transmissions 9.2 --json`,
	}
	return loads(c, o, func(ctx context.Context, out io.Writer) error {
		return meshes(ctx, o, beside(c, "limit"), out)
	})
}

// meshes runs the scenario and prints the report.
func meshes(ctx context.Context, o *mesh.Options, limitWords []string, out io.Writer) error {
	var yardsticks []*field.Target
	if o.AgainstLimit {
		targets, stop, err := limits(ctx, &report.Options{Inflight: o.Inflight}, limitWords)
		if err != nil {
			return err
		}
		defer stop()
		yardsticks = targets
	}
	runs, err := mesh.Do(ctx, o, yardsticks)
	if err != nil {
		return err
	}
	rep := &mesh.Report{Version: mesh.Version, Scenario: o.Scenario, Machine: report.ThisMachine(), Options: *o, Runs: runs}
	rep.Violations = rep.Judge()
	return finish(out, rep, o.JSON, rep.Violations)
}
