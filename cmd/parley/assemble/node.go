package assemble

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/mesh"
	"parley/actors/node"
	"parley/actors/relay"
	"parley/actors/store"
	"parley/actors/tree"
	"parley/actors/vault"
	"parley/cmd/parley/config"
	"parley/gateways/guard"
	"parley/gateways/host"
	"parley/gateways/link"
	"parley/gateways/pipe"
	relaygate "parley/gateways/relay"
	"parley/gateways/web"
	"parley/gateways/ws"
)

// Listeners are what a node serves. They are owned by the node from Start on.
type Listeners struct {
	Relay   net.Listener
	Star    net.Listener // nil: no rendezvous
	Enclave net.Listener // nil: no person-to-person messages
	Pipes   *pipe.Pipes  // front end of Enclave; nil: none. Used only with Enclave
	Metrics net.Listener // nil: none
	TLS     *tls.Config  // of Relay and Star; nil: plain
	UI      NodeUI
	Unsafe  []string // options that weaken protection, and are in effect

	DB       *store.DB     // closed by who opened it, behind Stop; nil: nothing is kept, and UI has no listeners
	Password *vault.Secret // of the database, as configured; nil: none. Closed by the node
	Identity Identity
}

// port is where the relay listens.
func (l *Listeners) port() uint16 { return portOf(l.Relay) }

// Node is a running node.
type Node struct {
	Stats, Host, Health *actor.PID    // answer relaypb requests
	LogLost             *tree.Counter // lines that are not in the log; changed by who writes that

	sys   *actor.ActorSystem
	root  *actor.PID
	links *actor.PID
	vault *actor.PID
	db    *actor.PID // nil: nothing is kept, as safe
	safe  *actor.PID
	door  *guard.Door
	kind  *link.Kind
	mesh  *meshed     // nil: it is in none
	star  *rendezvous // nil: it has none
	ui    *nodeUI     // nil: it serves no user interfaces

	enclave *enclaved // nil: it takes no part
	servers
}

// Start assembles a node on sys and serves. A listener that fails later is
// reported by Failed.
func Start(sys *actor.ActorSystem, c *config.Node, l Listeners) *Node {
	n := &Node{sys: sys, servers: servers{failed: make(chan error, mostServers)}}
	n.LogLost = tree.Of(sys).Counter("log_lines_lost_total", "Lines that stderr or the log file did not take in time.", "", "")
	n.kind = link.New(sys, &link.Kind{
		Codec: relaygate.Codec{}, Framing: ws.Framing{},
		OutboundLimit: int(c.OutboundLimit), WriteTimeout: c.WriteTimeout,
		Ping: c.PingInterval, Dead: c.DeadAfter, MessageRate: float64(c.MessageRatePerClient),
		Budget: link.NewBudget(c.OutboundCeiling),
	})
	if len(l.UI.Listeners) > 0 {
		n.ui = n.newUI(c, l.UI)
	}
	if c.Meshed() {
		n.mesh = newMeshed(sys)
	}
	if l.Star != nil {
		n.star = newRendezvous(sys, c)
	}
	if l.Enclave != nil {
		n.enclave = newEnclaved(sys, c, &l)
	}
	started := make(chan struct{})
	n.root = node.Spawn(sys, "node", func(ctx actor.Context) { // once: it receives nothing that could fail
		n.features(ctx, c, &l)
		close(started)
	})
	<-started
	n.door = guard.NewDoor(l.Relay, doorLimits(c), guard.Hooks{Log: tree.Log(sys)})
	if n.ui != nil {
		n.ui.uis.serve(sys, n.run)
	}
	n.serve(c, l)
	if n.star != nil {
		n.serveStar(c, &l)
	}
	if n.enclave != nil {
		n.serveEnclave()
	}
	return n
}

// doorLimits are those of a door that strangers come to.
func doorLimits(c *config.Node) guard.Limits {
	return guard.Limits{
		HalfOpenPerAddress: c.HalfOpenPerAddress, HalfOpenTotal: c.HalfOpenTotal,
		Rate: float64(c.ConnectRatePerAddress), Burst: c.ConnectBurst, ExemptLoopback: true,
	}
}

// features spawns what the node does. The fan-out comes first: all others send
// to it.
func (n *Node) features(ctx actor.Context, c *config.Node, l *Listeners) {
	limits := relay.Limits{ChannelsPerClient: c.MaxChannelsPerClient, Channels: c.MaxChannels}
	fan := link.SpawnShards(ctx, "fanout", n.kind)
	if l.DB != nil {
		n.db = store.Spawn(ctx, "store", store.Options{DB: l.DB})
	}
	if n.mesh != nil {
		n.mesh.spawn(ctx, c, l.Identity, c.Host(l.port()), fan, n.db)
	}
	channels := relay.SpawnChannels(ctx, limits, relay.Fanout{Shards: fan.Shards, Gauges: fan.Gauges}, n.mesh.relay())
	n.vault = vault.Spawn(ctx, vault.Limits{Workers: c.PasswordWorkers, Queue: c.PasswordQueue})
	clients := relay.SpawnClients(ctx, limits, channels, n.vault)
	n.Stats = relay.SpawnStats(ctx, clients, channels)
	n.Health = relay.SpawnHealth(ctx, clients, channels)
	n.Host = relay.SpawnHost(ctx, host.Read)
	relay.Meet(ctx, channels, clients, n.Stats)
	n.links = link.SpawnLinks(ctx, "links", n.kind, fan.Shards, clients)
	if n.star != nil {
		n.star.spawn(ctx, c, l.Identity.Seed)
	}
	var status *actor.PID
	if l.DB != nil {
		n.safe = vault.SpawnSafe(ctx, "safe", vault.SafeSpec{Store: n.db, Vault: n.vault, Initial: l.Password})
	}
	if n.enclave != nil {
		n.enclave.spawn(ctx, c, l, n.db, n.safe)
	}
	if n.ui != nil {
		status = n.ui.spawn(ctx, n, c, l)
	}
	if n.mesh != nil {
		n.mesh.Meet(mesh.Outside{Channels: channels, Stats: n.Stats, Host: n.Host, Health: n.Health, Status: status})
	}
}

func (n *Node) serve(c *config.Node, l Listeners) {
	rules := guard.Rules{
		LoopbackOnly: c.RelayOnLoopback(), Hosts: c.RelayHosts, Port: int(l.port()), HostsOption: "relay-hosts",
		Origins: c.RelayOrigins, AnyOrigin: len(c.RelayOrigins) == 0, OriginsOption: "relay-origins",
	}
	mux := http.NewServeMux()
	mux.Handle("GET /connect", &relaygate.Gateway{
		Kind: n.kind, Links: n.links, Limit: c.MaxFrame, MaxLinks: int64(c.MaxClients), Refuse: n.door.Refuse,
	})
	if n.mesh != nil {
		mux.Handle("GET /node", n.mesh.handler(n.sys))
	}
	mux.Handle("GET /health", web.Health(n.sys.Root, n.Health, n.star.now, l.Unsafe))
	relayServer := guard.Server(n.door.Screen(rules, mux), guard.ServerOptions{Door: n.door, Log: tree.Log(n.sys), Header: c.HandshakeTimeout})
	ln := link.Listener(n.door)
	if l.TLS != nil {
		ln = tls.NewListener(ln, l.TLS)
	}
	n.run("relay", relayServer, ln)
	if l.Metrics != nil {
		own := guard.Rules{LoopbackOnly: true}
		ops := guard.Server(screened(own, web.Operators(tree.Of(n.sys), n.refusals)), guard.ServerOptions{Log: tree.Log(n.sys), Request: -1, Response: -1})
		n.run("metrics", ops, l.Metrics)
	}
}

// refusals are those at all doors, by reason.
func (n *Node) refusals() map[string]uint64 {
	all := n.door.Counts()
	more := []map[string]uint64{n.star.refusals(), n.enclave.refusals()}
	if n.ui != nil {
		for _, d := range n.ui.uis.doors {
			more = append(more, d.Counts())
		}
	}
	for _, counts := range more {
		for reason, count := range counts {
			all[reason] += count
		}
	}
	return all
}

// screened refuses what a web page could have asked for.
func screened(rules guard.Rules, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refusal := rules.Check(r); refusal != nil {
			refusal.WriteTo(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Frames is how many messages came in from clients and friends.
func (n *Node) Frames() int64 { return n.kind.Frames() + n.star.frames() + n.enclave.frames() }

// Ended is closed when a user interface has asked the node to end: stop it then.
func (n *Node) Ended() <-chan struct{} {
	if n.ui == nil {
		return nil
	}
	return n.ui.ended
}

// closeGoingAway is the WebSocket code of a server that stops.
const closeGoingAway = 1001

// Stop ends the node in order: no new connections, goodbye to all clients in
// batches, then to friends and other nodes, then the actors. It takes until ctx ends at most; what is left then
// is cut off, and an error.
func (n *Node) Stop(ctx context.Context) error {
	n.servers.close(ctx)
	n.enclave.close()
	var uiErr error
	if n.ui != nil {
		uiErr = wait(ctx, "uis", n.sys.Root.RequestFuture(n.ui.uis.links, goodbye(), untilDone(ctx)))
	}
	err := wait(ctx, "links", n.sys.Root.RequestFuture(n.links, goodbye(), untilDone(ctx)))
	left := n.kind.Links()
	if err == nil {
		left = 0
	}
	more, starErr := n.star.stop(ctx, n.sys)
	left += more
	enclaveErr := n.enclave.stop(ctx, n.sys)
	meshErr := n.mesh.stop(ctx, n.sys)
	var storeErr error
	if n.db != nil {
		storeErr = wait(ctx, "store", flush(ctx, n.sys, n.db))
	}
	stopErr := wait(ctx, "actors", n.sys.Root.StopFuture(n.root))
	n.sys.Shutdown()
	if left > 0 {
		tree.Log(n.sys).Warn("clients cut off", slog.Int64("clients", left))
	}
	return errors.Join(uiErr, err, starErr, enclaveErr, meshErr, storeErr, stopErr)
}
