package mesh

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unique"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/linkpb"
	"parley/messages/meshpb"
	"parley/messages/relaypb"
	"parley/testkit"
)

// bank is a router with those that it hands commands on to, and links made of
// paper that count what they have lent.
type bank struct {
	t            testing.TB
	d            *testkit.Driver
	sys          *actor.ActorSystem
	top          *actor.PID
	router       *actor.PID
	me           *router
	commands     *commands
	peers        *peers
	reservations *reservations
	links        map[string]*actor.PID
	held         map[string]int // by link
	seq          uint64
}

func newBank(t testing.TB, d *testkit.Driver, failures int) *bank {
	b := &bank{t: t, d: d, links: map[string]*actor.PID{}, held: map[string]int{}}
	b.sys = testkit.System(t, testkit.Under(d), testkit.ExpectFailures(failures))
	b.top = tree.Spawn(b.sys.Root, "top", tree.Spec{Children: tree.Restart, New: func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); ok {
				b.start(ctx)
			}
		})
	}})
	d.Settle()
	return b
}

func (b *bank) start(ctx actor.Context) {
	paper := func(name string, f func(ctx actor.Context)) *actor.PID {
		return tree.Spawn(ctx, name, tree.Spec{New: func() actor.Actor { return actor.ReceiveFunc(f) }})
	}
	deaf := paper("deaf", func(ctx actor.Context) {
		if _, ok := ctx.Message().(*relaypb.NodeStatsRequest); ok {
			ctx.Respond(&relaypb.NodeStats{})
		}
	})
	o := &Options{Name: "self", Boot: 5, Relay: true, Accept: true, MaxLinks: 8, Now: time.Now}
	for s := range o.Fanout {
		o.Fanout[s].Shards = []*actor.PID{deaf}
	}
	met := &meet{
		Outside: Outside{Stats: deaf}, // and host-stats are never told
		router:  below(ctx, nameRouter), commands: below(ctx, nameCommands), reservations: below(ctx, nameReservations), peers: below(ctx, namePeers),
		hello: deaf, scout: deaf,
	}
	b.me, b.commands = newRouter(o, met).(*router), newCommands(o, met).(*commands)
	b.peers, b.reservations = newPeers(o, met).(*peers), newReservations(o, met).(*reservations)
	b.router = tree.Spawn(ctx, nameRouter, tree.Spec{Batch: true, New: func() actor.Actor { return b.me }})
	tree.Spawn(ctx, nameCommands, tree.Spec{New: func() actor.Actor { return b.commands }})
	tree.Spawn(ctx, namePeers, tree.Spec{New: func() actor.Actor { return b.peers }})
	tree.Spawn(ctx, nameReservations, tree.Spec{New: func() actor.Actor { return b.reservations }})
	for i, name := range []string{"a", "b", "c"} {
		link := paper("link "+name, func(ctx actor.Context) { b.settle(name, ctx.Message()) })
		b.links[name] = link
		ctx.Send(b.router, &linked{neighbor{name: name, boot: 1, member: uint64(i), pb: true, link: link}})
	}
	b.peers.linked["a"] = &tie{neighbor: neighbor{host: "ws://a.example"}}
}

func (b *bank) settle(name string, msg any) {
	m, ok := msg.(*linkpb.Settled)
	switch {
	case !ok:
	case m.GetAll():
		b.held[name] = 0
	case int(m.GetCharge()) > b.held[name]:
		b.t.Errorf("%s was given %d back of %d", name, m.GetCharge(), b.held[name])
	default:
		b.held[name] -= int(m.GetCharge())
	}
}

// arrive has a frame come over a link.
func (b *bank) arrive(link string, charge int, packets ...*meshpb.Packet) {
	b.held[link] += charge
	b.sys.Root.Send(b.router, &arrived{from: link, link: b.links[link], packets: packets, charge: uint32(charge)})
}

func (b *bank) packet(source, to, name string) *meshpb.Packet {
	b.seq++
	return &meshpb.Packet{Source: source, Destination: to, Boot: 1, Seq: b.seq, Command: &meshpb.Command{Name: name, Node: "a", Channel: "x"}}
}

// owed checks that nothing is lent any more.
func (b *bank) owed(want string) {
	b.t.Helper()
	b.d.Settle()
	got := fmt.Sprintf("a:%d b:%d c:%d", b.held["a"], b.held["b"], b.held["c"])
	if got != want || want == "a:0 b:0 c:0" && len(b.me.loans.open) > 0 {
		b.t.Errorf("links hold %s, want %s; %d loans", got, want, len(b.me.loans.open))
	}
}

// TestCreditComesBackOnce sends all kinds of packets over three links, to all
// kinds of actors, some of which fail. Each link gets back exactly what it lent.
func TestCreditComesBackOnce(t *testing.T) {
	names := []string{
		cmdConnection, cmdToken, cmdNodes, cmdChannels, cmdReserved, cmdReserve, cmdUnreserve, cmdNodeStats, cmdHostStats, cmdLatency, cmdSync, "dance",
	}
	testkit.Seeds(t, 40, func(t *testing.T, d *testkit.Driver) {
		rng := rand.New(rand.NewPCG(d.Seed(), 3))
		b := newBank(t, d, 4)
		var before []*meshpb.Packet // sent once, over one link or another
		frame := func() (all []*meshpb.Packet) {
			for range 1 + rng.IntN(5) {
				p := b.packet(fmt.Sprint("n", rng.IntN(4)), []string{"self", everyone, "elsewhere"}[rng.IntN(3)], names[rng.IntN(len(names))])
				switch rng.IntN(8) {
				case 0:
					p.Command, p.Response, p.Destination = nil, &meshpb.Response{}, "self"
				case 1:
					p.Command, p.Message, p.Destination = nil, &meshpb.Message{Channel: "x"}, everyone
				case 2:
					p.Command, p.Destination = &meshpb.Command{Name: cmdHello, Hello: &meshpb.Hello{Boot: 1}}, everyone
				case 3:
					if len(before) > 0 {
						p = before[rng.IntN(len(before))]
					}
				case 4:
					p.Destination = "" // it makes no sense
				}
				all = append(all, p)
			}
			before = append(before, all...)
			return all
		}
		spells := []func(){ // each has one actor fail
			func() { b.arrive("a", 3, append(frame(), nil)...) },
			func() {
				b.commands.unasked = nil
				p := b.packet("n9", "self", "")
				p.Command, p.Response = nil, &meshpb.Response{}
				b.arrive("a", 3, p)
			},
			func() {
				b.peers.asked = nil
				b.arrive("b", 2, b.packet("n9", "self", cmdConnection))
			},
			func() {
				b.reservations.spent = nil
				b.arrive("c", 1, b.packet("n9", "self", cmdChannels))
			},
		}
		rng.Shuffle(len(spells), func(i, j int) { spells[i], spells[j] = spells[j], spells[i] })
		for len(spells) > 0 {
			for range 10 {
				b.arrive([]string{"a", "b", "c"}[rng.IntN(3)], rng.IntN(4), frame()...)
				if rng.IntN(3) == 0 {
					d.Run(time.Duration(rng.IntN(3000)) * time.Millisecond)
				}
			}
			b.owed("a:0 b:0 c:0") // and what is broken next is whole when that is met
			spells[0]()
			spells = spells[1:]
			for range 3 {
				b.arrive([]string{"a", "b", "c"}[rng.IntN(3)], 1+rng.IntN(4), b.packet("n3", "self", "dance"), b.packet("n2", everyone, cmdNodes))
			}
			b.owed("a:0 b:0 c:0")
			b.peers.asked, b.reservations.spent = map[uint64]*meshpb.Packet{}, spending{}
		}
		testkit.Stop(t, b.sys, b.top)
	})
}

// TestCreditStaysLent has reservations stand still: those who ask it are not read
// from meanwhile, others are.
func TestCreditStaysLent(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		b := newBank(t, d, 0)
		d.Settle()
		pid := actor.NewPID(b.sys.Address(), b.top.GetId()+"/"+nameReservations)
		p, _ := b.sys.ProcessRegistry.Get(pid)
		p.SendSystemMessage(pid, &actor.SuspendMailbox{})
		b.arrive("a", 2, b.packet("n1", "self", cmdChannels), b.packet("n1", "self", cmdNodes))
		b.arrive("a", 1, b.packet("n1", "self", cmdNodes))
		p1 := b.packet("n2", everyone, cmdReserve)
		b.arrive("b", 4, p1)
		b.arrive("c", 8, p1) // it was here before
		b.owed("a:2 b:4 c:0")
		// The router fails: links are told that all is settled, and that is all.
		q, _ := b.sys.ProcessRegistry.Get(b.router)
		q.SendSystemMessage(b.router, &actor.SuspendMailbox{})
		q.SendSystemMessage(b.router, &actor.Restart{})
		b.owed("a:0 b:0 c:0")
		b.arrive("c", 5, b.packet("n3", "self", cmdReserved))
		b.owed("a:0 b:0 c:5")
		p.SendSystemMessage(pid, &actor.ResumeMailbox{})
		b.owed("a:0 b:0 c:0")
		testkit.Stop(t, b.sys, b.top)
	})
}

// TestRawFormIsNotKept: what waits for others is what they need.
func TestRawFormIsNotKept(t *testing.T) {
	spin(t, 2, 1, func(w *webbing) {
		w.join(line(2))
		w.clear()
		w.nodes[0].from("n001", &meshpb.Packet{
			Source: "n001", Destination: "n000", Boot: 9, Seq: 1, Command: &meshpb.Command{Name: cmdChannels}, Json: make([]byte, 1<<20),
		})
		if got := w.nodes[0].received; len(got) != 1 || got[0].packet.GetJson() != nil || got[0].packet.GetSeq() != 1 {
			t.Errorf("received %v", got)
		}
	})
}

// TestListsForOneLink: who asks for long lists again and again is told to wait,
// others are not, and it is forgiven with time.
func TestListsForOneLink(t *testing.T) {
	one(t, Options{}, func(c *clerk) {
		for i := range 2000 {
			c.me.records.open(fmt.Sprint("channel ", i, strings.Repeat("x", 200)), &claim{ts: 1, owner: unique.Make("self")})
		}
		ask := func(source, link, name string) bool {
			p := &meshpb.Packet{Source: source, Destination: "self", Command: &meshpb.Command{Name: name}}
			c.send(&inquiry{packet: p, from: link})
			r := last[*post](c).response
			if r.GetListing() == nil && r.GetReason() != reasonBusy {
				c.t.Fatalf("answered %v", r)
			}
			return r.GetListing() != nil
		}
		got := 0
		for i := range 1000 { // of names that are invented, too
			for _, name := range []string{cmdChannels, cmdReserved} {
				if ask(fmt.Sprint("n", i), "rogue", name) {
					got++
				}
			}
		}
		if got < 10 || got > 100 {
			c.t.Errorf("%d lists were made", got)
		}
		if !ask("honest", "honest", cmdChannels) || !ask("honest", "honest", cmdReserved) {
			c.t.Error("others are told to wait, too")
		}
		c.d.Run(sweepEvery)
		if !ask("rogue", "rogue", cmdChannels) {
			c.t.Error("it is not forgiven")
		}
		c.d.Run(time.Minute)
		if len(c.me.spent) > 0 {
			c.t.Errorf("%d links are remembered", len(c.me.spent))
		}
	})
}
