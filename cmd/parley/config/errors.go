package config

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ExitUsage is the exit code of wrong usage or configuration. Source: the
// exit codes that every verb of parley shares.
const ExitUsage = 2

// maxQuoted bounds a quoted value in an error, in bytes: a pasted file as a
// value must not fill the terminal.
const maxQuoted = 120

// Problem is one thing wrong with a configuration or a command line.
type Problem struct {
	Option string // name of the option; blank when none is meant
	Value  string // as written; 16 asterisks when secret; blank when none
	Origin Origin // where the value stands
	Cause  string // what is wrong, reads on after the value
	Next   string // what to do about it

	unknown bool // a name that no option has
}

// Error gives one line: where, which option, value quoted, cause, what next.
func (p Problem) Error() string {
	option := ""
	if p.Option != "" {
		option = p.Option + ": "
	}
	return "config: " + p.place() + option + p.text()
}

// place gives where the value stands and a colon; blank: in no place.
func (p Problem) place() string {
	if place := p.Origin.Place(); place != "" {
		return place + ": "
	}
	return ""
}

// text gives value, cause and what next.
func (p Problem) text() string {
	text := p.Cause
	if p.Value != "" {
		text = quote(p.Value) + " " + text
	}
	if p.Next != "" {
		text += "; " + p.Next
	}
	return text
}

// UsageError is wrong usage or configuration: the process ends with 2. It
// holds every problem found, at least one, in the order of the layers.
type UsageError struct{ Problems []Problem }

// Error gives one line a problem.
func (e *UsageError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// ExitCode gives ExitUsage, for main.
func (e *UsageError) ExitCode() int { return ExitUsage }

// usage makes a UsageError about the command line itself.
func usage(next, format string, args ...any) error {
	return &UsageError{Problems: []Problem{{Cause: fmt.Sprintf(format, args...), Next: next}}}
}

// quote gives s in double quotes with control characters escaped, cut at
// maxQuoted bytes.
func quote(s string) string {
	if len(s) <= maxQuoted {
		return strconv.Quote(s)
	}
	cut := maxQuoted
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strconv.Quote(s[:cut]) + "…"
}
