package main

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// uiPort is where a node that runs by itself has its user interfaces.
func (n *node) uiPort(t *testing.T) string {
	t.Helper()
	line, _ := strings.CutPrefix(n.out.lines()[0], "ready ")
	var at struct{ UI string }
	if err := json.Unmarshal([]byte(line), &at); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	_, port, err := net.SplitHostPort(at.UI)
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return port
}

// TestNodeWithoutADaemon has the verbs that are for the Node talk to one that runs
// by itself, at the port where a Daemon would listen.
func TestNodeWithoutADaemon(t *testing.T) {
	t.Parallel()
	n := startNode(t, "--ui-port", "0", "--enclave-address", "127.0.0.1", "--enclave-port", "0", "--data-directory", t.TempDir())
	port := n.uiPort(t)
	do := func(input string, args ...string) outcome {
		return feed(t, strings.NewReader(input), append(args, "--ui-port", port)...)
	}
	for _, step := range []struct {
		input, args, out string
	}{
		{"", "contacts add 127.0.0.9 Ann", "done\n"},
		{"", "send Ann Hello", "queued: it goes as soon as the friend's node can be reached\n"},
		{"secret\nsecret\n", "set-password", "the password is set\n"},
		{"secret\n", "check-password", "the password is right\n"},
		{"secret\n", "history Ann", "  > Hello  (queued)\n"},
	} {
		if o := do(step.input, strings.Fields(step.args)...); o.code != 0 || !strings.HasSuffix(o.out, step.out) {
			t.Errorf("%s: want %q, got %v", step.args, step.out, o)
		}
	}
	follow := launch(t, nil, nil, "logs", "--ui-port", port)
	eventually(t, "a line of the log", func() bool { // whenever it listens
		if o := do("secret\nsecret\nsecret\n", "change-password"); o.code != 0 {
			t.Fatal(o)
		}
		return strings.Contains(follow.out.String(), "password changed")
	})
	follow.signal(syscall.SIGINT)
	if code := follow.wait(); code != 0 {
		t.Errorf("logs ended with %d:\n%s", code, follow.err.String())
	}
}

// TestReadmePeople runs what the README says of people, line by line. The program
// for the whole screen has tests of its own.
func TestReadmePeople(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(text), "\nPeople talk to people")
	_, block, _ = strings.Cut(block, "```sh\n")
	block, _, _ = strings.Cut(block, "```")
	n := startNode(t, "--ui-port", "0", "--enclave-address", "127.0.0.1", "--enclave-port", "0", "--data-directory", t.TempDir())
	port, ran := n.uiPort(t), 0
	for line := range strings.Lines(block) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), " #")
		line, is := strings.CutPrefix(line, "bin/parley ")
		if !is {
			t.Errorf("no command: %q", line)
		}
		if strings.TrimSpace(line) == "chat" {
			continue
		}
		words, err := exec.Command("sh", "-c", "printf '%s\\0' "+line).Output()
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		args := strings.Split(strings.TrimSuffix(string(words), "\x00"), "\x00")
		if o := parley(t, append(args, "--ui-port", port)...); o.code != 0 || o.out == "" {
			t.Errorf("%s: %v", line, o)
		}
		ran++
	}
	if ran < 5 {
		t.Errorf("%d lines were run", ran)
	}
}
