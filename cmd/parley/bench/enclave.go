//go:build linux

package bench

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"parley/cmd/parley/bench/enclave"
	"parley/cmd/parley/bench/report"
)

func enclaveCommand() *cobra.Command {
	o := &enclave.Options{}
	c := &cobra.Command{
		Use:   "enclave",
		Short: "Start a Node, have friends call it, and measure what goes between them and its front end",
		Long: `Start a fresh Node for each round, with a database of its own, have friends call it from addresses of loopback, use its named
pipes, and print rates, percentiles and memory. With a goal, exit with 1 if it is missed.

Scenarios:
  burst    a friend sends messages as fast as the node takes them, until the last is acknowledged; with --foreign, until the
           node has closed the connection of a friend that goes offline
  outbox   people send messages to a friend: until the answer, which means that they survive a kill
  friends  so many friends, known and online: what each costs
  prefix   the same, and each announces a packet as long as may be that never comes
  latency  a friend sends messages by a timetable: until the front end has its line; times count from when they were due

The yardstick is "parley bench limit-enclave", a bare loop over the same sockets; that of outbox is a node without one.`,
		Example: `  parley bench enclave --goal-rate 200000
  parley bench enclave --scenario outbox --goal-rate 2000 --repeat 3
  parley bench enclave --scenario friends --friends 1000 --goal-friends 40
  parley bench enclave --scenario latency --rate 1000 --goal-p99 2ms --json`,
	}
	return loads(c, o, func(ctx context.Context, out io.Writer) error {
		return enclaves(ctx, o, beside(c, "limit-enclave"), out)
	})
}

// enclaves runs the scenario and prints the report.
func enclaves(ctx context.Context, o *enclave.Options, limitWords []string, out io.Writer) error {
	runs, err := enclave.Do(ctx, o, limitWords)
	if err != nil {
		return err
	}
	rep := &enclave.Report{Version: enclave.Version, Scenario: o.Scenario, Machine: report.ThisMachine(), Options: *o, Runs: runs}
	rep.Violations = rep.Judge()
	return finish(out, rep, o.JSON, rep.Violations)
}

func limitEnclaveCommand() *cobra.Command {
	var tell bool
	c := &cobra.Command{
		Use:   "limit-enclave",
		Short: "Take the packets of Enclave as barely as possible, as a yardstick",
		Long: `Take the packets of Enclave: a goroutine a connection that cuts what comes into packets, and acknowledges the last of each read,
without any checks or limits. It is not for anything but measuring.

When it listens it prints one line: ready {"enclave":"127.0.0.1:…"}`,
		Example: `  parley bench limit-enclave --listen 127.0.0.1:7777`,
	}
	c.Flags().BoolVar(&tell, "tell", false, "also print a line for each message")
	return yardstick(c, "enclave", func(address string, out io.Writer) (bareServer, error) {
		var to io.Writer
		if tell {
			to = out
		}
		return enclave.Listen(address, to)
	})
}
