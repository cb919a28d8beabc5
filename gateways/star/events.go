package star

import (
	"bytes"
	"strings"

	"google.golang.org/protobuf/proto"

	"parley/gateways/jsonwalk"
	"parley/messages"
	"parley/messages/starpb"
)

// Names of events. Source: PROTOCOL.md, Events.
const (
	eventJoin     = "ss-join"
	eventLeave    = "ss-leave"
	eventDial     = "ss-dial"
	eventIncoming = "ss-incomming" // so on the wire
	eventPeer     = "ws-peer"
	streamPrefix  = "socket.io-pull-stream."
	streamAccept  = "accept."
	streamQueue   = "queue."
	streamError   = "error."
)

// event is what an event with a name says.
func (p *packet) event(name string, a *args, attachments [][]byte) (proto.Message, uint32) {
	switch name {
	case eventJoin:
		address, ok := bounded(a.at(1), maxAddress)
		data, hex := "", true
		if raw := a.at(2); raw != nil && string(raw) != "null" {
			data, hex = bounded(raw, maxData)
		}
		if !ok || !hex {
			return p.invalid()
		}
		return &starpb.Join{Address: address, Data: data, Ack: p.ack}, 1
	case eventLeave:
		address, ok := bounded(a.at(1), maxAddress)
		if !ok {
			return p.invalid()
		}
		return &starpb.Leave{Address: address}, 1
	case eventDial:
		from, ok := bounded(a.at(1), maxAddress)
		to, good := bounded(a.at(2), maxAddress)
		id, fine := bounded(a.at(3), maxID)
		if !ok || !good || !fine || id == "" {
			return p.invalid()
		}
		return &starpb.Dial{From: from, To: to, Dial: id, Ack: p.ack}, 1
	}
	if kind, id := stream(name); kind != starpb.Stream_KIND_UNSPECIFIED {
		m := p.frozen(attachments)
		m.Kind, m.Id = kind, id
		return m, m.GetCharge()
	}
	return alive()
}

func (p *packet) invalid() (proto.Message, uint32) {
	return &starpb.Invalid{Reason: errArguments, Ack: p.ack, Charge: 1}, 1
}

// bounded unquotes a string of at most so many bytes.
func bounded(raw []byte, most int) (string, bool) {
	s, ok := jsonwalk.Text(raw)
	return s, ok && len(s) <= most
}

// stream is what an event's name says about a stream; KIND_UNSPECIFIED: nothing.
func stream(name string) (kind starpb.Stream_Kind, id string) {
	rest, ok := strings.CutPrefix(name, streamPrefix)
	if !ok {
		return kind, ""
	}
	for _, s := range []struct {
		prefix string
		kind   starpb.Stream_Kind
	}{
		{streamQueue, starpb.Stream_KIND_QUEUE},
		{streamAccept, starpb.Stream_KIND_ACCEPT},
		{streamError, starpb.Stream_KIND_ERROR},
	} {
		if id, ok := strings.CutPrefix(rest, s.prefix); ok && id != "" && len(id) <= maxStream {
			return s.kind, id
		}
	}
	return kind, ""
}

// frozen is a stream's packet for its other end: as it was, but without what
// would make that answer.
func (p *packet) frozen(attachments [][]byte) *starpb.Stream {
	size := len(p.json) + len("50-")
	for _, a := range attachments {
		size += len(a)
	}
	own, lent := room(size)
	if len(attachments) > 0 {
		own = append(own, typeBinaryEvent, '0'+byte(len(attachments)), '-')
	} else {
		own = append(own, typeEvent)
	}
	own = append(own, p.json...)
	return freeze(own, lent, attachments)
}

// freeze makes a Stream of a packet and copies its attachments behind it, for
// which there is room.
func freeze(own []byte, lent bool, attachments [][]byte) *starpb.Stream {
	m := &starpb.Stream{Packet: own[:len(own):len(own)]}
	if lent {
		m.Room = own[:0]
	}
	if len(attachments) > 0 {
		m.Attachments = make([][]byte, len(attachments))
	}
	for i, a := range attachments {
		from := len(own)
		own = append(own, a...)
		m.Attachments[i] = own[from:len(own):len(own)]
	}
	m.Charge = messages.Charge(len(own))
	return m
}

// A chunk as clients send it: nearly all that a busy client says.
var (
	chunkStart = []byte(`51-["` + streamPrefix + streamQueue)
	chunkEnd   = []byte(`",{"_placeholder":true,"num":0}]`)
)

// chunk recognizes a chunk by its bytes, without parsing its JSON; nil: it is to
// be parsed.
func chunk(text []byte, attachments [][]byte) *starpb.Stream {
	if len(attachments) != 1 || !bytes.HasPrefix(text, chunkStart) || !bytes.HasSuffix(text, chunkEnd) || len(text) <= len(chunkStart)+len(chunkEnd) {
		return nil
	}
	id := text[len(chunkStart) : len(text)-len(chunkEnd)]
	if len(id) > maxStream {
		return nil
	}
	for _, c := range id {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return nil
		}
	}
	own, lent := room(len(text) + len(attachments[0]))
	m := freeze(append(own, text...), lent, attachments)
	m.Kind, m.Id = starpb.Stream_KIND_QUEUE, string(id)
	return m
}
