// Package foreign_test proves the wire against clients that others wrote, each in a process of its own, talking to a real parley node.
package foreign_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

const (
	// testLimit ends a test whose client or node hangs. Nothing is measured with it.
	testLimit = 3 * time.Minute
	// stopLine is what the conversation tells when the node is to be stopped.
	stopLine = "stop the node"
)

// scratch holds the built binary while the tests of this package run.
var scratch string

func TestMain(m *testing.M) {
	var err error
	scratch, err = os.MkdirTemp("", "parley-foreign-")
	if err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(scratch)
		os.Exit(code)
	}))
}

// client lets a foreign client hold the conversation of conversation.mjs at a ws:// address.
// It calls tell for each line, one after the other, and returns when the client is done.
type client func(ctx context.Context, address string, tell func(line string)) error

// expectConversation starts a node, lets the client talk to it, and compares what was said with testdata/conversation.txt, line by line.
func expectConversation(t *testing.T, talk client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	n := startNode(ctx, t)

	var mu sync.Mutex
	var said []string
	err := talk(ctx, "ws://"+n.relay+"/connect", func(line string) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, line)
		if line == stopLine {
			n.terminate(t)
		}
	})
	if err != nil {
		t.Errorf("foreign: the client failed: %v", err)
		n.terminate(t)
	}

	want, err := os.ReadFile("testdata/conversation.txt")
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff(strings.Split(strings.TrimSpace(string(want)), "\n"), said); diff != "" {
		t.Errorf("foreign: the conversation differs (-want +said):\n%s", diff)
	}
	n.expectExit(t)
}

// program finds what a test drives, by the first name that is installed.
// A missing one fails the test: a client that was not tried is not known to work.
func program(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("foreign: %q is not installed; `make clients` installs it", names[0])
	return ""
}
