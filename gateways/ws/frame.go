package ws

import (
	"encoding/binary"
	"strings"
)

// Opcodes and header bits of RFC 6455, 5.2.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa
	finBit         = 0x80
	rsvBits        = 0x70
	maskBit        = 0x80
	controlBit     = 0x8
	shortLength    = 126 // the length follows in two bytes
	longLength     = 127 // the length follows in eight bytes
	maxReason      = 123 // bytes of text in a close frame
	maxControl     = 125 // bytes of payload in a control frame
	maxHeader      = 10  // bytes before a payload, without a mask
	maskSize       = 4   // bytes of a mask
)

// Framing builds server frames: they are not masked, so a frame is a header
// and the payload as it is, the same for every reader.
type Framing struct{}

// Overhead implements link.Framing.
func (Framing) Overhead() int { return maxHeader }

// AppendFrame implements link.Framing.
func (Framing) AppendFrame(dst, payload []byte) []byte {
	return append(appendHeader(dst, finBit|opText, len(payload)), payload...)
}

// AppendBinary implements link.Framing.
func (Framing) AppendBinary(dst, payload []byte) []byte {
	return append(appendHeader(dst, finBit|opBinary, len(payload)), payload...)
}

// AppendBinaryHeader appends what goes before a payload of size bytes in a whole
// binary frame.
func (Framing) AppendBinaryHeader(dst []byte, size int) []byte {
	return appendHeader(dst, finBit|opBinary, size)
}

// AppendClose implements link.Framing.
func (Framing) AppendClose(dst []byte, code uint32, reason string) []byte {
	reason = cut(reason)
	dst = appendHeader(dst, finBit|opClose, 2+len(reason))
	return append(binary.BigEndian.AppendUint16(dst, uint16(code)), reason...)
}

// AppendPing implements link.Framing.
func (Framing) AppendPing(dst, data []byte) []byte {
	return append(appendHeader(dst, finBit|opPing, len(data)), data...)
}

// AppendPong implements link.Framing.
func (Framing) AppendPong(dst, data []byte) []byte {
	data = data[:min(len(data), maxControl)]
	return append(appendHeader(dst, finBit|opPong, len(data)), data...)
}

// cut shortens the reason of a close frame, but not to half a character.
func cut(reason string) string {
	if len(reason) <= maxReason {
		return reason
	}
	return strings.ToValidUTF8(reason[:maxReason], "")
}

func appendHeader(dst []byte, first byte, size int) []byte {
	switch {
	case size < shortLength:
		return append(dst, first, byte(size))
	case size < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, first, shortLength), uint16(size))
	default:
		return binary.BigEndian.AppendUint64(append(dst, first, longLength), uint64(size))
	}
}
