package life_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// markers are secrets that can be told from all else, by what they were given as.
type markers struct {
	*testing.T
	mu   sync.Mutex
	all  map[string]string
	seen int // bytes looked at
}

// new makes up a secret.
func (m *markers) new(what string) string {
	secret := fmt.Sprintf("mArKeR%dz%s", len(m.all), strings.Repeat("qX7", 4))
	m.all[what] = secret
	return secret
}

// absent fails the test if a secret is in what was found somewhere: as it is, in
// hexadecimal digits or in base64.
func (m *markers) absent(where string, text []byte) {
	m.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen += len(text)
	for what, secret := range m.all {
		for _, form := range []string{secret, hex.EncodeToString([]byte(secret)), base64.RawStdEncoding.EncodeToString([]byte(secret))} {
			if at := bytes.Index(text, []byte(form)); at >= 0 {
				m.Errorf("%s, a secret, is in %s: …%q…", what, where, text[max(0, at-80):min(len(text), at+len(form)+20)])
				break
			}
		}
	}
}

// file looks into a file.
func (m *markers) file(path string) {
	m.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		m.Fatal(err)
	}
	m.absent(path, b)
}

// folder looks into all files, but those of which name has a part.
func (m *markers) folder(dir string) {
	m.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			m.file(path)
		}
		return err
	})
	if err != nil {
		m.Error(err)
	}
}

// process looks at what others can see of a process, and at what only root can.
func (m *markers) process(pid int, names ...string) {
	m.Helper()
	for _, name := range names {
		path := fmt.Sprintf("/proc/%d/%s", pid, name)
		if b, err := os.ReadFile(path); err == nil {
			m.absent(path, b)
		} else if root || name == "cmdline" {
			m.Error(err)
		}
	}
}

// page looks at what an address serves.
func (m *markers) page(url string) {
	m.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(url)
	if err != nil {
		m.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		m.Fatalf("%s: %s %v", url, res.Status, err)
	}
	m.absent(url, b)
}

// listen has a user interface look at all that it is told from now on.
func (m *markers) listen(u *ui, who string) *ui {
	u.hook = func(text []byte) { m.absent("what "+who+" was told", text) }
	return u
}

// malformed says secrets at the wrong places. Who does so is told what was wrong;
// nobody else is.
func (m *markers) malformed(u *ui) {
	secret := m.new(fmt.Sprintf("malformed %d", len(m.all)))
	for _, text := range []string{
		`{"opcode":"checkPassword","contextId":901,"payload":{"dbPasswordOpt":["S"]}}`,
		`{"opcode":"changePassword","contextId":902,"payload":{"oldPasswordOpt":{"S":"S"},"newPassword":7}}`,
		`{"opcode":"changePassword","contextId":903,"payload":{"newPassword":"S","newPassword":"S"}}`,
		`{"opcode":"setup","contextId":904,"payload":{"values":[{"name":"db-password","value":{"S":1}}]}}`,
		`{"opcode":"setup","contextId":905,"payload":{"values":[{"name":"relay-token","value":"not a token: S!"}]}}`,
		`{"opcode":"setup","contextId":906,"payload":{"values":[{"name":"db-password","value":"S"},{"name":"chain","value":"NO NO"}]}}`,
		`{"opcode":"setup","contextId":907,"payload":{"values":[{"name":"neighbors","value":"parley://S@nowhere"}]}}`,
		`{"opcode":"setup","payload":{"values":[{"name":"db-password","value":"S"}]}}`,
		`{"opcode":"checkPassword","payload":{"dbPasswordOpt":"S"}}`,
		`{"opcode":"checkPassword","contextId":908,"error":{"code":1,"message":"S"}}`,
		`{"opcode":"setConfiguration","contextId":909,"payload":{"name":"db-password","value":"S"}}`,
		`{"opcode":"nobodyKnows","contextId":910,"payload":{"password":"S"}}`,
		`{"opcode":"checkPassword","contextId":911,"payload":{"dbPasswordOpt":"S"}`,
		`S`,
	} {
		if err := u.client.Say([]byte(strings.ReplaceAll(text, "S", secret))); err != nil {
			m.Fatal(err)
		}
	}
	u.ask("subscribe", `{"opcodes":[]}`).want(m) // all before has been read
}

// addresses are where the Node's gateways listen.
func (u *ui) addresses() map[string]string {
	u.t.Helper()
	var c struct {
		Gateways []struct{ Name, Address string } `json:"gateways"`
	}
	u.ask("configuration", "{}").want(u.t).into(u.t, &c)
	found := map[string]string{}
	for _, g := range c.Gateways {
		found[g.Name] = g.Address
	}
	return found
}

// TestNoSecretAnywhere gives secrets in all ways there are and looks for them in
// all places where they must not be, while the Node runs and when it has ended.
func TestNoSecretAnywhere(t *testing.T) {
	m := &markers{T: t, all: map[string]string{}}
	logs, data := directory(t), directory(t)
	if err := os.Chmod(logs, 0o777); err != nil {
		t.Fatal(err)
	}
	d := start(t, data, []string{
		"PARLEY_DB_PASSWORD=" + m.new("db-password in the environment"),
		"PARLEY_RELAY_TOKEN=" + m.new("relay-token in the environment"),
		"PARLEY_CONSUMING_PRIVATE_KEY=" + m.new("consuming-private-key in the environment"),
		"GOTRACEBACK=crash",
	}, "--log-file", filepath.Join(logs, "daemon.log"), "--log-level", "trace")
	u, other := m.listen(connect(t, d.port), "who sets up"), m.listen(connect(t, d.port), "another at the Daemon")
	u.settle()
	set := func(name, value string) {
		t.Helper()
		u.change(name, value).want(t, `"errors":[]`)
		other.await("setup")
	}
	set("metrics-address", "127.0.0.1:0")
	set("log-level", "trace")
	set("log-file", filepath.Join(logs, "node.log"))
	set("relay-token", m.new("relay-token"))
	set("consuming-private-key", m.new("consuming-private-key"))
	node := u.launch()
	m.passwords(d, node)
	m.running(d, node)

	kill(t, node.PID, syscall.SIGABRT) // it tells all its stacks
	u.crashed(node.PID)
	set("db-password", m.new("db-password that is wrong"))
	if f := u.ask("start", "{}"); f.Error == nil || !strings.Contains(f.Error.Message, "db-password is not the password") {
		t.Errorf("with a wrong db-password: %s", f.text)
	}
	set("db-password", m.all["new password"])
	node = u.launch()
	m.running(d, node)
	connect(t, node.Port).secrets(quoted(m.all["new password"]), false) // right, and there are none
	u.ask("setup", `{"values":[]}`).want(t, `"db-password","value":"****************","status":"Set"`)
	kill(t, d.cmd.Process.Pid, syscall.SIGABRT)
	<-d.exited
	kill(t, node.PID, syscall.SIGTERM)
	eventually(t, "the Node ends", func() bool { return !alive(node.PID) })

	m.absent("the Daemon's stderr", []byte(d.stderr()))
	m.folder(logs)
	m.folder(data)
	t.Logf("%d secrets, %d KiB looked at", len(m.all), m.seen>>10)
}

// passwords are set, changed and guessed while others listen.
func (m *markers) passwords(d *daemon, node started) {
	c, other := connect(m, node.Port), m.listen(connect(m, node.Port), "another at the Node")
	other.ask("subscribe", `{"opcodes":["logBroadcast","newPassword","configurationChanged","connectionChange"],"minLogLevel":"Trace"}`).want(m)
	first, second := m.all["db-password in the environment"], m.new("new password")
	c.check(quoted(first), true)
	c.check(quoted(m.new("wrong password")), false)
	c.ask("changePassword", fmt.Sprintf(`{"oldPasswordOpt":%q,"newPassword":%q}`, first, second)).want(m)
	other.await("newPassword")
	c.check(quoted(second), true)
	m.malformed(connect(m, node.Port))
	m.malformed(connect(m, d.port))
	other.ask("hostStats", "{}").want(m)
}

// running looks at the two processes, and at what they serve.
func (m *markers) running(d *daemon, node started) {
	m.process(d.cmd.Process.Pid, "cmdline", "environ")
	m.process(node.PID, "cmdline", "environ")
	at := connect(m, node.Port).addresses()
	for _, path := range []string{"/metrics", "/debug/pprof/heap", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2"} {
		m.page("http://" + at["metrics"] + path)
	}
	m.page("http://" + at["relay"] + "/health")
}

// TestTokensOfNeighbors looks for these as for secrets, but in the Daemon's own
// files: the next Node needs them after a restart, too.
func TestTokensOfNeighbors(t *testing.T) {
	m := &markers{T: t, all: map[string]string{}}
	token := m.new("token of a neighbor")
	d := start(t, directory(t), nil, "--log-level", "trace")
	u := m.listen(connect(t, d.port), "who sets up")
	other := m.listen(connect(t, d.port), "another at the Daemon")
	u.settle()
	u.change("metrics-address", "127.0.0.1:0").want(t, `"errors":[]`)
	u.change("log-level", "trace").want(t, `"errors":[]`)
	u.change("neighbors", "parley://"+token+"@127.0.0.1:1").want(t, `"errors":[]`)
	node := u.launch()
	c := connect(t, node.Port)
	c.ask("changePassword", `{"newPassword":"one"}`).want(t)
	c.ask("configuration", `{"dbPasswordOpt":"one"}`).want(t, token)
	m.listen(c, "who gave no password").ask("configuration", `{}`).want(t)
	m.running(d, node)
	kill(t, node.PID, syscall.SIGABRT)
	m.absent("the end of the Node", mustJSON(u.crashed(node.PID)))
	other.ask("setup", `{"values":[]}`).want(t, `"running":false`)
	d.stop()
	m.absent("the Daemon's stderr", []byte(d.stderr()))
	m.folder(filepath.Join(d.dir, "node"))
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain structs
	}
	return b
}
