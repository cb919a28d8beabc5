package link

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"parley/actors/tree"
	"parley/testkit"
)

// TestTooManyFramesWaiting ends a link whose backlog is small in bytes, with
// the code of its kind.
func TestTooManyFramesWaiting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := testkit.System(t)
		const most = 20
		r := newRig(t, sys, 100, false, func(k *Kind) { k.OutboundLimit, k.OutboundCount, k.SlowCode = 1<<20, most, 1008 })
		// One is with the kernel, one in flight; one more than may wait is taken.
		if n := flood(r.out, 100, 1000, ""); n != 2+most+1+1 {
			t.Errorf("%d frames were taken", n)
		}
		if !slices.Equal(r.reasons(), []string{reasonSlow}) {
			t.Errorf("told %q", r.reasons())
		}
		time.Sleep(time.Second)
		r.readAll()
		if lines, _ := r.lines(); lines[len(lines)-1] != "close 1008 slow consumer" {
			t.Errorf("the peer read %s", brief(lines))
		}
		r.check(t)
		r.close()
		testkit.Stop(t, sys)
	})
}

// TestSmallFramesAreNotFree: what a queue takes beside them counts.
func TestSmallFramesAreNotFree(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := testkit.System(t)
		const limit = 100 * chunkCost
		r := newRig(t, sys, 10, false, func(k *Kind) { k.OutboundLimit = limit })
		n := 0
		for ; len(r.reasons()) == 0 && n < 1000; n++ {
			r.out.send(nil, chunk{wire: frame(""), frames: 1, lent: true})
			if used := r.kind.Budget.Used(); used > limit+chunkCost+2 {
				t.Fatalf("%d bytes are counted", used)
			}
		}
		if n > 10+100+2 {
			t.Errorf("%d frames of a byte were taken", n)
		}
		r.readAll()
		r.check(t)
		r.close()
		testkit.Stop(t, sys)
	})
}

// TestTooManyLossyFramesWaiting loses the oldest instead, and no firm one.
func TestTooManyLossyFramesWaiting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := testkit.System(t)
		const most, n = 20, 1000
		r := newRig(t, sys, 100, false, func(k *Kind) { k.OutboundLimit, k.OutboundCount = 1<<20, most })
		firm := flood(r.out, 100, 5, "")
		if got := flood(r.out, 100, n, "news"); firm != 5 || got != n {
			t.Fatalf("closed after %d and %d frames", firm, got)
		}
		if q := len(r.out.queue); q > most+1 || q < most/4*3 {
			t.Errorf("%d frames wait, with %d allowed", q, most)
		}
		r.readAll()
		lines, _ := r.lines()
		for i := range firm {
			if want := fmt.Sprintf("%06d", i); lines[i][:6] != want {
				t.Errorf("frame %d is %s", i, lines[i])
			}
		}
		kept := lines[firm:]
		for i, l := range kept {
			if want := fmt.Sprintf("%06d", n-len(kept)+i); l[:6] != want {
				t.Errorf("frame %s where %s should be: not the oldest were dropped", l[:6], want)
			}
		}
		if got := tree.Of(sys).Dropped(tree.LossyDropped); got != int64(n-len(kept)) {
			t.Errorf("%d frames counted as dropped, %d are missing", got, n-len(kept))
		}
		r.check(t)
		r.close()
		testkit.Stop(t, sys)
	})
}
