package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// set gives machine's LoadOptions for a Node under a Daemon.
func set(settings ...Setting) LoadOptions {
	opts := machine()
	opts.Settings = append([]Setting{}, settings...)
	return opts
}

// TestSettingsAreAsGoodAsFlags: every default, and every sample alone and with all
// others, makes the same Node either way.
func TestSettingsAreAsGoodAsFlags(t *testing.T) {
	samples := samples(t)
	delete(samples, optUIPort)
	same := func(values map[string]string) {
		t.Helper()
		var settings []Setting
		for name, value := range values {
			settings = append(settings, Setting{name, value})
		}
		want, got := mustLoad(t, giving(t, machine(), values)).Node(), mustLoad(t, set(settings...)).Node()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: -flags +settings\n%s", values, diff)
		}
	}
	same(nil)
	same(samples)
	defaults := map[string]string{}
	for _, row := range SetupSpace(machine()).Rows {
		defaults[row.Name] = row.Default
		same(map[string]string{row.Name: row.Default})
		if sample, ok := samples[row.Name]; ok && !strings.HasPrefix(row.Name, "relay-tls") {
			same(map[string]string{row.Name: sample})
		}
	}
	same(defaults)
}

// TestStoredSettingsAreTaken: what the Setup space stores, a Node takes.
func TestStoredSettingsAreTaken(t *testing.T) {
	space := SetupSpace(machine())
	rapid.Check(t, func(t *rapid.T) {
		row := rapid.SampledFrom(space.Rows).Draw(t, "row")
		value := rapid.OneOf(rapid.SampledFrom([]string{row.Default, "on", "off", "7", "1025", "1m", "2MiB", "50%", "::1", "null", "a-b", "/x/y", "1000"}), rapid.String()).Draw(t, "value")
		stored, problem := space.Check(row.Name, value)
		if problem != "" || strings.HasPrefix(row.Name, "relay-tls") {
			return
		}
		problems, required := space.Cross(inEffect(space, map[string]string{row.Name: stored}))
		if _, err := Load(set(Setting{row.Name, stored})); (err == nil) != (len(problems)+len(required) == 0) && row.Name != optRealUser {
			t.Fatalf("%s = %q: %v; the space says %q, %q", row.Name, stored, err, problems, required)
		}
	})
}

func TestWithSettingsNothingElseIsLookedAt(t *testing.T) {
	opts := set(Setting{"max-channels", "5"}, Setting{"config-file", "/none/parley.toml"})
	opts.Environ = func() []string { return []string{"PARLEY_MAX_CLIENTS=none", "PARLEY_X=y"} }
	opts.File = "/none/other.toml"
	opts.Flags = parsed(t, parley, "--max-clients", "many")
	values := mustLoad(t, opts)
	if node := values.Node(); node.MaxChannels != 5 || node.MaxClients != 100000 || node.ConfigFile != "/none/parley.toml" || len(values.Warnings()) != 0 {
		t.Errorf("got %+v, %q", node, values.Warnings())
	}
	if got := values.Origin("max-channels").String(); got != "setup" {
		t.Errorf("comes from %q", got)
	}
}

func TestWrongSettings(t *testing.T) {
	want := []string{
		`config: setup: no parameter is called "max-cleints"; start the Node by a Daemon of its own version`,
		`config: setup: no parameter is called "ui-port"; start the Node by a Daemon of its own version`,
		`config: setup: data-directory: "here" is not the full name of a directory; write it with a slash at its beginning, as /var/lib/parley`,
		`config: setup: log-level: "loud" is not a choice; write one of: off, error, warn, info, debug, trace`,
		`config: setup: relay-token: "****************" is not a token; allowed are 1 to 256 of A-Z a-z 0-9 . _ ~ -`,
		`config: neighbors: are needed by neighborhood-mode ("consume-only", setup); name at least one node, or choose another neighborhood-mode`,
	}
	got := problemsOf(t, set(Setting{"max-cleints", "1"}, Setting{"ui-port", "5333"}, Setting{"data-directory", "here"},
		Setting{"log-level", "loud"}, Setting{"relay-token", "hunter 2"}, Setting{"neighborhood-mode", "consume-only"}))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestRelativeSettingsAreInTheDataDirectory(t *testing.T) {
	certificate, _ := writePair(t, 0o600)
	dir := filepath.Dir(certificate)
	node := mustLoad(t, set(Setting{"relay-tls-certificate", "c.pem"}, Setting{"relay-tls-key", "k.pem"}, Setting{"log-file", "n.log"}, Setting{"data-directory", dir})).Node()
	if node.RelayTLSCertificate != certificate || node.LogFile != filepath.Join(dir, "n.log") {
		t.Errorf("got %q, %q", node.RelayTLSCertificate, node.LogFile)
	}
	if err := os.Remove(certificate); err != nil {
		t.Fatal(err)
	}
	got := problemsOf(t, set(Setting{"relay-tls-certificate", certificate}, Setting{"relay-tls-key", "k.pem"}, Setting{"data-directory", dir}))
	if len(got) != 1 || !strings.Contains(got[0], "setup: relay-tls-certificate: ") || !strings.Contains(got[0], "cannot be read") {
		t.Errorf("got %q", got)
	}
}
