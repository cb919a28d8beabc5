//go:build linux

package bench

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"parley/cmd/parley/bench/report"
	"parley/cmd/parley/bench/star"
)

func starCommand() *cobra.Command {
	o := &star.Options{}
	c := &cobra.Command{
		Use:   "star",
		Short: "Load a rendezvous of libp2p's WebSocketStar, ours or another",
		Long: `Load a rendezvous server of libp2p's WebSocketStar and print rates, percentiles and what was lost; with --pid also the
server's processor time and memory. With --against another server is measured in turn and compared with. With a goal,
exit with 1 if it is missed.

Scenarios:
  join      clients are connected, then all join at once: joins a second. The clock stands still while clients sign
  memory    clients join and sit: what each costs. Memory once used is seldom given back, so start a fresh server
  stream    one dials another and sends: MiB a second, and the server's processor time per MiB
  stall     the same to a receiver that does not read, until nothing gets further; then it reads all of it
  announce  clients have joined and hear of each other: what that costs, what is lost, and how long dials take meanwhile
  cycles    clients join, dial, send and leave, again and again: whether the heap grows

Addresses of all clients are of one key, drawn for the run, and differ in the port. The memory of the server is sampled
every 50 ms. One process holds about 19,000 connections under a limit of 20,000 descriptors.`,
		Example: `  parley bench star --url ws://127.0.0.1:9090 --pid 4711 --key rsa
  parley bench star --scenario stream --pid 4711 --against ws://127.0.0.1:9091 --against-pid 4712 --repeat 3
  parley bench star --scenario memory --clients 5000 --pid 4711 --goal-client 20 --json`,
	}
	return loads(c, o, func(ctx context.Context, out io.Writer) error {
		return stars(ctx, o, out)
	})
}

// stars runs the scenario and prints the report.
func stars(ctx context.Context, o *star.Options, out io.Writer) error {
	runs, err := star.Do(ctx, o)
	if err != nil {
		return err
	}
	rep := &star.Report{Version: star.Version, Scenario: o.Scenario, Machine: report.ThisMachine(), Options: *o, Runs: runs}
	rep.Violations = rep.Judge()
	return finish(out, rep, o.JSON, rep.Violations)
}
