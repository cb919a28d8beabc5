package testkit_test

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"parley/testkit"
	"parley/testkit/node"
)

// storySeeds is in how many drawn orders each story is played, after once with
// goroutines.
const storySeeds = 3

// tellRelay plays a story on a relay node.
func tellRelay(t *testing.T, path string, d *testkit.Driver, network *testkit.Network) {
	n := node.New(t, d, network)
	testkit.Tell(t, path, testkit.Stage{Connect: n.Connect, Set: n.Set, Start: n.Start, Driver: d})
	n.Stop()
}

// TestStories plays every story: with goroutines, and one thing at a time in
// drawn orders, on a slow network that splits everything it carries.
func TestStories(t *testing.T) {
	paths, err := filepath.Glob("stories/relay/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no stories", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { tellRelay(t, path, nil, testkit.NewNetwork()) })
			testkit.Seeds(t, storySeeds, func(t *testing.T, d *testkit.Driver) {
				tellRelay(t, path, d, testkit.NewNetwork(
					testkit.Driven(d), testkit.Latency(5*time.Millisecond), testkit.Chop(d.Seed(), 7)))
			})
		})
	}
}
