package star

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Version is the Engine.IO version that a socket speaks: each has links, fan-out
// shards and frames of its own.
type Version int

// The versions.
const (
	Three Version = iota // Engine.IO 3: socket.io 1 and 2
	Four                 // Engine.IO 4: socket.io 3 and 4
	versions
)

// Limits of one client. Source: gateways/star/PROTOCOL.md, Limits.
const (
	addressesMost = 16               // of a socket
	streamsMost   = 64               // dials of a socket, and as many of others to it
	callersMost   = 8                // of those, dials of one other socket
	acksMost      = 256              // of ours that a client has not answered
	ackTime       = 10 * time.Second // that it has for an answer
	idleMost      = 10 * time.Minute // without a packet, before a dial is ended
	heldMost      = 256 << 10        // bytes of a stream that nobody has accepted, before its sender is read no more; what is kept of one that has gone
	heldLeast     = 4 << 10          // bytes of such a stream that are kept even when Options.Held is used up: a greeting
	joinsMost     = 32               // joins of a socket at once, before each waits for joinPause
	joinPause     = 100 * time.Millisecond
	nonceTime     = 60 * time.Second
	rivalSilence  = 5 * time.Second // after which the holder of an address gives way, without the challenge
)

// Texts that clients are told. Source: gateways/star/PROTOCOL.md, Errors.
const (
	errAddress      = "Invalid multiaddr"
	errNoID         = "Crypto Challenge required but no Id provided"
	errNotMatching  = "Id is not matching"
	errCrypto       = "Crypto error"
	errSignature    = "Signature Invalid"
	errInUse        = "Address in use"
	errTooMany      = "Too many addresses"
	errBusy         = "Too many requests"
	errUnauthorized = "Not authorized for this address"
	errNotFound     = "Peer not found"
	errTimedOut     = "Dial timed out"
	errDialInUse    = "Dial id in use"
	errStreams      = "Too many streams"
)

// Fanout is how the links of one version are reached: member m belongs to shard
// m mod len(Shards).
type Fanout struct{ Shards []*actor.PID }

// Options are what a rendezvous is made of.
type Options struct {
	Challenge bool  // who joins proves to have the key of its address
	Strict    bool  // addresses are WebSocketStar's
	Delta     bool  // announced at once when they join, and otherwise once a minute
	Sockets   int   // most at once
	Workers   int   // signatures that are checked at once; 0: one
	Held      int64 // bytes of all streams that nobody has accepted; 0: any
	Fanout    [versions]Fanout
	Seed      uint64                           // of what is drawn where that may be replayed; nonces and session ids never are
	Draw      func() string                    // a nonce; nil: two random UUIDs joined
	Now       func() time.Time                 // nil: time.Now
	Sid       func() string                    // a session id; nil: drawn
	Verify    func(verify func(), done func()) // runs a signature check off the actors; nil: tree.Go
}

// Star is a rendezvous, running.
type Star struct {
	Sessions [versions]*actor.PID // answer linkpb.Opened
	Registry *actor.PID           // answers starpb.StatusRequest
}
