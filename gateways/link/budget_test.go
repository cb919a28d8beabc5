package link

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/messages"
	"parley/testkit"
)

// crowd is a world of peers that do not read, each with a backlog.
func crowd(t *testing.T, limit int64, sizes ...int) (w *world, peers []*peer) {
	w = newWorld(t, options{window: 100, kind: func(k *Kind) { k.Shards, k.Budget = 2, NewBudget(limit) }})
	for i, size := range sizes {
		peers = append(peers, w.dial())
		fill(w, i+1, size)
	}
	return w, peers
}

// fill queues about size bytes for a member.
func fill(w *world, member, size int) {
	for range size / 1000 {
		w.say(member, strings.Repeat("x", 999-chunkCost))
		synctest.Wait()
	}
}

// closedFor reads what is left for a peer and reports how it was closed; "": it
// was not.
func closedFor(p *peer) string {
	synctest.Wait()
	p.listen()
	got := p.lines()
	if n := len(got); n > 0 && strings.HasPrefix(got[n-1], "close ") {
		return got[n-1]
	}
	return ""
}

const ceiling = "close 1013 node out of room for queues"

// TestLargestQueuesGoFirst, in whatever shard they are.
func TestLargestQueuesGoFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		// Together 172,632 of 173,000: the next frames make room for a tenth.
		w, peers := crowd(t, 173_000, 20_000, 52_000, 12_000, 3000, 40_000, 47_000)
		fill(w, 3, 6000)
		want := []string{"", ceiling, "", "", "", ""}
		if got := w.kind.closes[closeSlow].Load(); got != 1 {
			t.Errorf("%d links closed, want 1", got)
		}
		fill(w, 4, 24_000) // and again: a ceiling is for ever
		fill(w, 3, 25_000)
		want[5] = ceiling
		if got := w.kind.closes[closeSlow].Load(); got != 2 {
			t.Errorf("%d links closed, want 2", got)
		}
		if got := w.kind.Budget.Used(); got > 173_000 {
			t.Errorf("%d bytes are queued", got)
		}
		for i, p := range peers {
			if got := closedFor(p); got != want[i] {
				t.Errorf("member %d: closed with %q, want %q", i+1, got, want[i])
			}
			_ = p.Close()
		}
		w.stop()
	})
}

// TestCeilingWithNothingToClose passes the ceiling when no queue can be closed:
// that must not be the last time that it is looked at, nor be looked at for
// every frame.
func TestCeilingWithNothingToClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := testkit.System(t)
		k := newKind(sys, func(k *Kind) { k.Budget = NewBudget(1000) })
		asked := 0
		k.Budget.over = func() { asked++; k.Budget.makeRoom(nil) }
		for range 100 {
			k.Budget.add(100)
		}
		if asked != 1 {
			t.Errorf("asked for room %d times at once", asked)
		}
		time.Sleep(roomPause)
		k.Budget.add(1)
		if asked != 2 {
			t.Errorf("asked for room %d times, want again after a pause", asked)
		}
		k.Budget.add(-10_000)
		time.Sleep(roomPause)
		k.Budget.add(500)
		if asked != 2 {
			t.Error("asked for room when there was some")
		}
		testkit.Stop(t, sys)
	})
}

// TestCeilingCountsWhatIsBeingWritten: a burst that a connection keeps is memory
// as much as a queue is.
func TestCeilingCountsWhatIsBeingWritten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{window: 100, kind: func(k *Kind) { k.Budget = NewBudget(50_000) }})
		var peers []*peer
		for range 4 {
			peers = append(peers, w.dial())
		}
		w.cast(messages.Multicast{Members: []uint64{1, 2, 3}}, strings.Repeat("x", 15_000))
		synctest.Wait()
		if got := w.kind.Budget.Used(); got != 3*(15_001-100) {
			t.Errorf("%d bytes counted", got)
		}
		w.cast(messages.Multicast{Members: []uint64{4}}, strings.Repeat("x", 9_000))
		synctest.Wait()
		if got := w.kind.closes[closeSlow].Load(); got != 1 {
			t.Errorf("%d links closed, want 1", got)
		}
		if got := closedFor(peers[3]); got != "" {
			t.Errorf("the smallest was closed with %q", got)
		}
		for _, p := range peers {
			_ = p.Close()
		}
		w.stop()
	})
}
