package enclave

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"parley/gateways/tcp"
	"parley/messages/enclavepb"
	"parley/messages/linkpb"
)

// FuzzDecode: any bytes are a packet or malformed, held in memory of its own; a
// packet says what another parser sees in it, and is the same when it was written
// and read again.
func FuzzDecode(f *testing.F) {
	for _, v := range vectors {
		f.Add([]byte(v.wire[4:]))
	}
	for _, g := range goldens {
		f.Add([]byte(g.wire[4:]))
	}
	f.Add([]byte(`{"x":[1,{"y":"a b"}],"alias":1,"statusmsg":"\ud83d\ude00","\u0061":1.5e3}`))
	f.Add([]byte(`{"a":[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]}`))
	f.Fuzz(func(t *testing.T, frame []byte) {
		own := bytes.Clone(frame)
		m, charge := Codec{}.Decode(own, false)
		before := proto.Clone(m)
		for i := range own {
			own[i] ^= 0x55
		}
		if !proto.Equal(before, m) {
			t.Fatalf("%v points into its frame", before)
		}
		var object map[string]json.RawMessage
		bad := json.Unmarshal(frame, &object)
		switch m := m.(type) {
		case *linkpb.Malformed:
			if m.GetReason() == "" || m.GetCharge() != charge || charge == 0 {
				t.Fatalf("%v, charge %d", m, charge)
			}
		case *enclavepb.Packet:
			if bad != nil || m.GetCharge() != charge || charge == 0 {
				t.Fatalf("%v of %q, charge %d, %v", m, frame, charge, bad)
			}
			m.Charge = 0
			compare(t, object, m)
			again(t, m)
			if slow, _ := decode(append(bytes.Clone(frame), ' ')); !proto.Equal(slow, m) { // white space is not for quick
				t.Fatalf("%v and %v", slow, m)
			}
		}
	})
}

// compare looks at a packet with another parser's eyes.
func compare(t *testing.T, object map[string]json.RawMessage, p *enclavepb.Packet) {
	t.Helper()
	for key, got := range map[string]*string{keyAlias: p.Alias, keyMessage: p.Message} {
		var want *string
		if json.Unmarshal(object[key], &want) != nil {
			want = nil
		}
		if key == keyAlias && want != nil && len(*want) > aliasMost {
			want = nil
		}
		if (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Fatalf("%s is %v, not %s", key, got, object[key])
		}
	}
	var known, all int
	for _, key := range []string{keyStatus, keyAlias, keyStatusOld, keyStatusNew, keyMessage, keyTimestamp, keyID, keyAck} {
		if _, ok := object[key]; ok {
			known++
		}
	}
	if len(p.GetExtra()) > 0 {
		var extra map[string]json.RawMessage
		if err := json.Unmarshal(p.GetExtra(), &extra); err != nil || bytes.ContainsAny(p.GetExtra(), "\n\r\t") {
			t.Fatalf("%q: %v", p.GetExtra(), err)
		}
		all = len(extra)
		for key, value := range extra {
			var got, want bytes.Buffer
			if json.Compact(&got, value) != nil || json.Compact(&want, object[key]) != nil || got.String() != want.String() {
				t.Fatalf("%q is %s, not %s", key, value, object[key])
			}
		}
	}
	if known+all != len(object) {
		t.Fatalf("%d and %d of %d attributes", known, all, len(object))
	}
}

// again writes a packet and reads it.
func again(t *testing.T, p *enclavepb.Packet) {
	t.Helper()
	want := proto.CloneOf(p)
	want.Extra = nil
	wire, err := Codec{}.AppendFrames(nil, tcp.Framing{}, want)
	if err != nil || tcpLength(string(wire)) != len(wire)-4 {
		t.Fatal(err)
	}
	m, _ := Codec{}.Decode(wire[4:], false)
	got, ok := m.(*enclavepb.Packet)
	if !ok {
		t.Fatalf("%q: %v", wire, m)
	}
	got.Charge = 0
	if want.Timestamp == nil {
		got.Timestamp = nil
	}
	if !proto.Equal(got, want) {
		t.Fatalf("%v became %v", want, got)
	}
}

// FuzzAppend: any texts are valid JSON without white space outside of them.
func FuzzAppend(f *testing.F) {
	f.Add("Anon", "status", "message", "id", int64(1795219316), uint32(1))
	f.Add("\xff", "\x00", "\u2028\"\\", "\x7f", int64(-1), uint32(9))
	f.Fuzz(func(t *testing.T, alias, status, message, id string, at int64, code uint32) {
		p := &enclavepb.Packet{Alias: &alias, StatusMessage: &status, Message: &message, Id: id, Ack: id, Timestamp: &at, Status: &code}
		b, err := Codec{}.Append(nil, p)
		if err != nil || !json.Valid(b) {
			t.Fatalf("%q, %v", b, err)
		}
		var got struct {
			Alias, Message string
			Old            string `json:"status-message"`
			New            string `json:"statusmsg"`
			Timestamp      int64
			Status         uint32
		}
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		sane := func(s string) string {
			b := strings.Builder{}
			for _, r := range s {
				b.WriteRune(r)
			}
			return b.String()
		}
		if got.Alias != sane(alias) || got.Message != sane(message) || got.Old != sane(status) || got.New != got.Old || got.Timestamp != at || got.Status != code {
			t.Fatalf("%q of %v", b, p)
		}
	})
}
