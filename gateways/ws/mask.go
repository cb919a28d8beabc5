package ws

import (
	"encoding/binary"
	"math/rand/v2"
)

// Masked builds client frames: Framing's, with a mask drawn for each frame. A
// frame that goes to several servers is still built once: what a mask is for is
// that who chose the payload cannot know the bytes on the wire, and nobody can.
type Masked struct{}

// Overhead implements link.Framing.
func (Masked) Overhead() int { return maxHeader + maskSize }

// AppendFrame implements link.Framing.
func (Masked) AppendFrame(dst, payload []byte) []byte {
	return appendMasked(dst, finBit|opText, payload)
}

// AppendBinary implements link.Framing.
func (Masked) AppendBinary(dst, payload []byte) []byte {
	return appendMasked(dst, finBit|opBinary, payload)
}

// AppendClose implements link.Framing.
func (Masked) AppendClose(dst []byte, code uint32, reason string) []byte {
	payload := make([]byte, 0, maxControl)
	payload = append(binary.BigEndian.AppendUint16(payload, uint16(code)), cut(reason)...)
	return appendMasked(dst, finBit|opClose, payload)
}

// AppendPing implements link.Framing.
func (Masked) AppendPing(dst, data []byte) []byte { return appendMasked(dst, finBit|opPing, data) }

// AppendPong implements link.Framing.
func (Masked) AppendPong(dst, data []byte) []byte {
	return appendMasked(dst, finBit|opPong, data[:min(len(data), maxControl)])
}

// appendMasked draws from the runtime's ChaCha8, which the kernel's entropy
// seeds: nobody outside can tell what comes next.
func appendMasked(dst []byte, first byte, payload []byte) []byte {
	at := len(dst)
	dst = appendHeader(dst, first, len(payload))
	dst[at+1] |= maskBit
	mask := rand.Uint32()
	dst = binary.LittleEndian.AppendUint32(dst, mask)
	at = len(dst)
	dst = append(dst, payload...)
	xor(dst[at:], mask)
	return dst
}

// xor masks b, whose first byte meets the mask's lowest.
func xor(b []byte, mask uint32) {
	wide := uint64(mask)<<32 | uint64(mask)
	for ; len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^wide)
	}
	for i := range b {
		b[i] ^= byte(mask >> (8 * i % 32))
	}
}
