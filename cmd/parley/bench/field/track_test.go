package field

import (
	"testing"

	"pgregory.net/rapid"

	"parley/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// TestTrack compares with the set of all numbers seen.
func TestTrack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var k track
		seen := map[uint64]bool{}
		highest := int64(-1)
		for _, n := range rapid.SliceOf(rapid.Uint64Range(0, 60)).Draw(t, "numbers") {
			v, skipped := k.see(n)
			want, passed := fresh, uint64(0)
			switch {
			case seen[n]:
				want = duplicate
			case int64(n) < highest:
				want = late
			default:
				passed = n - uint64(highest+1)
				highest = int64(n)
			}
			seen[n] = true
			if v != want || skipped != passed {
				t.Fatalf("%d is %d passing %d, want %d passing %d", n, v, skipped, want, passed)
			}
			if missing := uint64(highest+1) - uint64(len(seen)); k.missing() != missing {
				t.Fatalf("%d missing, want %d", k.missing(), missing)
			}
		}
	})
}

func TestTrackForgetsTheOldestGaps(t *testing.T) {
	var k track
	for i := range uint64(maxGaps + 10) {
		k.see(2*i + 1)
	}
	if len(k.gaps) != maxGaps || k.missing() != maxGaps {
		t.Fatalf("%d gaps of %d numbers", len(k.gaps), k.missing())
	}
	if v, _ := k.see(0); v != duplicate {
		t.Fatalf("a forgotten gap's number is %d", v)
	}
	if v, _ := k.see(100); v != late {
		t.Fatalf("a remembered gap's number is %d", v)
	}
}
