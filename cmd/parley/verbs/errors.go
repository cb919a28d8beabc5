package verbs

import (
	"errors"
	"fmt"
	"strings"

	"parley/cmd/parley/talk"
)

const (
	exitFailed  = 1
	exitUsage   = 2
	exitNothing = 3
)

// usageError is wrong usage.
type usageError struct{ error }

// ExitCode is for main.
func (usageError) ExitCode() int { return exitUsage }

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// quiet ends with an exit code: all was said.
type quiet int

func (quiet) Error() string { return "" }

// ExitCode is for main.
func (q quiet) ExitCode() int { return int(q) }

// advised is an error with what to do about it.
type advised struct {
	error
	text string
}

func (a *advised) Error() string { return a.text }

func (a *advised) Unwrap() error { return a.error }

// Explain adds what to do next.
func (d *Desk) Explain(err error) error {
	var (
		nobody   *talk.Nobody
		refused  *talk.Refused
		stranger *talk.Stranger
		ended    *talk.Ended
		lost     *talk.Lost
		silent   *talk.Silent
	)
	text := err.Error()
	switch {
	case errors.As(err, &nobody) && nobody.Role == "Daemon":
		text += "; start one with: parley up"
		if nobody.Port != DefaultPort {
			text += fmt.Sprintf(" --ui-port %d", nobody.Port)
		}
	case errors.As(err, &refused):
		text = d.refusal(refused, text)
	case errors.As(err, &stranger) && errors.Unwrap(stranger) == nil:
		how := "give: --trust-user %d"
		if d.Prefix == "" {
			how = "start again with: parley ui --trust-user %d"
		}
		text += fmt.Sprintf("; if that user may know it, "+how, stranger.UID)
	case errors.As(err, &stranger):
		text += "; run this where the server runs, outside of containers"
	case errors.As(err, &ended) && ended.Crash != nil:
		text += "\n  start it again with: " + d.Prefix + "start"
	case errors.As(err, &ended), errors.As(err, &lost):
		text += "; whether it was done is not known: look with: " + d.Prefix + "status"
	case errors.As(err, &silent):
		text += "; look with: " + d.Prefix + "status, then try again"
	default:
		return err
	}
	return &advised{err, text}
}

// refusal is an error that a server answered. Those that come with advice of
// their own stay as they are.
func (d *Desk) refusal(r *talk.Refused, text string) string {
	switch r.Code {
	case talk.CodeNoNode:
		return "no Node is running; start one with: " + d.Prefix + "start"
	case talk.CodeRunning:
		return text + "; look with: " + d.Prefix + "status"
	case talk.CodeLaunch:
		if !strings.Contains(r.Message, "setup") {
			return text + "\n  see what it is started with: " + d.Prefix + "setup"
		}
	case talk.CodeWrite:
		if r.Opcode == "changePassword" && strings.Contains(r.Message, "already has a password") {
			return text + ", with: " + d.Prefix + "change-password"
		}
	}
	return text
}
