package life_test

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestEnclaveOneNodeADirectory has a second node start with the data directory of
// the first. With a database it does not start; without one it does, and leaves the
// pipes alone. All commands are the first one's, until that is killed.
func TestEnclaveOneNodeADirectory(t *testing.T) {
	t.Run("with a database", func(t *testing.T) {
		anna := joinEnclave(t, "anna", "127.0.9.60")
		at, err := binary()
		if err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		cmd := exec.Command(at, "node", "--clandestine-port", "0", "--ui-port", "0", "--metrics-address", "off", "--star-address", "off",
			"--enclave-address", "127.0.9.61", "--enclave-port", "0", "--data-directory", anna.dir)
		cmd.Stderr = &said
		if out, err := cmd.Output(); err == nil || len(out) > 0 || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(said.String(), "in use") {
			t.Errorf("%v, %s%s", err, out, said.String())
		}
		anna.commands("alone")
	})
	t.Run("without one", func(t *testing.T) {
		anna := &person{t: t, name: "anna", ip: "127.0.9.62", dir: directory(t), at: "127.0.9.62:0", bare: true}
		anna.start()
		ben := &person{t: t, name: "ben", ip: "127.0.9.63", dir: anna.dir, at: "127.0.9.63:0", bare: true, deaf: true}
		ben.start()
		if log := ben.log(); !strings.Contains(log, "no named pipes") || !strings.Contains(log, "another node uses the pipes in") {
			t.Errorf("the second node says\n%s", log)
		}
		anna.commands("first")
		anna.end(syscall.SIGKILL)
		ben.end(syscall.SIGTERM)
		anna.start()
		anna.commands("again")
	})
}

// commands has a node answer many commands, one writer each.
func (p *person) commands(what string) {
	p.t.Helper()
	const many = 20
	for i := range many {
		p.echo(fmt.Sprintf(`{"cmd":"list","id":"%s%d"}`, what, i))
	}
	for i := range many {
		p.reads("an answer", func(l line) bool { return l.Event == "result" && l.ID == fmt.Sprint(what, i) && l.OK })
	}
}
