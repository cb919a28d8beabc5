package enclave

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"parley/gateways/jsonwalk"
	"parley/messages/enclavepb"
)

// held is a packet with what its attributes point to: one piece of memory.
type held struct {
	packet         enclavepb.Packet
	alias, message string
	statusMessage  string
	status         uint32
	timestamp      int64
}

// decode reads a packet, or says why it is none. An attribute whose value makes
// no sense is left out.
func decode(frame []byte) (p *enclavepb.Packet, reason string) {
	if p := quick(frame); p != nil {
		return p, ""
	}
	b := bytes.Trim(frame, " \t\r\n")
	if len(b) == 0 || b[0] != '{' {
		return nil, reasonJSON
	}
	if !jsonwalk.Shallow(b, depthMost) {
		return nil, reasonDepth
	}
	if !jsontext.Value(b).IsValid() {
		return nil, reasonJSON
	}
	h := &held{}
	var newer []byte // value of the status message under its newer name
	jsonwalk.Quoted(b, func(name, value []byte) bool {
		if key := jsonwalk.Unquoted(name); string(key) == keyStatusNew {
			newer = value
		} else if !h.take(key, value) {
			h.packet.Extra = appendMember(h.packet.Extra, name, value)
		}
		return true
	})
	p = &h.packet
	if p.StatusMessage == nil && newer != nil {
		h.take([]byte(keyStatusOld), newer)
	}
	if len(p.GetExtra()) > 0 {
		p.Extra = append(p.Extra, '}')
	}
	return p, ""
}

// take takes an attribute, as far as its value makes sense; false: nobody knows it.
func (h *held) take(key, value []byte) bool {
	p := &h.packet
	switch string(key) {
	case keyStatus:
		p.Status = h.statusOf(value)
	case keyAlias:
		p.Alias = textOf(&h.alias, value, aliasMost)
	case keyStatusOld:
		p.StatusMessage = textOf(&h.statusMessage, value, statusMost)
	case keyMessage:
		p.Message = textOf(&h.message, value, len(value))
	case keyTimestamp:
		p.Timestamp = h.timeOf(value)
	case keyID:
		textOf(&p.Id, value, idMost)
	case keyAck:
		textOf(&p.Ack, value, idMost)
	default:
		return false
	}
	return true
}

// textOf puts a string of at most most bytes into to; nil: it is none.
func textOf(to *string, value []byte, most int) *string {
	if value[0] != '"' {
		return nil
	}
	s := jsonwalk.Unquoted(value)
	if len(s) > most {
		return nil
	}
	*to = string(s)
	return to
}

// statusOf is a status, nil: it is none.
func (h *held) statusOf(value []byte) *uint32 {
	if len(value) != 1 || value[0] < '0' || value[0] > '0'+lastStatus {
		return nil
	}
	h.status = uint32(value[0] - '0')
	return &h.status
}

// timeOf is a time that has a date, nil: it is none.
func (h *held) timeOf(value []byte) *int64 {
	n, err := strconv.ParseUint(string(value), 10, 64)
	if err != nil || n > lastTime {
		return nil
	}
	h.timestamp = int64(n)
	return &h.timestamp
}

// appendMember appends a member that nobody here knows, without white space, to
// an object that is not closed yet.
func appendMember(dst, name, value []byte) []byte {
	open := byte(',')
	if len(dst) == 0 {
		open = '{'
	}
	dst = append(append(append(dst, open), name...), ':')
	if value[0] != '{' && value[0] != '[' {
		return append(dst, value...)
	}
	v := jsontext.Value(bytes.Clone(value))
	_ = v.Compact() // it is valid
	return append(dst, v...)
}
