package mesh_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"parley/messages/meshpb"
	"parley/testkit/mesh"
)

// masterRound is how often a master compares what nodes have and believe.
const masterRound = 30 * time.Second

// alien is a node that was written from the seed alone, and what it believes.
type alien struct {
	*mesh.Rogue
	reserved map[string]string // hashes by channel
	told     []string
}

func newAlien(s *mesh.Sim, n *mesh.Node) *alien {
	a := &alien{Rogue: s.Rogue(n, "alien", 0), reserved: map[string]string{}}
	a.Answer = a.respond
	return a
}

func (a *alien) respond(p *meshpb.Packet) *meshpb.Packet {
	c := p.GetCommand()
	r := &meshpb.Response{Ok: proto.Bool(true)}
	switch c.GetName() {
	case "list-channels":
		r = &meshpb.Response{Listing: &meshpb.Listing{}}
	case "list-reserved-channels":
		r = &meshpb.Response{Listing: &meshpb.Listing{}}
		for name, hash := range a.reserved {
			r.Listing.Entries = append(r.Listing.Entries, &meshpb.Entry{Name: name, Password: hash})
		}
	case "list-nodes":
		r = &meshpb.Response{Nodes: &meshpb.Nodes{}}
	case "reserve-channel", "unreserve-channel":
		if p.GetDestination() == a.Name {
			a.told = append(a.told, c.GetName()+" "+c.GetChannel()+" of "+p.GetSource())
		}
		if c.GetName() == "reserve-channel" {
			a.reserved[c.GetChannel()] = c.GetPassword()
		} else {
			delete(a.reserved, c.GetChannel())
		}
	case "get-latency":
		r = &meshpb.Response{Ok: proto.Bool(false), Reason: "target not connected"}
	case "":
		return nil
	default:
		if p.GetDestination() == "*" {
			return nil
		}
		r = &meshpb.Response{Ok: proto.Bool(false), Reason: "unknown command"}
	}
	return &meshpb.Packet{Response: r}
}

// overview is what a master shows.
func overview(n *mesh.Node, step uint32) *meshpb.Overview {
	o, _ := n.Ask(n.Mesh.Master, &meshpb.OverviewRequest{Step: step}).(*meshpb.Overview)
	return o
}

// TestMaster has two masters watch over a network with a node that is wrong
// about two channels: it is corrected after two rounds, by one of them, and
// nothing else is touched.
func TestMaster(t *testing.T) {
	play(t, mesh.Options{Latency: slow}, func(t *testing.T, s *mesh.Sim) {
		nodes := s.Build(4, mesh.Line(4), func(i int, o *mesh.NodeOptions) { o.Master = i%3 == 0 })
		first, second := nodes[0], nodes[3]
		for i, n := range nodes {
			join(s, n, room, "")
			join(s, n, fmt.Sprint("own", i), "secret")
		}
		a := newAlien(s, nodes[2])
		s.Run(4 * masterRound) // it is told of what is opened, and learns nothing else
		a.told, a.reserved = nil, map[string]string{room: ""}
		for i := range nodes {
			a.reserved[fmt.Sprint("own", i)] = hashOf(t, first, fmt.Sprint("own", i))
		}
		was := overview(first, 0).GetCorrections()
		s.Run(4 * masterRound)
		if got := overview(first, 0).GetCorrections(); len(a.told) > 0 || got != was {
			t.Fatalf("told %q when nothing was wrong, %d corrections", a.told, got-was)
		}
		delete(a.reserved, "own1")
		a.reserved["ghost"] = ""
		sent := s.Sent["unreserve-channel"] + s.Sent["reserve-channel"]
		s.Run(masterRound)
		if len(a.told) > 0 {
			t.Errorf("told %q after one round", a.told)
		}
		s.Run(4 * masterRound)
		if got := strings.Join(a.told, ", "); got != "unreserve-channel ghost of n00, reserve-channel own1 of n00" {
			t.Errorf("told %q", got)
		}
		if _, there := a.reserved["ghost"]; there || len(a.reserved) != 5 {
			t.Errorf("believes %v", a.reserved)
		}
		one, two := overview(first, 0), overview(second, 0)
		if one.GetCorrections() != was+2 || two.GetCorrections() != 0 || one.GetLeader() != "n00" || two.GetLeader() != "n00" {
			t.Errorf("%d and %d corrections, leaders %q and %q", one.GetCorrections()-was, two.GetCorrections(), one.GetLeader(), two.GetLeader())
		}
		if n := s.Sent["unreserve-channel"] + s.Sent["reserve-channel"] - sent; n != 2*3 { // three links each
			t.Errorf("%d commands went over links, want 6", n)
		}
		if len(one.GetNodes()) != 5 || len(one.GetLinks()) != 4 || one.GetTotals().GetClients() != 8 {
			t.Errorf("shows %v", one)
		}
		for _, c := range one.GetChannels() {
			if want := map[bool]uint64{true: 4, false: 1}[c.GetName() == room]; c.GetName() != "ghost" && c.GetClients() != want {
				t.Errorf("shows %v", c)
			}
		}
		first.Kill(false) // and nobody says that its own channel is no more
		delete(a.reserved, room)
		a.told = nil
		s.Run(6 * masterRound)
		if two := overview(second, 0); two.GetCorrections() != 2 || two.GetLeader() != second.Name {
			t.Errorf("%d corrections, leader %q", two.GetCorrections(), two.GetLeader())
		}
		if got := strings.Join(a.told, ", "); got != "unreserve-channel own0 of n03, reserve-channel room of n03" {
			t.Errorf("told %q", got)
		}
		a.HangUp()
	})
}

// hashOf is the hash of a channel, as nodes have it.
func hashOf(t *testing.T, n *mesh.Node, channel string) string {
	t.Helper()
	answers, _ := n.Command("*", &meshpb.Command{Name: "list-reserved-channels"})
	for _, r := range answers {
		for _, e := range r.GetListing().GetEntries() {
			if e.GetName() == channel {
				return e.GetPassword()
			}
		}
	}
	t.Fatalf("nobody has %q", channel)
	return ""
}

// TestMasterOfManyChanges has nothing to correct while clients come and go, links
// break and nodes die.
func TestMasterOfManyChanges(t *testing.T) {
	play(t, mesh.Options{Latency: slow, Quick: true}, func(t *testing.T, s *mesh.Sim) {
		nodes := s.Build(5, mesh.Ring(5), func(i int, o *mesh.NodeOptions) { o.Master = i == 0 })
		rng := s.Rand()
		var open []*mesh.Client
		for i := range 120 {
			n := nodes[rng.IntN(len(nodes))]
			switch {
			case i == 60:
				nodes[3].Kill(true)
			case n.Up() && (len(open) == 0 || rng.IntN(3) > 0):
				c := n.Connect()
				c.Subscribe(fmt.Sprint("c", rng.IntN(8)), "")
				open = append(open, c)
			default:
				j := rng.IntN(len(open))
				open[j].HangUp()
				open = append(open[:j], open[j+1:]...)
			}
			s.Run(time.Duration(rng.IntN(5000)) * time.Millisecond)
		}
		if got := overview(nodes[0], 0); got.GetCorrections() != 0 {
			t.Errorf("%d corrections", got.GetCorrections())
		}
	})
}
