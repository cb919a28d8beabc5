package relay

import (
	"crypto/sha512"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/meshpb"
)

// paperMesh stands for the other nodes: for who reserves names, and for the
// router. It checks that what channels tell it fits together.
type paperMesh struct {
	w      *world
	takes  func(*meshpb.OpenRequest) time.Duration // until an OpenRequest is looked at; negative: for ever. nil: at once
	behind bool
	alone  bool

	reservations, router *actor.PID

	foreign  map[string][]byte     // names that other nodes have open, and their hashes; nil: no password
	own      map[string][]byte     // names that are open here
	evicted  map[string]int        // names that were, and are still to be dropped
	asked    map[string]bool       // names with an OpenRequest under way
	carried  map[string]*actor.PID // channels that the router knows
	keys     map[string]string     // of carried
	passed   []*meshpb.Message     // what channels published
	requests []string              // OpenRequests, for tests
	dropped  []string              // Drops to reservations, for tests
}

func newPaperMesh() *paperMesh {
	return &paperMesh{
		foreign: map[string][]byte{}, own: map[string][]byte{}, evicted: map[string]int{}, asked: map[string]bool{},
		carried: map[string]*actor.PID{}, keys: map[string]string{},
	}
}

// start puts the mesh into a world.
func (m *paperMesh) start(ctx actor.Context, w *world) *Mesh {
	if m == nil {
		return &Mesh{}
	}
	m.w = w
	m.reservations = tree.Spawn(ctx, "reservations", tree.Spec{New: func() actor.Actor { return &paperReservations{m} }})
	router, ok := w.sys.ProcessRegistry.Add(&paperRouter{m}, "router")
	if !ok {
		w.t.Fatal("two routers in one system")
	}
	m.router = router
	return &Mesh{Router: m.router, Reservations: m.reservations, Behind: func() bool { return m.behind }, Alone: func() bool { return m.alone }}
}

// longSum stands for the hash that another program makes of a password.
func longSum(channel, password string) []byte {
	h := sha512.Sum512([]byte(channel + "\x00" + password))
	return h[:]
}

// look says what becomes of a request, as reservations do.
func (m *paperMesh) look(r *meshpb.OpenRequest) *meshpb.OpenResponse {
	name := r.GetChannel()
	delete(m.asked, name)
	a := &meshpb.OpenResponse{Channel: name}
	held, taken := m.foreign[name]
	switch {
	case !taken && r.GetHasPassword() && len(r.GetHash()) == 0:
		a.Outcome = meshpb.Outcome_OUTCOME_NEED_HASH
	case taken && len(held) > 0 && r.GetHasPassword() && len(r.GetHash()) != len(held):
		a.Outcome = meshpb.Outcome_OUTCOME_NEED_HASH
		if len(held) == longHash {
			a.Outcome = meshpb.Outcome_OUTCOME_NEED_LONG_HASH
		}
	case taken && len(held) > 0 && string(held) != string(r.GetHash()):
		a.Outcome = meshpb.Outcome_OUTCOME_WRONG_PASSWORD
	default:
		if !taken {
			held = r.GetHash()
		}
		a.Outcome, a.Hash = meshpb.Outcome_OUTCOME_OPEN, held
		m.own[name] = held
	}
	return a
}

// evict takes a name away from this node, for another with a hash.
func (m *paperMesh) evict(ctx actor.SenderContext, name string, hash []byte) {
	m.foreign[name] = hash
	if _, open := m.own[name]; open {
		delete(m.own, name)
		m.evicted[name]++
		ctx.Send(m.w.channels, &meshpb.Evict{Channel: name})
	}
}

// deliver sends a message from another node to a channel, if it is known.
func (m *paperMesh) deliver(ctx actor.SenderContext, name, payload string) {
	if pid := m.carried[name]; pid != nil {
		ctx.Send(pid, &meshpb.Delivery{Message: &meshpb.Message{Channel: name, Payload: []byte(payload)}})
	}
}

// settled checks that the mesh and channels agree.
func (m *paperMesh) settled() {
	m.w.t.Helper()
	open := m.w.core.open
	for name, hash := range m.own {
		if o := open[name]; o == nil || string(o.hash) != string(hash) {
			m.w.t.Errorf("%q is reserved with %x, and open as %v", name, hash, o)
		}
	}
	for name, o := range open {
		if _, own := m.own[name]; !own || !o.pid.Equal(m.carried[name]) {
			m.w.t.Errorf("%q is open and not reserved, or carried to %v", name, m.carried[name])
		}
	}
	if len(m.carried) != len(open) || len(m.asked)+len(m.w.core.kept.openings) > 0 {
		m.w.t.Errorf("carried are %v, asked for %v, opening %v", m.carried, m.asked, m.w.core.kept.openings)
	}
}

type paperReservations struct{ *paperMesh }

// opened is a request that was waited for.
type opened struct {
	from *actor.PID
	r    *meshpb.OpenRequest
}

func (p *paperReservations) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case func(actor.Context):
		m(ctx)
	case *meshpb.OpenRequest:
		p.onOpenRequest(ctx, m)
	case *opened:
		ctx.Send(m.from, p.look(m.r))
	case *meshpb.Drop:
		name := m.GetChannel()
		p.dropped = append(p.dropped, name)
		if _, own := p.own[name]; own {
			delete(p.own, name)
		} else if p.evicted[name]--; p.evicted[name] < 0 {
			p.w.t.Errorf("%q was given back, and was not open", name)
		}
	}
}

func (p *paperReservations) onOpenRequest(ctx actor.Context, r *meshpb.OpenRequest) {
	name := r.GetChannel()
	p.requests = append(p.requests, fmt.Sprintf("%s %v %d", name, r.GetHasPassword(), len(r.GetHash())))
	if _, own := p.own[name]; own || p.asked[name] {
		p.w.t.Errorf("asked for %q, which is open: %v, or asked for", name, own)
	}
	p.asked[name] = true
	after := time.Duration(0)
	if p.takes != nil {
		after = p.takes(r)
	}
	switch o := (&opened{ctx.Sender(), r}); {
	case after < 0:
		delete(p.asked, name)
	case after == 0:
		ctx.Send(ctx.Self(), o)
	default:
		tree.After(ctx, after, o)
	}
}

// paperRouter hears what it is sent in the order it is sent.
type paperRouter struct{ *paperMesh }

// SendUserMessage implements actor.Process.
func (p *paperRouter) SendUserMessage(_ *actor.PID, msg any) {
	var sender *actor.PID
	if e, ok := msg.(*actor.MessageEnvelope); ok {
		msg, sender = e.Message, e.Sender
	}
	switch m := msg.(type) {
	case *meshpb.Carry:
		name := m.GetChannel()
		if hash, own := p.own[name]; !own && p.evicted[name] == 0 || own && string(hash) != string(m.GetHash()) || p.carried[name] != nil {
			p.w.t.Errorf("%q is carried, reserved %v, carried to %v", name, own, p.carried[name])
		}
		p.carried[name] = sender
		p.keys[name] = fmt.Sprintf("%x", m.GetHash()[:min(8, len(m.GetHash()))])
	case *meshpb.Drop:
		if p.carried[m.GetChannel()] == nil {
			p.w.t.Errorf("%q was dropped, and not carried", m.GetChannel())
		}
		delete(p.carried, m.GetChannel())
	case *meshpb.Publish:
		msg := m.GetMessage()
		if msg.Key == nil || p.carried[msg.GetChannel()] == nil || msg.GetKey() != p.keys[msg.GetChannel()] {
			p.w.t.Errorf("published for %q with key %q, carried to %v", msg.GetChannel(), msg.GetKey(), p.carried[msg.GetChannel()])
		}
		p.passed = append(p.passed, msg)
	default:
		p.w.t.Errorf("the router was sent %T", msg)
	}
}

// SendSystemMessage implements actor.Process.
func (p *paperRouter) SendSystemMessage(*actor.PID, any) {}

// Stop implements actor.Process.
func (p *paperRouter) Stop(*actor.PID) {}

// published is what channels passed on, in a line.
func (m *paperMesh) published() string {
	var all []string
	for _, p := range m.passed {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", p.GetChannel(), p.GetPayload(), p.GetNonce(), p.GetKey())))
	}
	return strings.Join(all, " | ")
}

// wantRequests compares what was asked for since the last time.
func (m *paperMesh) wantRequests(want ...string) {
	m.w.t.Helper()
	if !slices.Equal(m.requests, want) {
		m.w.t.Errorf("asked for %q, want %q", m.requests, want)
	}
	m.requests = nil
}
