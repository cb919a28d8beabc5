// Package foreign_test proves the wires against clients that others wrote, each in a process of its own, talking to a real parley.
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

	"parley/testkit/leaks"
)

const (
	// testLimit ends a test whose client or process hangs. Nothing is measured with it.
	testLimit = 3 * time.Minute
	// passable is the mode of directories in which others must find what they know the name of: the Node of a Daemon that is root is one.
	passable = 0o711
)

// scratch holds the built binary, and data of Daemons, while the tests of this package run.
var scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "parley-foreign-"); err == nil {
		err = os.Chmod(scratch, passable)
	}
	if err != nil {
		panic(err)
	}
	leaks.Main(m, func() { _ = os.RemoveAll(scratch) })
}

// client lets a foreign client hold a conversation, by the name of its function in JavaScript, at a ws:// address.
// It calls tell for each line, one after the other, and returns when the client is done.
type client func(ctx context.Context, conversation, address string, tell func(line string)) error

// expectConversation starts a node, lets the client talk to it, and compares what was said with testdata/conversation.txt, line by line.
func expectConversation(ctx context.Context, t *testing.T, talk client) {
	t.Helper()
	n := startNode(ctx, t)
	said := listen(t, n, "stop the node", func(tell func(string)) error {
		return talk(ctx, "converse", "ws://"+n.relay+"/connect", tell)
	})
	compare(t, "testdata/conversation.txt", said)
	n.expectExit(t)
}

// expectGovernment lets the client talk to a Daemon, and to the Node that it starts, and compares what was said with
// testdata/interfaces.txt, line by line. Web pages of origin, if there is one, may come in.
func expectGovernment(ctx context.Context, t *testing.T, origin string, talk client) {
	t.Helper()
	d, data := startDaemon(ctx, t)
	if origin != "" {
		admit(ctx, t, d, origin)
	}
	said := listen(t, d, "stop the Daemon", func(tell func(string)) error {
		return talk(ctx, "govern", "ws://"+d.ui+"/", tell)
	})
	compare(t, "testdata/interfaces.txt", disguise(said, data))
	d.expectExit(t)
}

// listen notes what is told of a conversation, and ends the process at the line that asks for it.
func listen(t *testing.T, p *process, stop string, talk func(tell func(line string)) error) []string {
	t.Helper()
	var mu sync.Mutex
	var said []string
	err := talk(func(line string) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, line)
		if line == stop {
			p.terminate(t)
		}
	})
	if err != nil {
		t.Errorf("foreign: the client failed: %v", err)
		p.terminate(t)
	}
	mu.Lock()
	defer mu.Unlock()
	return said
}

func compare(t *testing.T, file string, said []string) {
	t.Helper()
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(strings.TrimSpace(string(want)), "\n"), said); diff != "" {
		t.Errorf("foreign: the conversation differs (-want +said):\n%s", diff)
	}
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
