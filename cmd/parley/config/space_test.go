package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"parley/actors/daemon"
)

// inSpec are the parameters that user interfaces of the protocol know. Source:
// gateways/uiv2/PROTOCOL.md, Setup space.
var inSpec = strings.Fields(`chain clandestine-port config-file crash-point data-directory db-password enclave-address enclave-port enclave-alias
	ip log-level master max-peer-links neighborhood-mode neighbors node-name public-url real-user relay-address relay-token star-address star-port
	star-crypto-challenge star-strict-multiaddr star-announce ui-users ui-origins blockchain-service-url consuming-private-key dns-servers
	earning-wallet gas-price mapping-protocol min-hops new-public-key payment-thresholds rate-pack scan-intervals scans`)

func TestSpaceRows(t *testing.T) {
	rows := SetupSpace(machine()).Rows
	byName := map[string]daemon.Row{}
	for i, row := range rows {
		byName[row.Name] = row
		if i > 0 && rows[i-1].Name >= row.Name {
			t.Errorf("%q stands after %q", row.Name, rows[i-1].Name)
		}
	}
	for _, name := range inSpec {
		if _, ok := byName[name]; !ok {
			t.Errorf("no parameter %q", name)
		}
	}
	if len(rows) != len(Table())-1 || byName[optUIPort].Name != "" {
		t.Errorf("%d parameters of %d options", len(rows), len(Table()))
	}
	for _, want := range []daemon.Row{
		{Name: "chain", Default: "dev"},
		{Name: "clandestine-port", Default: "8912"},
		{Name: "data-directory", Default: "/home/anna/.local/share/parley", Owner: true},
		{Name: "node-name", Default: "b-ro-pc.local"},
		{Name: "real-user", Default: "", Owner: true},
		{Name: "enclave-alias", Default: ""},
		{Name: "db-password", Secret: true},
		{Name: "consuming-private-key", Secret: true},
		{Name: "neighborhood-mode", Default: "standard"},
		{Name: "relay-tls-key", Owner: true},
	} {
		if diff := cmp.Diff(want, byName[want.Name]); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}
	var owner, secret []string
	for _, row := range rows {
		if row.Owner {
			owner = append(owner, row.Name)
		}
		if row.Secret {
			secret = append(secret, row.Name)
		}
	}
	if diff := cmp.Diff([]string{
		"config-file", "crash-point", "data-directory", "log-file", "real-user", "relay-tls-certificate", "relay-tls-key", "ui-access", "ui-origins", "ui-users",
	}, owner); diff != "" {
		t.Errorf("owner only: %s", diff)
	}
	if diff := cmp.Diff([]string{"consuming-private-key", "db-password", "relay-token"}, secret); diff != "" {
		t.Errorf("secret: %s", diff)
	}
	opts := machine("SUDO_UID=1001", "SUDO_GID=1001")
	opts.User = func() int { return 0 }
	for _, row := range SetupSpace(opts).Rows {
		if want := map[string]string{"data-directory": "/var/lib/parley", "real-user": "1001:1001:/home/ben"}[row.Name]; want != "" && row.Default != want {
			t.Errorf("of root: %s is %q by default", row.Name, row.Default)
		}
	}
}

func TestSpaceCheck(t *testing.T) {
	check := SetupSpace(machine()).Check
	for _, c := range []struct{ name, value, stored, problem string }{
		{"clandestine-port", "08912", "8912", ""},
		{"max-frame", "1024KiB", "1MiB", ""},
		{"ping-interval", "60s", "1m", ""},
		{"relay-hosts", " a.example , b.example", "a.example,b.example", ""},
		{"ui-users", "anna", "anna", ""},
		{"config-file", "parley.toml", "parley.toml", ""},
		{"neighbors", "parley://hunter2@b:1", "parley://hunter2@b:1", ""},
		{"db-password", "hunter2", "hunter2", ""},
		{"relay-hosts", "", "", ""},
		{"clandestine-port", "", "", "a blank value is not a whole number; allowed are 1025 to 65535, or 0: any free port"},
		{"log-level", "loud", "", `"loud" is not a choice; write one of: off, error, warn, info, debug, trace`},
		{"data-directory", "here", "", `"here" is not the full name of a directory; write it with a slash at its beginning, as /var/lib/parley`},
		{"data-directory", "", "", `a blank value is not the full name of a directory; write it with a slash at its beginning, as /var/lib/parley`},
		{"real-user", "", "", `a blank value is not <uid>:<gid>:<home>; clear it to get its default back`},
		{"real-user", "0:1000:/root", "", `"0:1000:/root" is root, whose powers a Node must not have; allowed are <uid>:<gid>:<home>, neither of them root's`},
		{"chain", "", "", `a blank value is not a chain's name; allowed are 1 to 32 of a-z 0-9 -`},
		{"ui-users", "anna,alcie", "", `"alcie" is not a user of this machine; write a name that stands in /etc/passwd, or the number that "id -u NAME" prints`},
		{"relay-token", "hunter 2", "", `"****************" is not a token; allowed are 1 to 256 of A-Z a-z 0-9 . _ ~ -`},
		{"neighbors", "hunter2", "", `"****************" does not begin with parley://` + neighborTail},
		{"scans", strings.Repeat("x", maxText+1), "", `"` + strings.Repeat("x", maxQuoted) + `"… is longer than 16KiB; shorten it`},
		{"ui-port", "5333", "", "unknown parameter"},
		{"clandestine-prot", "1", "", "unknown parameter"},
	} {
		stored, problem := check(c.name, c.value)
		if stored != c.stored || problem != c.problem {
			t.Errorf("%s = %.40q\n got: %q, %s\nwant: %q, %s", c.name, c.value, stored, problem, c.stored, c.problem)
		}
	}
}

// TestSpaceCheckSettles: what is stored is accepted again, unchanged.
func TestSpaceCheckSettles(t *testing.T) {
	space := SetupSpace(machine())
	words := []string{"", "0", "1", "-1", "08", "9000", "1s", "90s", "1MiB", "2048", "25%", "on", "off", "true", "::1", "127.0.0.1:0", "localhost", "a,b", " a ", "/x", "anna", "1001"}
	for _, sample := range samples(t) {
		words = append(words, sample)
	}
	slices.Sort(words)
	rapid.Check(t, func(t *rapid.T) {
		row := rapid.SampledFrom(space.Rows).Draw(t, "row")
		value := rapid.OneOf(rapid.SampledFrom(words), rapid.String(), rapid.StringMatching(`[0-9]{1,6}(KiB|MiB|%|s|ms|m)?`)).Draw(t, "value")
		stored, problem := space.Check(row.Name, value)
		if problem != "" {
			if stored != "" || strings.ContainsAny(problem, "\n\x1b") || (row.Secret && len(value) > 10 && strings.Contains(problem, value)) {
				t.Fatalf("%s = %q: stored %q, %s", row.Name, value, stored, problem)
			}
			return
		}
		if again, problem := space.Check(row.Name, stored); again != stored || problem != "" {
			t.Fatalf("%s = %q is stored as %q, and then %q, %s", row.Name, value, stored, again, problem)
		}
	})
}

// inEffect gives the defaults of a space, changed.
func inEffect(space daemon.Space, changes map[string]string) map[string]string {
	values := map[string]string{}
	for _, row := range space.Rows {
		values[row.Name] = row.Default
	}
	for name, value := range changes {
		values[name] = value
	}
	return values
}

func TestSpaceCross(t *testing.T) {
	space := SetupSpace(machine())
	root := machine()
	root.User = func() int { return 0 }
	for _, c := range []struct {
		space    daemon.Space
		changes  map[string]string
		problems []daemon.Problem
		required []string
	}{
		{space, nil, nil, nil},
		{SetupSpace(root), map[string]string{"real-user": "1001:1001:/home/ben"}, nil, nil},
		{space, map[string]string{"real-user": "1000:1000:/home/anna"}, nil, nil},
		{space, map[string]string{"real-user": "1001:1001:/home/ben"}, []daemon.Problem{
			{Name: "real-user", Text: `"1001:1001:/home/ben" is not the user that this Daemon runs as; start the Daemon as root, or leave real-user blank`},
		}, nil},
		{space, map[string]string{"neighborhood-mode": "consume-only"}, nil, []string{"neighbors"}},
		{space, map[string]string{"neighborhood-mode": "originate-only", "neighbors": "parley://a@b:1"}, nil, nil},
		{space, map[string]string{"neighborhood-mode": "zero-hop"}, nil, nil},
		{space, map[string]string{"dead-after": "10s"}, []daemon.Problem{
			{Name: "dead-after", Text: `"10s" must be longer than ping-interval ("30s", default); raise the one or lower the other`},
		}, nil},
		{space, map[string]string{"relay-tls-key": "/none/k.pem"}, []daemon.Problem{
			{Name: "relay-tls-key", Text: `"/none/k.pem" needs relay-tls-certificate ("", default); set both for TLS, or neither`},
		}, []string{"relay-tls-certificate"}},
		{space, map[string]string{"relay-tls-key": "/none/k.pem", "relay-tls-certificate": "/none/c.pem"}, nil, nil}, // not looked at
		{space, map[string]string{"star-port": "8912"}, []daemon.Problem{
			{Name: "star-port", Text: `"8912" takes the same address and port as the relay does by clandestine-port ("8912", default); choose another port for one of them, or off for star-address`},
		}, nil},
		{space, map[string]string{"star-port": "8912", "star-address": "127.0.0.2"}, nil, nil},
		{space, map[string]string{"star-port": "8912", "star-address": "off"}, nil, nil},
		{space, map[string]string{"clandestine-port": "7776"}, []daemon.Problem{
			{Name: "enclave-port", Text: `"7776" takes the same address and port as the relay does by clandestine-port ("7776", setup); choose another port for one of them, or off for enclave-address`},
		}, nil},
		{space, map[string]string{"clandestine-port": "7776", "enclave-address": "off"}, nil, nil},
		{space, map[string]string{"clandestine-port": "9090"}, []daemon.Problem{
			{Name: "star-port", Text: `"9090" takes the same address and port as the relay does by clandestine-port ("9090", setup); choose another port for one of them, or off for star-address`},
		}, nil},
		{space, map[string]string{"enclave-address": "0.0.0.0", "enclave-port": "9464"}, []daemon.Problem{
			{Name: "enclave-port", Text: `"9464" takes the same address and port as metrics does by metrics-address ("127.0.0.1:9464", default); choose another port for one of them, or off for enclave-address`},
		}, nil},
		{space, map[string]string{"ping-interval": "for ever", "dead-after": "10s", "nonsense": "x", "ui-access": "all"}, nil, nil},
		{space, map[string]string{"ui-users": "ben,alcie"}, []daemon.Problem{ // who was known when it was set
			{Name: "ui-users", Text: `"alcie" is not a user of this machine; write a name that stands in /etc/passwd, or the number that "id -u NAME" prints`},
		}, nil},
	} {
		problems, required := c.space.Cross(inEffect(c.space, c.changes))
		if diff := cmp.Diff(c.problems, problems); diff != "" {
			t.Errorf("%v: problems -want +got\n%s", c.changes, diff)
		}
		if !slices.Equal(c.required, required) {
			t.Errorf("%v: required %q, want %q", c.changes, required, c.required)
		}
	}
}

// TestSpaceCrossIsWhatANodeSays: no clash comes as a surprise at the start.
func TestSpaceCrossIsWhatANodeSays(t *testing.T) {
	space := SetupSpace(machine())
	ports := rapid.SampledFrom([]string{"0", "8912", "9090", "7776", "9464", "5000"})
	addresses := rapid.SampledFrom([]string{"127.0.0.1", "127.0.0.2", "::1", "0.0.0.0", "localhost"})
	rapid.Check(t, func(t *rapid.T) {
		changes := map[string]string{
			"clandestine-port": ports.Draw(t, "relay"), "star-port": ports.Draw(t, "star"), "enclave-port": ports.Draw(t, "enclave"),
			"relay-address": addresses.Draw(t, "at"), "star-address": rapid.OneOf(addresses, rapid.Just("off")).Draw(t, "star at"),
			"neighborhood-mode": rapid.SampledFrom([]string{"standard", "consume-only"}).Draw(t, "mode"),
			"dead-after":        rapid.SampledFrom([]string{"10s", "40s"}).Draw(t, "dead"),
		}
		problems, required := space.Cross(inEffect(space, changes))
		opts := machine()
		opts.Settings = []Setting{}
		for name, value := range changes {
			opts.Settings = append(opts.Settings, Setting{name, value})
		}
		if _, err := Load(opts); (err == nil) != (len(problems)+len(required) == 0) {
			t.Fatalf("%v: the node says %v, the space %v, %q", changes, err, problems, required)
		}
	})
}

func TestSpaceConfigured(t *testing.T) {
	file := writeTemp(t, "p.toml", "max-clients = 7\nrelay-hosts = [\"a.example\", \"b.example\"]\nlog-file = \"n.log\"\nlog-level = \"warn\"\ndb-password = \"hunter2\"\n")
	t.Chdir(filepath.Dir(file))
	opts := machine("PARLEY_MAX_CHANNELS=5", "PARLEY_LOG_LEVEL=error", "PARLEY_UI_PORT=99", "PARLEY_CHAIN=", "PARLEY_X=y", "PARLEY_RELAY_TOKEN=tok")
	opts.Flags = parsed(t, daemonOptions, "--config-file", "p.toml", "--ui-port", "0", "--log-level", "debug", "--log-file", "daemon.log", "--data-directory", "d")
	space := SetupSpace(opts)
	got, problems := space.Configured(inEffect(space, nil))
	want := map[string]string{
		"max-clients": "7", "relay-hosts": "a.example,b.example", "log-file": filepath.Join(filepath.Dir(file), "n.log"), "db-password": "hunter2",
		"max-channels": "5", "relay-token": "tok", "log-level": "debug", "config-file": file, "data-directory": filepath.Join(filepath.Dir(file), "d"),
	}
	if diff := cmp.Diff(want, got); diff != "" || len(problems) != 0 {
		t.Errorf("problems %q, -want +got\n%s", problems, diff)
	}
	// What a user interface set wins over what the command line says.
	other := writeTemp(t, "o.toml", "max-clients = 8\n")
	got, problems = space.Configured(inEffect(space, map[string]string{"config-file": other}))
	if got["max-clients"] != "8" || got["relay-hosts"] != "" || got["config-file"] != file || len(problems) != 0 {
		t.Errorf("got %q, %q", got, problems)
	}
}

func TestSpaceConfiguredByARelativeFile(t *testing.T) {
	file := writeTemp(t, "p.toml", "max-clients = 7\nrelay-tls-key = \"k.pem\"\n")
	dir := filepath.Dir(file)
	space := SetupSpace(machine())
	got, problems := space.Configured(inEffect(space, map[string]string{"config-file": "p.toml", "data-directory": dir}))
	if diff := cmp.Diff(map[string]string{"max-clients": "7", "relay-tls-key": filepath.Join(dir, "k.pem")}, got); diff != "" || len(problems) != 0 {
		t.Errorf("problems %q, -want +got\n%s", problems, diff)
	}
	if err := os.WriteFile(file, []byte("data-directory = \"/elsewhere\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, problems = space.Configured(inEffect(space, map[string]string{"config-file": "p.toml", "data-directory": dir}))
	want := []daemon.Problem{{Name: "data-directory", Text: file + ":1:1: cannot be set in a file that is looked for in it; set config-file to its full name, or data-directory elsewhere"}}
	if diff := cmp.Diff(want, problems); diff != "" || len(got) != 0 {
		t.Errorf("got %q, -want +got\n%s", got, diff)
	}
	if got, problems = space.Configured(inEffect(space, map[string]string{"config-file": file})); got["data-directory"] != "/elsewhere" || len(problems) != 0 {
		t.Errorf("by its full name: %q, %q", got, problems)
	}
}

func TestSpaceConfiguredProblems(t *testing.T) {
	file := writeTemp(t, "p.toml", "max-clients = 0\nlog-levle = \"info\"\nmax-channels = \"5\"\nui-port = 5333\nping-interval = [1]\nrelay-token = \"hunter 2\"\n")
	space := SetupSpace(machine("PARLEY_CHAIN=Dev", "PARLEY_DB_PASSWORD=hunter\x072", "PARLEY_NODE_NAME=a\xff", "PARLEY_UI_USERS=alcie"))
	got, problems := space.Configured(inEffect(space, map[string]string{"config-file": file}))
	want := []daemon.Problem{
		{Name: "config-file", Text: file + `:2:1: unknown key "log-levle"; did you mean "log-level"?`},
		{Name: "ui-port", Text: file + `:4:1: cannot be set in the file; use --ui-port or PARLEY_UI_PORT`},
		{Name: "max-clients", Text: file + `:1:1: "0" is out of range; allowed are 1 to 1000000`},
		{Name: "max-channels", Text: file + `:3:1: "5" is text, not an int; write it without quotes; allowed are 1 to 30000`},
		{Name: "ping-interval", Text: file + `:5:1: "[1]" is a list, not a duration; write it as ping-interval = "30s"; allowed are 100ms to 1h`},
		{Name: "relay-token", Text: file + `:6:1: "****************" is not a token; allowed are 1 to 256 of A-Z a-z 0-9 . _ ~ -`},
		{Name: "node-name", Text: `environment PARLEY_NODE_NAME: "a\xff" is not UTF-8; write 1 to 64 of A-Z a-z 0-9 . _ -`},
		{Name: "db-password", Text: `environment PARLEY_DB_PASSWORD: "****************" contains a control character; leave it out`},
		{Name: "ui-users", Text: `environment PARLEY_UI_USERS: "alcie" is not a user of this machine; write a name that stands in /etc/passwd, or the number that "id -u NAME" prints`},
		{Name: "chain", Text: `environment PARLEY_CHAIN: "Dev" is not a chain's name; allowed are 1 to 32 of a-z 0-9 -`},
	}
	if diff := cmp.Diff(want, problems); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	// A Node gets what is wrong, and says so.
	if diff := cmp.Diff(map[string]string{
		"max-channels": "5", "relay-token": "hunter 2", "db-password": "hunter\x072", "ui-users": "alcie", "chain": "Dev",
	}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestSpaceConfiguredFileProblems(t *testing.T) {
	dir := t.TempDir()
	open := writeTemp(t, "open.toml", "db-password = \"hunter2\"\nmax-clients = 3\n")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	wrong := writeTemp(t, "wrong.toml", "max-clients = 3\nlog-level = info\n")
	space := SetupSpace(machine())
	for _, c := range []struct{ file, name, text, got string }{
		{filepath.Join(dir, "none.toml"), "config-file", `setup: "` + dir + `/none.toml" does not exist; write one with: parley config init --output ` + dir + `/none.toml`, ""},
		{dir, "config-file", `setup: "` + dir + `" is a directory; name a file in it`, ""},
		{os.DevNull, "config-file", `"/dev/null" is not a file on a disk; name a configuration file`, ""},
		{wrong, "config-file", wrong + `:2:16: is not TOML: expected newline but got U+006F 'o'; correct the line; text stands in quotes, as: log-level = "info"`, ""},
		{open, "db-password", open + `:1:1: is secret, but others may read the file (mode 0644); run: chmod 600 ` + open, "3"},
	} {
		got, problems := space.Configured(inEffect(space, map[string]string{"config-file": c.file}))
		want := []daemon.Problem{{Name: c.name, Text: c.text}}
		if diff := cmp.Diff(want, problems); diff != "" || got["max-clients"] != c.got || got["db-password"] != "" {
			t.Errorf("%s: got %q, problems -want +got\n%s", c.file, got, diff)
		}
	}
}

// TestSpaceLearnsOfNewUsers: a name that is made while the Daemon runs is known after
// Configured.
func TestSpaceLearnsOfNewUsers(t *testing.T) {
	content := testAccounts
	opts := machine()
	opts.Accounts = func() ([]byte, error) { return []byte(content), nil }
	space := SetupSpace(opts)
	content += "carl:x:1002:1002::/home/carl:\n"
	if _, problem := space.Check("ui-users", "carl"); problem == "" {
		t.Error("Check looked outside")
	}
	space.Configured(inEffect(space, nil))
	if _, problem := space.Check("ui-users", "carl"); problem != "" {
		t.Error(problem)
	}
}

// TestSpaceKeepsADaemonFromWrongUsers: what a Daemon acts on by itself, no Node refuses.
func TestSpaceKeepsADaemonFromWrongUsers(t *testing.T) {
	for _, content := range []string{"real-user = \"\"\n", "real-user = \"0:0:/root\"\n", "real-user = \"0:0\"\ndata-directory = \"\"\n"} {
		opts := machine("PARLEY_CONFIG_FILE=" + writeTemp(t, "p.toml", content))
		opts.User = func() int { return 0 }
		space := SetupSpace(opts)
		got, problems := space.Configured(inEffect(space, nil))
		if _, given := got["real-user"]; given || len(problems) != strings.Count(content, "\n") || got["data-directory"] != "" && strings.Contains(content, "data") {
			t.Errorf("%q: %q, %q", content, got, problems)
		}
	}
}

func TestUIOf(t *testing.T) {
	space := SetupSpace(machine())
	got := UIOf(machine(), inEffect(space, map[string]string{"ui-users": "ben,7", "ui-origins": "null", "ui-access": "look", "max-uis": "many"}))
	want := UI{UIUsers: []uint32{7, 1001}, UIOrigins: []string{"null"}, UIAccessLook: true, UIMaxFrame: 1 << 20, MaxUIs: 2000, ConversationIdle: 5 * 60e9}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := UIOf(machine(), map[string]string{"ui-users": "alcie,ben"}); !slices.Equal(got.UIUsers, []uint32{1001}) || got.UIAccessLook {
		t.Errorf("got %+v", got)
	}
}

func BenchmarkSpaceCross(b *testing.B) {
	space := SetupSpace(machine())
	values := inEffect(space, nil)
	for b.Loop() {
		space.Cross(values)
	}
}
