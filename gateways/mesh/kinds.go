package mesh

import (
	"time"

	"parley/actors/tree"
	"parley/gateways/link"
	"parley/gateways/ws"
)

// Limits of a link. Source: PROTOCOL.md, Links.
const (
	MaxFrame      = 8 << 20  // bytes of one message
	outboundLimit = 16 << 20 // bytes that may wait for a node: nothing is dropped, so then it is closed
	writeTimeout  = 10 * time.Second
	stallBytes    = 2 << 20 // that wait for a node, from which it is behind
	stallAfter    = 1500 * time.Millisecond
	pingInterval  = 5 * time.Second
	deadAfter     = 15 * time.Second
)

// Close codes of the protocol's own. Source: PROTOCOL.md, Links.
const (
	CloseForbidden = 4403 // name, token or chain do not fit, or the handshake is none
	CloseNameInUse = 4409 // there is a link with that node already
)

// NewKinds is what links have in common: those that others dialled, and those
// that this node did. link.New completes them.
func NewKinds() (accepted, dialled *link.Kind) {
	return newKind(Codec{}, ws.Framing{}), newKind(Codec{Dialled: true}, ws.Masked{})
}

// newKind has one shard a side: a node has a handful of links.
func newKind(c Codec, f link.Framing) *link.Kind {
	return &link.Kind{
		Codec: c, Framing: f, Shards: 1,
		OutboundLimit: outboundLimit, WriteTimeout: writeTimeout, StallBytes: stallBytes, StallAfter: stallAfter, Ping: pingInterval, Dead: deadAfter,
		RoundTrips: true, Late: tree.MeshLinkLost, CloseCodes: []uint32{CloseForbidden, CloseNameInUse},
	}
}
