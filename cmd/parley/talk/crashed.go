package talk

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"parley/cmd/parley/show"
)

// Crashed says how a Node ended. Source: gateways/uiv2/PROTOCOL.md, crashed.
type Crashed struct {
	PID       uint32
	Wait      string // why its end could not be learned; empty: it could
	ExitCode  *int32
	Signal    string
	Requested bool     // it ended in order
	Lines     []string // its last words, oldest first
	Raw       jsontext.Value
}

// ParseCrashed reads the payload of the broadcast. Servers that know only the
// first two fields are understood, too.
func ParseCrashed(raw jsontext.Value) (*Crashed, error) {
	var in struct {
		PID       uint32         `json:"processId"`
		Reason    jsontext.Value `json:"crashReason"`
		ExitCode  *int32         `json:"exitCode"`
		Signal    *string        `json:"signal"`
		Requested bool           `json:"requested"`
		Lines     []string       `json:"lastLines"`
	}
	if err := Decode(raw, &in, "processId", "crashReason"); err != nil {
		return nil, err
	}
	c := &Crashed{PID: in.PID, ExitCode: in.ExitCode, Requested: in.Requested, Lines: in.Lines, Raw: raw}
	if in.Signal != nil {
		c.Signal = *in.Signal
	}
	switch in.Reason.Kind() {
	case '"': // NoInformation
	case '{':
		var reason struct {
			Wait  string `json:"ChildWaitFailure"`
			Lines string `json:"Unrecognized"`
		}
		if err := json.Unmarshal(in.Reason, &reason); err != nil {
			return nil, err
		}
		c.Wait = reason.Wait
		if len(c.Lines) == 0 && reason.Lines != "" {
			c.Lines = strings.Split(strings.TrimRight(reason.Lines, "\n"), "\n")
		}
	default:
		return nil, fmt.Errorf("crashReason %.40q is neither text nor an object", string(in.Reason))
	}
	return c, nil
}

// String is for people: what happened and, behind it on lines of their own, the
// Node's last words.
func (c *Crashed) String() string {
	var how string
	switch {
	case c.Requested:
		return fmt.Sprintf("it was shut down (pid %d)", c.PID)
	case c.Wait != "":
		how = "how is not known: " + show.Line(c.Wait)
	case c.Signal != "":
		how = "ended by signal " + show.Line(c.Signal)
	case c.ExitCode != nil:
		how = fmt.Sprintf("exit code %d", *c.ExitCode)
	default:
		how = "it said nothing"
	}
	text := fmt.Sprintf("%s (pid %d)", how, c.PID)
	if len(c.Lines) > 0 {
		text += "; its last lines:"
		for _, line := range c.Lines {
			text += "\n  | " + show.Line(line)
		}
	}
	return text
}
