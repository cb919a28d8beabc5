package demo

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"parley/cmd/parley/fleet"
)

// Options are the flags.
type Options struct {
	Nodes   int
	Shape   string
	Free    bool
	Rate    float64
	For     time.Duration
	Channel string
	JSON    bool
}

const (
	mostNodes = 20   // processes that a machine for trying things out bears
	mostRate  = 1000 // messages a second and node: to look at, not to measure
)

// Command is `demo`.
func Command() *cobra.Command {
	o := &Options{}
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run several nodes in one command, peered and with traffic, to look at",
		Long: `Run several nodes in one command, each a process of its own, peered on loopback. A client on each publishes on one channel and hears the
others; once a second it is printed how much came through. Commands are read from standard input:

  cut 1 2    cut the link between node1 and node2; cut 1: all links of node1
  heal 1 2   let them link again, or at all; heal 1: undoes all cuts of node1, heal: all cuts
  kill 3     end node3 as a fault would; start 3 starts it again, stop 3 ends it in order
  links      list the links that are up, and those that are cut
  help       list the commands
  quit       end all, as Ctrl-C does

Nodes are linked as --shape says, and with --free with as many others as they like.`,
		Example: "  parley demo\n  parley demo --nodes 5 --shape ring\n  parley demo --nodes 3 --for 10s --json",
		Args:    cobra.NoArgs,

		SilenceUsage: true, SilenceErrors: true,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return &usageError{err}
			}
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			if o.For > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, o.For)
				defer cancel()
			}
			return run(ctx, o, c.InOrStdin(), c.OutOrStdout())
		},
	}
	o.bind(c.Flags())
	for name, choices := range map[string][]string{"shape": fleet.Shapes} {
		if err := c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			panic(err)
		}
	}
	return c
}

func (o *Options) bind(f *pflag.FlagSet) {
	f.IntVar(&o.Nodes, "nodes", 3, fmt.Sprintf("how many, 1 to %d", mostNodes))
	f.StringVar(&o.Shape, "shape", fleet.Ring, fmt.Sprintf("how they are linked, one of %v", fleet.Shapes))
	f.BoolVar(&o.Free, "free", false, "let them link with more of the others by themselves, as nodes do")
	f.Float64Var(&o.Rate, "rate", 10, "messages a second that are published on each node; 0: none")
	f.DurationVar(&o.For, "for", 0, "end by itself after this time")
	f.StringVar(&o.Channel, "channel", "demo", "channel that they are published on")
	f.BoolVar(&o.JSON, "json", false, "print JSON, one object a line")
}

func (o *Options) check() error {
	switch {
	case o.Nodes < 1 || o.Nodes > mostNodes:
		return fmt.Errorf("demo: --nodes is %d, must be 1 to %d", o.Nodes, mostNodes)
	case !slices.Contains(fleet.Shapes, o.Shape):
		return fmt.Errorf("demo: unknown --shape %q, use one of %v", o.Shape, fleet.Shapes)
	case !(o.Rate >= 0 && o.Rate <= mostRate):
		return fmt.Errorf("demo: --rate is %v, must be 0 to %d; parley bench measures", o.Rate, mostRate)
	case o.For < 0:
		return errors.New("demo: --for must not be negative")
	}
	return nil
}

// usageError is wrong usage.
type usageError struct{ error }

// ExitCode is that of wrong usage, for main.
func (*usageError) ExitCode() int { return 2 }

func (e *usageError) Unwrap() error { return e.error }
