package wire

import "encoding/binary"

// The opcodes of RFC 6455, section 5.2.
const (
	OpContinuation byte = 0x0
	OpText         byte = 0x1
	OpBinary       byte = 0x2
	OpClose        byte = 0x8
	OpPing         byte = 0x9
	OpPong         byte = 0xA
)

const (
	bitFin  = 0x80
	bitMask = 0x80

	// Lengths up to smallMax sit in the second byte; marker16 and marker64 announce a longer field.
	smallMax = 125
	marker16 = 126
	marker64 = 127
)

// Close codes that the bench names: RFC 6455, section 7.4.1.
const (
	CloseNormal = 1000
	// CloseNone stands for a close frame without a code.
	CloseNone = 1005
	// CloseAbnormal stands for a connection that ended without a close frame; it is never sent.
	CloseAbnormal = 1006
)

// AppendServer appends an unmasked, unfragmented frame, as servers send it.
func AppendServer(dst []byte, op byte, payload []byte) []byte {
	dst = appendHeader(dst, op, len(payload), 0)
	return append(dst, payload...)
}

// AppendClient appends a masked, unfragmented frame, as clients must send it.
func AppendClient(dst []byte, op byte, key [4]byte, payload []byte) []byte {
	dst = appendHeader(dst, op, len(payload), bitMask)
	dst = append(dst, key[:]...)
	start := len(dst)
	dst = append(dst, payload...)
	Mask(dst[start:], key)
	return dst
}

func appendHeader(dst []byte, op byte, n int, mask byte) []byte {
	switch {
	case n <= smallMax:
		return append(dst, bitFin|op, mask|byte(n))
	case n <= 0xFFFF:
		return binary.BigEndian.AppendUint16(append(dst, bitFin|op, mask|marker16), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, bitFin|op, mask|marker64), uint64(n))
	}
}

// Mask applies a frame's masking key to a whole payload in place; doing it twice undoes it.
func Mask(b []byte, key [4]byte) {
	k := uint64(binary.LittleEndian.Uint32(key[:]))
	k |= k << 32
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^k)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= key[i&3]
	}
}

// AppendClose appends a close frame's payload: the code and the reason.
func AppendClose(dst []byte, code int, reason string) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(code)), reason...)
}

// CloseCode is the code of a close frame's payload, CloseNone when it has none.
func CloseCode(payload []byte) int {
	if len(payload) < 2 {
		return CloseNone
	}
	return int(binary.BigEndian.Uint16(payload))
}
