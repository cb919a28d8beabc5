package life_test

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestStalledNode stops one node of three, which takes nothing any more. Clients of
// the others go on as if it were not there, and are never told to slow down; in the
// end its links are closed, and what was queued for it is counted.
func TestStalledNode(t *testing.T) {
	a := joinMesh(t, "anna", nil, exposed...)
	b := joinMesh(t, "ben", []*meshNode{a}, exposed...)
	c := joinMesh(t, "carl", []*meshNode{a, b}, exposed...)
	linked(t, a, "ben", "carl")
	linked(t, c, "anna", "ben")
	speaker, stalled, listener := a.client(), b.client(), c.client()
	for _, m := range []*relayClient{speaker, stalled, listener} {
		m.ask("subscribe", `{"topic":"hall"}`, ok)
	}
	for _, n := range []*meshNode{a, b, c} {
		n.knows("hall")
	}
	speaker.ask("send", `{"message":"hello","channel":"hall"}`, ok)
	stalled.hears(heardOf("hello"))
	listener.hears(heardOf("hello"))

	if err := b.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.cmd.Process.Signal(syscall.SIGCONT) }()
	pad := strings.Repeat("x", 16<<10)
	said := 0
	eventually(t, "the links with the stopped node are closed", func() bool {
		for range 256 { // one at a time: nothing waits for carl
			text := fmt.Sprint(said, pad)
			said++
			speaker.ask("send", `{"message":"`+text+`","channel":"hall"}`, ok)
			listener.hears(heardOf(text))
		}
		return !slices.Contains(a.peers(), "ben")
	}, a.log)
	if all, text := dropped(t, a); all == 0 || !strings.Contains(text, "slow consumer") || strings.Contains(text, "slow down") {
		t.Errorf("behind %d messages anna counts\n%s", said, text)
	}
}
