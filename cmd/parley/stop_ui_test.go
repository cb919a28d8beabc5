package main

import (
	"context"
	"encoding/json"
	"strings"
	"syscall"
	"testing"

	"parley/gateways/uiv2"
	"parley/gateways/ws"
)

// TestSignalBehindShutdown has a Daemon end while a user interface ends its
// Node: the Node's first signal is no second one, and all is closed in order.
func TestSignalBehindShutdown(t *testing.T) {
	t.Parallel()
	n := startNode(t, "--ui-port", "0", "--data-directory", t.TempDir())
	line, _ := strings.CutPrefix(n.out.lines()[0], "ready ")
	var at struct{ UI string }
	if err := json.Unmarshal([]byte(line), &at); err != nil || at.UI == "" {
		t.Fatalf("%q: %v", line, err)
	}
	mute := n.join(t, "lobby") // does not answer a goodbye, which gives the signal its time
	defer mute.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ui, err := ws.DialProtocol(ctx, "ws://"+at.UI+"/", 1<<20, uiv2.Subprotocol)
	if err != nil {
		t.Fatal(err)
	}
	defer ui.Close()
	if err := ui.Say([]byte(`{"opcode":"shutdown","contextId":1,"payload":{}}`)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end to begin", func() bool { return strings.Contains(n.err.String(), "a user interface asked for it") })
	n.signal(syscall.SIGTERM)
	if code := n.wait(); code != 0 || strings.Contains(n.err.String(), "without goodbye") {
		t.Errorf("exit code %d:\n%s", code, n.err.String())
	}
}
