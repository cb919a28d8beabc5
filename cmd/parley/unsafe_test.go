package main

import (
	"strings"
	"testing"
)

// TestUnsafeOptionsAreTold at each start, and to who asks how the node is.
func TestUnsafeOptionsAreTold(t *testing.T) {
	t.Parallel()
	n := startNode(t, "--star-crypto-challenge", "off")
	if _, body := get(t, "http://"+n.relay+"/health"); !strings.Contains(body, `"unsafe":["star-crypto-challenge"]`) {
		t.Errorf("health: %s", body)
	}
	eventually(t, "a line", func() bool {
		return strings.Contains(n.err.String(), "an unsafe option is in effect option=star-crypto-challenge")
	})
	n = startNode(t)
	if _, body := get(t, "http://"+n.relay+"/health"); strings.Contains(body, "unsafe") {
		t.Errorf("health of a node without: %s", body)
	}
}
