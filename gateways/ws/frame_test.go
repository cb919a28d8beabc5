package ws

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// TestFramesEqualTheLibrarys: what is built once for all readers is what the
// library would have written to each.
func TestFramesEqualTheLibrarys(t *testing.T) {
	for _, size := range []int{0, 1, 2, 125, 126, 127, 128, 4095, 4096, 4097, 65535, 65536, 65537, 70_000, 1 << 20} {
		payload := bytes.Repeat([]byte("é"), size/2+1)[:size]
		c := &bufferConn{}
		if err := reference(c).WriteMessage(websocket.TextMessage, payload); err != nil {
			t.Fatal(err)
		}
		if got := (Framing{}).AppendFrame(nil, payload); !bytes.Equal(got, c.out.Bytes()) {
			t.Errorf("text of %d bytes: header %x, the library's %x", size, got[:min(10, len(got))], c.out.Bytes()[:min(10, c.out.Len())])
		}
	}
	for _, data := range []string{"", "x", strings.Repeat("y", 125)} {
		control(t, websocket.PongMessage, []byte(data), (Framing{}).AppendPong(nil, []byte(data)))
	}
	control(t, websocket.PingMessage, nil, (Framing{}).AppendPing(nil, nil))
	for _, c := range []struct {
		code   int
		reason string
	}{{1000, ""}, {1001, "going away"}, {1013, "slow consumer"}, {4999, strings.Repeat("é", 61) + "x"}} {
		control(t, websocket.CloseMessage, websocket.FormatCloseMessage(c.code, c.reason), (Framing{}).AppendClose(nil, uint32(c.code), c.reason))
	}
}

func control(t *testing.T, kind int, payload, got []byte) {
	t.Helper()
	c := &bufferConn{}
	if err := reference(c).WriteControl(kind, payload, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, c.out.Bytes()) {
		t.Errorf("control frame %d of %d bytes: %x, the library's is %x", kind, len(payload), got, c.out.Bytes())
	}
}

// TestFramesAreAppended behind what is there.
func TestFramesAreAppended(t *testing.T) {
	b := (Framing{}).AppendFrame([]byte("before"), []byte("a"))
	b = (Framing{}).AppendClose((Framing{}).AppendPong((Framing{}).AppendPing(b, nil), []byte("p")), 1000, "r")
	if want := "before\x81\x01a\x89\x00\x8a\x01p\x88\x03\x03\xe8r"; string(b) != want {
		t.Errorf("%q, want %q", b, want)
	}
}

// TestLongControlFrames are cut: longer ones are against the rules, and so is
// half a character.
func TestLongControlFrames(t *testing.T) {
	for _, reason := range []string{strings.Repeat("x", 300), strings.Repeat("é", 100), "x" + strings.Repeat("€", 60), strings.Repeat("😀", 40)} {
		b := (Framing{}).AppendClose(nil, 1008, reason)
		text := string(b[4:])
		if int(b[1]) != len(b)-2 || len(text) > maxReason || len(text) < maxReason-3 || !utf8.ValidString(text) || !strings.HasPrefix(reason, text) {
			t.Errorf("%d bytes of reason became %d: %q", len(reason), len(text), text)
		}
	}
	if b := (Framing{}).AppendPong(nil, make([]byte, 200)); len(b) != 2+maxControl || b[1] != maxControl {
		t.Errorf("a pong of %d bytes", len(b))
	}
}
