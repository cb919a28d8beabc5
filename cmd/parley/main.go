// Command parley is an actor-model message system in one binary. `parley --help`
// lists the verbs; each is one file of this folder.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"parley/cmd/parley/bench"
	"parley/cmd/parley/config"
)

// Exit codes of every verb.
const (
	exitFailed  = 1 // refused or failed: reason and what to do next on stderr
	exitUsage   = 2 // wrong usage or configuration
	exitNothing = 3 // nobody there to talk to
)

func main() {
	root := command()
	if err := root.Execute(); err != nil {
		fmt.Fprintf(os.Stderr, "parley: %v\n", err)
		os.Exit(exitCode(err))
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "parley",
		Short:         "An actor-model message system: relay node, command-line clients, load generator",
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{fmt.Errorf("%w; see %q", err, cmd.CommandPath()+" --help")}
	})
	root.AddCommand(nodeCommand(), config.Command(), bench.Command())
	return root
}

// usageError is wrong usage found outside the options table.
type usageError struct{ error }

func (e *usageError) ExitCode() int { return exitUsage }

// nothingError says that nobody answered at an address.
type nothingError struct{ error }

func (e *nothingError) ExitCode() int { return exitNothing }

func (e *nothingError) Unwrap() error { return e.error }

// exitCode asks the error; most are failures.
func exitCode(err error) int {
	var c interface{ ExitCode() int }
	if errors.As(err, &c) {
		return c.ExitCode()
	}
	return exitFailed
}
