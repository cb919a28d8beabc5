package config

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func mustLoadDaemon(t *testing.T, opts LoadOptions) Daemon {
	t.Helper()
	values, err := LoadDaemon(opts)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return values.Daemon()
}

func TestDaemonByDefault(t *testing.T) {
	got := mustLoadDaemon(t, machine())
	want := Daemon{
		DataDirectory: "/home/anna/.local/share/parley", LogLevel: "info", LogFormat: "text", UIPort: 5333,
		UI: UI{UIUsers: []uint32{}, UIOrigins: []string{}, UIMaxFrame: 1 << 20, MaxUIs: 2000, ConversationIdle: 5 * time.Minute},
	}
	if diff := cmp.Diff(want, got); diff != "" || got.Directory() != "/home/anna/.local/share/parley/daemon" || got.Level() != Level("info") {
		t.Errorf("in %q, -want +got\n%s", got.Directory(), diff)
	}
}

func TestDaemonLayers(t *testing.T) {
	file := writeTemp(t, "p.toml", "ui-users = [\"ben\", \"7\"]\nui-access = \"look\"\nmax-clients = 0\nlog-file = \"node.log\"\nlog-level = \"warn\"\ndata-directory = \"d\"\n")
	opts := machine("PARLEY_LOG_LEVEL=error", "PARLEY_LOG_FILE=/node.log", "PARLEY_MAX_UIS=9", "PARLEY_MAX_CLIENTS=none", "PARLEY_MAX_UI=1")
	opts.Flags = parsed(t, daemonOptions, "--config-file", file, "--ui-port", "0", "--log-format=json")
	values, err := LoadDaemon(opts)
	if err != nil {
		t.Fatal(err)
	}
	got := values.Daemon()
	want := Daemon{
		ConfigFile: file, DataDirectory: filepath.Join(filepath.Dir(file), "d"), LogLevel: "error", LogFormat: "json",
		UI: UI{UIUsers: []uint32{7, 1001}, UIOrigins: []string{}, UIAccessLook: true, UIMaxFrame: 1 << 20, MaxUIs: 9, ConversationIdle: 5 * time.Minute},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if diff := cmp.Diff([]string{"environment PARLEY_MAX_UI: no option has this name; did you mean PARLEY_MAX_UIS?"}, values.Warnings()); diff != "" {
		t.Error(diff)
	}
	opts.Flags = parsed(t, daemonOptions, "--log-file", "/daemon.log")
	if got := mustLoadDaemon(t, opts).LogFile; got != "/daemon.log" {
		t.Errorf("log file %q", got)
	}
}

func TestDaemonProblems(t *testing.T) {
	opts := machine("PARLEY_UI_USERS=alcie", "PARLEY_CONFIG_FILE="+writeTemp(t, "p.toml", "max-uis = 0\nmax-clients = 0\nmax-cleints = 1\nui-port = 1\ndb-password = 1\n"))
	opts.Flags = parsed(t, daemonOptions, "--ui-port", "off")
	_, err := LoadDaemon(opts)
	var causes []string
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			_, cause, _ := strings.Cut(line, "p.toml:")
			if cause == "" {
				cause = line
			}
			causes = append(causes, strings.TrimSpace(cause))
		}
	}
	want := []string{
		`4:1: ui-port: cannot be set in the file; use --ui-port or PARLEY_UI_PORT`,
		`1:1: max-uis: "0" is out of range; allowed are 1 to 1000000`,
		`config: flag --ui-port: ui-port: "off" is not a whole number; allowed are 1025 to 65535, or 0: any free port`,
		`config: environment PARLEY_UI_USERS: ui-users: "alcie" is not a user of this machine; write a name that stands in /etc/passwd, or the number that "id -u NAME" prints`,
	}
	if diff := cmp.Diff(want, causes); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for _, file := range []string{"/none/p.toml", writeTemp(t, "x.toml", "log-level = info\n")} {
		if _, err := LoadDaemon(machine("PARLEY_CONFIG_FILE=" + file)); err == nil {
			t.Errorf("%s is no file of options, and taken", file)
		}
	}
}

func TestDaemonFlags(t *testing.T) {
	fs := pflag.NewFlagSet("daemon", pflag.ContinueOnError)
	DaemonFlags(fs)
	var names []string
	fs.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if diff := cmp.Diff([]string{"config-file", "data-directory", "log-file", "log-format", "log-level", "ui-port"}, names); diff != "" {
		t.Error(diff)
	}
	cmd := &cobra.Command{Use: "daemon", RunE: func(*cobra.Command, []string) error { return nil }}
	DaemonFlags(cmd.Flags())
	if err := RegisterDaemonCompletions(cmd); err != nil {
		t.Fatal(err)
	}
	golden(t, "help_daemon.txt", cmd.UsageString())
}

func TestRuntime(t *testing.T) {
	names := Runtime()
	if diff := cmp.Diff([]string{"enclave-alias", "gas-price", "log-level", "max-peer-links", "min-hops", "start-block"}, names); diff != "" {
		t.Error(diff)
	}
	for _, c := range []struct{ name, value, stored, problem string }{
		{"log-level", "debug", "debug", ""},
		{"log-level", "loud", "", `"loud" is not a choice; write one of: off, error, warn, info, debug, trace`},
		{"max-peer-links", "08", "8", ""},
		{"max-peer-links", "", "", "a blank value is not a whole number; allowed are 0 to 256"},
		{"enclave-alias", "Anna", "Anna", ""},
		{"gas-price", "30", "30", ""},
		{"gas-price", "much", "", `"much" is not a whole number; write one of 0 or more`},
		{"gas-price", "", "", `"" is not a whole number; write one of 0 or more`},
		{"min-hops", "3", "3", ""},
		{"min-hops", "7", "", `"7" is out of range; allowed are 1 to 6`},
		{"start-block", "18446744073709551615", "18446744073709551615", ""},
		{"start-block", "latest", "latest", ""},
		{"start-block", "-1", "", `"-1" is not a block; write a whole number, latest or none`},
	} {
		stored, problem, known := CheckRuntime(c.name, c.value)
		if stored != c.stored || problem != c.problem || !known {
			t.Errorf("%s = %q: got %q, %s, known %v", c.name, c.value, stored, problem, known)
		}
	}
	for _, o := range Table() {
		if _, _, known := CheckRuntime(o.Name, "1"); known != slices.Contains(names, o.Name) {
			t.Errorf("%s: known %v", o.Name, known)
		}
	}
	if _, _, known := CheckRuntime("nonsense", "1"); known {
		t.Error("nonsense is known")
	}
}
