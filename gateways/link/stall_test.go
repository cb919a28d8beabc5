package link

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/actors/tree"
	"parley/messages"
	"parley/testkit"
)

// patient is a kind that waits a second for who is more than 10,000 B behind.
func patient(k *Kind) {
	k.OutboundLimit, k.StallBytes, k.StallAfter, k.WriteTimeout = 1<<20, 10_000, time.Second, time.Minute
	k.Late = tree.MeshLinkLost
}

// TestStalled ends a link whose peer takes nothing, long before its limits, and
// counts every frame that the peer can not have.
func TestStalled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := testkit.System(t)
		r := newRig(t, sys, 4500, false, patient)
		const size = 1000
		sent := flood(r.out, size, 20, "")
		if got := r.kind.Behind(); got != 1 {
			t.Errorf("%d links are behind", got)
		}
		time.Sleep(time.Second - time.Millisecond)
		if sent += flood(r.out, size, 1, ""); len(r.reasons()) > 0 {
			t.Fatalf("closed early: %q", r.reasons())
		}
		time.Sleep(time.Millisecond)
		sent += flood(r.out, size, 1, "")
		if !slices.Equal(r.reasons(), []string{reasonStalled}) || r.kind.Behind() != 0 {
			t.Errorf("told %q, %d links are behind", r.reasons(), r.kind.Behind())
		}
		for range 3 { // by who has not heard
			r.out.send(nil, chunk{wire: frame("late"), frames: 2})
		}
		if got := tree.Of(sys).Dropped(tree.MeshLinkLost); got != 6 {
			t.Errorf("%d frames were too late, want 6", got)
		}
		r.readAll()
		lines, _ := r.lines()
		whole := len(lines) - 1 // the last is the goodbye
		if got := tree.Of(sys).Dropped(tree.SlowConsumer); got != int64(sent-whole) {
			t.Errorf("%d of %d frames came, %d are counted", whole, sent, got)
		}
		if last := lines[whole]; last != "close 1013 "+reasonStalled {
			t.Errorf("the last line is %q", last)
		}
		r.check(t)
		r.close()
		testkit.Stop(t, sys)
	})
}

// TestSlowIsNotStalled keeps a link that is behind as long as its peer takes
// something.
func TestSlowIsNotStalled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := testkit.System(t)
		r := newRig(t, sys, 4500, false, patient)
		flood(r.out, 1000, 300, "")
		for range 10 {
			time.Sleep(700 * time.Millisecond)
			for range 16 { // a step of 64 KiB and more, or what there is
				r.read(4096)
				time.Sleep(0)
			}
			flood(r.out, 1000, 66, "")
		}
		if len(r.reasons()) > 0 {
			t.Errorf("closed: %q", r.reasons())
		}
		r.close()
		testkit.Stop(t, sys)
	})
}

// TestLossIsCounted cuts a link while it writes: each frame that its peer has not
// read whole is counted, where frames hold several packets by their number.
func TestLossIsCounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{window: 1000, kind: func(k *Kind) { k.Late = tree.MeshLinkLost }})
		p := w.dial()
		for range 20 {
			w.cast(messages.Multicast{Members: []uint64{1}, Count: 7}, strings.Repeat("x", 300))
		}
		synctest.Wait()
		_ = p.Close()
		time.Sleep(time.Minute)
		w.cast(messages.Multicast{Members: []uint64{1}, Count: 7}, "late")
		w.cast(messages.Multicast{Members: []uint64{1, 99}, Count: 7}, "late")
		synctest.Wait()
		m := tree.Of(w.sys)
		// What the window took may be counted with the frame that it took a part of.
		if got := m.Dropped(tree.WriteFailed); got < 17*7 || got > 20*7 || got%7 != 0 {
			t.Errorf("%d counted as not written", got)
		}
		if got := m.Dropped(tree.MeshLinkLost); got != 3*7 {
			t.Errorf("%d counted as too late, want 21", got)
		}
		w.stop()
	})
}
