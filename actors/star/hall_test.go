package star

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"parley/actors/star/peerid"
	"parley/actors/tree"
	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/starpb"
	"parley/testkit"
)

// hall is a rendezvous among links and shards made of paper. A seeded driver runs
// all of it on one goroutine, so that nothing here is locked.
type hall struct {
	t          testing.TB
	d          *testkit.Driver
	sys        *actor.ActorSystem
	o          Options
	top, links *actor.PID
	asker      *actor.PID
	star       *Star
	guests     []*guest // all that ever were
	members    [versions]map[uint64]*guest
	answers    []any // to asker
	onWrite    func(*guest)
	given      int  // multicasts to shards
	mute       bool // shards do not say what they have written
	drawn      int  // nonces
}

const hallShards = 2

// hallRoot does what it is told, and keeps what else it hears.
type hallRoot struct {
	start func(actor.Context)
	hear  func(any)
}

func (p *hallRoot) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		if p.start != nil {
			p.start(ctx)
		}
	case func(actor.Context):
		m(ctx)
	case actor.SystemMessage, actor.AutoReceiveMessage:
	default:
		if p.hear != nil {
			p.hear(m)
		}
	}
}

// hallShard writes at once, to the members that are there.
type hallShard struct {
	h       *hall
	version Version
	number  uint64
}

func (s *hallShard) Receive(ctx actor.Context) {
	m, ok := ctx.Message().(*messages.Multicast)
	if !ok {
		return
	}
	s.h.given++
	addresses := m.Frame.Message.(*starpb.Peers).GetAddresses()
	for _, member := range m.Members {
		if member%hallShards != s.number {
			s.h.t.Errorf("member %d is sent to shard %d", member, s.number)
		}
		if g := s.h.members[s.version][member]; g != nil && !g.gone && member != m.Origin {
			s.h.onWrite(g)
			g.onPeers(addresses)
		}
	}
	if m.Written != nil && !s.h.mute {
		m.Written()
	}
}

func newHall(t testing.TB, d *testkit.Driver, o Options, opts ...testkit.SystemOption) *hall {
	t.Helper()
	h := &hall{t: t, d: d, o: o, onWrite: func(*guest) {}}
	for v := range h.members {
		h.members[v] = map[uint64]*guest{}
	}
	h.sys = testkit.System(t, append(opts, testkit.Under(d))...)
	if h.o.Draw == nil {
		h.o.Draw = func() string {
			h.drawn++
			return fmt.Sprint("nonce ", h.drawn)
		}
	}
	h.o.Sid = func() string { return "sid" }
	h.top = tree.Spawn(h.sys.Root, "top", tree.Spec{Children: tree.Fatal, New: func() actor.Actor { return &hallRoot{start: h.start} }})
	d.Settle()
	return h
}

func (h *hall) start(ctx actor.Context) {
	for v := range h.o.Fanout {
		for i := range hallShards {
			h.o.Fanout[v].Shards = append(h.o.Fanout[v].Shards, tree.Spawn(ctx, fmt.Sprint("shard", v, i), tree.Spec{
				New: func() actor.Actor { return &hallShard{h, Version(v), uint64(i)} },
			}))
		}
	}
	h.links = tree.Spawn(ctx, "links", tree.Spec{New: func() actor.Actor { return &hallRoot{} }})
	h.asker = tree.Spawn(ctx, "asker", tree.Spec{New: func() actor.Actor {
		return &hallRoot{hear: func(m any) { h.answers = append(h.answers, m) }}
	}})
	h.star = Spawn(ctx, h.o)
}

// stop ends the rendezvous; nothing may be left, and no credit be held.
func (h *hall) stop() {
	h.t.Helper()
	h.d.Settle()
	for _, g := range h.guests {
		if !g.gone && (g.credit != 0 || g.excess) {
			h.t.Errorf("%s: %d units of credit are not given back, more than were held: %v", g.name, g.credit, g.excess)
		}
	}
	testkit.Stop(h.t, h.sys, h.top)
}

// status asks the rendezvous what goes on.
func (h *hall) status() *starpb.Status {
	h.t.Helper()
	h.answers = nil
	h.sys.Root.RequestWithCustomSender(h.star.Registry, &starpb.StatusRequest{}, h.asker)
	h.d.Settle()
	if len(h.answers) != 1 {
		h.t.Fatalf("status was answered %d times", len(h.answers))
	}
	return h.answers[0].(*starpb.Status)
}

// online checks which addresses are.
func (h *hall) online(want ...string) {
	h.t.Helper()
	h.d.Settle()
	got := h.status()
	slices.Sort(want)
	if !slices.Equal(got.GetAddresses(), want) || int(got.GetPeers()) != len(want) {
		h.t.Fatalf("online are %d\n%q, want\n%q", got.GetPeers(), got.GetAddresses(), want)
	}
}

// counted reads a counter.
func (h *hall) counted(name, value string) int64 {
	for _, c := range tree.Of(h.sys).All() {
		if c.Name == name && c.Value == value {
			return c.Load()
		}
	}
	return 0
}

// guest is a client's end of a link.
type guest struct {
	h       *hall
	name    string
	version Version
	member  uint64
	link    *actor.PID
	session *actor.PID // set by Accepted

	gone     bool // its link has stopped
	code     uint32
	credit   int64 // held
	excess   bool  // more was given back than held
	acks     uint64
	heard    []string       // but for peers
	peers    map[string]int // how often it heard of each
	last     []string       // addresses that its last join was answered with
	nonce    string         // the last
	onAnswer func(*starpb.Reply)
}

// guest connects a client.
func (h *hall) guest(v Version) *guest {
	h.t.Helper()
	g := h.arrive(v)
	h.d.Settle()
	if g.session == nil && g.code == 0 {
		h.t.Fatal("a link was not served")
	}
	return g
}

// arrive is guest that waits for nothing.
func (h *hall) arrive(v Version) *guest {
	g := &guest{h: h, name: fmt.Sprint("guest ", len(h.guests)), version: v, member: uint64(len(h.guests)) + 1, peers: map[string]int{}}
	h.guests = append(h.guests, g)
	h.members[v][g.member] = g
	h.sys.Root.Send(h.links, func(ctx actor.Context) {
		g.link = tree.Spawn(ctx, "", tree.Spec{New: func() actor.Actor { return &hallLink{g} }})
	})
	return g
}

// hallLink stands for a gateway's link.
type hallLink struct{ *guest }

// hallHangUp ends a link from outside.
type hallHangUp struct{}

// IgnoreDeadLetterLogging marks messages that may find the link stopped.
func (hallHangUp) IgnoreDeadLetterLogging() {}

func (l *hallLink) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		ctx.Request(l.h.star.Sessions[l.version], &linkpb.Opened{Protocol: "star", Member: l.member})
	case *linkpb.Accepted:
		l.session = ctx.Sender()
	case *linkpb.Settled:
		l.give(int64(m.GetCharge()))
	case *linkpb.Close:
		l.code = m.GetCode()
		ctx.Stop(ctx.Self())
	case hallHangUp:
		ctx.Stop(ctx.Self())
	case *actor.Stopped:
		l.gone = true
		if l.session != nil {
			ctx.Send(l.session, &linkpb.Closed{})
		}
	case actor.SystemMessage, actor.AutoReceiveMessage:
	case proto.Message:
		l.hear(m)
	}
}

func (g *guest) give(charge int64) {
	if g.credit -= charge; g.credit < 0 {
		g.credit, g.excess = 0, true
	}
}

// hear notes what is written to the client.
func (g *guest) hear(m proto.Message) {
	switch m := m.(type) {
	case *starpb.Welcome:
	case *starpb.Connected:
		g.give(1)
		g.note("connected")
	case *starpb.Refused:
		g.give(1)
		g.note("refused %s", m.GetNamespace())
	case *starpb.Pong:
		g.give(1)
		g.note("pong %s", m.GetData())
	case *starpb.Reply:
		if !m.GetSettled() {
			g.give(1)
		}
		g.onReply(m)
	default:
		g.h.t.Errorf("%s hears %T", g.name, m)
	}
}

func (g *guest) onReply(m *starpb.Reply) {
	switch {
	case len(m.GetError()) > 0:
		g.note("%d %s", m.GetAck(), m.GetError())
	case m.GetNonce() != "":
		g.nonce = m.GetNonce()
		g.note("%d nonce", m.GetAck())
	case m.GetJoined():
		g.last = slices.DeleteFunc(slices.Sorted(slices.Values(m.GetAddresses())), func(address string) bool {
			return slices.Contains(m.GetOwn(), address)
		})
		g.note("%d joined", m.GetAck())
	default:
		g.note("%d", m.GetAck())
	}
	if g.onAnswer != nil {
		g.onAnswer(m)
	}
}

func (g *guest) note(format string, args ...any) {
	g.heard = append(g.heard, fmt.Sprintf(format, args...))
}

func (g *guest) onPeers(addresses []string) {
	for _, address := range addresses {
		g.peers[address]++
	}
}

// wants checks what was heard since the last time.
func (g *guest) wants(want ...string) {
	g.h.t.Helper()
	g.h.d.Settle()
	if !slices.Equal(g.heard, want) {
		g.h.t.Fatalf("%s heard\n%q, want\n%q", g.name, g.heard, want)
	}
	g.heard = nil
}

// say sends to the session, as a reader does.
func (g *guest) say(ms ...proto.Message) *guest {
	for _, m := range ms {
		switch m := m.(type) {
		case *starpb.Alive:
			g.credit += int64(m.GetCharge())
		case *starpb.Invalid:
			g.credit += int64(m.GetCharge())
		case *starpb.Stream:
			g.credit += int64(m.GetCharge())
		default:
			g.credit++
		}
		g.h.sys.Root.Send(g.session, m)
	}
	return g
}

func (g *guest) hangUp() { g.h.sys.Root.Send(g.link, hallHangUp{}) }

// join is ss-join under the next ack id.
func (g *guest) join(address, data string) *starpb.Join {
	g.acks++
	return &starpb.Join{Address: address, Data: data, Ack: proto.Uint64(g.acks - 1)}
}

// joins makes a join without a challenge that succeeds, and returns of whom it heard.
func (g *guest) joins(address string) []string {
	g.h.t.Helper()
	g.say(g.join(address, "")).wants(fmt.Sprintf("%d joined", g.acks-1))
	return g.last
}

// identity is a client's key.
type identity struct {
	private ed25519.PrivateKey
	public  string // as in a join
	id      string
}

// newIdentity makes the key of a number.
func newIdentity(t testing.TB, n byte) identity {
	t.Helper()
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = n
	private := ed25519.NewKeyFromSeed(seed)
	raw := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1)
	raw = protowire.AppendBytes(protowire.AppendTag(raw, 2, protowire.BytesType), private.Public().(ed25519.PublicKey))
	key, err := peerid.ParseKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	return identity{private, hex.EncodeToString(raw), key.ID()}
}

// at is the identity's address at a port.
func (i identity) at(port int) string {
	return fmt.Sprintf("/ip4/127.0.0.1/tcp/%d/ws/p2p-websocket-star/ipfs/%s", port, i.id)
}

func (i identity) sign(nonce string) string {
	return hex.EncodeToString(ed25519.Sign(i.private, []byte(nonce)))
}

// proves makes a join with a challenge that succeeds.
func (g *guest) proves(i identity, address string) []string {
	g.h.t.Helper()
	g.say(g.join(address, i.public)).wants(fmt.Sprintf("%d nonce", g.acks-1))
	g.say(g.join(address, i.sign(g.nonce))).wants(fmt.Sprintf("%d joined", g.acks-1))
	return g.last
}

// at is the address of number n, where nobody asks for a key.
func at(n int) string {
	return fmt.Sprintf("/dns4/star.example/tcp/%d/wss/p2p-websocket-star/ipfs/QmNj3AuAtJuYSUthdPTJbu435fyVncXw6CBRhM5rR9ZAVv", n)
}

// hallTB lets testkit fail another kind of test. It does not mind how many actors
// failed.
type hallTB struct {
	testing.TB
	other interface {
		Errorf(string, ...any)
		Fatalf(string, ...any)
		Error(...any)
		Fatal(...any)
		Failed() bool
		Cleanup(func())
	}
}

func (b hallTB) Cleanup(f func())                  { b.other.Cleanup(f) }
func (b hallTB) Error(args ...any)                 { b.other.Error(args...) }
func (b hallTB) Fatal(args ...any)                 { b.other.Fatal(args...) }
func (b hallTB) Fatalf(format string, args ...any) { b.other.Fatalf(format, args...) }
func (b hallTB) Failed() bool                      { return b.other.Failed() }
func (b hallTB) Helper()                           {}
func (b hallTB) Logf(string, ...any)               {}

func (b hallTB) Errorf(format string, args ...any) {
	if !strings.HasPrefix(format, "testkit: %d actors failed, the test declared") {
		b.other.Errorf(format, args...)
	}
}

// anyHallFailures goes with hallTB.
var anyHallFailures = testkit.ExpectFailures(math.MaxInt)

// pass lets time go by in which everybody says that it lives.
func (h *hall) pass(d time.Duration) {
	for ; d > 0; d -= time.Second {
		for _, g := range h.guests {
			if !g.gone {
				g.say(&starpb.Alive{Charge: 1})
			}
		}
		h.d.Run(min(d, time.Second))
	}
}
