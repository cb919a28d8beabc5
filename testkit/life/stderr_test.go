package life_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	little     = 4 << 10                                                             // bytes that a pipe takes that nobody reads
	worthALine = `{"opcode":"setup","error":{"code":1,"message":"is worth a line"}}` // to a Daemon's log
	shortLine  = 64                                                                  // bytes that it has at least
)

// unheeded is a pipe for stderr that nobody reads: a terminal after Ctrl-S, or a
// pager that was stopped.
func unheeded(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err == nil {
		_, err = unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, little)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r, w
}

// muted runs a Daemon that writes its log to w, until the test is over. over is
// closed when it has ended.
func muted(t *testing.T, w *os.File, args ...string) (cmd *exec.Cmd, port uint16, over chan struct{}) {
	t.Helper()
	at, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(at, append(args, "--ui-port", "0", "--data-directory", directory(t))...)
	cmd.Env, cmd.Stderr = []string{"PATH=" + os.Getenv("PATH"), "NO_COLOR=1"}, w
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	over = make(chan struct{})
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	go func() {
		defer close(over)
		_, _ = io.Copy(io.Discard, lines)
		_ = cmd.Wait() // its state is looked at by who asks
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-over
	})
	var ready struct {
		UI netip.AddrPort `json:"ui"`
	}
	if err == nil {
		err = json.Unmarshal([]byte(strings.TrimPrefix(line, "ready ")), &ready)
	}
	if err != nil {
		t.Fatalf("ready line %q: %v", line, err)
	}
	return cmd, ready.UI.Port(), over
}

// isOver is whether a channel is closed.
func isOver(over chan struct{}) bool {
	select {
	case <-over:
		return true
	default:
		return false
	}
}

// TestNobodyReadsTheLog has a Daemon log more than anybody reads: it does all that
// it should, and ends in order.
func TestNobodyReadsTheLog(t *testing.T) {
	_, w := unheeded(t)
	cmd, port, over := muted(t, w, "daemon")
	u, noisy := connect(t, port), connect(t, port)
	u.settle()
	node := u.launch()
	for range 10 * little / shortLine {
		if err := noisy.client.Say([]byte(worthALine)); err != nil {
			t.Fatal(err)
		}
	}
	noisy.ask("setup", `{"values":[]}`).want(t)
	u.change("gas-price", "5").want(t)
	kill(t, node.PID, syscall.SIGKILL)
	u.crashed(node.PID)
	node = u.launch()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the Daemon ends", func() bool { return isOver(over) })
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the Daemon ended with %d", code)
	}
	eventually(t, "the Node ends", func() bool { return !alive(node.PID) })
}

// TestTheLogIsReadAtLast has somebody read again: what was lost is counted, and
// the last words are there.
func TestTheLogIsReadAtLast(t *testing.T) {
	const queue = 256 << 10 // bytes, that a Daemon keeps of what is not read
	r, w := unheeded(t)
	cmd, port, over := muted(t, w, "daemon")
	u := connect(t, port)
	u.settle()
	for range 2 * queue / shortLine {
		if err := u.client.Say([]byte(worthALine)); err != nil {
			t.Fatal(err)
		}
	}
	u.ask("setup", `{"values":[]}`).want(t)
	all := make(chan string, 1)
	begun := make(chan struct{})
	go func() {
		var text strings.Builder
		lines := bufio.NewReader(r)
		line, err := lines.ReadString('\n')
		for ; err == nil; line, err = lines.ReadString('\n') {
			text.WriteString(line)
			if strings.Contains(line, "log lines lost here") {
				close(begun)
			}
		}
		all <- text.String()
	}()
	<-begun
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-over
	text := <-all
	lost, last := strings.Index(text, "log lines lost here"), strings.Index(text, "stopping")
	if strings.Count(text, "log lines lost here") != 1 || lost < queue/2 || last < lost || cmd.ProcessState.ExitCode() != 0 {
		t.Errorf("lines are lost at %d, the Daemon stops at %d, of %d bytes, with %d:\n%s", lost, last, len(text), cmd.ProcessState.ExitCode(), text[max(0, len(text)-1000):])
	}
}
