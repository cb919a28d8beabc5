// Package suite runs the cases of a protocol one after the other and says which of them an implementation passes.
package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"parley/cmd/parley/show"
)

// Case is one thing that an implementation must do.
type Case struct {
	Name  string // group/what
	Slow  bool   // takes longer than a second even when all is well
	Needs string // why it cannot be tried on this implementation; "": it can
	Run   func(ctx context.Context) error
}

// Group is the part of the name before the slash.
func (c *Case) Group() string {
	group, _, _ := strings.Cut(c.Name, "/")
	return group
}

// Needs says of cases that they cannot be tried unless a condition holds.
func Needs(ok bool, why string, cases ...Case) []Case {
	if !ok {
		for i := range cases {
			cases[i].Needs = why
		}
	}
	return cases
}

// Play is a case while it runs. After the first thing that went wrong nothing else is done, so a case is a plain list of steps.
type Play struct {
	Err error // the first
}

// Fail notes what went wrong, unless something did before.
func (p *Play) Fail(format string, args ...any) {
	if p.Err == nil {
		p.Err = fmt.Errorf(format, args...)
	}
}

// Demand fails when a condition does not hold, which it returns.
func (p *Play) Demand(ok bool, format string, args ...any) bool {
	if !ok {
		p.Fail(format, args...)
	}
	return ok
}

// ErrUnreachable says that nobody answered, so nothing can be said about anybody.
var ErrUnreachable = errors.New("conform: nobody is there")

// Result is what came of a case.
type Result struct {
	Name    string  `json:"name"`
	Outcome string  `json:"outcome"` // "pass", "fail" or "not tried"
	Reason  string  `json:"reason,omitempty"`
	Millis  float64 `json:"ms"`
}

// Outcomes.
const (
	Pass     = "pass"
	Fail     = "fail"
	NotTried = "not tried"
)

// Report is what --json prints.
type Report struct {
	Version  int      `json:"version"` // raised when a key changes its meaning
	Protocol string   `json:"protocol"`
	Address  string   `json:"address"`
	Passed   int      `json:"passed"`
	Failed   int      `json:"failed"`
	NotTried int      `json:"not_tried"`
	Results  []Result `json:"results"`
}

// Run runs the cases and tells each result as it comes. An error says that the rest was not run.
func (r *Report) Run(ctx context.Context, cases []Case, tell func(*Result)) error {
	for i := range cases {
		c := &cases[i]
		one := Result{Name: c.Name, Outcome: Pass}
		began := time.Now()
		switch err := r.try(ctx, c); {
		case ctx.Err() != nil:
			return fmt.Errorf("conform: %w", context.Cause(ctx))
		case c.Needs != "":
			one.Outcome, one.Reason = NotTried, c.Needs
			r.NotTried++
		case errors.Is(err, ErrUnreachable):
			return err
		case err != nil:
			one.Outcome, one.Reason = Fail, err.Error()
			r.Failed++
		default:
			r.Passed++
		}
		one.Millis = float64(time.Since(began).Microseconds()) / 1e3
		r.Results = append(r.Results, one)
		tell(&one)
	}
	return nil
}

func (r *Report) try(ctx context.Context, c *Case) error {
	if c.Needs != "" {
		return nil
	}
	return c.Run(ctx)
}

// Print tells a result to people, in a line.
func (r *Result) Print(out io.Writer) error {
	line := fmt.Sprintf("%-9s  %s", r.Outcome, r.Name)
	if r.Reason != "" {
		line += ": " + show.Line(r.Reason)
	}
	_, err := fmt.Fprintln(out, line)
	return err
}

// Select leaves the cases whose names begin with one of the prefixes, if there are any, and leaves out slow ones unless they are
// wanted.
func Select(cases []Case, prefixes []string, slow bool) []Case {
	var some []Case
	for _, c := range cases {
		fits := len(prefixes) == 0
		for _, p := range prefixes {
			fits = fits || strings.HasPrefix(c.Name, p)
		}
		if fits && (slow || !c.Slow) {
			some = append(some, c)
		}
	}
	return some
}
