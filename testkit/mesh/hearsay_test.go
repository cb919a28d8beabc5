package mesh_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"parley/messages/meshpb"
	"parley/testkit/mesh"
)

// greet has the rogue say hello: it is linked with the first node.
func (s *siege) greet() {
	s.rogue.Command("*", &meshpb.Command{Name: "hello", Hello: &meshpb.Hello{
		Boot: bootOf(1), Round: 1, Links: []*meshpb.LinkCost{{Peer: "n00", Ms: 1}},
	}})
}

// TestSyncLie has a rogue tell its peer of the record of another one, again and
// again, and each time more than can be asked for until then.
func TestSyncLie(t *testing.T) {
	const rounds = 20
	for _, lie := range []struct {
		name  string
		edges mesh.Edges
		to    string
		tell  func(s *siege, i uint64) *meshpb.Record
	}{
		{"more changes than it made", mesh.Full(3), "n00", func(s *siege, i uint64) *meshpb.Record {
			return &meshpb.Record{Node: "n02", Boot: s.nodes[2].Boot, Ver: 1_000_000 + i}
		}},
		{"later starts", mesh.Full(3), "n00", func(s *siege, i uint64) *meshpb.Record {
			return &meshpb.Record{Node: "n02", Boot: s.nodes[2].Boot + 1 + i}
		}},
		{"another of the version that it is at", mesh.Full(3), "n00", func(s *siege, _ uint64) *meshpb.Record {
			return &meshpb.Record{Node: "n02", Boot: s.nodes[2].Boot, Ver: 1}
		}},
		// What comes over a node is not its own word.
		{"of the node that it comes over, to all", mesh.Edges{{1, 0}, {2, 1}}, "*", func(s *siege, i uint64) *meshpb.Record {
			return &meshpb.Record{Node: "n00", Boot: s.nodes[0].Boot, Ver: 1_000_000 + i, Entries: []*meshpb.Entry{
				{Name: room, Password: hashText, Claim: &meshpb.Claim{Ts: 1, Owner: "n00"}},
			}}
		}},
		{"of the node that it comes over, to one", mesh.Edges{{0, 2}, {1, 0}}, "n01", func(s *siege, i uint64) *meshpb.Record {
			return &meshpb.Record{Node: "n00", Boot: s.nodes[0].Boot, Ver: 1_000_000 + i, Entries: []*meshpb.Entry{
				{Name: room, Password: hashText, Claim: &meshpb.Claim{Ts: 1, Owner: "n00"}},
			}}
		}},
	} {
		t.Run(lie.name, func(t *testing.T) {
			besiege(t, lie.edges, bootOf(1), func(s *siege) {
				s.greet()
				s.Run(5 * time.Second)
				s.intact()
				for i := range uint64(rounds) {
					if i%5 == 0 {
						s.greet()
					}
					s.rogue.Command(lie.to, &meshpb.Command{Name: "sync", Records: []*meshpb.Record{lie.tell(s, i)}})
					s.Run(500 * time.Millisecond)
					s.intact()
				}
				s.Run(20 * time.Second)
				s.intact()
			})
		})
	}
}

// TestSyncLieToNewcomer has a rogue tell a node that was just started of a record,
// in the version that its node is at, before anybody else does.
func TestSyncLieToNewcomer(t *testing.T) {
	besiege(t, mesh.Full(3), bootOf(1), func(s *siege) {
		s.nodes[0].Kill(false)
		s.Run(time.Second)
		s.nodes[0] = s.Start(s.nodes[0].NodeOptions)
		s.rogue = s.Rogue(s.nodes[0], "rogue", bootOf(2))
		for range 5 {
			s.rogue.Command("n00", &meshpb.Command{Name: "sync", Records: []*meshpb.Record{{Node: "n02", Boot: s.nodes[2].Boot, Ver: 1}}})
			s.Run(20 * time.Millisecond)
		}
		s.Must(10*time.Second, "linked again", func() bool { return s.Linked("n00", "n01") && s.Linked("n00", "n02") })
		s.Must(5*time.Second, "all know the same", s.Equal)
		s.intact()
	})
}

// TestForgedMessagesAreNotKept has a rogue forge large messages: what was dropped
// is remembered for a while, and must not fill the memory.
func TestForgedMessagesAreNotKept(t *testing.T) {
	const (
		count = 100
		size  = 1 << 20
		most  = count * size / 4 // of the heap; more than what else changes in it
	)
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	besiege(t, mesh.Full(3), bootOf(1), func(s *siege) {
		before := heap()
		payload := []byte(`"` + strings.Repeat("x", size) + `"`)
		for i := range uint64(count) {
			s.rogue.Say(&meshpb.Packet{
				Source: "n01", Destination: "*", Boot: s.nodes[1].Boot, Seq: 1<<40 + i,
				Message: &meshpb.Message{Channel: "nobody", Payload: payload},
			})
			s.Run(3 * time.Millisecond)
		}
		s.Run(300 * time.Millisecond)
		if grown := heap() - before; grown > most {
			s.t.Errorf("the heap grew by %d MiB", grown>>20)
		}
		s.Run(5 * time.Second)
		s.intact()
	})
}
