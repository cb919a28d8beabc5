package assemble

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"runtime"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/star"
	"parley/actors/tree"
	"parley/cmd/parley/config"
	"parley/gateways/guard"
	"parley/gateways/link"
	stargate "parley/gateways/star"
	"parley/gateways/web"
)

// engines are the versions of Engine.IO, each with links of its own.
var engines = [...]struct {
	version star.Version
	name    string // before those of its actors
}{{star.Three, "star"}, {star.Four, "star4"}}

// rendezvous is a node's rendezvous, with its gateway.
type rendezvous struct {
	*star.Star
	kinds [len(engines)]*link.Kind // by star.Version, as the next
	links [len(engines)]*actor.PID
	door  *guard.Door

	sockets, peers, dials *tree.Counter // now
}

// queuedShare is the part of outbound-ceiling that the clients of one version
// have for themselves, beside what the relay's have: 1 in so many. What is
// queued for them is addresses of others; streams wait at their senders. Those
// that nobody has accepted have another such part.
const queuedShare = 4

func newRendezvous(sys *actor.ActorSystem, c *config.Node) *rendezvous {
	r := &rendezvous{}
	r.kinds[star.Three], r.kinds[star.Four] = stargate.NewKinds()
	for i, k := range r.kinds {
		k.Budget = link.NewBudget(c.OutboundCeiling / queuedShare)
		r.kinds[i] = link.New(sys, k)
	}
	return r
}

// spawn starts the rendezvous.
func (r *rendezvous) spawn(ctx actor.Context, c *config.Node, seed uint64) {
	o := star.Options{
		Challenge: c.StarCryptoChallenge, Strict: c.StarStrictMultiaddr, Delta: c.StarAnnounceDelta,
		Sockets: c.MaxStarClients, Workers: max(1, runtime.GOMAXPROCS(0)/2), // the other half carries what they say
		Held: c.OutboundCeiling / queuedShare,
		Seed: seed,
	}
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	for _, e := range engines {
		o.Fanout[e.version] = star.Fanout{Shards: link.SpawnShards(ctx, e.name+"fanout", r.kinds[e.version]).Shards}
	}
	r.Star = star.Spawn(ctx, o)
	for _, e := range engines {
		r.links[e.version] = link.SpawnLinks(ctx, e.name+"links", r.kinds[e.version], o.Fanout[e.version].Shards, r.Sessions[e.version])
	}
	m := tree.Of(ctx.ActorSystem()) // what they mean is told where they are counted
	r.sockets, r.peers, r.dials = m.Level("star_sockets", ""), m.Level("rendezvous_peers", ""), m.Level("star_dials", "")
}

// now counts what goes on, for health.
func (r *rendezvous) now() *web.Rendezvous {
	if r == nil {
		return nil
	}
	return &web.Rendezvous{Sockets: r.sockets.Load(), Peers: r.peers.Load(), Dials: r.dials.Load()}
}

// registry answers starpb.StatusRequest; nil: there is none.
func (r *rendezvous) registry() *actor.PID {
	if r == nil {
		return nil
	}
	return r.Registry
}

// serveStar opens the rendezvous.
func (n *Node) serveStar(c *config.Node, l *Listeners) {
	r := n.star
	r.door = guard.NewDoor(l.Star, doorLimits(c), guard.Hooks{Log: tree.Log(n.sys)})
	rules := guard.Rules{
		LoopbackOnly: c.StarOnLoopback(), Hosts: c.RelayHosts, Port: int(portOf(l.Star)), HostsOption: "relay-hosts",
		AnyOrigin: true, // pages of everywhere meet here
	}
	handler := &stargate.Gateway{
		Kinds: r.kinds, Links: r.links, MaxLinks: int64(c.MaxStarClients), Refuse: r.door.Refuse,
	}
	server := guard.Server(r.door.Screen(rules, handler), guard.ServerOptions{Door: r.door, Log: tree.Log(n.sys), Header: c.HandshakeTimeout})
	ln := link.Listener(r.door)
	if l.TLS != nil {
		ln = tls.NewListener(ln, l.TLS)
	}
	n.run("star", server, ln)
}

// stop says goodbye to all clients, and tells how many it did not reach.
func (r *rendezvous) stop(ctx context.Context, sys *actor.ActorSystem) (left int64, err error) {
	if r == nil {
		return 0, nil
	}
	var futures []actor.Future
	for _, links := range r.links {
		futures = append(futures, sys.Root.RequestFuture(links, goodbye(), untilDone(ctx)))
	}
	var errs []error
	for i, f := range futures {
		if err := wait(ctx, "links to clients of the rendezvous", f); err != nil {
			errs = append(errs, err)
			left += r.kinds[i].Links()
		}
	}
	return left, errors.Join(errs...)
}

// frames is how many messages came in from clients.
func (r *rendezvous) frames() (sum int64) {
	if r == nil {
		return 0
	}
	for _, k := range r.kinds {
		sum += k.Frames()
	}
	return sum
}

// refusals are those at its door, by reason.
func (r *rendezvous) refusals() map[string]uint64 {
	if r == nil {
		return nil
	}
	return r.door.Counts()
}

// Multiaddr is where clients of the rendezvous connect; blank: there is none.
func (l *Listeners) Multiaddr(c *config.Node) string {
	if l.Star == nil {
		return ""
	}
	return c.Multiaddr(portOf(l.Star))
}

// portOf is where l listens; 0: that is no port.
func portOf(l net.Listener) uint16 {
	if a, ok := l.Addr().(*net.TCPAddr); ok {
		return uint16(a.Port)
	}
	return 0
}
