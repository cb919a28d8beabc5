package mesh

import (
	"log/slog"
	"math/bits"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/meshpb"
)

const (
	redialFirst  = time.Second      // until a neighbor is dialled again; doubles
	redialMost   = 30 * time.Second // longest pause
	redialJitter = 0.2              // of it, either way: neighbors of a node that died do not come back at once
	redialProven = 10 * time.Second // a link that lasted so long was no failure
)

// goal is a neighbor of the configuration, and how far this node is with it.
type goal struct {
	neighbor Neighbor // fixed

	name     string // of the node, once known; empty: not yet
	self     bool   // it is this node
	ticket   *ticket
	failures int    // in a row
	reason   string // of the last one
	timer    *tree.Timer
	round    uint64 // tells an older timer's message
}

type (
	// dialDue says that a neighbor may be dialled again.
	dialDue struct {
		goal  int
		round uint64
	}
	// dialLate says that what was dialled has not become a link in time.
	dialLate struct{ ticket uint64 }
	// reach asks for a link that the configuration does not name. From scout to
	// peers.
	reach struct{ name, url, token string }
	// reached answers reach. From peers to scout.
	reached struct {
		name string
		ok   bool
		full bool // there is no room for it
	}
)

// IgnoreDeadLetterLogging marks messages that may find peers stopped.
func (dialDue) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find peers stopped.
func (dialLate) IgnoreDeadLetterLogging() {}

// isSelf reports whether a neighbor is this node, as far as the configuration tells.
func (p *peers) isSelf(g *goal) bool {
	return g.self || g.neighbor.Name == p.o.Name || p.o.Host != "" && dialable(g.neighbor.URL) == dialable(p.o.Host)
}

// giveUp forgets a neighbor that is this node: it is never linked with itself.
func (p *peers) giveUp(ctx actor.Context, g *goal) {
	g.self = true
	p.log(ctx).Warn("a neighbor is this node itself: remove it from neighbors", slog.String("url", g.neighbor.URL))
}

// configured reports whether the configuration asks for a link to a node.
func (p *peers) configured(name string) bool {
	for _, g := range p.goals {
		if g.name == name && !g.self {
			return true
		}
	}
	return false
}

// dialGoal dials a neighbor that is not linked.
func (p *peers) dialGoal(ctx actor.Context, at int) {
	g := p.goals[at]
	if g.self || g.ticket != nil || p.linked[g.name] != nil {
		return
	}
	var names []string
	if g.neighbor.Name != "" {
		names = []string{g.neighbor.Name}
	}
	t := p.drawTicket(Dialled, names)
	t.goal, g.ticket = at, t
	p.dial(ctx, t, g.neighbor.URL, g.neighbor.Token)
}

// dial connects, off the actors. It ends with linkpb.Opened, with DialFailed, or
// with dialLate.
func (p *peers) dial(ctx actor.Context, t *ticket, url, token string) {
	root, self, dial := ctx.ActorSystem().Root, ctx.Self(), p.o.Dial
	m := &meshpb.Dial{Ticket: t.id, Url: dialable(url), Token: token, Name: p.o.Name}
	t.url = m.GetUrl()
	switch {
	case dial == nil:
		ctx.Send(self, &meshpb.DialFailed{Ticket: t.id, Reason: "this node does not dial"})
		return
	case t.url == "":
		ctx.Send(self, &meshpb.DialFailed{Ticket: t.id, Reason: "not an address that starts with ws:// or wss://"})
		return
	}
	t.timer = tree.After(ctx, ticketLife, dialLate{t.id})
	tree.Go(ctx.ActorSystem(), func() {
		if failed := dial(m); failed != nil {
			root.Send(self, failed)
		}
	})
}

func (p *peers) onDialFailed(ctx actor.Context, m *meshpb.DialFailed) {
	t := p.tickets[m.GetTicket()]
	if t == nil || t.side != Dialled {
		return
	}
	p.dropTicket(t.id)
	p.fruitless(ctx, t, m.GetReason(), m.GetRefused())
}

func (p *peers) onDialLate(ctx actor.Context, m dialLate) {
	if t := p.tickets[m.ticket]; t != nil {
		p.dropTicket(t.id)
		p.fruitless(ctx, t, "no connection in time", false)
	}
}

// over hears of the end of a link, whether it ever carried packets or not.
func (p *peers) over(ctx actor.Context, t *tie) {
	switch {
	case t.side != Dialled || !t.since.IsZero() && !t.leaving:
	case t.leaving:
		p.fruitless(ctx, t.ticket, "", false)
	default:
		p.fruitless(ctx, t.ticket, "closed before its handshake", true)
	}
}

// fruitless ends an attempt to dial. An empty reason was logged before.
func (p *peers) fruitless(ctx actor.Context, t *ticket, reason string, refused bool) {
	if t.reach != nil {
		ctx.Send(p.met.scout, &reached{name: t.reach.name})
		t.reach = nil
	}
	if t.goal < 0 || p.goals[t.goal].ticket != t {
		return
	}
	g := p.goals[t.goal]
	g.ticket = nil
	switch {
	case g.self:
		p.giveUp(ctx, g)
	case p.linked[g.name] != nil: // the other side dialled, too
	default:
		pause := p.redial(ctx, t.goal)
		// At first and where something has changed; then less and less often.
		if reason != "" && (reason != g.reason || bits.OnesCount(uint(g.failures)) == 1) {
			p.logFailure(ctx, g, reason, refused, pause)
		}
		g.reason = reason
	}
}

func (p *peers) logFailure(ctx actor.Context, g *goal, reason string, refused bool, pause time.Duration) {
	text := "neighbor cannot be reached: see that it runs, and that its address in neighbors is right"
	if refused {
		text = "neighbor refuses this node: see that the token in neighbors is that node's relay-token, and what its log says"
	}
	p.log(ctx).Warn(text, slog.String("url", g.neighbor.URL), slog.String("reason", reason),
		slog.Int("failures", g.failures), slog.Duration("again", pause.Round(time.Millisecond)))
}

// redial dials a neighbor again after a pause.
func (p *peers) redial(ctx actor.Context, at int) (pause time.Duration) {
	g := p.goals[at]
	pause = redialMost
	if g.failures < bits.Len(uint(redialMost/redialFirst)) {
		pause = min(redialFirst<<g.failures, redialMost)
	}
	pause = time.Duration(float64(pause) * (1 + redialJitter*(2*p.rng.Float64()-1)))
	g.failures++
	g.round++
	g.timer.Stop()
	g.timer = tree.After(ctx, pause, dialDue{at, g.round})
	return pause
}

func (p *peers) onDialDue(ctx actor.Context, m dialDue) {
	if g := p.goals[m.goal]; m.round == g.round {
		g.timer = nil
		p.dialGoal(ctx, m.goal)
	}
}

// attained notes that a neighbor is linked, whoever dialled. One whose name is
// not known is known by its address.
func (p *peers) attained(t *tie) {
	for _, g := range p.goals {
		if g.name == "" && t.host != "" && dialable(g.neighbor.URL) == dialable(t.host) {
			g.name = t.name
		}
		if g.name == t.name {
			g.timer.Stop()
			g.round++
			g.reason = ""
		}
		if g.ticket == t.ticket {
			g.ticket = nil
		}
	}
}

// missed dials a neighbor again that is linked no more.
func (p *peers) missed(ctx actor.Context, t *tie) {
	for i, g := range p.goals {
		if g.name != t.name || g.self {
			continue
		}
		if time.Since(t.since) >= redialProven {
			g.failures = 0
		}
		if g.ticket == nil {
			p.redial(ctx, i)
		}
	}
}

// onReach dials for scout, if there is room.
func (p *peers) onReach(ctx actor.Context, m *reach) {
	switch {
	case p.linked[m.name] != nil: // by another way
		ctx.Send(p.met.scout, &reached{name: m.name})
	case p.full("", p.spare()) || m.name == p.o.Name:
		ctx.Send(p.met.scout, &reached{name: m.name, full: true})
	default:
		t := p.drawTicket(Dialled, []string{m.name})
		t.reach = m
		p.dial(ctx, t, m.url, m.token)
	}
}

// reached tells scout that a link it wanted is there.
func (p *peers) reached(ctx actor.Context, t *tie, ok bool) {
	if t.ticket.reach != nil {
		ctx.Send(p.met.scout, &reached{name: t.name, ok: ok})
		t.ticket.reach = nil
	}
}
