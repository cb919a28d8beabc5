package star

import (
	"strconv"

	"google.golang.org/protobuf/proto"

	"parley/gateways/jsonwalk"
	"parley/gateways/link"
	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/starpb"
)

// Codec translates between messages and what a Socket reads. It keeps no state.
// Source: PROTOCOL.md.
type Codec struct {
	Four bool // Engine.IO 4
}

// Reasons of messages that no client may send: it is closed. Source: PROTOCOL.md,
// Connection.
const (
	reasonEngine      = "unknown packet"
	reasonPing        = "ping too long"
	reasonPacket      = "malformed packet"
	reasonAttachments = "malformed attachments"
	reasonJSON        = "invalid json"
)

// Texts for clients whose arguments are not what they should be. Source:
// PROTOCOL.md, Errors.
const (
	errArguments = "Invalid arguments"
	errOtherSide = `"Unreadable answer"` // JSON
)

// What a client may make the node keep, in bytes: a message that is no stream's
// holds one unit of credit, whatever it is.
const (
	maxPing    = 125
	maxAddress = 1 << 10
	maxData    = 8 << 10 // of a join: a key or a signature in hex
	maxID      = 256     // of a dial; its streams' are longer by what tells the direction
	maxStream  = maxID + len(".listener")
	maxError   = 4 << 10 // of an answer, as JSON
)

// Protocol implements link.Codec.
func (c Codec) Protocol() string {
	if c.Four {
		return "star4"
	}
	return "star"
}

// Slot implements link.Codec.
func (c Codec) Slot() messages.Slot {
	if c.Four {
		return messages.SlotStarFour
	}
	return messages.SlotStar
}

// Charge implements link.Codec: what answers a packet gives back its unit of
// credit. All others are settled by the client's session.
func (Codec) Charge(m proto.Message) uint32 {
	switch m := m.(type) {
	case *starpb.Pong, *starpb.Connected, *starpb.Refused:
		return 1
	case *starpb.Reply:
		if !m.GetSettled() {
			return 1
		}
	}
	return 0
}

// Decode implements link.Codec: a binary frame is a composite. A Stream is
// charged by its size; all else holds one unit of credit.
func (c Codec) Decode(frame []byte, binary bool) (proto.Message, uint32) {
	if binary {
		text, attachments, ok := split(frame)
		if !ok || len(text) == 0 || text[0] != engineMessage {
			return malformed(reasonEngine)
		}
		return message(text[1:], attachments)
	}
	if len(frame) == 0 {
		return malformed(reasonEngine)
	}
	switch frame[0] {
	case enginePing:
		if len(frame) > maxPing {
			return malformed(reasonPing)
		}
		return &starpb.Ping{Data: string(frame[1:])}, 1
	case engineClose, enginePong, engineUpgrade, engineNoop:
		return alive()
	case engineMessage:
		return message(frame[1:], nil)
	}
	return malformed(reasonEngine)
}

func malformed(reason string) (proto.Message, uint32) {
	return &linkpb.Malformed{Reason: reason, Charge: 1}, 1
}

func alive() (proto.Message, uint32) { return &starpb.Alive{Charge: 1}, 1 }

// message is what a socket.io packet says; attachments are those that came.
func message(text []byte, attachments [][]byte) (proto.Message, uint32) {
	if m := chunk(text, attachments); m != nil {
		return m, m.GetCharge()
	}
	var p packet
	if reason := p.parse(text); reason != "" {
		return malformed(reason)
	}
	if p.attachments != len(attachments) {
		return malformed(reasonAttachments)
	}
	switch p.kind {
	case typeConnect:
		return &starpb.Connect{Namespace: p.path()}, 1
	case typeDisconnect:
		if p.path() == usual {
			return &starpb.Disconnect{}, 1
		}
	case typeEvent, typeBinaryEvent, typeAck, typeBinaryAck:
		return p.speak(attachments)
	}
	return alive()
}

// usual is the namespace that everything happens in.
const usual = "/"

// path is the namespace without a query.
func (p *packet) path() string {
	for i, c := range p.namespace {
		if c == '?' {
			return string(p.namespace[:i])
		}
	}
	if len(p.namespace) == 0 {
		return usual
	}
	return string(p.namespace)
}

// speak is what an event or an answer says.
func (p *packet) speak(attachments [][]byte) (proto.Message, uint32) {
	var a args
	if !a.parse(p.json) {
		return malformed(reasonJSON)
	}
	if len(attachments) > 0 && !placed(p.json, len(attachments)) {
		return malformed(reasonAttachments)
	}
	if p.path() != usual {
		return alive()
	}
	if p.kind == typeAck || p.kind == typeBinaryAck {
		if p.ack == nil {
			return alive()
		}
		return &starpb.Answered{Ack: *p.ack, Error: refusal(a.at(0), len(attachments) > 0)}, 1
	}
	if raw := a.at(0); len(raw) == 0 || raw[0] != '"' {
		return malformed(reasonJSON)
	}
	name, ok := jsonwalk.Text(a.at(0))
	if !ok {
		return alive()
	}
	return p.event(name, &a, attachments)
}

// refusal is the first argument of an answer, when it says that something went
// wrong: what JavaScript takes for true. One that cannot be handed on is replaced.
func refusal(raw []byte, attached bool) []byte {
	switch string(raw) {
	case "", "null", "false", `""`:
		return nil
	}
	if len(raw) > maxError || attached {
		return []byte(errOtherSide)
	}
	if f, err := strconv.ParseFloat(string(raw), 64); err == nil && f == 0 { // also -0, 0.0, 1e-999
		return nil
	}
	return append([]byte(nil), raw...)
}

var (
	_ link.Framed = Codec{}
	_ link.Parted = Codec{}
	_ link.Lender = Codec{}
)
