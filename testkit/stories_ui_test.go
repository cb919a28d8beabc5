package testkit_test

import (
	"os"
	"path/filepath"
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

func text(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
