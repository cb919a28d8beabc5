package foreign_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a running parley, as a user starts it, or a server that others wrote.
type process struct {
	// host:port of gateways, from the ready line; blank: not served. heap is the public rendezvous server's own.
	relay, ui, star, metrics, heap string

	command *exec.Cmd
	exited  chan struct{} // closed once err is known
	err     error         // what Wait returned

	mu      sync.Mutex
	lines   []string      // owned by mu: what it said on stderr
	another chan struct{} // owned by mu: closed when there is one line more
}

// buildParley builds the binary once for all tests of this package, static as it is shipped.
var buildParley = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(scratch, "parley")
	build := exec.Command("go", "build", "-o", binary, "parley/cmd/parley")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("foreign: go build: %w\n%s", err, out)
	}
	return binary, nil
})

// endPatience is what a process that was told to end may take before it is killed.
const endPatience = time.Minute

// startParley starts a parley and returns when it is ready.
func startParley(ctx context.Context, t *testing.T, args ...string) *process {
	t.Helper()
	binary, err := buildParley()
	if err != nil {
		t.Fatal(err)
	}
	return startReady(ctx, t, binary, args...)
}

// startReady starts a process and returns when it says that it is ready. When ctx ends it is told to end, and the test waits for that.
func startReady(ctx context.Context, t *testing.T, binary string, args ...string) *process {
	t.Helper()
	p := &process{exited: make(chan struct{}), another: make(chan struct{})}
	p.command = exec.CommandContext(ctx, binary, args...)
	p.command.Cancel = func() error { return p.command.Process.Signal(syscall.SIGTERM) } // a Daemon that is killed leaves its Node behind
	p.command.WaitDelay = endPatience
	p.command.Env = append(os.Environ(), "NO_COLOR=1",
		"PARLEY_STAR_ADDRESS=off", "PARLEY_ENCLAVE_ADDRESS=off", // several at once: who wants them says so by a flag
		"PARLEY_HANDSHAKE_TIMEOUT=1m") // a hundred clients of one process may be slower than the door likes
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := p.command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.command.Cancel() // fails when it has ended already
		<-p.exited
	})

	ready := make(chan string, 1)
	go p.follow(stdout, stderr, ready)
	select {
	case line := <-ready:
		var at struct{ Relay, UI, Star, Metrics, Heap string }
		if err := json.Unmarshal([]byte(line), &at); err != nil {
			t.Fatalf("foreign: ready line %q: %v", line, err)
		}
		p.relay, p.ui, p.star, p.metrics, p.heap = at.Relay, at.UI, at.Star, at.Metrics, at.Heap
	case <-p.exited:
		t.Fatalf("foreign: %q ended before it was ready: %v\n%s", args, p.err, p.logs())
	}
	return p
}

// follow reads what the process says, until its end.
func (p *process) follow(stdout, stderr io.Reader, ready chan<- string) {
	defer close(p.exited)
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			p.hear(lines.Text())
		}
	}()
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if gateways, ok := strings.CutPrefix(lines.Text(), "ready "); ok {
			ready <- gateways
		}
	}
	<-read
	p.err = p.command.Wait()
}

func (p *process) hear(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, line)
	close(p.another)
	p.another = make(chan struct{})
}

func (p *process) logs() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// expectLog waits until the process has logged a line that fits.
func (p *process) expectLog(ctx context.Context, t *testing.T, what string, fits func(line string) bool) {
	t.Helper()
	for {
		p.mu.Lock()
		found, another := slices.ContainsFunc(p.lines, fits), p.another
		p.mu.Unlock()
		if found {
			return
		}
		select {
		case <-another:
		case <-p.exited:
			t.Fatalf("foreign: the process ended without the log line %s:\n%s", what, p.logs())
		case <-ctx.Done():
			t.Fatalf("foreign: no log line %s:\n%s", what, p.logs())
		}
	}
}

// terminate asks the process to end, as a service manager does.
func (p *process) terminate(t *testing.T) {
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("foreign: SIGTERM: %v", err)
	}
}

// expectExit waits for the end of a process that was told to end, which must be a clean one.
func (p *process) expectExit(t *testing.T) {
	t.Helper()
	if <-p.exited; p.err != nil {
		t.Errorf("foreign: the process did not end cleanly: %v\n%s", p.err, p.logs())
	}
}

// startNode starts a node by itself on a free loopback port.
func startNode(ctx context.Context, t *testing.T) *process {
	t.Helper()
	return startParley(ctx, t, "node", "--clandestine-port", "0", "--metrics-address", "off")
}

// startDaemon starts a Daemon on a free loopback port, with an empty data directory, which it returns.
func startDaemon(ctx context.Context, t *testing.T) (daemon *process, data string) {
	t.Helper()
	data, err := os.MkdirTemp(scratch, "data-")
	if err == nil {
		err = os.Chmod(data, passable)
	}
	if err != nil {
		t.Fatal(err)
	}
	return startParley(ctx, t, "daemon", "--ui-port", "0", "--data-directory", data), data
}
