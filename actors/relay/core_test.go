package relay

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"parley/messages/linkpb"
	"parley/messages/meshpb"
	"parley/messages/relaypb"
	"parley/messages/vaultpb"
	"parley/testkit"
)

// names is how many channels the peers know.
const names = 3

// rapidTB lets testkit fail a rapid test.
type rapidTB struct {
	testing.TB
	rt *rapid.T
}

func (b rapidTB) Cleanup(f func())                  { b.rt.Cleanup(f) }
func (b rapidTB) Error(args ...any)                 { b.rt.Error(args...) }
func (b rapidTB) Errorf(format string, args ...any) { b.rt.Errorf(format, args...) }
func (b rapidTB) Fatal(args ...any)                 { b.rt.Fatal(args...) }
func (b rapidTB) Fatalf(format string, args ...any) { b.rt.Fatalf(format, args...) }
func (b rapidTB) Failed() bool                      { return b.rt.Failed() }
func (b rapidTB) Helper()                           {}
func (b rapidTB) Logf(string, ...any)               {}

// op is one act of a script, as rapid draws it.
type op struct {
	Kind     string
	Channel  string
	Password string
	Flag     bool // lossy, silent, or: say more behind the last word
	Number   int  // charge, or milliseconds
}

// kinds are the kinds of op, the frequent ones more often.
var kinds = []string{
	"subscribe", "subscribe", "subscribe", "send", "send", "send", "send", "unsubscribe", "unsubscribe",
	"list", "bad", "stats", "wait", "wait", "sleep", "hangup",
}

// meshing are more kinds, that other nodes bring about.
var meshing = append([]string{"deliver", "deliver", "deliver"}, kinds...)

// evicting are more kinds, by which other nodes take names away and give them free.
var evicting = append([]string{"evict", "evict", "free", "deliver", "deliver"}, failing...)

// failing are more kinds, of which the actors of channels and peers fail.
var failing = append([]string{"fail client", "fail channel", "fail channel", "fail channels"}, kinds...)

func drawOp(kinds []string) *rapid.Generator[op] {
	return rapid.Custom(func(t *rapid.T) op {
		return op{
			Kind:     rapid.SampledFrom(kinds).Draw(t, "kind"),
			Channel:  string(rune('a' + rapid.IntRange(0, names-1).Draw(t, "channel"))),
			Password: rapid.SampledFrom([]string{"", "", "p", "q"}).Draw(t, "password"),
			Flag:     rapid.IntRange(0, 3).Draw(t, "flag") == 3,
			Number:   rapid.IntRange(1, 40).Draw(t, "number"),
		}
	})
}

// command makes what an op says, nil if it says nothing, and notes it.
func (m *model) command(p *peer, o op) proto.Message {
	c := &command{p: p, kind: o.Kind, channel: o.Channel}
	switch o.Kind {
	case "subscribe":
		c.password = o.Password
		return &relaypb.Subscribe{
			Channel: o.Channel, Password: o.Password, HasPassword: o.Password != "", Lossy: o.Flag, Nonce: m.note(c),
		}
	case "unsubscribe":
		return &relaypb.Unsubscribe{Channel: o.Channel, Nonce: m.note(c)}
	case "send":
		c.silent = o.Flag
		return &relaypb.Send{
			Channel: o.Channel, Message: fmt.Appendf(nil, `"%d"`, len(m.commands)+1),
			Nonce: m.note(c), Silent: o.Flag, Charge: uint32(1 + o.Number%4),
		}
	case "list":
		return &relaypb.List{Nonce: m.note(c)}
	case "bad":
		return &linkpb.Malformed{Reason: "bad", Nonce: m.note(c), Charge: 1}
	}
	return nil
}

// act makes an op something a peer does.
func (m *model) act(o op) act {
	return func(p *peer, ctx actor.Context) time.Duration {
		switch o.Kind {
		case "wait":
			p.waits = true
		case "sleep":
			return time.Duration(o.Number) * time.Millisecond
		case "stats":
			p.w.sys.Root.RequestWithCustomSender(p.w.stats, &relaypb.NodeStatsRequest{}, p.w.asker)
		case "fail client":
			p.doomed = true
			ctx.Send(p.server, poison)
		case "fail channel":
			if c := p.w.core.open[o.Channel]; c != nil {
				ctx.Send(c.pid, channelPoison)
			}
		case "fail channels":
			if m.restarts++; m.restarts <= restartsMost {
				ctx.Send(p.w.channels, channelsPoison)
			}
		case "deliver":
			m.come++
			p.w.mesh.deliver(ctx, o.Channel, fmt.Sprintf(`"%d"`, m.come))
		case "evict":
			p.w.mesh.evict(ctx, o.Channel, sumOf(o.Channel, o.Password, o.Flag))
		case "free":
			delete(p.w.mesh.foreign, o.Channel)
		case "hangup":
			if o.Flag {
				for _, kind := range []string{"subscribe", "send", "list", "bad", "unsubscribe"} {
					p.late = append(p.late, m.command(p, op{Kind: kind, Channel: o.Channel, Password: o.Password}))
				}
			}
			ctx.Stop(ctx.Self())
		default:
			p.say(m.command(p, o))
		}
		return 0
	}
}

// scripts draws what peers do in one round.
func (m *model) scripts(t *rapid.T) (all [][]act) {
	draw := drawOp(kinds)
	switch {
	case m.failures && m.w.mesh != nil:
		draw = drawOp(evicting)
	case m.failures:
		draw = drawOp(failing)
	case m.w.mesh != nil:
		draw = drawOp(meshing)
	}
	for _, ops := range rapid.SliceOfN(rapid.SliceOfN(draw, 0, 14), 1, 5).Draw(t, "scripts") {
		var script []act
		for _, o := range ops {
			script = append(script, m.act(o))
		}
		all = append(all, script)
	}
	return all
}

// drawnMesh is a mesh that has some names, and takes its time.
func drawnMesh(rt *rapid.T, seed uint64) *paperMesh {
	m := newPaperMesh()
	for _, o := range rapid.SliceOfN(drawOp(kinds), 0, names).Draw(rt, "foreign") {
		m.foreign[o.Channel] = nil
		if o.Password != "" {
			m.foreign[o.Channel] = sumOf(o.Channel, o.Password, o.Flag)
		}
	}
	rng := rand.New(rand.NewPCG(seed, 2))
	m.takes = func(*meshpb.OpenRequest) time.Duration { return time.Duration(rng.IntN(4)) * 9 * time.Millisecond }
	return m
}

// drawnWorld is a world and its model for a rapid test.
func drawnWorld(t *testing.T, rt *rapid.T, meshed, failures bool, opts ...testkit.SystemOption) (*world, *model) {
	limits := Limits{ChannelsPerClient: rapid.IntRange(1, names).Draw(rt, "per client"), Channels: rapid.IntRange(1, names+1).Draw(rt, "in all")}
	seed := rapid.Uint64().Draw(rt, "seed")
	var tb testing.TB = rapidTB{t, rt}
	if failures {
		tb, opts = lenientTB{tb}, append(opts, anyFailures)
	}
	var mesh *paperMesh
	if meshed {
		mesh = drawnMesh(rt, seed)
	}
	w := newWorldIn(tb, testkit.NewDriver(seed), rapid.IntRange(1, 3).Draw(rt, "shards"), limits, mesh, opts...)
	m := newModel(w, failures)
	rng := rand.New(rand.NewPCG(seed, 1))
	w.safe.takes = func(*vaultpb.HashRequest) (time.Duration, bool) {
		return time.Duration(rng.IntN(3)) * 7 * time.Millisecond, rng.IntN(12) == 0
	}
	return w, m
}

// round connects peers, some for those that are gone, and gives all a script.
func (m *model) round(scripts [][]act) {
	var idle []*peer
	for _, p := range m.w.peers {
		if !p.gone {
			idle = append(idle, p)
		}
	}
	for i, p := range idle[:min(len(idle), len(scripts))] {
		p.script = scripts[i]
		m.w.sys.Root.Send(p.link, step{})
	}
	for _, p := range m.w.connect(scripts[min(len(idle), len(scripts)):]...) {
		m.follow(p)
	}
	m.w.quiet()
}

// end lets everybody leave: nothing of them may remain.
func (m *model) end() {
	m.w.t.Helper()
	for _, p := range m.w.peers {
		if !p.gone {
			p.hangUp()
		}
	}
	m.w.quiet()
	if clients, open := m.w.census(); clients+open > 0 {
		m.errorf("%d clients and %d channels are left", clients, open)
	}
	if left := append(m.w.alive(m.w.clients), m.w.alive(m.w.channels)...); len(left) > 0 {
		m.errorf("left are %s", strings.Join(left, " "))
	}
	if len(m.w.core.open)+len(m.w.core.byPID) > 0 {
		m.errorf("channels still knows %v", m.w.core.open)
	}
	if m.w.t.Failed() {
		m.errorf("they heard:%s", m.story())
	}
	m.w.stop()
}

// TestCore lets peers that wait for nobody subscribe, leave, send and vanish,
// and compares what they hear with a model.
func TestCore(t *testing.T) { core(t, false, false) }

// TestCoreWithFailures is TestCore among actors that fail at any moment.
func TestCoreWithFailures(t *testing.T) { core(t, false, true) }

// TestCoreInAMesh is TestCore in a node that asks others for names, and hears
// from them.
func TestCoreInAMesh(t *testing.T) { core(t, true, false) }

// TestCoreInAMeshWithFailures is TestCoreWithFailures in such a node, which
// loses names to others, too.
func TestCoreInAMeshWithFailures(t *testing.T) { core(t, true, true) }

func core(t *testing.T, meshed, failures bool) {
	rapid.Check(t, func(rt *rapid.T) {
		rapid.SyncTest(rt, func(rt *rapid.T) {
			_, m := drawnWorld(t, rt, meshed, failures)
			for range rapid.IntRange(1, 3).Draw(rt, "rounds") {
				m.round(m.scripts(rt))
				m.settled()
			}
			m.end()
		})
	})
}
