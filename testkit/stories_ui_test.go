package testkit_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/testkit"
	"parley/testkit/daemon"
)

// uiSeeds is in how many drawn orders each story of user interfaces is played,
// after once with goroutines. The databases are on a real disk.
const uiSeeds = 2

// tellUI plays a story on a Daemon and the Nodes that it starts.
func tellUI(t *testing.T, path string, d *testkit.Driver, network *testkit.Network) {
	n := daemon.New(t, d, network)
	testkit.Tell(t, path, testkit.Stage{Connect: n.Connect, Set: n.Set, Act: n.Act, Start: n.Start, Driver: d})
	n.Stop()
}

// TestUIStories plays every story of user interfaces, as TestStories does those
// of the relay.
func TestUIStories(t *testing.T) {
	paths, err := filepath.Glob("stories/uiv2/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no stories", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { tellUI(t, path, nil, testkit.NewNetwork()) })
			testkit.Seeds(t, uiSeeds, func(t *testing.T, d *testkit.Driver) {
				tellUI(t, path, d, testkit.NewNetwork(
					testkit.Driven(d), testkit.Latency(5*time.Millisecond), testkit.Chop(d.Seed(), 7)))
			})
		})
	}
}

// said is one frame of a transcript.
type said struct{ verb, frame string }

// TestUIPaperIsAStory: what PROTOCOL.md shows is what protocol.txt plays.
func TestUIPaperIsAStory(t *testing.T) {
	var story []said
	for line := range strings.Lines(text(t, "stories/uiv2/protocol.txt")) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		verb, frame, _ := strings.Cut(rest, " ")
		if verb == "=" || verb == "?" {
			verb = "<"
		}
		if verb == ">" || verb == "<" {
			story = append(story, said{verb, frame})
		}
	}
	for line := range strings.Lines(text(t, "../gateways/uiv2/PROTOCOL.md")) {
		verb, frame, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !strings.HasPrefix(line, "    ") || verb != ">" && verb != "<" {
			continue
		}
		at := slices.IndexFunc(story, func(s said) bool { return s.verb == verb && testkit.SameFrame(frame, s.frame) == nil })
		if at < 0 {
			t.Errorf("protocol.txt does not play, in its place: %s", line)
			continue
		}
		story = story[at+1:]
	}
}

// noStory is the error that no story can tell: nothing that a user interface says makes a part of the program fail. The tests of
// actors/ui, actors/daemon and actors/node have parts fail, and look at what is said then.
const noStory = "281474976710670"

// errorRow is a row of the table of errors in PROTOCOL.md.
var errorRow = regexp.MustCompile(`(?m)^\| (\d{15,}) \|`)

// TestUIPaperHasStories: each error of PROTOCOL.md is in a story, and each broadcast but those that need somebody else's Enclave,
// which actors/node and cmd/parley/chat play.
func TestUIPaperHasStories(t *testing.T) {
	paths, err := filepath.Glob("stories/uiv2/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, path := range paths {
		all.WriteString(text(t, path))
	}
	var want []string
	for _, row := range errorRow.FindAllStringSubmatch(text(t, "../gateways/uiv2/PROTOCOL.md"), -1) {
		if row[1] != noStory {
			want = append(want, `"error":{"code":`+row[1]+`,`)
		}
	}
	if len(want) == 0 {
		t.Fatal("the paper has no errors")
	}
	for _, opcode := range []string{
		"setup", "redirect", "undelivered", "unmarshalError", "crashed", "nodeStarted", "connectionChange", "newPassword",
		"configurationChanged", "logBroadcast", "contactStatus", "messageState",
	} {
		want = append(want, `{"opcode":"`+opcode+`","payload":`)
	}
	for _, part := range want {
		if !strings.Contains(all.String(), part) {
			t.Errorf("no story has %s…", part)
		}
	}
}

func text(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
