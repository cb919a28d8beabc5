package enclave

import (
	"time"

	"parley/gateways/link"
	"parley/gateways/tcp"
)

// Limits of a link. Source: PROTOCOL.md, Limits.
const (
	UsualPacket   = 64 << 10 // bytes of a packet's content, unless a setting says more
	LargestPacket = 1 << 20  // bytes that such a setting may say
	outboundLimit = 1 << 20  // bytes that a peer may leave unread
	writeTimeout  = 10 * time.Second
)

// NewKind is what all links have in common, whoever dialled. link.New completes
// it. There is one shard, which has nothing to fan out.
func NewKind() *link.Kind {
	return &link.Kind{Codec: Codec{}, Framing: tcp.Framing{}, Shards: 1, OutboundLimit: outboundLimit, WriteTimeout: writeTimeout}
}
