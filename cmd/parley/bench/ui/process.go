//go:build linux

package ui

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// process is a server of user interfaces that the bench has started, or one that was there.
type process struct {
	port int
	pid  int       // 0: not known
	cmd  *exec.Cmd // nil: not ours

	listened time.Duration // from exec to the line that says that it listens
}

// Words of the processes that this binary can become.
const wordDaemon = "daemon"

// environment keeps a Daemon of ours, and its Node, out of the way of others. What is set for the caller's own is not
// for them.
func environment() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "PARLEY_") {
			env = append(env, e)
		}
	}
	return append(env, "PARLEY_CLANDESTINE_PORT=0", "PARLEY_METRICS_ADDRESS=off", "PARLEY_STAR_ADDRESS=off", "PARLEY_ENCLAVE_ADDRESS=off", "PARLEY_LOG_LEVEL=error")
}

// childPatience is how long a child may take to end after SIGTERM: a Daemon stops its Node first.
const childPatience = 20 * time.Second

// launch runs this binary and waits until it listens.
func launch(ctx context.Context, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("ui: find own binary: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env, cmd.Stderr = environment(), os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = childPatience
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("ui: start %s: %w", args[0], err)
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("ui: start %s: %w", args[0], err)
	}
	p := &process{cmd: cmd, pid: cmd.Process.Pid}
	line, err := bufio.NewReader(out).ReadString('\n')
	p.listened = time.Since(began)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("ui: %s did not start: %w", args[0], err), p.stop())
	}
	if p.port, err = portIn(line); err != nil {
		return nil, errors.Join(fmt.Errorf("ui: %s said %q: %w", args[0], line, err), p.stop())
	}
	return p, nil
}

// portIn reads what a server prints when it listens: ready {"ui":"127.0.0.1:5333"}
func portIn(line string) (int, error) {
	text, ok := strings.CutPrefix(line, "ready ")
	var at struct {
		UI netip.AddrPort `json:"ui"`
	}
	if !ok {
		return 0, errors.New("ui: no ready line")
	}
	if err := json.Unmarshal([]byte(text), &at); err != nil {
		return 0, fmt.Errorf("ui: ready line: %w", err)
	}
	return int(at.UI.Port()), nil
}

// daemonIn starts a Daemon with this data directory.
func daemonIn(ctx context.Context, dir string) (*process, error) {
	return launch(ctx, wordDaemon, "--ui-port", "0", "--data-directory", dir)
}

// stop ends a process of ours and waits for it; one that was there goes on.
func (p *process) stop() error {
	if p.cmd == nil {
		return nil
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(childPatience, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	return p.cmd.Wait()
}

// directoryMode lets others pass, and nobody list.
const directoryMode = 0o711

// temporary makes a data directory, and calls f with it.
func temporary(f func(dir string) error) error {
	dir, err := os.MkdirTemp("", "parley-bench-")
	if err != nil {
		return fmt.Errorf("ui: make a data directory: %w", err)
	}
	// A Daemon of root runs its Node as somebody else, who must pass.
	err = os.Chmod(dir, directoryMode)
	if err == nil {
		err = f(dir)
	}
	return errors.Join(err, os.RemoveAll(dir))
}

// withDaemon calls f with the Daemon to load: the one at --ui-port, or one of ours.
func withDaemon(ctx context.Context, o *Options, f func(*process) error) error {
	if o.Port != 0 {
		return f(&process{port: o.Port, pid: o.PID})
	}
	return temporary(func(dir string) error {
		d, err := daemonIn(ctx, dir)
		if err != nil {
			return err
		}
		if err := f(d); err != nil {
			_ = d.stop() // why it failed matters more
			return err
		}
		if err := d.stop(); err != nil {
			return fmt.Errorf("ui: the Daemon did not end in order: %w", err)
		}
		return nil
	})
}
