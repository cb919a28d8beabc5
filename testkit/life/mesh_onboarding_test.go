package life_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// What a node may need more at its peak for joining a mesh with onboardingNames
// channels than one without any, and the node that tells it of them; KiB. It is
// some MiB: when garbage is collected depends on the machine.
const (
	onboardingNames = 10_000
	onboardingMost  = 64 << 10
)

// TestOnboardingMemory has a node join that must learn many channels.
func TestOnboardingMemory(t *testing.T) {
	joined := func(name string, to *meshNode) int {
		n := joinMesh(t, name, []*meshNode{to})
		linked(t, n, to.name)
		n.client().ask("subscribe", `{"topic":"one more"}`, ok) // when it has been told all
		return peak(t, n)
	}
	empty := joinMesh(t, "empty", nil)
	bare := joined("first", empty)
	full := joinMesh(t, "full", nil)
	const each = 100
	for i := range onboardingNames / each {
		c := full.client()
		for j := range each {
			c.say(fmt.Sprintf(`{"command":"subscribe","data":{"topic":"channel %05d"},"nonce":0}`, i*each+j))
		}
		for range each {
			c.hears(`{"type":"response","data":{"ok":true},"nonce":0}`)
		}
	}
	before := peak(t, full)
	n := joined("second", full)
	after := peak(t, full)
	t.Logf("the newcomer needs %d KiB at its peak, %d more than without channels; who tells it %d, %d more than before", n, n-bare, after, after-before)
	if n-bare > onboardingMost || after-before > onboardingMost {
		t.Errorf("that is over %d KiB", onboardingMost)
	}
	if known := len(firstWords(full.verb("channels", "--scope", "network"))); known < onboardingNames {
		t.Errorf("%d channels are known", known)
	}
}

// peak is the most that a node has had in memory, in KiB.
func peak(t *testing.T, n *meshNode) int {
	t.Helper()
	text := status(t, fmt.Sprintf("/proc/%d/status", n.cmd.Process.Pid), "VmHWM")
	k, err := strconv.Atoi(strings.TrimSuffix(text, " kB"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}
