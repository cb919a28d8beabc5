package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

// feed reads a stream in the portions given, through one shared buffer, as a loop does.
func feed(s *Scanner, portions ...[]byte) (got []Message, err error) {
	buffer := make([]byte, 64)
	for _, p := range portions {
		for len(p) > 0 {
			room := s.Begin(buffer)
			if len(room) == 0 {
				buffer = make([]byte, s.Need()+1)
				continue
			}
			n := copy(room, p)
			p = p[n:]
			s.Filled(n)
			for {
				m, ok, err := s.Next()
				if err != nil {
					return got, err
				}
				if !ok {
					break
				}
				got = append(got, Message{m.Op, bytes.Clone(m.Payload)})
			}
			s.Keep()
			clear(buffer) // another connection's bytes
		}
	}
	return got, nil
}

func payload(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7)
	}
	return b
}

func check(t *testing.T, got, want []Message) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d messages, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i].Op != want[i].Op || !bytes.Equal(got[i].Payload, want[i].Payload) {
			t.Fatalf("message %d is op %d of %d bytes, want op %d of %d bytes", i, got[i].Op, len(got[i].Payload), want[i].Op, len(want[i].Payload))
		}
	}
}

func TestScannerSizes(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 127, 128, 65535, 65536, 65537, 1 << 20} {
		for _, masked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d masked %t", n, masked), func(t *testing.T) {
				var stream []byte
				p := payload(n)
				for range 3 {
					if masked {
						stream = AppendClient(stream, OpText, [4]byte{1, 2, 3, 4}, p)
					} else {
						stream = AppendServer(stream, OpText, p)
					}
				}
				got, err := feed(&Scanner{Masked: masked}, stream)
				if err != nil {
					t.Fatal(err)
				}
				check(t, got, []Message{{OpText, p}, {OpText, p}, {OpText, p}})
			})
		}
	}
}

// mixed is a stream with all that a server may send, and what it means.
func mixed() (stream []byte, want []Message) {
	stream = AppendServer(nil, OpText, []byte("one"))
	stream = AppendServer(stream, OpPing, []byte("p"))
	stream = AppendServer(stream, OpBinary, payload(126))
	stream = append(stream, 0x01, 2, 'a', 'b') // a fragment, a ping inside the message, two more fragments
	stream = AppendServer(stream, OpPing, nil)
	stream = append(stream, 0x00, 0, 0x80, 1, 'c')
	stream = AppendServer(stream, OpText, payload(300))
	stream = AppendServer(stream, OpClose, AppendClose(nil, 1013, "slow consumer"))
	return stream, []Message{
		{OpText, []byte("one")},
		{OpPing, []byte("p")},
		{OpBinary, payload(126)},
		{OpPing, nil},
		{OpText, []byte("abc")},
		{OpText, payload(300)},
		{OpClose, AppendClose(nil, 1013, "slow consumer")},
	}
}

func TestScannerSplitAtEveryByte(t *testing.T) {
	stream, want := mixed()
	for at := range len(stream) + 1 {
		got, err := feed(&Scanner{}, stream[:at], stream[at:])
		if err != nil {
			t.Fatalf("split at %d: %v", at, err)
		}
		check(t, got, want)
	}
	var single [][]byte
	for i := range stream {
		single = append(single, stream[i:i+1])
	}
	got, err := feed(&Scanner{}, single...)
	if err != nil {
		t.Fatal(err)
	}
	check(t, got, want)
}

func TestScannerErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		stream []byte
		want   error
	}{
		{"reserved bit", []byte{0xC1, 0}, ErrReserved},
		{"opcode 3", []byte{0x83, 0}, ErrOpcode},
		{"opcode 11", []byte{0x8B, 0}, ErrOpcode},
		{"masked by a server", AppendClient(nil, OpText, [4]byte{1}, []byte("x")), ErrMasking},
		{"fragmented ping", []byte{0x09, 0}, ErrControl},
		{"long ping", []byte{0x89, 126, 0, 126}, ErrControl},
		{"continuation of nothing", []byte{0x80, 0}, ErrContinuity},
		{"text inside a message", []byte{0x01, 0, 0x81, 0}, ErrContinuity},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := feed(&Scanner{}, c.stream); !errors.Is(err, c.want) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
		})
	}
	if _, err := feed(&Scanner{Masked: true}, AppendServer(nil, OpText, nil)); !errors.Is(err, ErrMasking) {
		t.Fatalf("unmasked client: error %v, want %v", err, ErrMasking)
	}
	for _, huge := range [][]byte{
		{0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 0},
		{0x81, 127, 0, 0, 0, 0, 0x01, 0, 0, 1},
	} {
		if _, err := feed(&Scanner{}, huge); err == nil {
			t.Fatalf("length % x accepted", huge[2:])
		}
	}
}

func TestScannerBoundsFragments(t *testing.T) {
	s := &Scanner{}
	part := AppendServer(nil, OpContinuation, payload(1<<20))
	part[0] &^= bitFin
	if _, err := feed(s, []byte{0x01, 0}); err != nil {
		t.Fatal(err)
	}
	for i := range maxMessage>>20 + 1 {
		if _, err := feed(s, part); err != nil {
			if i < maxMessage>>20 {
				t.Fatalf("refused after %d MiB", i)
			}
			return
		}
	}
	t.Fatal("a message without end was accepted")
}

func TestScannerHoldsLittleWhenIdle(t *testing.T) {
	s := &Scanner{}
	if _, err := feed(s, AppendServer(nil, OpText, payload(100_000))); err != nil {
		t.Fatal(err)
	}
	if s.Pending() || cap(s.rest) > keptMost || s.view != nil || s.base != nil {
		t.Fatalf("pending %t, %d bytes held", s.Pending(), cap(s.rest))
	}
}

func TestMask(t *testing.T) {
	key := [4]byte{0x12, 0x34, 0x56, 0x78}
	for n := range 40 {
		want := payload(n)
		got := bytes.Clone(want)
		Mask(got, key)
		for i := range got {
			if got[i] != want[i]^key[i%4] {
				t.Fatalf("length %d: byte %d is %x", n, i, got[i])
			}
		}
	}
}

func TestCloseCode(t *testing.T) {
	for _, c := range []struct {
		payload []byte
		want    int
	}{{nil, CloseNone}, {[]byte{3}, CloseNone}, {[]byte{3, 0xE8}, CloseNormal}, {AppendClose(nil, 1013, "x"), 1013}} {
		if got := CloseCode(c.payload); got != c.want {
			t.Errorf("code of % x is %d, want %d", c.payload, got, c.want)
		}
	}
}

// FuzzScanner: no input panics, or reads differently when it comes in other portions.
func FuzzScanner(f *testing.F) {
	stream, _ := mixed()
	f.Add(stream, uint64(1), false)
	f.Add(AppendClient(nil, OpText, [4]byte{9, 8, 7, 6}, payload(126)), uint64(2), true)
	f.Add([]byte{0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0}, uint64(3), false)
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64, masked bool) {
		whole, errWhole := feed(&Scanner{Masked: masked}, stream)
		random := rand.New(rand.NewPCG(seed, 0))
		var portions [][]byte
		for rest := stream; len(rest) > 0; {
			n := 1 + random.IntN(len(rest))
			portions = append(portions, rest[:n])
			rest = rest[n:]
		}
		parts, errParts := feed(&Scanner{Masked: masked}, portions...)
		if (errWhole == nil) != (errParts == nil) {
			t.Fatalf("whole %v, in portions %v", errWhole, errParts)
		}
		check(t, parts, whole)
	})
}

// BenchmarkScanner reads deliveries of 128 bytes of text, as a joining server writes 32 of them: scan, and find the stamp.
func BenchmarkScanner(b *testing.B) {
	const burst = 32
	var stream []byte
	for i := range burst {
		text := Stamp{Publisher: 1, Channel: 2, Seq: uint64(i), Nanos: 1_700_000_000_000_000_000}.AppendText(nil, 128)
		stream = AppendServer(stream, OpText, fmt.Appendf(nil, `{"type":"message","data":{"message":"%s","channel":"bench-abc-0"},"nonce":"12"}`, text))
	}
	s, f := &Scanner{}, &Finder{}
	buffer := make([]byte, 64<<10)
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		s.Filled(copy(s.Begin(buffer), stream))
		found := 0
		for {
			m, ok, err := s.Next()
			if err != nil {
				b.Fatal(err)
			}
			if !ok {
				break
			}
			if _, ok := f.Find(m.Payload); ok {
				found++
			}
		}
		s.Keep()
		if found != burst {
			b.Fatalf("found %d", found)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/burst, "ns/delivery")
}
