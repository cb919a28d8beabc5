package uiv2

import (
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"parley/gateways/link"
	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/uipb"
)

// Codec translates frames of MASQNode-UIv2. The Daemon's and the Node's differ
// in the opcodes whose payloads they look into, and in nothing else: what one
// of them reads in an envelope, the other reads too. Source: PROTOCOL.md.
type Codec struct {
	schemas map[string]schema // by opcode
}

// schema reads the payload of one opcode into a request's body, or says what
// is wrong with it.
type schema struct {
	opcode string // the one copy of it that all requests share
	read   func(r *uipb.Request, payload []byte) (flaw string)
}

// DaemonCodec is the Codec of a Daemon.
func DaemonCodec() Codec {
	return newCodec(map[string]func(*uipb.Request, []byte) string{
		"setup":       readSetup,
		"start":       readEmpty,
		"subscribe":   readSubscribe,
		"unsubscribe": readSubscribe,
	})
}

// NodeCodec is the Codec of a Node.
func NodeCodec() Codec {
	return newCodec(map[string]func(*uipb.Request, []byte) string{
		"descriptor":        readEmpty,
		"connectionStatus":  readEmpty,
		"neighborhoodGraph": readEmpty,
		"checkPassword":     readPassword,
		"changePassword":    readChangePassword,
		"configuration":     readPassword,
		"setConfiguration":  readSetConfiguration,
		"shutdown":          readEmpty,
		"crash":             readCrash,
		"subscribe":         readSubscribe,
		"unsubscribe":       readSubscribe,
		"nodeStats":         readStats,
		"hostStats":         readStats,
		"channels":          readChannels,
		"peers":             readEmpty,
		"starPeers":         readEmpty,
		"contacts":          readContacts,
		"addContact":        readAddContact,
		"acceptContact":     readAcceptContact,
		"ignoreContact":     readIgnoreContact,
		"removeContact":     readRemoveContact,
		"sendMessage":       readSendMessage,
		"setStatus":         readSetStatus,
		"setAlias":          readSetAlias,
		"history":           readHistory,
	})
}

func newCodec(readers map[string]func(*uipb.Request, []byte) string) Codec {
	c := Codec{schemas: make(map[string]schema, len(readers))}
	for opcode, read := range readers {
		c.schemas[opcode] = schema{opcode: opcode, read: read}
	}
	return c
}

// Protocol implements link.Codec.
func (Codec) Protocol() string { return "uiv2" }

// Slot implements link.Codec.
func (Codec) Slot() messages.Slot { return messages.SlotUI }

// Charge implements link.Codec.
func (Codec) Charge(m proto.Message) uint32 {
	if r, ok := m.(*uipb.Response); ok {
		return r.GetCharge()
	}
	return 0
}

// reasonBinary is why a binary frame is ignored: it is not answered.
const reasonBinary = "binary frame"

// Decode implements link.Codec. What it makes of a frame holds as much credit
// as the frame is long.
func (c Codec) Decode(frame []byte, binary bool) (proto.Message, uint32) {
	if binary {
		return &linkpb.Malformed{Reason: reasonBinary, Charge: 1}, 1
	}
	charge := messages.Charge(len(frame))
	r := &uipb.Request{Charge: charge}
	if fault := c.request(frame, r); fault != "" {
		return &uipb.Unreadable{Message: fault, BadData: excerpt(frame), Charge: charge}, charge
	}
	return r, charge
}

// request fills r from a frame. A fault means that there is nothing to answer
// to: no opcode, or no context for the answer.
func (c Codec) request(frame []byte, r *uipb.Request) (fault string) {
	var e envelope
	if fault = e.open(frame); fault != "" {
		return fault
	}
	if fault = e.context(r); fault != "" {
		return fault
	}
	known, fault := c.opcode(&e, r)
	if fault != "" {
		return fault
	}
	flaw := e.content(r)
	if flaw == "" && known != nil && !r.Error {
		flaw = known(r, r.Payload)
	}
	if flaw == "" {
		return ""
	}
	if r.Context == nil {
		return flaw
	}
	r.Flaw, r.Payload, r.Body, r.Error = flaw, nil, nil, false
	return ""
}

// maxOpcode is how long an opcode may be, in bytes. It comes back in answers,
// keys maps and stands in logs.
const maxOpcode = 128

func (c Codec) opcode(e *envelope, r *uipb.Request) (read func(*uipb.Request, []byte) string, fault string) {
	if e.opcode == nil {
		return nil, missing(keyOpcode)
	}
	name, ok := plain(e.opcode)
	if !ok {
		return nil, mistyped(keyOpcode, typeString, e.opcode)
	}
	if len(name) > maxOpcode {
		return nil, mistyped(keyOpcode, "string of at most 128 bytes", e.opcode)
	}
	if s, ok := c.schemas[string(name)]; ok {
		r.Opcode = s.opcode
		return s.read, ""
	}
	r.Opcode = string(name)
	return nil, ""
}

// maxBadData is how much of a frame comes back that was not understood, in
// bytes: enough to recognise it.
const maxBadData = 4 << 10

// excerpt is the beginning of a frame. Text that is not UTF-8 never gets here
// from a WebSocket, which is closed for it.
func excerpt(frame []byte) string {
	return strings.ToValidUTF8(string(cut(frame, maxBadData)), "?")
}

// cut is at most n bytes of b, and no half character at the end.
func cut(b []byte, n int) []byte {
	if len(b) <= n {
		return b
	}
	for back := 0; back < utf8.UTFMax && n > 0 && !utf8.RuneStart(b[n]); back++ {
		n--
	}
	return b[:n]
}

// Append implements link.Codec.
func (Codec) Append(dst []byte, m proto.Message) ([]byte, error) {
	switch m := m.(type) {
	case *uipb.Response:
		return appendResponse(dst, m)
	case *linkpb.Dropped:
		return appendDropped(dst, m), nil
	}
	return dst, link.ErrNotOnWire
}
