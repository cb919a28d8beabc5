package mesh

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"parley/messages/meshpb"
)

// longHello is a hello of a node that says it is linked with its friends, and
// with so many others.
func longHello(source string, round uint64, links int, friends ...string) *meshpb.Packet {
	h := &meshpb.Hello{Boot: 9, Round: round}
	for _, f := range friends {
		h.Links = append(h.Links, &meshpb.LinkCost{Peer: f, Ms: 1})
	}
	for i := range links {
		h.Links = append(h.Links, &meshpb.LinkCost{Peer: fmt.Sprintf("z%060d", i), Ms: 1})
	}
	return &meshpb.Packet{Source: source, Destination: everyone, Boot: 9, Seq: round, Command: &meshpb.Command{Name: cmdHello, Hello: h}}
}

// kept is what a router keeps of hellos and of links, in bytes and in ends.
func (k *knot) kept() (bytes, ends int) {
	add := func(s *sighting) {
		if s.packet != nil {
			bytes += s.bytes()
		}
	}
	for _, v := range k.router.topology.vertices {
		add(&v.said)
		add(&v.hellos.late)
		ends += len(v.links)
	}
	for _, s := range k.router.asides {
		add(&s)
	}
	return bytes, ends
}

// TestHellosOfTheInvented: a peer makes up nodes that say long hellos, again and
// again. What is kept of them is bounded, in transit and at the end; hellos of
// others are kept as ever.
func TestHellosOfTheInvented(t *testing.T) {
	spin(t, 4, 1, func(w *webbing) {
		w.join([][2]int{{0, 1}, {1, 2}, {1, 3}})
		rogue, victims := w.nodes[0], w.nodes[1:3]
		rogue.alive = false
		const invented = 400
		var names []string
		for i := range invented {
			names = append(names, fmt.Sprint("x", i))
		}
		seq := uint64(1 << 20)
		for round := range uint64(helloBurst + 3) {
			for i, name := range append(names, names[:20]...) {
				seq++
				p := longHello(name, 1+round, linksMost-1, "n000")
				if p.Seq = seq; i%3 == 0 {
					p.Json = make([]byte, 40<<10)
				}
				w.nodes[1].from("n000", p)
			}
			w.settle()
			for _, k := range victims {
				bytes, ends := k.kept()
				if most := 2*helloLonger + 3*invented*helloShort; bytes > most {
					t.Fatalf("%s keeps %d bytes of hellos, at most %d are right", k.name, bytes, most)
				}
				if most := 2*endsLonger + invented*endsFree; ends > most {
					t.Fatalf("%s knows %d ends of links, at most %d are right", k.name, ends, most)
				}
			}
		}
		w.nodes[3].hello(nil)
		w.settle()
		for _, k := range victims {
			if v := k.router.topology.vertices["n003"]; v.said.packet.GetCommand().GetHello() == nil {
				t.Errorf("%s has not kept what n003 said", k.name)
			}
		}
		if v := w.nodes[2].router.topology.vertices["x399"]; v == nil || !v.hello {
			t.Error("a hello that is not kept does not count, either")
		}
	})
}

// TestHandOverIsBounded: of too many hellos a new peer is told those first that
// matter, and it is linked with all that is really there.
func TestHandOverIsBounded(t *testing.T) {
	spin(t, 6, 1, func(w *webbing) {
		w.join([][2]int{{0, 1}, {1, 2}, {2, 3}, {1, 4}})
		rogue := w.nodes[0]
		var friends []string
		for i := range 300 {
			friends = append(friends, fmt.Sprint("a", i)) // they sort before all others
		}
		for i, name := range friends {
			w.nodes[1].from(rogue.name, longHello(name, uint64(i), 500, rogue.name))
		}
		h := longHello(rogue.name, 1000, 0, append(friends, "n001")...)
		h.Boot, h.Command.Hello.Boot, h.Seq = rogue.o.Boot, rogue.o.Boot, 1000
		w.nodes[1].from(rogue.name, h)
		w.settle()
		for _, k := range w.nodes[1:5] {
			k.hello(nil)
		}
		w.settle()
		w.pass(3 * time.Second)
		w.clear()
		size, told := 0, map[string]bool{}
		w.check = func(p *meshpb.Packet) {
			if isHello(p) {
				size += weigh(p)
				told[p.GetSource()] = true
			}
		}
		w.link(1, 5)
		w.check = nil
		w.settle()
		if size > handedBytes {
			t.Errorf("n005 was told %d bytes", size)
		}
		got := ""
		for _, name := range []string{"n000", "n002", "n003", "n004"} {
			if told[name] {
				got += name + " "
			}
		}
		if got != "n000 n002 n003 n004 " {
			t.Errorf("n005 was told of %q, and of %d in all", got, len(told))
		}
	})
}

// TestLongHelloOfPeers: a node may have as many links as there can be.
func TestLongHelloOfPeers(t *testing.T) {
	spin(t, 2, 1, func(w *webbing) {
		w.join(line(2))
		w.nodes[0].from("n001", longHello("far", 1, 300, "n001"))
		if v := w.nodes[0].router.topology.vertices["far"]; v == nil || len(v.links) != 301 || !strings.HasPrefix(v.links[300].peer, "z") {
			t.Errorf("%v", v)
		}
	})
}
