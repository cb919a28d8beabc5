package star

import (
	"math"
	"slices"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/proto"

	"parley/gateways/link"
	"parley/gateways/ws"
	"parley/messages/starpb"
)

// AppendFrames implements link.Framed.
func (c Codec) AppendFrames(dst []byte, f link.Framing, m proto.Message) ([]byte, error) {
	b := buffers.Get().(*buffer)
	defer b.free()
	switch m := m.(type) {
	case *starpb.Welcome:
		dst = f.AppendFrame(dst, b.set(c.appendOpen(b.empty(), m.GetSid())))
		if !c.Four {
			dst = f.AppendFrame(dst, b.set(append(b.empty(), engineMessage, typeConnect)))
		}
		return dst, nil
	case *starpb.Peers:
		for _, address := range m.GetAddresses() {
			dst = f.AppendFrame(dst, b.set(appendPeer(b.empty(), address)))
		}
		return dst, nil
	case *starpb.Stream:
		dst, _ = c.appendStream(dst, nil, f, m, math.MaxInt)
		return dst, nil
	}
	payload, err := c.Append(b.empty(), m)
	if err != nil {
		return dst, err
	}
	return f.AppendFrame(dst, b.set(payload)), nil
}

// partLeast is how large an attachment is, in bytes, that is worth a place of its
// own in a queue.
const partLeast = 2 << 10

// AppendParts implements link.Parted.
func (c Codec) AppendParts(dst []byte, parts []link.Part, f link.Framing, m proto.Message) ([]byte, []link.Part, error) {
	if s, ok := m.(*starpb.Stream); ok {
		dst, parts = c.appendStream(dst, parts, f, s, partLeast)
		return dst, parts, nil
	}
	dst, err := c.AppendFrames(dst, f, m)
	return dst, parts, err
}

// appendStream appends a packet and its attachments; those of at least least
// bytes become parts.
func (c Codec) appendStream(dst []byte, parts []link.Part, f link.Framing, m *starpb.Stream, least int) ([]byte, []link.Part) {
	b := buffers.Get().(*buffer)
	dst = f.AppendFrame(dst, b.set(append(append(b.empty(), engineMessage), m.GetPacket()...)))
	b.free()
	for _, a := range m.GetAttachments() {
		if c.Four {
			dst = ws.Framing{}.AppendBinaryHeader(dst, len(a))
		} else {
			dst = append(ws.Framing{}.AppendBinaryHeader(dst, len(a)+1), engineBinary)
		}
		if len(a) < least {
			dst = append(dst, a...)
		} else {
			parts = append(parts, link.Part{At: len(dst), Wire: a})
		}
	}
	return dst, parts
}

// Append implements link.Codec, for messages that are one frame.
func (c Codec) Append(dst []byte, m proto.Message) ([]byte, error) {
	switch m := m.(type) {
	case *starpb.Connected:
		dst = append(dst, engineMessage, typeConnect)
		if c.Four {
			dst = append(quote(append(dst, `{"sid":`...), m.GetSid()), '}')
		}
		return dst, nil
	case *starpb.Refused:
		dst = append(append(append(dst, engineMessage, typeError), m.GetNamespace()...), ',')
		if c.Four {
			return append(dst, `{"message":"Invalid namespace"}`...), nil
		}
		return append(dst, `"Invalid namespace"`...), nil
	case *starpb.Pong:
		return append(append(dst, enginePong), m.GetData()...), nil
	case *starpb.Reply:
		return appendReply(dst, m), nil
	case *starpb.Incoming:
		dst = strconv.AppendUint(append(dst, engineMessage, typeEvent), m.GetAck(), 10)
		dst = append(dst, `["`+eventIncoming+`",`...)
		dst = append(quote(dst, m.GetDial()), ',')
		return append(quote(dst, m.GetFrom()), ']'), nil
	case *starpb.Accept:
		dst = append(dst, engineMessage, typeEvent, '[')
		return append(quote(dst, streamPrefix+streamAccept+m.GetId()), ']'), nil
	case *starpb.End:
		dst = append(dst, engineMessage, typeEvent, '[')
		return append(quote(dst, streamPrefix+streamError+m.GetId()), ",true]"...), nil
	}
	return dst, link.ErrNotOnWire
}

func (c Codec) appendOpen(dst []byte, sid string) []byte {
	dst = quote(append(dst, `0{"sid":`...), sid)
	dst = append(dst, `,"upgrades":[],"pingInterval":`+pingInterval+`,"pingTimeout":`+pingTimeout...)
	if c.Four {
		dst = strconv.AppendInt(append(dst, `,"maxPayload":`...), MaxMessage, 10)
	}
	return append(dst, '}')
}

// appendReply appends an answer: its arguments are an error, a nonce, a list.
func appendReply(dst []byte, m *starpb.Reply) []byte {
	dst = append(strconv.AppendUint(append(dst, engineMessage, typeAck), m.GetAck(), 10), '[')
	switch {
	case len(m.GetError()) > 0:
		dst = append(dst, m.GetError()...)
	case m.GetNonce() != "":
		dst = quote(append(dst, "null,"...), m.GetNonce())
	case m.GetJoined():
		dst = append(dst, "null,null,["...)
		first := true
		for _, address := range m.GetAddresses() {
			if slices.Contains(m.GetOwn(), address) {
				continue
			}
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = quote(dst, address)
		}
		dst = append(dst, ']')
	}
	return append(dst, ']')
}

func appendPeer(dst []byte, address string) []byte {
	dst = append(append(dst, engineMessage, typeEvent), `["`+eventPeer+`",`...)
	return append(quote(dst, address), ']')
}

// quote appends s as a JSON string. It was UTF-8 when it came in.
func quote(dst []byte, s string) []byte {
	out, _ := jsontext.AppendQuote(dst, s)
	return out
}

// buffer holds a payload until it is in its frame.
type buffer struct{ b []byte }

const (
	startBuffer = 1 << 10  // bytes
	keepBuffer  = 64 << 10 // largest that is kept for the next message
)

var buffers = sync.Pool{New: func() any { return &buffer{make([]byte, 0, startBuffer)} }}

func (b *buffer) empty() []byte { return b.b[:0] }

// set notes that the buffer may have moved while it grew.
func (b *buffer) set(payload []byte) []byte {
	b.b = payload
	return payload
}

func (b *buffer) free() {
	if cap(b.b) <= keepBuffer {
		buffers.Put(b)
	}
}
