package life_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"parley/testkit/port"
)

// TestDaemonKilledAmidStart kills the Daemon while it starts a Node. The next one
// knows that Node, or it ends by itself: then another can be started at once, in
// the same directory and at the same port.
func TestDaemonKilledAmidStart(t *testing.T) {
	random, dir := seeded(t), directory(t)
	d := start(t, dir, nil)
	u := connect(t, d.port)
	u.settle()
	u.change("clandestine-port", fmt.Sprint(port.Free(t))).want(t, `"errors":[]`)
	adopted, rounds := 0, cycles(t, 6)
	for range rounds {
		_ = u.send("start", "{}")
		var first int
		eventually(t, "the Node begins", func() bool {
			all := children(t, d.cmd.Process.Pid)
			if len(all) == 0 {
				return false
			}
			n, err := fmt.Sscanf(all[0], "%d:", &first)
			return n == 1 && err == nil
		})
		<-time.After(time.Duration(random.IntN(150)) * time.Millisecond)
		d.kill()
		d = start(t, dir, nil)
		u = connect(t, d.port)
		if f := u.ask("nodeStats", "{}"); f.Opcode == "redirect" {
			adopted++
			kill(t, first, syscall.SIGKILL)
			u.crashed(first)
			continue
		}
		node := u.launch()
		kill(t, node.PID, syscall.SIGKILL)
		u.crashed(node.PID)
		eventually(t, "the Node of the first Daemon ends", func() bool { return !alive(first) })
	}
	t.Logf("the Daemon was killed %d times, and %d Nodes were adopted", rounds, adopted)
}
