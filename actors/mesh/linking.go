package mesh

import (
	"log/slog"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/linkpb"
	"parley/messages/meshpb"
)

const (
	yieldAge     = 30 * time.Second // a link older than that
	yieldSilence = 5 * time.Second  // and silent for so long gives way to any other
	// locatedMost is how long the router may take to say whose a name is: who
	// dialled waits for answerAwaited.
	locatedMost = 500 * time.Millisecond
)

// onPresented decides about a link whose handshake is here, or will not come.
func (p *peers) onPresented(ctx actor.Context, m *presented) {
	t := p.ties[m.who.GetId()]
	if t == nil || t.leaving {
		return
	}
	name := m.handshake.GetName()
	if m.handshake == nil {
		if len(t.ticket.names) != 1 {
			p.log(ctx).Warn("node sends no handshake: add its name to its descriptor in neighbors", slog.String("remote", t.remote))
			p.dismiss(ctx, t, closePolicy, byeNameless, nil)
			return
		}
		name = t.ticket.names[0]
	}
	switch {
	case name == p.o.Name:
		p.onNamesake(ctx, t, m.handshake)
	case !validName(name) || !t.ticket.allows(name) || t.linked && t.name != name:
		p.log(ctx).Warn("node is not who it should be: correct the name in its descriptor in neighbors, or its token",
			slog.String("name", clip(name)), slog.String("remote", t.remote), slog.Any("expected", t.ticket.names))
		p.dismiss(ctx, t, closeForbidden, byeForbidden, nil)
	case m.handshake.GetChain() != "" && p.o.Chain != "" && m.handshake.GetChain() != p.o.Chain:
		p.log(ctx).Warn("node is of another chain: set the same chain on both, or remove it from neighbors",
			slog.String("name", name), slog.String("chain", clip(m.handshake.GetChain())), slog.String("own", p.o.Chain))
		p.dismiss(ctx, t, closeForbidden, byeChain, nil)
	case p.known[name] && p.linked[name] == nil: // it may be another one's
		t.claim = &meshpb.Handshake{Name: name}
		if m.handshake != nil {
			t.claim = m.handshake
		}
		ctx.Request(p.met.router, &whereabouts{m.who, name, m.handshake.GetBoot()})
		tree.After(ctx, locatedMost, &located{who: m.who})
	default:
		p.contest(ctx, t, name, m.handshake)
	}
}

// onLocated hears whether a name that a node came with is another one's, which
// lives elsewhere in the mesh. While the router is too busy to tell, it is not.
func (p *peers) onLocated(ctx actor.Context, m *located) {
	t := p.ties[m.who.GetId()]
	if t == nil || t.leaving || t.claim == nil {
		return
	}
	claim := t.claim
	t.claim = nil
	if !m.taken {
		p.contest(ctx, t, claim.GetName(), claim)
		return
	}
	p.log(ctx).Warn("two nodes have the same name: give one of them another node-name",
		slog.String("name", claim.GetName()), slog.String("remote", t.remote))
	p.refuseName(ctx, t)
}

// refuseName ends a link to a node whose name is taken.
func (p *peers) refuseName(ctx actor.Context, t *tie) {
	var answer *meshpb.Handshake
	if t.side == Accepted {
		answer = p.handshake()
	}
	p.dismiss(ctx, t, closeInUse, byeInUse, answer)
}

// onNamesake ends a link to a node of this one's name. It is told who it found,
// for it could be this node itself.
func (p *peers) onNamesake(ctx actor.Context, t *tie, m *meshpb.Handshake) {
	switch {
	case m.GetBoot() != p.o.Boot || m.GetBoot() == 0:
		p.log(ctx).Warn("another node has this node's name: give one of them another node-name",
			slog.String("name", p.o.Name), slog.String("remote", t.remote))
	case t.ticket.goal >= 0:
		p.goals[t.ticket.goal].self = true
	}
	p.refuseName(ctx, t)
}

// contest lets a link in, unless there is one to that node which stays. What
// dialled in vain is told by a handshake whom it found, so that it need not try again.
func (p *peers) contest(ctx actor.Context, t *tie, name string, m *meshpb.Handshake) {
	if t.ticket.goal >= 0 {
		p.goals[t.ticket.goal].name = name
	}
	old := p.linked[name]
	switch {
	case old == t: // its handshake was late
		p.tellUnlinked(ctx, t)
	case old != nil && p.stays(old, t, name):
		p.refuseName(ctx, t)
		return
	case old != nil:
		old.leaving = true
		ctx.Send(old.pid, &dismiss{code: closeInUse, reason: byeInUse})
		p.tellUnlinked(ctx, old)
	}
	p.link(ctx, t, name, m)
}

// stays reports whether the older of two links to a node is kept: when two nodes
// dial each other, both must come to the same end. A link that seems to be dead
// is not kept, whoever dialled.
func (p *peers) stays(old, fresh *tie, name string) bool {
	if time.Since(old.since) > yieldAge && old.pulse.silence() >= yieldSilence {
		return false
	}
	return old.side == fresh.side || (old.side == Dialled) == (p.o.Name < name)
}

// link tells all that packets may flow. The answer to the other side's handshake
// goes first, for what is told may lead to packets at once.
func (p *peers) link(ctx actor.Context, t *tie, name string, m *meshpb.Handshake) {
	t.name, t.linked, t.since = name, true, time.Now()
	t.version = clip(m.GetVersion())
	t.boot, t.foreign, t.host = m.GetBoot(), m.GetBoot() == 0, m.GetHost()
	if t.foreign && t.host == "" {
		t.host = t.ticket.url // it has no way to say
	}
	if dialable(t.host) == "" {
		t.host = ""
	}
	t.pb = slices.Contains(m.GetEncodings(), encodingPB)
	p.linked[name] = t
	if t.side == Accepted {
		p.greet(ctx, t)
	}
	fact := &linked{t.neighbor}
	for _, pid := range p.told() {
		ctx.Send(pid, fact)
	}
	ctx.Send(t.pid, &admit{name})
	if t.timed {
		ctx.Send(p.met.hello, &measured{name, t.ms})
	}
	p.log(ctx).Info("linked", slog.String("peer", name), slog.String("remote", t.remote), slog.Bool("dialled", t.side == Dialled))
	p.reached(ctx, t, true)
	p.attained(t)
	p.examine(ctx)
}

// unlink ends what link began. A link that never carried packets was not told of.
func (p *peers) unlink(ctx actor.Context, t *tie) {
	if t.linked {
		p.tellUnlinked(ctx, t)
		p.missed(ctx, t)
		p.examine(ctx)
	}
}

// tellUnlinked tells all that packets flow no more.
func (p *peers) tellUnlinked(ctx actor.Context, t *tie) {
	t.linked, t.synced = false, false
	delete(p.linked, t.name)
	fact := &unlinked{t.name, t.side, t.member}
	for _, pid := range p.told() {
		ctx.Send(pid, fact)
	}
	p.log(ctx).Info("unlinked", slog.String("peer", t.name), slog.String("remote", t.remote))
}

// told is who hears of links, in this order.
func (p *peers) told() [5]*actor.PID {
	return [...]*actor.PID{p.met.router, p.met.hello, p.met.commands, p.met.reservations, p.met.scout}
}

// dismiss ends a link. It counts no more from now on.
func (p *peers) dismiss(ctx actor.Context, t *tie, code uint32, reason string, answer *meshpb.Handshake) {
	t.leaving = true
	ctx.Send(t.pid, &dismiss{code, reason, answer})
	p.unlink(ctx, t)
}

// onSynced hears that reservations knows what a peer knows.
func (p *peers) onSynced(ctx actor.Context, m *synced) {
	if t := p.linked[m.name]; t != nil {
		t.synced = true
		p.examine(ctx)
	}
}

// refuse ends a link that nobody expects.
func refuse(ctx actor.Context, link *actor.PID) {
	ctx.Send(link, &linkpb.Close{Code: closeForbidden, Reason: byeForbidden})
}
