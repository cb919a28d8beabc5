package mesh

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/messages/meshpb"
)

// TestTransmissions counts how often one message crosses a link.
func TestTransmissions(t *testing.T) {
	for _, c := range []struct {
		name        string
		n           int
		edges       [][2]int
		flood, most int // while it is not settled
		holders     []int
		settled     int
	}{
		{name: "full mesh of 10", n: 10, edges: full(10), flood: 9, holders: []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, settled: 9},
		{name: "ring of 10", n: 10, edges: ring(10), flood: 11, holders: []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, settled: 9},
		{name: "line of 5", n: 5, edges: line(5), flood: 4, holders: []int{0, 2}, settled: 2},
		{name: "nobody else", n: 5, edges: ring(5), holders: []int{0}, settled: 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			for seed := range uint64(5) {
				spin(t, c.n, seed, func(w *webbing) {
					w.join(c.edges)
					w.subscribe("x", c.holders...)
					w.clear()
					w.nodes[0].publish("x", "early")
					w.settle()
					if w.transmissions < min(c.n-1, c.flood) || w.transmissions > c.flood {
						t.Errorf("flooding took %d transmissions, at most %d are needed", w.transmissions, c.flood)
					}
					w.pass(3 * time.Second)
					w.clear()
					w.nodes[0].publish("x", "late")
					w.settle()
					if w.transmissions != c.settled {
						t.Errorf("the tree took %d transmissions, want %d", w.transmissions, c.settled)
					}
					for _, i := range c.holders[1:] {
						if got := fmt.Sprint(w.nodes[i].delivered); got != "[x:late]" {
							t.Errorf("%s got %s", w.nodes[i].name, got)
						}
					}
				})
			}
		})
	}
}

// TestLargeMesh has five of a hundred nodes subscribed: each message crosses no
// more links than the shortest ways to them have.
func TestLargeMesh(t *testing.T) {
	spin(t, 100, 1, func(w *webbing) {
		edges := random(w.rng, 100, 150)
		w.join(edges)
		holders := []int{7, 21, 48, 77, 99}
		w.subscribe("x", holders...)
		w.pass(3 * time.Second)
		for _, source := range holders {
			dist, parent := distances(100, edges, source)
			least := 0
			tree := map[int]bool{source: true}
			for _, h := range holders {
				least += dist[h]
				for at := h; at != source; at = parent[at] {
					tree[at] = true
				}
			}
			w.clear()
			w.nodes[source].publish("x", "hello")
			w.settle()
			if w.transmissions > least || w.transmissions < len(holders)-1 {
				t.Errorf("from %d: %d transmissions, the ways there have %d links, a tree of them has %d", source, w.transmissions, least, len(tree)-1)
			}
			t.Logf("from %d: %d transmissions, a tree has %d", source, w.transmissions, len(tree)-1)
			for _, h := range holders {
				if want := 1; h != source && len(w.nodes[h].delivered) != want {
					t.Errorf("%d got %v", h, w.nodes[h].delivered)
				}
			}
		}
	})
}

// distances are those of a graph without weights.
func distances(n int, edges [][2]int, from int) (dist, parent []int) {
	dist, parent = make([]int, n), make([]int, n)
	for i := range dist {
		dist[i] = -1
	}
	dist[from] = 0
	for next := []int{from}; len(next) > 0; next = next[1:] {
		for _, e := range edges {
			for _, e := range [][2]int{e, {e[1], e[0]}} {
				if e[0] == next[0] && dist[e[1]] < 0 {
					dist[e[1]], parent[e[1]] = dist[e[0]]+1, e[0]
					next = append(next, e[1])
				}
			}
		}
	}
	return dist, parent
}

// graphs are all connected graphs of n nodes, but those that differ only in the
// order of nodes.
func graphs(n int) (all [][][2]int) {
	pairs := full(n)
	perms := permutations(n)
	index := map[[2]int]int{}
	for i, e := range pairs {
		index[e] = i
	}
	seen := make([]bool, 1<<len(pairs))
	for bits := range 1 << len(pairs) {
		if seen[bits] {
			continue
		}
		var edges [][2]int
		for i, e := range pairs {
			if bits>>i&1 == 1 {
				edges = append(edges, e)
			}
		}
		for _, p := range perms {
			same := 0
			for _, e := range edges {
				a, b := p[e[0]], p[e[1]]
				same |= 1 << index[[2]int{min(a, b), max(a, b)}]
			}
			seen[same] = true
		}
		if dist, _ := distances(n, edges, 0); !slices.Contains(dist, -1) {
			all = append(all, edges)
		}
	}
	return all
}

func permutations(n int) (all [][]int) {
	var extend func(p []int)
	extend = func(p []int) {
		if len(p) == n {
			all = append(all, slices.Clone(p))
			return
		}
		for i := range n {
			if !slices.Contains(p, i) {
				extend(append(p, i))
			}
		}
	}
	extend(nil)
	return all
}

// TestAllGraphs has each node of every graph of up to 6 nodes send a message and
// a command: by flooding and along trees, each reaches each node once.
func TestAllGraphs(t *testing.T) {
	for n := 2; n <= 6; n++ {
		all := graphs(n)
		if want := []int{2: 1, 3: 2, 4: 6, 5: 21, 6: 112}[n]; len(all) != want {
			t.Fatalf("%d graphs of %d nodes, want %d", len(all), n, want)
		}
		everybody := make([]int, n)
		for i := range everybody {
			everybody[i] = i
		}
		for g, edges := range all {
			spin(t, n, uint64(g), func(w *webbing) {
				w.join(edges)
				w.subscribe("x", everybody...)
				for _, mode := range []string{"flood", "tree"} {
					for i, k := range w.nodes {
						w.clear()
						k.publish("x", "hello")
						w.settle()
						if most := 2*len(edges) - (n - 1); w.transmissions > most {
							t.Errorf("%d nodes, %v, %s from %d: %d transmissions", n, edges, mode, i, w.transmissions)
						}
						if mode == "tree" && w.transmissions != n-1 {
							t.Errorf("%d nodes, %v, %s from %d: %d transmissions", n, edges, mode, i, w.transmissions)
						}
						k.do(&post{destination: everyone, command: &meshpb.Command{Name: cmdNodes}})
						w.settle()
						for j, other := range w.nodes {
							want := min(1, max(i-j, j-i))
							if len(other.delivered) != want || len(other.received) != want {
								t.Errorf("%d nodes, %v, %s from %d: %d got %d messages, %d commands", n, edges, mode, i, j, len(other.delivered), len(other.received))
							}
						}
					}
					w.pass(3 * time.Second)
				}
			})
		}
	}
}

// TestRandomMesh has random channels on random graphs of links that are not
// equally fast. Settled, each message takes exactly the tree of its source, cut
// to the holders: all nodes compute the same.
func TestRandomMesh(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		n := 2 + rng.IntN(14)
		edges := random(rng, n, rng.IntN(2*n))
		spin(t, n, seed, func(w *webbing) {
			for _, e := range edges {
				w.link(e[0], e[1])
			}
			for _, k := range w.nodes {
				k.hello(func(string) float64 { return float64(1 + rng.IntN(4)) })
			}
			w.settle()
			held := map[string][]int{}
			for c := range 4 {
				name := fmt.Sprint("c", c)
				for i := range n {
					if rng.IntN(3) == 0 {
						held[name] = append(held[name], i)
					}
				}
				w.subscribe(name, held[name]...)
			}
			w.pass(3 * time.Second)
			for i := 1; i < n; i++ {
				if a, b := w.nodes[0].router.topology, w.nodes[i].router.topology; a.digest != b.digest {
					t.Fatalf("seed %d: nodes 0 and %d see another mesh", seed, i)
				}
			}
			for range 20 {
				source, name := w.nodes[rng.IntN(n)], fmt.Sprint("c", rng.IntN(4))
				w.clear()
				source.publish(name, "hello")
				w.settle()
				if want := treeEdges(w, source, held[name]); w.transmissions != want {
					t.Errorf("seed %d: from %s to %v: %d transmissions, want %d", seed, source.name, held[name], w.transmissions, want)
				}
				for j, k := range w.nodes {
					want := 0
					if slices.Contains(held[name], j) && k != source {
						want = 1
					}
					if len(k.delivered) != want {
						t.Errorf("seed %d: from %s to %v: %d got %d", seed, source.name, held[name], j, len(k.delivered))
					}
				}
			}
		})
	}
}

// treeEdges is how many links the shortest ways from a source to some nodes have
// in common, as those nodes' own routers see their way back.
func treeEdges(w *webbing, source *knot, holders []int) int {
	reach := map[string]bool{source.name: true}
	edges := 0
	for _, h := range holders {
		at := w.nodes[h]
		for !reach[at.name] {
			reach[at.name] = true
			edges++
			at = parentOf(w, source, at)
		}
	}
	return edges
}

// parentOf is the node before another in the tree of a source: the one of whose
// branches it is the first node.
func parentOf(w *webbing, source, k *knot) *knot {
	var found *knot
	for _, other := range w.nodes {
		t := other.router.topology
		if t.spanning(t.vertices[source.name]).branch[t.vertices[k.name].index] == t.vertices[k.name].index {
			if found != nil {
				w.t.Fatalf("%s and %s pass on what %s sends to %s", found.name, other.name, source.name, k.name)
			}
			found = other
		}
	}
	if found == nil {
		w.t.Fatalf("nobody passes on what %s sends to %s", source.name, k.name)
	}
	return found
}

// TestUnsettled goes on while links come and go: at most once each, and to all
// holders that can be reached when nothing changes for a moment.
func TestUnsettled(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 2))
		n := 3 + rng.IntN(8)
		edges := random(rng, n, n)
		spin(t, n, seed, func(w *webbing) {
			w.join(edges)
			var everybody []int
			for i := range n {
				everybody = append(everybody, i)
			}
			w.subscribe("x", everybody...)
			w.pass(3 * time.Second)
			up := map[int]bool{}
			for i := range edges {
				up[i] = true
			}
			for round := range 30 {
				i := rng.IntN(len(edges))
				a, b := edges[i][0], edges[i][1]
				if up[i] {
					w.cut(a, b)
				} else {
					w.link(a, b)
				}
				up[i] = !up[i]
				w.nodes[a].hello(nil)
				w.nodes[b].hello(nil)
				for range rng.IntN(30) { // some hear of it, others do not
					w.step()
				}
				text := fmt.Sprint(round)
				w.nodes[rng.IntN(n)].publish("x", text)
				if rng.IntN(3) == 0 {
					w.pass(time.Duration(rng.IntN(4)) * time.Second)
				}
				w.settle()
				w.clear()
				source := rng.IntN(n)
				w.nodes[source].publish("x", text+" calm")
				w.settle()
				var left [][2]int
				for i, e := range edges {
					if up[i] {
						left = append(left, e)
					}
				}
				dist, _ := distances(n, left, source)
				for j, k := range w.nodes {
					if want := min(1, max(0, dist[j])); len(k.delivered) != want {
						t.Errorf("seed %d, round %d: from %d over %v: %d got %d", seed, round, source, left, j, len(k.delivered))
					}
				}
			}
			for _, k := range w.nodes {
				got := slices.Clone(k.delivered)
				slices.Sort(got)
				if len(slices.Compact(got)) != len(k.delivered) {
					t.Errorf("seed %d: something came twice", seed)
				}
			}
		})
	}
}

// TestCutInTheTree has the link that a tree goes over end before its source
// knows. Who notices floods, and those that passed the message on along the tree
// pass it on again.
func TestCutInTheTree(t *testing.T) {
	//	0 ── 1 ── 2 ── 3
	//	     └─ 4 ┘    │
	//	        └─ 5 ──┘
	edges := [][2]int{{0, 1}, {1, 2}, {2, 3}, {1, 4}, {2, 4}, {4, 5}, {3, 5}}
	for seed := range uint64(20) {
		spin(t, 6, seed, func(w *webbing) {
			w.join(edges)
			w.subscribe("x", 3, 4)
			w.pass(3 * time.Second)
			for i := range 20 {
				w.nodes[0].publish("x", fmt.Sprint("early", i))
			}
			w.settle()
			w.clear()
			w.nodes[0].publish("x", "a") // to 3 by way of 1 and 2
			w.cut(2, 3)
			w.settle()
			for i, want := range []string{3: "x:a", 4: "x:a", 5: ""} {
				if got := strings.Join(w.nodes[i].delivered, " "); got != want {
					t.Errorf("seed %d: %d got %q", seed, i, got)
				}
			}
		})
	}
}
