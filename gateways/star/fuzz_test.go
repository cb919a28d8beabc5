package star

import (
	"bytes"
	"encoding/json"
	"testing"

	"google.golang.org/protobuf/proto"

	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/starpb"
)

// fatal is what tests of any kind fail with.
type fatal interface {
	Helper()
	Fatalf(format string, args ...any)
}

// decoded decodes a frame whose memory is used again, and checks what holds for
// all that comes of it.
func decoded(t fatal, c Codec, frame []byte, binary bool) (proto.Message, uint32) {
	t.Helper()
	own := bytes.Clone(frame)
	m, charge := c.Decode(own, binary)
	before := proto.Clone(m)
	for i := range own {
		own[i] ^= 0x55
	}
	if !proto.Equal(before, m) {
		t.Fatalf("%v points into its frame", before)
	}
	if charge == 0 {
		t.Fatalf("%T costs nothing", m)
	}
	switch m := m.(type) {
	case *linkpb.Malformed:
		if m.GetReason() == "" || m.GetCharge() != charge || charge != 1 {
			t.Fatalf("%v, charge %d", m, charge)
		}
	case *starpb.Stream:
		checkStream(t, c, m, charge, len(frame))
	default:
		if size := proto.Size(m); size > 16<<10 || charge != 1 {
			t.Fatalf("%T of %d bytes, charge %d", m, size, charge)
		}
	}
	return m, charge
}

// checkStream: what goes on to another client is what that one can read, means
// the same there, and asks for no answer.
func checkStream(t fatal, c Codec, m *starpb.Stream, charge uint32, size int) {
	t.Helper()
	held := len(m.GetPacket())
	for _, a := range m.GetAttachments() {
		held += len(a)
	}
	if charge != m.GetCharge() || charge < messages.Charge(held) || held > size+len("50-") {
		t.Fatalf("%d bytes of %d held for a charge of %d, %d", held, size, charge, m.GetCharge())
	}
	var p packet
	if reason := p.parse(m.GetPacket()); reason != "" || p.ack != nil || p.path() != usual || p.attachments != len(m.GetAttachments()) {
		t.Fatalf("%q: %s, %v", m.GetPacket(), reason, p)
	}
	var list []json.RawMessage
	if err := json.Unmarshal(p.json, &list); err != nil || len(list) == 0 {
		t.Fatalf("another parser says %v of %q", err, p.json)
	}
	text := append([]byte{engineMessage}, m.GetPacket()...)
	again := in{text: string(text)}
	for _, a := range m.GetAttachments() {
		again.binary = append(again.binary, string(a))
	}
	frame, binary := again.frame()
	if got, _ := c.Decode(frame, binary); !proto.Equal(got, m) {
		t.Fatalf("%v became %v", m, got)
	}
}

func seeds(f *testing.F, binary bool) {
	for _, list := range append([][]in{captured, spelled}, refused[reasonJSON], refused[reasonAttachments], refused[reasonEngine], refused[reasonPacket]) {
		for _, v := range list {
			if frame, b := v.frame(); b == binary && len(frame) < 1000 {
				f.Add(frame)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	seeds(f, false)
	f.Fuzz(func(t *testing.T, frame []byte) {
		for _, c := range codecs {
			decoded(t, c, frame, false)
		}
	})
}

// FuzzComposite takes a packet and its attachments: those that it has, and any
// frame in their place.
func FuzzComposite(f *testing.F) {
	seeds(f, true)
	f.Fuzz(func(t *testing.T, frame []byte) {
		text, attachments, ok := split(frame)
		m, _ := decoded(t, Codec{}, frame, true)
		if !ok {
			if _, is := m.(*linkpb.Malformed); !is {
				t.Fatalf("no composite became %v", m)
			}
			return
		}
		v := in{text: string(text)}
		for _, a := range attachments {
			v.binary = append(v.binary, string(a))
		}
		whole, _ := v.frame()
		if got, _ := decoded(t, Codec{}, whole, true); !proto.Equal(got, m) {
			t.Fatalf("%q with gaps became %v, without %v", frame, m, got)
		}
	})
}
