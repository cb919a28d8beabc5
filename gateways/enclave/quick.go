package enclave

import (
	"bytes"
	"math/bits"
	"unicode/utf8"

	"parley/messages/enclavepb"
)

// quick is decode for what most packets are: attributes that are known, each once,
// without white space and escapes. It looks at each byte once or twice, which
// halves what a message costs. nil: it may be a packet all the same.
func quick(b []byte) *enclavepb.Packet {
	if len(b) < len(`{"":0}`) || b[0] != '{' || b[len(b)-1] != '}' {
		return nil
	}
	h := &held{}
	seen := 0
	for i := 1; ; {
		if b[i] != '"' {
			return nil
		}
		n := bytes.IndexByte(b[i+1:], '"')
		if n < 0 {
			return nil
		}
		key := b[i+1 : i+1+n]
		if i += n + len(`"":`); i >= len(b)-1 || b[i-1] != ':' {
			return nil
		}
		end := plainEnd(b, i)
		bit := placeOf(key)
		if end < 0 || bit == 0 || seen&bit != 0 || !h.take(key, b[i:end]) {
			return nil
		}
		seen |= bit
		switch {
		case end == len(b)-1:
			return h.whole(seen)
		case b[end] != ',' || end+2 >= len(b):
			return nil
		}
		i = end + 1
	}
}

// placeOf is a bit for each attribute that quick knows; 0: it does not know it.
func placeOf(key []byte) int {
	switch string(key) {
	case keyStatus:
		return 1 << 0
	case keyAlias:
		return 1 << 1
	case keyStatusOld:
		return 1 << 2
	case keyMessage:
		return 1 << 3
	case keyTimestamp:
		return 1 << 4
	case keyID:
		return 1 << 5
	case keyAck:
		return 1 << 6
	}
	return 0
}

// whole is the packet, nil: an attribute was left out, or may have been.
func (h *held) whole(seen int) *enclavepb.Packet {
	p := &h.packet
	taken := 0
	for _, there := range [...]bool{p.Status != nil, p.Alias != nil, p.StatusMessage != nil, p.Message != nil, p.Timestamp != nil, p.Id != "", p.Ack != ""} {
		if there {
			taken++
		}
	}
	if taken != bits.OnesCount(uint(seen)) {
		return nil
	}
	return p
}

// plainEnd is where the value that begins at b[i] is over: a string without
// escapes, or a whole number. -1: it is neither.
func plainEnd(b []byte, i int) int {
	if b[i] == '"' {
		for j := i + 1; j < len(b); j++ {
			switch c := b[j]; {
			case c == '"':
				if !utf8.Valid(b[i+1 : j]) {
					return -1
				}
				return j + 1
			case c == '\\' || c < ' ':
				return -1
			}
		}
		return -1
	}
	j := i
	for b[j] >= '0' && b[j] <= '9' { // the last byte is none
		j++
	}
	if j == i || b[i] == '0' && j > i+1 {
		return -1
	}
	return j
}
