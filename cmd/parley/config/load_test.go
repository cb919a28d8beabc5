package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPrecedence(t *testing.T) {
	file := writeTemp(t, "f.toml", "max-clients = 2\nmax-channels = 2\npassword-queue = 2\n")
	opts := machine("PARLEY_MAX_CHANNELS=3", "PARLEY_PASSWORD_QUEUE=3", "PARLEY_CONFIG_FILE="+file, "PARLEY_MAX_CLIENTS=", "HOME=/x")
	opts.Flags = parsed(t, parley, "--password-queue", "4", "--relay-hosts", "a.example", "--relay-hosts=b.example,c.example")
	values := mustLoad(t, opts)
	for _, c := range []struct{ name, text, origin string }{
		{"connect-burst", "400", "default"},
		{"max-clients", "2", file + ":1"},
		{"max-channels", "3", "environment PARLEY_MAX_CHANNELS"},
		{"password-queue", "4", "flag --password-queue"},
		{"relay-hosts", "a.example,b.example,c.example", "flag --relay-hosts"},
		{"config-file", file, "environment PARLEY_CONFIG_FILE"},
		{"node-name", "b-ro-pc.local", "default"},
	} {
		if got := values.Text(c.name); got != c.text {
			t.Errorf("%s = %q, want %q", c.name, got, c.text)
		}
		if got := values.Origin(c.name).String(); got != c.origin {
			t.Errorf("%s comes from %q, want %q", c.name, got, c.origin)
		}
	}
}

func TestConfigFilePrecedence(t *testing.T) {
	argument, flagged, variable := writeTemp(t, "a.toml", "max-clients = 1\n"), writeTemp(t, "b.toml", "max-clients = 2\n"), writeTemp(t, "c.toml", "max-clients = 3\n")
	opts := machine("PARLEY_CONFIG_FILE=" + variable)
	if got := mustLoad(t, opts).Int("max-clients"); got != 3 {
		t.Errorf("environment: %d", got)
	}
	opts.Flags = parsed(t, parley, "--config-file", flagged)
	if got := mustLoad(t, opts).Int("max-clients"); got != 2 {
		t.Errorf("flag: %d", got)
	}
	opts.File = argument
	values := mustLoad(t, opts)
	if values.Int("max-clients") != 1 || values.Node().ConfigFile != argument || values.Origin("config-file").String() != "argument" {
		t.Errorf("argument: %d, %q, %q", values.Int("max-clients"), values.Node().ConfigFile, values.Origin("config-file"))
	}
	opts.File = ""
	opts.Flags = parsed(t, parley, "--config-file=")
	if got := mustLoad(t, opts).Int("max-clients"); got != 100000 {
		t.Errorf("no file asked for: %d", got)
	}
}

func TestAnExplicitBlankFlagOverrides(t *testing.T) {
	opts := machine("PARLEY_RELAY_HOSTS=a.example")
	opts.Flags = parsed(t, parley, "--relay-hosts=")
	if got := mustLoad(t, opts).Node().RelayHosts; len(got) != 0 {
		t.Errorf("got %q", got)
	}
}

func TestProblemsOfAllLayersAreReportedTogether(t *testing.T) {
	opts := machine("PARLEY_MAX_CLIENTS=many", "PARLEY_MAX_CHANELS=1", "PARLEY_SERVICE_HOST=x")
	opts.File = writeTemp(t, "f.toml", "max-clients = -1\nnmae = 1\n")
	opts.Flags = parsed(t, parley, "--log-level", "loud", "--half-open-total=10", "--ping-interval=9", "--dead-after=1s")
	want := []string{
		`config: f.toml:2:1: unknown key "nmae"; did you mean "node-name"?`,
		`config: f.toml:1:1: max-clients: "-1" is out of range; allowed are 1 to 1000000`,
		`config: environment PARLEY_MAX_CLIENTS: max-clients: "many" is not a whole number; allowed are 1 to 1000000`,
		`config: flag --log-level: log-level: "loud" is not a choice; write one of: off, error, warn, info, debug, trace`,
		`config: flag --ping-interval: ping-interval: "9" is not a duration; write a number with a unit, as 500ms, 30s or 1m30s; allowed are 100ms to 1h`,
		`config: flag --half-open-total: half-open-total: "10" must not be smaller than half-open-per-address ("256", default); raise the one or lower the other`,
	}
	if diff := cmp.Diff(want, problemsOf(t, opts)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestUnknownVariablesAreWarnings(t *testing.T) {
	want := []string{
		"environment PARLEY_MAX_CHANELS: no option has this name; did you mean PARLEY_MAX_CHANNELS?",
		"environment PARLEY_SERVICE_HOST: no option has this name",
	}
	if diff := cmp.Diff(want, mustLoad(t, machine("PARLEY_SERVICE_HOST=x", "PARLEY_MAX_CHANELS=1")).Warnings()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestCrossChecks(t *testing.T) {
	for _, c := range []struct{ environ, want string }{
		{"PARLEY_DEAD_AFTER=30s", `config: environment PARLEY_DEAD_AFTER: dead-after: "30s" must be longer than ping-interval ("30s", default); raise the one or lower the other`},
		{"PARLEY_PING_INTERVAL=80s", `config: dead-after: "75s" must be longer than ping-interval ("80s", environment PARLEY_PING_INTERVAL); raise the one or lower the other`},
		{"PARLEY_OUTBOUND_LIMIT=1GiB PARLEY_OUTBOUND_CEILING=512MiB", `config: environment PARLEY_OUTBOUND_LIMIT: outbound-limit: "1GiB" must not be larger than outbound-ceiling ("512MiB", environment PARLEY_OUTBOUND_CEILING); the ceiling is 536870912 bytes on this machine: lower the limit or raise the ceiling`},
		{"PARLEY_OUTBOUND_LIMIT=1GiB PARLEY_OUTBOUND_CEILING=2%", `config: environment PARLEY_OUTBOUND_LIMIT: outbound-limit: "1GiB" must not be larger than outbound-ceiling ("2%", environment PARLEY_OUTBOUND_CEILING); the ceiling is 171798690 bytes on this machine: lower the limit or raise the ceiling`},
		{"PARLEY_METRICS_ADDRESS=127.0.0.1:8912", `config: environment PARLEY_METRICS_ADDRESS: metrics-address: "127.0.0.1:8912" takes the same address and port as the relay does by clandestine-port ("8912", default); choose another port for one of them, or off for metrics`},
		{"PARLEY_METRICS_ADDRESS=localhost:8912 PARLEY_RELAY_ADDRESS=0.0.0.0", `config: environment PARLEY_METRICS_ADDRESS: metrics-address: "localhost:8912" takes the same address and port as the relay does by clandestine-port ("8912", default); choose another port for one of them, or off for metrics`},
		{"PARLEY_METRICS_ADDRESS=127.0.0.1:0 PARLEY_CLANDESTINE_PORT=0", ""},
		{"PARLEY_METRICS_ADDRESS=127.0.0.2:8912", ""},
		{"PARLEY_METRICS_ADDRESS=off PARLEY_OUTBOUND_LIMIT=1GiB PARLEY_OUTBOUND_CEILING=1GiB", ""},
	} {
		got := strings.Join(problemsOf(t, machine(strings.Fields(c.environ)...)), "\n")
		if got != c.want {
			t.Errorf("%s\n got: %s\nwant: %s", c.environ, got, c.want)
		}
	}
}

func TestUnknownMemory(t *testing.T) {
	opts := machine()
	opts.Memory = func() (int64, error) { return 0, errors.New("no such file") }
	want := []string{`config: outbound-ceiling: "25%" is a percentage, but the size of the memory is unknown (no such file); write a size, as 512MiB`}
	if diff := cmp.Diff(want, problemsOf(t, opts)); diff != "" {
		t.Error(diff)
	}
	opts.Environ = func() []string { return []string{"PARLEY_OUTBOUND_CEILING=512MiB"} }
	mustLoad(t, opts)
}

// writePair writes a certificate c.pem that is good for an hour, and its key k.pem.
func writePair(t *testing.T, keyMode os.FileMode) (certificate, key string) {
	t.Helper()
	return writePairUntil(t, keyMode, time.Now().Add(time.Hour))
}

func writePairUntil(t *testing.T, keyMode os.FileMode, end time.Time) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: end.Add(-2 * time.Hour), NotAfter: end, DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certificate, key = filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	if err := os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(key, keyMode); err != nil {
		t.Fatal(err)
	}
	return certificate, key
}

func TestTLSPair(t *testing.T) {
	certificate, key := writePair(t, 0o600)
	_, otherKey := writePair(t, 0o600)
	_, openKey := writePair(t, 0o640)
	for _, c := range []struct{ certificate, key, want string }{
		{certificate, key, ""},
		{certificate, "", `needs relay-tls-key ("", flag --relay-tls-key); set both for TLS, or neither`},
		{"", key, `needs relay-tls-certificate ("", flag --relay-tls-certificate); set both for TLS, or neither`},
		{certificate, "/none/k.pem", `relay-tls-key: "/none/k.pem" cannot be read: no such file or directory; name a file that the node's user can read`},
		{filepath.Dir(certificate), key, `is a directory; name a file in it`},
		{certificate, openKey, `is open to other users (mode 0640); run: chmod 600 ` + openKey},
		{certificate, otherKey, `(private key does not match public key)`},
		{key, key, `name a PEM certificate and its own PEM key (failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched)`},
	} {
		opts := machine()
		opts.Flags = parsed(t, parley, "--relay-tls-certificate", c.certificate, "--relay-tls-key", c.key)
		got := problemsOf(t, opts)
		if c.want == "" && got == nil {
			continue
		}
		if len(got) != 1 || !strings.HasSuffix(got[0], c.want) {
			t.Errorf("%q, %q: got %q, want one that ends in %q", c.certificate, c.key, got, c.want)
		}
	}
}

func TestAnEndedCertificateIsAWarning(t *testing.T) {
	certificate, key := writePairUntil(t, 0o600, time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC))
	warnings := mustLoad(t, machine("PARLEY_RELAY_TLS_CERTIFICATE="+certificate, "PARLEY_RELAY_TLS_KEY="+key)).Warnings()
	if len(warnings) != 1 || !strings.Contains(warnings[0], "ended on 2020-01-02") {
		t.Errorf("got %q", warnings)
	}
}

func TestUnsafeIsReported(t *testing.T) {
	opts := machine()
	opts.table = withExtra()
	if got := mustLoad(t, opts).Unsafe(); len(got) != 0 {
		t.Errorf("by default: %q", got)
	}
	opts.Flags = parsed(t, opts.table, "--test-unsafe=true", "--test-switch")
	values := mustLoad(t, opts)
	if diff := cmp.Diff([]string{"test-unsafe"}, values.Unsafe()); diff != "" || !values.Bool("test-switch") {
		t.Error(diff)
	}
	if opts.Flags.Lookup("test-unsafe").NoOptDefVal != "" {
		t.Error("an unsafe switch can be set without writing its value")
	}
	if opts.Flags.Lookup("test-token") != nil {
		t.Error("a secret has a flag")
	}
}

func TestGettersPanicOnForeignNames(t *testing.T) {
	values := mustLoad(t, machine())
	for name, get := range map[string]func(){
		"name": func() { values.Int("no-such") }, "kind": func() { values.Int("log-level") }, "text": func() { values.Text("no-such") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			get()
		}()
	}
}
