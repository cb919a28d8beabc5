package fleet

import "fmt"

// The shapes that nodes can be linked in.
const (
	Line = "line"
	Ring = "ring"
	Full = "full"
)

// Shapes are all there are.
var Shapes = []string{Line, Ring, Full}

// Edge is a link between two nodes, by number from 1 on; the first is smaller.
type Edge [2]int

// NewEdge is the link between two nodes.
func NewEdge(a, b int) Edge { return Edge{min(a, b), max(a, b)} }

// String is "1-2".
func (e Edge) String() string { return fmt.Sprintf("%d-%d", e[0], e[1]) }

// Edges are the links of n nodes in a shape, sorted.
func Edges(shape string, n int) ([]Edge, error) {
	var all []Edge
	switch shape {
	case Full:
		for a := 1; a <= n; a++ {
			for b := a + 1; b <= n; b++ {
				all = append(all, Edge{a, b})
			}
		}
	case Line, Ring:
		for a := 1; a < n; a++ {
			if all = append(all, Edge{a, a + 1}); a == 1 && shape == Ring && n > 2 {
				all = append(all, Edge{1, n})
			}
		}
	default:
		return nil, fmt.Errorf("fleet: unknown shape %q, use one of %v", shape, Shapes)
	}
	return all, nil
}
