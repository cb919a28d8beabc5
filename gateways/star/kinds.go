package star

import (
	"time"

	"parley/gateways/link"
	"parley/gateways/ws"
)

// Limits of a socket. Source: PROTOCOL.md, Limits.
const (
	MaxMessage     = 4 << 20 // bytes of a message, its attachments included
	maxAttachments = 8
	assembleTime   = 10 * time.Second // from a packet to its last attachment
	outboundLimit  = 16 << 20         // bytes that a client may leave unread, 128 for each packet beside its own
	outboundCount  = 64 << 10         // packets: what 64 dials hold at most for one who accepts them all at once
	writeTimeout   = 45 * time.Second
	deadAfter      = 45 * time.Second // silence
)

// Pings. Clients of version 3 ask by themselves and want to hear anything, more
// often than every 45 s; those of version 4 are asked, and say how often they
// expect it from what the handshake told them.
const (
	pingThree    = 20 * time.Second
	pingFour     = 25 * time.Second
	pingInterval = "25000" // ms, told to clients
	pingTimeout  = "20000" // ms, told to clients
)

// NewKinds is what the sockets of a version have in common: Engine.IO 3 and 4.
// link.New completes them.
func NewKinds() (three, four *link.Kind) {
	return newKind(Codec{}, Framing{}, pingThree), newKind(Codec{Four: true}, Framing{Four: true}, pingFour)
}

func newKind(c Codec, f Framing, ping time.Duration) *link.Kind {
	return &link.Kind{
		Codec: c, Framing: f,
		OutboundLimit: outboundLimit, OutboundCount: outboundCount, WriteTimeout: writeTimeout, Ping: ping, Dead: deadAfter, Inline: true,
	}
}

// Framing is WebSocket's, but for pings: those are Engine.IO's, because clients
// in browsers see no others.
type Framing struct {
	ws.Framing

	Four bool
}

// AppendPing implements link.Framing. A client of version 3 is told nothing, so
// that it hears something while nobody reads what it says.
func (f Framing) AppendPing(dst, _ []byte) []byte {
	if f.Four {
		return f.AppendFrame(dst, []byte{enginePing})
	}
	return f.AppendFrame(dst, []byte{engineNoop})
}
