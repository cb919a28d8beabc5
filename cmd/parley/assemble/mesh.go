package assemble

import (
	"context"
	"crypto/x509"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/mesh"
	"parley/actors/relay"
	"parley/actors/tree"
	"parley/cmd/parley/config"
	"parley/gateways/link"
	meshgate "parley/gateways/mesh"
	"parley/gateways/ws"
	"parley/messages/meshpb"
)

// Identity is what other nodes know a node by, and how it reaches them.
type Identity struct {
	Boot    uint64 // larger than at all earlier starts of this name; 0: the time, Unix ms
	Token   string // who presents it may connect; blank: relay-token, and if that is blank, too, nobody
	Version string // of the program
	Seed    uint64 // of what is left to chance; 0: drawn

	Connect func(ctx context.Context, network, address string) (net.Conn, error) // nil: the machine's network
	Roots   *x509.CertPool                                                       // of wss://; nil: the system's
}

// meshed is a node's part in the mesh, with its gateway.
type meshed struct {
	*mesh.Mesh
	kinds [2]*link.Kind // of accepted links, and of dialled ones
	fans  [2]link.Fanout
	links [2]*actor.PID
	queue tree.Gauge // of the router
	alone atomic.Bool
	hang  func() // ends dialling
}

// Bytes that may wait inside the node, not in the queues of links, before it
// takes in less: what one processor fans out in a tenth of a second or so.
const (
	holdAt   = 16 << 20 // in one shard: packets of other nodes wait
	behindAt = 8 << 20  // for the mesh: clients are told to slow down
	// crowdedAt is what may wait for all other nodes together until then, unless a
	// single one of several is slow: its link has a limit of its own, and is closed.
	crowdedAt = 12 << 20
)

func newMeshed(sys *actor.ActorSystem) *meshed {
	m := &meshed{}
	m.kinds[mesh.Accepted], m.kinds[mesh.Dialled] = meshgate.NewKinds()
	for i, k := range m.kinds {
		k.Budget = link.NewBudget(0) // it counts, and closes nothing: a link has its own limit
		m.kinds[i] = link.New(sys, k)
	}
	return m
}

// spawn starts the mesh, but for what needs the rest of the node. clients are
// the shards of the node's clients.
func (m *meshed) spawn(ctx actor.Context, c *config.Node, id Identity, host string, clients link.Fanout, store *actor.PID) {
	o := mesh.Options{
		Name: c.Name, Boot: id.Boot, Chain: c.Chain, Version: id.Version, Host: host, Accept: c.Accepts(), Relay: c.Relays(),
		Token: id.Token, MaxLinks: c.MaxPeerLinks, Master: c.Master,
		AskFirst: c.AskFirst, Linger: c.ChannelLinger, HighRTT: c.HighLatency,
		Gauge: &m.queue, Alone: &m.alone, Seed: id.Seed, Store: store,
	}
	if o.Boot == 0 {
		o.Boot = uint64(time.Now().UnixMilli())
	}
	if o.Token == "" {
		o.Token = c.RelayToken
	}
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	for _, n := range c.Dialled() {
		o.Neighbors = append(o.Neighbors, mesh.Neighbor{Name: n.Name, URL: n.URL, Token: n.Token})
	}
	for i, name := range sideNames {
		m.fans[i] = link.SpawnShards(ctx, name+"fanout", m.kinds[i])
		o.Fanout[i] = mesh.Fanout{Shards: m.fans[i].Shards}
	}
	o.Hold = func() bool { return crowded(holdAt, clients, m.fans[0], m.fans[1]) }
	dialling, hang := context.WithCancel(context.Background())
	m.hang = hang
	dialler := &meshgate.Dialler{
		Kind: m.kinds[mesh.Dialled], Context: dialling,
		Sockets: ws.Dialler{Connect: id.Connect, TLS: ws.TLS{RootCAs: id.Roots}},
	}
	complete := make(chan struct{})
	o.Dial = func(d *meshpb.Dial) *meshpb.DialFailed {
		<-complete // it may be asked before its links are there
		return dialler.Dial(d)
	}
	m.Mesh = mesh.Spawn(ctx, o)
	for i, name := range sideNames {
		m.links[i] = link.SpawnLinks(ctx, name+"links", m.kinds[i], m.fans[i].Shards, m.Peers)
	}
	dialler.Links = m.links[mesh.Dialled]
	close(complete)
}

// sideNames are those of mesh.Accepted and mesh.Dialled.
var sideNames = [2]string{"peer", "neighbor"}

// relay is how channels reach the mesh; nil: there is none.
func (m *meshed) relay() relay.Mesh {
	if m == nil {
		return relay.Mesh{}
	}
	return relay.Mesh{Router: m.Router, Reservations: m.Reservations, Behind: m.behind, Alone: m.alone.Load}
}

// behind tells whether more is queued for other nodes than is good.
func (m *meshed) behind() bool {
	return m.queue.Bytes() > behindAt || m.slow() || crowded(behindAt, m.fans[:]...)
}

// slow tells whether the other nodes take less than they are sent: more than one
// of them, or all there are. Where one is slow and others are not, clients do not
// wait for it.
func (m *meshed) slow() bool {
	a, b := m.kinds[mesh.Accepted], m.kinds[mesh.Dialled]
	if a.Budget.Used()+b.Budget.Used() <= crowdedAt {
		return false
	}
	behind := a.Behind() + b.Behind()
	return behind > 1 || behind >= a.Links()+b.Links()
}

func crowded(most int64, all ...link.Fanout) bool {
	for _, f := range all {
		for _, g := range f.Gauges {
			if g.Bytes() > most {
				return true
			}
		}
	}
	return false
}

// handler is WS /node.
func (m *meshed) handler(sys *actor.ActorSystem) http.Handler {
	return &meshgate.Gateway{Kind: m.kinds[mesh.Accepted], Links: m.links[mesh.Accepted], Root: sys.Root, Peers: m.Peers}
}

// stop says goodbye to all other nodes.
func (m *meshed) stop(ctx context.Context, sys *actor.ActorSystem) error {
	if m == nil {
		return nil
	}
	m.hang()
	var futures []actor.Future
	for _, links := range m.links {
		futures = append(futures, sys.Root.RequestFuture(links, goodbye(), untilDone(ctx)))
	}
	var errs []error
	for _, f := range futures {
		errs = append(errs, wait(ctx, "links to nodes", f))
	}
	return errors.Join(errs...)
}

// apply takes over the option of a running node that is the mesh's.
func (m *meshed) apply(sys *actor.ActorSystem, name, value string) {
	if n, err := strconv.Atoi(value); m != nil && name == "max-peer-links" && err == nil {
		mesh.SetMaxLinks(sys.Root, m.Mesh, n)
	}
}
