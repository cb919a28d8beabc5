package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"parley/cmd/parley/show"
)

const (
	healthPath = "/health"
	// healthTimeout is longer than a node takes to find out that it does not answer.
	healthTimeout = 5 * time.Second
	// healthBody is the longest answer that is taken, in bytes.
	healthBody = 64 << 10
)

// Exit codes of health: those that monitoring systems know as warning and critical.
var healthCodes = map[string]int{"good": 0, "degraded": 1, "bad": 2}

// condition is the answer of GET /health. Source: gateways/relay/PROTOCOL.md, Health.
type condition struct {
	Healthy string   `json:"healthy"`
	Reason  string   `json:"reason"`
	Reasons []string `json:"reasons"`
}

// conditionError ends the process with the code of a condition that was printed.
type conditionError int

func (conditionError) Error() string { return "" }

// ExitCode is for main.
func (e conditionError) ExitCode() int { return int(e) }

func healthCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "health [URL]",
		Short: "Ask a node how it is",
		Long: `Ask a node how it is, and print its answer and the reason.

Exit codes: 0 good, 1 degraded, 2 bad (or wrong usage), 3 nobody there who could tell.
URL may be the address of /connect; without a path it is that of /health.`,
		Example: `  parley health
  parley health https://relay.example
  parley health --json ws://127.0.0.1:8913`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return errors.New("one node at a time, as in: parley health http://" + defaultAddress())
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			at := "http://" + defaultAddress()
			if len(args) == 1 {
				at = args[0]
			}
			err := health(cmd.Context(), cmd.OutOrStdout(), at, asJSON)
			if _, printed := errors.AsType[conditionError](err); printed || err == nil {
				return err
			}
			return fmt.Errorf("health: %w", err)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the node's answer as it came")
	return cmd
}

func health(ctx context.Context, out io.Writer, at string, asJSON bool) error {
	at, err := healthAddress(at)
	if err != nil {
		return err
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	body, err := askHealth(ctx, at)
	if ctx.Err() != nil {
		return &nothingError{errInterrupted}
	}
	if err != nil {
		return &nothingError{err}
	}
	var c condition
	code, known := 0, false
	if json.Unmarshal(body, &c) == nil {
		code, known = healthCodes[c.Healthy]
	}
	if !known {
		return &nothingError{fmt.Errorf("%s did not tell how it is, but %q; is that a node's address?", show.Safe(at), show.Clip(string(body), maxLogValue))}
	}
	if asJSON {
		fmt.Fprintf(out, "%s\n", strings.TrimRight(string(body), "\n"))
	} else {
		fmt.Fprintf(out, "%s: %s\n", c.Healthy, show.Clip(c.reasons(), maxLogValue))
	}
	if code != 0 {
		return conditionError(code)
	}
	return nil
}

// reasons lists all of them, the decisive one first.
func (c *condition) reasons() string {
	if len(c.Reasons) > 1 {
		return strings.Join(c.Reasons, ", ")
	}
	return c.Reason
}

// healthAddress is where a node tells how it is: beside the /connect that people
// have at hand.
func healthAddress(text string) (string, error) {
	at, err := address(text, healthPath, [2]string{"http", "https"})
	if before, is := strings.CutSuffix(at, connectPath); is {
		at = before + healthPath
	}
	return at, err
}

// askHealth gets the answer, whatever its status says.
func askHealth(ctx context.Context, at string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return nil, reachError(err, at)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, healthBody))
	if err != nil {
		return nil, reachError(err, at)
	}
	return body, nil
}
