package wire

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
)

// acceptSuffix is appended to a client's key before hashing. Source: RFC 6455, section 1.3.
const acceptSuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// maxHead bounds a handshake's head, bytes.
const maxHead = 16 << 10

var headEnd = []byte("\r\n\r\n")

// AppendRequest appends a client's handshake. origin is left out when empty; key is 16 random bytes in base64; more are
// whole header lines.
func AppendRequest(dst []byte, host, path, origin, key string, more ...string) []byte {
	dst = fmt.Appendf(dst, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n", path, host)
	if origin != "" {
		dst = fmt.Appendf(dst, "Origin: %s\r\n", origin)
	}
	for _, line := range more {
		dst = append(append(dst, line...), headEnd[:2]...)
	}
	return fmt.Appendf(dst, "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n", key)
}

// Accept is what a server answers to a client's key.
func Accept(key string) string {
	sum := sha1.Sum([]byte(key + acceptSuffix))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Head cuts the head off the bytes read so far: its first line, its header lines, and what follows it. It is false
// while the head is not complete, and an error when it is too long.
func Head(b []byte) (first string, lines [][]byte, after []byte, ok bool, err error) {
	end := bytes.Index(b, headEnd)
	if end < 0 {
		if len(b) > maxHead {
			return "", nil, nil, false, fmt.Errorf("wire: handshake head over %d bytes", maxHead)
		}
		return "", nil, nil, false, nil
	}
	all := bytes.Split(b[:end], headEnd[:2])
	return string(all[0]), all[1:], b[end+len(headEnd):], true, nil
}

// Header is the value of a header line, compared without case; empty when absent.
func Header(lines [][]byte, name string) string {
	for _, l := range lines {
		k, v, _ := bytes.Cut(l, []byte(":"))
		if bytes.EqualFold(bytes.TrimSpace(k), []byte(name)) {
			return string(bytes.TrimSpace(v))
		}
	}
	return ""
}

// CheckResponse says whether a server's answer to AppendRequest with this key opens a WebSocket that we can read.
func CheckResponse(first string, lines [][]byte, key string) error {
	if proto, status, _ := bytes.Cut([]byte(first), []byte(" ")); !bytes.HasPrefix(proto, []byte("HTTP/1.")) || !bytes.HasPrefix(status, []byte("101")) {
		return fmt.Errorf("wire: upgrade refused: %q", first)
	}
	if got := Header(lines, "Sec-WebSocket-Accept"); got != Accept(key) {
		return fmt.Errorf("wire: wrong accept key %q", got)
	}
	if got := Header(lines, "Sec-WebSocket-Extensions"); got != "" {
		return fmt.Errorf("wire: extension not asked for %q", got)
	}
	return nil
}
