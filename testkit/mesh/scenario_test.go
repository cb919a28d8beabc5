package mesh_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	gate "parley/gateways/mesh"
	"parley/testkit"
	"parley/testkit/mesh"
)

const (
	room = "room"
	slow = 20 * time.Millisecond // one way, where a test needs to know

	sayEvery = 5 * time.Millisecond
)

// play runs a scenario with one seed.
func play(t *testing.T, o mesh.Options, test func(t *testing.T, s *mesh.Sim)) {
	t.Helper()
	if o.Codec == nil {
		o.Codec = gate.Codec{}
	}
	synctest.Test(t, func(t *testing.T) {
		s := mesh.New(t, testkit.NewDriver(1), o)
		defer func() {
			if !t.Failed() {
				s.Close()
			}
		}()
		test(t, s)
	})
}

// join connects a client to a node and subscribes it.
func join(s *mesh.Sim, n *mesh.Node, channel, password string) *mesh.Client {
	s.T.Helper()
	c := n.Connect()
	c.Subscribe(channel, password)
	s.Must(5*time.Second, n.Name+" subscribed", func() bool { return c.Is(channel) })
	return c
}

func TestTransmissions(t *testing.T) {
	for _, test := range []struct {
		name          string
		n             int
		edges         mesh.Edges
		settled, most int // transmissions of one message, at most
	}{
		{"line of 5", 5, mesh.Line(5), 4, 4},
		{"ring of 5", 5, mesh.Ring(5), 4, 6},
		{"ring of 10", 10, mesh.Ring(10), 9, 11},
		{"full mesh of 10", 10, mesh.Full(10), 9, 9},
		{"star of 10", 10, mesh.Star(10), 9, 9},
	} {
		t.Run(test.name, func(t *testing.T) {
			play(t, mesh.Options{Latency: slow}, func(t *testing.T, s *mesh.Sim) {
				nodes := s.Build(test.n, test.edges, nil)
				s.Run(3 * time.Second)
				var all []*mesh.Client
				for _, n := range nodes {
					all = append(all, join(s, n, room, ""))
				}
				say := func(c *mesh.Client) int {
					t.Helper()
					before, heard := s.Sent["message"], 0
					for _, c := range all {
						heard -= c.Heard
					}
					if c.Send(room) == 0 {
						t.Errorf("not subscribed: %v %v", c.Said, c.Gone())
					}
					s.Run(time.Second)
					for _, c := range all {
						heard += c.Heard
					}
					if heard != len(all)-1 {
						t.Errorf("a message was heard %d times, by %d subscribers", heard, len(all)-1)
					}
					return s.Sent["message"] - before
				}
				s.Run(500 * time.Millisecond) // all have heard of all, and not for long
				if n := say(all[0]); n > test.most {
					t.Errorf("unsettled: %d transmissions, at most %d", n, test.most)
				}
				s.Run(10 * time.Second)
				for _, c := range all {
					if n := say(c); n > test.settled {
						t.Errorf("settled: %d transmissions, at most %d", n, test.settled)
					}
				}
				s.Check()
			})
		})
	}
}

// TestPrunedTree counts the links that a message crosses in a settled network of
// 100 nodes, 5 of them with subscribers (crowd).
func TestPrunedTree(t *testing.T) {
	play(t, mesh.Options{Latency: slow}, func(t *testing.T, s *mesh.Sim) {
		const n = crowd
		edges := mesh.Tangle(s.Rand(), n, 4)
		nodes := s.Build(n, edges, nil)
		s.Run(12 * time.Second)
		at := []int{3, n / 5, n / 2, n * 3 / 4, n - 1}
		var clients []*mesh.Client
		for _, i := range at {
			clients = append(clients, join(s, nodes[i], room, ""))
		}
		s.Run(5 * time.Second)
		before := s.Sent["message"]
		clients[0].Send(room)
		s.Run(2 * time.Second)
		for i, c := range clients[1:] {
			if c.Heard != 1 {
				t.Errorf("node %d heard it %d times", at[i+1], c.Heard)
			}
		}
		// All paths of the tree together, each as short as can be.
		most := 0
		for _, d := range distances(edges, n, at[0], at[1:]) {
			most += d
		}
		if sent := s.Sent["message"] - before; sent > most {
			t.Errorf("%d transmissions, %d links are on shortest paths", sent, most)
		} else {
			t.Logf("%d transmissions, at most %d", sent, most)
		}
	})
}

// distances are the fewest links from one node to others.
func distances(edges mesh.Edges, n, from int, to []int) (out []int) {
	depth := make([]int, n)
	for i := range depth {
		depth[i] = -1
	}
	depth[from] = 0
	for queue := []int{from}; len(queue) > 0; queue = queue[1:] {
		for _, e := range edges {
			for k := range 2 {
				if e[k] == queue[0] && depth[e[1-k]] < 0 {
					depth[e[1-k]] = depth[queue[0]] + 1
					queue = append(queue, e[1-k])
				}
			}
		}
	}
	for _, i := range to {
		out = append(out, depth[i])
	}
	return out
}

// TestPasswordRace opens a name with two passwords on two nodes, with every delay
// between them: who came first has it, on all nodes alike.
func TestPasswordRace(t *testing.T) {
	for _, first := range []time.Duration{-1, 0} {
		for delay := -60; delay <= 60; delay += 5 {
			t.Run(fmt.Sprintf("ask first %v, %d ms", first == 0, delay), func(t *testing.T) {
				play(t, mesh.Options{Latency: slow, Quick: true}, func(t *testing.T, s *mesh.Sim) {
					race(t, s, first, time.Duration(delay)*time.Millisecond)
				})
			})
		}
	}
}

// race has n00 open the room, and n02 so much later.
func race(t *testing.T, s *mesh.Sim, first, delay time.Duration) {
	nodes := s.Build(3, mesh.Line(3), func(_ int, o *mesh.NodeOptions) { o.AskFirst = first })
	s.Run(5 * time.Second)
	a, b := nodes[0].Connect(), nodes[2].Connect()
	winner, loser := a, b
	start := func(c *mesh.Client, password string) { c.Subscribe(room, password) }
	if delay < 0 {
		winner, loser = b, a
		start(b, "two")
		s.Run(-delay)
		start(a, "one")
	} else {
		start(a, "one")
		s.Run(delay)
		start(b, "two")
	}
	wasOn := false
	s.RunUntil(5*time.Second, func() bool {
		wasOn = wasOn || loser.Is(room)
		return false
	})
	if !winner.Is(room) {
		t.Errorf("who came first lost the channel: %q", winner.Said[room])
	}
	want := "invalid password"
	if wasOn {
		want = "channel lost"
	}
	if loser.Is(room) || loser.Said[room] != want {
		t.Errorf("who came second was told %q, not %q", loser.Said[room], want)
	}
	for _, n := range nodes {
		h := n.Holdings().GetChannels()
		if len(h) != 1 || len(h[0].GetHolders()) != 1 || h[0].GetHolders()[0] != winner.Node.Name {
			t.Errorf("%s says %v", n.Name, h)
		}
	}
	s.Check()
}

// TestHeal opens names on both sides of a partition: when it is over, all know
// the same within 2 s of the new link.
func TestHeal(t *testing.T) {
	for _, gap := range []mesh.Gap{mesh.Cut, mesh.Stall} {
		play(t, mesh.Options{Latency: slow, Quick: true}, func(t *testing.T, s *mesh.Sim) {
			nodes := s.Build(8, append(mesh.Ring(4), mesh.Edges{{5, 4}, {6, 5}, {7, 6}, {4, 0}}...), nil)
			s.Run(5 * time.Second)
			join(s, nodes[1], "before", "")
			s.Partition([]string{nodes[4].Name, nodes[5].Name, nodes[6].Name, nodes[7].Name}, gap)
			s.Run(20 * time.Second)
			one := join(s, nodes[1], room, "one")
			s.Run(time.Second)
			two := join(s, nodes[6], room, "two")
			join(s, nodes[2], "left", "")
			join(s, nodes[7], "right", "pass")
			s.Run(20 * time.Second)
			s.Heal()
			busy := []*mesh.Client{nodes[3].Connect(), nodes[7].Connect()} // what they open just before, no hello tells of
			for i := 0; i < 300 && !s.Linked("n00", "n04"); i++ {
				for _, c := range busy {
					c.Subscribe(fmt.Sprint(c.Node.Name, " ", i), "")
				}
				s.RunUntil(300*time.Millisecond, func() bool { return s.Linked("n00", "n04") })
			}
			s.Must(time.Second, "linked again", func() bool { return s.Linked("n00", "n04") })
			took := s.Must(2*time.Second, "one view of all channels", s.Equal)
			t.Logf("equal %v after the link", took)
			s.Must(time.Second, "lost", func() bool { return two.Said[room] == "channel lost" })
			if !one.Is(room) {
				t.Errorf("who came first lost the channel: %q", one.Said[room])
			}
			s.Run(20 * time.Second)
			s.Check()
		})
	}
}

// TestCutLink cuts the link that messages go over: they flow by another way
// within a second.
func TestCutLink(t *testing.T) {
	for _, n := range []int{4, 5, 6, 10} {
		play(t, mesh.Options{Latency: slow}, func(t *testing.T, s *mesh.Sim) {
			nodes := s.Build(n, mesh.Ring(n), nil)
			s.Run(5 * time.Second)
			from, to := join(s, nodes[0], room, ""), join(s, nodes[2], room, "")
			s.Run(10 * time.Second)
			s.Separate("n01", "n02", mesh.Cut)
			s.Must(time.Second, "noticed", func() bool { return s.Ends("n01", "n02") == 0 })
			heard, said := to.Heard, time.Now()
			took := s.Must(time.Second, "heard again", func() bool {
				if time.Since(said) >= sayEvery {
					from.Send(room)
					said = time.Now()
				}
				return to.Heard > heard
			})
			t.Logf("ring of %d: messages flow again after %v", n, took)
			s.Run(20 * time.Second)
			s.Check()
		})
	}
}

// TestReservationSpreads measures how fast 100 nodes hear of a new name.
func TestReservationSpreads(t *testing.T) {
	play(t, mesh.Options{Latency: slow, Quick: true}, func(t *testing.T, s *mesh.Sim) {
		const n = crowd
		edges := mesh.Tangle(s.Rand(), n, 4)
		nodes := s.Build(n, edges, nil)
		s.Run(12 * time.Second)
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		diameter := 0
		for i := range n {
			for _, d := range distances(edges, n, i, all) {
				diameter = max(diameter, d)
			}
		}
		nodes[0].Connect().Subscribe(room, "secret")
		took := s.Must(3*time.Duration(diameter)*slow, "known everywhere", func() bool {
			for _, n := range nodes {
				if len(n.Holdings().GetChannels()) == 0 {
					return false
				}
			}
			return true
		})
		t.Logf("a name was known on %d nodes, %d links across, after %v: %.1f times the diameter", n, diameter, took, float64(took)/float64(time.Duration(diameter)*slow))
	})
}

// TestOnboarding has a node join that must learn many channels.
func TestOnboarding(t *testing.T) {
	counts := []int{1_000, manyNames}
	if testing.Short() {
		counts = counts[:1]
	}
	for _, count := range counts {
		play(t, mesh.Options{Latency: slow, Quick: true}, func(t *testing.T, s *mesh.Sim) {
			nodes := s.Build(2, mesh.Line(2), nil)
			s.Run(5 * time.Second)
			c := nodes[0].Connect()
			for i := range count {
				c.Subscribe(fmt.Sprintf("channel %05d", i), "")
			}
			s.Must(time.Minute, "all open", func() bool { return len(nodes[1].Holdings().GetChannels()) == count })
			s.Run(5 * time.Second)
			fresh := s.Start(mesh.NodeOptions{Name: "n02", Neighbors: []string{"n01"}, Hidden: true})
			s.Must(5*time.Second, "linked", func() bool { return s.Linked("n01", "n02") })
			took := s.Must(2*time.Second, "all known", func() bool { return len(fresh.Holdings().GetChannels()) == count })
			t.Logf("%d channels known after %v", count, took)
		})
	}
}

// TestHistory makes sure that a seed has one: else none could be replayed.
func TestHistory(t *testing.T) {
	for seed := range uint64(4) {
		var first string
		for i := range 3 {
			synctest.Test(t, func(t *testing.T) {
				d := testkit.NewDriver(seed + 1)
				s := mesh.Random(t, d)
				got := fmt.Sprint(d.Steps(), s.Sent, s.Watch.Delivered, s.Watch.Span())
				if i == 0 {
					first = got
				} else if got != first {
					t.Errorf("seed %d: once\n%s, then\n%s", seed+1, first, got)
				}
			})
		}
	}
}
