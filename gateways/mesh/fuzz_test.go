package mesh

import (
	"bytes"
	"encoding/json"
	"testing"

	"google.golang.org/protobuf/proto"

	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/meshpb"
)

// decoded decodes a frame whose memory is used again, and checks what holds for
// all that comes of it.
func decoded(t *testing.T, frame []byte, binary bool) proto.Message {
	t.Helper()
	own := bytes.Clone(frame)
	m, charge := Codec{}.Decode(own, binary)
	before := proto.Clone(m)
	for i := range own {
		own[i] ^= 0x55
	}
	if !proto.Equal(before, m) {
		t.Fatalf("%v points into its frame", before)
	}
	switch m := m.(type) {
	case *linkpb.Malformed:
		if m.GetReason() == "" || m.GetCharge() != 1 || charge != 1 {
			t.Fatalf("%v, charge %d", m, charge)
		}
	case *meshpb.Frame:
		if want := messages.Charge(len(frame)); m.GetCharge() != want || charge != want {
			t.Fatalf("charges %d and %d", m.GetCharge(), charge)
		}
	case *meshpb.Handshake:
		if charge != 1 || binary {
			t.Fatalf("handshake of charge %d, binary %v", charge, binary)
		}
	default:
		t.Fatalf("became %T", m)
	}
	return m
}

// steady checks that a packet is the same behind every kind of link, and that
// its text does not change any more.
func steady(t *testing.T, p *meshpb.Packet) {
	t.Helper()
	over, err := through(frameOf(p), true)
	if err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(over, p) {
		t.Fatalf("protobuf makes\n%v of\n%v", over, p)
	}
	first, err := Codec{}.Append(nil, without(p))
	if err != nil {
		t.Fatal(err)
	}
	again, err := through(without(p), false)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Codec{}.Append(nil, without(again))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Fatalf("text\n%s became\n%s", first, second)
	}
}

func FuzzDecodeJSON(f *testing.F) {
	for _, v := range vectors {
		f.Add([]byte(v.frame))
	}
	for _, frames := range malformed {
		for _, frame := range frames {
			if len(frame) < 1000 {
				f.Add([]byte(frame))
			}
		}
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		m, ok := decoded(t, frame, false).(*meshpb.Frame)
		if !ok {
			return
		}
		var other struct {
			Source, Destination, Type string
			Data                      json.RawMessage
		}
		var keys map[string]json.RawMessage // as they are: the library would take others for them
		if err := json.Unmarshal(frame, &keys); err != nil {
			t.Fatalf("another parser says %v", err)
		}
		_ = json.Unmarshal(keys["source"], &other.Source)
		_ = json.Unmarshal(keys["destination"], &other.Destination)
		_ = json.Unmarshal(keys["type"], &other.Type)
		p := m.GetPackets()[0]
		kind := map[bool]string{p.GetMessage() != nil: typeMessage, p.GetCommand() != nil: typeCommand, p.GetResponse() != nil: typeResponse}[true]
		if len(m.GetPackets()) != 1 || other.Source != p.GetSource() || other.Destination != p.GetDestination() || other.Type != kind {
			t.Fatalf("another parser sees %v", other)
		}
		if p.GetMessage() == nil && !bytes.Equal(p.GetJson(), keys["data"]) {
			t.Fatalf("data became %q", p.GetJson())
		}
		if p.GetMessage() != nil && (p.GetJson() != nil || !json.Valid(p.GetMessage().GetPayload())) {
			t.Fatalf("the message became %q", p.GetMessage().GetPayload())
		}
		steady(t, p)
	})
}

func FuzzDecodeProtobuf(f *testing.F) {
	for _, v := range vectors {
		b, err := proto.Marshal(frameOf(v.want))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	b, err := proto.Marshal(frameOf(vectors[0].want, &meshpb.Packet{
		Source: "a", Destination: "b", Nonce: "x", Response: &meshpb.Response{}, Json: []byte(`{"nodes":["c"]}`),
	}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, frame []byte) {
		m, ok := decoded(t, frame, true).(*meshpb.Frame)
		if !ok {
			return
		}
		for _, p := range m.GetPackets() {
			if reason := checkPacket(proto.CloneOf(p)); reason != "" {
				t.Fatalf("%v taken: %s", p, reason)
			}
			steady(t, p)
		}
	})
}

func FuzzDecodeHandshake(f *testing.F) {
	f.Add([]byte(`{"name":"node3"}`))
	f.Add([]byte(`{"name":"node3","boot":7,"time":1,"host":"wss://a/","links":["b"],"chain":"dev","version":"1","encodings":["json","pb"]}`))
	f.Add([]byte(`{"name":"","name":7}`))
	f.Add([]byte(`{"links":[],"name":"a","x":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, ok := decoded(t, append(append([]byte(`{"command":"handshake","data":`), data...), '}'), false).(*meshpb.Handshake)
		if !ok {
			return
		}
		if !goodHandshake(h) {
			t.Fatalf("%v taken", h)
		}
		frame, err := Codec{}.Append(nil, h)
		if err != nil {
			t.Fatal(err)
		}
		if got := decoded(t, frame, false); !proto.Equal(got, h) {
			t.Fatalf("%s became %v", frame, got)
		}
	})
}
