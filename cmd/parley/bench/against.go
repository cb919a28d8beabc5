//go:build linux

package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"parley/cmd/parley/bench/field"
	"parley/cmd/parley/bench/report"
)

// ready is what a server prints when it listens.
type ready struct {
	Relay string `json:"relay"`
}

// readyPrefix begins that line.
const readyPrefix = "ready "

// child is a process of ours that runs `bench limit`.
type child struct {
	cmd     *exec.Cmd
	address string
}

// startLimit runs this binary's limit command, whose words are given, and waits until it listens.
func startLimit(ctx context.Context, words []string, flags ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("bench: find own binary: %w", err)
	}
	args := append(append([]string{}, words...), "--listen", "127.0.0.1:0")
	cmd := exec.CommandContext(ctx, self, append(args, flags...)...)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = childPatience
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("bench: start limit: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("bench: start limit: %w", err)
	}
	c := &child{cmd: cmd}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("bench: limit did not start: %w", err), c.stop())
	}
	var r ready
	text, ok := strings.CutPrefix(line, readyPrefix)
	if !ok || json.Unmarshal([]byte(text), &r) != nil || r.Relay == "" {
		return nil, errors.Join(fmt.Errorf("bench: limit said %q", line), c.stop())
	}
	c.address = r.Relay
	return c, nil
}

// childPatience is how long a child may take to end after SIGTERM.
const childPatience = 5 * time.Second

// stop ends the child and waits for it.
func (c *child) stop() error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(childPatience, func() { _ = c.cmd.Process.Kill() })
	defer kill.Stop()
	return c.cmd.Wait()
}

// limits starts the yardsticks that a run is compared with: the plain loop, and with bursts the joining one.
func limits(ctx context.Context, o *report.Options, words []string) (targets []*field.Target, stop func(), err error) {
	var children []*child
	stop = func() {
		for _, c := range children {
			_ = c.stop() // it has nothing to lose
		}
	}
	kinds := map[string][]string{field.TargetLimit: nil}
	names := []string{field.TargetLimit}
	if o.Inflight > 1 {
		kinds[field.TargetLimitJoin] = []string{"--join"}
		names = append(names, field.TargetLimitJoin)
	}
	for _, name := range names {
		c, err := startLimit(ctx, words, kinds[name]...)
		if err != nil {
			stop()
			return nil, nil, err
		}
		children = append(children, c)
		t, err := field.NewTarget(ctx, name, o, []string{"ws://" + c.address + "/connect"}, []int{c.cmd.Process.Pid})
		if err != nil {
			stop()
			return nil, nil, err
		}
		targets = append(targets, t)
	}
	return targets, stop, nil
}
