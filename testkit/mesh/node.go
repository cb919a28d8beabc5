package mesh

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/mesh"
	"parley/actors/tree"
	"parley/messages/linkpb"
	"parley/messages/meshpb"
	"parley/messages/relaypb"
	"parley/testkit"
)

const (
	scheme   = "ws://"
	token    = "let me in"      // that all nodes have in their configuration
	shards   = 2                // of each gateway
	dialMost = 10 * time.Second // longest attempt to connect
	askMost  = 10 * time.Second // longest that a test waits for an answer
	goodbye  = 2 * time.Second  // for the last words of a node that stops in order
	closeBye = 1001             // going away
	linger   = 2 * time.Second  // as the option's default
	askFirst = 300 * time.Millisecond

	mostLinks = 64
	buildMost = time.Minute // until all links are there that were configured
)

// NodeOptions are what a node is made of.
type NodeOptions struct {
	Name      string
	Neighbors []string      // that it dials
	Hidden    bool          // nobody can ask for its address
	Master    bool          // watches over the mesh
	Skew      time.Duration // of its clock
	AskFirst  time.Duration // 0: askFirst, below 0: not at all
	Linger    time.Duration // 0: linger
	MaxLinks  int           // 0: mostLinks
	Change    func(o *mesh.Options)
}

// Node is one node, from a start to its end.
type Node struct {
	NodeOptions
	Boot uint64
	Mesh *mesh.Mesh
	// Relay actors.
	Clients, Channels, Stats, Health *actor.PID

	sim     *Sim
	sys     *actor.ActorSystem
	up      bool
	top     *actor.PID
	router  *actor.PID // Mesh.Router behind a tap
	ends    [2]map[uint64]*end
	members [2]uint64 // of the youngest link of a side
	clients map[uint64]*Client
	waiting map[string]*actor.PID // expectations
}

// Start starts a node, anew if there was one of that name.
func (s *Sim) Start(o NodeOptions) *Node {
	s.T.Helper()
	old := s.nodes[o.Name]
	n := &Node{
		NodeOptions: o, sim: s, clients: map[uint64]*Client{}, waiting: map[string]*actor.PID{},
		ends: [2]map[uint64]*end{{}, {}},
	}
	n.Boot = uint64(n.now().UnixMilli())
	if old != nil {
		if old.up {
			s.T.Fatalf("%s runs already", o.Name)
		}
		n.Boot = max(n.Boot, old.Boot+1)
	}
	s.nodes[o.Name] = n
	s.Watch.changed("start")
	s.logf("%s starts, boot %x, skew %v", n.Name, n.Boot, n.Skew)
	n.up = true
	n.sys = testkit.System(s.T, testkit.Among(s.D, o.Name+"/"+strconv.FormatUint(n.Boot, 16)), testkit.Logging(n.log))
	n.top = tree.Spawn(n.sys.Root, "node", tree.Spec{Children: tree.Fatal, New: func() actor.Actor { return &top{n} }})
	s.D.Settle()
	return n
}

// now is the time by this node's clock.
func (n *Node) now() time.Time { return time.Now().Add(n.Skew) }

// log is the node's, before that of the test.
func (n *Node) log(next slog.Handler) slog.Handler {
	return named{next.WithAttrs([]slog.Attr{slog.String("node", n.Name)})}
}

// top supervises a node.
//
//	parent    root
//	receives  -
//	sends     -
//	stops     by the test
type top struct{ n *Node }

func (t *top) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		t.n.assemble(ctx)
	case func(actor.Context):
		if t.n.up { // else what it spawns would outlive the node
			m(ctx)
		}
	}
}

// do runs f as the node's topmost actor.
func (n *Node) do(f func(ctx actor.Context)) {
	if n.up {
		n.sys.Root.Send(n.top, f)
	}
}

// options are those of the node's part in the mesh.
func (n *Node) options(ctx actor.Context) mesh.Options {
	o := mesh.Options{
		Name: n.Name, Boot: n.Boot, Version: "sim", Accept: true, Relay: true, Master: n.Master,
		Token: token, MaxLinks: n.MaxLinks, AskFirst: n.AskFirst, Linger: n.Linger, HighRTT: time.Second,
		Dial: n.dial, Now: n.now, Seed: n.sim.rng.Uint64(),
	}
	if !n.Hidden {
		o.Host = scheme + n.Name
	}
	if o.MaxLinks == 0 {
		o.MaxLinks = mostLinks
	}
	switch {
	case o.AskFirst == 0:
		o.AskFirst = askFirst
	case o.AskFirst < 0:
		o.AskFirst = 0
	}
	if o.Linger == 0 {
		o.Linger = linger
	}
	for _, name := range n.Neighbors {
		o.Neighbors = append(o.Neighbors, mesh.Neighbor{Name: name, URL: scheme + name, Token: token})
	}
	for _, side := range []mesh.Side{mesh.Accepted, mesh.Dialled} {
		o.Fanout[side].Shards, _ = spawnShards(ctx, fmt.Sprint("side", int(side)), shards, shard{
			write: func(member uint64, m proto.Message) {
				if e := n.ends[side][member]; e != nil {
					e.write(m)
				}
			},
			settle: func(member uint64, charge uint32) {
				if e := n.ends[side][member]; e != nil {
					e.onSettled(&linkpb.Settled{Charge: charge})
				}
			},
		})
	}
	if n.Change != nil {
		n.Change(&o)
	}
	return o
}

// Kill ends a node without a word. Others see it at once, or, if the machine
// died with it, when they have heard nothing for long enough.
func (n *Node) Kill(machine bool) {
	n.sim.T.Helper()
	within := noticed
	if machine {
		within = silence
	}
	for _, w := range slices.Clone(n.sim.wires) {
		if w.names[0] == n.Name || w.names[1] == n.Name {
			w.lose(within)
		}
	}
	n.end()
}

// Stop ends a node in order.
func (n *Node) Stop() {
	n.sim.T.Helper()
	testkit.Dying(n.sys)
	for _, side := range n.ends {
		for _, e := range side {
			if e.link != nil {
				n.sys.Root.Send(e.link, &linkpb.Close{Code: closeBye, Reason: "going away"})
			}
		}
	}
	n.sim.Run(goodbye)
	n.end()
}

// end stops what is left of a node.
func (n *Node) end() {
	n.sim.T.Helper()
	if !n.up {
		return
	}
	n.sim.Watch.changed("end")
	n.sim.logf("%s ends", n.Name)
	n.up = false
	testkit.Dying(n.sys)
	n.sys.Root.Stop(n.top)
	n.sim.D.Settle()
	for _, c := range n.clients {
		c.gone = true
	}
	for _, pid := range n.waiting {
		n.sys.ProcessRegistry.Remove(pid)
	}
	n.sys.ProcessRegistry.Remove(n.router)
	testkit.End(n.sim.T, n.sys)
}

// Attached are the node's clients, oldest first.
func (n *Node) Attached() []*Client {
	var all []*Client
	for _, id := range slices.Sorted(maps.Keys(n.clients)) {
		all = append(all, n.clients[id])
	}
	return all
}

// Up reports whether the node runs.
func (n *Node) Up() bool { return n.up }

// dial is Options.Dial. It runs off the actors and waits for what they do.
func (n *Node) dial(m *meshpb.Dial) *meshpb.DialFailed {
	out := make(chan *meshpb.DialFailed, 1)
	key := fmt.Sprintf("dial %s %x %d", n.Name, n.Boot, m.GetTicket())
	n.sim.D.Post(key, func() { n.connect(m, out) })
	return <-out
}

// connect is one attempt to reach another node: a round trip, its consent, and
// the way back.
func (n *Node) connect(m *meshpb.Dial, out chan *meshpb.DialFailed) {
	s := n.sim
	name := strings.TrimPrefix(m.GetUrl(), scheme)
	done := false
	end := func(f *meshpb.DialFailed) {
		if !done {
			done = true
			out <- f
		}
	}
	fail := func(reason string, refused bool) {
		end(&meshpb.DialFailed{Ticket: m.GetTicket(), Reason: reason, Refused: refused})
	}
	s.D.After(dialMost, func() { fail("timeout", false) })
	way := s.latency(n.Name, name)
	s.D.After(2*way, func() {
		there := s.nodes[name]
		switch {
		case !n.up || s.Gap(n.Name, name) == Stall:
			return // nothing comes back
		case there == nil || !there.up || s.Gap(n.Name, name) == Cut:
			fail("connection refused", false)
			return
		}
		there.expect(there.Mesh.Peers, &meshpb.AdmitRequest{Token: m.GetToken(), Name: m.GetName()}, func(got any) {
			r, ok := got.(*meshpb.AdmitResponse)
			switch {
			case done || !there.up || !n.up:
			case !ok || r.GetTicket() == 0:
				s.D.After(way, func() { fail("forbidden", true) })
			default:
				w := s.connect(n.Name, name)
				there.plugIn(w, 1, mesh.Accepted, r.GetTicket())
				s.D.After(way, func() { n.reached(w, m, end) })
			}
		})
	})
}

// reached ends an attempt that the other side has let in.
func (n *Node) reached(w *wire, m *meshpb.Dial, end func(*meshpb.DialFailed)) {
	if !n.up || w.dead || n.sim.Gap(w.names[0], w.names[1]) != Open {
		w.cut()
		end(&meshpb.DialFailed{Ticket: m.GetTicket(), Reason: "connection reset"})
		return
	}
	n.plugIn(w, 0, mesh.Dialled, m.GetTicket())
	end(nil)
}

// Dropped is how many packets or frames this node dropped for a reason.
func (n *Node) Dropped(r tree.DropReason) int64 { return tree.Of(n.sys).Dropped(r) }

// HealthNow asks the node how it is.
func (n *Node) HealthNow() *relaypb.Health {
	h, _ := n.Peek(n.Health, &relaypb.HealthRequest{}).(*relaypb.Health)
	return h
}
