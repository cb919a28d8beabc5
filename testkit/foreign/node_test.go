package foreign_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// node is a running `parley node`, as a user starts it.
type node struct {
	relay string // host:port of the relay gateway, from the ready line

	process *exec.Cmd
	logs    *bytes.Buffer // stderr; complete once exited has answered
	exited  chan error    // one value: what Wait returned
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

// startNode starts a node on a free loopback port and returns when it says that it is ready.
func startNode(ctx context.Context, t *testing.T) *node {
	t.Helper()
	binary, err := buildParley()
	if err != nil {
		t.Fatal(err)
	}
	n := &node{logs: new(bytes.Buffer), exited: make(chan error, 1)}
	n.process = exec.CommandContext(ctx, binary, "node", "--clandestine-port", "0", "--metrics-address", "off")
	n.process.Stderr = n.logs
	stdout, err := n.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.process.Start(); err != nil {
		t.Fatal(err)
	}

	ready := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if gateways, ok := strings.CutPrefix(lines.Text(), "ready "); ok {
				ready <- gateways
			}
		}
		n.exited <- n.process.Wait()
	}()

	select {
	case gateways := <-ready:
		var at struct{ Relay string }
		if err := json.Unmarshal([]byte(gateways), &at); err != nil || at.Relay == "" {
			t.Fatalf("foreign: ready line %q names no relay: %v", gateways, err)
		}
		n.relay = at.Relay
	case err := <-n.exited:
		t.Fatalf("foreign: the node ended before it was ready: %v\n%s", err, n.logs)
	}
	return n
}

// terminate asks the node to end, as a service manager does.
func (n *node) terminate(t *testing.T) {
	if err := n.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("foreign: SIGTERM: %v", err)
	}
}

// expectExit waits for the end of a node that was told to end, which must be a clean one.
func (n *node) expectExit(t *testing.T) {
	t.Helper()
	if err := <-n.exited; err != nil {
		t.Errorf("foreign: the node did not end cleanly: %v\n%s", err, n.logs)
	}
}
