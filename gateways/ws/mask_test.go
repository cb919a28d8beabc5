package ws

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"pgregory.net/rapid"

	"parley/gateways/link"
)

var (
	_ link.Framing = Framing{}
	_ link.Framing = Masked{}
)

// unmasked takes the mask off a frame: what is left is what a server would send.
func unmasked(t *testing.T, frame []byte) []byte {
	t.Helper()
	if frame[1]&maskBit == 0 {
		t.Fatalf("not masked: %x", frame[:2])
	}
	at := 2
	switch frame[1] &^ maskBit {
	case shortLength:
		at = 4
	case longLength:
		at = 10
	}
	out := append([]byte{frame[0], frame[1] &^ maskBit}, frame[2:at]...)
	mask := frame[at : at+maskSize]
	for i, b := range frame[at+maskSize:] {
		out = append(out, b^mask[i%maskSize])
	}
	return out
}

// TestMaskedFrames are those of a server, but for the mask.
func TestMaskedFrames(t *testing.T) {
	for _, size := range []int{0, 1, 3, 7, 8, 9, 125, 126, 127, 65535, 65536, 100_003} {
		payload := bytes.Repeat([]byte("0123456789abc"), size/13+1)[:size]
		text, data := (Masked{}).AppendFrame(nil, payload), (Masked{}).AppendBinary(nil, payload)
		if got, want := unmasked(t, text), (Framing{}).AppendFrame(nil, payload); !bytes.Equal(got, want) {
			t.Errorf("text of %d bytes: %.20x, want %.20x", size, got, want)
		}
		if got, want := unmasked(t, data), (Framing{}).AppendBinary(nil, payload); !bytes.Equal(got, want) {
			t.Errorf("binary of %d bytes: %.20x, want %.20x", size, got, want)
		}
		if len(text) > size+(Masked{}).Overhead() || len(data) > size+(Masked{}).Overhead() {
			t.Errorf("%d bytes became %d and %d", size, len(text), len(data))
		}
	}
	for _, data := range []string{"", "x", "12345678", strings.Repeat("y", maxControl)} {
		if got, want := unmasked(t, (Masked{}).AppendPing(nil, []byte(data))), (Framing{}).AppendPing(nil, []byte(data)); !bytes.Equal(got, want) {
			t.Errorf("ping %x, want %x", got, want)
		}
		if got, want := unmasked(t, (Masked{}).AppendPong(nil, []byte(data+"cut"))), (Framing{}).AppendPong(nil, []byte(data+"cut")); !bytes.Equal(got, want) {
			t.Errorf("pong %x, want %x", got, want)
		}
	}
	for _, reason := range []string{"", "name in use", strings.Repeat("€", 100)} {
		if got, want := unmasked(t, (Masked{}).AppendClose(nil, 4409, reason)), (Framing{}).AppendClose(nil, 4409, reason); !bytes.Equal(got, want) {
			t.Errorf("close %x, want %x", got, want)
		}
	}
}

// TestMasksDiffer from frame to frame.
func TestMasksDiffer(t *testing.T) {
	seen := map[uint32]bool{}
	for range 100 {
		seen[binary.LittleEndian.Uint32((Masked{}).AppendFrame(nil, []byte("x"))[2:])] = true
	}
	if len(seen) < 99 {
		t.Errorf("%d masks in 100 frames", len(seen))
	}
}

// TestMaskedFramesAreAppended behind what is there, also when that is their
// payload: answers are framed in the buffer that they were encoded in.
func TestMaskedFramesAreAppended(t *testing.T) {
	arena := append(make([]byte, 0, 1000), "earlier payload"...)
	out := (Masked{}).AppendFrame(arena, arena[8:])
	if !bytes.HasPrefix(out, []byte("earlier payload")) || string(unmasked(t, out[15:])) != "\x81\x07payload" {
		t.Errorf("%q", out)
	}
}

// TestTheLibraryReadsMaskedFrames as if its own client had written them, in any
// order and cut anywhere.
func TestTheLibraryReadsMaskedFrames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type said struct {
			kind int
			data string
		}
		var want, got []said
		var wire []byte
		for range rapid.IntRange(1, 10).Draw(t, "frames") {
			data := rapid.OneOf(rapid.StringN(0, 40, -1), rapid.StringOfN(rapid.RuneFrom([]rune("xé€")), 50, 400, -1)).Draw(t, "data")
			data = strings.ToValidUTF8(data, "?")
			kind := rapid.SampledFrom([]int{websocket.TextMessage, websocket.BinaryMessage, websocket.PingMessage, websocket.PongMessage}).Draw(t, "kind")
			switch kind {
			case websocket.TextMessage:
				wire = (Masked{}).AppendFrame(wire, []byte(data))
			case websocket.BinaryMessage:
				wire = (Masked{}).AppendBinary(wire, []byte(data))
			case websocket.PingMessage:
				data = data[:min(len(data), maxControl)]
				wire = (Masked{}).AppendPing(wire, []byte(data))
			default:
				data = data[:min(len(data), maxControl)]
				wire = (Masked{}).AppendPong(wire, []byte(data))
			}
			want = append(want, said{kind, data})
		}
		wire = (Masked{}).AppendClose(wire, 4403, "forbidden")
		c := &bufferConn{in: wire, cut: func(n int) int { return rapid.IntRange(1, n).Draw(t, "cut") }}
		w := reference(c)
		note := func(kind int) func(string) error {
			return func(data string) error {
				got = append(got, said{kind, data})
				return nil
			}
		}
		w.SetPingHandler(note(websocket.PingMessage))
		w.SetPongHandler(note(websocket.PongMessage))
		for {
			kind, r, err := w.NextReader()
			if websocket.IsCloseError(err, 4403) {
				break
			}
			if err != nil {
				t.Fatalf("heard %v, then %v", got, err)
			}
			data, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, said{kind, string(data)})
		}
		if len(got) != len(want) {
			t.Fatalf("heard %v, want %v", got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("heard %v, want %v", got[i], want[i])
			}
		}
	})
}

// TestBinaryFramesEqualTheLibrarys, and pings that carry something.
func TestBinaryFramesEqualTheLibrarys(t *testing.T) {
	for _, size := range []int{0, 125, 126, 65535, 65536, 70_000} {
		payload := bytes.Repeat([]byte{0xff}, size)
		c := &bufferConn{}
		if err := reference(c).WriteMessage(websocket.BinaryMessage, payload); err != nil {
			t.Fatal(err)
		}
		if got := (Framing{}).AppendBinary(nil, payload); !bytes.Equal(got, c.out.Bytes()) {
			t.Errorf("binary of %d bytes: header %.10x, the library's %.10x", size, got, c.out.Bytes())
		}
	}
	c := &bufferConn{}
	if err := reference(c).WriteControl(websocket.PingMessage, []byte("12345678"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if got := (Framing{}).AppendPing(nil, []byte("12345678")); !bytes.Equal(got, c.out.Bytes()) {
		t.Errorf("ping %x, the library's is %x", got, c.out.Bytes())
	}
}

func BenchmarkMasked(b *testing.B) {
	payload := make([]byte, 300)
	var buf []byte
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		buf = Masked{}.AppendBinary(buf[:0], payload)
	}
}
