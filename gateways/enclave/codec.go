package enclave

import (
	"google.golang.org/protobuf/proto"

	"parley/messages"
	"parley/messages/linkpb"
)

// Attributes of a packet. Source: PROTOCOL.md, Attributes.
const (
	keyStatus    = "status"
	keyAlias     = "alias"
	keyStatusOld = "status-message"
	keyStatusNew = "statusmsg" // as newer peers call it
	keyMessage   = "message"
	keyTimestamp = "timestamp"
	keyID        = "id"  // of our own
	keyAck       = "ack" // of our own
)

// Limits of attributes, in bytes. Source: PROTOCOL.md, Attributes.
const (
	aliasMost  = 128
	statusMost = 1 << 10
	idMost     = 64
	lastStatus = 3
	lastTime   = 253402300799 // the end of the year 9999
	depthMost  = 16           // nesting of a packet, itself included
)

// What is wrong with a packet that is none. Nobody is told but logs.
const (
	reasonJSON  = "not a JSON object"
	reasonDepth = "nested too deep"
)

// noSlot: what nobody fans out has no place in messages.Shared.
const noSlot messages.Slot = -1

// Codec translates packets. It implements link.Codec and link.Framed.
type Codec struct{}

// Protocol implements link.Codec.
func (Codec) Protocol() string { return "enclave" }

// Slot implements link.Codec. A Multicast to these links is a bug, and panics.
func (Codec) Slot() messages.Slot { return noSlot }

// Charge implements link.Codec: nothing that goes out gives credit back.
func (Codec) Charge(proto.Message) uint32 { return 0 }

// Decode implements link.Codec.
func (Codec) Decode(frame []byte, _ bool) (proto.Message, uint32) {
	charge := messages.Charge(len(frame))
	p, reason := decode(frame)
	if p == nil {
		return &linkpb.Malformed{Reason: reason, Charge: charge}, charge
	}
	p.Charge = charge
	return p, charge
}
