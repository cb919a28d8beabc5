package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
)

// publication is what `pub` was asked for.
type publication struct {
	channel string
	message string
	stdin   io.Reader // nil: message is all
	url     string
	secret  passwordFlags
	window  int // messages that may be unanswered
	json    bool
}

const (
	// defaultWindow is as many messages as a node takes from one client before
	// it has passed them on.
	defaultWindow = 64
	maxWindow     = 4096
	// interruptGrace is how long Ctrl-C waits for the answers to what was sent.
	interruptGrace = 2 * time.Second
)

func pubCommand() *cobra.Command {
	p := &publication{}
	cmd := &cobra.Command{
		Use:   "pub CHANNEL [MESSAGE]",
		Short: "Publish a message, or the lines of standard input",
		Long: `Publish MESSAGE to a channel of a relay. With "-" for MESSAGE, or without one, every line of standard input is a
message, empty lines too and also a last one without a line break; the line break (\n or \r\n) is not part of it.
To publish a dash: printf '%s\n' - | parley pub CHANNEL -

Each message is answered by the relay once it is queued for every subscriber; pub ends with 0 when all were. The wire
lets subscribers publish only, so pub subscribes first: it needs the channel's password, and opens the channel with it
if nobody has. Messages are delivered to other subscribers, never back.

Lines are sent in order, --window of them ahead of their answers. When the relay says "slow down", pub waits and sends
those again, in order; a line behind one that was refused may have overtaken it then, which is counted and told.
With --window 1 that cannot happen.

It ends with 1, and the reason, when the relay refuses or ends the connection; with 3 when nobody answers.`,
		Example: `  parley pub kitchen 'dinner is ready'
  journalctl -f | parley pub logs -
  parley pub vault --password-file secret.txt 'open sesame' --json
  parley pub kitchen -- -1`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return errors.New("name a channel and a message, as in: parley pub lobby 'hello, all'")
			case len(args) > 2:
				return errors.New("one message at a time: put it in quotes, as in: parley pub lobby 'hello, all'")
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			p.channel = args[0]
			if len(args) == 2 && args[1] != "-" {
				p.message = args[1]
			} else {
				p.stdin = cmd.InOrStdin()
			}
			if err := p.run(cmd); err != nil {
				return fmt.Errorf("pub: %w", err)
			}
			return nil
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&p.url, "url", "ws://"+defaultAddress()+connectPath, urlHelp)
	p.secret.bind(fs)
	fs.IntVar(&p.window, "window", defaultWindow, fmt.Sprintf("messages sent ahead of their answers, 1 to %d", maxWindow))
	fs.BoolVar(&p.json, "json", false, "print a summary as JSON")
	complete(cmd, "url", "ws://"+defaultAddress()+connectPath)
	return cmd
}

// summary is what was done, for people and machines.
type summary struct {
	OK        bool    `json:"ok"`
	Channel   string  `json:"channel"`
	Published int     `json:"published"` // answered with ok
	Retried   int     `json:"retried"`   // sent again after "slow down"
	Overtaken int     `json:"overtaken"` // published after a later line
	Seconds   float64 `json:"seconds"`
	Error     string  `json:"error,omitempty"`
}

func (p *publication) run(cmd *cobra.Command) error {
	if p.window < 1 || p.window > maxWindow {
		return &usageError{fmt.Errorf("--window: %d cannot be; give 1 to %d", p.window, maxWindow)}
	}
	at, err := address(p.url, connectPath, relaySchemes)
	if err != nil {
		return err
	}
	ctx, stop := interruptible(cmd.Context())
	defer stop()
	c, password, err := p.secret.dial(ctx, at)
	if err != nil {
		return err
	}
	defer c.Close()
	start := time.Now()
	d := newDelivery(p, c, password)
	err = d.run(ctx)
	s := summary{
		OK: err == nil, Channel: p.channel, Published: d.published, Retried: d.retried, Overtaken: d.overtaken,
		Seconds: time.Since(start).Seconds(),
	}
	return p.report(cmd, s, err)
}

// report prints the summary.
func (p *publication) report(cmd *cobra.Command, s summary, err error) error {
	if s.Overtaken > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "parley: pub: %d lines were overtaken by later ones while the relay was busy; --window 1 keeps their order\n", s.Overtaken)
	}
	if p.json {
		if err != nil {
			s.Error = err.Error()
		}
		if printErr := printJSON(cmd.OutOrStdout(), s); printErr != nil {
			return fmt.Errorf("cannot print: %w", printErr)
		}
		return err
	}
	if err == nil {
		if _, err = fmt.Fprintf(cmd.OutOrStdout(), "published %s to %q\n", counted(s.Published, "message"), s.Channel); err != nil {
			return fmt.Errorf("cannot print: %w", err)
		}
	}
	return err
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
