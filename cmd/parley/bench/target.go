//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"parley/cmd/parley/bench/crowd"
	"parley/cmd/parley/bench/gauge"
)

// The names of targets.
const (
	targetServer    = "server"
	targetLimit     = "limit"
	targetLimitJoin = "limit-join"
)

// target is a server under load.
type target struct {
	name  string
	doors []crowd.Door // one a URL and source address
	procs gauge.Processes
}

// door is where connection i goes: all URLs and sources in turn.
func (t *target) door(i int) crowd.Door { return t.doors[i%len(t.doors)] }

// newTarget resolves a server's addresses.
func newTarget(ctx context.Context, name string, o *Options, urls []string, pids []int) (*target, error) {
	t := &target{name: name, procs: pids}
	sources := []netip.Addr{{}}
	if len(o.Sources) > 0 {
		sources = nil
		for _, s := range o.Sources {
			a, err := netip.ParseAddr(s)
			if err != nil {
				return nil, usage(fmt.Errorf("bench: invalid source address %q", s))
			}
			sources = append(sources, a)
		}
	}
	for _, u := range urls {
		d, err := crowd.Resolve(ctx, u)
		if err != nil {
			return nil, usage(err)
		}
		d.Origin = o.Origin
		for _, s := range sources {
			d.Source = s
			t.doors = append(t.doors, d)
		}
	}
	// A wrong --pid is better known before the run than after it.
	if _, err := t.procs.CPU(); err != nil {
		return nil, usage(err)
	}
	return t, nil
}

// The exit codes of a failed bench, as the command line documents them.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
)

// exitError carries the exit code that main ends with.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// ExitCode is 1 for a run that failed or found losses, 2 for wrong usage, 3 when no server is there.
func (e *exitError) ExitCode() int { return e.code }

func usage(err error) error { return &exitError{exitUsage, err} }

// coded puts an error's exit code, 1 unless it has one inside, where main sees it without unwrapping.
func coded(err error) error {
	var e *exitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return &exitError{e.code, err}
	}
	return &exitError{exitFailed, err}
}

// unreachable gives the error of a server that is not there its exit code.
func unreachable(err error) error {
	if errors.Is(err, crowd.ErrUnreachable) {
		return &exitError{exitUnreachable, fmt.Errorf("%w; is the server running, and --url right?", err)}
	}
	return err
}
