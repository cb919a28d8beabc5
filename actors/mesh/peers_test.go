package mesh

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/messages/meshpb"
	"parley/testkit"
)

// inquire has a node send a command, and returns what it is answered.
func (y *yard) inquire(from string, c *meshpb.Command) *meshpb.Response {
	y.t.Helper()
	p := &meshpb.Packet{Source: from, Destination: y.o.Name, Boot: 1, Seq: uint64(len(y.posts) + 1), Command: c}
	y.posts = nil
	y.ask(&inquiry{packet: p, from: from})
	if len(y.posts) == 0 {
		return nil
	}
	if len(y.posts) > 1 || y.posts[0].destination != from || y.posts[0].to != p || y.posts[0].command != nil {
		y.t.Fatalf("posted %+v", y.posts[0])
	}
	return y.posts[0].response
}

// strandAsker asks one thing from an actor of its own, as HTTP handlers do.
type strandAsker struct{ answer *meshpb.AdmitResponse }

func (y *yard) askFrom(m *meshpb.AdmitRequest) *strandAsker {
	a := &strandAsker{}
	y.paper(fmt.Sprint("asker", len(y.papers)), func(ctx actor.Context) {
		switch r := ctx.Message().(type) {
		case *actor.Started:
			ctx.Request(y.pid, m)
		case *meshpb.AdmitResponse:
			a.answer = r
		}
	})
	return a
}

// TestPool is full, and changes its size.
func TestPool(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		y := newYard(t, d, Options{MaxLinks: 2}, "peers", newPeers)
		y.enter("b").say(hand("b"))
		ticket := y.admit(yardToken, "c").GetTicket()
		if r := y.admit(yardToken, "d"); !r.GetFull() || r.GetTicket() != 0 {
			t.Errorf("a ticket holds its place: %v", r)
		}
		if r := y.admit("nonsense", "d"); r.GetFull() {
			t.Error("a stranger learns that there is no room")
		}
		if r := y.admit(yardToken, "b"); r.GetTicket() == 0 {
			t.Errorf("a second link to a node takes no place: %v", r)
		}
		d.Run(ticketLife)
		if r := y.admit(yardToken, "d"); r.GetTicket() == 0 {
			t.Errorf("tickets expire: %v", r)
		}
		y.open(ticket).wantClosed(closeForbidden, byeForbidden)
		y.ask(&setMaxLinks{1})
		if r := y.admit(yardToken, "e"); !r.GetFull() {
			t.Errorf("there is less room now: %v", r)
		}
		y.strands[0].wantOpen()
		if r := y.inquire(y.o.Name, &meshpb.Command{Name: cmdToken, Node: "x"}); r.GetOk() || r.GetReason() != reasonBusy {
			t.Errorf("a token for a place that is not there: %v", r)
		}
		y.ask(&setMaxLinks{9})
		token := y.tokenFor("e")
		y.ask(&setMaxLinks{0})
		if r := y.admit(token, "e"); !r.GetFull() {
			t.Errorf("no links at all: %v", r)
		}
		y.ask(&setMaxLinks{9})
		if r := y.admit(token, "e"); r.GetTicket() != 0 {
			t.Error("a token was good twice")
		}
		y.strands[0].cut()
		y.stop()
	})
}

// TestPlacesForThoseWhoWereTold: links that nodes find for themselves leave a
// quarter of the places to those that somebody configured.
func TestPlacesForThoseWhoWereTold(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		y := newYard(t, d, Options{MaxLinks: 4}, "peers", newPeers)
		y.enter("b").say(hand("b"))
		y.admit(y.tokenFor("c"), "c")
		y.tokenFor("d") // waits to be used
		if r := y.inquire(y.o.Name, &meshpb.Command{Name: cmdToken, Node: "e"}); r.GetReason() != reasonBusy {
			t.Errorf("a token for the last place: %v", r)
		}
		if y.ask(&reach{name: "e", url: "ws://e.example/", token: "t"}); len(y.dials) > 0 {
			t.Error("dialled for the last place")
		}
		if r := y.admit(yardToken, "e"); r.GetTicket() == 0 {
			t.Errorf("no place for who was told to come: %v", r)
		}
		d.Run(ticketLife)
		y.strands[0].cut()
		y.stop()
	})
}

// TestNobodyMayEnter is a node that only dials.
func TestNobodyMayEnter(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		y := newYard(t, d, Options{}, "peers", newPeers)
		y.o.Accept = false
		if r := y.admit(yardToken, "b"); r.GetTicket() != 0 || r.GetFull() {
			t.Errorf("answered %v", r)
		}
		if r := y.inquire("b", &meshpb.Command{Name: cmdToken, Node: "b"}); r.Ok == nil || r.GetReason() != reasonClosed {
			t.Errorf("answered %v", r)
		}
		y.stop()
	})
}

// TestYield has a second link to a node while the first is there: it goes by
// who dialled, and by whether the first seems to be dead.
func TestYield(t *testing.T) {
	const fresh, old = true, false
	for _, c := range []struct {
		name  string
		self  string // the other is "m"
		dials bool   // the first link was dialled by this node, the second by the other; else the other way
		same  bool   // both were dialled by the other
		prep  func(y *yard, first *strand)
		stays bool
	}{
		{"first dialled by the smaller", "a", true, false, nil, old},
		{"first dialled by the larger", "z", true, false, nil, fresh},
		{"second dialled by the smaller", "a", false, false, nil, fresh},
		{"second dialled by the larger", "z", false, false, nil, old},
		{"both by the other", "a", false, true, nil, old},
		{"both by the other, the first is silent", "a", false, true, func(y *yard, _ *strand) { y.d.Run(yieldAge + time.Second) }, fresh},
		{"silent, and would stay", "a", true, false, func(y *yard, _ *strand) { y.d.Run(yieldAge + time.Second) }, fresh},
		{"old, and heard", "a", false, true, func(y *yard, s *strand) {
			y.d.Run(yieldAge + time.Second)
			s.say(frame(1))
			y.d.Run(yieldSilence - time.Second)
		}, old},
		{"old, and answers pings", "a", false, true, func(y *yard, s *strand) {
			y.d.Run(yieldAge + time.Second)
			s.say(round(time.Millisecond))
			y.d.Run(yieldSilence - time.Second)
		}, old},
		{"silent, and young", "a", false, true, func(y *yard, _ *strand) { y.d.Run(yieldAge - time.Second) }, old},
	} {
		t.Run(c.name, func(t *testing.T) {
			testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
				o := Options{Name: c.self}
				if !c.same {
					o.Neighbors = []Neighbor{{Name: "m", URL: "ws://m.example"}}
				}
				y := newYard(t, d, o, "peers", newPeers)
				enter := func() *strand { return y.enter("m").say(hand("m")) }
				dial := func() *strand { return y.open(y.dials[0].GetTicket()).say(hand("m")) }
				one, two := enter, enter
				switch {
				case c.dials:
					one = dial
				case !c.same:
					two = dial
				}
				first := one()
				first.wantOpen()
				if c.prep != nil {
					c.prep(y, first)
				}
				y.told()
				second := two()
				facts := y.told("router", "status")
				if c.stays == fresh {
					first.wantClosed(closeInUse, byeInUse)
					second.wantOpen()
					if len(facts) != 2 || !strings.HasPrefix(facts[0], "router unlinked m") || !strings.HasPrefix(facts[1], "router linked m") {
						t.Errorf("told %q", facts)
					}
				} else {
					second.wantClosed(closeInUse, byeInUse)
					first.wantOpen()
					if len(facts) != 0 {
						t.Errorf("told %q", facts)
					}
				}
				d.Run(time.Minute)
				if len(y.dials) > 1 {
					t.Errorf("dialled %d times", len(y.dials))
				}
				y.stop()
			})
		})
	}
}

// TestInquiries answers as the seed says.
func TestInquiries(t *testing.T) {
	yes, no := proto.Bool(true), proto.Bool(false)
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		y := newYard(t, d, Options{}, "peers", newPeers)
		want := func(what *meshpb.Command, r *meshpb.Response) {
			t.Helper()
			if got := y.inquire("x", what); !proto.Equal(got, r) {
				t.Errorf("%v was answered %v, want %v", what, got, r)
			}
		}
		want(&meshpb.Command{Name: cmdNodes}, &meshpb.Response{Nodes: &meshpb.Nodes{}})
		c, b := y.enter("c").say(hand("c")), y.enter("b").say(hand("b"))
		quiet := hand("q")
		quiet.Host = ""
		y.enter("q").say(quiet)
		want(&meshpb.Command{Name: cmdNodes}, &meshpb.Response{Nodes: &meshpb.Nodes{Names: []string{"b", "c", "q"}}})

		want(&meshpb.Command{Name: cmdLatency, Node: "d"}, &meshpb.Response{Ok: no, Reason: "target not connected"})
		want(&meshpb.Command{Name: cmdLatency, Node: "b"}, &meshpb.Response{Ok: no, Reason: reasonUnmeasured})
		b.say(round(450 * time.Microsecond))
		want(&meshpb.Command{Name: cmdLatency, Node: "b"}, &meshpb.Response{Ok: yes, Latency: proto.Float64(0.45)})

		asked := ""
		reply := &meshpb.Response{Connection: &meshpb.Connection{Token: "token123"}}
		y.onAsk = func(m *meshpb.AskRequest) *meshpb.Response {
			asked = fmt.Sprint(m.GetDestination(), m.GetCommand().GetName(), m.GetCommand().GetNode(), m.GetTimeoutMs())
			return reply
		}
		connect := func(node string) *meshpb.Command { return &meshpb.Command{Name: cmdConnection, Node: node} }
		for _, node := range []string{"d", "m", "x", "q", ""} {
			want(connect(node), &meshpb.Response{Ok: no, Reason: "target not connected"})
		}
		if asked != "" {
			t.Errorf("asked %q", asked)
		}
		want(connect("b"), &meshpb.Response{Ok: yes, Connection: &meshpb.Connection{Host: "wss://b.example/", Token: "token123"}})
		if asked != "bget-connection-tokenx5000" {
			t.Errorf("asked %q", asked)
		}
		reply = &meshpb.Response{Ok: no, Reason: "busy"}
		want(connect("b"), reply)
		reply = &meshpb.Response{}
		want(connect("b"), &meshpb.Response{Ok: no, Reason: "target not connected"})
		reply = nil
		want(connect("b"), &meshpb.Response{Ok: no, Reason: "timeout"})

		if r := y.inquire("b", &meshpb.Command{Name: cmdToken, Node: "x"}); r.Ok != nil || len(r.GetConnection().GetToken()) != 43 || r.GetConnection().GetHost() != "" {
			t.Errorf("get-connection-token was answered %v", r)
		}
		for _, node := range []string{"", "m", "a b"} {
			want(&meshpb.Command{Name: cmdToken, Node: node}, &meshpb.Response{Ok: no, Reason: reasonClosed})
		}
		c.wantOpen()
		y.stop()
	})
}

// TestTokensArePeersBusiness: who is no peer, or asks by way of another, could use
// up what peers may have for others.
func TestTokensArePeersBusiness(t *testing.T) {
	testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
		y := newYard(t, d, Options{MaxLinks: 200}, "peers", newPeers)
		y.enter("b").say(hand("b"))
		y.enter("c").say(hand("c"))
		ask := func(source, from, node string) *meshpb.Response {
			y.posts = nil
			y.ask(&inquiry{packet: &meshpb.Packet{Source: source, Command: &meshpb.Command{Name: cmdToken, Node: node}}, from: from})
			return y.posts[0].response
		}
		token := ask("b", "b", "x").GetConnection().GetToken()
		for i := range 2 * tokensMost {
			for _, of := range [][2]string{{"far", "c"}, {"b", "c"}} {
				if r := ask(of[0], of[1], fmt.Sprint("n", i)); r.GetReason() != reasonUnlinked {
					t.Fatalf("%s over %s was answered %v", of[0], of[1], r)
				}
			}
			ask("c", "c", fmt.Sprint("n", i))
		}
		ask("c", "c", "x")
		if r := ask("b", "b", "y"); r.GetConnection().GetToken() == "" {
			t.Errorf("a peer is answered %v", r)
		}
		if r := y.admit(token, "x"); r.GetTicket() == 0 {
			t.Errorf("a token that b asked for is not good any more: %v", r)
		}
		y.stop()
	})
}

// TestManyIntroductions has commands that do not answer: as many wait as may, and
// all are told in the end.
func TestManyIntroductions(t *testing.T) {
	testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
		y := newYard(t, d, Options{}, "peers", newPeers)
		y.enter("b").say(hand("b"))
		y.met.commands = y.paper("deaf", func(actor.Context) {})
		for i := range introductionsMost + 1 {
			y.ask(&inquiry{packet: &meshpb.Packet{Source: fmt.Sprint("n", i), Command: &meshpb.Command{Name: cmdConnection, Node: "b"}}})
		}
		if len(y.posts) != 1 || y.posts[0].response.GetReason() != reasonBusy {
			t.Errorf("%d posts at first", len(y.posts))
		}
		d.Run(errandTime + errandGrace)
		if len(y.posts) != introductionsMost+1 || y.posts[1].response.GetReason() != reasonTimeout {
			t.Errorf("%d posts in the end", len(y.posts))
		}
		y.stop()
	})
}

// TestPeersRequest lists the links.
func TestPeersRequest(t *testing.T) {
	testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
		y := newYard(t, d, Options{Neighbors: []Neighbor{{URL: "ws://b.example"}}}, "peers", newPeers)
		d.Run(time.Second)
		since := uint64(time.Now().UnixMilli())
		y.enter("c").say(hand("c"))
		y.open(y.dials[0].GetTicket()).say(hand("b"), round(3*time.Millisecond))
		y.enter("d") // says nothing yet
		want := []*meshpb.Peer{
			{
				Name: "b", Remote: "paper:2", Host: "wss://b.example/", Dialled: true, Configured: true, Ms: proto.Float64(3),
				Since: since, Encoding: "pb", Version: "1.2",
			},
			{Name: "c", Remote: "paper:1", Host: "wss://c.example/", Since: since, Encoding: "pb", Version: "1.2"},
		}
		got := y.peers()
		if !slices.EqualFunc(got, want, func(a, b *meshpb.Peer) bool { return proto.Equal(a, b) }) {
			t.Errorf("peers are %v, want %v", got, want)
		}
		y.stop()
	})
}

// TestStanding tells status and health, once for each change.
func TestStanding(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		y := newYard(t, d, Options{Neighbors: []Neighbor{{Name: "b", URL: "ws://b.example"}}}, "peers", newPeers)
		want := func(facts ...string) {
			t.Helper()
			if got := y.told("status", "health"); !reflect.DeepEqual(got, facts) {
				t.Errorf("told %q, want %q", got, facts)
			}
		}
		d.Run(aloneAllowed - time.Millisecond)
		want()
		d.Run(time.Millisecond)
		want("health degraded no peers over=false")
		s := y.enter("b").say(hand("b"))
		got := y.told("status", "health")
		slices.Sort(got)
		if !slices.Equal(got, []string{"health degraded no peers over=true", "status ConnectedToNeighbor"}) {
			t.Errorf("told %q", got)
		}
		y.ask(&synced{"c"})
		want()
		y.ask(&synced{"b"})
		want("status RouteFound")
		c := y.enter("c").say(hand("c"))
		s.cut()
		want("status ConnectedToNeighbor")
		c.cut()
		want("status NotConnected")
		d.Run(aloneAllowed - time.Millisecond)
		c = y.enter("c").say(hand("c"))
		c.cut()
		y.told()
		d.Run(aloneAllowed - time.Millisecond)
		want()
		y.restart()
		d.Run(aloneAllowed)
		want("health degraded no peers over=false")
		y.restart()
		d.Run(time.Minute)
		want()
		y.stop()
	})
}

// TestNobodyConfigured is a node without neighbors: that it has none is no ailment.
func TestNobodyConfigured(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		y := newYard(t, d, Options{Neighbors: []Neighbor{{Name: "m", URL: "ws://m.example"}}}, "peers", newPeers)
		d.Run(time.Minute)
		y.wantTold("health")
		y.stop()
	})
}

// TestLatency makes medians, and complains of high ones.
func TestLatency(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		y := newYard(t, d, Options{HighRTT: 10 * time.Millisecond}, "peers", newPeers)
		s := y.enter("b").say(round(8*time.Millisecond), hand("b"))
		y.wantTold("hello m", "hello measured b 8")
		const ms = time.Millisecond
		for _, c := range []struct {
			trip time.Duration
			want []string
		}{
			{4 * ms, []string{"hello measured b 6"}},
			{30 * ms, []string{"hello measured b 8"}},
			{20 * ms, []string{"hello measured b 14"}},
			{40 * ms, []string{"hello measured b 20"}},
			{1 * ms, []string{"hello measured b 20", "health degraded high latency over=false"}},
			{1 * ms, []string{"hello measured b 20"}},
			{1 * ms, []string{"hello measured b 1", "health degraded high latency over=true"}},
		} {
			s.say(round(c.trip))
			got := y.told("hello m", "health")
			slices.Sort(got)
			slices.Sort(c.want)
			if !slices.Equal(got, c.want) {
				t.Errorf("after %v: told %q, want %q", c.trip, got, c.want)
			}
		}
		for range 5 {
			s.say(round(time.Second))
		}
		y.told()
		s.cut()
		y.wantTold("health", "health degraded high latency over=true")
		y.stop()
	})
}
