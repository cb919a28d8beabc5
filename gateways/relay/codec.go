package relay

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/proto"

	"parley/gateways/jsonwalk"
	"parley/gateways/link"
	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/relaypb"
)

// Codec translates frames of /connect. Source: PROTOCOL.md, Commands.
type Codec struct{}

// Reasons of frames that are no valid command. Source: PROTOCOL.md, Errors.
const (
	reasonJSON       = "invalid json"
	reasonNonce      = "invalid nonce"
	reasonBinary     = "binary not supported"
	reasonNoCommand  = "command key must be present"
	reasonCommand    = "invalid command"
	reasonNoData     = "data key must be present"
	reasonNoChannel  = "no channel provided"
	reasonBadChannel = "invalid channel"
	reasonPassword   = "invalid password type"
	reasonDrop       = "invalid drop"
	reasonAck        = "invalid ack"
)

// Protocol implements link.Codec.
func (Codec) Protocol() string { return "relay" }

// Slot implements link.Codec.
func (Codec) Slot() messages.Slot { return messages.SlotRelay }

// Charge implements link.Codec.
func (Codec) Charge(m proto.Message) uint32 {
	switch m := m.(type) {
	case *relaypb.Answer:
		return m.GetCharge()
	case *relaypb.Error:
		return m.GetCharge()
	}
	return 0
}

// What a frame may make the node keep beside its message, in bytes: all of it
// weighs one unit of credit, whatever it is.
const (
	maxNonce    = 4 << 10
	maxPassword = 4 << 10
)

// Decode implements link.Codec. A Send is charged by its size, a List all there
// is, because its answer may be a thousand times as long; all else holds one
// unit of credit: it keeps nothing of its frame but what is short.
func (Codec) Decode(frame []byte, binary bool) (proto.Message, uint32) {
	if binary {
		return &linkpb.Malformed{Reason: reasonBinary, Charge: 1}, 1
	}
	var f fields
	if !f.parse(frame) {
		return &linkpb.Malformed{Reason: reasonJSON, Charge: 1}, 1
	}
	if len(f.nonce) > maxNonce {
		return &linkpb.Malformed{Reason: reasonNonce, Charge: 1}, 1
	}
	m, reason := f.command()
	if reason != "" {
		return &linkpb.Malformed{Reason: reason, Nonce: clone(f.nonce), Charge: 1}, 1
	}
	switch m := m.(type) {
	case *relaypb.Send:
		m.Charge = messages.Charge(len(frame))
		return m, m.GetCharge()
	case *relaypb.List:
		return m, messages.ChargeAll
	}
	return m, 1
}

// command turns fields into a message, or says why not.
func (f *fields) command() (m proto.Message, reason string) {
	if f.verb == nil {
		return nil, reasonNoCommand
	}
	name, ok := jsonwalk.Text(f.verb)
	if !ok {
		return nil, reasonCommand
	}
	switch name {
	case "subscribe", "unsubscribe", "send":
		if !f.data {
			return nil, reasonNoData
		}
	case "list":
		return &relaypb.List{Nonce: clone(f.nonce)}, ""
	default:
		return nil, reasonCommand
	}
	if name == "send" {
		return f.send()
	}
	channel, reason := f.topicOrChannel()
	if reason != "" {
		return nil, reason
	}
	if name == "unsubscribe" {
		return &relaypb.Unsubscribe{Channel: channel, Nonce: clone(f.nonce)}, ""
	}
	return f.subscribe(channel)
}

func (f *fields) subscribe(channel string) (proto.Message, string) {
	m := &relaypb.Subscribe{Channel: channel, Nonce: clone(f.nonce)}
	if f.password != nil && string(f.password) != "null" {
		password, ok := jsonwalk.Text(f.password)
		if !ok || len(password) > maxPassword {
			return nil, reasonPassword
		}
		m.Password, m.HasPassword = password, true
	}
	switch string(f.drop) {
	case "":
	case `"oldest"`:
		m.Lossy = true
	default:
		return nil, reasonDrop
	}
	return m, ""
}

// send leaves out what is absent: the client's actor answers that, because it
// is a failure of the command and no error.
func (f *fields) send() (proto.Message, string) {
	m := &relaypb.Send{Message: clone(f.message), Nonce: clone(f.nonce)}
	switch string(f.ack) {
	case "", "true":
	case "false":
		m.Silent = true
	default:
		return nil, reasonAck
	}
	if f.channel != nil {
		name, ok := channelName(f.channel)
		if !ok {
			return nil, reasonBadChannel
		}
		m.Channel = name
	}
	return m, ""
}

// topicOrChannel takes either spelling; both must agree.
func (f *fields) topicOrChannel() (name, reason string) {
	raw := f.topic
	if raw == nil {
		raw = f.channel
	}
	if raw == nil {
		return "", reasonNoChannel
	}
	name, ok := channelName(raw)
	if !ok {
		return "", reasonBadChannel
	}
	if f.topic != nil && f.channel != nil {
		if other, ok := jsonwalk.Text(f.channel); !ok || other != name {
			return "", reasonBadChannel
		}
	}
	return name, ""
}

// maxName is the longest channel name in bytes.
const maxName = 256

func channelName(raw []byte) (string, bool) {
	name, ok := jsonwalk.Text(raw)
	if !ok || name == "" || len(name) > maxName {
		return "", false
	}
	for _, r := range name {
		if r < 0x20 || r >= 0x7f && r < 0xa0 {
			return "", false
		}
	}
	return name, true
}

// Append implements link.Codec.
func (Codec) Append(dst []byte, m proto.Message) ([]byte, error) {
	switch m := m.(type) {
	case *relaypb.Message:
		dst = append(dst, `{"type":"message","data":{"message":`...)
		dst = append(dst, m.GetMessage()...)
		dst = append(dst, `,"channel":`...)
		dst = quote(dst, m.GetChannel())
		dst = append(dst, '}')
		if len(m.GetNonce()) > 0 {
			dst = append(dst, `,"nonce":`...)
			dst = append(dst, m.GetNonce()...)
		}
		return append(dst, '}'), nil
	case *relaypb.Answer:
		return appendAnswer(dst, m), nil
	case *relaypb.Error:
		dst = append(dst, `{"type":"error","data":{"reason":`...)
		dst = quote(dst, m.GetReason())
		if m.GetChannel() != "" {
			dst = append(dst, `,"channel":`...)
			dst = quote(dst, m.GetChannel())
		}
		return appendNonce(append(dst, '}'), m.GetNonce()), nil
	case *linkpb.Dropped:
		dst = append(dst, `{"type":"dropped","data":{"channel":`...)
		dst = quote(dst, m.GetSource())
		dst = append(dst, `,"count":`...)
		return append(strconv.AppendUint(dst, m.GetCount(), 10), "}}"...), nil
	}
	return dst, link.ErrNotOnWire
}

func appendAnswer(dst []byte, m *relaypb.Answer) []byte {
	dst = append(dst, `{"type":"response","data":{"ok":`...)
	dst = strconv.AppendBool(dst, m.GetOk())
	if !m.GetOk() {
		dst = append(dst, `,"reason":`...)
		dst = quote(dst, m.GetReason())
	}
	if l := m.GetList(); l != nil {
		dst = quoteList(append(dst, `,"channels":[`...), l.GetOpen())
		dst = quoteList(append(dst, `],"subscribed":[`...), l.GetSubscribed())
		dst = append(dst, ']')
	}
	return appendNonce(append(dst, '}'), m.GetNonce())
}

// appendNonce ends a frame with the nonce of its command, "" when it had none.
func appendNonce(dst, nonce []byte) []byte {
	dst = append(dst, `,"nonce":`...)
	if len(nonce) == 0 {
		return append(dst, `""}`...)
	}
	return append(append(dst, nonce...), '}')
}

func quoteList(dst []byte, names []string) []byte {
	for i, n := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = quote(dst, n)
	}
	return dst
}

// quote appends s as a JSON string. Names were UTF-8 when they came in.
func quote(dst []byte, s string) []byte {
	out, _ := jsontext.AppendQuote(dst, s)
	return out
}
