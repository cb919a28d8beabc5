package life_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// daemon is a Daemon's process.
type daemon struct {
	t      testing.TB
	cmd    *exec.Cmd
	port   uint16 // for user interfaces
	dir    string // data-directory
	exited chan struct{}

	mu   sync.Mutex
	said bytes.Buffer // stderr
}

// start runs "parley daemon" in dir on any free port, and waits until it serves.
// env is more of its environment, as in NAME=value.
func start(t testing.TB, dir string, env []string, args ...string) *daemon {
	t.Helper()
	return run(t, dir, env, nil, append([]string{"daemon", "--ui-port", "0"}, args...)...)
}

// run is start for a program that was told in another way to be a Daemon. files
// are what it inherits, from descriptor 3 on.
func run(t testing.TB, dir string, env []string, files []*os.File, args ...string) *daemon {
	t.Helper()
	at, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{t: t, dir: dir, exited: make(chan struct{})}
	d.cmd = exec.Command(at, append(args, "--data-directory", dir)...)
	d.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "NO_COLOR=1"}, env...)
	d.cmd.Dir, d.cmd.ExtraFiles, d.cmd.Stderr = dir, files, d
	out, err := d.cmd.StdoutPipe()
	if err == nil {
		err = d.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.end)
	line, err := bufio.NewReader(out).ReadString('\n')
	go func() {
		_, _ = io.Copy(io.Discard, out)
		_ = d.cmd.Wait() // its state is looked at by who asks
		close(d.exited)
	}()
	if err != nil {
		<-d.exited
		t.Fatalf("the Daemon did not get ready: %v; it said\n%s", err, d.stderr())
	}
	var ready struct {
		UI string `json:"ui"`
	}
	text, ok := strings.CutPrefix(line, "ready ")
	if err := json.Unmarshal([]byte(text), &ready); !ok || err != nil {
		t.Fatalf("ready line %q: %v", line, err)
	}
	a, err := net.ResolveTCPAddr("tcp", ready.UI)
	if err != nil {
		t.Fatal(err)
	}
	d.port = uint16(a.Port)
	return d
}

// Write collects what the Daemon says on stderr.
func (d *daemon) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.said.Write(b)
}

func (d *daemon) stderr() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.said.String()
}

// dead reports whether the process has ended.
func (d *daemon) dead() bool {
	select {
	case <-d.exited:
		return true
	default:
		return false
	}
}

// kill ends the Daemon without a chance to say anything. Its Node lives on.
func (d *daemon) kill() {
	d.t.Helper()
	if err := d.cmd.Process.Kill(); err != nil {
		d.t.Fatal(err)
	}
	<-d.exited
}

// stop ends the Daemon in order, its Node with it.
func (d *daemon) stop() {
	d.t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		d.t.Fatal(err)
	}
	<-d.exited
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		d.t.Errorf("the Daemon ended with %d; it said\n%s", code, d.stderr())
	}
}

// lastSaid is how much of what a Daemon said is shown of a failed test, in bytes.
const lastSaid = 16 << 10

// end is for tests that did not come so far.
func (d *daemon) end() {
	if d.dead() {
		return
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	<-d.exited
	if d.t.Failed() {
		said := d.stderr()
		d.t.Logf("the Daemon said\n%s", said[max(0, len(said)-lastSaid):])
	}
}

// directory makes a data directory that any user may be given a part of.
func directory(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp(scratch, "data-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}
