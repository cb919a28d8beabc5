package daemon

import (
	"fmt"
	"slices"
	"strings"

	"parley/messages/processpb"
)

// wordsMost bounds what a failed launch repeats of a Node's last lines; bytes.
const wordsMost = 4 << 10

// manner says how a Node ended.
func manner(e *processpb.Ended) string {
	switch {
	case e.GetFailure() != "":
		return strings.TrimPrefix(e.GetFailure(), "process: ")
	case e.ExitCode != nil:
		return fmt.Sprintf("it ended with exit code %d", e.GetExitCode())
	case e.GetSignal() != "":
		return fmt.Sprintf("it was ended by the signal %q", e.GetSignal())
	}
	return "it ended, and how is not known"
}

// reason says for people why a Node never was ready, with its last lines.
func reason(e *processpb.Ended) string {
	why := manner(e)
	var words []string
	room := wordsMost
	for _, line := range slices.Backward(e.GetLastLines()) {
		if room -= len(line) + 1; room < 0 {
			break
		}
		words = append(words, line)
	}
	if len(words) == 0 {
		return why
	}
	slices.Reverse(words)
	return why + "; it said:\n" + strings.Join(words, "\n")
}
