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
// the first, with user interfaces and without: it ends before it touches the pipes,
// so that all commands are the first one's. When that was killed, nothing is left
// of its lock.
func TestEnclaveOneNodeADirectory(t *testing.T) {
	for i, more := range [][]string{{"--ui-port", "0"}, nil} {
		t.Run(strings.Join(more, " "), func(t *testing.T) {
			anna := &person{t: t, name: "anna", ip: fmt.Sprintf("127.0.9.%d", 60+2*i), dir: directory(t), bare: more == nil}
			anna.at = anna.ip + ":0"
			anna.start()
			at, err := binary()
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				var said bytes.Buffer
				cmd := exec.Command(at, append([]string{
					"node", "--clandestine-port", "0", "--metrics-address", "off", "--star-address", "off",
					"--enclave-address", fmt.Sprintf("127.0.9.%d", 61+2*i), "--enclave-port", "0", "--data-directory", anna.dir,
				}, more...)...)
				cmd.Stderr = &said
				if out, err := cmd.Output(); err == nil || len(out) > 0 || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(said.String(), "is in use") {
					t.Errorf("%v, %s%s", err, out, said.String())
				}
			}
			anna.commands("first")
			anna.end(syscall.SIGKILL)
			anna.start()
			anna.commands("again")
		})
	}
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
