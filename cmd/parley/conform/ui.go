package conform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"parley/cmd/parley/conform/suite"
	"parley/cmd/parley/conform/ui"
)

// messageUsual is the longest message that servers of user interfaces take where nothing else is known, bytes. Source:
// gateways/uiv2/PROTOCOL.md, Many user interfaces.
const messageUsual = 1 << 20

func uiCommand() *cobra.Command {
	o, uo := &options{}, ui.Options{}
	c := &cobra.Command{
		Use:   "ui ADDRESS",
		Short: "Run the cases of MASQNode-UIv2 against a Daemon or a Node",
		Long: `Run the cases of MASQNode-UIv2 against a Daemon or a Node, one after the other, and print which it passes.

Names begin with a group:
  wire   what existing user interfaces rely on
  rules  what gateways/uiv2/PROTOCOL.md says besides

Who the server is, and whether a Daemon has a Node, is found out; cases that cannot be tried on it are said to be not tried. A Daemon
has cases for when it has no Node, and others for when it has one. There a few parameters are changed, and put back again; nothing
else is changed anywhere. You must be a user who may change things.
Exit codes: 0 all tried have passed, 1 some have failed, 3 nobody is there.`,
		Example: `  parley conform ui 127.0.0.1:5333
  parley conform ui 127.0.0.1:5333 --only wire/ --json
  parley conform ui localhost:44001 --role node --slow
  parley conform ui --list`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 || o.list && len(args) == 0 {
				return nil
			}
			return errors.New("name one server, as in: parley conform ui 127.0.0.1:5333")
		},
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(c *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			uo.Answer = o.answer
			if o.list {
				return list(c.OutOrStdout(), suite.Select(ui.Cases(uo), o.only, true))
			}
			uo.Address = args[0]
			return coded(uis(ctx, uo, o, c.OutOrStdout()))
		},
	}
	f := c.Flags()
	o.bind(f)
	f.StringVar(&uo.Role, "role", "", "who the server is, daemon or node; without it that is found out")
	f.IntVar(&uo.Limit, "limit", messageUsual, "bytes of the longest message that the server takes")
	return c
}

// uis runs the cases of user interfaces.
func uis(ctx context.Context, uo ui.Options, o *options, out io.Writer) error {
	uo.Address = strings.TrimSuffix(strings.TrimPrefix(uo.Address, "ws://"), "/")
	if err := checkUI(&uo); err != nil {
		return &exitError{exitUsage, err}
	}
	role := uo.Role
	if role != ui.Node {
		if err := ui.Survey(ctx, &uo); err != nil {
			return fmt.Errorf("conform: find out who %q is: %w", uo.Address, err)
		}
	}
	if role != "" && role != uo.Role {
		return &exitError{exitUsage, fmt.Errorf("conform: --role is %s, but %q is a %s", role, uo.Address, uo.Role)}
	}
	return run(ctx, &suite.Report{Version: 1, Protocol: "ui", Address: uo.Address}, suite.Select(ui.Cases(uo), o.only, o.slow), o, out)
}

func checkUI(o *ui.Options) error {
	if _, _, err := net.SplitHostPort(o.Address); err != nil {
		return fmt.Errorf("conform: %q is not host:port", o.Address)
	}
	const shortest, longest = 1 << 10, 64 << 20
	switch {
	case o.Role != "" && o.Role != ui.Daemon && o.Role != ui.Node:
		return fmt.Errorf("conform: --role is %q, must be daemon or node", o.Role)
	case o.Limit < shortest || o.Limit > longest:
		return fmt.Errorf("conform: --limit is %d, must be from %d to %d", o.Limit, shortest, longest)
	}
	return nil
}
