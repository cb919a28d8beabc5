package shell

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"parley/cmd/parley/talk"
	"parley/cmd/parley/verbs"
)

// Command gives "parley ui".
func Command() *cobra.Command { return command(&verbs.Server{}) }

func command(server *verbs.Server) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ui",
		Short: "Talk to the Daemon and the Node interactively",
		Long: `Talk to the Daemon and the Node interactively: the verbs of this program, typed without "parley". Tab completes,
the arrow keys go through what was typed before, and what others do is told above the line that is being typed. When the
connection is lost, it comes back by itself.

"help" lists the verbs, "exit" or Ctrl-D ends. The history is kept in $XDG_STATE_HOME/parley/history (or
~/.local/state/parley/history), without passwords.

When standard input is no terminal, each of its lines is a verb (after # a remark), nothing but answers is printed, and
the exit code is that of the last verb that failed. Passwords are read from the line behind the verb.`,
		Example: "  parley ui\n  printf 'setup --log-level debug\\nstart\\n' | parley ui",
		Args:    cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		SilenceUsage: true, SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd, server)
		},
	}
	server.Bind(cmd.Flags())
	return cmd
}

func run(cmd *cobra.Command, server *verbs.Server) error {
	// Ctrl-C ends a verb, or clears the line; it is for them.
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	sh := &shell{out: cmd.OutOrStdout(), errs: cmd.ErrOrStderr(), notes: &notes{}}
	options, err := server.Options()
	if err != nil {
		return err
	}
	in := cmd.InOrStdin()
	editing := isTerminal(in) && isTerminal(sh.out) && os.Getenv("TERM") != "dumb"
	lines := bufio.NewReader(in)
	var secrets verbs.Secrets
	if isTerminal(in) {
		secrets = verbs.OnTerminal()
	} else {
		secrets = verbs.FromLines(lines)
	}
	sh.desk = &verbs.Desk{
		Session: sh.lend, Secrets: secrets,
		Port: func() uint16 { return options.Port },
	}
	options.Broadcast = sh.hear
	if editing {
		options.Subscribe = verbs.Told
	}
	options.Lost = func(err error) { sh.notes.add("the connection is lost: " + err.Error() + "; trying to get it back") }
	options.Back = func() { sh.notes.add("the connection is back") }
	if sh.session, err = talk.Open(ctx, options); err != nil {
		return sh.desk.Explain(err)
	}
	defer sh.session.Close()
	if editing {
		interrupts := make(chan os.Signal, 1) // one that no verb took is nothing
		signal.Notify(interrupts, os.Interrupt)
		defer signal.Stop(interrupts)
		return sh.interact(ctx)
	}
	prompt := io.Writer(io.Discard)
	if isTerminal(in) {
		prompt = sh.out
	}
	return sh.script(ctx, lines, prompt)
}

func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// exit ends the program with the code of a verb that failed; it was told.
type exit int

func (exit) Error() string { return "" }

// ExitCode is for main.
func (e exit) ExitCode() int { return int(e) }

// script runs each line as a verb.
func (sh *shell) script(ctx context.Context, lines *bufio.Reader, prompt io.Writer) error {
	sh.notes.deaf = true
	last := 0
	for ctx.Err() == nil {
		if _, err := io.WriteString(prompt, promptText); err != nil {
			return err
		}
		line, err := lines.ReadString('\n')
		code, over := sh.do(ctx, line)
		if code != 0 {
			last = code
		}
		if over || err != nil {
			break
		}
	}
	if last != 0 {
		return exit(last)
	}
	return nil
}
