package relay

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/relaypb"
)

const (
	healthEvery     = time.Second     // between two looks
	orphansAllowed  = 2 * time.Second // channels without clients, before it is an error
	idleAllowed     = 5 * time.Second // clients without channels, before it is odd
	idleClients     = 3               // so many without a channel are not odd
	healthGood      = "good"
	healthDegraded  = "degraded"
	healthBad       = "bad"
	reasonHealthy   = "healthy"
	reasonOrphans   = "channels no clients"
	reasonNoChannel = "clients no channels"
)

// ranks is the order of reasons that are equally bad; others come behind, by
// name. Source: gateways/relay/PROTOCOL.md, Health.
var ranks = map[string]int{reasonOrphans: -4, "no peers": -3, "high latency": -2, reasonNoChannel: -1}

// health watches for states that should not last, and is told of some by others.
// Source: gateways/relay/PROTOCOL.md, Health.
//
//	parent    node
//	receives  relaypb.HealthRequest, relaypb.Census, relaypb.Ailment, look
//	sends     relaypb.CensusRequest to clients and channels; relaypb.Health to askers
//	stops     with the node
type health struct {
	clients, channels *actor.PID        // fixed at spawn
	ailments          map[string]string // owned; how bad, by reason; outlives a restart

	connected, open int       // owned, as all that follows; of the last look
	orphans         time.Time // since when there are channels without clients; zero: none
	idle            time.Time // since when there are clients without channels; zero: none
	timer           *tree.Timer
}

type look struct{}

// IgnoreDeadLetterLogging marks messages that may find health stopped.
func (look) IgnoreDeadLetterLogging() {}

// SpawnHealth starts the actor that answers relaypb.HealthRequest.
func SpawnHealth(ctx actor.SpawnerContext, clients, channels *actor.PID) *actor.PID {
	ailments := map[string]string{}
	return tree.Spawn(ctx, "health", tree.Spec{New: func() actor.Actor {
		return &health{clients: clients, channels: channels, ailments: ailments}
	}})
}

func (h *health) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		h.timer = tree.After(ctx, healthEvery, look{})
	case *actor.Stopping, *actor.Restarting:
		h.timer.Stop()
	case look:
		h.onLook(ctx)
	case *relaypb.Census:
		h.onCensus(m)
	case *relaypb.Ailment:
		h.onAilment(m)
	case *relaypb.HealthRequest:
		h.onRequest(ctx)
	}
}

func (h *health) onLook(ctx actor.Context) {
	h.timer.Stop() // another may run: this look can be from before a restart
	h.timer = tree.After(ctx, healthEvery, look{})
	ctx.Request(h.clients, &relaypb.CensusRequest{})
	ctx.Request(h.channels, &relaypb.CensusRequest{})
}

func (h *health) onCensus(m *relaypb.Census) {
	if m.GetFromChannels() {
		h.open = int(m.GetChannels())
	} else {
		h.connected = int(m.GetClients())
	}
	since(&h.orphans, h.open > 0 && h.connected == 0)
	since(&h.idle, h.connected > idleClients && h.open == 0)
}

// since notes when a state began, and forgets it when it has ended.
func since(at *time.Time, holds bool) {
	switch {
	case !holds:
		*at = time.Time{}
	case at.IsZero():
		*at = time.Now()
	}
}

// onAilment notes what somebody else watches. The last word on a reason holds.
func (h *health) onAilment(m *relaypb.Ailment) {
	if m.GetOver() {
		delete(h.ailments, m.GetReason())
		return
	}
	h.ailments[m.GetReason()] = m.GetHealthy()
}

func (h *health) onRequest(ctx actor.Context) {
	hold := maps.Clone(h.ailments)
	now := time.Now()
	if lasts(h.orphans, now, orphansAllowed) {
		hold[reasonOrphans] = healthBad
	}
	if lasts(h.idle, now, idleAllowed) {
		hold[reasonNoChannel] = healthDegraded
	}
	m := &relaypb.Health{Healthy: healthGood, Reason: reasonHealthy, Reasons: slices.AppendSeq([]string{}, maps.Keys(hold))}
	slices.SortFunc(m.Reasons, func(a, b string) int {
		return cmp.Or(worse(hold[a], hold[b]), cmp.Compare(ranks[a], ranks[b]), cmp.Compare(a, b))
	})
	if len(m.Reasons) > 0 {
		m.Healthy, m.Reason = hold[m.Reasons[0]], m.Reasons[0]
	}
	ctx.Respond(m)
}

// worse orders how bad two states are, the worse one first.
func worse(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == healthBad:
		return -1
	default:
		return 1
	}
}

func lasts(since, now time.Time, d time.Duration) bool { return !since.IsZero() && now.Sub(since) >= d }
