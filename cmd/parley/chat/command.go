package chat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"parley/cmd/parley/talk"
	"parley/cmd/parley/verbs"
)

// exitUsage is the code of wrong usage.
const exitUsage = 2

type usageError struct{ error }

// ExitCode is for main.
func (usageError) ExitCode() int { return exitUsage }

// Command gives "parley chat".
func Command() *cobra.Command {
	server := &verbs.Server{}
	cmd := &cobra.Command{
		Use:   "chat",
		Short: "Talk to people, on the whole screen",
		Long: `Talk to people, on the whole screen: your contacts and how they are, what was said, who asks to be let in. The keys
that are of use stand in the last line, Ctrl-G shows all of them.

Behind each message of yours stands how far it has come: "queued" is stored by your Node, "sent" is handed to the network,
"delivered" has been acknowledged by the other's Node. Once the database has a password, what was said before is shown
with it only; it is asked for.

It needs a terminal of at least 20 columns and 6 rows, and is made for 80 and 24. With NO_COLOR set there are no colours.
Without such a terminal, use the verbs contacts and send.`,
		Example: "  parley chat\n  NO_COLOR=1 parley chat",
		Args:    cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		SilenceUsage: true, SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := run(cmd.Context(), server, cmd.InOrStdin(), cmd.OutOrStdout())
			if err != nil {
				return fmt.Errorf("chat: %w", err)
			}
			return nil
		},
	}
	server.Bind(cmd.Flags())
	return cmd
}

func run(ctx context.Context, server *verbs.Server, in io.Reader, out io.Writer) error {
	if err := fitting(in, out, os.Getenv("TERM")); err != nil {
		return err
	}
	options, err := server.Options()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	desk := &verbs.Desk{Prefix: "parley ", Port: func() uint16 { return options.Port }}
	return screen(ctx, options, desk.Explain, tea.WithInput(in), tea.WithOutput(out), tea.WithColorProfile(profile(os.Getenv("NO_COLOR"))))
}

// fitting says what to use instead where there is no terminal to draw on.
func fitting(in, out any, name string) error {
	const instead = "; use: parley contacts, and: parley send NAME MESSAGE"
	switch {
	case !isTerminal(in) || !isTerminal(out):
		return usageError{errors.New("it draws on a terminal, and standard input or output is none" + instead)}
	case name == "" || name == "dumb":
		return usageError{fmt.Errorf("TERM is %q, a terminal that can only print line after line%s", name, instead)}
	}
	return nil
}

func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// profile is which colours there are: the terminal's own, or none. The library's
// way to find out runs other programs.
func profile(noColor string) colorprofile.Profile {
	if noColor != "" {
		return colorprofile.ASCII
	}
	return colorprofile.ANSI
}

// screen runs the program until its user ends it.
func screen(ctx context.Context, o talk.Options, explain func(error) error, how ...tea.ProgramOption) error {
	l, err := dial(ctx, o, explain)
	if err != nil {
		return err
	}
	defer l.close()
	m := newModel(l, time.Local, looks())
	_, err = tea.NewProgram(m, append(how, tea.WithContext(ctx), tea.WithoutSignalHandler())...).Run()
	if ctx.Err() != nil { // a signal: the terminal is as it was
		return nil
	}
	return err
}
