package mesh

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/messages/meshpb"
)

// TestDoubtFloods has a node that does not know all holders publish: all get the
// message, until it knows again.
func TestDoubtFloods(t *testing.T) {
	spin(t, 5, 1, func(w *webbing) {
		w.join(line(5))
		w.subscribe("x", 0, 4)
		for _, k := range w.nodes {
			k.do(&holds{"n004", "x", false}) // it was left out of that node's record
		}
		w.pass(3 * time.Second)
		for _, c := range []struct {
			doubtful bool
			want     string
		}{{false, "[]"}, {true, "[x:hi]"}} {
			w.clear()
			w.nodes[0].do(&doubtful{c.doubtful})
			w.nodes[0].publish("x", "hi")
			w.settle()
			if got := fmt.Sprint(w.nodes[4].delivered); got != c.want {
				t.Errorf("doubtful %v: n004 got %s, want %s", c.doubtful, got, c.want)
			}
		}
		w.nodes[0].do(&holds{"n004", "x", true})
		w.nodes[0].do(&doubtful{false})
		w.pass(3 * time.Second)
		w.clear()
		w.nodes[0].publish("x", "ho")
		w.settle()
		if got := fmt.Sprint(w.nodes[4].delivered); got != "[x:ho]" {
			t.Errorf("n004 got %s", got)
		}
	})
}

// TestSurvey tells which nodes are there: not those that only one node names.
func TestSurvey(t *testing.T) {
	spin(t, 4, 1, func(w *webbing) {
		w.join(line(4))
		w.pass(2 * time.Second)
		expect := func(when, want string) {
			t.Helper()
			if got := strings.Join(slices.Sorted(maps.Keys(w.nodes[0].surveyed)), " "); got != want {
				t.Errorf("%s: %s, want %s", when, got, want)
			}
		}
		expect("all linked", "n001 n002 n003")
		tell := func(node string, links ...string) {
			h := &meshpb.Hello{Boot: 1, Round: 99}
			for _, peer := range links {
				h.Links = append(h.Links, &meshpb.LinkCost{Peer: peer, Ms: 1})
			}
			w.nodes[0].from("n001", &meshpb.Packet{Source: node, Destination: everyone, Boot: 1, Seq: 1, Command: &meshpb.Command{Name: cmdHello, Hello: h}})
			w.pass(2 * time.Second)
		}
		tell("ghost", "n003")
		expect("one that nobody else names", "n001 n002 n003")
		tell("maker", "puppet")
		tell("puppet", "maker")
		expect("two that only they name", "n001 n002 n003")
		w.cut(2, 3)
		w.nodes[2].hello(nil)
		w.nodes[3].hello(nil)
		w.pass(2 * time.Second)
		expect("one cut off", "n001 n002")
	})
}
