package star

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"parley/gateways/link"
	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/starpb"
	"parley/testkit"
)

var codecs = [versions]Codec{{}, {Four: true}}

// frame is what Socket makes of a client's frames.
func (v in) frame() (frame []byte, binary bool) {
	if v.binary == nil {
		return []byte(v.text), false
	}
	return composite(v.text, v.binary...), true
}

func TestDecode(t *testing.T) {
	for _, v := range slices.Concat(captured, spelled) {
		for _, c := range codecs {
			frame, binary := v.frame()
			m, charge := decoded(t, c, frame, binary)
			if !proto.Equal(m, v.want) {
				t.Errorf("%s: %T %v", v.name, m, m)
			}
			want := uint32(1)
			if s, ok := v.want.(*starpb.Stream); ok {
				want = s.GetCharge()
			}
			if charge != want {
				t.Errorf("%s: charge %d, want %d", v.name, charge, want)
			}
		}
	}
	for reason, frames := range refused {
		for _, v := range frames {
			frame, binary := v.frame()
			m, _ := decoded(t, Codec{}, frame, binary)
			if got, ok := m.(*linkpb.Malformed); !ok || got.GetReason() != reason {
				t.Errorf("%s: %v, want %q", v.name, m, reason)
			}
		}
	}
}

// TestChunksAreTheSame with and without parsing their JSON.
func TestChunksAreTheSame(t *testing.T) {
	for _, id := range []string{dialID + ".dialer", "~ d.listener", "é.dialer", strings.Repeat("x", maxStream), strings.Repeat("x", maxStream+1), ""} {
		text := `51-["` + pull + `queue.` + id + `",` + placed0 + `]`
		attachments := [][]byte{bytes.Repeat([]byte{7}, 20_000)}
		fast := chunk([]byte(text), attachments)
		slow, _ := message([]byte(text+" "), attachments)
		s, ok := slow.(*starpb.Stream)
		if fast == nil {
			continue
		}
		if !ok {
			t.Fatalf("%.20s became %v", id, slow)
		}
		s.Packet = s.GetPacket()[:len(text)]
		if s.Charge = fast.GetCharge(); !proto.Equal(s, fast) {
			t.Errorf("%.20s: %.200v, and %.200v", id, fast, s)
		}
	}
	if chunk([]byte(`51-["`+pull+`queue.`+dialID+`.dialer",`+placed0+`]`), [][]byte{{1}}) == nil {
		t.Error("an ordinary chunk is parsed")
	}
}

// TestChargeOfStreams is by all that they hold.
func TestChargeOfStreams(t *testing.T) {
	frame := composite(`452-["`+pull+`queue.d.dialer",`+placed0+`,{"_placeholder":true,"num":1}]`, strings.Repeat("x", 16<<10), strings.Repeat("y", 1<<20))
	m, charge := Codec{}.Decode(frame, true)
	if want := messages.Charge(1<<20 + 16<<10 + 100); charge != want || m.(*starpb.Stream).GetCharge() != want {
		t.Errorf("charge %d of %T, want %d", charge, m, want)
	}
	m, charge = Codec{}.Decode([]byte(`42["`+pull+`queue.d.dialer","`+strings.Repeat("x", 1<<20)+`"]`), false)
	if want := messages.Charge(1 << 20); charge != want || m.(*starpb.Stream).GetCharge() != want {
		t.Errorf("charge %d of %T, want %d", charge, m, want)
	}
}

// frames are server frames taken apart, as testkit.WS shows them.
func frames(t *testing.T, wire []byte) (all []string) {
	t.Helper()
	r := bufio.NewReader(bytes.NewReader(wire))
	for {
		f, err := testkit.ReadFrame(r)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil || !f.Fin {
			t.Fatalf("%v, %v", f, err)
		}
		if f.Op == testkit.OpBinary {
			all = append(all, "binary "+hex.EncodeToString(f.Payload))
		} else {
			all = append(all, string(f.Payload))
		}
	}
}

func TestAppendFrames(t *testing.T) {
	for _, v := range written {
		for i, want := range [versions][]string{v.three, v.four} {
			before := []byte("\x81\x00") // an empty frame
			wire, err := codecs[i].AppendFrames(before, Framing{Four: i == four}, v.m)
			if err != nil {
				t.Fatal(err)
			}
			if got := frames(t, wire); got[0] != "" || !slices.Equal(got[1:], want) {
				t.Errorf("%s, version %s: %q", v.name, versionNames[i], got)
			}
			if len(want) != 1 || len(v.three) != 1 {
				continue
			}
			payload, err := codecs[i].Append(nil, v.m)
			switch v.m.(type) {
			case *starpb.Welcome, *starpb.Peers, *starpb.Stream:
				if !errors.Is(err, link.ErrNotOnWire) {
					t.Errorf("%s: %q, %v", v.name, payload, err)
				}
			default:
				if err != nil || string(payload) != want[0] {
					t.Errorf("%s: %q, %v", v.name, payload, err)
				}
			}
		}
	}
	wire, err := Codec{}.AppendFrames([]byte("x"), Framing{}, &starpb.Join{})
	if !errors.Is(err, link.ErrNotOnWire) || string(wire) != "x" {
		t.Errorf("%q, %v", wire, err)
	}
}

// TestLargeFrames keep every byte, whatever was written before them.
func TestLargeFrames(t *testing.T) {
	for _, size := range []int{0, 1, 124, 125, 126, 65534, 65535, 65536, 1 << 20, 4 << 20} {
		a := bytes.Repeat([]byte{byte(size)}, size)
		for i, c := range codecs {
			wire, err := c.AppendFrames(nil, Framing{Four: i == four}, &starpb.Stream{Packet: []byte("x"), Attachments: [][]byte{a, {1}, a}})
			if err != nil {
				t.Fatal(err)
			}
			prefix := ""
			if i == three {
				prefix = "04"
			}
			long := "binary " + prefix + hex.EncodeToString(a)
			if got := frames(t, wire); !slices.Equal(got, []string{"4x", long, "binary " + prefix + "01", long}) {
				t.Errorf("size %d, version %s: %d frames", size, versionNames[i], len(got))
			}
		}
	}
}

// TestParts are the same bytes, and the large attachments are where they were.
func TestParts(t *testing.T) {
	for i, c := range codecs {
		f := Framing{Four: i == four}
		for _, sizes := range [][]int{{}, {0}, {partLeast - 1}, {partLeast}, {partLeast, 0, 70_000, 3}, {1, 126, 65_535, 65_536}} {
			m := &starpb.Stream{Packet: []byte("2[]")}
			for n, size := range sizes {
				m.Attachments = append(m.Attachments, bytes.Repeat([]byte{byte(n)}, size))
			}
			want, err := c.AppendFrames([]byte("x"), f, m)
			if err != nil {
				t.Fatal(err)
			}
			wire, parts, err := c.AppendParts([]byte("x"), nil, f, m)
			if err != nil {
				t.Fatal(err)
			}
			var got []byte
			at := 0
			for _, p := range parts {
				if len(p.Wire) < partLeast {
					t.Errorf("a part of %d bytes", len(p.Wire))
				}
				got = append(append(got, wire[at:p.At]...), p.Wire...)
				at = p.At
			}
			if got = append(got, wire[at:]...); !bytes.Equal(got, want) {
				t.Errorf("version %s, %v: %d bytes, want %d", versionNames[i], sizes, len(got), len(want))
			}
		}
	}
	wire, parts, err := Codec{}.AppendParts(nil, nil, Framing{}, &starpb.Pong{})
	if got := frames(t, wire); err != nil || len(parts) != 0 || !slices.Equal(got, []string{"3"}) {
		t.Errorf("%q, %v, %v", got, parts, err)
	}
}

func TestPings(t *testing.T) {
	for i, want := range [versions]string{"6", "2"} {
		if got := frames(t, Framing{Four: i == four}.AppendPing(nil, []byte("data"))); !slices.Equal(got, []string{want}) {
			t.Errorf("version %s: %q", versionNames[i], got)
		}
	}
}

func TestChargeGivenBack(t *testing.T) {
	for _, v := range []struct {
		m    proto.Message
		want uint32
	}{
		{&starpb.Pong{}, 1},
		{&starpb.Connected{}, 1},
		{&starpb.Refused{}, 1},
		{&starpb.Reply{}, 1},
		{&starpb.Reply{Settled: true}, 0},
		{&starpb.Stream{Charge: 5}, 0},
		{&starpb.Incoming{}, 0},
		{&starpb.Peers{}, 0},
		{&starpb.Welcome{}, 0},
		{&starpb.Accept{}, 0},
		{&starpb.End{}, 0},
	} {
		if got := (Codec{}).Charge(v.m); got != v.want {
			t.Errorf("%T: %d", v.m, got)
		}
	}
}

// TestKinds: each version has a name and frames of its own.
func TestKinds(t *testing.T) {
	a, b := NewKinds()
	if a.Codec.Protocol() == b.Codec.Protocol() || a.Codec.Slot() == b.Codec.Slot() {
		t.Error("both versions are the same")
	}
	if a.Framing.(Framing).Four || !b.Framing.(Framing).Four || a.Ping > 20e9 || b.Ping != 25e9 {
		t.Error("pings are the other version's")
	}
}
