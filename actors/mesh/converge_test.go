package mesh

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/messages/meshpb"
	"parley/testkit"
)

var (
	hashOne = strings.Repeat("1", hashShort)
	hashTwo = strings.Repeat("2", hashShort)
)

// healMost is how long after a heal records may differ.
const healMost = 2 * time.Second

// stop ends a network. Nodes of it may be dead.
func (net *islands) stop(t testing.TB) {
	t.Helper()
	var all []*actor.PID
	for _, x := range net.nodes {
		all = append(all, x.paper)
		if !x.dead {
			all = append(all, x.pid)
		}
	}
	testkit.Stop(t, net.sys, all...)
}

// graph draws links: a tree, or more.
func (net *islands) graph() (edges [][2]int) {
	n := len(net.nodes)
	kind := net.rnd.IntN(4)
	for i := range n {
		for j := range i {
			switch {
			case kind == 0, // all
				kind == 1 && (i-j == 1 || j == 0 && i == n-1), // a ring
				kind == 2 && j == 0,                           // a star
				kind == 3 && (i-j == 1 || net.rnd.IntN(3) == 0):
				edges = append(edges, [2]int{j, i})
			}
		}
	}
	for _, e := range edges {
		net.delay[e] = time.Millisecond + time.Duration(net.rnd.Int64N(int64(49*time.Millisecond)))
	}
	return edges
}

// TestReservationsConverge opens and closes names at random, with passwords that
// differ, while links and nodes come and go and clocks are wrong. After quiet all
// nodes that can reach each other know the same, no name is open with two hashes,
// and nobody holds what is not open.
func TestReservationsConverge(t *testing.T) {
	ops, evictions, opened := 0, 0, 0
	testkit.Seeds(t, 40, func(t *testing.T, d *testkit.Driver) {
		sys := testkit.System(t, testkit.Under(d))
		o := Options{Linger: 2 * time.Second}
		if d.Seed()%3 != 0 {
			o.AskFirst = 300 * time.Millisecond
		}
		net := newIslands(t, sys, d, 2+int(d.Seed()%9), o)
		skew := []time.Duration{0, 100 * time.Millisecond, 5 * time.Second}[net.rnd.IntN(3)]
		edges := net.graph()
		for _, x := range net.nodes {
			x.skew = time.Duration((net.rnd.Float64()*2 - 1) * float64(skew))
			x.start()
		}
		for _, e := range edges {
			d.After(time.Duration(net.rnd.Int64N(int64(200*time.Millisecond))), func() { net.link(e[0], e[1], true) })
		}
		d.Run(2 * time.Second)
		if d.Seed()%4 == 0 {
			net.loss = 0.05 // no link does that: what comes of it is what gaps and hellos are for
		}
		for range 20 + net.rnd.IntN(130) {
			ops++
			net.meddle(edges)
			if net.rnd.IntN(2) == 0 {
				d.Run(time.Duration(net.rnd.Int64N(int64(300 * time.Millisecond))))
			}
		}
		net.loss = 0
		for _, phase := range []string{"as it is", "healed"} {
			if phase == "healed" {
				for _, x := range net.nodes {
					if x.dead {
						x.start()
					}
				}
				for _, e := range edges {
					net.link(e[0], e[1], true)
				}
				d.Run(healMost)
				if bad := net.unequal(); bad != "" && d.Seed()%4 != 0 {
					t.Errorf("%d nodes, %v after they were healed: %s", len(net.nodes), healMost, bad)
				}
			}
			d.Run(100 * time.Second)
			if bad := net.verify(); bad != "" {
				t.Errorf("%d nodes, %s: %s", len(net.nodes), phase, bad)
				break
			}
		}
		evictions += net.losers
		for _, x := range net.nodes {
			opened += len(x.told)
		}
		net.stop(t)
	})
	t.Logf("%d operations, %d answers, %d evictions", ops, opened, evictions)
}

// meddle does one thing, soon.
func (net *islands) meddle(edges [][2]int) {
	x := net.nodes[net.rnd.IntN(len(net.nodes))]
	name := fmt.Sprint("c", net.rnd.IntN(4))
	hash := []string{"", hashOne, hashTwo}[net.rnd.IntN(3)]
	e := edges[net.rnd.IntN(len(edges))]
	after := []time.Duration{0, 20 * time.Millisecond, time.Second}[net.rnd.IntN(3)]
	if after > 0 {
		after = time.Duration(net.rnd.Int64N(int64(after)))
	}
	what := net.rnd.IntN(100)
	net.d.After(after, func() {
		switch {
		case what < 50:
			if !x.dead {
				x.subscribe(name, hash)
			}
		case what < 78:
			if !x.dead {
				x.leave(name)
			}
		case what < 88:
			net.link(e[0], e[1], false)
		case what < 97:
			net.link(e[0], e[1], true)
		case x.dead:
			x.start()
			for _, e := range edges {
				if e[0] == x.index || e[1] == x.index {
					net.link(e[0], e[1], true)
				}
			}
		default:
			x.kill()
		}
	})
}

// TestPasswordRace has two nodes open a name with different passwords, in both
// orders and with all delays that matter. The smaller claim wins, everywhere;
// without asking first the loser's subscribers are told.
func TestPasswordRace(t *testing.T) {
	for _, askFirst := range []time.Duration{0, 300 * time.Millisecond} {
		for _, first := range []int{0, 2} {
			for _, skew := range []time.Duration{0, -time.Second, time.Second} {
				for gap := time.Duration(0); gap <= 400*time.Millisecond; gap += 23 * time.Millisecond {
					race(t, askFirst, first, skew, gap)
				}
			}
		}
	}
}

// race is one of them, on a line of three nodes. skew is of the clock of who is first.
func race(t *testing.T, askFirst time.Duration, first int, skew, gap time.Duration) {
	t.Helper()
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		sys := testkit.System(t, testkit.Under(d))
		net := newIslands(t, sys, d, 3, Options{AskFirst: askFirst})
		net.delay[pair(0, 1)], net.delay[pair(1, 2)] = 20*time.Millisecond, 30*time.Millisecond
		one, two := net.nodes[first], net.nodes[2-first]
		one.skew = skew
		for _, x := range net.nodes {
			x.start()
		}
		net.link(0, 1, true)
		net.link(1, 2, true)
		d.Run(5 * time.Second)
		at := time.Now()
		one.subscribe("c", hashOne)
		d.Run(gap)
		_, before := net.nodes[1].open["c"]
		known := two.me.records.effective("c") != nil
		two.subscribe("c", hashTwo)
		d.Run(10 * time.Second)
		winner, loser := one, two
		if !known && two.claimTS(at.Add(gap)) < one.claimTS(at) || !known && gap == 0 && skew == 0 && two.name < one.name {
			winner, loser = two, one
		}
		what := fmt.Sprintf("ask first %v, first %s, skew %v, gap %v, %v", askFirst, one.name, skew, gap, before)
		if bad := net.verify(); bad != "" {
			t.Errorf("%s: %s", what, bad)
		}
		_, won := winner.open["c"]
		_, lost := loser.open["c"]
		if !won || lost {
			t.Errorf("%s: %s should have it: %v; %s should not: %v", what, winner.name, winner.open, loser.name, loser.open)
		}
		for _, x := range net.nodes {
			if c := x.me.records.effective("c"); c == nil || c.owner.Value() != winner.name {
				t.Errorf("%s: %s thinks it is of %v", what, x.name, c)
			}
		}
		if askFirst > 0 && net.losers > 0 && gap >= 50*time.Millisecond && !known {
			t.Logf("%s: evicted", what)
		}
		if len(loser.told) != 1 || askFirst > 0 && known && loser.told[0].GetOutcome() != meshpb.Outcome_OUTCOME_WRONG_PASSWORD {
			t.Errorf("%s: the loser was told %v", what, loser.told)
		}
		net.stop(t)
	})
}

// claimTS is the ts of a claim that a node makes at a time.
func (x *islander) claimTS(at time.Time) int64 { return at.Add(x.skew).UnixMilli() }
