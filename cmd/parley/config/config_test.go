package config

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"parley/testkit/leaks"
)

var update = flag.Bool("update", false, "write golden files and OPTIONS.md anew")

func TestMain(m *testing.M) { leaks.Main(m) }

// testMemory is the memory of the machine that tests configure, bytes.
const testMemory = 8 * gib

// testAccounts are the users of that machine.
const testAccounts = "root:x:0:0:root:/root:/bin/sh\nanna:x:1000:1000:Anna:/home/anna:/bin/sh\nben:x:1001:1001::/home/ben:/bin/sh\n" +
	"nobody:x:65533:65533:nobody:/nonexistent:/usr/sbin/nologin\n"

// machine gives LoadOptions for anna's machine, which is the same everywhere, with environ
// as NAME=value pairs.
func machine(environ ...string) LoadOptions {
	return LoadOptions{
		User:     func() int { return 1000 },
		Accounts: func() ([]byte, error) { return []byte(testAccounts), nil },
		Environ:  func() []string { return environ },
		Hostname: func() (string, error) { return "büro pc.local", nil },
		Memory:   func() (int64, error) { return testMemory, nil },
		Cores:    2,
		table:    parley,
	}
}

// withExtra gives the table with a secret and an unsafe option added, which
// the product does not have yet.
func withExtra() *table {
	return newTable(append(options(),
		Option{
			Name: "test-token", Section: "Test", Kind: KindString, Secret: true, Help: "secret for tests", Long: "A secret.",
		},
		Option{
			Name: "test-unsafe", Section: "Test", Kind: KindBool, Default: "false", Unsafe: true, Help: "unsafe for tests", Long: "An unsafe switch.",
		},
		Option{
			Name: "test-switch", Section: "Test", Kind: KindBool, Default: "false", Help: "switch for tests", Long: "A switch.",
		},
	))
}

// parsed gives the option flags of a command line.
func parsed(t *testing.T, table *table, args ...string) *pflag.FlagSet {
	t.Helper()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	table.flags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatalf("parsing flags %q: %v", args, err)
	}
	return fs
}

// writeTemp writes a file of the given name into a directory of its own.
func writeTemp(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// mustLoad loads without problems.
func mustLoad(t *testing.T, opts LoadOptions) *Values {
	t.Helper()
	values, err := Load(opts)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return values
}

// problemsOf gives the lines of a load that must fail, file names cut to
// their last element.
func problemsOf(t *testing.T, opts LoadOptions) []string {
	t.Helper()
	_, err := Load(opts)
	if err == nil {
		return nil
	}
	var wrong *UsageError
	if !errors.As(err, &wrong) {
		t.Fatalf("load gave %T, want *UsageError: %v", err, err)
	}
	if wrong.ExitCode() != 2 {
		t.Errorf("exit code %d, want 2", wrong.ExitCode())
	}
	text := err.Error()
	if opts.File != "" {
		text = strings.ReplaceAll(text, filepath.Dir(opts.File)+"/", "")
	}
	return strings.Split(text, "\n")
}

// run executes "config args..." and gives its output.
func run(t *testing.T, opts LoadOptions, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := newCommand(opts)
	cmd.SilenceErrors = true
	var out, errs bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SetArgs(append([]string{}, args...)) // nil would mean the test's own
	err = cmd.Execute()
	return out.String(), errs.String(), err
}

// golden compares got with a file of testdata, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if filepath.IsAbs(name) || strings.HasSuffix(name, ".md") {
		path = name
	}
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (write it with: go test ./cmd/parley/config -update)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is stale (write it anew with: go test ./cmd/parley/config -update)\n-want +got\n%s", path, diff)
	}
}
