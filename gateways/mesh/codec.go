package mesh

import (
	"google.golang.org/protobuf/proto"

	"parley/gateways/jsonwalk"
	"parley/gateways/link"
	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/meshpb"
)

// Codec translates frames of /node. A text frame becomes a meshpb.Handshake or a
// meshpb.Frame of one packet, a binary one a meshpb.Frame; the other way, a
// meshpb.Packet goes out as text and a meshpb.Frame binary. Source: PROTOCOL.md.
type Codec struct {
	Dialled bool // of links that this node dialled
}

// Reasons of frames that make no sense. Source: PROTOCOL.md, Malformed frames.
const (
	reasonJSON        = "invalid json"
	reasonProtobuf    = "invalid protobuf"
	reasonHandshake   = "invalid handshake"
	reasonType        = "invalid type"
	reasonSource      = "invalid source"
	reasonDestination = "invalid destination name"
	reasonNonce       = "invalid nonce"
	reasonHops        = "invalid hops"
	reasonVia         = "invalid via"
	reasonTree        = "invalid tree"
	reasonData        = "invalid data"
	reasonMessage     = "invalid message"
	reasonChannel     = "invalid channel"
	reasonKey         = "invalid key"
	reasonCommand     = "invalid command"
	reasonNode        = "invalid node"
	reasonPassword    = "invalid password"
	reasonClaim       = "invalid claim"
	reasonVersion     = "invalid boot or ver"
	reasonOpen        = "invalid open"
	reasonHolders     = "invalid holders"
	reasonHello       = "invalid hello"
	reasonRecords     = "invalid records"
	reasonResponse    = "invalid response"
	reasonTooMany     = "too many entries"
)

// Protocol implements link.Codec.
func (Codec) Protocol() string { return "mesh" }

// Slot implements link.Codec.
func (c Codec) Slot() messages.Slot {
	if c.Dialled {
		return messages.SlotMeshDialled
	}
	return messages.SlotMesh
}

// Charge implements link.Codec: what a node sends settles nothing.
func (Codec) Charge(proto.Message) uint32 { return 0 }

// Binary implements link.Binary.
func (Codec) Binary(m proto.Message) bool {
	_, ok := m.(*meshpb.Frame)
	return ok
}

// Decode implements link.Codec. A meshpb.Frame is charged by its size; what else
// comes holds one unit of credit.
func (Codec) Decode(frame []byte, binary bool) (proto.Message, uint32) {
	m, reason := decode(frame, binary)
	if reason != "" {
		return &linkpb.Malformed{Reason: reason, Charge: 1}, 1
	}
	if f, ok := m.(*meshpb.Frame); ok {
		f.Charge = messages.Charge(len(frame))
		return f, f.GetCharge()
	}
	return m, 1
}

// decode returns what is in a frame, or why that makes no sense.
func decode(frame []byte, binary bool) (m proto.Message, reason string) {
	if binary {
		f, reason := decodeFrame(frame)
		if reason != "" {
			return nil, reason
		}
		return f, ""
	}
	if !jsonwalk.Sound(frame, maxDepth) {
		return nil, reasonJSON
	}
	var f fields
	if !f.read(frame) {
		return nil, reasonJSON
	}
	if f.command != nil && f.kind == nil {
		return f.handshake()
	}
	p, reason := f.packet()
	if reason != "" {
		return nil, reason
	}
	return &meshpb.Frame{Packets: []*meshpb.Packet{p}}, ""
}

// Append implements link.Codec.
func (Codec) Append(dst []byte, m proto.Message) ([]byte, error) {
	switch m := m.(type) {
	case *meshpb.Packet:
		return appendPacket(dst, m), nil
	case *meshpb.Frame:
		return appendFrame(dst, m)
	case *meshpb.Handshake:
		return appendHandshake(dst, m), nil
	}
	return dst, link.ErrNotOnWire
}
