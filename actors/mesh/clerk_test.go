package mesh

import (
	"slices"
	"testing"
	"time"
	"unique"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/meshpb"
	"parley/messages/relaypb"
	"parley/testkit"
)

// clerk is reservations among paper: all that it is linked with is one actor,
// which keeps what it is told and answers what a test says.
type clerk struct {
	t     testing.TB
	d     *testkit.Driver
	sys   *actor.ActorSystem
	me    *reservations
	top   *actor.PID
	pid   *actor.PID
	paper *actor.PID
	told  []any                                                  // but for questions
	asked []*meshpb.AskRequest                                   // all that ever were
	reply func(c *meshpb.Command, to string) *meshpb.AskResponse // nil result: no answer, yet
	kept  []*meshpb.AskRequest                                   // not answered
}

func newClerk(t testing.TB, d *testkit.Driver, o Options, opts ...testkit.SystemOption) *clerk {
	t.Helper()
	c := &clerk{t: t, d: d, sys: testkit.System(t, append(opts, testkit.Under(d))...)}
	if o.Name == "" {
		o.Name, o.Boot = "self", 5
	}
	o.Now = time.Now
	c.paper = tree.Spawn(c.sys.Root, "paper", tree.Spec{New: func() actor.Actor { return actor.ReceiveFunc(c.receive) }})
	met := &meet{router: c.paper, hello: c.paper, commands: c.paper, peers: c.paper}
	met.Channels, met.Health = c.paper, c.paper
	c.me = newReservations(&o, met).(*reservations)
	c.top = tree.Spawn(c.sys.Root, "top", tree.Spec{Children: tree.Restart, New: func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); ok {
				c.pid = tree.Spawn(ctx, "reservations", tree.Spec{New: func() actor.Actor { return c.me }})
			}
		})
	}})
	d.Settle()
	return c
}

func (c *clerk) stop() {
	c.t.Helper()
	testkit.Stop(c.t, c.sys, c.top, c.paper)
}

func (c *clerk) receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *meshpb.AskRequest:
		c.asked = append(c.asked, m)
		var a *meshpb.AskResponse
		if c.reply != nil {
			a = c.reply(m.GetCommand(), m.GetDestination())
		}
		if a == nil {
			c.kept = append(c.kept, m)
			return
		}
		a.Ticket = m.GetTicket()
		ctx.Respond(a)
	case *holds, *doubtful, *version, *synced, *post, *relaypb.Ailment, *meshpb.Evict, *meshpb.OpenResponse, *meshpb.HoldingsResponse:
		c.told = append(c.told, m)
	}
}

// answer answers the oldest question of that name that was kept.
func (c *clerk) answer(name string, answers ...*meshpb.Answer) {
	c.t.Helper()
	i := slices.IndexFunc(c.kept, func(m *meshpb.AskRequest) bool { return m.GetCommand().GetName() == name })
	if i < 0 {
		c.t.Fatalf("%s was not asked", name)
	}
	m := c.kept[i]
	c.kept = slices.Delete(c.kept, i, i+1)
	c.send(&meshpb.AskResponse{Ticket: m.GetTicket(), Answers: answers})
}

func (c *clerk) send(m any) {
	c.sys.Root.RequestWithCustomSender(c.pid, m, c.paper)
	c.d.Settle()
}

// last is the last that reservations told of that kind, since it was last asked for.
func last[T any](c *clerk) (m T) {
	for _, x := range c.told {
		if y, ok := x.(T); ok {
			m = y
		}
	}
	c.told = slices.DeleteFunc(c.told, func(x any) bool { _, ok := x.(T); return ok })
	return m
}

// question is the last command of a name that was sent to others.
func (c *clerk) question(name string) *meshpb.Command {
	for _, m := range slices.Backward(c.asked) {
		if m.GetCommand().GetName() == name {
			return m.GetCommand()
		}
	}
	return nil
}

// link has a peer come up that tells what it has open.
func (c *clerk) link(name string, foreign bool, entries ...*meshpb.Entry) {
	boot := uint64(1)
	if foreign {
		boot = 0
	}
	c.reply = answering(name, &meshpb.Listing{Boot: boot, Ver: uint64(len(entries)) * boot, Entries: entries}, &meshpb.Listing{})
	c.send(&linked{neighbor{name: name, boot: boot, member: 1, foreign: foreign}})
	c.reply = nil
	if got := last[*synced](c); got == nil || got.name != name {
		c.t.Errorf("synced: %v", got)
	}
}

// answering answers both lists of a peer.
func answering(name string, open, reserved *meshpb.Listing) func(*meshpb.Command, string) *meshpb.AskResponse {
	return func(m *meshpb.Command, to string) *meshpb.AskResponse {
		l := map[string]*meshpb.Listing{cmdChannels: open, cmdReserved: reserved}[m.GetName()]
		if l == nil || to != name {
			return nil
		}
		return &meshpb.AskResponse{Answers: []*meshpb.Answer{{Node: name, Response: &meshpb.Response{Listing: l}}}}
	}
}

// inquire has another node send a command, and returns what it is answered.
func (c *clerk) inquire(source string, m *meshpb.Command) *meshpb.Response {
	c.t.Helper()
	last[*post](c)
	p := &meshpb.Packet{Source: source, Destination: "*", Command: m}
	c.send(&inquiry{packet: p, from: source})
	got := last[*post](c)
	if got == nil {
		return nil
	}
	if got.to != p || got.destination != source {
		c.t.Errorf("answered %+v", got)
	}
	return got.response
}

// want opens a name and returns the outcome so far.
func (c *clerk) want(name, hash string) *meshpb.OpenResponse {
	m := &meshpb.OpenRequest{Channel: name, HasPassword: hash != ""}
	if len(hash) > 1 {
		m.Hash = []byte(hash)
	}
	c.send(m)
	return last[*meshpb.OpenResponse](c)
}

func (c *clerk) expect(what string, m *meshpb.OpenResponse, want meshpb.Outcome, hash string) {
	c.t.Helper()
	if m == nil || m.GetOutcome() != want || string(m.GetHash()) != hash {
		c.t.Errorf("%s: %v, want %v %q", what, m, want, hash)
	}
}

func entry(name, hash string, ts uint64, owner string) *meshpb.Entry {
	return entryOf(name, &claim{ts, unique.Make(owner), hash})
}

// one runs a test with one reservations actor, in a few orders.
func one(t *testing.T, o Options, test func(c *clerk)) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		c := newClerk(t, d, o)
		test(c)
		c.stop()
	})
}
