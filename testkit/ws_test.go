package testkit_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"parley/testkit"
)

func TestFramesComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.IntRange(0, 130), rapid.IntRange(65530, 65540)).Draw(t, "size")
		f := testkit.Frame{
			Fin: rapid.Bool().Draw(t, "fin"), Op: rapid.ByteRange(0, 2).Draw(t, "op"),
			Payload: bytes.Repeat([]byte{rapid.Byte().Draw(t, "byte")}, n),
		}
		wire := f.Append(nil)
		got, err := testkit.ReadFrame(bufio.NewReader(bytes.NewReader(wire)))
		if err != nil || got.Fin != f.Fin || got.Op != f.Op || !bytes.Equal(got.Payload, f.Payload) {
			t.Fatalf("%v came back as %v, %v", f, got, err)
		}
		f.Mask = &[4]byte{1, 2, 3, 4}
		masked := f.Append(nil)
		if len(masked) != len(wire)+4 {
			t.Fatalf("masked frame of %d bytes, plain %d", len(masked), len(wire))
		}
		for i := range n {
			if masked[len(masked)-n+i] != f.Payload[i]^f.Mask[i%4] {
				t.Fatalf("byte %d is not masked", i)
			}
		}
	})
}

func TestReadFrameIsStrict(t *testing.T) {
	for wire, want := range map[string]string{
		"":                          "EOF",
		"\x81":                      "EOF",
		"\x81\x02a":                 "EOF",
		"\x81\x7e\x01":              "EOF",
		"\x81\x81\x00\x00\x00\x00a": "masked",
		"\xc1\x00":                  "reserved bits 100",
		"\x91\x00":                  "reserved bits 001",
		"\x83\x00":                  "unknown opcode 0x3",
		"\x8b\x00":                  "unknown opcode 0xb",
		"\x09\x00":                  "control frame",
		"\x89\x7e\x00\x7e":          "control frame of 126 bytes",
		"\x81\x7e\x00\x7d":          "length 125 in 2 bytes",
		"\x81\x7f\x00\x00\x00\x00\x00\x00\xff\xff": "length 65535 in 8 bytes",
		"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff": "frame of",
	} {
		_, err := testkit.ReadFrame(bufio.NewReader(strings.NewReader(wire)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", wire, err, want)
		}
	}
}

// scripted connects a client to a server that writes given bytes behind a good
// or bad handshake.
func scripted(t *testing.T, answer func(key string) string, frames string) (*testkit.WS, error) {
	t.Helper()
	n := testkit.NewNetwork()
	l, _ := n.Listen("server:80")
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		_, _ = io.WriteString(c, answer(r.Header.Get("Sec-WebSocket-Key"))+frames)
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
	}()
	c, err := n.Dial(context.Background(), "client", "server:80")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(); _ = l.Close() })
	return testkit.DialWS(c, "server", "/", nil)
}

// good is the answer of a server that upgrades.
func good(key string) string {
	digest := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		base64.StdEncoding.EncodeToString(digest[:]) + "\r\n\r\n"
}

func TestHandshakeIsChecked(t *testing.T) {
	for answer, want := range map[string]string{
		"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nno x":                 "404 no x",
		"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: wrong\r\n\r\n": "Sec-WebSocket-Accept",
		"HTTP/1.1 101 x\r\nSec-WebSocket-Extensions: permessage-deflate\r\n":      "Sec-WebSocket-Accept",
		"what is this": "malformed",
	} {
		synctest.Test(t, func(t *testing.T) {
			_, err := scripted(t, func(string) string { return answer + "\r\n" }, "")
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v, want %s", answer, err, want)
			}
			var r *testkit.Refused
			if errors.As(err, &r) != strings.Contains(answer, "404") {
				t.Errorf("%q: %T", answer, err)
			}
		})
	}
}

// TestServersMistakesAreHeard has a server that breaks the protocol.
func TestServersMistakesAreHeard(t *testing.T) {
	for frames, want := range map[string]string{
		"\x81\x81\x00\x00\x00\x00a": "masked",
		"\x81\x02\xff\xfe":          "not UTF-8",
		"\x80\x01a":                 "fragments out of order",
		"\x01\x01a\x81\x01b":        "fragments out of order",
		"\x88\x01\x03":              "half a code",
		"\x88\x02\x03\xee":          "code 1006",
	} {
		synctest.Test(t, func(t *testing.T) {
			w, err := scripted(t, good, frames)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			_, code, reason, ok := w.Hear()
			if !ok || code != testkit.CloseInvalid || !strings.Contains(reason, want) {
				t.Errorf("%q: heard %d %q, want %s", frames, code, reason, want)
			}
			w.HangUp()
			if err := w.Say("x"); err == nil {
				t.Error("said something after hanging up")
			}
		})
	}
}
