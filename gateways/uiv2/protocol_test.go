package uiv2

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"parley/actors/ui"
	"parley/gateways/guard"
	"parley/messages/uipb"
)

func paper(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestPaperFrames: what is shown is what is read and written.
func TestPaperFrames(t *testing.T) {
	shown := 0
	for line := range strings.Lines(paper(t)) {
		frame, to := strings.CutPrefix(strings.TrimSpace(line), "> ")
		frame, from := strings.CutPrefix(frame, "< ")
		if !strings.HasPrefix(line, "    ") || !to && !from {
			continue
		}
		shown++
		if !jsontext.Value(frame).IsValid() {
			t.Errorf("no JSON: %s", frame)
		}
		if from {
			continue
		}
		known := 0
		for _, c := range []Codec{daemon, node} {
			if m, ok := first(c.Decode([]byte(frame), false)).(*uipb.Request); !ok {
				t.Errorf("not read: %s", frame)
			} else if m.GetBody() != nil || m.GetFlaw() != "" {
				known++
			}
		}
		if known == 0 {
			t.Errorf("nobody knows %s", frame)
		}
	}
	if shown < 10 {
		t.Errorf("%d frames", shown)
	}
}

func first[T any](v T, _ uint32) any { return v }

// TestPaperNames: opcodes, codes and reasons are all there.
func TestPaperNames(t *testing.T) {
	text := paper(t)
	var names []string
	for _, c := range []Codec{daemon, node} {
		for opcode := range c.schemas {
			names = append(names, "`"+opcode+"`")
		}
	}
	for _, v := range frames {
		if m, ok := v.m.(*uipb.Response); ok && !strings.ContainsAny(m.GetOpcode(), "x\"") {
			names = append(names, "`"+m.GetOpcode()+"`")
		}
	}
	for _, code := range []uint64{
		ui.CodeLaunch, ui.CodeNoNode, ui.CodeRunning, ui.CodeUnmarshal, ui.CodeSetup, ui.CodeTimeout, ui.CodeRead, ui.CodeWrite,
		ui.CodeBadPassword, ui.CodeUnknownName, ui.CodeUnparsable, ui.CodeMissing, ui.CodeUnknown, ui.CodeNotPermitted, ui.CodeTooMany, ui.CodeNode,
	} {
		names = append(names, "| "+strconv.FormatUint(code, 10)+" |")
	}
	for _, reason := range guard.Reasons() {
		if slices.Contains([]string{guard.ReasonHalfOpenAddress, guard.ReasonHalfOpenTotal, guard.ReasonRate, guard.ReasonNoFiles, guard.ReasonAcceptError, guard.ReasonOther}, reason) {
			continue // turned away before there is a request
		}
		names = append(names, "`"+reason+"`")
	}
	for _, name := range names {
		if !strings.Contains(text, name) {
			t.Errorf("no word of %s", name)
		}
	}
}
