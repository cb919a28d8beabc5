package mesh_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/meshpb"
	"parley/testkit/mesh"
)

// fraud is a line of four nodes, n00 to n03, with a liar at the first: it lies
// about the last, two links from who must not believe it. The room is open on
// both ends of the line.
type fraud struct {
	*mesh.Sim
	t         *testing.T
	nodes     []*mesh.Node
	liar      *mesh.Rogue
	near, far *mesh.Client
	victim    *mesh.Node
}

func defraud(t *testing.T, test func(f *fraud)) {
	t.Helper()
	play(t, mesh.Options{Latency: slow, Quick: true}, func(t *testing.T, s *mesh.Sim) {
		f := &fraud{Sim: s, t: t, nodes: s.Build(4, mesh.Line(4), nil)}
		f.victim = f.nodes[3]
		s.Run(5 * time.Second)
		f.near, f.far = join(s, f.nodes[0], room, ""), join(s, f.victim, room, "")
		s.Run(15 * time.Second)
		f.liar = s.Rogue(f.nodes[0], "liar", bootOf(1))
		f.hello("liar", bootOf(1), 1, "n00")
		s.Run(5 * time.Second)
		f.intact()
		test(f)
		f.Run(5 * time.Second)
		f.intact()
		if f.liar.Closed == nil {
			f.liar.HangUp()
		}
		s.Run(80 * time.Second)
		f.intact()
		s.Check()
	})
}

// say has the liar say something in the victim's name.
func (f *fraud) say(boot, seq uint64, to string, c *meshpb.Command) {
	f.liar.Say(&meshpb.Packet{Source: f.victim.Name, Destination: to, Boot: boot, Seq: seq, Command: c})
}

// hello has the liar say hello in any name.
func (f *fraud) hello(name string, boot, round uint64, links ...string) {
	h := &meshpb.Hello{Boot: boot, Ver: 7, Round: round}
	for _, l := range links {
		h.Links = append(h.Links, &meshpb.LinkCost{Peer: l, Ms: 1})
	}
	p := &meshpb.Packet{Source: name, Destination: "*", Command: &meshpb.Command{Name: "hello", Hello: h}}
	if name != f.liar.Name {
		p.Boot, p.Seq = boot, round
	}
	f.liar.Say(p)
}

// intact checks that both ends of the line hear each other, know of each other's
// channel and answer each other, and that nobody is ill.
func (f *fraud) intact() {
	f.t.Helper()
	f.sound(f.nodes...)
}

// sound is intact, but only some of the nodes must not be ill.
func (f *fraud) sound(well ...*mesh.Node) {
	f.t.Helper()
	for _, c := range [][2]*mesh.Client{{f.near, f.far}, {f.far, f.near}} {
		heard := c[1].Heard
		c[0].Send(room)
		f.Run(time.Second)
		if got := c[1].Heard - heard; got != 1 {
			f.t.Errorf("what %s says was heard %d times on %s", c[0].Node.Name, got, c[1].Node.Name)
		}
	}
	for _, n := range f.nodes {
		if got := fmt.Sprint(n.Holdings().GetChannels()[0].GetHolders()); got != "[n00 n03]" {
			f.t.Errorf("%s says that the room is open on %s", n.Name, got)
		}
	}
	for _, n := range well {
		if h := n.HealthNow(); h.GetHealthy() != "good" {
			f.t.Errorf("%s is %v", n.Name, h)
		}
	}
	for _, i := range []int{0, 1} {
		answers, _ := f.nodes[i].Command(f.victim.Name, &meshpb.Command{Name: "list-nodes"})
		if got := fmt.Sprint(answers[f.victim.Name].GetNodes().GetNames()); got != "[n02]" {
			f.t.Errorf("%s was answered %v", f.nodes[i].Name, answers)
		}
	}
}

// TestLiarJumps has numbers of a far node's packets forged: the largest there is
// would leave all that it says itself behind.
func TestLiarJumps(t *testing.T) {
	defraud(t, func(f *fraud) {
		for _, seq := range []uint64{1 << 20, 1 << 40, math.MaxUint64>>1 - 1, math.MaxUint64} {
			f.say(f.victim.Boot, seq, "*", &meshpb.Command{Name: "whatever"})
		}
		f.Run(time.Second)
		f.intact()
		heard := f.near.Heard
		f.liar.Say(&meshpb.Packet{
			Source: "n03", Destination: "*", Boot: f.victim.Boot, Seq: 1 << 21,
			Message: &meshpb.Message{Channel: room, Payload: []byte(`"forged"`)},
		})
		f.Run(5 * time.Second)
		if f.near.Heard != heard {
			f.t.Error("a forged message was delivered")
		}
		if got := f.nodes[0].Dropped(tree.MeshSpoofed); got != 5 {
			f.t.Errorf("%d packets were counted as forged, not 5", got)
		}
	})
}

// TestLiarRestarts has a later start of a far node forged, in all ways that tell
// of one.
func TestLiarRestarts(t *testing.T) {
	defraud(t, func(f *fraud) {
		const last = 1<<53 - 1
		for i := range uint64(5) {
			f.hello("n03", last, i+1, "liar")
			f.hello("liar", bootOf(1), i+2, "n00", "n03")
			f.say(last, 100+i, "*", &meshpb.Command{
				Name: "reserve-channel", Channel: room, Boot: last, Ver: i + 1, Claim: &meshpb.Claim{Ts: 1, Owner: "n03"},
			})
			f.say(last, 200+i, "*", &meshpb.Command{Name: "unreserve-channel", Channel: room, Boot: last, Ver: i + 8})
			f.Run(3 * time.Second)
			heard := len(f.liar.Heard)
			answers, _ := f.nodes[0].Command("n03", &meshpb.Command{Name: "list-nodes"})
			if answers["n03"].GetNodes() == nil {
				f.t.Errorf("n00 was answered %v", answers)
			}
			for _, p := range f.liar.Heard[heard:] {
				if p.GetDestination() == "n03" {
					f.t.Errorf("the liar was sent %v", p)
				}
			}
		}
		for _, m := range f.nodes[1].Network().GetMembers() {
			if m.GetName() == "n03" && m.GetBoot() != f.victim.Boot {
				f.t.Errorf("n01 knows n03 with the boot %x", m.GetBoot())
			}
		}
		// Whom it has not convinced it has warned: one name was heard in two starts.
		if h := f.nodes[0].HealthNow(); h.GetHealthy() != "degraded" || h.GetReason() != "duplicate name" {
			f.t.Errorf("n00 is %v", h)
		}
		f.Run(65 * time.Second)
	})
}

// TestLiarAnswersAhead has answers in a far node's name come before the questions:
// in the numbers that n00 has used, and in those that come next.
func TestLiarAnswersAhead(t *testing.T) {
	defraud(t, func(f *fraud) {
		lie := &meshpb.Response{Ok: proto.Bool(true), Nodes: &meshpb.Nodes{Names: []string{"lie"}}}
		asked := map[uint64]bool{}
		for _, p := range f.liar.Heard {
			if p.GetSource() == "n00" && p.GetCommand() != nil {
				asked[p.GetSeq()] = true
			}
		}
		for seq := range asked {
			for i := range uint64(100) {
				f.liar.Say(&meshpb.Packet{Source: "n03", Destination: "n00", Boot: f.nodes[0].Boot, Seq: seq + i, Response: lie})
				f.liar.Say(&meshpb.Packet{Source: "liar", Destination: "n00", Boot: f.nodes[0].Boot, Seq: seq + i, Response: lie})
			}
		}
		for i := range uint64(500) {
			f.liar.Say(&meshpb.Packet{Source: "n03", Destination: "n00", Boot: f.nodes[0].Boot, Seq: i, Response: lie})
		}
		for range 5 {
			f.Run(time.Second)
			f.intact()
		}
		f.Run(15 * time.Second)
		if f.liar.Closed.GetCode() != 1008 {
			f.t.Errorf("the liar's link was closed with %v", f.liar.Closed)
		}
	})
}

// TestQuestionsAreNotGuessed draws the numbers of what a node asks: who has seen
// many does not know the next.
func TestQuestionsAreNotGuessed(t *testing.T) {
	defraud(t, func(f *fraud) {
		for range 20 {
			f.nodes[0].Command("*", &meshpb.Command{Name: "list-nodes"})
		}
		var last uint64
		asked := 0
		for _, p := range f.liar.Heard {
			if p.GetSource() != "n00" || p.GetCommand().GetName() != "list-nodes" {
				continue
			}
			if near := p.GetSeq() - last; near < 1<<32 || -near < 1<<32 {
				f.t.Errorf("%x follows %x", p.GetSeq(), last)
			}
			last = p.GetSeq()
			asked++
		}
		if asked != 20 {
			f.t.Errorf("heard %d questions, want 20", asked)
		}
	})
}

// TestLiarTakesAnEmptyPlace takes the name of a node that is down, in a start that
// is later than any. That cannot be told from the truth; but when the liar is
// silent the node is back.
func TestLiarTakesAnEmptyPlace(t *testing.T) {
	for _, end := range []time.Duration{0, 40 * time.Second} {
		defraud(t, func(f *fraud) {
			f.victim.Kill(false)
			f.Run(5 * time.Second)
			for i := range uint64(3) {
				f.hello("liar", bootOf(1), i+2, "n00", "n03")
				f.hello("n03", 1<<53-1, i+1, "liar")
				f.Run(3 * time.Second)
			}
			f.nodes[3] = f.Start(f.victim.NodeOptions)
			f.victim = f.nodes[3]
			f.liar.HangUp()
			f.Run(end)
			f.Must(20*time.Second, "linked again", func() bool { return f.Linked("n02", "n03") })
			f.far = join(f.Sim, f.victim, room, "")
			f.Run(20 * time.Second)
		})
	}
}

// TestLiarOnAWay lets the liar be where packets of the victim could come by: it is
// linked, through an accomplice, with a node near the victim. It is believed more
// then, but what the victim says on the shortest way still counts.
func TestLiarOnAWay(t *testing.T) {
	defraud(t, func(f *fraud) {
		other := f.Rogue(f.nodes[2], "other", bootOf(2))
		meet := func(round uint64) {
			f.hello("liar", bootOf(1), round, "n00", "other")
			other.Command("*", &meshpb.Command{Name: "hello", Hello: &meshpb.Hello{
				Boot: bootOf(2), Round: round, Links: []*meshpb.LinkCost{{Peer: "liar", Ms: 1}, {Peer: "n02", Ms: 1}},
			}})
			f.Run(3 * time.Second)
		}
		meet(10)
		if got := len(f.nodes[0].Network().GetMembers()); got != 6 {
			f.t.Fatalf("n00 knows %d nodes", got)
		}
		const last = 1<<53 - 1
		for i := range uint64(4) {
			for n := range uint64(20) { // each time a little, and then far away
				f.say(f.victim.Boot, 1000+i*1_000_000+n*50_000, "*", &meshpb.Command{Name: "whatever"})
			}
			f.say(f.victim.Boot, math.MaxUint64>>1-i, "*", &meshpb.Command{Name: "whatever"})
			f.hello("n03", last, i+1, "n02")
			f.say(last, 100+i, "*", &meshpb.Command{Name: "unreserve-channel", Channel: room, Boot: last, Ver: i + 8})
			f.Run(time.Second)
			f.sound(f.nodes[1:]...)
			meet(20 + i)
		}
		other.HangUp()
		f.Run(65 * time.Second)
	})
}

// TestNameElsewhere has a second node of a name come to another place, and one
// that was started again: the one stays out while the first lives, the other is
// in at once.
func TestNameElsewhere(t *testing.T) {
	play(t, mesh.Options{Latency: slow, Quick: true}, func(t *testing.T, s *mesh.Sim) {
		nodes := s.Build(3, mesh.Line(3), nil)
		s.Run(20 * time.Second)
		for _, boot := range []uint64{nodes[0].Boot + 1, nodes[0].Boot - 1, 0} {
			r := s.Rogue(nodes[2], "n00", boot)
			s.Run(time.Second)
			if r.Closed.GetCode() != 4409 {
				t.Errorf("a second n00 was closed with %v", r.Closed)
			}
		}
		s.Run(time.Second)
		s.Check()
		nodes[0].Kill(false)
		s.Run(200 * time.Millisecond)
		start := time.Now()
		s.Start(mesh.NodeOptions{Name: "n00", Neighbors: []string{"n02"}, Hidden: true})
		s.Must(time.Second, "linked elsewhere", func() bool { return s.Linked("n00", "n02") })
		t.Logf("a node that was started again is linked elsewhere after %v", time.Since(start))
		s.Run(20 * time.Second)
		s.Check()
	})
}

// TestTwins has two meshes meet that both have a node of one name: who hears both
// says so, and both go on for those on their side.
func TestTwins(t *testing.T) {
	play(t, mesh.Options{Latency: slow, Quick: true}, func(t *testing.T, s *mesh.Sim) {
		nodes := s.Build(4, mesh.Line(4), nil)
		s.Run(20 * time.Second)
		s.Separate("n01", "n02", mesh.Cut)
		s.Run(5 * time.Second)
		twin := s.Rogue(nodes[3], "n00", nodes[0].Boot+1)
		for i := range uint64(5) {
			twin.Command("*", &meshpb.Command{Name: "hello", Hello: &meshpb.Hello{
				Boot: twin.Boot, Round: i + 1, Links: []*meshpb.LinkCost{{Peer: "n03", Ms: 1}},
			}})
			s.Run(8 * time.Second)
			if s.Heal(); i == 0 {
				s.Must(time.Minute, "linked again", func() bool { return s.Linked("n01", "n02") })
			}
		}
		for _, i := range []int{1, 2} {
			if h := nodes[i].HealthNow(); h.GetHealthy() != "degraded" || h.GetReason() != "duplicate name" {
				t.Errorf("%s is %v", nodes[i].Name, h)
			}
		}
		a, b := join(s, nodes[0], room, ""), join(s, nodes[1], room, "")
		s.Run(3 * time.Second)
		a.Send(room)
		b.Send(room)
		s.Run(time.Second)
		if a.Heard != 1 || b.Heard != 1 {
			t.Errorf("n00 heard %d and n01 %d messages, want 1", a.Heard, b.Heard)
		}
		twin.HangUp()
		s.Run(130 * time.Second)
		s.Check()
	})
}

// TestNameOfOnesOwn has a node hear its own name.
func TestNameOfOnesOwn(t *testing.T) {
	defraud(t, func(f *fraud) {
		twin := f.nodes[0].Boot + 77
		for i := range uint64(4) {
			f.hello("n00", twin, i+1, "liar")
			f.Run(8 * time.Second)
		}
		if h := f.nodes[0].HealthNow(); h.GetHealthy() != "bad" || h.GetReason() != "duplicate name" {
			f.t.Errorf("n00 is %v", h)
		}
		f.Run(65 * time.Second)
	})
}

// TestAnsweredOnce asks over two ways, and asks the same again and again: each
// question is answered once by each node.
func TestAnsweredOnce(t *testing.T) {
	play(t, mesh.Options{Latency: slow, Jitter: 1, Quick: true}, func(t *testing.T, s *mesh.Sim) {
		nodes := s.Build(4, mesh.Ring(4), nil)
		s.Run(5 * time.Second)
		one, two := s.Rogue(nodes[0], "one", bootOf(1)), s.Rogue(nodes[2], "two", bootOf(2))
		s.Run(3 * time.Second)
		seq := uint64(1000)
		for _, c := range []string{"list-nodes", "node-stats", "list-channels", "list-reserved-channels"} {
			for _, to := range []string{"*", "n01", "n03"} {
				seq++
				ask := &meshpb.Packet{Source: "one", Destination: to, Boot: bootOf(1), Seq: seq, Command: &meshpb.Command{Name: c}}
				want := 1
				if to == "*" {
					want = 4
				}
				for range 3 { // by both ways, and in between
					one.Send(proto.Clone(ask))
					two.Send(proto.Clone(ask))
					s.Run(slow)
				}
				s.Run(2 * time.Second)
				by := map[string]int{}
				for _, a := range append(one.Answers(ask), two.Answers(ask)...) {
					by[a.GetSource()]++
				}
				if len(by) != want {
					t.Errorf("%s to %s was answered by %v", c, to, by)
				}
				for node, n := range by {
					if n != 1 {
						t.Errorf("%s to %s was answered %d times by %s", c, to, n, node)
					}
				}
			}
		}
	})
}
