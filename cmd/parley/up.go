package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	"parley/cmd/parley/show"
	"parley/cmd/parley/talk"
	"parley/gateways/guard"
)

func upCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run a Daemon in the foreground and start its Node: the main job in one step",
		Long: `Run a Daemon in the foreground, start its Node from the Setup space (the defaults suffice), and print where everything listens.
Ctrl-C stops the Node, then the Daemon. A Node that an earlier Daemon left running is taken over.`,
		Example: `  parley up
  parley up --data-directory ~/.local/share/parley
  parley status`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDaemon(cmd, bringUp)
		},
	}
	daemonFlags(cmd)
	return cmd
}

// bringUp starts the Node as any user interface does, and tells people where it
// listens.
func bringUp(ctx context.Context, port uint16, notes io.Writer) error {
	s, err := talk.Open(ctx, talk.Options{Port: port, UID: uint32(os.Getuid()), LocalUser: guard.LocalUser})
	if err != nil {
		return over(ctx, err)
	}
	defer s.Close()
	_, err = s.Ask(ctx, talk.Question{Opcode: "start", Place: talk.Daemon})
	var refused *talk.Refused
	if err != nil && (!errors.As(err, &refused) || refused.Code != talk.CodeRunning) {
		if refused != nil { // what is wrong is said in terms of the Node's parameters, which are no options of this command
			err = fmt.Errorf("%w; such parameters are set at a Daemon: run \"%[2]s daemon\" with the options of this command, and from another terminal \"%[2]s setup --NAME VALUE\" and \"%[2]s start\"", err, os.Args[0])
		}
		return over(ctx, err)
	}
	answer, err := s.Ask(ctx, talk.Question{Opcode: "configuration", Place: talk.Node})
	if err != nil {
		return over(ctx, err)
	}
	var c struct {
		NodeName string `json:"nodeName"`
		Gateways []struct {
			Name      string `json:"name"`
			Address   string `json:"address"`
			Multiaddr string `json:"multiaddr"`
		} `json:"gateways"`
	}
	if err := json.Unmarshal(answer, &c); err != nil {
		return fmt.Errorf("up: the Node's answer is not understood: %w", err)
	}
	text := fmt.Sprintf("\nParley is up: a Daemon on 127.0.0.1:%d, and its Node %q. They listen on\n\n", port, show.Line(c.NodeName))
	relay, star := "", ""
	for _, g := range c.Gateways {
		text += fmt.Sprintf("  %-8s %s\n", show.Line(g.Name), show.Line(g.Address))
		if g.Name == "relay" {
			relay = show.Line(g.Address)
		}
		if g.Multiaddr != "" {
			star = "Browsers with libp2p-websocket-star meet at\n\n  " + show.Line(g.Multiaddr) + "\n\n"
		}
	}
	daemon := ""
	if port != defaultUIPort {
		daemon = fmt.Sprintf(" --ui-port %d", port)
	}
	text += fmt.Sprintf(`
Talk to them from other terminals:

  %[1]s ui%[2]s
  %[1]s sub lobby --url ws://%[3]s/connect
  %[1]s pub lobby 'hello, all' --url ws://%[3]s/connect

%[4]sCtrl-C stops both.

`, os.Args[0], daemon, relay, star)
	_, err = io.WriteString(notes, text)
	return err
}

// defaultUIPort is where verbs look for a Daemon.
const defaultUIPort = 5333

// over is err, unless everything is being stopped anyway.
func over(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
