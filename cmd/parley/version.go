package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// build is what the binary knows of its own making.
type build struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	OS       string `json:"os,omitempty"`
	Arch     string `json:"arch,omitempty"`
	Revision string `json:"revision,omitempty"` // of the source
	Time     string `json:"time,omitempty"`     // of the revision, RFC 3339
	Modified bool   `json:"modified,omitempty"` // the source was changed since
}

func newBuild(b *debug.BuildInfo) build {
	v := build{Version: b.Main.Version, Go: b.GoVersion}
	if v.Version == "" {
		v.Version = "(devel)"
	}
	for _, s := range b.Settings {
		switch s.Key {
		case "GOOS":
			v.OS = s.Value
		case "GOARCH":
			v.Arch = s.Value
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

// version is the short form, for --version.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	return newBuild(info).Version
}

func versionCommand() *cobra.Command {
	var asJSON, sbom bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version and what it was built from",
		Long: `Print the version, the Go it was built with, and the revision of the source where the build recorded one.

With --sbom it prints the bill of materials, CycloneDX 1.5 in JSON: every module that is in this binary, read from the
binary itself.`,
		Example: `  parley version
  parley version --json
  parley version --sbom > parley.cdx.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON && sbom {
				return &usageError{errors.New("version: --json and --sbom are two documents; give one of them")}
			}
			info, ok := debug.ReadBuildInfo()
			if !ok {
				return errors.New("version: the binary has lost its build information; build it with: make build")
			}
			out := cmd.OutOrStdout()
			switch {
			case sbom:
				return printJSON(out, newBill(info))
			case asJSON:
				return printJSON(out, newBuild(info))
			}
			return newBuild(info).print(out)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	cmd.Flags().BoolVar(&sbom, "sbom", false, "print the bill of materials")
	return cmd
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func (v build) print(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "parley\t%s\n", v.Version)
	fmt.Fprintf(t, "go\t%s\n", strings.TrimSpace(v.Go+" "+v.OS+"/"+v.Arch))
	if v.Revision != "" {
		text := v.Revision
		if v.Time != "" {
			text += ", " + v.Time
		}
		if v.Modified {
			text += ", changed since"
		}
		fmt.Fprintf(t, "source\t%s\n", text)
	}
	return t.Flush()
}
