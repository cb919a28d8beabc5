//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"

	"parley/cmd/parley/bench/crowd"
)

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

// coded gives every error its exit code, where main sees it without unwrapping, and says what to do next.
func coded(err error) error {
	var e *exitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return &exitError{e.code, err}
	case errors.Is(err, context.Canceled):
		return &exitError{exitFailed, errors.New("bench: interrupted")}
	case errors.Is(err, crowd.ErrUnreachable):
		return &exitError{exitUnreachable, fmt.Errorf("%w; is the server running, and --url right?", err)}
	}
	return &exitError{exitFailed, err}
}
