package life_test

import (
	"bytes"
	"fmt"
	"os"
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
			for _, child := range children(t, d.cmd.Process.Pid) { // the runtime tries out pidfds with another
				if _, err := fmt.Sscanf(child, "%d:", &first); err != nil {
					t.Fatal(err)
				}
				line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", first))
				if err == nil && bytes.Contains(line, []byte("--under-daemon")) {
					return true
				}
			}
			return false
		})
		<-time.After(time.Duration(random.IntN(150)) * time.Millisecond)
		d.kill()
		d = start(t, dir, nil)
		u = connect(t, d.port)
		end := func(pid int) { // a Node that the Daemon before had begun to note is told of, too
			kill(t, pid, syscall.SIGKILL)
			for c := (crash{}); c.PID != pid; {
				u.await("crashed").into(t, &c)
			}
		}
		if f := u.ask("nodeStats", "{}"); f.Opcode == "redirect" {
			adopted++
			end(first)
			continue
		}
		node := u.launch()
		end(node.PID)
		eventually(t, "the Node of the first Daemon ends", func() bool { return !alive(first) })
	}
	t.Logf("the Daemon was killed %d times, and %d Nodes were adopted", rounds, adopted)
}
