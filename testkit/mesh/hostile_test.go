package mesh_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/meshpb"
	"parley/testkit/mesh"
)

// siege is a full mesh of three nodes and a rogue at the first, with a channel
// on the second and a client that reads it on the third.
type siege struct {
	*mesh.Sim
	t              *testing.T
	nodes          []*mesh.Node
	rogue          *mesh.Rogue
	writer, reader *mesh.Client
}

func besiege(t *testing.T, edges mesh.Edges, boot uint64, test func(s *siege)) {
	t.Helper()
	play(t, mesh.Options{Latency: slow, Quick: true}, func(t *testing.T, sim *mesh.Sim) {
		s := &siege{Sim: sim, t: t, nodes: sim.Build(3, edges, nil)}
		s.Run(5 * time.Second)
		s.writer, s.reader = join(sim, s.nodes[1], room, "secret"), join(sim, s.nodes[2], room, "secret")
		s.Run(5 * time.Second)
		s.rogue = sim.Rogue(s.nodes[0], "rogue", boot)
		if s.rogue.Refused() || s.rogue.Closed != nil {
			t.Fatalf("the rogue was not let in: %v", s.rogue.Closed)
		}
		s.Run(5 * time.Second)
		test(s)
	})
}

// holdings is what a node says of the room.
func holdings(n *mesh.Node) string {
	return fmt.Sprint(n.Holdings().GetChannels())
}

// intact checks that all is as it was, and that messages get through.
func (s *siege) intact() {
	s.t.Helper()
	for _, n := range s.nodes {
		h := n.Holdings().GetChannels()
		if len(h) != 1 || h[0].GetName() != room || !h[0].GetProtected() || fmt.Sprint(h[0].GetHolders()) != "[n01 n02]" {
			s.t.Errorf("%s says %v", n.Name, h)
		}
	}
	heard := s.reader.Heard
	s.writer.Send(room)
	s.Run(time.Second)
	if s.reader.Heard != heard+1 {
		s.t.Errorf("a message was heard %d times", s.reader.Heard-heard)
	}
}

// dropped is how many packets the first node has dropped for a reason.
func (s *siege) dropped(r tree.DropReason) int64 { return s.nodes[0].Dropped(r) }

func TestForgedSource(t *testing.T) {
	besiege(t, mesh.Full(3), bootOf(1), func(s *siege) {
		boot, ver := s.nodes[1].Boot, uint64(100)
		for _, c := range []*meshpb.Command{
			{Name: "unreserve-channel", Channel: room, Boot: boot, Ver: ver},
			{Name: "reserve-channel", Channel: "other", Boot: boot, Ver: ver, Claim: &meshpb.Claim{Ts: 1, Owner: "n01"}},
			{Name: "hello", Hello: &meshpb.Hello{Boot: boot, Ver: 1, Round: 1_000_000}},
		} {
			s.rogue.Say(&meshpb.Packet{Source: "n01", Destination: "*", Boot: boot, Seq: 1 << 40, Command: c})
		}
		s.rogue.Say(&meshpb.Packet{Source: "n01", Destination: "*", Boot: boot, Seq: 1 << 41, Message: &meshpb.Message{Channel: room, Payload: []byte(`"forged"`)}})
		s.Run(5 * time.Second)
		if n := s.dropped(tree.MeshSpoofed); n != 4 {
			s.t.Errorf("%d packets were dropped as forged, not 4", n)
		}
		s.intact()
	})
}

// TestForgedOwnName has a rogue speak in the name of the node that it is linked
// with.
func TestForgedOwnName(t *testing.T) {
	besiege(t, mesh.Full(3), bootOf(1), func(s *siege) {
		s.rogue.Say(&meshpb.Packet{Source: "n00", Destination: "*", Boot: bootOf(99), Seq: 1, Command: &meshpb.Command{
			Name: "reserve-channel", Channel: "other", Boot: bootOf(99), Ver: 1, Claim: &meshpb.Claim{Ts: 1, Owner: "n00"},
		}})
		s.Run(time.Second)
		if n := s.dropped(tree.MeshSpoofed); n != 1 {
			s.t.Errorf("%d packets were dropped as forged, not 1", n)
		}
		if h := s.nodes[0].HealthNow(); h.GetReason() != "duplicate name" {
			s.t.Errorf("health says %v", h)
		}
		s.intact()
	})
}

// TestForgedFarSource has a rogue speak for a node that its victim knows only by
// others: it must be put right by what that node says itself.
func TestForgedFarSource(t *testing.T) {
	besiege(t, mesh.Line(3), bootOf(1), func(s *siege) {
		boot := s.nodes[2].Boot
		for i, c := range []*meshpb.Command{
			{Name: "unreserve-channel", Channel: room, Boot: boot, Ver: 2},
			{Name: "reserve-channel", Channel: "other", Boot: boot, Ver: 3, Claim: &meshpb.Claim{Ts: 1, Owner: "n02"}},
		} {
			s.rogue.Say(&meshpb.Packet{Source: "n02", Destination: "*", Boot: boot, Seq: 1<<20 + uint64(i), Command: c})
		}
		s.Run(130 * time.Second)
		s.intact()
	})
}

// TestAnswersForOthers has a rogue answer what it was not asked, and for others.
func TestAnswersForOthers(t *testing.T) {
	besiege(t, mesh.Full(3), bootOf(1), func(s *siege) {
		lie := func() *meshpb.Response {
			return &meshpb.Response{Nodes: &meshpb.Nodes{Names: []string{"lie"}}}
		}
		s.rogue.Answer = func(p *meshpb.Packet) *meshpb.Packet {
			if p.GetCommand().GetName() != "list-nodes" {
				return nil
			}
			forged := &meshpb.Packet{Source: "n01", Destination: p.GetSource(), Boot: p.GetBoot(), Seq: p.GetSeq(), Response: lie()}
			s.rogue.Send(forged)
			return &meshpb.Packet{Response: lie()}
		}
		answers, _ := s.nodes[0].Command("*", &meshpb.Command{Name: "list-nodes"})
		for _, name := range []string{"n01", "n02"} {
			if got := answers[name].GetNodes().GetNames(); len(got) < 2 || got[0] == "lie" {
				s.t.Errorf("%s answered %v", name, answers[name])
			}
		}
		// Asked alone, n01 answers; what the rogue says of its own accord counts for nothing.
		answers, _ = s.nodes[0].Command("n01", &meshpb.Command{Name: "list-nodes"})
		if len(answers) != 1 || answers["n01"].GetNodes().GetNames()[0] == "lie" {
			s.t.Errorf("n01 answered %v", answers)
		}
		s.intact()
	})
}

func TestGarbage(t *testing.T) {
	besiege(t, mesh.Full(3), bootOf(1), func(s *siege) {
		for range 40 {
			s.rogue.Garbage()
		}
		s.Run(time.Second)
		if s.rogue.Closed.GetCode() != 1008 {
			s.t.Errorf("closed with %v", s.rogue.Closed)
		}
		if n := s.dropped(tree.MeshMalformed); n != 20 {
			s.t.Errorf("%d frames were counted, not 20", n)
		}
		s.Run(20 * time.Second)
		s.intact()
		s.Check()
	})
}

// TestNonsense sends packets that a decoder lets pass.
func TestNonsense(t *testing.T) {
	besiege(t, mesh.Full(3), bootOf(1), func(s *siege) {
		hello := &meshpb.Command{Name: "hello", Hello: &meshpb.Hello{Boot: bootOf(1), Round: 9}}
		for _, p := range []*meshpb.Packet{
			{Destination: "n00", Message: &meshpb.Message{Channel: room, Payload: []byte(`1`)}}, // to one node
			{Destination: "*", Response: &meshpb.Response{}},                                    // to all
			{Destination: "n00", Command: hello},                                                // to one node
			{Destination: "*", Hops: 200, Command: hello},
			{Destination: "*", Command: &meshpb.Command{Name: "reserve-channel", Channel: "", Boot: bootOf(1), Ver: 1}},
			{Destination: "*", Command: &meshpb.Command{Name: "sync", Records: []*meshpb.Record{{Node: "n01", Boot: s.nodes[1].Boot - 1, Ver: 1_000_000}}}},
			{Destination: "*", Command: &meshpb.Command{Name: "get-connection-token", Node: "rogue"}},
			{Destination: "n02", Command: &meshpb.Command{Name: "get-node-connection", Node: "n01"}},
		} {
			s.rogue.Say(p)
		}
		s.Run(5 * time.Second)
		s.intact()
		for _, p := range s.rogue.Heard {
			if p.GetResponse().GetConnection() != nil {
				s.t.Errorf("it was given a token that is not for it: %v", p)
			}
		}
	})
}

// TestFlood has a rogue say more than anybody can take, to a node that all others
// need: its own link is slowed, all else goes on.
func TestFlood(t *testing.T) {
	for _, flood := range []struct {
		name  string
		count int
		say   func(s *siege, i uint64)
	}{
		{"changes of its record", 20_000, func(s *siege, i uint64) {
			s.rogue.Command("*", &meshpb.Command{
				Name: "reserve-channel", Channel: fmt.Sprint("flood", i%10), Boot: bootOf(1), Ver: i + 1,
				Claim: &meshpb.Claim{Ts: 1, Owner: "rogue"}, Password: hashText,
			})
		}},
		{"messages", 20_000, func(s *siege, _ uint64) {
			s.rogue.Say(&meshpb.Packet{Destination: "*", Message: &meshpb.Message{Channel: "nobody's", Payload: []byte(`"flood"`)}})
		}},
		{"commands for lists", 5_000, func(s *siege, i uint64) {
			s.rogue.Command("n00", &meshpb.Command{Name: []string{"list-channels", "list-reserved-channels"}[i%2]})
		}},
	} {
		t.Run(flood.name, func(t *testing.T) {
			besiege(t, mesh.Star(3), bootOf(1), func(s *siege) {
				for i := range uint64(flood.count) {
					flood.say(s, i)
				}
				here := s.nodes[0].Connect()
				here.Subscribe(room, "secret")
				heard := s.reader.Heard
				s.writer.Send(room)
				s.Must(time.Second, "heard on the other side", func() bool { return s.reader.Heard > heard })
				s.Must(time.Second, "subscribed where it floods", func() bool { return here.Is(room) })
				s.Run(time.Second)
				heard = s.writer.Heard
				before := here.Heard
				s.reader.Send(room)
				s.Must(time.Second, "heard where it floods, too", func() bool { return s.writer.Heard > heard && here.Heard > before })
				if s.rogue.Closed != nil || s.dropped(tree.MeshMalformed) > 0 {
					s.t.Errorf("the flood was ended: %v", s.rogue.Closed)
				}
				here.HangUp()
				s.rogue.HangUp()
				s.Run(80 * time.Second)
				s.intact()
				s.Check()
			})
		})
	}
}

// TestListsAreAnswered has a rogue ask for more lists than it may have: each
// question gets one answer all the same.
func TestListsAreAnswered(t *testing.T) {
	const count = 2000
	besiege(t, mesh.Star(3), bootOf(1), func(s *siege) {
		before := len(s.rogue.Heard)
		for range count {
			s.rogue.Command("n00", &meshpb.Command{Name: "list-reserved-channels"})
		}
		s.Run(10 * time.Second)
		answers := 0
		for _, p := range s.rogue.Heard[before:] {
			if r := p.GetResponse(); r.GetListing() != nil || r.GetReason() == "busy" {
				answers++
			}
		}
		if answers != count {
			s.t.Errorf("%d questions were answered, not %d", answers, count)
		}
		s.intact()
	})
}

// TestNames has rogues come under names that are taken, or are none.
func TestNames(t *testing.T) {
	besiege(t, mesh.Full(3), bootOf(1), func(s *siege) {
		for _, test := range []struct {
			name string
			code uint32 // of the close; 0: it is refused before
		}{{"n01", 4409}, {"n00", 4409}, {"rogue", 4409}, {"no name", 0}} {
			r := s.Rogue(s.nodes[0], test.name, bootOf(-1))
			s.Run(time.Second)
			if test.code == 0 && !r.Refused() || test.code > 0 && r.Closed.GetCode() != test.code {
				s.t.Errorf("%q was closed with %v", test.name, r.Closed)
			}
		}
		s.Run(time.Second)
		s.intact()
	})
}

// hashText is a hash that nobody knows a password for.
var hashText = strings.Repeat("ab", 32)

// bootOf is a boot of a rogue.
func bootOf(i int) uint64 { return uint64(time.Date(2000, 1, 1, 0, 0, i, 0, time.UTC).UnixMilli()) }

// TestSeedsPeer has a node take part that knows nothing but the seed's keys.
func TestSeedsPeer(t *testing.T) {
	besiege(t, mesh.Line(3), 0, func(s *siege) {
		seed := s.rogue
		listing := &meshpb.Listing{}
		seed.Answer = func(p *meshpb.Packet) *meshpb.Packet {
			switch p.GetCommand().GetName() {
			case "list-channels":
				return &meshpb.Packet{Response: &meshpb.Response{Listing: listing}}
			case "list-reserved-channels":
				return &meshpb.Packet{Response: &meshpb.Response{Listing: &meshpb.Listing{}}}
			case "reserve-channel", "unreserve-channel":
				return &meshpb.Packet{Response: &meshpb.Response{Ok: proto.Bool(true)}}
			}
			return nil
		}
		s.Run(40 * time.Second)
		ask := seed.Command("n00", &meshpb.Command{Name: "list-reserved-channels"})
		s.Run(time.Second)
		if a := seed.Answers(ask); len(a) != 1 || len(a[0].GetResponse().GetListing().GetEntries()) != 1 {
			s.t.Errorf("what is reserved was answered with %v", a)
		}
		// It opens a channel, and others have to know its password.
		listing.Entries = []*meshpb.Entry{{Name: "theirs", Password: hashText}}
		seed.Command("*", &meshpb.Command{Name: "reserve-channel", Channel: "theirs", Password: hashText})
		s.Run(time.Second)
		for _, n := range s.nodes {
			if got := holdings(n); len(n.Holdings().GetChannels()) != 2 {
				s.t.Errorf("%s says %v", n.Name, got)
			}
		}
		c := s.nodes[2].Connect()
		c.Subscribe("theirs", "guess")
		s.Run(5 * time.Second)
		if c.Is("theirs") {
			s.t.Error("a channel of the peer's was opened without its password")
		}
		// It hears what is said, wherever, and is heard.
		before := len(seed.Heard)
		s.writer.Send(room)
		s.Run(time.Second)
		got := 0
		for _, p := range seed.Heard[before:] {
			if p.GetMessage().GetChannel() == room {
				got++
			}
		}
		if got != 1 {
			s.t.Errorf("the peer heard a message %d times", got)
		}
	})
}
