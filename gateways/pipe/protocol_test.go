package pipe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"parley/messages/enclavepb"
)

func paper(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../enclave/PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// shownLine is a line of a transcript: which way, and what.
var shownLine = regexp.MustCompile(`(?m)^    ([<>]) (\{.*\})$`)

// shown is what lines of a transcript have.
type shown struct {
	Event, From, Name, Message, Address, Alias, To, ID, Cmd, Reason, State string

	Status        uint32
	StatusMessage string `json:"status-message"`
	Timestamp     int64
	Held          uint32
	OK, More      bool
	Locked, Own   bool
	Serial        uint64
	Count         uint64
	Contacts      []shown
}

func (s *shown) contact() *enclavepb.Contact {
	c := &enclavepb.Contact{Address: s.Address, Name: s.Name, Held: s.Held, Presence: &enclavepb.Presence{Alias: s.Alias, Status: s.Status, StatusMessage: s.StatusMessage}}
	for state, name := range stateNames {
		if name == s.State {
			c.State = state
		}
	}
	return c
}

// written is how the node writes what a line says.
func (s *shown) written() [][]byte {
	switch s.Event {
	case "message":
		return appendReceived(nil, &enclavepb.Received{From: s.From, Name: s.Name, Message: s.Message, Timestamp: s.Timestamp})
	case "status":
		return appendEvent(nil, &enclavepb.Event{Body: &enclavepb.Event_Status{Status: s.contact()}})
	case "request":
		return appendEvent(nil, &enclavepb.Event{Body: &enclavepb.Event_Request{Request: s.contact()}})
	case "gone":
		return appendEvent(nil, &enclavepb.Event{Body: &enclavepb.Event_Gone{Gone: &enclavepb.Gone{Address: s.Address}}})
	case "result":
		lines := appendResult(nil, &enclavepb.Result{Id: s.ID, Cmd: s.Cmd, Ok: s.OK, Reason: s.Reason, More: s.More, Locked: s.Locked})
		return lines[len(lines)-1:]
	case "said":
		e := &enclavepb.Entry{Serial: s.Serial, Own: s.Own, Message: s.Message, Timestamp: s.Timestamp}
		for d, name := range progressNames {
			if name == s.State {
				e.Delivery = d
			}
		}
		return appendEntry(nil, s.ID, e)
	case "contacts":
		var all []*enclavepb.Contact
		for _, c := range s.Contacts {
			all = append(all, c.contact())
		}
		return appendContacts(nil, all)
	case "dropped":
		return [][]byte{droppedLine(s.Count)}
	}
	for d, name := range progressNames {
		if name == s.Event {
			return appendEvent(nil, &enclavepb.Event{Body: &enclavepb.Event_Progress{Progress: &enclavepb.Progress{To: s.To, Name: s.Name, Id: s.ID, Delivery: d}}})
		}
	}
	return nil
}

// TestPaperLines: what is shown is what is read and written, every event among it.
func TestPaperLines(t *testing.T) {
	text := paper(t)
	refused := ""
	events := map[string]bool{}
	for _, m := range shownLine.FindAllStringSubmatch(text, -1) {
		if m[1] == ">" {
			if _, r := decode([]byte(m[2])); r != nil {
				refused = string(appendResult(nil, r)[0])
			}
			continue
		}
		var s shown
		if err := json.Unmarshal([]byte(m[2]), &s); err != nil {
			t.Fatal(err)
		}
		events[s.Event] = true
		if got := string(bytes.Join(s.written(), nil)); got != m[2]+"\n" {
			t.Errorf("shown is\n%s, written\n%s", m[2], got)
		}
	}
	if refused == "" || !strings.Contains(text, "    < "+refused) {
		t.Errorf("no word of %s", refused)
	}
	if len(events) != 11 {
		t.Errorf("events %v", events)
	}
}

// TestPaperNames: commands, events and limits are all there.
func TestPaperNames(t *testing.T) {
	text := paper(t)
	var names []string
	for _, name := range []string{"send", "add", "accept", "ignore", "remove", "status", "alias", "list", "history"} {
		if m := (&members{}); m.command(name) == nil {
			t.Errorf("no command %s", name)
		}
		names = append(names, "| `"+name+"` |")
	}
	for _, name := range []string{"message", "status", "request", "gone", "result", "contacts", "said", "dropped"} {
		names = append(names, "| `"+name+"` |")
	}
	names = append(names,
		fmt.Sprintf("a string of at most %d,%03d bytes", idMost/1000, idMost%1000),
		fmt.Sprintf("A line has at most %d KiB", lineMost>>10),
		fmt.Sprintf("of %d KiB at most |", extraMost>>10),
		fmt.Sprintf("%d commands may be unanswered", askedMost),
		fmt.Sprintf("The newest %d,%03d events and results, of %d MiB at most", keepMost/1000, keepMost%1000, keepBytes>>20),
		fmt.Sprintf("%d,%03d for one that is there", keepRead/1000, keepRead%1000),
		fmt.Sprintf("may take %d ms", tryEvery.Milliseconds()),
		fmt.Sprintf("(1 to %d; 100)", entriesMost),
		fmt.Sprintf("or has for %d ms not", bearing.Milliseconds()),
		"in the file `"+toldFile+"` beside the pipes",
		fmt.Sprintf("(mode %#o) and the pipes (%#o)", folderMode, pipeMode),
	)
	for _, name := range names {
		if !strings.Contains(text, name) {
			t.Errorf("no word of %s", name)
		}
	}
}
