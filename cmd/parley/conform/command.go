// Package conform is `parley conform`: the cases of a protocol, run against any implementation of it.
package conform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"parley/cmd/parley/conform/star"
	"parley/cmd/parley/conform/suite"
	"parley/cmd/parley/starclient"
)

// exitError carries the exit code that main ends with.
type exitError struct {
	code int
	err  error
}

// Exit codes, as the command line documents them.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
)

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// ExitCode is 1 when a case has failed, 2 for wrong usage, 3 when no server is there.
func (e *exitError) ExitCode() int { return e.code }

// Command is `conform` with a subcommand for each protocol.
func Command() *cobra.Command {
	c := &cobra.Command{
		Use:     "conform",
		Short:   "Run a protocol's cases against any implementation",
		Example: "  parley conform star 127.0.0.1:9090\n  parley conform enclave 127.0.0.1:7776 --friend 127.0.0.2\n  parley conform ui 127.0.0.1:5333",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(starCommand(), enclaveCommand(), uiCommand())
	return c
}

// options are what all protocols have.
type options struct {
	only   []string
	slow   bool
	list   bool
	json   bool
	answer time.Duration
}

func (o *options) bind(f *pflag.FlagSet) {
	f.StringArrayVar(&o.only, "only", nil, "run only cases whose names begin with this; may be given again")
	f.BoolVar(&o.slow, "slow", false, "also run cases that take up to a minute each")
	f.BoolVar(&o.list, "list", false, "print the names of all cases, and run none")
	f.BoolVar(&o.json, "json", false, "print the report as JSON")
	f.DurationVar(&o.answer, "answer", 2*time.Second, "longest wait for what must come")
}

func starCommand() *cobra.Command {
	o, challenge := &options{}, ""
	c := &cobra.Command{
		Use:   "star ADDRESS",
		Short: "Run the cases of libp2p's WebSocketStar against a rendezvous server",
		Long: `Run the cases of libp2p's WebSocketStar against a rendezvous server, one after the other, and print which it passes.

Names begin with a group:
  wire   what libp2p's client and others rely on
  rules  what gateways/star/PROTOCOL.md says besides: the public server leaves its clients hanging there, or worse

Whether the server challenges its clients is found out; cases that cannot be tried on it are said to be not tried.
The server must let clients join that nobody knows, and hears of addresses on loopback that nobody listens at.
Exit codes: 0 all tried have passed, 1 some have failed, 3 nobody is there.`,
		Example: `  parley conform star 127.0.0.1:9090
  parley conform star wss://rendezvous.example --only wire/
  parley conform star 127.0.0.1:9090 --slow --json
  parley conform star --list`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 || o.list && len(args) == 0 {
				return nil
			}
			return errors.New("name one server, as in: parley conform star 127.0.0.1:9090")
		},
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(c *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			if o.list {
				return list(c.OutOrStdout(), suite.Select(star.Cases(star.Options{}), o.only, true))
			}
			return coded(stars(ctx, args[0], challenge, o, c.OutOrStdout()))
		},
	}
	f := c.Flags()
	o.bind(f)
	f.StringVar(&challenge, "challenge", "", "whether the server challenges its clients, on or off; without it that is found out")
	return c
}

func list(out io.Writer, cases []suite.Case) error {
	for i := range cases {
		if _, err := fmt.Fprintln(out, cases[i].Name); err != nil {
			return err
		}
	}
	return nil
}

// stars runs the cases of the rendezvous.
func stars(ctx context.Context, address, challenge string, o *options, out io.Writer) error {
	if _, err := starclient.URL(address, starclient.Three); err != nil {
		return &exitError{exitUsage, err}
	}
	so := star.Options{Address: address, Challenge: challenge == "on", Answer: o.answer}
	switch challenge {
	case "on", "off":
	case "":
		var err error
		if so.Challenge, err = star.Challenges(ctx, so); err != nil {
			return fmt.Errorf("conform: find out whether %q challenges: %w", address, err)
		}
	default:
		return &exitError{exitUsage, fmt.Errorf("conform: --challenge is %q, must be on or off", challenge)}
	}
	return run(ctx, &suite.Report{Version: 1, Protocol: "star", Address: address}, suite.Select(star.Cases(so), o.only, o.slow), o, out)
}

// run runs the cases and prints what came of them.
func run(ctx context.Context, r *suite.Report, cases []suite.Case, o *options, out io.Writer) error {
	if len(cases) == 0 {
		return &exitError{exitUsage, fmt.Errorf("conform: no case begins with %q; --list prints their names", o.only)}
	}
	var bad error
	err := r.Run(ctx, cases, func(one *suite.Result) {
		if !o.json && bad == nil {
			bad = one.Print(out)
		}
	})
	if err != nil || bad != nil {
		return errors.Join(err, bad)
	}
	if o.json {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		err = e.Encode(r)
	} else {
		_, err = fmt.Fprintf(out, "\n%d passed, %d failed, %d not tried\n", r.Passed, r.Failed, r.NotTried)
	}
	if err == nil && r.Failed > 0 {
		err = &exitError{exitFailed, fmt.Errorf("conform: %d of %d cases failed", r.Failed, len(cases))}
	}
	return err
}

// coded gives every error its exit code, and says what to do next.
func coded(err error) error {
	var e *exitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return err
	case errors.Is(err, context.Canceled):
		return &exitError{exitFailed, errors.New("conform: interrupted")}
	case errors.Is(err, suite.ErrUnreachable):
		return &exitError{exitUnreachable, fmt.Errorf("%w; is the server running, and the address right?", err)}
	}
	return &exitError{exitFailed, err}
}
