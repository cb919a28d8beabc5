package tcp

import "encoding/binary"

// headerSize is how many bytes of length stand before a payload.
const headerSize = 4

// Framing puts a length before each payload. The transport has no pings and no
// close frames: those are nothing. It implements link.Framing.
type Framing struct{}

// Overhead implements link.Framing.
func (Framing) Overhead() int { return headerSize }

// AppendFrame implements link.Framing.
func (Framing) AppendFrame(dst, payload []byte) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(payload))), payload...)
}

// AppendBinary implements link.Framing.
func (f Framing) AppendBinary(dst, payload []byte) []byte { return f.AppendFrame(dst, payload) }

// AppendClose implements link.Framing.
func (Framing) AppendClose(dst []byte, _ uint32, _ string) []byte { return dst }

// AppendPing implements link.Framing.
func (Framing) AppendPing(dst, _ []byte) []byte { return dst }

// AppendPong implements link.Framing.
func (Framing) AppendPong(dst, _ []byte) []byte { return dst }

// Begin appends room for the length of a payload that is appended next; at is
// for End.
func Begin(dst []byte) (b []byte, at int) {
	return append(dst, 0, 0, 0, 0), len(dst)
}

// End puts in the length of all that was appended since Begin.
func End(b []byte, at int) []byte {
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-headerSize))
	return b
}
