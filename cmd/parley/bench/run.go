//go:build linux

package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flags are what a command that loads a server is told.
type flags interface {
	Bind(*pflag.FlagSet)
	Fill(*pflag.FlagSet) error
}

// loads completes a command that loads a server.
func loads(c *cobra.Command, f flags, run func(ctx context.Context, out io.Writer) error) *cobra.Command {
	f.Bind(c.Flags())
	return complete(c, func(ctx context.Context, out io.Writer) error {
		if err := f.Fill(c.Flags()); err != nil {
			return usage(err)
		}
		return coded(run(ctx, out))
	})
}

// complete has a command run until SIGINT or SIGTERM.
func complete(c *cobra.Command, run func(ctx context.Context, out io.Writer) error) *cobra.Command {
	c.Args, c.SilenceUsage, c.SilenceErrors = cobra.NoArgs, true, true
	c.RunE = func(c *cobra.Command, _ []string) error {
		ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		return run(ctx, c.OutOrStdout())
	}
	return c
}

// beside are the words of a command that stands beside c, wherever that is.
func beside(c *cobra.Command, name string) []string {
	return append(strings.Fields(c.Parent().CommandPath())[1:], name)
}

// printed is a report that can be shown to people.
type printed interface{ Print(io.Writer) error }

// finish prints a report. Violations make it a failure.
func finish(out io.Writer, rep printed, asJSON bool, violations []string) error {
	var err error
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		err = e.Encode(rep)
	} else {
		err = rep.Print(out)
	}
	if err != nil {
		return fmt.Errorf("bench: print report: %w", err)
	}
	if len(violations) > 0 {
		return &exitError{exitFailed, fmt.Errorf("bench: %s", strings.Join(violations, "; "))}
	}
	return nil
}

// bareServer is a yardstick that listens.
type bareServer interface {
	Address() string
	Close() error
}

// yardstick completes a command that serves until it is told to end. It says where it listens, under the name of its wire.
func yardstick(c *cobra.Command, wire string, listen func(address string, out io.Writer) (bareServer, error)) *cobra.Command {
	at := c.Flags().String("listen", "127.0.0.1:0", "address and port; port 0 is any")
	return complete(c, func(ctx context.Context, out io.Writer) error {
		s, err := listen(*at, out)
		if err != nil {
			return err
		}
		line, err := json.Marshal(map[string]string{wire: s.Address()})
		if err == nil {
			_, err = fmt.Fprintf(out, "%s%s\n", readyPrefix, line)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("bench: print address: %w", err), s.Close())
		}
		<-ctx.Done()
		return s.Close()
	})
}
