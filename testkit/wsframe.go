package testkit

import (
	"bufio"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// Opcodes of WebSocket frames. Source: RFC 6455, 5.2.
const (
	OpContinuation byte = 0x0
	OpText         byte = 0x1
	OpBinary       byte = 0x2
	OpClose        byte = 0x8
	OpPing         byte = 0x9
	OpPong         byte = 0xA
)

const (
	maxControl  = 125       // bytes of payload of a control frame
	maxReceived = 128 << 20 // bytes of payload that ReadFrame takes
	acceptGUID  = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
)

// Frame is one WebSocket frame, as right or as wrong as a test wants it.
type Frame struct {
	Fin     bool
	RSV     byte // the three reserved bits
	Op      byte
	Mask    *[4]byte // nil: not masked
	Payload []byte   // not masked
}

// Append adds the frame's wire form to dst.
func (f Frame) Append(dst []byte) []byte {
	first := f.RSV<<4 | f.Op
	if f.Fin {
		first |= 0x80
	}
	masked := byte(0)
	if f.Mask != nil {
		masked = 0x80
	}
	switch n := len(f.Payload); {
	case n <= maxControl:
		dst = append(dst, first, masked|byte(n))
	case n <= 0xFFFF:
		dst = binary.BigEndian.AppendUint16(append(dst, first, masked|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, first, masked|127), uint64(n))
	}
	if f.Mask == nil {
		return append(dst, f.Payload...)
	}
	dst = append(dst, f.Mask[:]...)
	at := len(dst)
	dst = append(dst, f.Payload...)
	for i := range f.Payload {
		dst[at+i] ^= f.Mask[i%4]
	}
	return dst
}

// ReadFrame reads a server's frame, and is strict: masked frames, reserved bits,
// unknown opcodes, long control frames and lengths not in their shortest form
// are errors.
func ReadFrame(r *bufio.Reader) (Frame, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return Frame{}, err
	}
	f := Frame{Fin: head[0]&0x80 != 0, RSV: head[0] >> 4 & 7, Op: head[0] & 0xF}
	n, err := frameLength(r, head[1]&0x7F)
	switch {
	case err != nil:
		return f, err
	case head[1]&0x80 != 0:
		return f, errors.New("testkit: masked frame from the server")
	case f.RSV != 0:
		return f, fmt.Errorf("testkit: reserved bits %03b", f.RSV)
	case f.Op > OpPong || f.Op > OpBinary && f.Op < OpClose:
		return f, fmt.Errorf("testkit: unknown opcode %#x", f.Op)
	case f.Op >= OpClose && (n > maxControl || !f.Fin):
		return f, fmt.Errorf("testkit: control frame of %d bytes, final %v", n, f.Fin)
	case n > maxReceived:
		return f, fmt.Errorf("testkit: frame of %d bytes", n)
	}
	f.Payload = make([]byte, n)
	_, err = io.ReadFull(r, f.Payload)
	return f, err
}

// frameLength reads what follows the seven bits of a length.
func frameLength(r io.Reader, seven byte) (uint64, error) {
	var b [8]byte
	size, least := 0, uint64(0)
	switch seven {
	default:
		return uint64(seven), nil
	case 126:
		size, least = 2, maxControl+1
	case 127:
		size, least = 8, 0x10000
	}
	if _, err := io.ReadFull(r, b[8-size:]); err != nil {
		return 0, err
	}
	n := binary.BigEndian.Uint64(b[:])
	if n < least {
		return 0, fmt.Errorf("testkit: length %d in %d bytes", n, size)
	}
	return n, nil
}

// Refused is the error of Upgrade when the server answers with anything but 101.
type Refused struct {
	Status int
	Body   string
}

// Error implements error.
func (r *Refused) Error() string { return fmt.Sprintf("testkit: refused: %d %s", r.Status, r.Body) }

// Upgrade makes a WebSocket handshake on conn: GET path at host, with the given
// headers added, which may also replace those of the handshake. What the server
// sent behind its answer is in the reader. The connection stays open on errors.
func Upgrade(conn net.Conn, host, path string, header http.Header) (*bufio.Reader, error) {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails
	key := base64.StdEncoding.EncodeToString(nonce[:])
	h := http.Header{
		"Host": {host}, "Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {key},
	}
	for k, v := range header {
		h[http.CanonicalHeaderKey(k)] = v
	}
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\n", path)
	if err := h.Write(&b); err != nil {
		return nil, err
	}
	b.WriteString("\r\n")
	if _, err := io.WriteString(conn, b.String()); err != nil {
		return nil, err
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodGet})
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(resp.Body)
		return nil, &Refused{resp.StatusCode, strings.TrimSpace(string(body))}
	}
	digest := sha1.Sum([]byte(h.Get("Sec-Websocket-Key") + acceptGUID))
	if got, want := resp.Header.Get("Sec-Websocket-Accept"), base64.StdEncoding.EncodeToString(digest[:]); got != want {
		return nil, fmt.Errorf("testkit: Sec-WebSocket-Accept is %q, want %q", got, want)
	}
	if x := resp.Header.Get("Sec-Websocket-Extensions"); x != "" {
		return nil, fmt.Errorf("testkit: the server chose extensions %q", x)
	}
	return r, nil
}
