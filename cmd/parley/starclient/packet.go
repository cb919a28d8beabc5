package starclient

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Types of Engine.IO packets: the first byte of a text frame.
const (
	engineOpen    = '0'
	engineClose   = '1'
	enginePing    = '2'
	enginePong    = '3'
	engineMessage = '4'
)

// Types of socket.io packets.
const (
	Connect     = '0'
	Disconnect  = '1'
	Event       = '2'
	Ack         = '3'
	Refusal     = '4' // of a namespace
	BinaryEvent = '5'
	BinaryAck   = '6'
)

// NoAck is the Ack of a packet without one.
const NoAck = -1

// Packet is one socket.io packet.
type Packet struct {
	Type        byte
	Attachments int    // that follow
	Namespace   string // "/" when none is named
	Ack         int64  // NoAck: none
	Name        string // of an event
	Data        []byte // JSON; of an event its whole array
}

var errPacket = errors.New("starclient: no socket.io packet")

// ParsePacket reads what follows the type of an Engine.IO message. Data is part of b.
func ParsePacket(b []byte) (p Packet, err error) {
	if len(b) == 0 || b[0] < Connect || b[0] > BinaryAck {
		return p, fmt.Errorf("%w: %.64q", errPacket, b)
	}
	p = Packet{Type: b[0], Namespace: "/", Ack: NoAck}
	rest := b[1:]
	if p.Type == BinaryEvent || p.Type == BinaryAck {
		n, after, ok := bytes.Cut(rest, []byte("-"))
		if p.Attachments, err = strconv.Atoi(string(n)); err != nil || !ok || p.Attachments < 0 {
			return p, fmt.Errorf("%w: %.64q", errPacket, b)
		}
		rest = after
	}
	if len(rest) > 0 && rest[0] == '/' {
		name, after, _ := bytes.Cut(rest, []byte(","))
		p.Namespace, rest = string(name), after
	}
	digits := 0
	for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
		digits++
	}
	if digits > 0 {
		if p.Ack, err = strconv.ParseInt(string(rest[:digits]), 10, 64); err != nil {
			return p, fmt.Errorf("%w: %.64q", errPacket, b)
		}
	}
	p.Data = rest[digits:]
	if p.Type == Event || p.Type == BinaryEvent {
		if p.Name, err = eventName(p.Data); err != nil {
			return p, err
		}
	}
	return p, nil
}

// eventName is the first element of the array.
func eventName(data []byte) (string, error) {
	if text, ok := bytes.CutPrefix(data, []byte(`["`)); ok {
		if end := bytes.IndexByte(text, '"'); end >= 0 && bytes.IndexByte(text[:end], '\\') < 0 {
			return string(text[:end]), nil
		}
	}
	var all []jsontext.Value
	var name string
	if json.Unmarshal(data, &all) != nil || len(all) == 0 || json.Unmarshal(all[0], &name) != nil {
		return "", fmt.Errorf("%w: %.64q", errPacket, data)
	}
	return name, nil
}

// Arguments are those of an event or an ack, as they came.
func (p *Packet) Arguments() ([]jsontext.Value, error) {
	var all []jsontext.Value
	if err := json.Unmarshal(p.Data, &all); err != nil {
		return nil, fmt.Errorf("%w: %.64q", errPacket, p.Data)
	}
	if (p.Type == Event || p.Type == BinaryEvent) && len(all) > 0 {
		all = all[1:]
	}
	return all, nil
}

// onlyText is the only argument of an event, when it is a string without
// escapes. It spares a decoder what comes a hundred thousand times.
func (p *Packet) onlyText() (string, bool) {
	text, ok := bytes.CutPrefix(p.Data, append([]byte(`["`+p.Name), `","`...))
	text, end := bytes.CutSuffix(text, []byte(`"]`))
	if !ok || !end || bytes.IndexByte(text, '\\') >= 0 || bytes.IndexByte(text, '"') >= 0 {
		return "", false
	}
	return string(text), true
}

// arrayOf is the JSON of an event's name and its arguments, or of an ack's.
func arrayOf(items ...any) (string, error) {
	b, err := json.Marshal(items)
	if err != nil {
		return "", fmt.Errorf("starclient: %w", err)
	}
	return string(b), nil
}
