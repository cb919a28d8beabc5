package foreign_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
)

// TestNpmWs lets the npm package ws, the usual WebSocket client of Node.js, hold the conversations.
func TestNpmWs(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	talk := func(ctx context.Context, conversation, address string, tell func(string)) error {
		return runScript(ctx, t, tell, "ws.mjs", conversation, address)
	}
	t.Run("relay", func(t *testing.T) { expectConversation(ctx, t, talk) })
	t.Run("user interfaces", func(t *testing.T) { expectGovernment(ctx, t, "", talk) })
}

// TestHabits lets a user interface with the habits of those that are around run a Node. It says itself what is wrong.
func TestHabits(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	d, _ := startDaemon(ctx, t)
	_, port, err := net.SplitHostPort(d.ui)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	if err := runScript(ctx, t, func(line string) { said = append(said, line) }, "habits.mjs", port); err != nil {
		t.Error(err)
	}
	compare(t, "testdata/habits.txt", said)
	d.terminate(t)
	d.expectExit(t)
}

// runScript runs a script of this folder with Node.js, and tells each line that it prints.
func runScript(ctx context.Context, t *testing.T, tell func(line string), args ...string) error {
	t.Helper()
	needPackages(t)
	runtime := program(t, "node")
	script := exec.CommandContext(ctx, runtime, args...)
	var complaints bytes.Buffer
	script.Stderr = &complaints
	stdout, err := script.StdoutPipe()
	if err != nil {
		return err
	}
	if err := script.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		tell(lines.Text())
	}
	if err := script.Wait(); err != nil {
		return fmt.Errorf("foreign: %q: %w\n%s", args, err, &complaints)
	}
	return lines.Err()
}

// needPackages fails a test that lacks what it drives.
func needPackages(t *testing.T) {
	t.Helper()
	for _, name := range []string{"ws", "libp2p-websocket-star", "libp2p-websocket-star-rendezvous", "socket.io-client-2", "socket.io-client-4"} {
		if _, err := os.Stat("node_modules/" + name + "/package.json"); err != nil {
			t.Fatalf("foreign: the npm package %q is not installed; `make clients` installs it", name)
		}
	}
}
