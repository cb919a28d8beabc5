package mesh

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/meshpb"
	"parley/testkit"
)

// camp is a node's peers, and what they tell of links.
type camp struct {
	name   string
	peers  *actor.PID
	cables map[uint64]*cable // by member
	linked map[string]string // cable by peer, as the router was told
	told   []string
}

// cable is a connection made of paper between two sides, with a link at either end.
type cable struct {
	name  string // who dialled
	ends  [2]*actor.PID
	serve [2]*actor.PID
	gone  bool
}

// tangle is some nodes that dial each other at will.
type tangle struct {
	t       *testing.T
	d       *testkit.Driver
	sys     *actor.ActorSystem
	all     map[string]*camp
	roots   []*actor.PID
	cables  int
	members uint64
	refuse  bool // nobody gets through
}

// add starts a node with neighbors, whose addresses are ws://name.
func (g *tangle) add(name string, neighbors ...Neighbor) *camp {
	s := &camp{name: name, cables: map[uint64]*cable{}, linked: map[string]string{}}
	g.all[name] = s
	paper := func(what string, f func(ctx actor.Context)) *actor.PID {
		pid := tree.Spawn(g.sys.Root, name+"-"+what, tree.Spec{New: func() actor.Actor { return actor.ReceiveFunc(f) }})
		g.roots = append(g.roots, pid)
		return pid
	}
	nothing := func(actor.Context) {}
	o := &Options{Name: name, Boot: 1, Accept: true, Token: yardToken, MaxLinks: 8, Now: time.Now, Seed: g.d.Seed(), Neighbors: neighbors}
	for i := range o.Fanout {
		o.Fanout[i].Shards = []*actor.PID{paper(fmt.Sprint("shard", i), func(ctx actor.Context) {
			if m, ok := ctx.Message().(*messages.Multicast); ok {
				c := s.cables[m.Origin]
				end := 0
				if Side(i) == Accepted {
					end = 1
				}
				c.carry(ctx, end, m.Answer)
			}
		})}
	}
	o.Dial = func(m *meshpb.Dial) *meshpb.DialFailed { return g.dial(s, m) }
	met := &meet{
		router: paper("router", func(ctx actor.Context) { s.note(ctx.Message()) }),
		hello:  paper("hello", nothing), commands: paper("commands", nothing), reservations: paper("reservations", nothing),
		scout: paper("scout", nothing), peers: paper("nobody", nothing),
	}
	a := newPeers(o, met)
	s.peers = tree.Spawn(g.sys.Root, name+"-peers", tree.Spec{New: func() actor.Actor { return a }})
	g.roots = append(g.roots, s.peers)
	return s
}

func (s *camp) note(msg any) {
	switch m := msg.(type) {
	case *linked:
		if old := s.linked[m.name]; old != "" {
			s.told = append(s.told, "linked twice")
		}
		s.linked[m.name] = s.cables[m.member].name
		s.told = append(s.told, "linked "+m.name)
	case *unlinked:
		delete(s.linked, m.name)
		s.told = append(s.told, "unlinked "+m.name)
	}
}

// dial knocks at the door of the node with that address, and lays a cable.
func (g *tangle) dial(from *camp, m *meshpb.Dial) *meshpb.DialFailed {
	to := g.all[m.GetUrl()[len("ws://"):]]
	if g.refuse || to == nil {
		return &meshpb.DialFailed{Ticket: m.GetTicket(), Reason: "nobody there"}
	}
	g.cables++
	c := &cable{name: fmt.Sprint(from.name, ">", to.name, g.cables)}
	pid := tree.Spawn(g.sys.Root, "", tree.Spec{New: func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			switch r := ctx.Message().(type) {
			case *actor.Started:
				ctx.Request(to.peers, &meshpb.AdmitRequest{Token: m.GetToken(), Name: m.GetName()})
			case *meshpb.AdmitResponse:
				if r.GetTicket() == 0 {
					ctx.Send(from.peers, &meshpb.DialFailed{Ticket: m.GetTicket(), Reason: "no", Refused: true})
					return
				}
				g.end(c, 0, from, m.GetTicket())
				g.end(c, 1, to, r.GetTicket())
			}
		})
	}})
	g.roots = append(g.roots, pid)
	return nil
}

// end opens the link at one end of a cable.
func (g *tangle) end(c *cable, at int, s *camp, ticket uint64) {
	g.members++
	member := g.members
	s.cables[member] = c
	c.ends[at] = tree.Spawn(g.sys.Root, "", tree.Spec{New: func() actor.Actor {
		var early []proto.Message
		return actor.ReceiveFunc(func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *actor.Started:
				ctx.Request(s.peers, &linkpb.Opened{Member: member, Ticket: ticket})
			case *linkpb.Accepted:
				c.serve[at] = ctx.Sender()
				for _, m := range early {
					ctx.Request(c.serve[at], m)
				}
			case *meshpb.Handshake: // from this side if its peer sent it, else from the other
				if ctx.Sender() == nil {
					c.carry(ctx, at, m)
				} else if c.serve[at] == nil {
					early = append(early, m)
				} else {
					ctx.Request(c.serve[at], m)
				}
			case *linkpb.Close, hungUp:
				c.gone = true
				ctx.Stop(ctx.Self())
			case *actor.Stopped:
				if c.serve[at] != nil {
					ctx.Send(c.serve[at], &linkpb.Closed{})
				}
				ctx.Send(c.ends[1-at], hungUp{})
			}
		})
	}})
}

// hungUp says that the other end of a cable is gone.
type hungUp struct{}

// IgnoreDeadLetterLogging marks messages that may find the other end gone, too.
func (hungUp) IgnoreDeadLetterLogging() {}

// carry brings a message to the other end.
func (c *cable) carry(ctx actor.Context, from int, m proto.Message) {
	ctx.Request(c.ends[1-from], m)
}

// TestSimultaneousDial has two nodes, or three, that all dial each other, with
// names and without, at once and after cuts: in the end each pair has one link,
// and both ends mean the same.
func TestSimultaneousDial(t *testing.T) {
	testkit.Seeds(t, 100, func(t *testing.T, d *testkit.Driver) {
		g := &tangle{t: t, d: d, sys: testkit.System(t, testkit.Under(d)), all: map[string]*camp{}}
		names := []string{"a", "b", "c"}[:2+d.Seed()%2]
		for i, name := range names {
			var others []Neighbor
			for j, other := range names {
				n := Neighbor{Name: other, URL: "ws://" + other, Token: yardToken}
				if (d.Seed()>>(i+j+1))%2 == 0 {
					n.Name = ""
				}
				if other != name {
					others = append(others, n)
				}
			}
			g.add(name, others...)
		}
		d.Run(time.Minute)
		g.check(names)
		for round := range 3 {
			var open []*cable
			for _, name := range names {
				for _, c := range g.all[name].cables {
					if !c.gone {
						open = append(open, c)
					}
				}
			}
			slices.SortFunc(open, func(a, b *cable) int { return int(a.name[len(a.name)-1]) - int(b.name[len(b.name)-1]) })
			for _, c := range open {
				g.sys.Root.Stop(c.ends[round%2])
			}
			d.Run(2 * time.Minute)
			g.check(names)
		}
		dialled := g.cables
		d.Run(10 * time.Minute)
		if g.cables != dialled {
			t.Errorf("%d more dials after all is settled", g.cables-dialled)
		}
		testkit.Ending(g.sys)
		for _, name := range names {
			for _, c := range g.all[name].cables {
				for _, end := range c.ends {
					g.sys.Root.Stop(end)
				}
			}
		}
		testkit.Stop(t, g.sys, g.roots...)
	})
}

func (g *tangle) check(names []string) {
	g.t.Helper()
	for _, a := range names {
		for _, b := range names {
			x, y := g.all[a].linked[b], g.all[b].linked[a]
			if a != b && (x == "" || x != y) {
				g.t.Errorf("%s has link %q to %s, which has %q: %q, %q", a, x, b, y, g.all[a].told, g.all[b].told)
			}
		}
		if slices.Contains(g.all[a].told, "linked twice") {
			g.t.Errorf("%s told %q", a, g.all[a].told)
		}
		g.all[a].told = nil
	}
}
