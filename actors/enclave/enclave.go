package enclave

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/messages/enclavepb"
)

// Statuses of a peer. Source: Enclave, status.
const (
	Offline uint32 = iota
	Available
	Away
	Busy
)

// Limits. Source: gateways/enclave/PROTOCOL.md, Limits.
const (
	DefaultPort   = 7776
	dialsMost     = 32               // under way at once
	redialFirst   = time.Second      // until a friend is dialled again; doubles
	redialMost    = 5 * time.Minute  // longest pause
	redialByeMost = 30 * time.Second // after the friend said that it goes offline
	handshakeTime = 10 * time.Second // that a peer has for its first packet
	bothTime      = 5 * time.Second  // that two links of opposite directions are both kept
	yieldAge      = 30 * time.Second // a link older than that yields to any newer one
	waitTime      = 10 * time.Minute // that a stranger waits
	strangersMost = 64
	strangersEach = 2    // of one address
	strangerHeld  = 16   // messages
	queuedMost    = 1000 // messages that wait for one friend
	badMost       = 5    // packets in a row that are none
	resendMost    = 4096 // ids remembered of what a friend has sent
)

// Options are what a node's part in Enclave is made of.
type Options struct {
	Alias     string
	Retention time.Duration             // that what was said is kept; 0: for ever; negative: not at all
	Outbox    bool                      // messages are stored before they are acknowledged
	Allow     func(address string) bool // who may call; nil: anybody
	// Dial connects, off the actors. It returns when the link was handed over, with
	// nil, or why it was not.
	Dial  func(d *enclavepb.Dial) *enclavepb.DialFailed
	Local string           // ip or ip:port that this node listens on: who it is; empty: not known
	Store *actor.PID       // nil: nothing is kept
	Safe  *actor.PID       // answers vaultpb.RevealRequest, SealRequest; nil: nothing is encrypted
	Now   func() time.Time // nil: time.Now
	Seed  uint64           // of jitter
	// Listeners is how many will say enclavepb.Listen at the start: what happens
	// before is told then.
	Listeners int
}

// Enclave is a node's part in Enclave, running.
type Enclave struct {
	Friends   *actor.PID // answers linkpb.Opened, enclavepb.StatusRequest
	Frontends *actor.PID // answers enclavepb.Command; told enclavepb.Listen
}
