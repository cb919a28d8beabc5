package mesh

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/messages/meshpb"
)

// TestSeenWindow compares a window with a set of all numbers that ever came.
func TestSeenWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var (
			w     seenWindow
			taken = map[uint64]bool{}
			treed = map[uint64]bool{}
			high  uint64
		)
		next := rapid.Uint64Range(1, 1<<40).Draw(t, "first")
		steps := rapid.SliceOfN(rapid.IntRange(0, 11), 1, 400).Draw(t, "steps")
		for _, s := range steps {
			seq := next
			switch s {
			case 0, 1, 2, 3: // the next
				seq = high + 1
			case 4, 5: // a gap
				seq = high + rapid.Uint64Range(1, 3000).Draw(t, "gap")
			case 6: // far away
				seq = high + rapid.Uint64Range(1, 1<<17).Draw(t, "jump")
			case 7, 8: // one that is late
				seq = high - min(high, rapid.Uint64Range(0, 5000).Draw(t, "late"))
			case 9:
				seq = high - min(high, rapid.Uint64Range(0, 1<<17).Draw(t, "old"))
			case 10:
				seq = high - min(high, seenSpan-rapid.Uint64Range(0, 2).Draw(t, "edge"))
			}
			known := taken[seq] || len(taken) > 0 && seq < high && high-seq >= seenSpan
			if got := w.has(seq); got != known {
				t.Fatalf("has %d: %v, highest %d", seq, got, high)
			}
			if got := w.take(seq); got == known {
				t.Fatalf("take %d: %v, highest %d", seq, got, high)
			}
			if !known {
				taken[seq] = true
				high = max(high, seq)
				if s%2 == 0 {
					w.mark(seq)
					treed[seq] = true
				}
			} else if s%3 == 0 {
				if got, want := w.unmark(seq), treed[seq] && high-seq < seenSpan; got != want {
					t.Fatalf("unmark %d: %v, highest %d", seq, got, high)
				}
				delete(treed, seq)
			}
			if len(w.taken)<<6 > seenSpan {
				t.Fatalf("the window has %d numbers", len(w.taken)<<6)
			}
			next = seq
		}
		for seq := range treed {
			if got, want := w.unmark(seq), high-seq < seenSpan; got != want {
				t.Fatalf("unmark %d at the end: %v, highest %d", seq, got, high)
			}
		}
	})
}

// TestSeenWindowIsSmallAtFirst grows only as far as it must.
func TestSeenWindowIsSmallAtFirst(t *testing.T) {
	var w seenWindow
	for _, c := range []struct {
		upTo  uint64
		bytes int
	}{{1, 128}, {1000, 128}, {1025, 256}, {5000, 1024}, {70_000, 8192}, {1_000_000, 8192}} {
		for seq := w.high + 1; seq <= c.upTo; seq++ {
			if !w.take(seq) {
				t.Fatalf("%d was seen", seq)
			}
		}
		if got := len(w.taken) * 8; got != c.bytes {
			t.Errorf("after %d numbers it holds %d bytes, want %d", c.upTo, got, c.bytes)
		}
	}
	for _, seq := range []uint64{1, 1_000_000 - seenSpan, 1_000_000} {
		if w.take(seq) {
			t.Errorf("%d is new", seq)
		}
	}
	if !w.take(math.MaxUint64) {
		t.Error("the largest number is not new")
	}
	if w.take(math.MaxUint64) {
		t.Error("the largest number is new again and again")
	}
}

// TestSeenSets forget a packet after one to two rotations, and tell apart what
// only looks alike.
func TestSeenSets(t *testing.T) {
	now := time.Unix(1e9, 0)
	s := newSeenSets()
	s.rotated = now
	command := func(source, nonce string) *meshpb.Packet {
		return &meshpb.Packet{Source: source, Destination: "*", Nonce: nonce, Command: &meshpb.Command{}}
	}
	response := func(dest string, boot uint64) *meshpb.Packet {
		return &meshpb.Packet{Source: "a", Destination: dest, Boot: boot, Seq: 1, Response: &meshpb.Response{}}
	}
	for _, p := range []*meshpb.Packet{
		command("a", "1"), command("b", "1"), command("a", "2"), response("x", 1), response("y", 1), response("x", 2),
		{Source: "a", Destination: "*", Boot: 1, Seq: 1, Command: &meshpb.Command{}},
	} {
		if !s.first(nil, p, now, true) || s.first(nil, p, now, true) || !s.known(nil, p) {
			t.Errorf("%v: not seen once", p)
		}
	}
	for i, want := range []bool{true, true, false} {
		if got := s.known(nil, command("a", "1")); got != want {
			t.Errorf("after %d rotations: known %v", i, got)
		}
		now = now.Add(seenRotate)
		s.age(now.Add(-time.Nanosecond))
		s.age(now)
	}
	for i := range 5 * seenLimit {
		s.first(nil, &meshpb.Packet{Source: "a", Boot: 9, Seq: uint64(i), Command: &meshpb.Command{}}, now, true)
		if len(s.young)+len(s.old) > 2*seenLimit {
			t.Fatal("the sets grow without end")
		}
	}
}

// TestSeenBeforeItsWindow has a packet come before the hello that makes the
// window of its source, and again after it.
func TestSeenBeforeItsWindow(t *testing.T) {
	now := time.Unix(1e9, 0)
	s := newSeenSets()
	v := &vertex{name: "a"}
	p := func(boot, seq uint64) *meshpb.Packet {
		return &meshpb.Packet{Source: "a", Destination: "*", Boot: boot, Seq: seq, Message: &meshpb.Message{}}
	}
	for _, seq := range []uint64{5, 6} {
		if !s.first(v, p(1, seq), now, true) {
			t.Error("seen before it came")
		}
	}
	v.windows.begin(1, now)
	for _, seq := range []uint64{5, 6} {
		for range 2 {
			if s.first(v, p(1, seq), now, true) {
				t.Error("seen twice")
			}
		}
	}
	if !s.first(v, p(1, 7), now, true) || !s.first(v, p(2, 1), now, true) {
		t.Error("a new one is none")
	}
	v.windows.begin(2, now)
	v.windows.begin(3, now)
	if v.windows.of(1) != nil || v.windows.of(2) == nil || v.windows.of(3) == nil {
		t.Error("not the last two windows are kept")
	}
}
