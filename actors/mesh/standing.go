package mesh

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/relaypb"
	"parley/messages/uipb"
)

// Stages of a node's connection. Source: gateways/uiv2/PROTOCOL.md,
// connectionStatus.
const (
	stageNone   = "NotConnected"
	stageLinked = "ConnectedToNeighbor"
	stageRoute  = "RouteFound"
)

// What can be wrong with links. Source: gateways/relay/PROTOCOL.md, Health.
const (
	healthDegraded = "degraded"
	illNoPeers     = "no peers"
	illLatency     = "high latency"

	aloneAllowed = 5 * time.Second // without a neighbor, before it is an ailment
)

// lonely says that aloneAllowed is over.
type lonely struct{ round uint64 }

// IgnoreDeadLetterLogging marks messages that may find peers stopped.
func (lonely) IgnoreDeadLetterLogging() {}

// examine tells status and health how this node stands, where that has changed.
func (p *peers) examine(ctx actor.Context) {
	stage, high := stageNone, false
	for _, t := range p.linked {
		if stage != stageRoute {
			stage = stageLinked
		}
		if t.synced {
			stage = stageRoute
		}
		high = high || t.high > highAllowed
	}
	if p.met.Status != nil && stage != p.stage {
		p.stage = stage
		ctx.Send(p.met.Status, &uipb.Stage{Stage: stage})
	}
	p.ail(ctx, illLatency, high)
	switch {
	case len(p.linked) > 0 || !p.sociable():
		p.alone.Stop()
		p.alone, p.lone = nil, false
		p.aloneFor++
	case p.alone == nil && !p.lone:
		p.aloneFor++
		p.alone = tree.After(ctx, aloneAllowed, lonely{p.aloneFor})
	}
	p.ail(ctx, illNoPeers, p.lone)
}

// sociable reports whether the configuration has neighbors.
func (p *peers) sociable() bool {
	for _, g := range p.goals {
		if !g.self {
			return true
		}
	}
	return false
}

func (p *peers) onLonely(ctx actor.Context, m lonely) {
	if m.round == p.aloneFor && p.alone != nil {
		p.alone, p.lone = nil, true
		p.examine(ctx)
	}
}

// ail tells health of an ailment, once, and of its end.
func (p *peers) ail(ctx actor.Context, reason string, holds bool) {
	if p.met.Health == nil || p.ailing[reason] == holds {
		return
	}
	p.ailing[reason] = holds
	ctx.Send(p.met.Health, &relaypb.Ailment{Healthy: healthDegraded, Reason: reason, Over: !holds})
}
