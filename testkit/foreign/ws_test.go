package foreign_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// TestNpmWs lets the npm package ws, the usual WebSocket client of Node.js, hold the conversation.
func TestNpmWs(t *testing.T) {
	runtime := program(t, "node")
	if _, err := os.Stat("node_modules/ws/package.json"); err != nil {
		t.Fatal("foreign: the npm package \"ws\" is not installed; `make clients` installs it")
	}
	expectConversation(t, func(ctx context.Context, address string, tell func(string)) error {
		script := exec.CommandContext(ctx, runtime, "ws.mjs", address)
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
			return fmt.Errorf("foreign: ws.mjs: %w\n%s", err, &complaints)
		}
		return lines.Err()
	})
}
