package verbs

import (
	"fmt"

	"github.com/go-json-experiment/json"

	"parley/cmd/parley/show"
	"parley/cmd/parley/talk"
)

// logLine is the payload of logBroadcast.
type logLine struct {
	Text  string `json:"msg"`
	Level string `json:"logLevel"`
}

// String is for people: the level, and the text on one line.
func (l *logLine) String() string {
	return fmt.Sprintf("%-5s  %s", show.Line(l.Level), show.Line(l.Text))
}

// Told are the broadcasts that Describe puts into words: those that come to who
// never asks, and two that must be asked for.
var Told = []string{"setup", "crashed", "nodeStarted", "newPassword", "configurationChanged", "connectionChange", "logBroadcast"}

// Describe says what a broadcast means to somebody who did not ask for it; "":
// nothing.
func Describe(b talk.Broadcast) string {
	switch b.Opcode {
	case "setup":
		return "the Setup space was changed; look with: setup"
	case "crashed":
		if c, err := talk.ParseCrashed(b.Payload); err == nil {
			return "the Node has ended: " + c.String()
		}
	case "nodeStarted":
		var in struct {
			PID uint32 `json:"newProcessId"`
		}
		if json.Unmarshal(b.Payload, &in) == nil {
			return fmt.Sprintf("the Node was started (pid %d)", in.PID)
		}
	case "newPassword":
		return "the database's password was changed by somebody else"
	case "configurationChanged":
		return "the Node's configuration was changed; look with: configuration"
	case "connectionChange":
		if name, err := stageOf(b.Payload); err == nil {
			return "the Node's connection changed: " + show.Line(stage(name))
		}
	case "logBroadcast":
		var l logLine
		if json.Unmarshal(b.Payload, &l) == nil {
			return l.String()
		}
	case "undelivered": // answers what no verb sends
		return ""
	}
	return show.Line(b.Opcode + ": " + string(b.Payload))
}
