package star

import (
	"crypto/rand"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
)

// Names of the actors below a node.
const (
	nameSessions     = "star-sessions"  // Engine.IO 3
	nameSessionsFour = "star-sessions4" // Engine.IO 4
	nameRegistry     = "star-registry"
	nameChallenge    = "star-challenge"
	nameAnnouncer    = "star-announcer"
	nameProxies      = "star-proxies"
)

// venue is what the actors of a rendezvous have in common. It is fixed at spawn;
// what it counts may be changed by any goroutine.
type venue struct {
	Options
	registry, challenge, announcer, proxies *actor.PID
	counts                                  *counts
}

// Spawn starts a rendezvous below ctx.
func Spawn(ctx actor.SpawnerContext, o Options) *Star {
	o.complete(ctx.ActorSystem())
	v := &venue{
		Options:  o,
		registry: below(ctx, nameRegistry), challenge: below(ctx, nameChallenge),
		announcer: below(ctx, nameAnnouncer), proxies: below(ctx, nameProxies),
		counts: newCounts(ctx.ActorSystem()),
	}
	start := func(name string, a actor.Actor) *actor.PID {
		return tree.Spawn(ctx, name, tree.Spec{
			New:   func() actor.Actor { return a }, // what an actor knows outlives its restart
			Asked: true,
		})
	}
	start(nameAnnouncer, newAnnouncer(v))
	start(nameRegistry, newRegistry(v))
	start(nameChallenge, newChallenge(v))
	start(nameProxies, newProxies(v))
	return &Star{
		Registry: v.registry,
		Sessions: [versions]*actor.PID{
			Three: start(nameSessions, newSessions(v, Three)),
			Four:  start(nameSessionsFour, newSessions(v, Four)),
		},
	}
}

// complete puts what was left out in its place.
func (o *Options) complete(sys *actor.ActorSystem) {
	if o.Workers < 1 {
		o.Workers = 1
	}
	if o.Draw == nil {
		o.Draw = func() string { return uuid() + uuid() }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sid == nil {
		o.Sid = rand.Text
	}
	if o.Verify == nil {
		o.Verify = func(verify, done func()) {
			tree.Go(sys, func() {
				verify()
				done()
			})
		}
	}
}

// below is the PID that an actor of that name will have. So they all know each
// other from their first message on.
func below(ctx actor.SpawnerContext, name string) *actor.PID {
	if self := ctx.Self(); self != nil {
		name = self.GetId() + "/" + name
	}
	return actor.NewPID(ctx.ActorSystem().Address(), name)
}

// shardOf is the shard that a link belongs to.
func (f Fanout) shardOf(member uint64) int { return int(member % uint64(len(f.Shards))) }

// counts are the numbers of a rendezvous for operators. Those of the public
// server keep its names. Source: gateways/web/METRICS.md.
type counts struct {
	peers, sockets, dials          *tree.Counter // now
	joins, joined, notJoined       *tree.Counter
	dialled, connected, unanswered *tree.Counter
	failures                       func(reason string) *tree.Counter // of joins; one of joinErrors
	refusals                       func(reason string) *tree.Counter // of dials; one of dialErrors
	invalid                        *tree.Counter
	held                           *tree.Counter // bytes, now
}

// Why joins and dials fail, all there are.
var (
	joinErrors = []string{errAddress, errNoID, errNotMatching, errCrypto, errSignature, errInUse, errTooMany, errBusy}
	dialErrors = []string{errUnauthorized, errNotFound, errTimedOut, errDialInUse, errDialID, errStreams, errBusy, refusedByPeer}
)

// byReason makes one counter a reason, so that all of them are there from the start.
func byReason(m *tree.Metrics, name, help string, reasons []string) func(reason string) *tree.Counter {
	all := map[string]*tree.Counter{}
	for _, reason := range reasons {
		all[reason] = m.Counter(name, help, "reason", reason)
	}
	return func(reason string) *tree.Counter { return all[reason] }
}

func newCounts(sys *actor.ActorSystem) *counts {
	m := tree.Of(sys)
	total := func(name, help string) *tree.Counter { return m.Counter(name, help, "", "") }
	return &counts{
		peers:      m.Level("rendezvous_peers", "Addresses that are online."),
		sockets:    m.Level("star_sockets", "Clients of the rendezvous that are connected."),
		dials:      m.Level("star_dials", "Dials that are open."),
		joins:      total("rendezvous_joins_total", "Joins that were asked for."),
		joined:     total("rendezvous_joins_total_success", "Joins that succeeded."),
		notJoined:  total("rendezvous_joins_total_failure", "Joins that failed."),
		dialled:    total("rendezvous_dials_total", "Dials that were asked for."),
		connected:  total("rendezvous_dials_total_success", "Dials that were answered."),
		unanswered: total("rendezvous_dials_total_failure", "Dials that failed."),
		failures:   byReason(m, "star_join_failures_total", "Joins that failed, by reason.", joinErrors),
		refusals:   byReason(m, "star_dial_failures_total", "Dials that failed, by reason.", dialErrors),
		invalid:    total("star_invalid_total", "Events of clients that made no sense."),
		held:       m.Level("star_held_bytes", "Bytes of streams that wait for their readers to accept."),
	}
}
