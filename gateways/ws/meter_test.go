package ws

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"parley/gateways/link"
	"parley/testkit"
)

// code is a violation's close code, 0 for none.
func code(v *link.Violation) uint32 {
	if v == nil {
		return 0
	}
	return v.Code
}

func TestMeterTable(t *testing.T) {
	const limit = 1000
	for _, c := range []struct {
		name string
		in   []byte
		code uint32
		done int // messages and control frames before the violation
	}{
		{"nothing", nil, 0, 0},
		{"a text", wire(text("hello")), 0, 1},
		{"empty texts", wire(text(""), text("")), 0, 2},
		{"not masked", []byte{0x81, 0x02, 'h', 'i', 0x81, 0x00}, 0, 2}, // the library's to refuse
		{"as long as may be", wire(text(strings.Repeat("x", limit))), 0, 1},
		{"a byte longer", wire(text(strings.Repeat("x", limit+1))), 1009, 0},
		{"longer in pieces", wire(part(1, false, strings.Repeat("x", limit)), part(0, true, "x")), 1009, 0},
		{"as long in pieces", wire(part(1, false, strings.Repeat("x", limit)), part(0, true, ""), text("y")), 0, 2},
		{"limits are a message's", wire(text(strings.Repeat("x", limit)), text(strings.Repeat("x", limit))), 0, 2},
		{"2^31-1", header(0x81, 8, 1<<31-1), 1009, 0},
		{"2^31", header(0x81, 8, 1<<31), 1009, 0},
		{"2^31+1", header(0x81, 8, 1<<31+1), 1009, 0},
		{"2^32-1", header(0x81, 8, 1<<32-1), 1009, 0},
		{"2^32", header(0x81, 8, 1<<32), 1009, 0},
		{"2^32+1", header(0x81, 8, 1<<32+1), 1009, 0},
		{"1 TiB", header(0x82, 8, 1<<40), 1009, 0},
		{"2^63-1", header(0x81, 8, 1<<63-1), 1009, 0},
		{"2^63-1 behind a piece", wire(part(1, false, "x"), header(0x80, 8, 1<<63-1)), 1009, 0},
		{"2^63", header(0x81, 8, 1<<63), 1002, 0},
		{"2^64-1", header(0x81, 8, 1<<64-1), 1002, 0},
		{"2^63 in a ping", header(0x89, 8, 1<<63), 1002, 0},
		{"reserved bit 1", wire(text("x"), testkit.Frame{Fin: true, Op: 1, RSV: 4}), 1002, 1},
		{"reserved bit 2", wire(testkit.Frame{Fin: true, Op: 1, RSV: 2}), 1002, 0},
		{"reserved bit 3", wire(testkit.Frame{Fin: true, Op: 1, RSV: 1}), 1002, 0},
		{"reserved bits of a ping", wire(testkit.Frame{Fin: true, Op: 9, RSV: 7}), 1002, 0},
		{"reserved bit of a continuation", wire(part(1, false, "x"), testkit.Frame{Fin: true, RSV: 4}), 1002, 0},
		{"a ping of 125", wire(ping(strings.Repeat("p", 125))), 0, 1},
		{"a ping of 126", wire(ping(strings.Repeat("p", 126))), 1002, 0},
		{"a pong of 65536", wire(part(10, true, strings.Repeat("p", 65536))), 1002, 0},
		{"a ping among fragments", wire(part(1, false, "x"), ping(""), ping("y"), part(0, true, "z")), 0, 3},
		{"a ping does not end a message", wire(part(1, false, strings.Repeat("x", limit)), ping(""), part(0, true, "z")), 1009, 1},
		{"an empty close", wire(part(8, true, "")), 0, 1},
		{"half a close code", wire(text("x"), part(8, true, "x")), 1002, 1},
		{"1024 fragments", wire(part(1, false, ""), bytes.Repeat(wire(part(0, false, "")), maxFragments-2), part(0, true, "")), 0, 1},
		{"1025 fragments", wire(part(1, false, ""), bytes.Repeat(wire(part(0, false, "")), maxFragments-1), part(0, true, "")), 1008, 0},
		{"20 control frames", wire(bytes.Repeat(wire(ping("x"), part(10, true, "")), 10)), 0, 20},
		{"21 control frames", wire(bytes.Repeat(wire(ping("")), 21)), 1008, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := meter{limit: limit}
				good, v := m.feed(c.in)
				if code(v) != c.code || m.done != c.done {
					t.Errorf("code %d after %d messages, want %d after %d", code(v), m.done, c.code, c.done)
				}
				if v == nil && good != len(c.in) {
					t.Errorf("%d of %d bytes are good", good, len(c.in))
				}
				for _, cut := range []func(int) int{
					func(int) int { return 1 }, func(int) int { return 7 }, func(n int) int { return n / 2 },
				} {
					if err := sameInAnySplit(c.in, limit, cut); err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}

// TestMeterForgetsControlFramesOfOtherSeconds allows 20 in each.
func TestMeterForgetsControlFramesOfOtherSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := meter{limit: 1}
		for range 10 {
			for range maxControlSecond {
				if _, v := m.feed(wire(ping(""))); v != nil {
					t.Fatal(v)
				}
			}
			time.Sleep(time.Second)
		}
	})
}

// TestEmptyContinuationsAreCheap: the meter looks at a thousand, not at all.
func TestEmptyContinuationsAreCheap(t *testing.T) {
	m := meter{limit: testLimit}
	in := wire(part(1, false, ""), bytes.Repeat(wire(part(0, false, "")), 200_000))
	good, v := m.feed(in)
	if code(v) != 1008 || good != maxFragments*len(wire(part(0, false, ""))) {
		t.Errorf("code %d after %d bytes", code(v), good)
	}
}

// sameInAnySplit feeds b at once and in pieces: what the meter knows at the end
// must be the same.
func sameInAnySplit(b []byte, limit int64, cut func(left int) int) error {
	whole, pieces := meter{limit: limit}, meter{limit: limit}
	good, v := whole.feed(b)
	sum, at := 0, 0
	var pv *link.Violation
	for at < len(b) && pv == nil {
		n := min(max(1, cut(len(b)-at)), len(b)-at)
		var g int
		g, pv = pieces.feed(b[at : at+n])
		sum += g
		at += n
	}
	if code(v) != code(pv) || v == nil && whole != pieces || v != nil && (whole.done != pieces.done || v.Reason != pv.Reason) {
		return fmt.Errorf("at once %+v, %v; in pieces %+v, %v", whole, v, pieces, pv)
	}
	if v == nil && sum != good {
		return fmt.Errorf("good: at once %d, in pieces %d", good, sum)
	}
	// In pieces, the start of the header may have been handed on already.
	if v != nil && (sum < good || sum-good >= len(whole.head)) {
		return fmt.Errorf("good before %v: at once %d, in pieces %d", v, good, sum)
	}
	return nil
}

// steady runs f within one second of the clock: the rate of control frames
// depends on it.
func steady(t *testing.T, f func() error) {
	t.Helper()
	for range 10 {
		second := time.Now().Unix()
		err := f()
		if time.Now().Unix() != second {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Log("too slow for this clock") // under a debugger, say
}

// random is a cut that is drawn anew at each call, small if split is.
func random(split uint8) func(int) int {
	state := uint32(split) + 1
	return func(int) int {
		state = state*1664525 + 1013904223
		return 1 + int(state>>24)%(int(split)/4+1)
	}
}

// hears lets the library read b. It returns how many messages and control frames
// came, their payload, and the error at the end.
func hears(b []byte, limit int64) (texts [][]byte, controls int, err error) {
	c := reference(&bufferConn{in: b})
	c.SetReadLimit(limit)
	count := func(string) error { controls++; return nil }
	c.SetPingHandler(count)
	c.SetPongHandler(count)
	c.SetCloseHandler(func(int, string) error { controls++; return nil })
	for {
		_, m, err := c.ReadMessage()
		if err != nil {
			return texts, controls, err
		}
		texts = append(texts, m)
	}
}

// fuzzLimit is how long a message may be for the fuzz targets, in bytes. Small:
// the shorter the streams, the more of them.
const fuzzLimit = 300

// seeds are streams that the fuzz targets start from.
func seeds() [][]byte {
	return [][]byte{
		nil,
		wire(text("hello"), text("")),
		wire(part(1, false, "frag"), ping("p"), part(0, false, ""), part(0, true, "ment"), bye(1000, "bye")),
		wire(part(2, true, strings.Repeat("b", 130))),
		wire(text("\xff\xfe"), text("later")),
		wire(part(1, false, "\xe2\x82"), part(0, true, "\xac")),
		wire(part(1, false, "\xe2"), part(0, false, "(\xa1")),
		wire(testkit.Frame{Fin: true, Op: 1, RSV: 4, Payload: []byte("deflated")}),
		wire(part(3, true, "?")), wire(part(11, true, "?")), wire(part(9, false, "?")),
		wire(part(8, true, "x")), wire(bye(1005, "")), wire(bye(3000, "\xff")),
		wire(text("x"), part(0, true, "y")), wire(part(1, false, "x"), text("y")),
		{0x81, 0x02, 'h', 'i'},
		header(0x81, 8, 1<<63), header(0x81, 8, 1<<63-1), header(0x81, 8, 1<<32), header(0x81, 2, 5),
		bytes.Repeat(wire(ping("")), 25),
		wire(text(strings.Repeat("x", fuzzLimit+1))),
	}
}

// FuzzMeter compares the meter with itself in another split, and with the
// library: on what the meter lets through, both see the same messages end.
func FuzzMeter(f *testing.F) {
	for i, s := range seeds() {
		f.Add(s, uint8(i))
	}
	f.Fuzz(func(t *testing.T, b []byte, split uint8) {
		steady(t, func() error {
			const limit = fuzzLimit
			if err := sameInAnySplit(b, limit, random(split)); err != nil {
				return err
			}
			m := meter{limit: limit}
			good, _ := m.feed(b)
			texts, controls, err := hears(b[:good], limit)
			seen := len(texts) + controls
			var ce *websocket.CloseError
			ended := errors.As(err, &ce) && ce.Code == websocket.CloseAbnormalClosure || errors.Is(err, io.ErrUnexpectedEOF)
			switch {
			case ended && seen != m.done:
				return fmt.Errorf("the meter saw %d end, the library %d and %w", m.done, seen, err)
			case !ended && seen > m.done: // the library refused something, or the peer closed
				return fmt.Errorf("the meter saw %d end, the library %d before %w", m.done, seen, err)
			}
			return nil
		})
	})
}

// outcome is what a Socket made of a stream.
type outcome struct {
	messages []string
	code     uint32 // of the violation or the peer's close; 0: the stream ended
	hangup   bool
}

func (o outcome) String() string {
	return fmt.Sprintf("%q, code %d, hangup %v", o.messages, o.code, o.hangup)
}

// equal compares outcomes. Of a frame that breaks two rules, either may be told.
func (o outcome) equal(p outcome) bool {
	same := o.code == p.code || o.code >= closeProtocol && p.code >= closeProtocol && !o.hangup
	return slices.Equal(o.messages, p.messages) && o.hangup == p.hangup && same
}

// reads runs a Socket over a stream.
func reads(b []byte, limit int64, cut func(int) int) (o outcome) {
	s := socket(&bufferConn{in: b, cut: cut}, limit)
	s.ws.SetPingHandler(func(string) error { s.done++; return nil })
	s.ws.SetPongHandler(func(string) error { s.done++; return nil })
	s.ws.SetCloseHandler(func(int, string) error { return nil })
	s.view.muted.Store(true)
	for {
		err := s.Next()
		if err == nil {
			var m []byte
			var binary bool
			if m, binary, err = s.Read(nil); err == nil {
				o.messages = append(o.messages, fmt.Sprintf("%v %s", binary, m))
				continue
			}
		}
		var (
			v *link.Violation
			h *link.Hangup
		)
		if errors.As(err, &v) {
			o.code = v.Code
		}
		if errors.As(err, &h) {
			o.code, o.hangup = h.Code, true
		}
		return o
	}
}

// FuzzSocket compares what is read of a stream that comes at once with what is
// read of one that comes in pieces, and with the library.
func FuzzSocket(f *testing.F) {
	for i, s := range seeds() {
		f.Add(s, uint8(i))
	}
	f.Fuzz(func(t *testing.T, b []byte, split uint8) {
		steady(t, func() error {
			const limit = fuzzLimit
			whole, pieces := reads(b, limit, nil), reads(b, limit, random(split))
			if !whole.equal(pieces) {
				return fmt.Errorf("at once %v; in pieces %v", whole, pieces)
			}
			texts, _, _ := hears(b, limit)
			if len(texts) < len(whole.messages) {
				return fmt.Errorf("read %d messages, the library reads %d", len(whole.messages), len(texts))
			}
			for i, m := range whole.messages {
				if _, payload, _ := strings.Cut(m, " "); payload != string(texts[i]) {
					return fmt.Errorf("message %d is %q, the library's is %q", i, payload, texts[i])
				}
			}
			return nil
		})
	})
}

func BenchmarkMeter(b *testing.B) {
	for _, size := range []int{16, 128, 4096} {
		stream := bytes.Repeat(wire(text(strings.Repeat("x", size))), 1+64<<10/size)
		b.Run(fmt.Sprintf("messages=%dB", size), func(b *testing.B) {
			m := meter{limit: testLimit}
			b.SetBytes(int64(len(stream)))
			b.ReportAllocs()
			for b.Loop() {
				for at := 0; at < len(stream); at += burstSize {
					if _, v := m.feed(stream[at:min(at+burstSize, len(stream))]); v != nil {
						b.Fatal(v)
					}
				}
			}
		})
	}
}
