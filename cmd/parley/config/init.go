package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// fileMode keeps a written file to its owner: secrets may be added to it.
const fileMode fs.FileMode = 0o600

func initCommand(base LoadOptions) *cobra.Command {
	var minimal, force, asJSON bool
	var output string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a configuration file to start from",
		Long: "Writes a file with every option that has a use explained and at its default, commented out; --minimal writes the few that most\n" +
			"nodes set, ready to edit. A file that exists is kept unless --force is given. Files are written for their owner only (0600).",
		Example:           "  parley config init --output parley.toml\n  parley config init --minimal",
		Args:              atMost(0),
		ValidArgsFunction: cobra.NoFileCompletions,
		SilenceUsage:      true,
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if output == "" && (cmd.Flags().Changed("output") || force || asJSON) {
			return usage("give --output FILE, or neither --force nor --json", "there is no file to write")
		}
		content := base.table.template(minimal)
		if output == "" {
			_, err := fmt.Fprint(cmd.OutOrStdout(), content)
			return err
		}
		if err := writeFile(output, content, force); err != nil {
			return err
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), struct {
				Written string `json:"written"`
			}{output})
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: written; check it with: parley config check %s\n", output, shellWord(output))
		return err
	}
	cmd.Flags().BoolVar(&minimal, "minimal", false, "only the options that most nodes set")
	cmd.Flags().StringVarP(&output, "output", "o", "", "write to this `file` instead of standard output")
	cmd.Flags().BoolVar(&force, "force", false, "overwrite the file")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the name of the written file as JSON")
	return cmd
}

// template gives a configuration file. Settings are commented out as
// "#name = value", explanations as "# text": taking the # away is enough. An
// unsafe option has no setting to uncomment: it must be written by hand.
func (t *table) template(minimal bool) string {
	var b strings.Builder
	b.WriteString("# Parley's configuration, TOML. Environment and flags override it.\n" +
		"# Take the # before an option away to set it; what is left out keeps its default.\n" +
		"# One option in full: parley config explain NAME. This file: parley config check FILE\n")
	for _, section := range t.sections() {
		heading := "\n# ---- " + section + " ----\n"
		for _, o := range t.in(section) {
			if o.outsideFile || o.Inert || (minimal && !o.Essential) {
				continue
			}
			b.WriteString(heading)
			heading = ""
			o.writeTemplate(&b, minimal)
		}
	}
	return b.String()
}

func (o *Option) writeTemplate(b *strings.Builder, minimal bool) {
	if !minimal {
		fmt.Fprintf(b, "\n# %s: %s.\n%s\n# Allowed: %s. Default: %s. Environment: %s.\n", o.Name, o.Help, wrap(o.Long, "# "), o.AllowedText(), o.defaultText(), o.Env())
	}
	setting := "#" + o.Name + " = " + o.fileExample(o.sample())
	switch {
	case minimal && o.Default != "" && !o.Unsafe && !o.Secret:
		setting = setting[1:]
	case o.Unsafe:
		setting = "# Unsafe: it weakens protection, and is reported at every start. Write it by hand if you must."
	case o.Secret:
		setting = "#" + o.Name + ` = ""`
	}
	b.WriteString(setting)
	if minimal {
		b.WriteString("  # " + o.Help)
	}
	b.WriteString("\n")
}

// writeFile writes content for the owner only. A file that exists is an error, or,
// with force, replaced in one step.
func writeFile(name, content string, force bool) error {
	if !force {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("config: %s exists already; choose another --output, or overwrite it with --force", quote(name))
		}
		if err != nil {
			return fmt.Errorf("config: %s cannot be written; choose another --output: %w", quote(name), err)
		}
		_, err = f.WriteString(content)
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("config: %s cannot be written; choose another --output: %w", quote(name), err)
		}
		return nil
	}
	// CreateTemp gives mode 0600; the rename never shows half a file.
	f, err := os.CreateTemp(filepath.Dir(name), ".parley-*.toml")
	if err != nil {
		return fmt.Errorf("config: %s cannot be written; choose another --output: %w", quote(name), err)
	}
	_, err = f.WriteString(content)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("config: %s cannot be written; choose another --output: %w", quote(name), err), os.Remove(f.Name()))
	}
	return nil
}
