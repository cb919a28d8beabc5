package mesh

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"parley/actors/tree"
	"parley/messages/meshpb"
)

// TestForged has a peer send what it may not. Nobody else is bothered.
func TestForged(t *testing.T) {
	boot := func(w *webbing, i int) uint64 { return w.nodes[i].o.Boot }
	msg := &meshpb.Message{Channel: "x", Payload: []byte("evil")}
	hello := &meshpb.Command{Name: cmdHello, Hello: &meshpb.Hello{Boot: 1 << 50, Links: []*meshpb.LinkCost{{Peer: "n999"}}}}
	for _, c := range []struct {
		name   string
		packet func(w *webbing) *meshpb.Packet // from node 0, to node 1
		why    tree.DropReason
	}{
		{"source is the victim itself", func(w *webbing) *meshpb.Packet {
			return &meshpb.Packet{Source: "n001", Destination: "*", Boot: boot(w, 1), Seq: 1 << 40, Message: msg}
		}, tree.MeshSpoofed},
		{"source is the victim, before it was started", func(w *webbing) *meshpb.Packet {
			return &meshpb.Packet{Source: "n001", Destination: "*", Boot: 1, Seq: 1, Message: msg}
		}, tree.MeshSpoofed},
		{"source is another peer", func(w *webbing) *meshpb.Packet {
			return &meshpb.Packet{Source: "n002", Destination: "*", Boot: boot(w, 2), Seq: 1 << 40, Message: msg}
		}, tree.MeshSpoofed},
		{"another peer's hello", func(w *webbing) *meshpb.Packet {
			return &meshpb.Packet{Source: "n002", Destination: "*", Boot: 1 << 50, Seq: 1, Command: hello}
		}, tree.MeshSpoofed},
		{"another peer's answer", func(w *webbing) *meshpb.Packet {
			return &meshpb.Packet{Source: "n002", Destination: "n001", Boot: boot(w, 1), Seq: 1, Response: &meshpb.Response{}}
		}, tree.MeshSpoofed},
		{"hello of another start", func(w *webbing) *meshpb.Packet {
			return &meshpb.Packet{Source: "n000", Destination: "*", Boot: boot(w, 0), Seq: 1 << 40, Command: hello}
		}, tree.MeshMalformed},
		{"hello of nothing", func(w *webbing) *meshpb.Packet {
			return &meshpb.Packet{Source: "n000", Destination: "*", Boot: boot(w, 0), Seq: 1 << 40, Command: &meshpb.Command{Name: cmdHello}}
		}, tree.MeshMalformed},
		{"hops", func(w *webbing) *meshpb.Packet {
			return &meshpb.Packet{Source: "n000", Destination: "*", Boot: boot(w, 0), Seq: 1 << 40, Hops: maxHops, Message: msg}
		}, tree.MeshHops},
		{"more hops", func(w *webbing) *meshpb.Packet {
			return &meshpb.Packet{Source: "n000", Destination: "*", Boot: boot(w, 0), Seq: 1 << 40, Hops: 1<<32 - 1, Message: msg}
		}, tree.MeshHops},
		{"nothing in it", func(w *webbing) *meshpb.Packet {
			return &meshpb.Packet{Source: "n000", Destination: "*", Boot: boot(w, 0), Seq: 1 << 40}
		}, tree.MeshMalformed},
		{"two things in it", func(w *webbing) *meshpb.Packet {
			return &meshpb.Packet{Source: "n000", Destination: "*", Boot: boot(w, 0), Seq: 1 << 40, Message: msg, Command: hello}
		}, tree.MeshMalformed},
		{"no source", func(*webbing) *meshpb.Packet {
			return &meshpb.Packet{Destination: "*", Nonce: "a", Message: msg}
		}, tree.MeshMalformed},
		{"long source", func(*webbing) *meshpb.Packet {
			return &meshpb.Packet{Source: strings.Repeat("a", 65), Destination: "*", Nonce: "a", Message: msg}
		}, tree.MeshMalformed},
		{"no destination", func(*webbing) *meshpb.Packet {
			return &meshpb.Packet{Source: "n000", Nonce: "a", Message: msg}
		}, tree.MeshMalformed},
		{"no nonce", func(*webbing) *meshpb.Packet {
			return &meshpb.Packet{Source: "n000", Destination: "*", Message: msg}
		}, tree.MeshMalformed},
		{"long nonce", func(*webbing) *meshpb.Packet {
			return &meshpb.Packet{Source: "n000", Destination: "*", Nonce: strings.Repeat("a", 257), Message: msg}
		}, tree.MeshMalformed},
		{"a message for one node", func(w *webbing) *meshpb.Packet {
			return &meshpb.Packet{Source: "n000", Destination: "n001", Boot: boot(w, 0), Seq: 1 << 40, Message: msg}
		}, tree.MeshMalformed},
		{"an answer to all", func(w *webbing) *meshpb.Packet {
			return &meshpb.Packet{Source: "n000", Destination: "*", Boot: boot(w, 0), Seq: 1 << 40, Response: &meshpb.Response{}}
		}, tree.MeshMalformed},
		{"hello of a name that is none", func(*webbing) *meshpb.Packet {
			return &meshpb.Packet{Source: "a b", Destination: "*", Nonce: "a", Command: &meshpb.Command{Name: cmdHello, Hello: &meshpb.Hello{Boot: 1}}}
		}, tree.MeshMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			spin(t, 4, 1, func(w *webbing) {
				w.join([][2]int{{0, 1}, {1, 2}, {0, 2}, {2, 3}})
				w.subscribe("x", 0, 1, 2, 3)
				w.pass(3 * time.Second)
				w.clear()
				before := []string{state(w.nodes[1]), state(w.nodes[2]), state(w.nodes[3])}
				for range 2 {
					w.nodes[1].from("n000", c.packet(w))
				}
				w.settle()
				w.pass(3 * time.Second)
				if got := w.dropped(c.why); got != 2 {
					t.Errorf("%d were counted as %s, want 2", got, c.why)
				}
				for i, want := range before {
					k := w.nodes[i+1]
					if got := state(k); got != want {
						t.Errorf("%s was\n%s\nand is\n%s", k.name, want, got)
					}
					if len(k.delivered)+len(k.received)+len(k.heard) > 0 {
						t.Errorf("%s got %v %v %v", k.name, k.delivered, k.received, k.heard)
					}
				}
				w.nodes[2].publish("x", "still here")
				w.nodes[1].publish("x", "I too")
				w.settle()
				for i, want := range []int{2, 1, 1, 2} {
					if got := len(w.nodes[i].delivered); got != want {
						t.Errorf("n%03d got %v", i, w.nodes[i].delivered)
					}
				}
			})
		})
	}
}

// state is what a router believes of others.
func state(k *knot) string {
	var b strings.Builder
	r := k.router
	fmt.Fprintf(&b, "%x epoch %d, %d nodes, sequence %d\n", r.topology.digest, r.topology.epoch, len(r.topology.vertices), r.seq)
	for _, v := range r.topology.reach {
		fmt.Fprintln(&b, v.name, v.boot, v.round, v.links, v.windows.now != nil && v.windows.now.boot == v.boot)
	}
	return b.String()
}

// TestFloodedPeerIsNotForged counts nothing when floods come round by another peer.
func TestFloodedPeerIsNotForged(t *testing.T) {
	for seed := range uint64(20) {
		spin(t, 5, seed, func(w *webbing) {
			w.join(full(5))
			for range 20 {
				w.greet()
			}
			w.pass(5 * time.Second)
			if got := w.dropped(tree.MeshSpoofed); got != 0 {
				t.Errorf("seed %d: %d were counted as forged", seed, got)
			}
		})
	}
}

// TestPeerNoticedFirst has a peer see that its link is broken, and tell all others
// what has become of its links, before this node sees it. What it told counts when
// the link is over here, too, and goes on to those behind this node.
func TestPeerNoticedFirst(t *testing.T) {
	spin(t, 5, 1, func(w *webbing) {
		w.join([][2]int{{0, 1}, {1, 2}, {0, 2}, {0, 3}, {1, 4}})
		w.wires[[2]int{0, 1}], w.wires[[2]int{1, 0}] = nil, nil // nobody notices
		w.cut(1, 4)
		w.nodes[1].hello(nil)
		w.settle()
		w.nodes[1].unlinked(w.nodes[0])
		w.nodes[1].hello(nil)
		w.settle()
		w.pass(10 * time.Second)
		reaches := func(i int) bool {
			r := w.nodes[i].router
			r.topology.refresh()
			return r.topology.vertices["n004"].index >= 0
		}
		if reaches(2) || !reaches(0) || !reaches(3) {
			t.Fatal("n002 is to know better than n000 and n003")
		}
		w.clear()
		w.nodes[0].unlinked(w.nodes[1])
		w.settle()
		for _, i := range []int{0, 3} {
			if reaches(i) {
				t.Errorf("n%03d does not know what n001 told", i)
			}
			if got := len(w.nodes[i].heard); got != 1 {
				t.Errorf("n%03d heard %d times of n001's record, want 1", i, got)
			}
		}
		if got := len(w.nodes[2].heard); got != 0 {
			t.Errorf("n002 heard %d times again what it knew", got)
		}
	})
}
