package mesh

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/linkpb"
	"parley/messages/meshpb"
	"parley/testkit"
)

// TestHandshake lets a node in: it is answered before anybody hears of the link,
// and its packets come after that.
func TestHandshake(t *testing.T) {
	testkit.Seeds(t, 20, func(t *testing.T, d *testkit.Driver) {
		y := newYard(t, d, Options{Chain: "one", Host: "wss://m.example/"}, "peers", newPeers)
		s := y.enter("b")
		y.told()
		s.say(hand("b"), frame(2), frame(1))
		var order []string
		for _, f := range y.told() {
			if f[0] != 's' || f[:2] == "sc" { // status
				order = append(order, f)
			}
		}
		greeted, linked, first := slices.Index(order, "greeted 1"), slices.Index(order, "router linked b 0/1"), slices.Index(order, "router arrived b 2")
		if greeted < 0 || linked < 0 || first < linked {
			t.Errorf("order was %q", order)
		}
		if len(y.arrivals) != 2 || len(y.arrivals[1].packets) != 1 || y.arrivals[0].charge != 1 || !y.arrivals[0].link.Equal(s.pid) {
			t.Errorf("arrived %v", y.arrivals)
		}
		if s.gave != 1 {
			t.Errorf("credit of %d came back for the handshake", s.gave)
		}
		want := &meshpb.Handshake{
			Name: "m", Boot: 1000, Time: uint64(time.Now().UnixMilli()), Host: "wss://m.example/", Links: []string{"b"},
			Chain: "one", Encodings: []string{"json", "pb"},
		}
		if len(s.heard) != 1 || !proto.Equal(s.heard[0], want) {
			t.Errorf("answered %v, want %v", s.heard, want)
		}
		for _, who := range []string{"hello", "commands", "reservations", "scout"} {
			if !slices.Contains(order, who+" linked b 0/1") {
				t.Errorf("%s was not told: %q", who, order)
			}
		}
		s.cut()
		if got := y.told("router", "hello", "commands", "reservations", "scout"); len(got) != 5 {
			t.Errorf("told of the end: %q", got)
		}
		y.stop()
	})
}

// TestCloseCodes has every reason why a link does not come to be, or ends.
func TestCloseCodes(t *testing.T) {
	type deed func(y *yard) *strand
	for _, c := range []struct {
		name   string
		do     deed
		code   uint32
		reason string
		heard  int // handshakes
	}{
		{"no ticket", func(y *yard) *strand { return y.open(77) }, 4403, "forbidden", 0},
		{"ticket of long ago", func(y *yard) *strand {
			ticket := y.admit(yardToken, "b").GetTicket()
			y.d.Run(ticketLife)
			return y.open(ticket)
		}, 4403, "forbidden", 0},
		{"ticket used twice", func(y *yard) *strand { y.enter("b"); return y.open(1) }, 4403, "forbidden", 0},
		{"no handshake", func(y *yard) *strand {
			s := y.enter("b")
			y.d.Run(firstFrame - time.Millisecond)
			s.wantOpen()
			y.d.Run(time.Millisecond)
			return s
		}, 4403, "forbidden", 0},
		{"packet first", func(y *yard) *strand { return y.enter("b").say(frame(1), hand("b")) }, 4403, "forbidden", 0},
		{"nonsense first", func(y *yard) *strand { return y.enter("b").say(&linkpb.Malformed{Charge: 1}, hand("b")) }, 4403, "forbidden", 0},
		{"another name than at the door", func(y *yard) *strand { return y.enter("b").say(hand("c")) }, 4403, "forbidden", 0},
		{"no name", func(y *yard) *strand { return y.enter("").say(hand("a b")) }, 4403, "forbidden", 0},
		{"another chain", func(y *yard) *strand {
			h := hand("b")
			h.Chain = "two"
			return y.enter("").say(h)
		}, 4403, "another chain", 0},
		{"this node's name", func(y *yard) *strand { return y.enter("").say(hand("m")) }, 4409, "name in use", 1},
		{"live name", func(y *yard) *strand { y.enter("b").say(hand("b")); return y.enter("").say(hand("b")) }, 4409, "name in use", 1},
		{"garbage", func(y *yard) *strand {
			s := y.enter("b").say(hand("b"))
			for range badAllowed - 1 {
				s.say(&linkpb.Malformed{Charge: 1})
				y.d.Run(badWindow/(badAllowed-1) + time.Millisecond)
			}
			s.say(&linkpb.Malformed{Charge: 1}).wantOpen() // too slow to count
			if s.gave != badAllowed+1 {
				y.t.Errorf("credit of %d came back", s.gave)
			}
			for range badAllowed {
				s.say(&linkpb.Malformed{Charge: 1})
			}
			return s.say(frame(1))
		}, 1008, "too many malformed packets", 1},
		{"a second handshake is garbage", func(y *yard) *strand {
			s := y.enter("b")
			for range badAllowed + 1 {
				s.say(hand("b"))
			}
			return s
		}, 1008, "too many malformed packets", 1},
		{"restart", func(y *yard) *strand { s := y.enter("b").say(hand("b")); y.restart(); return s }, 1001, "going away", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
				y := newYard(t, d, Options{Chain: "one"}, "peers", newPeers)
				s := c.do(y)
				d.Settle()
				s.wantClosed(c.code, c.reason)
				if len(s.heard) != c.heard {
					t.Errorf("%d handshakes were sent", len(s.heard))
				}
				if c.code == closePolicy && tree.Of(y.sys).Dropped(tree.MeshMalformed) == 0 {
					t.Error("nothing was counted")
				}
				y.stop()
			})
		})
	}
}

// dialledYard has dialled one neighbor, whose link is open.
func dialledYard(t *testing.T, d *testkit.Driver, n Neighbor) (*yard, *strand) {
	t.Helper()
	y := newYard(t, d, Options{Chain: "one", Neighbors: []Neighbor{n}}, "peers", newPeers)
	if len(y.dials) != 1 || y.dials[0].GetToken() != n.Token || y.dials[0].GetName() != "m" {
		t.Fatalf("dialled %v", y.dials)
	}
	s := y.open(y.dials[0].GetTicket())
	if len(s.heard) != 1 || s.heard[0].GetName() != "m" {
		t.Fatalf("who dials says its name first: %v", s.heard)
	}
	y.told()
	return y, s
}

// TestDialledHandshake has the sides of a link that this node dialled.
func TestDialledHandshake(t *testing.T) {
	named, unnamed := Neighbor{"b", "ws://b.example", "secret"}, Neighbor{"", "ws://b.example", "secret"}
	for _, c := range []struct {
		name   string
		n      Neighbor
		do     func(y *yard, s *strand)
		code   uint32
		reason string
		linked bool
	}{
		{"answered", unnamed, func(_ *yard, s *strand) { s.say(hand("b")) }, 0, "", true},
		{"answered by another", named, func(_ *yard, s *strand) { s.say(hand("c")) }, 4403, "forbidden", false},
		{"another chain", named, func(_ *yard, s *strand) {
			h := hand("b")
			h.Chain = "two"
			s.say(h)
		}, 4403, "another chain", false},
		{"this node", unnamed, func(_ *yard, s *strand) { s.say(hand("m")) }, 4409, "name in use", false},
		{"not answered", named, func(y *yard, _ *strand) { y.d.Run(answerAwaited) }, 0, "", true},
		{"not answered, name not known", unnamed, func(y *yard, _ *strand) { y.d.Run(answerAwaited) }, 1008, "no handshake, and no name known", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
				y, s := dialledYard(t, d, c.n)
				c.do(y, s)
				if c.code != 0 {
					s.wantClosed(c.code, c.reason)
				} else {
					s.wantOpen()
				}
				if got := y.told("router linked"); slices.Equal(got, []string{"router linked b 1/1"}) != c.linked {
					t.Errorf("told %q", got)
				}
				if len(s.heard) != 1 {
					t.Errorf("%d handshakes were sent", len(s.heard))
				}
				y.stop()
			})
		})
	}
}

// TestForeignPeer has nodes that know nothing but the seed's keys.
func TestForeignPeer(t *testing.T) {
	t.Run("dialled", func(t *testing.T) {
		testkit.Seeds(t, 10, func(t *testing.T, d *testkit.Driver) {
			y, s := dialledYard(t, d, Neighbor{"b", "ws://b.example", "secret"})
			s.say(frame(3)) // it does not wait
			d.Run(answerAwaited - time.Millisecond)
			if got := y.told("router"); len(got) != 0 {
				t.Errorf("told %q before the time for a handshake was over", got)
			}
			d.Run(time.Millisecond)
			y.wantTold("router", "router linked b 1/1", "router arrived b 3")
			p := y.peers()
			if len(p) != 1 || !p[0].GetForeign() || p[0].GetEncoding() != "json" || p[0].GetHost() != "ws://b.example" || !p[0].GetConfigured() {
				t.Errorf("peers are %v", p)
			}
			s.say(hand("b"), frame(1)) // it was only late
			y.wantTold("router", "router unlinked b 1/1", "router linked b 1/1", "router arrived b 1")
			if p := y.peers(); p[0].GetForeign() || p[0].GetEncoding() != "pb" || p[0].GetHost() != "wss://b.example/" {
				t.Errorf("peers are %v", p)
			}
			d.Run(time.Minute)
			s.wantOpen()
			s.say(hand("c"), frame(1)).wantOpen() // garbage
			if len(y.dials) != 1 {
				t.Errorf("dialled %d times", len(y.dials))
			}
			y.stop()
		})
	})
	t.Run("late under another name", func(t *testing.T) {
		testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
			y, s := dialledYard(t, d, Neighbor{"b", "ws://b.example", "secret"})
			d.Run(answerAwaited)
			s.say(hand("c"))
			s.wantClosed(closeForbidden, byeForbidden)
			y.stop()
		})
	})
	t.Run("dialling", func(t *testing.T) {
		testkit.Seeds(t, 10, func(t *testing.T, d *testkit.Driver) {
			y := newYard(t, d, Options{}, "peers", newPeers)
			s := y.enter("").say(&meshpb.Handshake{Name: "b"}, frame(1))
			y.wantTold("router", "router linked b 0/1", "router arrived b 1")
			if p := y.peers(); !p[0].GetForeign() || p[0].GetHost() != "" {
				t.Errorf("peers are %v", p)
			}
			s.wantOpen()
			y.stop()
		})
	})
}

// peers asks for the links.
func (y *yard) peers() []*meshpb.Peer {
	y.t.Helper()
	got := y.ask(&meshpb.PeersRequest{})
	if len(got) != 1 {
		y.t.Fatalf("answered %d times", len(got))
	}
	return got[0].(*meshpb.PeersResponse).GetPeers()
}
