package config

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

// fixture gives a machine with a file, variables and a secret, for golden output. The
// file's directory is the working directory, so that its name is the same everywhere.
func fixture(t *testing.T) LoadOptions {
	t.Helper()
	t.Chdir(filepath.Dir(writeTemp(t, "parley.toml", "max-frame = \"64KiB\"\n\nrelay-hosts = [\"a.example\", \"b.example\"]\n")))
	opts := machine("PARLEY_CONFIG_FILE=parley.toml", "PARLEY_TEST_TOKEN=hunter2", "PARLEY_MAX_CLIENTS=7")
	opts.table = withExtra()
	return opts
}

// here gives a golden file's name before the test leaves its directory.
func here(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestShowAndExplainOutput(t *testing.T) {
	for file, args := range map[string][]string{
		"show.txt":             {"show", "--ping-interval", "20s"},
		"show_origin.txt":      {"show", "--origin", "--ping-interval", "20s"},
		"show.json":            {"show", "--json", "--ping-interval", "20s"},
		"explain.txt":          {"explain", "clandestine-port"},
		"explain.json":         {"explain", "clandestine-port", "--json"},
		"explain_secret.txt":   {"explain", "test-token"},
		"explain_computed.txt": {"explain", "node-name"},
		"explain_all.txt":      {"explain"},
		"init_minimal.toml":    {"init", "--minimal"},
		"init.toml":            {"init"},
		"check.txt":            {"check"},
		"check.json":           {"check", "--json", "--test-unsafe=true"},
		"help_show.txt":        {"show", "--help"},
	} {
		t.Run(file, func(t *testing.T) {
			path := here(t, file)
			stdout, stderr, err := run(t, fixture(t), args...)
			if err != nil || stderr != "" {
				t.Fatalf("config %q: %v, stderr %q", args, err, stderr)
			}
			if strings.Contains(stdout, "hunter2") || strings.Contains(stdout, "\x1b") {
				t.Error("output shows a secret or colour")
			}
			if strings.HasSuffix(file, ".json") && !json.Valid([]byte(stdout)) {
				t.Error("output is not JSON")
			}
			golden(t, path, stdout)
		})
	}
}

func TestSecretsAreMasked(t *testing.T) {
	opts := machine()
	opts.table = withExtra()
	stdout, _, _ := run(t, opts, "show")
	if !slices.Contains(strings.Split(stdout, "\n"), "test-token") {
		t.Errorf("a secret that is not set is not blank:\n%s", stdout)
	}
	opts.Environ = func() []string { return []string{"PARLEY_TEST_TOKEN=hunter2"} }
	stdout, _, _ = run(t, opts, "show")
	if !strings.Contains(stdout, "test-token                "+strings.Repeat("*", 16)+"\n") {
		t.Errorf("a secret that is set is not 16 asterisks:\n%s", stdout)
	}
}

func TestInitRoundTrip(t *testing.T) {
	certificate, _ := writePair(t, 0o600)
	before := mustLoad(t, machine()).Node()
	for _, args := range [][]string{{"init"}, {"init", "--minimal"}} {
		file := filepath.Join(filepath.Dir(certificate), "sub.toml")
		stdout, _, err := run(t, machine(), append(args, "--output", file, "--force")...)
		if want := file + ": written; check it with: parley config check " + file + "\n"; err != nil || stdout != want {
			t.Fatalf("%q: %v, printed %q", args, err, stdout)
		}
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("%q: %v, mode %v", args, err, info.Mode())
		}
		if stdout, _, err := run(t, machine(), "check", file); err != nil || stdout != file+": ok\n" {
			t.Errorf("%q: check says %v, %q", args, err, stdout)
		}
		opts := machine()
		opts.File = file
		after := mustLoad(t, opts).Node()
		after.ConfigFile = ""
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("%q: the written file changes the node: %s", args, diff)
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all := strings.NewReplacer("relay.crt", "c.pem", "relay.key", "k.pem").Replace(uncommented(string(content)))
		opts.File = filepath.Join(filepath.Dir(certificate), "all.toml")
		if err := os.WriteFile(opts.File, []byte(all), 0o600); err != nil {
			t.Fatal(err)
		}
		values := mustLoad(t, opts)
		for _, o := range Table() {
			if set := values.Origin(o.Name).Source == SourceFile; set != (!o.outsideFile && !o.Unsafe && !o.Inert && (o.Essential || len(args) == 1)) {
				t.Errorf("%q, # taken away: %s comes from %s", args, o.Name, values.Origin(o.Name))
			}
			if o.Default != "" && values.Text(o.Name) != o.Default {
				t.Errorf("%q, # taken away: %s = %q, want the default", args, o.Name, values.Text(o.Name))
			}
		}
	}
}

func TestInitDoesNotOverwrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "p.toml")
	if stdout, _, err := run(t, machine(), "init", "--minimal", "-o", file, "--json"); err != nil || stdout != "{\n  \"written\": \""+file+"\"\n}\n" {
		t.Fatalf("%v, printed %q", err, stdout)
	}
	before, _ := os.ReadFile(file)
	_, _, err := run(t, machine(), "init", "--output", file)
	var wrong *UsageError
	if err == nil || errors.As(err, &wrong) || !strings.HasSuffix(err.Error(), "exists already; choose another --output, or overwrite it with --force") {
		t.Errorf("got %v, want a refusal (exit 1)", err)
	}
	if after, _ := os.ReadFile(file); string(after) != string(before) {
		t.Error("the file was overwritten")
	}
	for _, args := range [][]string{{"init", "--output", filepath.Dir(file), "--force"}, {"init", "--output", "/none/p.toml"}, {"init", "--output", "/none/p.toml", "--force"}} {
		if _, _, err := run(t, machine(), args...); err == nil || !strings.Contains(err.Error(), "cannot be written") {
			t.Errorf("%q: got %v", args, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(file)), "*", ".parley-*")); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestTemplateOffersNothingUnsafe(t *testing.T) {
	text := withExtra().template(false)
	if strings.Contains(text, "#test-unsafe = ") || !strings.Contains(text, "# Unsafe: ") || !strings.Contains(text, "#test-token = \"\"\n") {
		t.Errorf("got\n%s", text[strings.Index(text, "---- Test"):])
	}
}

func TestCheckReportsAndExitsWith2(t *testing.T) {
	file := writeTemp(t, "p.toml", "max-clients = 0\n")
	for _, args := range [][]string{{"check", file}, {"check", "--json", file}, {"check", "--config-file", file}, {"show", "--config-file", file}} {
		stdout, _, err := run(t, machine(), args...)
		var wrong *UsageError
		if !errors.As(err, &wrong) || wrong.ExitCode() != ExitUsage || len(wrong.Problems) != 1 {
			t.Errorf("%q: got %v", args, err)
		}
		if !slices.Contains(args, "--json") {
			continue
		}
		var report checkReport
		if err := json.Unmarshal([]byte(stdout), &report); err != nil {
			t.Fatal(err)
		}
		p := report.Problems[0]
		want := problemJSON{
			Option: "max-clients", Value: "0", Origin: originJSON{SourceFile, file, 1, 1},
			Cause: "is out of range", Next: "allowed are 1 to 1000000", Message: wrong.Error(),
		}
		if diff := cmp.Diff(want, p); diff != "" || report.OK || len(report.Problems) != 1 {
			t.Errorf("report %+v\n%s", report, diff)
		}
	}
}

func TestCheckWarns(t *testing.T) {
	opts := machine("PARLEY_LOG_LEVLE=info")
	opts.table = withExtra()
	stdout, stderr, err := run(t, opts, "check", "--test-unsafe=true")
	want := "config: warning: environment PARLEY_LOG_LEVLE: no option has this name; did you mean PARLEY_LOG_LEVEL?\n" +
		"config: warning: test-unsafe is unsafe and in effect\n"
	if err != nil || stderr != want || stdout != "no file, environment and flags: ok\n" {
		t.Errorf("%v, %q, %q", err, stdout, stderr)
	}
}

func TestCheckOpensNoSocket(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	if _, _, err := run(t, machine(), "check", "--clandestine-port", port, "--metrics-address", "127.0.0.2:"+port); err != nil {
		t.Errorf("a taken port is no mistake of the configuration: %v", err)
	}
}

func TestWrongUsage(t *testing.T) {
	for want, args := range map[string][]string{
		`config: config has no verb "chekc"; run one of: init, check, show, explain`:           {"chekc"},
		`config: no option is called "relay-adress"; did you mean "relay-address"?`:            {"explain", "relay-adress"},
		`config: no option is called "colour"; "parley config explain" lists all names`:        {"explain", "colour"},
		`config: explain does not take "b"; "config explain --help" shows how it is used`:      {"explain", "a", "b"},
		`config: show does not take "x"; "config show --help" shows how it is used`:            {"show", "x"},
		`config: unknown flag: --relay-adress; "config check --help" lists the flags`:          {"check", "--relay-adress", "::1"},
		`config: there is no file to write; give --output FILE, or neither --force nor --json`: {"init", "--force"},
		`config: FILE is blank; name a file, or leave it out`:                                  {"check", ""},
		`config: flag needs an argument: --max-clients; "config check --help" lists the flags`: {"check", "--max-clients"},
	} {
		_, _, err := run(t, machine(), args...)
		var wrong *UsageError
		if !errors.As(err, &wrong) || err.Error() != want {
			t.Errorf("%q\n got: %v\nwant: %s", args, err, want)
		}
	}
	if stdout, _, err := run(t, machine()); err != nil || !strings.Contains(stdout, "explain") {
		t.Errorf("config alone: %v, %q", err, stdout)
	}
}

func TestCompletion(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"explain", "clandestine"}, "clandestine-port\tport for relay clients\n:4\n"},
		{[]string{"explain", "max-clients", ""}, ":4\n"},
		{[]string{"show", "--log-level", ""}, "off\nerror\nwarn\ninfo\ndebug\ntrace\n:4\n"},
		{[]string{"check", "--metrics-address", ""}, "127.0.0.1:9464\noff\n:4\n"},
		{[]string{"check", "--test-unsafe", ""}, "true\nfalse\n:4\n"},
		{[]string{"check", "--config-file", ""}, ":0\n"},
		{[]string{"check", ""}, "toml\n:8\n"},
		{[]string{"check", "a.toml", ""}, ":4\n"},
	} {
		opts := machine()
		opts.table = withExtra()
		stdout, _, err := run(t, opts, append([]string{"__complete"}, c.args...)...)
		if err != nil || stdout != c.want {
			t.Errorf("completing %q: %v\n got: %q\nwant: %q", c.args, err, stdout, c.want)
		}
	}
}

func TestEveryVerbHasAnExample(t *testing.T) {
	for _, cmd := range append(Command().Commands(), Command()) {
		if cmd.Example == "" || cmd.Short == "" {
			t.Errorf("%s has no example or short help", cmd.Name())
		}
	}
}

// TestACommandOfMain does what "parley node" does with this package.
func TestACommandOfMain(t *testing.T) {
	t.Setenv("PARLEY_CONFIG_FILE", "")
	var node Node
	cmd := &cobra.Command{Use: "node", SilenceErrors: true, SilenceUsage: true, RunE: func(cmd *cobra.Command, _ []string) error {
		values, err := Load(LoadOptions{Flags: cmd.Flags()})
		if err == nil {
			node = values.Node()
		}
		return err
	}}
	Flags(cmd.Flags())
	if err := RegisterCompletions(cmd); err != nil {
		t.Fatal(err)
	}
	cmd.SetArgs([]string{"--clandestine-port", "0", "--relay-origins", "null"})
	if err := cmd.Execute(); err != nil || node.ClandestinePort != 0 || node.Name == "" || !cmp.Equal(node.RelayOrigins, []string{"null"}) {
		t.Errorf("%v, %+v", err, node)
	}
}
