package mesh

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"parley/gateways/link"
	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/meshpb"
	"parley/messages/relaypb"
)

var vectors = slices.Concat(seedVectors, ownVectors)

// one is the packet of a frame.
func one(t *testing.T, frame []byte, binary bool) *meshpb.Packet {
	t.Helper()
	m, charge := Codec{}.Decode(frame, binary)
	f, ok := m.(*meshpb.Frame)
	if !ok || len(f.GetPackets()) != 1 || f.GetCharge() != charge || charge != messages.Charge(len(frame)) {
		t.Fatalf("%.300q became %v, charge %d", frame, m, charge)
	}
	return f.GetPackets()[0]
}

// written is what a message looks like on the wire.
func written(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := Codec{}.Append([]byte("before"), m)
	if err != nil || string(b[:6]) != "before" {
		t.Fatalf("%v: %q, %v", m, b, err)
	}
	return b[6:]
}

func frameOf(p ...*meshpb.Packet) *meshpb.Frame { return &meshpb.Frame{Packets: p} }

func without(p *meshpb.Packet) *meshpb.Packet {
	p = proto.CloneOf(p)
	p.Json = nil
	return p
}

// TestVectors: frames are read, and written again from nothing but what they
// mean; as protobuf they mean the same.
func TestVectors(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			p := one(t, []byte(v.frame), false)
			if d := cmp.Diff(v.want, without(p), protocmp.Transform()); d != "" {
				t.Errorf("read, want -, got +:\n%s", d)
			}
			for _, way := range []*meshpb.Packet{p, v.want} {
				if got := string(written(t, way)); got != v.frame {
					t.Errorf("written as\n%s, want\n%s", got, v.frame)
				}
				if got := one(t, written(t, frameOf(way)), true); !proto.Equal(got, way) {
					t.Errorf("protobuf makes it %v", got)
				}
			}
		})
	}
}

// TestVariants: what others may write differently.
func TestVariants(t *testing.T) {
	for _, v := range []struct {
		frame string
		want  *meshpb.Packet
	}{
		{ // as the notes print it, keys in any order, unknown ones among them
			"{\n  \"data\": {\"x\": [], \"\\u0063ommand\": \"list-nodes\"},\n \"nonce\": \"abc123\", \"type\": \"command\", \"y\": {\"z\": null},\n  \"destination\": \"node-2\", \"source\": \"node-1\"\n}\n",
			command(&meshpb.Command{Name: "list-nodes"}),
		},
		{asked(`{"command":"reserve-channel","channel":"c"}`), command(&meshpb.Command{Name: "reserve-channel", Channel: "c"})},
		{asked(`{"command":"reserve-channel","channel":"c","password":null}`), command(&meshpb.Command{Name: "reserve-channel", Channel: "c"})},
		{asked(`{"command":"list-nodes","node":7,"channel":{},"ts":"x"}`), command(&meshpb.Command{Name: "list-nodes"})}, // not for this command
		{asked(`{"command":"dance","channel":7}`), command(&meshpb.Command{Name: "dance"})},
		{answered(`7`), response(&meshpb.Response{})},
		{answered(`null`), response(&meshpb.Response{})},
		{answered(`{"ok":1,"reason":[],"nodes":["a b"]}`), response(&meshpb.Response{})},
		{answered(`{"channels":[{"name":"b","password":""},{"name":"a","password":null}]}`), response(&meshpb.Response{Listing: &meshpb.Listing{Entries: []*meshpb.Entry{{Name: "a"}, {Name: "b"}}}})},
		{answered(`{"channels":[{"name":"a","password":""},{"name":"a","password":""}]}`), response(&meshpb.Response{})},
		{answered(`{"channels":[{"name":"a","password":"sha256hash"}]}`), response(&meshpb.Response{})},
		{answered(`{"ok":true,"latency":-1}`), response(&meshpb.Response{Ok: ptr(true)})},
		{answered(`{"token":""}`), response(&meshpb.Response{})},
		{answered(`{"ts":1,"owner":"a b"}`), response(&meshpb.Response{})},
		{answered(`{"relay":{},"network":7}`), response(&meshpb.Response{})},
		{answered(`{"cpu":{},"mem":[]}`), response(&meshpb.Response{})},
		{answered(`{"relay":{"channels":["a"],"clients":1},"network":{}}`), response(&meshpb.Response{NodeStats: &relaypb.NodeStats{
			Clients: 1, Total: none(), Channels: []*relaypb.ChannelStats{{Name: "a", Traffic: &relaypb.Traffic{}}},
		}})},
		{ // PHP writes slashes like this
			`{"source":"n","destination":"*","type":"message","nonce":"x","data":{"message":"Pz8\/","channel":"c"}}`,
			&meshpb.Packet{Source: "n", Destination: "*", Nonce: "x", Message: &meshpb.Message{Channel: "c", Payload: []byte(`"???"`)}},
		},
		{ // not for commands
			`{"source":"n","destination":"*","type":"command","nonce":"x","via":7,"tree":[],"command":"dance","data":{"command":"list-nodes"}}`,
			&meshpb.Packet{Source: "n", Destination: "*", Nonce: "x", Command: &meshpb.Command{Name: "list-nodes"}},
		},
	} {
		p := one(t, []byte(v.frame), false)
		if d := cmp.Diff(v.want, without(p), protocmp.Transform()); d != "" {
			t.Errorf("%s: want -, got +:\n%s", v.frame, d)
		}
		if got := one(t, written(t, frameOf(p)), true); !proto.Equal(got, p) {
			t.Errorf("%s: protobuf makes it %v", v.frame, got)
		}
	}
}

func none() *relaypb.Traffic {
	return traffic([]uint64{0, 0, 0}, []float64{0, 0, 0}, []uint64{0, 0, 0})
}

// TestDataStays: what is passed on is what came, to the byte.
func TestDataStays(t *testing.T) {
	data := `{ "command" :"list-nodes", "note":"\u0041\/", "n": 1.0e0 }`
	p := one(t, []byte(asked(data)), false)
	if got := string(written(t, p)); got != asked(data) {
		t.Errorf("%s", got)
	}
	over := one(t, written(t, frameOf(p)), true)
	if got := string(written(t, over)); got != asked(data) {
		t.Errorf("by way of protobuf: %s", got)
	}
}

// notOnTheWire are fields that JSON has no key for.
var notOnTheWire = []string{"mesh.Packet.json"}

// TestVectorsSayAll: a field that the schema has, and no vector, could be one that
// JSON forgets. Whoever adds one adds it here, too.
func TestVectorsSayAll(t *testing.T) {
	seen := map[protoreflect.FullName]bool{}
	var note func(m protoreflect.Message)
	note = func(m protoreflect.Message) {
		m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			seen[f.FullName()] = true
			switch {
			case f.Message() == nil:
			case f.IsList():
				for i := range v.List().Len() {
					note(v.List().Get(i).Message())
				}
			default:
				note(v.Message())
			}
			return true
		})
	}
	for _, v := range vectors {
		note(v.want.ProtoReflect())
	}
	for _, h := range handshakes {
		note(h.ProtoReflect())
	}
	asked := map[protoreflect.FullName]bool{}
	var ask func(m protoreflect.MessageDescriptor)
	ask = func(m protoreflect.MessageDescriptor) {
		if asked[m.FullName()] {
			return
		}
		asked[m.FullName()] = true
		for i := range m.Fields().Len() {
			f := m.Fields().Get(i)
			if !seen[f.FullName()] && !slices.Contains(notOnTheWire, string(f.FullName())) {
				t.Errorf("no vector has %s", f.FullName())
			}
			if f.Message() != nil {
				ask(f.Message())
			}
		}
	}
	ask((&meshpb.Packet{}).ProtoReflect().Descriptor())
	ask((&meshpb.Handshake{}).ProtoReflect().Descriptor())
}

func message(data string) string {
	return `{"source":"n","destination":"*","type":"message","nonce":"x","data":` + data + `}`
}

func list(n int, element string) string {
	return "[" + strings.TrimSuffix(strings.Repeat(element+",", n), ",") + "]"
}

// malformed are frames that nobody may see, by reason.
var malformed = map[string][]string{
	reasonJSON: {
		``, `[]`, `7`, `{`, `{"source":"a","source":"b"}`, `{"a":1}{"b":2}`, "{\"a\":\"\xff\"}", `{"a":"\ud800"}`,
		asked(`{"command":"x","command":"y"}`), asked(strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth)),
	},
	reasonType: {
		`{}`, `{"type":7,"command":"handshake"}`, `{"source":"a","destination":"b","nonce":"c","type":"letter","data":{}}`,
	},
	reasonSource: {
		`{"type":"command"}`, `{"type":"command","source":"","destination":"*","nonce":"x","data":{"command":"list-nodes"}}`,
		`{"type":"command","source":"a b","destination":"*","nonce":"x","data":{"command":"list-nodes"}}`,
		`{"type":"command","source":"` + strings.Repeat("a", 65) + `","destination":"*","nonce":"x","data":{"command":"list-nodes"}}`,
	},
	reasonDestination: {
		`{"type":"command","source":"a","nonce":"x"}`, `{"type":"command","source":"a","destination":"**","nonce":"x","data":{"command":"list-nodes"}}`,
	},
	reasonNonce: {
		`{"type":"command","source":"a","destination":"b"}`, `{"type":"command","source":"a","destination":"b","nonce":7}`,
		`{"type":"command","source":"a","destination":"b","nonce":""}`,
		`{"type":"command","source":"a","destination":"b","nonce":"` + strings.Repeat("x", 257) + `","data":{"command":"list-nodes"}}`,
		message(`{"message":"","channel":"c","nonce":"` + strings.Repeat("x", maxClientNonce) + `"}`),
		message(`{"message":"","channel":"c","nonce":` + strings.Repeat("[", 33) + strings.Repeat("]", 33) + `}`),
	},
	reasonHops: {
		`{"type":"command","source":"a","destination":"b","nonce":"x","hops":-1}`, `{"type":"command","source":"a","destination":"b","nonce":"x","hops":1.5}`,
		`{"type":"command","source":"a","destination":"b","nonce":"x","hops":4294967296}`,
	},
	reasonVia: {
		`{"source":"n","destination":"*","type":"message","nonce":"x","via":"a","data":{"message":"","channel":"c"}}`,
		`{"source":"n","destination":"*","type":"message","nonce":"x","via":["a b"],"data":{"message":"","channel":"c"}}`,
		`{"source":"n","destination":"*","type":"message","nonce":"x","via":` + list(maxVia+1, `"a"`) + `,"data":{"message":"","channel":"c"}}`,
	},
	reasonTree: {
		`{"source":"n","destination":"*","type":"message","nonce":"x","tree":1,"data":{"message":"","channel":"c"}}`,
		`{"source":"n","destination":"*","type":"message","nonce":"x","tree":"0000000000000000","data":{"message":"","channel":"c"}}`,
		`{"source":"n","destination":"*","type":"message","nonce":"x","tree":"00000000000000AB","data":{"message":"","channel":"c"}}`,
		`{"source":"n","destination":"*","type":"message","nonce":"x","tree":"ab","data":{"message":"","channel":"c"}}`,
	},
	reasonData: {message(`7`), asked(`"list-nodes"`), `{"source":"a","destination":"b","type":"response","nonce":"x"}`},
	reasonMessage: {
		message(`{"channel":"c"}`), message(`{"channel":"c","message":7}`), message(`{"channel":"c","message":"Hello"}`), message(`{"channel":"c","message":"SGVsbG8"}`),
		message(`{"channel":"c","message":"/w=="}`), message(`{"channel":"c","message":"SGVsbG8=","enc":"json"}`), message(`{"channel":"c","message":"SGVsbG8=","enc":"gzip"}`),
	},
	reasonChannel: {
		message(`{"message":""}`), message(`{"message":"","channel":""}`), message(`{"message":"","channel":"a\nb"}`),
		message(`{"message":"","channel":"` + strings.Repeat("a", 257) + `"}`), asked(`{"command":"reserve-channel"}`), asked(`{"command":"unreserve-channel","channel":7}`),
	},
	reasonKey:     {message(`{"message":"","channel":"c","key":7}`), message(`{"message":"","channel":"c","key":"abc"}`), message(`{"message":"","channel":"c","key":"5E8E1C3F3D66A724"}`)},
	reasonCommand: {asked(`{}`), asked(`{"command":""}`), asked(`{"command":"` + strings.Repeat("x", 65) + `"}`), asked(`{"command":"a\u001b[2J"}`)},
	reasonNode:    {asked(`{"command":"get-latency"}`), asked(`{"command":"get-node-connection","node":"a/b"}`), asked(`{"command":"reserve-channel","channel":"c","node":7}`)},
	reasonPassword: {
		asked(`{"command":"reserve-channel","channel":"c","password":"sha256hash"}`), asked(`{"command":"reserve-channel","channel":"c","password":7}`),
		asked(`{"command":"reserve-channel","channel":"c","password":"` + strings.ToUpper(hash) + `"}`),
	},
	reasonClaim: {
		asked(`{"command":"reserve-channel","channel":"c","ts":1}`), asked(`{"command":"reserve-channel","channel":"c","owner":"a"}`),
		asked(`{"command":"reserve-channel","channel":"c","ts":9007199254740992,"owner":"a"}`), asked(`{"command":"reserve-channel","channel":"c","ts":1,"owner":"a b"}`),
	},
	reasonVersion: {asked(`{"command":"reserve-channel","channel":"c","boot":"7"}`), asked(`{"command":"unreserve-channel","channel":"c","ver":-1}`)},
	reasonOpen:    {asked(`{"command":"reserve-channel","channel":"c","open":0}`)},
	reasonHolders: {asked(`{"command":"reserve-channel","channel":"c","holders":"a"}`), asked(`{"command":"reserve-channel","channel":"c","holders":["a b"]}`)},
	reasonHello: {
		asked(`{"command":"hello","links":[]}`), asked(`{"command":"hello","links":{"a":"1"}}`), asked(`{"command":"hello","links":{"a":-1}}`),
		asked(`{"command":"hello","links":{"a b":1}}`), asked(`{"command":"hello","links":{"a":1e10}}`), asked(`{"command":"hello","boot":-1}`), asked(`{"command":"hello","master":1}`),
	},
	reasonRecords: {
		asked(`{"command":"sync"}`), asked(`{"command":"sync","records":{}}`), asked(`{"command":"sync","records":[7]}`), asked(`{"command":"sync","records":[{}]}`),
		asked(`{"command":"sync","records":[{"node":"a","channels":[{}]}]}`), asked(`{"command":"sync","records":[{"node":"a","channels":[{"name":"c","password":"","ts":1}]}]}`),
		asked(`{"command":"sync","records":` + list(maxEntries+1, `{"node":"a"}`) + `}`),
	},
	reasonTooMany: {answered(`{"channels":` + list(maxEntries+1, `{"name":"a"}`) + `}`)},
	reasonHandshake: {
		`{"command":"subscribe","data":{"name":"a"}}`, `{"command":7,"data":{"name":"a"}}`, `{"command":"handshake"}`, `{"command":"handshake","data":{}}`,
		`{"command":"handshake","data":{"name":"a b"}}`, `{"command":"handshake","data":{"name":"a","boot":"7"}}`, `{"command":"handshake","data":{"name":"a","links":["*"]}}`,
		`{"command":"handshake","data":{"name":"a","chain":"a\u0007"}}`, `{"command":"handshake","data":{"name":"a","host":"` + strings.Repeat("x", maxText+1) + `"}}`,
		`{"command":"handshake","data":{"name":"a","encodings":` + list(maxEncodings+1, `"x"`) + `}}`,
	},
}

// TestLongHellos: nodes keep what hellos come as, so they must not be long.
func TestLongHellos(t *testing.T) {
	hello := func(links, more int) (text string, m *meshpb.Packet) {
		h := &meshpb.Hello{Boot: 1}
		for i := range links {
			h.Links = append(h.Links, &meshpb.LinkCost{Peer: fmt.Sprintf("a%063d", i), Ms: 0.123456789})
			text += fmt.Sprintf(`,"a%063d":0.123456789`, i)
		}
		m = &meshpb.Packet{Source: "a", Destination: "*", Nonce: "x", Command: &meshpb.Command{Name: "hello", Hello: h}}
		data := `{"command":"hello","boot":1,"more":"` + strings.Repeat("x", more) + `","links":{` + strings.TrimPrefix(text, ",") + `}}`
		return `{"source":"a","destination":"*","type":"command","nonce":"x","data":` + data + `}`, m
	}
	for _, c := range []struct {
		links, more int
		good        bool
	}{{maxLinks, 0, true}, {maxLinks + 1, 0, false}, {1, maxHello / 2, true}, {1, maxHello, false}} {
		text, p := hello(c.links, c.more)
		frames := map[bool][]byte{false: []byte(text)}
		if c.more > 0 {
			p.Json = []byte(text[strings.Index(text, `"data":`)+len(`"data":`) : len(text)-1])
		}
		frames[true], _ = proto.Marshal(&meshpb.Frame{Packets: []*meshpb.Packet{p}})
		for binary, frame := range frames {
			_, reason := decode(frame, binary)
			if c.good != (reason == "") || !c.good && reason != reasonHello {
				t.Errorf("%d links and %d bytes more, binary %t: %q", c.links, c.more, binary, reason)
			}
		}
	}
}

func TestMalformed(t *testing.T) {
	for reason, frames := range malformed {
		for _, frame := range frames {
			m, charge := Codec{}.Decode([]byte(frame), false)
			if want := (&linkpb.Malformed{Reason: reason, Charge: 1}); !proto.Equal(m, want) || charge != 1 {
				t.Errorf("%.200s became %v, want %v", frame, m, want)
			}
		}
	}
}

// TestMalformedProtobuf: what JSON could not say is not taken.
func TestMalformedProtobuf(t *testing.T) {
	good := func(change func(p *meshpb.Packet)) []byte {
		p := proto.CloneOf(ownVectors[0].want)
		change(p)
		b, err := proto.Marshal(frameOf(p))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	swap := func(c *meshpb.Command) func(p *meshpb.Packet) {
		return func(p *meshpb.Packet) { p.Message, p.Command = nil, c }
	}
	reply := func(r *meshpb.Response) func(p *meshpb.Packet) {
		return func(p *meshpb.Packet) { p.Message, p.Response = nil, r }
	}
	for i, v := range []struct {
		reason string
		frame  []byte
	}{
		{reasonType, nil},
		{reasonProtobuf, []byte("hello")},
		{reasonProtobuf, []byte{0x0a, 0x05, 0x00}},
		{reasonType, good(func(p *meshpb.Packet) { p.Message = nil })},
		{reasonType, good(func(p *meshpb.Packet) { p.Command = &meshpb.Command{Name: "list-nodes"} })},
		{reasonNonce, good(func(p *meshpb.Packet) { p.Nonce = "x" })},
		{reasonNonce, good(func(p *meshpb.Packet) { p.Boot = 0 })},
		{reasonNonce, good(func(p *meshpb.Packet) { p.Message.Nonce = []byte(`x`) })},
		{reasonMessage, good(func(p *meshpb.Packet) { p.Message.Payload = nil })},
		{reasonMessage, good(func(p *meshpb.Packet) { p.Message.Payload = []byte(`"a"b"`) })},
		{reasonMessage, good(func(p *meshpb.Packet) { p.Message.Payload = []byte("\"\xff\"") })},
		{reasonMessage, good(func(p *meshpb.Packet) { p.Message.Payload = []byte(`{"a":1,"a":2}`) })},
		{reasonMessage, good(func(p *meshpb.Packet) {
			p.Message.Payload = []byte(strings.Repeat("[", 33) + strings.Repeat("]", 33))
		})},
		{reasonVia, good(func(p *meshpb.Packet) { p.Via = []string{"a b"} })},
		{reasonJSON, good(func(p *meshpb.Packet) { p.Message, p.Command, p.Json = nil, &meshpb.Command{}, []byte(`{`) })},
		{reasonCommand, good(func(p *meshpb.Packet) {
			p.Message, p.Command, p.Json = nil, &meshpb.Command{Name: "list-nodes"}, []byte(`{"command":7}`)
		})},
		{reasonHello, good(swap(&meshpb.Command{Name: "hello"}))},
		{reasonHello, good(swap(&meshpb.Command{Name: "hello", Hello: &meshpb.Hello{Links: []*meshpb.LinkCost{{Peer: "b"}, {Peer: "a"}}}}))},
		{reasonVersion, good(swap(&meshpb.Command{Name: "unreserve-channel", Channel: "c", Ver: 1 << 53}))},
		{reasonResponse, good(reply(&meshpb.Response{Reason: "a\nb"}))},
		{reasonResponse, good(reply(&meshpb.Response{Nodes: &meshpb.Nodes{Names: []string{""}}}))},
		{reasonResponse, good(reply(&meshpb.Response{Connection: &meshpb.Connection{}}))},
		{reasonResponse, good(reply(&meshpb.Response{NodeStats: &relaypb.NodeStats{Total: traffic(make([]uint64, 4), nil, nil)}}))},
		{reasonResponse, good(reply(&meshpb.Response{HostStats: &relaypb.HostStats{Load: make([]float64, 4)}}))},
		{reasonResponse, good(reply(&meshpb.Response{Listing: &meshpb.Listing{Entries: []*meshpb.Entry{{Name: "a"}, {Name: "a"}}}}))},
		{reasonTooMany, good(reply(&meshpb.Response{Listing: &meshpb.Listing{Entries: make([]*meshpb.Entry, maxEntries)}}))},
	} {
		m, _ := Codec{}.Decode(v.frame, true)
		if got, ok := m.(*linkpb.Malformed); !ok || got.GetReason() != v.reason {
			t.Errorf("%d: became %.300v, want %s", i, m, v.reason)
		}
	}
}

// TestProtobufIsMadeSound: what is harmless is put right.
func TestProtobufIsMadeSound(t *testing.T) {
	in := []*meshpb.Packet{
		{Source: "a", Destination: "b", Nonce: "1f-0", Via: []string{"x"}, Tree: 7, Command: &meshpb.Command{Name: "list-nodes"}},
		{Source: "a", Destination: "*", Nonce: "x", Json: []byte(`{}`), Message: &meshpb.Message{Channel: "c", Payload: []byte(" [1] "), Nonce: []byte("\t7")}},
		{Source: "a", Destination: "b", Nonce: "x", Command: &meshpb.Command{Name: "hello", Channel: "c"}, Json: []byte(` {"command":"list-nodes"} `)},
	}
	want := []*meshpb.Packet{
		{Source: "a", Destination: "b", Boot: 31, Command: &meshpb.Command{Name: "list-nodes"}},
		{Source: "a", Destination: "*", Nonce: "x", Message: &meshpb.Message{Channel: "c", Payload: []byte("[1]"), Nonce: []byte("7")}},
		{Source: "a", Destination: "b", Nonce: "x", Command: &meshpb.Command{Name: "list-nodes"}, Json: []byte(`{"command":"list-nodes"}`)},
	}
	b, err := proto.Marshal(&meshpb.Frame{Packets: in, Charge: 77})
	if err != nil {
		t.Fatal(err)
	}
	m, _ := Codec{}.Decode(b, true)
	if d := cmp.Diff(&meshpb.Frame{Packets: want, Charge: 1}, m, protocmp.Transform()); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
}

func TestNonces(t *testing.T) {
	for nonce, want := range map[string]string{
		"1-0": "1 0", "1-1": "1 1", "ff-10": "255 16", "ffffffffffffffff-ffffffffffffffff": fmt.Sprint(uint64(1<<64-1), " ", uint64(1<<64-1)),
		"0-1": "", "01-1": "", "1-01": "", "F-1": "", "1": "", "-": "", "1-": "", "-1": "", "1-1-1": "", "1ffffffffffffffff-1": "", "+1-1": "", "1_0-1": "",
	} {
		got := ""
		if boot, seq, ok := ownNonce(nonce); ok {
			got = fmt.Sprint(boot, " ", seq)
		}
		if got != want {
			t.Errorf("%q is %q, want %q", nonce, got, want)
		}
	}
}

// handshakes are that of the notes, and one with all there is.
var handshakes = map[string]*meshpb.Handshake{
	`{"command":"handshake","data":{"name":"node3"}}`: {Name: "node3"},
	`{"command":"handshake","data":{"name":"node3","boot":7,"time":1763000000000,"host":"wss://node3.example.com/",` +
		`"links":["node1","node2"],"chain":"dev","version":"1.0.0","encodings":["json","pb"]}}`: {
		Name: "node3", Boot: 7, Time: 1763000000000, Host: "wss://node3.example.com/", Links: []string{"node1", "node2"},
		Chain: "dev", Version: "1.0.0", Encodings: []string{"json", "pb"},
	},
}

func TestHandshakes(t *testing.T) {
	for frame, want := range handshakes {
		m, charge := Codec{}.Decode([]byte(frame), false)
		if !proto.Equal(m, want) || charge != 1 {
			t.Errorf("%s became %v, charge %d", frame, m, charge)
		}
		if got := string(written(t, want)); got != frame {
			t.Errorf("written as %s, want %s", got, frame)
		}
	}
}

func TestCodec(t *testing.T) {
	accepted, dialled := Codec{}, Codec{Dialled: true}
	if accepted.Slot() != messages.SlotMesh || dialled.Slot() != messages.SlotMeshDialled || accepted.Protocol() != "mesh" {
		t.Error("slots or name")
	}
	if !accepted.Binary(&meshpb.Frame{}) || accepted.Binary(&meshpb.Packet{}) || accepted.Charge(&meshpb.Packet{}) != 0 {
		t.Error("binary or charge")
	}
	if _, err := accepted.Append(nil, wrapperspb.String("")); !errors.Is(err, link.ErrNotOnWire) {
		t.Errorf("got %v", err)
	}
	var _ link.Binary = accepted
}

// TestChargeIsNotSent: it is between a link and who reads from it.
func TestChargeIsNotSent(t *testing.T) {
	p := ownVectors[0].want
	with, without := written(t, &meshpb.Frame{Packets: []*meshpb.Packet{p}, Charge: 9}), written(t, frameOf(p))
	if string(with) != string(without) {
		t.Errorf("%x, want %x", with, without)
	}
}
