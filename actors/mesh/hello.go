package mesh

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/meshpb"
)

// When a node says that it lives. Source: gateways/mesh/PROTOCOL.md, hello.
const (
	helloEvery  = 10 * time.Second
	helloJitter = 0.2                   // of helloEvery, to both sides
	helloSoon   = 50 * time.Millisecond // links come and go several at once
	// helloQuiet is how long after a hello a changed record brings the next one,
	// at the earliest: each change is told by itself, and this only makes sure.
	helloQuiet = 5 * time.Second
)

const (
	// leastMs is what a faster link is taken for: below it is noise. Unit: ms.
	leastMs = 0.5
	// unknownMs is what a link counts for until it was measured.
	unknownMs = 1
	// helloSalt makes hello's draws its own.
	helloSalt = 0x68656c6c6f
)

// hello tells all nodes again and again that this one lives, how new its record
// is, and what it is linked with.
//
//	parent    node
//	receives  linked, unlinked, measured, version, sayHello
//	sends     post to router
//	stops     with the node
type hello struct {
	o   *Options // fixed at spawn
	met *meet

	links map[string]*cost // owned, as all that follows; by peer
	ver   uint64
	round uint64     // of links: how often what is told of them has changed
	rng   *rand.Rand // of jitter

	said  time.Time // when the last hello went out; zero: none did
	due   time.Time // when the next one goes out
	timer *tree.Timer
	turn  uint64 // of timer
}

// cost is what is told of the links with one peer.
type cost struct {
	links map[lineID]bool // more than one while a second one closes
	base  float64         // median that told was made from; 0: none yet
	told  float64
}

// lineID tells links apart.
type lineID struct {
	side   Side
	member uint64
}

// sayHello says that it is time.
type sayHello struct{ turn uint64 }

// IgnoreDeadLetterLogging marks messages that may find hello stopped.
func (sayHello) IgnoreDeadLetterLogging() {}

func newHello(o *Options, met *meet) actor.Actor {
	return &hello{o: o, met: met, links: map[string]*cost{}, rng: rand.New(rand.NewPCG(o.Seed, helloSalt))}
}

func (h *hello) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		h.at(ctx, h.regular())
	case *actor.Stopping, *actor.Restarting:
		h.timer.Stop()
	case *linked:
		h.onLinked(ctx, m)
	case *unlinked:
		h.onUnlinked(ctx, m)
	case *measured:
		h.onMeasured(m)
	case *version:
		h.onVersion(ctx, m)
	case sayHello:
		h.onSayHello(ctx, m)
	}
}

func (h *hello) onLinked(ctx actor.Context, m *linked) {
	c := h.links[m.name]
	if c == nil {
		c = &cost{links: map[lineID]bool{}, told: unknownMs}
		h.links[m.name] = c
		h.round++
	}
	c.links[lineID{m.side, m.member}] = true
	h.by(ctx, helloSoon) // a second link with the same peer may be another life of it
}

func (h *hello) onUnlinked(ctx actor.Context, m *unlinked) {
	c := h.links[m.name]
	if c == nil {
		return
	}
	if delete(c.links, lineID{m.side, m.member}); len(c.links) == 0 {
		delete(h.links, m.name)
		h.round++
		h.by(ctx, helloSoon)
	}
}

// onMeasured takes a new median for what is told only if it is another order of
// things: who knows the links chooses ways by them, and ways should last.
func (h *hello) onMeasured(m *measured) {
	c := h.links[m.name]
	if c == nil {
		return
	}
	ms := max(m.ms, leastMs)
	if c.base > 0 && ms <= 2*c.base && ms >= c.base/2 {
		return
	}
	c.base = ms
	if told := math.Exp2(math.Round(math.Log2(ms))); told != c.told {
		c.told = told
		h.round++
	}
}

func (h *hello) onVersion(ctx actor.Context, m *version) {
	if h.ver == m.ver {
		return
	}
	h.ver = m.ver
	h.by(ctx, max(helloSoon, helloQuiet-time.Since(h.said)))
}

// by makes the next hello go out no later than d from now.
func (h *hello) by(ctx actor.Context, d time.Duration) {
	if time.Until(h.due) > d {
		h.at(ctx, d)
	}
}

// at makes the next hello go out d from now.
func (h *hello) at(ctx actor.Context, d time.Duration) {
	h.timer.Stop()
	h.turn++
	h.due = time.Now().Add(d)
	h.timer = tree.After(ctx, d, sayHello{h.turn})
}

// regular is the time to the next hello when nothing happens.
func (h *hello) regular() time.Duration {
	return time.Duration(float64(helloEvery) * (1 + helloJitter*(2*h.rng.Float64()-1)))
}

func (h *hello) onSayHello(ctx actor.Context, m sayHello) {
	if m.turn != h.turn {
		return
	}
	h.said = time.Now()
	h.at(ctx, h.regular())
	say := &meshpb.Hello{Boot: h.o.Boot, Ver: h.ver, Master: h.o.Master, Round: h.round, Leaf: !h.o.Relay, Host: h.o.Host}
	for _, peer := range slices.Sorted(maps.Keys(h.links)) {
		say.Links = append(say.Links, &meshpb.LinkCost{Peer: peer, Ms: h.links[peer].told})
	}
	ctx.Send(h.met.router, &post{destination: everyone, command: &meshpb.Command{Name: cmdHello, Hello: say}})
}
