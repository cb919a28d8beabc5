package mesh

import (
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/meshpb"
)

// Side says which end of a link dialled: each side has links, fan-out shards and
// frames of its own, because only a client masks what it sends.
type Side int

// The sides.
const (
	Accepted Side = iota
	Dialled
	sides
)

// Fanout is how the links of one side are reached: member m belongs to shard
// m mod len(Shards).
type Fanout struct{ Shards []*actor.PID }

// Neighbor is a node that this one is told to be linked with.
type Neighbor struct {
	Name  string // empty: not known
	URL   string // ws:// or wss://
	Token string
}

// Options are what a node's part in the mesh is made of.
type Options struct {
	Name    string
	Boot    uint64 // larger than at all earlier starts of this name; Unix ms
	Chain   string
	Version string
	Host    string // URL that others reach this node at; empty: they do not
	Accept  bool   // others may connect
	Relay   bool   // passes on what is for others

	Neighbors []Neighbor
	Token     string            // presented by who may connect, again and again; empty: nobody may
	Tokens    map[string]string // by name: as Token, for one node each; nil: none
	MaxLinks  int
	Master    bool

	AskFirst time.Duration // how long a new name waits for the others; 0: it does not
	Linger   time.Duration // how long a name stays reserved behind its last subscriber
	HighRTT  time.Duration // of a peer's median, from which health is degraded

	Fanout [sides]Fanout
	// Dial connects, off the actors. It returns when the link was handed over to
	// its links, with nil, or why it was not.
	Dial func(d *meshpb.Dial) *meshpb.DialFailed
	// Hold tells whether more is queued for links and subscribers than is good:
	// packets from peers are taken more slowly then. It returns at once. nil: never.
	Hold  func() bool
	Gauge *tree.Gauge // what is queued for the router; nil: nobody asks
	// Alone is kept by the router: no other node is linked or known, so it would do
	// nothing with a meshpb.Publish. nil: nobody asks.
	Alone *atomic.Bool
	Now   func() time.Time // for claims; nil: time.Now
	Seed  uint64           // of what is drawn: jitter, the choice of further peers
	Store *actor.PID       // keeps known nodes and histories; nil: nobody does
}

// Mesh is a node's part in the mesh, running.
type Mesh struct {
	Peers        *actor.PID // answers linkpb.Opened, meshpb.AdmitRequest, meshpb.PeersRequest; told SetMaxLinks
	Router       *actor.PID // takes meshpb.Publish, meshpb.Carry, meshpb.Drop; answers meshpb.NetworkRequest
	Commands     *actor.PID // answers meshpb.AskRequest
	Reservations *actor.PID // answers meshpb.OpenRequest, meshpb.HoldingsRequest; told meshpb.Drop
	Master       *actor.PID // answers meshpb.OverviewRequest; nil: this node is none

	root    *actor.RootContext
	spawned []*actor.PID // all of them
}

// Outside is what the mesh of a node talks to in its node. What is nil is not told.
type Outside struct {
	Channels *actor.PID // told meshpb.Evict
	Stats    *actor.PID // answers relaypb.NodeStatsRequest
	Host     *actor.PID // answers relaypb.HostStatsRequest
	Health   *actor.PID // told relaypb.Ailment
	Status   *actor.PID // told uipb.Stage
}

// meet introduces the actors of this package to each other and to their node.
// Each has its own, which outlives its restarts: all but Outside is there from
// the start, and Outside comes as a message.
type meet struct {
	Outside
	router, hello, commands, reservations, peers, scout *actor.PID
	master                                              *actor.PID // nil: this node is none
}
