package mesh

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/meshpb"
	"parley/messages/relaypb"
)

// webbing is some routers, and the links between them, made of paper: the test
// hands each message over, in an order drawn from a seed. It must be made in a
// synctest bubble; only what sleeps makes time pass.
type webbing struct {
	t     testing.TB
	sys   *actor.ActorSystem
	rng   *rand.Rand
	nodes []*knot
	wires map[[2]int]*wire
	busy  [][2]int // wires with frames

	transmissions int // packets that were written to a link
	frames        int
	check         func(p *meshpb.Packet) // sees each of them; nil: nobody does
}

// wire is one direction of a link. Frames stay in order.
type wire struct {
	up     bool
	frames []*meshpb.Frame
}

// knot is one node of a webbing.
type knot struct {
	w      *webbing
	index  int
	name   string
	o      *Options
	met    *meet
	router *router
	alive  bool

	delivered []string // channel:payload, in order
	received  []*received
	heard     []*heard
	surveyed  map[string]bool
	gone      []string
	posted    []*posted
	network   *meshpb.NetworkResponse
	ailments  []*relaypb.Ailment
	settled   uint32
	round     uint64
}

// idle is a driver under which no actor runs, and no time passes by itself.
type idleDriver struct{}

func (idleDriver) Dispatcher(string) actor.Dispatcher             { return idleDriver{} }
func (idleDriver) Schedule(func())                                {}
func (idleDriver) Throughput() int                                { return 1 }
func (idleDriver) After(time.Duration, func()) (stop func() bool) { return func() bool { return true } }
func (idleDriver) Go(func())                                      {}

// paperContext is what a router is given. It tells the webbing what is sent.
type paperContext struct {
	actor.Context
	k      *knot
	msg    any
	sender *actor.PID
}

func (c *paperContext) Message() any                    { return c.msg }
func (c *paperContext) Sender() *actor.PID              { return c.sender }
func (c *paperContext) Self() *actor.PID                { return c.k.pid("router") }
func (c *paperContext) ActorSystem() *actor.ActorSystem { return c.k.w.sys }
func (c *paperContext) Send(pid *actor.PID, msg any)    { c.k.sent(pid, msg) }
func (c *paperContext) Respond(msg any)                 { c.k.sent(c.sender, msg) }

// spin runs f in a bubble with a webbing of n nodes, not linked yet.
func spin(t *testing.T, n int, seed uint64, f func(w *webbing)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sys := tree.New(tree.Options{Log: slog.New(slog.DiscardHandler), Driver: idleDriver{}})
		defer sys.Shutdown()
		w := &webbing{t: t, sys: sys, rng: rand.New(rand.NewPCG(seed, 7)), wires: map[[2]int]*wire{}}
		for i := range n {
			w.add(fmt.Sprintf("n%03d", i))
		}
		f(w)
	})
}

func (w *webbing) add(name string) *knot {
	k := &knot{w: w, index: len(w.nodes), name: name}
	k.start(time.Now())
	w.nodes = append(w.nodes, k)
	return k
}

// start makes a node's router anew.
func (k *knot) start(boot time.Time) {
	k.o = &Options{Name: k.name, Boot: uint64(boot.UnixMilli()), Relay: true, MaxLinks: 256}
	for side := range k.o.Fanout {
		for s := range 2 {
			k.o.Fanout[side].Shards = append(k.o.Fanout[side].Shards, k.pid(fmt.Sprint("shard", side, s)))
		}
	}
	k.met = &meet{
		router: k.pid("router"), hello: k.pid("hello"), commands: k.pid("commands"),
		reservations: k.pid("reservations"), peers: k.pid("peers"), scout: k.pid("scout"),
	}
	k.met.Health = k.pid("health")
	k.router, k.alive, k.round = newRouter(k.o, k.met).(*router), true, 0
	k.do(&actor.Started{})
}

func (k *knot) pid(what string) *actor.PID { return actor.NewPID(k.name, what) }

// do has the router handle a message. ask is do with somebody to answer.
func (k *knot) do(msg any) { k.router.Receive(&paperContext{k: k, msg: msg}) }

func (k *knot) ask(msg any) {
	k.router.Receive(&paperContext{k: k, msg: msg, sender: k.pid("asker")})
}

// sent takes what the router says to somebody.
func (k *knot) sent(_ *actor.PID, msg any) {
	switch m := msg.(type) {
	case *messages.Multicast:
		k.w.multicast(k, m)
	case *linkpb.Settled:
		k.settled += m.GetCharge()
	case *meshpb.Delivery:
		k.delivered = append(k.delivered, m.GetMessage().GetChannel()+":"+string(m.GetMessage().GetPayload()))
	case *received:
		k.received = append(k.received, m)
	case *heard:
		k.heard = append(k.heard, m)
	case *surveyed:
		k.surveyed = m.nodes
	case *gone:
		if len(k.gone) == 0 || k.gone[len(k.gone)-1] != m.node { // two are told
			k.gone = append(k.gone, m.node)
		}
	case *posted:
		k.posted = append(k.posted, m)
	case *meshpb.NetworkResponse:
		k.network = m
	case *relaypb.Ailment:
		k.ailments = append(k.ailments, m)
	default:
		k.w.t.Errorf("%s sent %T", k.name, msg)
	}
}

// multicast puts a frame on wires, as bytes would be.
func (w *webbing) multicast(k *knot, m *messages.Multicast) {
	frame, joined := m.Frame.Message.(*meshpb.Frame)
	if !joined {
		frame = &meshpb.Frame{Packets: []*meshpb.Packet{m.Frame.Message.(*meshpb.Packet)}}
	}
	for _, member := range m.Members {
		line := w.wires[[2]int{k.index, int(member) - 1}]
		w.transmissions += len(frame.GetPackets())
		w.frames++
		for _, p := range frame.GetPackets() {
			if w.check != nil {
				w.check(p)
			}
		}
		if line != nil && line.up {
			if len(line.frames) == 0 {
				w.busy = append(w.busy, [2]int{k.index, int(member) - 1})
			}
			line.frames = append(line.frames, proto.Clone(frame).(*meshpb.Frame))
		}
	}
}

// side is the end of the link between two nodes that one of them has.
func side(k, peer *knot) Side {
	if k.index < peer.index {
		return Dialled
	}
	return Accepted
}

// link links two nodes. The members of a link are the other's index + 1.
func (w *webbing) link(i, j int) {
	for _, e := range [][2]int{{i, j}, {j, i}} {
		k, peer := w.nodes[e[0]], w.nodes[e[1]]
		w.wires[e] = &wire{up: true}
		k.do(&linked{neighbor{
			name: peer.name, boot: peer.o.Boot, side: side(k, peer), member: uint64(peer.index) + 1,
			link: k.pid("link-" + peer.name), pb: true,
		}})
	}
}

// cut ends a link; what is on it is lost. Both ends know at once.
func (w *webbing) cut(i, j int) {
	w.wires[[2]int{i, j}], w.wires[[2]int{j, i}] = nil, nil
	w.busy = slices.DeleteFunc(w.busy, func(e [2]int) bool { return w.wires[e] == nil })
	w.nodes[i].unlinked(w.nodes[j])
	w.nodes[j].unlinked(w.nodes[i])
}

func (k *knot) unlinked(peer *knot) {
	if k.alive {
		k.do(&unlinked{peer.name, side(k, peer), uint64(peer.index) + 1})
	}
}

// hello has a node tell its links, each of them 1 ms long unless ms says otherwise.
func (k *knot) hello(ms func(peer string) float64) {
	k.round++
	h := &meshpb.Hello{Boot: k.o.Boot, Round: k.round, Leaf: !k.o.Relay}
	for _, l := range k.router.out.lanes {
		c := &meshpb.LinkCost{Peer: l.name, Ms: 1}
		if ms != nil {
			c.Ms = ms(l.name)
		}
		h.Links = append(h.Links, c)
	}
	k.do(&post{destination: everyone, command: &meshpb.Command{Name: cmdHello, Hello: h}})
}

// publish has a client of a node say something.
func (k *knot) publish(channel, text string) {
	k.do(&tree.Batch{Messages: []messages.Load{&meshpb.Publish{Message: &meshpb.Message{Channel: channel, Payload: []byte(text)}}}})
}

// subscribe opens a channel on a node; all others know.
func (w *webbing) subscribe(channel string, nodes ...int) {
	for _, i := range nodes {
		k := w.nodes[i]
		k.router.Receive(&paperContext{k: k, msg: &meshpb.Carry{Channel: channel}, sender: k.pid("channel")})
		for _, other := range w.nodes {
			if other != k && other.alive {
				other.do(&holds{k.name, channel, true})
			}
		}
	}
}

// step hands over what waits on one wire, or several frames of some at once. It
// reports whether there was anything.
func (w *webbing) step() bool {
	if len(w.busy) == 0 {
		return false
	}
	at := w.busy[w.rng.IntN(len(w.busy))]
	to := w.nodes[at[1]]
	b := &tree.Batch{}
	for _, e := range w.busy {
		if e == at || e[1] == at[1] && w.rng.IntN(2) == 0 {
			line := w.wires[e]
			n := 1 + w.rng.IntN(len(line.frames))
			for _, f := range line.frames[:n] {
				from := w.nodes[e[0]].name
				b.Messages = append(b.Messages, &arrived{from: from, link: to.pid("link-" + from), packets: f.GetPackets(), charge: 1})
			}
			line.frames = line.frames[n:]
		}
	}
	w.busy = slices.DeleteFunc(w.busy, func(e [2]int) bool { return len(w.wires[e].frames) == 0 })
	if to.alive {
		to.do(b)
	}
	return true
}

// settle hands over all that is on its way.
func (w *webbing) settle() {
	for n := 0; w.step(); n++ {
		if n > 1_000_000 {
			w.t.Fatal("packets go round for ever")
		}
	}
}

// pass lets time go by. Routers look once a second at who is gone.
func (w *webbing) pass(d time.Duration) {
	for ; d > 0; d -= time.Second {
		time.Sleep(min(d, time.Second))
		for _, k := range w.nodes {
			if k.alive {
				k.do(routerTick{k.router.round})
			}
		}
		w.settle()
	}
}

// join links nodes, has all say hello, and lets the mesh settle.
func (w *webbing) join(edges [][2]int) {
	for _, e := range edges {
		w.link(e[0], e[1])
	}
	w.greet()
	w.pass(3 * time.Second)
}

// greet has all say hello.
func (w *webbing) greet() {
	for _, k := range w.nodes {
		if k.alive {
			k.hello(nil)
		}
	}
	w.settle()
}

// clear forgets what was delivered and counted.
func (w *webbing) clear() {
	for _, k := range w.nodes {
		k.delivered, k.received, k.posted, k.heard = nil, nil, nil, nil
	}
	w.transmissions, w.frames = 0, 0
}

// dropped is how often something was dropped, on all nodes.
func (w *webbing) dropped(why tree.DropReason) int64 { return tree.Of(w.sys).Dropped(why) }

// ring and full are graphs.
func ring(n int) (edges [][2]int) {
	for i := range n {
		edges = append(edges, [2]int{i, (i + 1) % n})
	}
	return edges
}

func line(n int) [][2]int { return ring(n)[:n-1] }

func full(n int) (edges [][2]int) {
	for i := range n {
		for j := range i {
			edges = append(edges, [2]int{j, i})
		}
	}
	return edges
}

// random is a connected graph of n nodes with some more edges than it needs.
func random(rng *rand.Rand, n, more int) (edges [][2]int) {
	has := map[[2]int]bool{}
	for i := 1; i < n; i++ {
		has[[2]int{rng.IntN(i), i}] = true
	}
	for range more {
		if a, b := rng.IntN(n), rng.IntN(n); a != b {
			has[[2]int{min(a, b), max(a, b)}] = true
		}
	}
	for e := range has {
		edges = append(edges, e)
	}
	slices.SortFunc(edges, func(a, b [2]int) int { return slices.Compare(a[:], b[:]) })
	return edges
}
