package mesh

import (
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/meshpb"
	"parley/messages/relaypb"
	"parley/testkit"
)

// bureau is one actor of the mesh among others made of paper, which note what
// they are told. A seeded driver runs all of it on one goroutine.
type bureau struct {
	t   testing.TB
	d   *testkit.Driver
	sys *actor.ActorSystem
	o   Options
	met meet

	top, pid, asker *actor.PID
	alive           []string // nodes that may be asked
	mute            bool     // the router answers nothing
	seq             uint64   // of what was posted
	posts           []*post
	times           []time.Time           // of posts, all that ever were
	inquiries       map[string][]*inquiry // by actor
	questions       []any                 // to stats and host
	answers         []*meshpb.AskResponse // to asker
	others          []any                 // to asker, likewise
	onPost          func(ctx actor.Context, m *post, n nonce)
	onQuestion      func(ctx actor.Context)
	extra           func(ctx actor.Context) // sees all that any paper is told
}

// paper is an actor that does what a function says.
func (b *bureau) paper(ctx actor.SpawnerContext, name string, f func(actor.Context)) *actor.PID {
	return tree.Spawn(ctx, name, tree.Spec{New: func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			f(ctx)
			if b.extra != nil {
				b.extra(ctx)
			}
		})
	}})
}

// newBureau starts the actor that make makes, as Spawn would.
func newBureau(t testing.TB, d *testkit.Driver, o Options, name string, make func(*Options, *meet) actor.Actor, opts ...testkit.SystemOption) *bureau {
	t.Helper()
	if o.Name == "" {
		o.Name = "self"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	b := &bureau{t: t, d: d, o: o, inquiries: map[string][]*inquiry{}}
	b.sys = testkit.System(t, append(opts, testkit.Under(d))...)
	b.met.router = b.paper(b.sys.Root, "router", b.router)
	for _, other := range []struct {
		name string
		pid  **actor.PID
	}{{"peers", &b.met.peers}, {"reservations", &b.met.reservations}, {"desk", &b.met.commands}, {"cabinet", &b.o.Store}} {
		if other.name == "cabinet" && o.Store != nil {
			continue // a real one
		}
		*other.pid = b.paper(b.sys.Root, other.name, func(ctx actor.Context) {
			if m, ok := ctx.Message().(*inquiry); ok {
				b.inquiries[other.name] = append(b.inquiries[other.name], m)
			}
		})
	}
	b.met.Stats = b.paper(b.sys.Root, "stats", b.figures)
	b.met.Host = b.paper(b.sys.Root, "host", b.figures)
	b.asker = b.paper(b.sys.Root, "asker", func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case *meshpb.AskResponse:
			b.answers = append(b.answers, m)
		case actor.SystemMessage, actor.AutoReceiveMessage:
		case proto.Message:
			b.others = append(b.others, m)
		}
	})
	a := make(&b.o, &b.met)
	b.top = tree.Spawn(b.sys.Root, "top", tree.Spec{Children: tree.Restart, New: func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); ok {
				b.pid = tree.Spawn(ctx, name, tree.Spec{New: func() actor.Actor { return a }})
			}
		})
	}})
	d.Settle()
	return b
}

func (b *bureau) router(ctx actor.Context) {
	m, ok := ctx.Message().(*post)
	if !ok {
		return
	}
	b.posts, b.times = append(b.posts, m), append(b.times, time.Now())
	if b.mute {
		return
	}
	b.seq++
	n := nonce{b.o.Boot, b.seq}
	if ctx.Sender() != nil {
		asked := b.alive
		if m.destination != everyone {
			asked = nil
			for _, name := range b.alive {
				if name == m.destination {
					asked = []string{name}
				}
			}
		}
		ctx.Respond(&posted{ticket: m.ticket, boot: n.boot, seq: n.seq, asked: asked})
	}
	if b.onPost != nil {
		b.onPost(ctx, m, n)
	}
}

func (b *bureau) figures(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *relaypb.NodeStatsRequest, *relaypb.HostStatsRequest:
		b.questions = append(b.questions, m)
		if b.onQuestion != nil {
			b.onQuestion(ctx)
		}
	}
}

// tell sends a message to the actor, and lets all happen that follows at once.
func (b *bureau) tell(messages ...any) {
	for _, m := range messages {
		b.sys.Root.RequestWithCustomSender(b.pid, m, b.asker)
	}
	b.d.Settle()
}

// restart makes the actor fail, as by a bug: it is made anew.
func (b *bureau) restart() {
	p, _ := b.sys.ProcessRegistry.Get(b.pid)
	p.SendSystemMessage(b.pid, &actor.SuspendMailbox{})
	p.SendSystemMessage(b.pid, &actor.Restart{})
	b.d.Settle()
}

func (b *bureau) stop() {
	b.t.Helper()
	testkit.Stop(b.t, b.sys, b.top, b.met.router, b.met.peers, b.met.reservations, b.met.Stats, b.met.Host, b.met.commands, b.o.Store, b.asker)
}

// response is an answer as the router would hand it over.
func response(from string, n nonce, r *meshpb.Response) *received {
	return &received{packet: &meshpb.Packet{Source: from, Destination: "self", Boot: n.boot, Seq: n.seq, Response: r}, from: "link"}
}

// command is a command as the router would hand it over.
func command(from, to, name string, seq uint64) *received {
	return &received{packet: &meshpb.Packet{Source: from, Destination: to, Boot: 1, Seq: seq, Command: &meshpb.Command{Name: name}}, from: "link"}
}
