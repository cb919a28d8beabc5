package verbs

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"parley/cmd/parley/config"
	"parley/cmd/parley/show"
)

// pair is one "--name value" of the command line.
type pair struct {
	name  string
	value *string // nil: there was none
}

// pairs makes a verb that takes names with and without values. known tells for
// each whether it is a secret; it is asked when the verb is used.
func (d *Desk) pairs(cmd *cobra.Command, known func() map[string]bool, run func(*call, map[string]bool, []pair) error) *cobra.Command {
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return completePair(known(), args, word), cobra.ShellCompDirectiveNoFileComp
	}
	var (
		names map[string]bool
		given []pair
	)
	d.verb(cmd, func(c *call) error { return run(c, names, given) })
	inner := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		names = known()
		if given, err = split(cmd, names, args); errors.Is(err, pflag.ErrHelp) {
			return cmd.Help()
		} else if err != nil {
			return err
		}
		return inner(cmd, nil)
	}
	return cmd
}

// split takes arguments apart: the verb's own flags are set, the rest are pairs.
func split(cmd *cobra.Command, names map[string]bool, args []string) ([]pair, error) {
	var given []pair
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		if word == "-h" || word == "--help" {
			return nil, pflag.ErrHelp
		}
		name, found := strings.CutPrefix(word, "--")
		if !found || name == "" {
			return nil, usage("%s: %q is no name; write --NAME VALUE, and see %q", cmd.Name(), show.Line(word), cmd.CommandPath()+" --help")
		}
		name, value, has := strings.Cut(name, "=")
		flag := cmd.Flags().Lookup(name)
		switch {
		case flag != nil && flag.NoOptDefVal != "" && !has:
			value, has = flag.NoOptDefVal, true
		case !has && len(args) > 0 && !strings.HasPrefix(args[0], "--"):
			value, has, args = args[0], true, args[1:]
		}
		if flag != nil {
			if !has {
				return nil, usage("%s: --%s needs a value; see %q", cmd.Name(), name, cmd.CommandPath()+" --help")
			}
			if err := cmd.Flags().Set(name, value); err != nil {
				return nil, usage("%s: %w; see %q", cmd.Name(), err, cmd.CommandPath()+" --help")
			}
			continue
		}
		if _, known := names[name]; !known {
			return nil, unknownName(cmd, names, name)
		}
		if slices.ContainsFunc(given, func(p pair) bool { return p.name == name }) {
			return nil, usage("%s: --%s is given twice; give it once", cmd.Name(), name)
		}
		p := pair{name: name}
		if has {
			p.value = &value
		}
		given = append(given, p)
	}
	return given, nil
}

// unknownName says which name was meant. What came behind it is not repeated:
// it may be a secret.
func unknownName(cmd *cobra.Command, names map[string]bool, name string) error {
	near := &cobra.Command{SuggestionsMinimumDistance: 2} // a letter too many and a letter wrong
	for n := range names {
		near.AddCommand(&cobra.Command{Use: n, Run: func(*cobra.Command, []string) {}})
	}
	next := "see " + `"` + cmd.CommandPath() + ` --help"`
	if all := near.SuggestionsFor(name); len(all) > 0 {
		slices.Sort(all)
		next = "did you mean --" + all[0] + "?"
	}
	return usage("%s: no parameter is called --%s; %s", cmd.Name(), show.Line(name), next)
}

// completePair completes a name, or the value of the name before.
func completePair(names map[string]bool, args []string, word string) []cobra.Completion {
	of := map[string]config.Option{}
	for _, o := range config.Table() {
		of[o.Name] = o
	}
	var all []cobra.Completion
	if len(args) > 0 && !strings.HasPrefix(word, "-") {
		last, _ := strings.CutPrefix(args[len(args)-1], "--")
		return append(all, Values(of[last])...)
	}
	for name := range names {
		if !slices.Contains(args, "--"+name) && (!of[name].Inert || strings.HasPrefix("--"+name, word) && len(word) > len("--")) {
			all = append(all, cobra.CompletionWithDesc("--"+name, of[name].Help))
		}
	}
	slices.Sort(all)
	return all
}

// Values are what a shell offers for an option.
func Values(o config.Option) []string {
	if o.Kind == config.KindBool && len(o.Allowed) == 0 {
		return []string{"true", "false"}
	}
	if len(o.Allowed) > 0 {
		return o.Allowed
	}
	if o.Default != "" {
		return []string{o.Default}
	}
	return nil
}
