package mesh

import (
	"slices"
	"testing"
	"time"
)

// reaches lists the nodes that a router believes it can reach.
func (k *knot) reaches() (names []string) {
	k.router.topology.refresh()
	for _, v := range k.router.topology.reach {
		names = append(names, v.name)
	}
	return names
}

// TestHandOver links two halves again after one of them has changed. Only the ends
// of the new link say hello, and yet all know all at once.
func TestHandOver(t *testing.T) {
	spin(t, 7, 1, func(w *webbing) {
		w.join([][2]int{{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}, {5, 6}})
		w.cut(1, 2)
		w.nodes[1].hello(nil)
		w.nodes[2].hello(nil)
		w.settle()
		w.cut(4, 5) // 5 and 6 now hang on 3
		w.link(3, 6)
		for _, i := range []int{3, 4, 5, 6} {
			w.nodes[i].hello(nil)
		}
		w.settle()
		w.pass(5 * time.Second)
		w.clear()
		w.link(1, 2)
		w.nodes[1].hello(nil)
		w.nodes[2].hello(nil)
		w.settle()
		w.pass(computePauseMost) // what came in one swarm counts together
		for _, k := range w.nodes {
			if got := k.reaches(); len(got) != 7 {
				t.Errorf("%s reaches %v only", k.name, got)
			}
			if k.router.topology.digest != w.nodes[0].router.topology.digest {
				t.Errorf("%s sees other links than n000", k.name)
			}
		}
		if got := len(w.nodes[3].heard); got != 2 {
			t.Errorf("n003 heard %d times of records, want 2: of the ends of the new link; the others say what they said", got)
		}
	})
}

// TestHandOverOfTheDead tells a new peer nothing of who was silent for too long,
// or cannot be reached.
func TestHandOverOfTheDead(t *testing.T) {
	spin(t, 4, 1, func(w *webbing) {
		w.join([][2]int{{0, 1}, {1, 2}})
		w.nodes[2].alive = false
		w.cut(1, 2)
		w.nodes[1].hello(nil)
		w.settle()
		w.link(0, 3)
		w.settle()
		if w.nodes[3].router.topology.vertices["n002"] != nil {
			t.Error("n003 knows n002, which is dead")
		}
		if w.nodes[3].router.topology.vertices["n001"] == nil {
			t.Error("n003 does not know n001, which said hello")
		}
	})
	spin(t, 3, 1, func(w *webbing) {
		w.join([][2]int{{0, 1}})
		w.pass(handedFor)
		w.link(0, 2)
		w.settle()
		if v := w.nodes[2].router.topology.vertices["n001"]; v != nil {
			t.Error("n002 was told of n001, which has long been silent")
		}
	})
}

// TestHolderOutOfReach floods while a holder may be found again, and goes along
// the tree to the others after that.
func TestHolderOutOfReach(t *testing.T) {
	spin(t, 4, 1, func(w *webbing) {
		w.join([][2]int{{0, 1}, {0, 2}, {2, 3}})
		w.subscribe("x", 0, 1, 3)
		w.pass(3 * time.Second)
		w.nodes[3].alive = false
		w.cut(2, 3)
		w.nodes[2].hello(nil)
		w.settle()
		for _, c := range []struct {
			after   time.Duration
			crosses int
		}{{3 * time.Second, 2}, {missedAfter, 1}} {
			w.pass(c.after)
			w.clear()
			w.nodes[0].publish("x", "hi")
			w.settle()
			if w.transmissions != c.crosses || !slices.Equal(w.nodes[1].delivered, []string{"x:hi"}) {
				t.Errorf("%v later it took %d transmissions, want %d; n001 got %v", c.after, w.transmissions, c.crosses, w.nodes[1].delivered)
			}
		}
	})
}
