package config

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// explained is one option in the JSON of "config explain".
type explained struct {
	Name        string   `json:"name"`
	Section     string   `json:"section"`
	Kind        string   `json:"kind"`
	Default     string   `json:"default"`
	Computed    string   `json:"computed,omitempty"`
	Unit        string   `json:"unit,omitempty"`
	Allowed     string   `json:"allowed"`
	Choices     []string `json:"choices,omitempty"`
	Environment string   `json:"environment"`
	Flag        string   `json:"flag,omitempty"`
	InFile      bool     `json:"inFile"`
	Secret      bool     `json:"secret"`
	Reloadable  bool     `json:"reloadable"`
	Unsafe      bool     `json:"unsafe"`
	Owner       bool     `json:"ownerOnly"`
	Runtime     bool     `json:"live"`
	Inert       bool     `json:"neverUsed"`
	InSetup     bool     `json:"inSetup"`
	Help        string   `json:"help"`
	Long        string   `json:"long"`
}

func explainCommand(base LoadOptions) *cobra.Command {
	t := base.table
	var asJSON bool
	cmd := &cobra.Command{
		Use:          "explain [NAME]",
		Short:        "Explain one option, or list them all",
		Example:      "  parley config explain outbound-limit\n  parley config explain --json",
		Args:         atMost(1),
		SilenceUsage: true,
		ValidArgsFunction: func(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var names []string
			for i := range t.options {
				if strings.HasPrefix(t.options[i].Name, begun) {
					names = append(names, t.options[i].Name+"\t"+t.options[i].Help)
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return t.list(cmd.OutOrStdout(), asJSON)
		}
		o := t.byName[args[0]]
		if o == nil {
			return usage(t.didYouMean(args[0]), "no option is called %s", quote(args[0]))
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), o.explained())
		}
		return o.explain(cmd.OutOrStdout())
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}

// list writes every option with its line of help.
func (t *table) list(out io.Writer, asJSON bool) error {
	if asJSON {
		all := make([]explained, len(t.options))
		for i := range t.options {
			all[i] = t.options[i].explained()
		}
		return printJSON(out, struct {
			Options []explained `json:"options"`
		}{all})
	}
	columns := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for i := range t.options {
		fmt.Fprintf(columns, "%s\t%s\n", t.options[i].Name, t.options[i].Help)
	}
	return columns.Flush()
}

// explain writes everything about one option.
func (o *Option) explain(out io.Writer) error {
	if _, err := fmt.Fprintf(out, "%s: %s\n\n%s\n\n", o.Name, o.Help, wrap(o.Long, "  ")); err != nil {
		return err
	}
	columns := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, fact := range o.facts() {
		fmt.Fprintf(columns, "  %s\t%s\n", fact.name, fact.text)
	}
	return columns.Flush()
}

func (o *Option) explained() explained {
	return explained{
		Name: o.Name, Section: o.Section, Kind: o.Kind.String(), Default: o.masked(o.Default), Computed: o.Computed,
		Unit: o.Unit, Allowed: o.AllowedText(), Choices: o.Allowed, Environment: o.Env(), Flag: o.Flag(), InFile: !o.outsideFile,
		Secret: o.Secret, Reloadable: o.Reloadable, Unsafe: o.Unsafe,
		Owner: o.Owner, Runtime: o.Runtime, Inert: o.Inert, InSetup: !o.outsideSetup, Help: o.Help, Long: o.Long,
	}
}
