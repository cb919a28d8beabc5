package life_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestFrozenAsStarted: the Daemon says what the Node was started with while that
// runs, whatever becomes of the config file, on SIGHUP and when another Daemon
// adopts the Node. When it is gone everybody hears what the next one would get.
func TestFrozenAsStarted(t *testing.T) {
	dir := directory(t)
	file := filepath.Join(dir, "frozen.toml")
	says := func(chain string) {
		if err := os.WriteFile(file, []byte("chain = "+quoted(chain)+"\nrelay-token = \"0123456789abcdef\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	shows := func(u *ui, chain string) {
		t.Helper()
		u.ask("setup", `{"values":[]}`).want(t, `"running":true`, `{"name":"chain","value":`+quoted(chain)+`,"status":"Configured"}`)
	}
	env := []string{"PARLEY_CONFIG_FILE=" + file}
	says("one")
	d := start(t, dir, env)
	u := connect(t, d.port)
	u.settle()
	node := u.launch()
	says("two")
	kill(t, d.cmd.Process.Pid, syscall.SIGHUP)
	eventually(t, "the Daemon has read its file", func() bool { return d.saw("for the next Node") })
	shows(u, "one")
	d.kill()
	says("three")
	d = start(t, dir, env)
	u = connect(t, d.port)
	shows(u, "one")
	connect(t, node.Port).ask("configuration", "{}").want(t, `"chainName":"one"`)
	u.unheard("setup")
	kill(t, node.PID, syscall.SIGKILL)
	u.crashed(node.PID)
	u.await("setup").want(t, `"running":false`, `{"name":"chain","value":"three","status":"Configured"}`)
	connect(t, u.launch().Port).ask("configuration", "{}").want(t, `"chainName":"three"`)
}

// TestMistakesAreLogged: those of the config file, when the Daemon starts and when
// it reads the file again.
func TestMistakesAreLogged(t *testing.T) {
	dir := directory(t)
	file := filepath.Join(dir, "mistakes.toml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("nod-name = \"x\"\n")
	d := start(t, dir, []string{"PARLEY_CONFIG_FILE=" + file})
	eventually(t, "a mistake of the first file", func() bool { return d.saw("did you mean") && d.saw("node-name") })
	write("max-clients = \"many\"\n")
	kill(t, d.cmd.Process.Pid, syscall.SIGHUP)
	eventually(t, "a mistake of the second", func() bool { return d.saw("write it without quotes") })
}

// saw reports whether the Daemon said that on stderr.
func (d *daemon) saw(text string) bool { return strings.Contains(d.stderr(), text) }
