package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFileIsRefused(t *testing.T) {
	for _, c := range []struct {
		content string
		want    []string
	}{
		{"\n  relay-adress = \"::1\"\n", []string{`config: f.toml:2:3: unknown key "relay-adress"; did you mean "relay-address"?`}},
		{"colour = 1\n", []string{`config: f.toml:1:1: unknown key "colour"; "parley config explain" lists all names`}},
		{"[relay]\naddress = \"::1\"\n", []string{`config: f.toml:1:2: unknown key "relay"; options stand at the top level: write their names without a table`}},
		{"[relay.address]\n", []string{`config: f.toml:1:2: unknown key "relay.address"; did you mean "relay-address"?`}},
		{"relay.address = \"::1\"\n", []string{`config: f.toml:1:1: unknown key "relay.address"; did you mean "relay-address"?`}},
		{"[relay-address]\nx = 1\n", []string{
			`config: f.toml:1:2: relay-address: is a table, not an address; write it as relay-address = "127.0.0.1"; allowed are an IP address, localhost`,
		}},
		{"log-level = info\n", []string{`config: f.toml:1:16: is not TOML: expected newline but got U+006F 'o'; correct the line; text stands in quotes, as: log-level = "info"`}},
		{"max-clients = 1\nmax-clients = 2\n", []string{`config: f.toml:2:1: is not TOML: key max-clients is already defined; correct the line; text stands in quotes, as: log-level = "info"`}},
		{"max-clients = \"5\"\n", []string{`config: f.toml:1:1: max-clients: "5" is text, not an int; write it without quotes; allowed are 1 to 1000000`}},
		{"max-clients = 1.5\n", []string{`config: f.toml:1:1: max-clients: "1.5" is a number with a fraction, not an int; write it as max-clients = 100000; allowed are 1 to 1000000`}},
		{"ping-interval = 30\n", []string{`config: f.toml:1:1: ping-interval: "30" is a whole number, not a duration; write it as ping-interval = "30s"; allowed are 100ms to 1h`}},
		{"log-format = true\n", []string{`config: f.toml:1:1: log-format: "true" is true or false, not a choice; write it as log-format = "text"; allowed are text, json`}},
		{"node-name = 1979-05-27\n", []string{`config: f.toml:1:1: node-name: "1979-05-27" is a date or time, not a text; write it as node-name = "node1"; allowed are 1 to 64 of A-Z a-z 0-9 . _ -`}},
		{"max-frame = -1\n", []string{`config: f.toml:1:1: max-frame: "-1" is not a size; write bytes, or a number with KiB, MiB or GiB, as 1048576 or 1MiB; allowed are 1KiB to 64MiB`}},
		{"relay-hosts = [1]\n", []string{`config: f.toml:1:1: relay-hosts: "1" is not text; write each text of the list in quotes, as ["a", "b"]`}},
		{"relay-hosts = [\"a,b\"]\n", []string{`config: f.toml:1:1: relay-hosts: "a,b" contains a comma, or a space at its end; write each text of the list by itself`}},
		{"config-file = \"x\"\n", []string{`config: f.toml:1:1: config-file: cannot be set in the file; use --config-file or PARLEY_CONFIG_FILE`}},
		{"test-unsafe = \"on\"\n", []string{`config: f.toml:1:1: test-unsafe: "on" is text, not a bool; write it without quotes; allowed are true, false`}},
		{"max-clients = 0\n# comment\nlog-levle = \"info\"\n\tdead-after = \"1s\"\n", []string{
			`config: f.toml:3:1: unknown key "log-levle"; did you mean "log-level"?`,
			`config: f.toml:1:1: max-clients: "0" is out of range; allowed are 1 to 1000000`,
			`config: f.toml:4:2: dead-after: "1s" must be longer than ping-interval ("30s", default); raise the one or lower the other`,
		}},
	} {
		opts := machine()
		opts.table = withExtra()
		opts.File = writeTemp(t, "f.toml", c.content)
		if diff := cmp.Diff(c.want, problemsOf(t, opts)); diff != "" {
			t.Errorf("file %q: -want +got\n%s", c.content, diff)
		}
	}
}

func TestFileIsAccepted(t *testing.T) {
	opts := machine()
	opts.table = withExtra()
	opts.File = writeTemp(t, "f.toml", `
max-frame = 65536
outbound-ceiling = 1073741824
outbound-limit = "64KiB"
relay-hosts = ["a.example", "b.example"]
relay-origins = "https://a.example, null"
test-switch = true
"log-level" = 'debug'
`)
	values := mustLoad(t, opts)
	node := values.Node()
	if node.MaxFrame != 65536 || node.OutboundCeiling != 1<<30 || node.OutboundLimit != 65536 || node.LogLevel != "debug" || !values.Bool("test-switch") {
		t.Errorf("got %+v", node)
	}
	if diff := cmp.Diff([][]string{{"a.example", "b.example"}, {"https://a.example", "null"}}, [][]string{node.RelayHosts, node.RelayOrigins}); diff != "" {
		t.Error(diff)
	}
}

func TestFileCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	large := writeTemp(t, "f.toml", strings.Repeat("# filler\n", maxFile/8))
	for _, c := range []struct{ file, want string }{
		{filepath.Join(dir, "none.toml"), "does not exist; write one with: parley config init --output none.toml"},
		{dir + "/", "is a directory; name a file in it"},
		{large, "is larger than 128KiB; name a configuration file"},
	} {
		opts := machine()
		opts.File = c.file
		got := problemsOf(t, opts)
		if len(got) != 1 || !strings.HasPrefix(got[0], "config: config-file: ") || !strings.HasSuffix(got[0], c.want) {
			t.Errorf("file %q: got %q, want %q", c.file, got, c.want)
		}
	}
	_, err := Load(machine("PARLEY_CONFIG_FILE=none.toml"))
	want := `config: environment PARLEY_CONFIG_FILE: config-file: "none.toml" does not exist; write one with: parley config init --output none.toml`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestAFileOfManyKeysIsRefusedAtOnce: every form that the strict decoder
// reports key by key must be counted first.
func TestAFileOfManyKeysIsRefusedAtOnce(t *testing.T) {
	for _, form := range []string{"k%d = 1\n", "a.k%d = 1\n", "[k%d]\n", "[a.k%d]\n", "[[a]]\n#%d\n", "[[a]]\nk%d.b = 1\n"} {
		var content strings.Builder
		for i := range maxKeys + 1 {
			fmt.Fprintf(&content, form, i)
		}
		opts := machine()
		opts.File = writeTemp(t, "f.toml", content.String())
		want := []string{"config: f.toml:1:1: config-file: has more than 500 keys; name a configuration file of Parley"}
		if diff := cmp.Diff(want, problemsOf(t, opts)); diff != "" {
			t.Errorf("%q: -want +got\n%s", form, diff)
		}
	}
}

func TestSecretInAReadableFileIsRefused(t *testing.T) {
	opts := machine()
	opts.table = withExtra()
	opts.File = writeTemp(t, "f.toml", "test-token = \"hunter2\"\n")
	if got := mustLoad(t, opts).String("test-token"); got != "hunter2" {
		t.Errorf("got %q", got)
	}
	if err := os.Chmod(opts.File, 0o640); err != nil {
		t.Fatal(err)
	}
	want := []string{"config: f.toml:1:1: test-token: is secret, but others may read the file (mode 0640); run: chmod 600 f.toml"}
	if diff := cmp.Diff(want, problemsOf(t, opts)); diff != "" {
		t.Error(diff)
	}
}

func TestRelativePathsAreBesideTheFile(t *testing.T) {
	certificate, _ := writePair(t, 0o600)
	opts := machine()
	opts.File = filepath.Join(filepath.Dir(certificate), "f.toml")
	if err := os.WriteFile(opts.File, []byte("relay-tls-certificate = \"c.pem\"\nrelay-tls-key = \"k.pem\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := mustLoad(t, opts).Node().RelayTLSCertificate; got != certificate {
		t.Errorf("got %q, want %q", got, certificate)
	}
}

func TestShellWord(t *testing.T) {
	for name, want := range map[string]string{"/etc/parley/a-b_1.toml": "/etc/parley/a-b_1.toml", "a b": "'a b'", "it's": `'it'\''s'`, "": "''", "$x": "'$x'"} {
		if got := shellWord(name); got != want {
			t.Errorf("shellWord(%q) = %s, want %s", name, got, want)
		}
	}
}

// FuzzFile feeds any bytes to the file layer: it never panics, and either names a place
// for every problem of the file or gives values within their ranges.
func FuzzFile(f *testing.F) {
	for _, seed := range []string{
		"", "max-clients = 5\n", "[relay]\naddress = 1", "a.b = {c = [1, 2.5, true]}", "relay-hosts = [\"a\"]\nlog-level = 'x'", "\xef\xbb\xbf# bom",
		"[[x]]\n[[x]]\n", "ping-interval = \"1h\"\ndead-after = \"1s\"", "max-frame = 0x10_00", "\"\\u0000\" = 07:32:00", "node-name = \"\"\"\na\"\"\"",
		// Small seeds only: a fuzzer spends minutes on making large ones smaller.
		"max-frame = \"64KiB\"\noutbound-ceiling = \"25%\"\nmetrics-address = \"off\"\n", "relay-origins = \"null, https://a.example\"\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		entries, problems := parley.decodeFile("f.toml", content)
		for _, p := range problems {
			if p.Origin.Line < 1 || p.Origin.Column < 1 || p.Cause == "" {
				t.Errorf("no place or cause: %s", p.Error())
			}
		}
		l := newLoader(machine())
		l.apply(l.defaults())
		l.apply(entries)
		l.compute()
		l.crossCheck()
		if err := (&UsageError{Problems: l.problems}); len(l.problems) > 0 && strings.Contains(err.Error(), "\x1b") {
			t.Errorf("control character in %q", err)
		}
		for _, e := range entries {
			if e.origin.Line < 1 || e.option == nil {
				t.Errorf("entry without a place: %+v", e)
			}
			value, bad := e.option.parseFile(e.raw)
			if bad != nil {
				continue
			}
			if again, bad := e.option.parseText(e.option.format(value)); bad != nil || !cmp.Equal(again, value) {
				t.Errorf("%s: %v reads back as %v, %v", e.option.Name, value, again, bad)
			}
		}
	})
}

// uncommented takes the # before every setting of a template away.
func uncommented(template string) string {
	lines := strings.Split(template, "\n")
	for i, line := range lines {
		if len(line) > 1 && line[0] == '#' && line[1] != ' ' {
			lines[i] = line[1:]
		}
	}
	return strings.Join(lines, "\n")
}

var errNoName = errors.New("no name")
