package star

import (
	"maps"
	"testing"
	"time"

	"parley/messages/starpb"
	"parley/testkit"
)

// crowded is a hall with many guests of both versions, each with an address.
func crowded(t *testing.T, d *testkit.Driver, o Options, many int) *hall {
	t.Helper()
	o.Strict = true
	h := newHall(t, d, o)
	for i := range many {
		h.arrive(Version(i % int(versions)))
	}
	d.Settle()
	for i, g := range h.guests {
		if g.version == Four {
			g.say(&starpb.Connect{Namespace: "/"})
		}
		g.say(g.join(at(i), ""))
	}
	d.Settle()
	return h
}

// heardSince is how often each guest hears of each address in a span.
func (h *hall) heardSince(span time.Duration) []map[string]int {
	for _, g := range h.guests {
		clear(g.peers)
	}
	h.d.Run(span)
	all := make([]map[string]int, len(h.guests))
	for i, g := range h.guests {
		all[i] = maps.Clone(g.peers)
	}
	return all
}

// TestEverybodyHearsOfEverybody counts announcements over some rounds.
func TestEverybodyHearsOfEverybody(t *testing.T) {
	for _, c := range []struct {
		many  int
		delta bool
		seeds uint64
	}{{1, false, 1}, {2, false, 3}, {9, false, 3}, {40, false, 3}, {40, true, 2}, {800, false, 1}} {
		testkit.Seeds(t, c.seeds, func(t *testing.T, d *testkit.Driver) {
			h := crowded(t, d, Options{Delta: c.delta}, c.many)
			span := seedTime
			if c.delta {
				span = deltaTime
			}
			d.Run(2*span + 10*time.Millisecond) // a round that is cut anew may be late once
			const rounds = 3
			for i, heard := range h.heardSince(rounds * span) {
				for j := range h.guests {
					want := rounds
					if i == j {
						want = 0
					}
					if got := heard[at(j)]; got != want {
						t.Fatalf("of %d: guest %d heard of guest %d %d times, want %d", c.many, i, j, got, want)
					}
				}
			}
			h.stop()
		})
	}
}

// TestAnnouncementsAreSpread looks at how much is written in each half second.
func TestAnnouncementsAreSpread(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		h := crowded(t, d, Options{}, 300)
		d.Run(2*seedTime + 10*time.Millisecond)
		writes := 0
		h.onWrite = func(*guest) { writes++ }
		const pieces = 20
		most, sum := 0, 0
		for range pieces {
			writes = 0
			d.Run(seedTime / pieces)
			most, sum = max(most, writes), sum+writes
		}
		if most > 2*sum/pieces {
			t.Errorf("%d writes of %d in a twentieth of a round", most, sum)
		}
		h.stop()
	})
}

// TestNewcomersAreAnnounced has guests come and go in the middle of rounds. Who
// stays hears of who stays, in any span of two rounds.
func TestNewcomersAreAnnounced(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		h := crowded(t, d, Options{}, 10)
		for round := range 8 {
			for i := range 10 {
				d.Run(seedTime / 10)
				g := h.arrive(Three)
				d.Settle()
				g.say(g.join(at(100+10*round+i), ""))
			}
			h.guests[round].hangUp()
		}
		d.Settle()
		gone := map[string]bool{}
		for i := range 8 {
			gone[at(i)] = true
		}
		online := h.status().GetAddresses()
		for i, heard := range h.heardSince(2 * seedTime) {
			own := at(i)
			if i >= 10 {
				own = at(90 + i)
			}
			if gone[own] {
				continue
			}
			for _, address := range online {
				if n := heard[address]; (address == own) != (n == 0) || n > 3 {
					t.Errorf("guest %d heard %d times of %s", i, n, address)
				}
			}
			for address := range gone {
				if heard[address] > 0 {
					t.Errorf("guest %d heard of %s, which is gone", i, address)
				}
			}
		}
		h.stop()
	})
}

// TestAnnouncerWaitsForShards has shards that write nothing: what they are given
// stays bounded, and it goes on when they write again.
func TestAnnouncerWaitsForShards(t *testing.T) {
	testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
		h := crowded(t, d, Options{}, 100)
		h.mute, h.given = true, 0
		d.Run(10 * seedTime)
		if h.given > 10*2*owedMost {
			t.Errorf("shards were given %d multicasts while they wrote nothing", h.given)
		}
		h.mute = false
		d.Run(3 * seedTime)
		for i, heard := range h.heardSince(2 * seedTime) {
			for j := range h.guests {
				if i != j && heard[at(j)] == 0 {
					t.Errorf("guest %d does not hear of guest %d any more", i, j)
				}
			}
		}
		h.stop()
	})
}

// TestTwoAddresses are of one socket, which hears of neither.
func TestTwoAddresses(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		h := newHall(t, d, Options{Strict: true})
		a, b := h.guest(Three), h.guest(Three)
		a.joins(at(1))
		a.joins(at(2))
		b.joins(at(3))
		a.say(&starpb.Leave{Address: at(1)})
		a.joins(at(4))
		d.Run(2*seedTime + time.Second)
		if len(a.peers) != 1 || a.peers[at(3)] < 2 {
			t.Errorf("who has two heard of %v", a.peers)
		}
		if b.peers[at(1)] != 0 || b.peers[at(2)] < 1 || b.peers[at(4)] < 2 {
			t.Errorf("the other heard of %v", b.peers)
		}
		h.stop()
	})
}
