package mesh

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"parley/messages/meshpb"
	"parley/testkit"
)

// TestParts compares whom a link may speak for with a search that leaves this
// node out.
func TestParts(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 3))
		n := 3 + rng.IntN(8)
		edges := random(rng, n, rng.IntN(n))
		spin(t, n, seed, func(w *webbing) {
			for _, k := range w.nodes {
				k.o.Relay = rng.IntN(5) > 0
			}
			w.join(edges)
			r := w.nodes[0].router
			r.topology.refresh()
			next := map[int][]int{}
			for _, e := range edges {
				next[e[0]], next[e[1]] = append(next[e[0]], e[1]), append(next[e[1]], e[0])
			}
			for _, peer := range next[0] {
				got := map[int]bool{}
				if from := w.nodes[peer]; from.o.Relay {
					for queue := []int{peer}; len(queue) > 0; queue = queue[1:] {
						for _, i := range next[queue[0]] {
							if i != 0 && !got[i] {
								got[i] = true
								if w.nodes[i].o.Relay {
									queue = append(queue, i)
								}
							}
						}
					}
				}
				for i := 1; i < n; i++ {
					v, p := r.topology.vertices[w.nodes[i].name], r.topology.vertices[w.nodes[peer].name]
					if i != peer && v != nil && v.index >= 0 && r.parts.joins(r.topology, v, p) != got[i] {
						t.Errorf("seed %d over %v: %d may speak for %d: %v", seed, edges, peer, i, !got[i])
					}
				}
			}
		})
	}
}

// TestNumbersByAnotherLink has numbers of a node come by links that do not lead
// there: they are told apart, and leave nothing behind.
func TestNumbersByAnotherLink(t *testing.T) {
	now := time.Unix(1e9, 0)
	s, v := newSeenSets(), &vertex{name: "a"}
	v.windows.begin(1, now.Add(-time.Hour))
	p := func(seq uint64) *meshpb.Packet {
		return &meshpb.Packet{Source: "a", Destination: "*", Boot: 1, Seq: seq, Message: &meshpb.Message{}}
	}
	for _, c := range []struct {
		seq   uint64
		leads bool
		first bool
	}{
		{5, false, true},
		{5, true, false},
		{6, true, true},
		{6, false, false},
		{drawn - 1, false, true},
		{drawn - 1, false, false},
		{7, true, true},
		{70_000, false, true},
		{8, true, true},
		{3, false, true},
		{70_000, true, false},
		{70_001, true, true},
		{8, true, false},
		{9, false, false}, // too old
	} {
		if got := s.first(v, p(c.seq), now, c.leads); got != c.first {
			t.Errorf("%d, leads %v: first %v", c.seq, c.leads, got)
		}
	}
	// The link that leads there lied, and is no more.
	s.first(v, p(drawn-2), now, true)
	if s.first(v, p(70_002), now, true) {
		t.Error("a number that is far too old is new at once")
	}
	now = now.Add(aliveFor)
	if !s.first(v, p(70_003), now, true) || s.first(v, p(70_003), now, true) {
		t.Error("a past that cannot be is not forgotten")
	}
	// What is asked has numbers of its own.
	for range 2 {
		s.first(v, p(math.MaxUint64), now, true)
	}
	if !s.first(v, p(70_004), now, true) {
		t.Error("a question left what is said behind")
	}
}

// TestOutlines checks that what is kept of a packet is known as it is, and is
// nothing of what it carries.
func TestOutlines(t *testing.T) {
	now := time.Unix(1e9, 0)
	own := &vertex{name: "a"}
	own.windows.begin(1, now)
	for i, p := range []*meshpb.Packet{
		{Source: "a", Destination: "*", Boot: 1, Seq: 7, Message: &meshpb.Message{Payload: []byte("1")}},
		{Source: "a", Destination: "*", Boot: 2, Seq: 7, Message: &meshpb.Message{Payload: []byte("1")}},
		{Source: "a", Destination: "b", Nonce: "some text", Command: &meshpb.Command{Name: cmdNodes}, Json: []byte("{}")},
		{Source: "a", Destination: "b", Boot: 1, Seq: 7, Response: &meshpb.Response{Reason: "none"}, Via: []string{"c"}},
		{Source: "a", Destination: "c", Boot: 1, Seq: 7, Response: &meshpb.Response{}},
	} {
		for _, v := range []*vertex{nil, own} {
			s, o := newSeenSets(), outline(p)
			if s.known(v, o) || !s.first(v, p, now, true) || !s.known(v, o) {
				t.Errorf("packet %d is not known by its outline", i)
			}
		}
		if o := outline(p); weigh(o) > packetBytes+32 || o.Message != nil || o.Command != nil || o.Json != nil {
			t.Errorf("packet %d: %v is kept", i, o)
		}
	}
}

// TestNameTaken has nodes come whose name another one may have.
func TestNameTaken(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		y := newYard(t, d, Options{}, "peers", newPeers)
		defer y.stop()
		y.sys.Root.Send(y.pid, &surveyed{map[string]bool{"x": true, "y": true, "z": true}})
		d.Settle()
		linkedNow := func(want string) {
			t.Helper()
			d.Settle()
			got := fmt.Sprint(names(y.ask(&meshpb.PeersRequest{})[0].(*meshpb.PeersResponse)))
			if got != want {
				t.Errorf("linked with %s, want %s", got, want)
			}
		}
		fresh := y.enter("new").say(hand("new"))
		linkedNow("[new]")
		taken := y.enter("x").say(hand("x"))
		linkedNow("[new]")
		y.sys.Root.Send(y.pid, &located{who: taken.server, taken: true})
		linkedNow("[new]")
		taken.wantClosed(closeInUse, byeInUse)
		again := y.enter("y").say(hand("y"))
		y.sys.Root.Send(y.pid, &located{who: again.server})
		linkedNow("[new y]")
		busy := y.enter("z").say(hand("z"))
		linkedNow("[new y]")
		d.Run(locatedMost)
		linkedNow("[new y z]")
		for _, s := range []*strand{fresh, again, busy} {
			s.wantOpen()
		}
	})
}

func names(r *meshpb.PeersResponse) (out []string) {
	for _, p := range r.GetPeers() {
		out = append(out, p.GetName())
	}
	return out
}
