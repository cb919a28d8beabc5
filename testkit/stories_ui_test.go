package testkit_test

import (
	"path/filepath"
	"testing"
	"testing/synctest"

	"parley/testkit"
	"parley/testkit/daemon"
)

// tellUI plays a story on a Daemon and the Nodes that it starts.
func tellUI(t *testing.T, path string, d *testkit.Driver, network *testkit.Network) {
	n := daemon.New(t, d, network)
	testkit.Tell(t, path, testkit.Stage{Connect: n.Connect, Set: n.Set, Act: n.Act, Start: n.Start, Driver: d})
	n.Stop()
}

// TestUIStories plays every story of user interfaces.
func TestUIStories(t *testing.T) {
	paths, err := filepath.Glob("stories/uiv2/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no stories", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { tellUI(t, path, nil, testkit.NewNetwork()) })
		})
	}
}
