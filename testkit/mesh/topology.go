package mesh

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// Edges are the links of a network: pairs of indices of nodes, who dials first.
type Edges [][2]int

// Line links n nodes in a row.
func Line(n int) (e Edges) {
	for i := range n - 1 {
		e = append(e, [2]int{i + 1, i})
	}
	return e
}

// Ring links n nodes, at least 3, in a circle.
func Ring(n int) Edges { return append(Line(n), [2]int{n - 1, 0}) }

// Full links every node with every other.
func Full(n int) (e Edges) {
	for i := range n {
		for j := range i {
			e = append(e, [2]int{i, j})
		}
	}
	return e
}

// Star links all with the first.
func Star(n int) (e Edges) {
	for i := range n - 1 {
		e = append(e, [2]int{i + 1, 0})
	}
	return e
}

// Tangle links n nodes at random, all of them together, each with degree others
// on average.
func Tangle(rng *rand.Rand, n, degree int) (e Edges) {
	for i := 1; i < n; i++ {
		e = append(e, [2]int{i, rng.IntN(i)})
	}
	for want := min(degree*n/2, n*(n-1)/2); len(e) < want; {
		a, b := rng.IntN(n), rng.IntN(n)
		if a != b && !slices.Contains(e, [2]int{a, b}) && !slices.Contains(e, [2]int{b, a}) {
			e = append(e, [2]int{a, b})
		}
	}
	return e
}

// Name is what the node with an index is called.
func Name(i int) string { return fmt.Sprintf("n%02d", i) }

// neighbors are the names that the node with an index dials.
func (e Edges) neighbors(i int) (names []string) {
	for _, p := range e {
		if p[0] == i {
			names = append(names, Name(p[1]))
		}
	}
	return names
}

// Build starts n nodes that are linked by edges, without any that they would
// find themselves. change may be nil.
func (s *Sim) Build(n int, e Edges, change func(i int, o *NodeOptions)) []*Node {
	s.T.Helper()
	var nodes []*Node
	for i := range n {
		o := NodeOptions{Name: Name(i), Neighbors: e.neighbors(i), Hidden: true}
		if change != nil {
			change(i, &o)
		}
		nodes = append(nodes, s.Start(o))
	}
	s.Must(buildMost, "all links", func() bool { return s.Links() >= len(e) })
	return nodes
}
