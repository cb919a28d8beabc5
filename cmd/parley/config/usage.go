package config

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// usage writes how a command with the table's flags is used: its own flags, then the
// options by section, in the order of the table. The inert ones are named only.
func (t *table) usage(cmd *cobra.Command) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage:\n  %s\n", cmd.UseLine())
	if cmd.Example != "" {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", cmd.Example)
	}
	own := pflag.NewFlagSet(cmd.Name(), pflag.ContinueOnError)
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if _, option := f.Value.(*flagValue); !option {
			own.AddFlag(f)
		}
	})
	writeFlags(&b, "Flags", own)
	var named []string
	for _, section := range t.sections() {
		options := pflag.NewFlagSet(section, pflag.ContinueOnError)
		for _, o := range t.in(section) {
			f := cmd.LocalFlags().Lookup(o.Name)
			switch {
			case f == nil:
			case o.Inert:
				named = append(named, "--"+o.Name)
			default:
				options.SortFlags = false
				options.AddFlag(f)
			}
		}
		writeFlags(&b, section, options)
	}
	if len(named) > 0 {
		fmt.Fprintf(&b, "\nTaken, and never used:\n%s\n", wrap(strings.Join(named, " "), "  "))
	}
	writeFlags(&b, "Global flags", cmd.InheritedFlags())
	_, err := fmt.Fprint(cmd.OutOrStderr(), b.String())
	return err
}

// writeFlags writes a heading and flags under it; nothing when there are none.
func writeFlags(b *strings.Builder, heading string, flags *pflag.FlagSet) {
	if flags.HasAvailableFlags() {
		fmt.Fprintf(b, "\n%s:\n%s", heading, flags.FlagUsages())
	}
}
