package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// Command gives "parley config" with its verbs init, check, show and explain.
// Their errors are *UsageError (exit 2), or plain ones (exit 1).
func Command() *cobra.Command { return newCommand(LoadOptions{}) }

// newCommand is Command for any table and machine.
func newCommand(base LoadOptions) *cobra.Command {
	base = base.withDefaults()
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Write, check and explain the configuration",
		Long: "Options come from the last of these that names them: default, configuration file (TOML), environment PARLEY_<NAME>,\n" +
			"flag. No verb here opens a socket or talks to a running node.",
		Example: "  parley config init --output parley.toml\n  parley config check parley.toml\n" +
			"  parley config show --origin\n  parley config explain outbound-limit",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("run one of: init, check, show, explain", "config has no verb %s", quote(args[0]))
			}
			return nil
		},
		RunE:         func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceUsage: true,
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(fmt.Sprintf("%q lists the flags", cmd.CommandPath()+" --help"), "%s", err)
	})
	cmd.AddCommand(initCommand(base), checkCommand(base), showCommand(base), explainCommand(base))
	return cmd
}

// atMost refuses more than n arguments.
func atMost(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return usage(fmt.Sprintf("%q shows how it is used", cmd.CommandPath()+" --help"), "%s does not take %s", cmd.Name(), quote(args[n]))
		}
		return nil
	}
}

// withOptions adds the option flags and their completion to a verb.
func withOptions(cmd *cobra.Command, t *table) *cobra.Command {
	t.flags(cmd.Flags())
	if err := t.registerCompletions(cmd); err != nil {
		panic("config: " + err.Error()) // only a flag registered twice can do that
	}
	return cmd
}

// printJSON writes v as one indented JSON document.
func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// checkReport is the JSON of "config check".
type checkReport struct {
	OK       bool          `json:"ok"`
	File     string        `json:"file,omitempty"`
	Problems []problemJSON `json:"problems"`
	Warnings []string      `json:"warnings"`
	Unsafe   []string      `json:"unsafe"`
}

// problemJSON is one Problem for machines.
type problemJSON struct {
	Option  string     `json:"option,omitempty"`
	Value   string     `json:"value,omitempty"`
	Origin  originJSON `json:"origin,omitzero"`
	Cause   string     `json:"cause"`
	Next    string     `json:"next,omitempty"`
	Message string     `json:"message"`
}

// originJSON is an Origin for machines.
type originJSON struct {
	Source Source `json:"source"`
	Name   string `json:"name,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

func checkCommand(base LoadOptions) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check the file, the environment and the flags given here",
		Long: "Checks what a node would start with: FILE (or --config-file, or PARLEY_CONFIG_FILE), environment and flags. All\n" +
			"problems are reported together; with any, the exit code is 2. No socket is opened.",
		Example:      "  parley config check parley.toml\n  parley config check --json parley.toml",
		Args:         atMost(1),
		SilenceUsage: true,
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return []string{"toml"}, cobra.ShellCompDirectiveFilterFileExt
		},
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		opts := base
		opts.Flags = cmd.Flags()
		if len(args) == 1 {
			if args[0] == "" {
				return usage("name a file, or leave it out", "FILE is blank")
			}
			opts.File = args[0]
		}
		values, err := Load(opts)
		if asJSON {
			if broken := printJSON(cmd.OutOrStdout(), newCheckReport(values, err)); broken != nil {
				return broken
			}
			return err
		}
		if err != nil {
			return err
		}
		for _, warning := range values.Warnings() {
			fmt.Fprintln(cmd.ErrOrStderr(), "config: warning: "+warning)
		}
		for _, name := range values.Unsafe() {
			fmt.Fprintln(cmd.ErrOrStderr(), "config: warning: "+name+" is unsafe and in effect")
		}
		where := values.String(optConfigFile)
		if where == "" {
			where = "no file, environment and flags"
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), where+": ok")
		return err
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	return withOptions(cmd, base.table)
}

func newCheckReport(values *Values, err error) checkReport {
	report := checkReport{OK: err == nil, Problems: []problemJSON{}, Warnings: []string{}, Unsafe: []string{}}
	if values != nil {
		report.File = values.String(optConfigFile)
		report.Warnings = append(report.Warnings, values.Warnings()...)
		report.Unsafe = append(report.Unsafe, values.Unsafe()...)
	}
	var wrong *UsageError
	if errors.As(err, &wrong) {
		for _, p := range wrong.Problems {
			report.Problems = append(report.Problems, problemJSON{
				Option: p.Option, Value: p.Value, Origin: originJSON(p.Origin), Cause: p.Cause, Next: p.Next, Message: p.Error(),
			})
		}
	}
	return report
}

// shownOption is one option in the JSON of "config show".
type shownOption struct {
	Name string `json:"name"`
	// Value is a number for int and size (bytes), null for one that is not set, true or
	// false, a list of texts, or text.
	Value  any        `json:"value"`
	Secret bool       `json:"secret,omitempty"`
	Unsafe bool       `json:"unsafe,omitempty"`
	Origin originJSON `json:"origin"`
}

func showCommand(base LoadOptions) *cobra.Command {
	var asJSON, withOrigin bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show the options in effect",
		Long: "Shows what a node would start with, from file, environment and the flags given here. Secrets are shown as\n" +
			"asterisks when they are set. --origin tells where each value comes from.",
		Example:           "  parley config show --origin\n  parley config show --config-file parley.toml --json",
		Args:              atMost(0),
		ValidArgsFunction: cobra.NoFileCompletions,
		SilenceUsage:      true,
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		opts := base
		opts.Flags = cmd.Flags()
		values, err := Load(opts)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), struct {
				Options []shownOption `json:"options"`
			}{values.shown()})
		}
		return values.print(cmd.OutOrStdout(), withOrigin)
	}
	cmd.Flags().BoolVar(&withOrigin, "origin", false, "tell where each value comes from (always in JSON)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the options as JSON")
	return withOptions(cmd, base.table)
}

func (v *Values) shown() []shownOption {
	shown := make([]shownOption, len(v.table.options))
	for i := range v.table.options {
		o := &v.table.options[i]
		shown[i] = shownOption{Name: o.Name, Value: v.Text(o.Name), Secret: o.Secret, Unsafe: o.Unsafe, Origin: originJSON(v.Origin(o.Name))}
		switch {
		case o.Secret:
		case o.Kind == KindList:
			shown[i].Value = splitList(v.Text(o.Name)) // without what is secret in it
		case o.Kind == KindInt && v.Int(o.Name) == noNumber:
			shown[i].Value = nil
		case o.Kind == KindInt || o.Kind == KindSize || o.Kind == KindBool:
			shown[i].Value = v.koanf.Get(o.Name)
		}
	}
	return shown
}

// print writes aligned columns: name, value and, when asked, origin.
func (v *Values) print(out io.Writer, withOrigin bool) error {
	var b strings.Builder
	columns := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for i := range v.table.options {
		name := v.table.options[i].Name
		fmt.Fprint(columns, name, "\t", v.Text(name))
		if withOrigin {
			fmt.Fprint(columns, "\t", v.Origin(name))
		}
		fmt.Fprintln(columns)
	}
	if err := columns.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(out, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}
