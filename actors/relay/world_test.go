package relay

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/relaypb"
	"parley/testkit"
)

// world is the relay's actors among links, shards and a vault made of paper. A
// seeded driver runs all of them on one goroutine, so that nothing here is locked.
type world struct {
	t      testing.TB
	d      *testkit.Driver
	sys    *actor.ActorSystem
	limits Limits

	top, links                              *actor.PID
	clients, channels, stats, health, asker *actor.PID
	core                                    *channels // behind channels; another after a restart
	safe                                    *paperVault
	mesh                                    *paperMesh // nil: the node is alone
	fan                                     Fanout
	taps, shards                            []*actor.PID
	peers                                   []*peer                          // all that ever were; by member-1
	answers                                 []any                            // to asker
	casts                                   []cast                           // what channels sent to shards, in that order
	lists                                   map[*messages.Multicast][]uint64 // their members, as they were then
	refusals                                []refused                        // to asker
	onCast                                  func(cast)
	onStats                                 func(*relaypb.NodeStats)
}

// cast is one multicast on its way to a shard.
type cast struct {
	shard int
	m     *messages.Multicast
}

// puppet does what it is told.
type puppet struct{ start func(actor.Context) }

func (p *puppet) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		if p.start != nil {
			p.start(ctx)
		}
	case func(actor.Context):
		m(ctx)
	}
}

// newWorld starts a relay with some shards. opts are for the actor system.
func newWorld(t testing.TB, d *testkit.Driver, shards int, limits Limits, opts ...testkit.SystemOption) *world {
	t.Helper()
	return newWorldIn(t, d, shards, limits, nil, opts...)
}

// newWorldIn is newWorld for a node of a mesh.
func newWorldIn(t testing.TB, d *testkit.Driver, shards int, limits Limits, m *paperMesh, opts ...testkit.SystemOption) *world {
	t.Helper()
	w := &world{t: t, d: d, limits: limits, mesh: m, lists: map[*messages.Multicast][]uint64{}, safe: &paperVault{work: map[*actor.PID]int{}}}
	w.sys = testkit.System(t, append(opts, testkit.Under(d))...)
	w.top = tree.Spawn(w.sys.Root, "top", tree.Spec{
		Children: tree.Fatal,
		New:      func() actor.Actor { return &puppet{func(ctx actor.Context) { w.start(ctx, shards) }} },
	})
	d.Settle()
	return w
}

// start spawns what cmd would, and the paper.
func (w *world) start(ctx actor.Context, shards int) {
	for i := range shards {
		g := &tree.Gauge{}
		pid := tree.Spawn(ctx, fmt.Sprint("shard", i), tree.Spec{
			New: func() actor.Actor { return &paperShard{w, i} }, Batch: true, Gauge: g,
		})
		tap, ok := w.sys.ProcessRegistry.Add(&tap{w, i, pid}, fmt.Sprint("tap", i))
		if !ok {
			w.t.Fatal("two worlds in one system")
		}
		w.taps, w.shards = append(w.taps, tap), append(w.shards, pid)
		w.fan.Shards, w.fan.Gauges = append(w.fan.Shards, tap), append(w.fan.Gauges, g)
	}
	k, seam := newKept(), w.mesh.start(ctx, w)
	w.channels = tree.Spawn(ctx, "channels", tree.Spec{New: func() actor.Actor {
		w.core = newChannels(w.limits, w.fan, seam, k)
		return w.core
	}})
	vault := tree.Spawn(ctx, "vault", tree.Spec{New: func() actor.Actor { w.safe.w = w; return w.safe }})
	w.clients = SpawnClients(ctx, w.limits, w.channels, vault)
	w.stats = SpawnStats(ctx, w.clients, w.channels)
	w.health = SpawnHealth(ctx, w.clients, w.channels)
	Meet(ctx, w.channels, w.clients, w.stats)
	w.links = tree.Spawn(ctx, "links", tree.Spec{New: func() actor.Actor { return &puppet{} }})
	w.asker = tree.Spawn(ctx, "asker", tree.Spec{New: func() actor.Actor { return &asker{w} }})
}

// stop ends the relay; nothing may be left.
func (w *world) stop() {
	w.t.Helper()
	testkit.Ending(w.sys) // the taps are still needed
	w.sys.Root.Stop(w.top)
	w.d.Settle()
	for _, tap := range w.taps {
		w.sys.ProcessRegistry.Remove(tap)
	}
	if w.mesh != nil {
		w.sys.ProcessRegistry.Remove(w.mesh.router)
	}
	testkit.Stop(w.t, w.sys)
}

// alive lists the actors below a supervisor.
func (w *world) alive(supervisor *actor.PID) []string { return below(w.sys, supervisor) }

func below(sys *actor.ActorSystem, supervisor *actor.PID) (ids []string) {
	for _, shard := range sys.ProcessRegistry.LocalPIDs.LocalPIDs {
		for _, id := range shard.Keys() {
			if strings.HasPrefix(id, supervisor.GetId()+"/") {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// asker keeps what it is answered.
type asker struct{ w *world }

func (a *asker) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case func(actor.Context):
		m(ctx)
	case *relaypb.NodeStats:
		a.w.answers = append(a.w.answers, m)
		if a.w.onStats != nil {
			a.w.onStats(m)
		}
	case proto.Message:
		if _, library := m.(actor.AutoReceiveMessage); !library {
			a.w.answers = append(a.w.answers, m)
		}
	case *refused:
		a.w.refusals = append(a.w.refusals, *m)
	case *counting, *counted:
		a.w.answers = append(a.w.answers, m)
	}
}

// ask sends questions and returns all that was answered at once.
func (w *world) ask(to *actor.PID, questions ...any) []any {
	w.answers = nil
	for _, q := range questions {
		w.sys.Root.RequestWithCustomSender(to, q, w.asker)
	}
	w.d.Settle()
	return slices.Clone(w.answers)
}

// census is how many clients and channels there are.
func (w *world) census() (clients, open int) {
	w.t.Helper()
	for _, pid := range []*actor.PID{w.clients, w.channels} {
		got := w.ask(pid, &relaypb.CensusRequest{})
		if len(got) != 1 {
			w.t.Fatalf("census answered %d times", len(got))
		}
		c := got[0].(*relaypb.Census)
		clients, open = clients+int(c.GetClients()), open+int(c.GetChannels())
	}
	return clients, open
}

// sizes asks the open channels how many members they have.
func (w *world) sizes() map[string]int {
	w.t.Helper()
	sizes := map[string]int{}
	for _, a := range w.ask(w.channels, &count{1}) {
		if c, ok := a.(*counted); ok {
			sizes[c.name] = c.subscribers
		}
	}
	return sizes
}

// tap sees what channels send to a shard in the order they send it, and passes
// it on.
type tap struct {
	w     *world
	shard int
	to    *actor.PID
}

// SendUserMessage implements actor.Process.
func (p *tap) SendUserMessage(_ *actor.PID, msg any) {
	c := cast{p.shard, msg.(*messages.Multicast)}
	p.w.casts = append(p.w.casts, c)
	p.w.lists[c.m] = slices.Concat(c.m.Members, c.m.Lossy)
	if p.w.onCast != nil {
		p.w.onCast(c)
	}
	p.w.sys.Root.Send(p.to, msg)
}

// SendSystemMessage implements actor.Process.
func (p *tap) SendSystemMessage(*actor.PID, any) {}

// Stop implements actor.Process.
func (p *tap) Stop(*actor.PID) {}

// paperShard writes to peers, as gateways/link does to sockets.
type paperShard struct {
	w     *world
	shard int
}

func (s *paperShard) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case func(actor.Context):
		m(ctx)
	case *tree.Batch:
		s.onBatch(m)
	}
}

func (s *paperShard) onBatch(b *tree.Batch) {
	for _, l := range b.Messages {
		m := l.(*messages.Multicast)
		to := slices.Concat(m.Members, m.Lossy)
		if !slices.Equal(to, s.w.lists[m]) {
			s.w.t.Errorf("a list of members was %v when it was sent, and is %v", s.w.lists[m], to)
		}
		for _, id := range to {
			if id != m.Origin {
				s.w.peer(id).hear(m.Frame.Message)
			}
		}
		switch a := m.Answer.(type) {
		case *relaypb.Answer:
			s.w.peer(m.Origin).hearAnswer(a, true)
		case *relaypb.Error:
			s.w.peer(m.Origin).hearError(a)
		}
	}
	for _, l := range b.Messages {
		if m := l.(*messages.Multicast); m.Charge > 0 {
			s.w.peer(m.Origin).give(m.Charge)
		}
	}
}

func (w *world) peer(member uint64) *peer { return w.peers[member-1] }

// quiet lets everything happen that is under way, hashes and late answers too.
func (w *world) quiet() { w.d.Run(3 * time.Second) }
