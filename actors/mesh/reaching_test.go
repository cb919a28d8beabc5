package mesh

import (
	"fmt"
	"testing"
	"time"

	"parley/actors/tree"
	"parley/messages/meshpb"
)

// invented is a hello of a node that may not exist.
func invented(name string, round uint64, links ...string) *meshpb.Packet {
	h := &meshpb.Hello{Boot: 5, Round: round}
	for i, l := range links {
		ms := 1.0
		if i == 0 {
			ms += float64(round) // something is new each time
		}
		h.Links = append(h.Links, &meshpb.LinkCost{Peer: l, Ms: ms})
	}
	return &meshpb.Packet{Source: name, Destination: "*", Boot: 5, Seq: round + 1, Command: &meshpb.Command{Name: cmdHello, Hello: h}}
}

func inventedNames(prefix string, n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("%s-%03d", prefix, i))
	}
	return all
}

// TestInventedNames has a peer name more nodes than there is room for.
func TestInventedNames(t *testing.T) {
	spin(t, 3, 1, func(w *webbing) {
		w.join(line(3))
		w.pass(3 * time.Second)
		top := w.nodes[1].router.topology
		known := len(top.vertices)
		w.nodes[1].from("n000", invented("y", 0, append(inventedNames("s", 400), "n000")...))
		if got := len(top.vertices) - known - 1; got != namedPerNode {
			t.Errorf("one hello made %d nodes known, want %d", got, namedPerNode)
		}
		for i := range 40 {
			w.nodes[1].from("n000", invented(fmt.Sprint("z", i), 0, inventedNames(fmt.Sprint("t", i), 400)...))
		}
		named, theirs, _ := top.census("n000")
		if named > namedMost || theirs > nodesPerLink {
			t.Errorf("%d nodes are known by name, %d by one peer", named, theirs)
		}
		for i := range 2 * nodesPerLink {
			w.nodes[1].from("n000", invented(fmt.Sprint("v", i), 0))
		}
		if _, theirs, _ = top.census("n000"); theirs != nodesPerLink {
			t.Errorf("%d nodes came by one peer, want %d", theirs, nodesPerLink)
		}
		if w.dropped(tree.MeshNodesFull) == 0 {
			t.Error("nobody counts those that are left out")
		}
		w.nodes[1].from("n002", invented("honest", 0, "n002"))
		if top.vertices["honest"] == nil {
			t.Error("a node that comes by another peer finds no room")
		}
		for i, k := range w.nodes {
			if i != 1 && k.router.topology.vertices["n001"] == nil {
				t.Errorf("%s forgot n001", k.name)
			}
		}
	})
}

// TestHub links a node that names more others than one hello keeps known: all of
// them count when they say hello.
func TestHub(t *testing.T) {
	spin(t, 2, 1, func(w *webbing) {
		w.join(line(2))
		w.pass(time.Second)
		spokes := inventedNames("s", 250)
		w.nodes[1].from("n000", invented("hub", 1, append(spokes, "n000")...))
		h := invented("n000", 9, "n001", "hub")
		h.Boot, h.Seq = w.nodes[0].o.Boot, 1<<40
		h.Command.Hello.Boot = h.Boot
		w.nodes[1].from("n000", h)
		for _, s := range spokes {
			w.nodes[1].from("n000", invented(s, 1, "hub"))
		}
		w.pass(time.Second)
		if got := len(w.nodes[1].reaches()); got != 2+1+250 {
			t.Errorf("%d nodes can be reached, want 253", got)
		}
		if w.nodes[1].router.topology.foreign {
			t.Error("all say hello, and some seem to say none")
		}
	})
}

// TestHelloTooOften takes some hellos of a node at once, and then the last of each
// second; what is left out is passed on to nobody.
func TestHelloTooOften(t *testing.T) {
	spin(t, 4, 1, func(w *webbing) {
		w.join(line(4))
		w.pass(time.Minute)
		w.clear()
		const said = 100
		for i := range said {
			w.nodes[1].from("n000", invented("y", uint64(i), "n000"))
		}
		w.settle()
		for i, k := range w.nodes[1:] {
			if v := k.router.topology.vertices["y"]; v == nil || v.round > helloBurst {
				t.Errorf("n%03d: round %d is believed at once", i+1, v.round)
			}
		}
		if got := w.dropped(tree.MeshHello); got < said-helloBurst-3 {
			t.Errorf("%d are counted", got)
		}
		w.pass(6 * time.Second)
		for i, k := range w.nodes[1:] {
			if v := k.router.topology.vertices["y"]; v.round != said-1 {
				t.Errorf("n%03d: round %d is believed in the end, want %d", i+1, v.round, said-1)
			}
		}
	})
}

// TestComputedRarely has changes of other nodes' links wait for each other, and
// those of this node's not.
func TestComputedRarely(t *testing.T) {
	spin(t, 4, 1, func(w *webbing) {
		w.join(line(4))
		w.pass(time.Minute)
		r := w.nodes[1].router
		r.topology.work = 1 << 20 // as in a large mesh
		before := r.topology.epoch
		for i := range 20 {
			w.nodes[1].from("n000", invented(fmt.Sprint("y", i), 0, "n000"))
			r.topology.refresh()
		}
		if got := r.topology.epoch - before; got != 1 {
			t.Errorf("computed %d times for a swarm, want once", got)
		}
		r.topology.work = 1 << 20
		if r.topology.settled(r.now.Add(time.Hour)) {
			t.Error("what was put off counts as settled")
		}
		w.nodes[1].unlinked(w.nodes[2])
		if r.topology.refresh(); r.topology.stale || len(r.topology.reach) != 2 {
			t.Errorf("%d nodes are believed to be reachable behind the end of a link", len(r.topology.reach))
		}
	})
}

// TestOutOfReach counts the messages for a node that cannot be reached: where the
// link was that led there, and then where they come from.
func TestOutOfReach(t *testing.T) {
	spin(t, 4, 1, func(w *webbing) {
		w.join(line(4))
		w.subscribe("x", 0, 3)
		w.pass(3 * time.Second)
		count := func(when string, want int64) {
			t.Helper()
			before := w.dropped(tree.MeshOutOfReach)
			w.nodes[0].publish("x", "hi")
			w.nodes[0].publish("y", "nobody wants it")
			w.settle()
			if got := w.dropped(tree.MeshOutOfReach) - before; got != want {
				t.Errorf("%s: %d are counted, want %d", when, got, want)
			}
		}
		count("all linked", 0)
		w.cut(2, 3)
		w.nodes[2].hello(nil)
		w.settle()
		count("just cut", 1) // by n002
		for range 8 {
			w.pass(time.Second)
			w.greet()
		}
		count("known to all", 1) // by n000
		w.cut(0, 1)
		count("alone", 1)
	})
}
