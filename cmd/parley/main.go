// Command parley is an actor-model message system in one binary. `parley --help`
// lists the verbs; each is one file of this folder.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"parley/cmd/parley/bench"
	"parley/cmd/parley/chat"
	"parley/cmd/parley/config"
	"parley/cmd/parley/conform"
	"parley/cmd/parley/demo"
	interactive "parley/cmd/parley/shell"
	"parley/cmd/parley/show"
	"parley/cmd/parley/verbs"
)

// Exit codes of every verb.
const (
	exitFailed  = 1 // refused or failed: reason and what to do next on stderr
	exitUsage   = 2 // wrong usage or configuration
	exitNothing = 3 // nobody there to talk to
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is the whole program: it returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := command(stdout)
	root.SetArgs(spelledAsOfOld(args))
	root.SetIn(stdin)
	root.SetErr(stderr)
	err := root.ExecuteContext(context.Background())
	if err == nil {
		return 0
	}
	if text := complaint(err); text != "" { // even nothing would wait for who does not read
		_, _ = io.WriteString(stderr, text)
	}
	return exitCode(err)
}

// complaint is what people are told of an error; blank: nothing, all was said.
func complaint(err error) string {
	if err == nil || err.Error() == "" {
		return ""
	}
	return fmt.Sprintf("parley: %s\n", err)
}

// initialization is how MASQNode-UIv2 spells the verb "daemon".
const initialization = "--initialization"

// spelledAsOfOld makes "--initialization [--ui-port P]" the verb daemon.
func spelledAsOfOld(args []string) []string {
	at := slices.Index(args, initialization)
	if at < 0 || !strings.HasPrefix(args[0], "-") {
		return args
	}
	return slices.Concat([]string{"daemon"}, args[:at], args[at+1:])
}

// command is the tree of verbs. They print to out, which the library wants to
// know before it makes its own.
func command(out io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:     "parley",
		Short:   "An actor-model message system: a Daemon, its relay Node, user interfaces, load generator",
		Long:    "An actor-model message system: a Daemon, its relay Node, user interfaces, load generator.\n\n" + exitCodes,
		Example: "  parley up\n  parley status\n  parley sub lobby\n  parley pub lobby 'hello, all'",
		Version: version(),

		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{fmt.Errorf("%w; see %q", err, cmd.CommandPath()+" --help")}
	})
	root.AddCommand(upCommand(), daemonCommand(), nodeCommand(), subCommand(), pubCommand(), healthCommand(), config.Command(), bench.Command(), conform.Command(), demo.Command(), versionCommand(), interactive.Command(), chat.Command())
	root.AddCommand(verbs.Commands()...)
	group(root)
	root.SetOut(out)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "help" {
			c.Args = func(_ *cobra.Command, args []string) error {
				if at, rest, _ := root.Find(args); len(rest) > 0 {
					return &usageError{unknownVerb(at, rest[0])}
				}
				return nil
			}
		}
	}
	finish(root)
	return root
}

// groups are the verbs by what they are for; the others stand below.
var groups = []struct {
	id, title string
	verbs     []string
}{
	{"run", "Run", []string{"up", "daemon", "node", "demo"}},
	{"drive", "Drive a Daemon and its Node", []string{
		"ui", "status", "setup", "start", "shutdown", "configuration", "set-configuration",
		"check-password", "set-password", "change-password", "descriptor", "connection-status", "peers", "channels", "star-peers",
		"stats", "logs", "crash",
	}},
	{"people", "Talk to people", []string{"chat", "contacts", "send", "history", "presence"}},
	{"relay", "Talk over a relay", []string{"sub", "pub", "health"}},
}

func group(root *cobra.Command) {
	for _, g := range groups {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title + ":"})
		for _, c := range root.Commands() {
			if slices.Contains(g.verbs, c.Name()) {
				c.GroupID = g.id
			}
		}
	}
}

// exitCodes stands in the help of the program.
const exitCodes = "Exit codes: 0 done, 1 refused or failed (the reason, and what to do, on stderr), 2 wrong usage or configuration,\n" +
	"3 nobody there to talk to. \"parley health\" uses them for how a node is."

// finish gives all verbs what they have in common: wrong arguments are wrong
// usage, with the nearest verb, and the verbs of libraries get their examples.
func finish(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			err := check(c, args)
			if err == nil || exitCode(err) != exitFailed {
				return err
			}
			if c.HasAvailableSubCommands() && len(args) > 0 {
				return &usageError{unknownVerb(c, args[0])}
			}
			if strings.HasPrefix(err.Error(), "unknown command") { // the library takes it for a verb
				err = fmt.Errorf("%q is too much, it takes no arguments", show.Clip(args[0], maxLogValue))
			}
			return &usageError{fmt.Errorf("%s: %w; see %q", c.Name(), err, c.CommandPath()+" --help")}
		}
	}
	if c.HasSubCommands() && !c.Runnable() {
		c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	}
	if c.Example == "" {
		c.Example = examples[c.CommandPath()]
	}
	for _, sub := range c.Commands() {
		finish(sub)
	}
}

// examples are for the commands that come without.
var examples = map[string]string{
	"parley help":                  "  parley help sub",
	"parley bench":                 "  parley bench relay --subscribers 100\n  parley bench limit --join\n  parley bench ui\n  parley bench mesh\n  parley bench star\n  parley bench enclave",
	"parley completion":            "  parley completion bash --help",
	"parley completion bash":       "  source <(parley completion bash)",
	"parley completion zsh":        "  source <(parley completion zsh)",
	"parley completion fish":       "  parley completion fish | source",
	"parley completion powershell": "  parley completion powershell | Out-String | Invoke-Expression",
}

// unknownVerb says which verb was meant, or where they are listed.
func unknownVerb(c *cobra.Command, word string) error {
	next := fmt.Sprintf("%q lists the verbs", c.CommandPath()+" --help")
	if c.SuggestionsMinimumDistance == 0 {
		c.SuggestionsMinimumDistance = 2 // a letter too many and a letter wrong
	}
	if near := c.SuggestionsFor(word); len(near) > 0 {
		next = fmt.Sprintf("did you mean %q?", c.CommandPath()+" "+near[0])
	}
	return fmt.Errorf("unknown verb %q; %s", show.Clip(word, maxLogValue), next)
}

// usageError is wrong usage found outside the options table.
type usageError struct{ error }

func (e *usageError) ExitCode() int { return exitUsage }

func (e *usageError) Unwrap() error { return e.error }

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
