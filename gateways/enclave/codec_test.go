package enclave

import (
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"parley/gateways/link"
	"parley/gateways/tcp"
	"parley/messages"
	"parley/messages/enclavepb"
	"parley/messages/linkpb"
)

// vectors are packets as others write them, with their lengths, and what they say.
var vectors = []struct {
	wire string
	want *enclavepb.Packet
}{
	{ // the handshake of the public program
		"\x00\x00\x00\x46" + `{"status":1,"alias":"Anon","status-message":"","timestamp":1795219316}`,
		&enclavepb.Packet{Status: proto.Uint32(1), Alias: proto.String("Anon"), StatusMessage: proto.String(""), Timestamp: proto.Int64(1795219316)},
	},
	{ // of its newer branch
		"\x00\x00\x00\x41" + `{"status":1,"alias":"Anon","statusmsg":"","timestamp":1795219316}`,
		&enclavepb.Packet{Status: proto.Uint32(1), Alias: proto.String("Anon"), StatusMessage: proto.String(""), Timestamp: proto.Int64(1795219316)},
	},
	{
		"\x00\x00\x00\x2b" + `{"message":"Hello","timestamp":1795219316 }`,
		&enclavepb.Packet{Message: proto.String("Hello"), Timestamp: proto.Int64(1795219316)},
	},
	{
		"\x00\x00\x00\x02{}", &enclavepb.Packet{},
	},
}

// goldens are packets as this node writes them.
var goldens = []struct {
	packet *enclavepb.Packet
	wire   string
}{
	{
		&enclavepb.Packet{Status: proto.Uint32(1), Alias: proto.String("Anon"), StatusMessage: proto.String(""), Timestamp: proto.Int64(1795219316)},
		"\x00\x00\x00\x55" + `{"status":1,"alias":"Anon","status-message":"","statusmsg":"","timestamp":1795219316}`,
	},
	{
		&enclavepb.Packet{
			Status: proto.Uint32(3), Alias: proto.String("Ann \"a\" <&> \u00fc\u2028"), StatusMessage: proto.String("x\n"), Message: proto.String("\x00\U0001f600"),
			Timestamp: proto.Int64(0), Id: "k3-1", Ack: "z-9", Extra: []byte(`{"x":1}`), Charge: 3,
		},
		"\x00\x00\x00\x90" + `{"status":3,"alias":"Ann \"a\" <&> ` + "\u00fc\u2028" + `","status-message":"x\n","statusmsg":"x\n","message":"\u0000` + "\U0001f600" + `","timestamp":0,"id":"k3-1","ack":"z-9"}`,
	},
	{
		&enclavepb.Packet{Message: proto.String("Hello"), Timestamp: proto.Int64(1795219316), Id: "2d1f-a"},
		"\x00\x00\x00\x38" + `{"message":"Hello","timestamp":1795219316,"id":"2d1f-a"}`,
	},
	{
		&enclavepb.Packet{Ack: "2d1f-a", Timestamp: proto.Int64(1)},
		"\x00\x00\x00\x1e" + `{"timestamp":1,"ack":"2d1f-a"}`,
	},
}

func decoded(t testing.TB, text string) *enclavepb.Packet {
	t.Helper()
	m, charge := Codec{}.Decode([]byte(text), false)
	p, ok := m.(*enclavepb.Packet)
	if !ok || p.GetCharge() != charge || charge != messages.Charge(len(text)) {
		t.Fatalf("%.200q became %v, charge %d", text, m, charge)
	}
	p.Charge = 0
	return p
}

// TestVectors: real bytes of others, and exact ones of our own.
func TestVectors(t *testing.T) {
	for _, v := range vectors {
		if n := tcpLength(v.wire); n != len(v.wire)-4 {
			t.Fatalf("%q is %d long", v.wire, n)
		}
		if got := decoded(t, v.wire[4:]); !proto.Equal(got, v.want) {
			t.Errorf("%q became %v", v.wire, got)
		}
	}
	for _, g := range goldens {
		if n := tcpLength(g.wire); n != len(g.wire)-4 {
			t.Fatalf("%q is %d long", g.wire, n)
		}
		wire, err := Codec{}.AppendFrames([]byte("x"), tcp.Framing{}, g.packet)
		if err != nil || string(wire) != "x"+g.wire {
			t.Errorf("%v\nbecame %q,\nshould %q", g.packet, wire, g.wire)
		}
		payload, err := Codec{}.Append(nil, g.packet)
		if err != nil || string(payload) != g.wire[4:] {
			t.Errorf("%v became %q", g.packet, payload)
		}
		want := proto.CloneOf(g.packet)
		want.Extra, want.Charge = nil, 0
		if got := decoded(t, string(payload)); !proto.Equal(got, want) {
			t.Errorf("%v came back as %v", want, got)
		}
	}
}

func tcpLength(wire string) int {
	return int(wire[0])<<24 | int(wire[1])<<16 | int(wire[2])<<8 | int(wire[3])
}

// TestAppendMany: packets of one message are frames of their own, in order.
func TestAppendMany(t *testing.T) {
	many, want := &enclavepb.Packets{}, ""
	for _, g := range goldens {
		many.Packets = append(many.Packets, g.packet)
		want += g.wire
	}
	if wire, err := (Codec{}).AppendFrames(nil, tcp.Framing{}, many); err != nil || string(wire) != want {
		t.Errorf("%q, %v", wire, err)
	}
	for _, m := range []proto.Message{&enclavepb.Result{}, &linkpb.Dropped{}} {
		if _, err := (Codec{}).AppendFrames(nil, tcp.Framing{}, m); !errors.Is(err, link.ErrNotOnWire) {
			t.Errorf("%T: %v", m, err)
		}
		if _, err := (Codec{}).Append(nil, m); !errors.Is(err, link.ErrNotOnWire) {
			t.Errorf("%T: %v", m, err)
		}
	}
	if (Codec{}).Charge(goldens[0].packet) != 0 || (Codec{}).Slot() >= 0 || (Codec{}).Protocol() != "enclave" {
		t.Error("a packet that goes out is none that came in")
	}
}

// TestTimestamp: there is always one.
func TestTimestamp(t *testing.T) {
	before := time.Now().Unix()
	b, _ := Codec{}.Append(nil, &enclavepb.Packet{})
	got := decoded(t, string(b)).GetTimestamp()
	if after := time.Now().Unix(); got < before || got > after {
		t.Errorf("%s between %d and %d", b, before, after)
	}
}

// TestAttributes: what makes no sense is left out, and nothing else with it.
func TestAttributes(t *testing.T) {
	rest := &enclavepb.Packet{Message: proto.String("m")}
	with := func(change func(p *enclavepb.Packet)) *enclavepb.Packet {
		p := proto.CloneOf(rest)
		change(p)
		return p
	}
	for _, c := range []struct {
		members string // beside a message
		want    *enclavepb.Packet
	}{
		{`"status":0`, with(func(p *enclavepb.Packet) { p.Status = proto.Uint32(0) })},
		{`"status":3`, with(func(p *enclavepb.Packet) { p.Status = proto.Uint32(3) })},
		{`"status":4`, rest},
		{`"status":-1`, rest},
		{`"status":1.0`, rest},
		{`"status":10`, rest},
		{`"status":"1"`, rest},
		{`"status":null`, rest},
		{`"status":true`, rest},
		{`"status":[1]`, rest},
		{`"alias":1`, rest},
		{`"alias":null`, rest},
		{`"alias":{"a":"b"}`, rest},
		{`"alias":""`, with(func(p *enclavepb.Packet) { p.Alias = proto.String("") })},
		{`"alias":"` + strings.Repeat("a", aliasMost) + `"`, with(func(p *enclavepb.Packet) { p.Alias = proto.String(strings.Repeat("a", aliasMost)) })},
		{`"alias":"` + strings.Repeat("a", aliasMost+1) + `"`, rest},
		{`"alias":"` + strings.Repeat(`\u0061`, aliasMost) + `"`, with(func(p *enclavepb.Packet) { p.Alias = proto.String(strings.Repeat("a", aliasMost)) })},
		{`"\u0061lias":"\ud83d\ude00"`, with(func(p *enclavepb.Packet) { p.Alias = proto.String("\U0001f600") })},
		{`"status-message":"` + strings.Repeat("s", statusMost) + `"`, with(func(p *enclavepb.Packet) { p.StatusMessage = proto.String(strings.Repeat("s", statusMost)) })},
		{`"status-message":"` + strings.Repeat("s", statusMost+1) + `"`, rest},
		{`"statusmsg":"n","status-message":"o"`, with(func(p *enclavepb.Packet) { p.StatusMessage = proto.String("o") })},
		{`"status-message":"o","statusmsg":"n"`, with(func(p *enclavepb.Packet) { p.StatusMessage = proto.String("o") })},
		{`"status-message":1,"statusmsg":"n"`, with(func(p *enclavepb.Packet) { p.StatusMessage = proto.String("n") })},
		{`"statusmsg":[],"status-message":"o"`, with(func(p *enclavepb.Packet) { p.StatusMessage = proto.String("o") })},
		{`"timestamp":253402300799`, with(func(p *enclavepb.Packet) { p.Timestamp = proto.Int64(lastTime) })},
		{`"timestamp":253402300800`, rest},
		{`"timestamp":-1`, rest},
		{`"timestamp":1795219316.5`, rest},
		{`"timestamp":1e9`, rest},
		{`"timestamp":99999999999999999999999999`, rest},
		{`"timestamp":"1"`, rest},
		{`"id":"` + strings.Repeat("i", idMost) + `"`, with(func(p *enclavepb.Packet) { p.Id = strings.Repeat("i", idMost) })},
		{`"id":"` + strings.Repeat("i", idMost+1) + `"`, rest},
		{`"id":7,"ack":{}`, rest},
		{`"ack":"a"`, with(func(p *enclavepb.Packet) { p.Ack = "a" })},
		{` "x" : [ 1 , { "y" : "a b" } ] , "z":null,"\n":1.50`, with(func(p *enclavepb.Packet) { p.Extra = []byte(`{"x":[1,{"y":"a b"}],"z":null,"\n":1.50}`) })},
		{`"Alias":"x"`, with(func(p *enclavepb.Packet) { p.Extra = []byte(`{"Alias":"x"}`) })},
		{`"":""`, with(func(p *enclavepb.Packet) { p.Extra = []byte(`{"":""}`) })},
	} {
		for _, text := range []string{`{"message":"m",` + c.members + `}`, " \r\n\t{" + c.members + ` , "message" : "m" } `} {
			if got := decoded(t, text); !proto.Equal(got, c.want) {
				t.Errorf("%.200s\nbecame %.200v,\nshould %.200v", text, got, c.want)
			}
		}
	}
	if got := decoded(t, `{"message":1}`); got.Message != nil {
		t.Errorf("%v", got)
	}
}

// TestMalformed: what is no object, too.
func TestMalformed(t *testing.T) {
	nested := func(n int) string {
		return `{"x":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + "}"
	}
	for text, reason := range map[string]string{
		"": reasonJSON, " ": reasonJSON, "null": reasonJSON, `"{}"`: reasonJSON, "[]": reasonJSON, `[{}]`: reasonJSON, "{": reasonJSON, "}": reasonJSON,
		"{}{}": reasonJSON, "{},": reasonJSON, `{"a"}`: reasonJSON, `{"a":1,}`: reasonJSON, `{a:1}`: reasonJSON, `{'a':1}`: reasonJSON, `{"a":01}`: reasonJSON,
		`{"a":1,"a":1}`: reasonJSON, `{"alias":"x","\u0061lias":"y"}`: reasonJSON, "{\"a\":\"\xff\"}": reasonJSON, `{"a":"\ud800"}`: reasonJSON,
		"{\"a\":\"\n\"}": reasonJSON, `{"a":"`: reasonJSON, `{"a":"\`: reasonJSON, `{"a":NaN}`: reasonJSON, "\ufeff{}": reasonJSON, "{}\x00": reasonJSON,
		"GET / HTTP/1.1": reasonJSON, nested(depthMost + 1): reasonDepth, strings.Repeat("[", 60000): reasonJSON,
		`{"a":` + strings.Repeat("[", 60000): reasonDepth, `{"a":` + strings.Repeat("{", depthMost+1): reasonDepth,
	} {
		m, charge := Codec{}.Decode([]byte(text), false)
		if bad, ok := m.(*linkpb.Malformed); !ok || bad.GetReason() != reason || bad.GetCharge() != charge || charge != messages.Charge(len(text)) {
			t.Errorf("%.100q became %v", text, m)
		}
	}
	decoded(t, nested(depthMost))
	decoded(t, `{"a":"`+strings.Repeat("[", 100)+`"}`)
}
