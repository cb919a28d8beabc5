package config

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagValue keeps a flag's text as given: Load checks it with all other
// layers, so that one run reports every mistake.
type flagValue struct {
	option *Option // fixed at start
	items  []string
	set    bool
}

// String gives the flag's text, the default until it is set.
func (f *flagValue) String() string {
	if f.option == nil { // pflag makes a zero value to compare defaults with
		return ""
	}
	if !f.set {
		return f.option.Default
	}
	return strings.Join(f.items, ",")
}

// Set takes one occurrence; a list grows, anything else is replaced.
func (f *flagValue) Set(text string) error {
	if f.option.Kind == KindList {
		f.items = append(f.items, splitList(text)...)
	} else {
		f.items = []string{text}
	}
	f.set = true
	return nil
}

// Type names the value in help.
func (f *flagValue) Type() string { return f.option.Kind.String() }

// given is what the layer of flags holds: []string for a list, else string.
func (f *flagValue) given() any {
	if f.option.Kind == KindList {
		return append([]string{}, f.items...)
	}
	return f.items[0]
}

// Flags adds a flag for every option that may have one.
func Flags(fs *pflag.FlagSet) { parley.flags(fs) }

func (t *table) flags(fs *pflag.FlagSet) {
	for i := range t.options {
		o := &t.options[i]
		if o.Flag() == "" {
			continue
		}
		flag := fs.VarPF(&flagValue{option: o}, o.Name, "", o.Help)
		// What is unsafe must be spelled out: --name alone does not do.
		if o.Kind == KindBool && !o.Unsafe {
			flag.NoOptDefVal = "true"
		}
	}
}

// RegisterCompletions lets the shell complete the values of the flags that
// Flags added to cmd, and cmd show them by section. Call it once a command.
func RegisterCompletions(cmd *cobra.Command) error { return parley.registerCompletions(cmd) }

func (t *table) registerCompletions(cmd *cobra.Command) error {
	cmd.SetUsageFunc(t.usage)
	for i := range t.options {
		o := &t.options[i]
		if o.Kind == KindPath || cmd.Flag(o.Name) == nil {
			continue // the shell completes file names by itself
		}
		words := o.words()
		err := cmd.RegisterFlagCompletionFunc(o.Name, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return words, cobra.ShellCompDirectiveNoFileComp
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// words gives the values worth completing: the choices, and the default.
func (o *Option) words() []string {
	switch {
	case o.Kind == KindBool:
		return []string{"true", "false"}
	case o.Kind == KindEnum || o.Default == "":
		return o.Allowed
	default:
		return append([]string{o.Default}, o.Allowed...)
	}
}
