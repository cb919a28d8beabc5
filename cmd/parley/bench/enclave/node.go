//go:build linux

package enclave

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"parley/cmd/parley/bench/gauge"
)

// Names of targets.
const (
	targetNode  = "node"
	targetPlain = "no outbox" // a node without
	targetLimit = "limit"     // a bare loop
)

// server is what is measured: a process of this binary.
type server struct {
	name    string
	address string // where peers connect
	cmd     *exec.Cmd
	proc    gauge.Processes
	out     *bufio.Reader // its standard output
	dir     string        // data directory; "": it has none
	front   *front        // its named pipes; nil: it has none
	said    *bytes.Buffer // on its standard error; not to be read before it has ended
}

// childPatience is how long a child may take to end after SIGTERM.
const childPatience = 20 * time.Second

// directoryMode lets others pass, and nobody list: a node of root runs as it likes.
const directoryMode = 0o711

// startNode starts a fresh node, and uses its pipes.
func startNode(ctx context.Context, o *Options, outbox bool) (*server, error) {
	dir, err := os.MkdirTemp("", "parley-bench-")
	if err != nil {
		return nil, fmt.Errorf("enclave: make a data directory: %w", err)
	}
	if err := os.Chmod(dir, directoryMode); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	name, box := targetNode, "on"
	if !outbox {
		box = "off"
	}
	if o.Scenario == Outbox && !outbox {
		name = targetPlain
	}
	s, err := start(ctx, name, dir, "node", "--clandestine-port", "0", "--ui-port", "0", "--metrics-address", "off", "--star-address", "off",
		"--enclave-address", nodeIP, "--enclave-port", "0", "--enclave-retention", o.Retention, "--enclave-outbox", box, "--log-level", "warn",
		"--data-directory", dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if s.front, err = openFront(ctx, filepath.Join(dir, "enclave")); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// startLimit starts the bare loop.
func startLimit(ctx context.Context, o *Options, words []string) (*server, error) {
	words = append(slices.Clone(words), "--listen", nodeIP+":0")
	if o.Scenario == Latency {
		words = append(words, "--tell")
	}
	return start(ctx, targetLimit, "", words...)
}

// start runs this binary and waits until it listens.
func start(ctx context.Context, name, dir string, args ...string) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("enclave: find own binary: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	for _, e := range os.Environ() { // what is set for the caller's own node is not for this one
		if !strings.HasPrefix(e, "PARLEY_") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	said := &bytes.Buffer{} // of interest only if something goes wrong
	cmd.Stderr = said
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = childPatience
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("enclave: start a %s: %w", name, err)
	}
	s := &server{name: name, dir: dir, cmd: cmd, proc: gauge.Processes{cmd.Process.Pid}, out: bufio.NewReaderSize(out, lineBuffer), said: said}
	line, err := s.out.ReadString('\n')
	var ready struct {
		Enclave string `json:"enclave"`
	}
	text, ok := strings.CutPrefix(line, "ready ")
	if err != nil || !ok || json.Unmarshal([]byte(text), &ready) != nil || ready.Enclave == "" {
		return nil, errors.Join(fmt.Errorf("enclave: the %s did not start: it said %q", name, line), s.fail())
	}
	s.address = ready.Enclave
	return s, nil
}

// lastSaid is how much of what a process said last is shown, bytes.
const lastSaid = 4 << 10

// fail ends a process that has not come about.
func (s *server) fail() error {
	s.dir = "" // it belongs to the caller
	err := s.stop()
	if err == nil {
		err = errors.New(s.said.String())
	}
	return err
}

// stop ends the process, waits for it, and removes what it has written.
func (s *server) stop() error {
	var err error
	if s.front != nil {
		err = s.front.close()
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(childPatience, func() { _ = s.cmd.Process.Kill() })
	defer kill.Stop()
	_, _ = io.Copy(io.Discard, s.out) // Wait must not close what is being read
	if bad := s.cmd.Wait(); bad != nil {
		said := s.said.Bytes()
		err = errors.Join(err, fmt.Errorf("enclave: the %s did not end in order: %w; it said %s", s.name, bad, said[max(0, len(said)-lastSaid):]))
	}
	if s.dir != "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}

// meter measures processor time over one phase.
type meter struct {
	s      *server
	began  time.Time
	server time.Duration
	client time.Duration
}

func (s *server) meter() (*meter, error) {
	m := &meter{s: s}
	var err error
	if m.server, err = s.proc.CPU(); err != nil {
		return nil, err
	}
	m.client, m.began = gauge.SelfCPU(), time.Now()
	return m, nil
}

// stop ends the phase, in which so many messages went through.
func (m *meter) stop(r *Run, messages uint64) error {
	took := time.Since(m.began)
	client := gauge.SelfCPU() - m.client
	now, err := m.s.proc.CPU()
	if err != nil {
		return err
	}
	r.Seconds, r.Messages = took.Seconds(), messages
	r.PerSecond = float64(messages) / r.Seconds
	r.Server = Load{(now - m.server).Seconds(), (now - m.server).Seconds() / r.Seconds}
	r.Client = Load{client.Seconds(), client.Seconds() / r.Seconds}
	if messages > 0 {
		r.CPUMicros = r.Server.Seconds * 1e6 / float64(messages)
	}
	return nil
}

// resident is the server's memory now, KiB.
func (s *server) resident() (int64, error) {
	m, err := s.proc.Memory()
	return m.Resident, err
}

// pause waits, or ends with the context.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// release ends the process, so that whoever reads what it says ends, too.
func (s *server) release() { _ = s.cmd.Process.Signal(syscall.SIGTERM) }
