package conform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"parley/cmd/parley/conform/enclave"
	"parley/cmd/parley/conform/suite"
	"parley/cmd/parley/enclavewire"
)

// packetUsual is the longest packet that peers take where nothing else is known, bytes. Source: gateways/enclave/PROTOCOL.md, Limits.
const packetUsual = 64 << 10

func enclaveCommand() *cobra.Command {
	o, eo := &options{}, enclave.Options{}
	c := &cobra.Command{
		Use:   "enclave ADDRESS",
		Short: "Run the cases of Enclave against a peer",
		Long: `Run the cases of Enclave against a peer, one after the other, and print which it passes.

Names begin with a group:
  wire   what the notes that describe Enclave say
  rules  what gateways/enclave/PROTOCOL.md says besides

Who calls is told by the address that the call comes from, so the peer must know some of this machine's: a friend's, one that it
ignores, and one that it has never heard of. On loopback every address of 127.0.0.0/8 will do. Cases without an address are not
tried. The peer's people see a request of the unknown address, and messages of the friend.
Exit codes: 0 all tried have passed, 1 some have failed, 3 nobody is there.`,
		Example: `  parley contacts add 127.0.0.2 tester
  parley contacts ignore 127.0.0.3
  parley conform enclave 127.0.0.1:7776 --friend 127.0.0.2 --ignored 127.0.0.3 --stranger 127.0.0.4
  parley conform enclave 127.0.0.1:7776 --friend 127.0.0.2 --only wire/ --slow --dialled 7776
  parley conform enclave --list`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 || o.list && len(args) == 0 {
				return nil
			}
			return errors.New("name one peer, as in: parley conform enclave 127.0.0.1:7776 --friend 127.0.0.2")
		},
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(c *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			eo.Answer = o.answer
			if o.list {
				return list(c.OutOrStdout(), suite.Select(enclave.Cases(eo), o.only, true))
			}
			eo.Address = args[0]
			return coded(enclaves(ctx, eo, o, c.OutOrStdout()))
		},
	}
	f := c.Flags()
	o.bind(f)
	f.StringVar(&eo.Friend, "friend", "", "IP address of this machine that is a friend's there")
	f.StringVar(&eo.Stranger, "stranger", "", "IP address of this machine that the peer does not know")
	f.StringVar(&eo.Ignored, "ignored", "", "IP address of this machine that the peer ignores")
	f.IntVar(&eo.Port, "dialled", 0, "port at --friend where the peer dials it; 0: not known")
	f.IntVar(&eo.Limit, "limit", packetUsual, "bytes of the longest packet that the peer takes")
	f.DurationVar(&eo.Quiet, "quiet", 200*time.Millisecond, "how long nothing may come that must not")
	return c
}

// enclaves runs the cases of Enclave.
func enclaves(ctx context.Context, eo enclave.Options, o *options, out io.Writer) error {
	if err := checkEnclave(&eo); err != nil {
		return &exitError{exitUsage, err}
	}
	if err := reach(ctx, &eo); err != nil {
		return err
	}
	return run(ctx, &suite.Report{Version: 1, Protocol: "enclave", Address: eo.Address}, suite.Select(enclave.Cases(eo), o.only, o.slow), o, out)
}

func checkEnclave(o *enclave.Options) error {
	if _, _, err := net.SplitHostPort(o.Address); err != nil {
		return fmt.Errorf("conform: %q is not host:port", o.Address)
	}
	for _, c := range []struct{ flag, value string }{{"friend", o.Friend}, {"stranger", o.Stranger}, {"ignored", o.Ignored}} {
		if _, err := netip.ParseAddr(c.value); c.value != "" && err != nil {
			return fmt.Errorf("conform: --%s is %q, must be an IP address", c.flag, c.value)
		}
	}
	const shortest = 1 << 10
	switch {
	case o.Limit < shortest || o.Limit > enclavewire.LargestHeard:
		return fmt.Errorf("conform: --limit is %d, must be from %d to %d", o.Limit, shortest, enclavewire.LargestHeard)
	case o.Port < 0 || o.Port > 65535:
		return fmt.Errorf("conform: --dialled is %d, must be a port", o.Port)
	}
	return nil
}

// reach finds out whether anybody is there, from the first address that is known.
func reach(ctx context.Context, o *enclave.Options) error {
	from := ""
	for _, address := range []string{o.Ignored, o.Stranger, o.Friend} {
		if address != "" {
			from = address
		}
	}
	ctx, cancel := context.WithTimeout(ctx, o.Answer)
	defer cancel()
	w, err := enclavewire.Open(ctx, o.Address, from)
	if err != nil {
		return fmt.Errorf("%w: %w", suite.ErrUnreachable, err)
	}
	return w.Close()
}
