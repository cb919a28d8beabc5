package relay

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"parley/gateways/link"
	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/relaypb"
	"parley/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// nest is n values within each other.
func nest(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

// bad is what a frame with a fault becomes; nonce "" stands for none.
func bad(reason, nonce string) proto.Message {
	m := &linkpb.Malformed{Reason: reason, Charge: 1}
	if nonce != "" {
		m.Nonce = []byte(nonce)
	}
	return m
}

func subscribe(channel, nonce string) *relaypb.Subscribe {
	m := &relaypb.Subscribe{Channel: channel}
	if nonce != "" {
		m.Nonce = []byte(nonce)
	}
	return m
}

func send(channel, message, nonce string) *relaypb.Send {
	m := &relaypb.Send{Channel: channel, Charge: 1}
	if message != "" {
		m.Message = []byte(message)
	}
	if nonce != "" {
		m.Nonce = []byte(nonce)
	}
	return m
}

func with[M any](m *M, change func(*M)) *M {
	change(m)
	return m
}

// vectors are frames and what they mean.
var vectors = []struct {
	name  string
	frame string
	want  proto.Message
}{
	// Subscribe, in all its spellings.
	{"subscribe", `{"command":"subscribe","data":{"topic":"c1"},"nonce":"n"}`, subscribe("c1", `"n"`)},
	{"channel for topic", `{"command":"subscribe","data":{"channel":"c1"}}`, subscribe("c1", "")},
	{"both, equal", `{"command":"subscribe","data":{"channel":"c1","topic":"c1"}}`, subscribe("c1", "")},
	{"both, equal but for escapes", `{"command":"subscribe","data":{"channel":"\u00631","topic":"c1"}}`, subscribe("c1", "")},
	{"both, different", `{"command":"subscribe","data":{"channel":"c1","topic":"c2"},"nonce":1}`, bad("invalid channel", "1")},
	{"both, one no string", `{"command":"subscribe","data":{"channel":null,"topic":"c2"}}`, bad("invalid channel", "")},
	{"both, the other no string", `{"command":"subscribe","data":{"channel":"c2","topic":7}}`, bad("invalid channel", "")},
	{"a password", `{"command":"subscribe","data":{"topic":"c1","password":"pä\u0073\"s"}}`, with(subscribe("c1", ""), func(m *relaypb.Subscribe) { m.Password, m.HasPassword = `päs"s`, true })},
	{"an empty password", `{"command":"subscribe","data":{"topic":"c1","password":""}}`, with(subscribe("c1", ""), func(m *relaypb.Subscribe) { m.HasPassword = true })},
	{"a null password is none", `{"command":"subscribe","data":{"topic":"c1","password":null}}`, subscribe("c1", "")},
	{"a number for a password", `{"command":"subscribe","data":{"topic":"c1","password":1},"nonce":"x"}`, bad("invalid password type", `"x"`)},
	{"false for a password", `{"command":"subscribe","data":{"topic":"c1","password":false}}`, bad("invalid password type", "")},
	{"a list for a password", `{"command":"subscribe","data":{"topic":"c1","password":["x"]}}`, bad("invalid password type", "")},
	{"the longest password", `{"command":"subscribe","data":{"topic":"c1","password":"` + strings.Repeat("p", 4096) + `"}}`, with(subscribe("c1", ""), func(m *relaypb.Subscribe) { m.Password, m.HasPassword = strings.Repeat("p", 4096), true })},
	{"a longer password", `{"command":"subscribe","data":{"topic":"c1","password":"` + strings.Repeat("p", 4097) + `"}}`, bad("invalid password type", "")},
	{"drop oldest", `{"command":"subscribe","data":{"topic":"c1","drop":"oldest"}}`, with(subscribe("c1", ""), func(m *relaypb.Subscribe) { m.Lossy = true })},
	{"drop newest", `{"command":"subscribe","data":{"topic":"c1","drop":"newest"}}`, bad("invalid drop", "")},
	{"drop null", `{"command":"subscribe","data":{"topic":"c1","drop":null}}`, bad("invalid drop", "")},
	{"no channel", `{"command":"subscribe","data":{},"nonce":"x"}`, bad("no channel provided", `"x"`)},
	{"no channel but a password", `{"command":"subscribe","data":{"password":"x"}}`, bad("no channel provided", "")},
	{"unknown keys", `{"command":"subscribe","more":[{}],"data":{"topic":"c1","less":{"topic":"c2"}},"nonce":1}`, subscribe("c1", "1")},
	{"any order", `{"nonce":1,"data":{"topic":"c1"},"command":"subscribe"}`, subscribe("c1", "1")},

	// The other commands.
	{"unsubscribe", `{"command":"unsubscribe","data":{"topic":"c1"},"nonce":"n"}`, &relaypb.Unsubscribe{Channel: "c1", Nonce: []byte(`"n"`)}},
	{"unsubscribe by channel", `{"command":"unsubscribe","data":{"channel":"c1"}}`, &relaypb.Unsubscribe{Channel: "c1"}},
	{"unsubscribe, both different", `{"command":"unsubscribe","data":{"channel":"c1","topic":"c"}}`, bad("invalid channel", "")},
	{"unsubscribe does not look at passwords", `{"command":"unsubscribe","data":{"channel":"c1","password":5,"drop":5}}`, &relaypb.Unsubscribe{Channel: "c1"}},
	{"unsubscribe from nothing", `{"command":"unsubscribe","data":{}}`, bad("no channel provided", "")},
	{"list", `{"command":"list","nonce":"n"}`, &relaypb.List{Nonce: []byte(`"n"`)}},
	{"list with data", `{"command":"list","data":{}}`, &relaypb.List{}},
	{"list with any data", `{"command":"list","data":[1,2]}`, &relaypb.List{}},
	{"send", `{"command":"send","data":{"message":"Hello","channel":"c1"},"nonce":"abc"}`, send("c1", `"Hello"`, `"abc"`)},
	{"send, silent", `{"command":"send","data":{"message":"Hello","channel":"c1","ack":false}}`, with(send("c1", `"Hello"`, ""), func(m *relaypb.Send) { m.Silent = true })},
	{"send, not silent", `{"command":"send","data":{"message":"Hello","channel":"c1","ack":true}}`, send("c1", `"Hello"`, "")},
	{"send, ack null", `{"command":"send","data":{"message":"Hello","channel":"c1","ack":null}}`, bad("invalid ack", "")},
	{"send, ack a string", `{"command":"send","data":{"message":"Hello","channel":"c1","ack":"false"},"nonce":2}`, bad("invalid ack", "2")},
	{"send without a message", `{"command":"send","data":{"channel":"c1"}}`, send("c1", "", "")},
	{"send without a channel", `{"command":"send","data":{"message":1}}`, send("", "1", "")},
	{"send does not know topic", `{"command":"send","data":{"message":1,"topic":"c1"}}`, send("", "1", "")},
	{"send nothing", `{"command":"send","data":{}}`, send("", "", "")},
	{"send to a number", `{"command":"send","data":{"message":1,"channel":1}}`, bad("invalid channel", "")},
	{"send to an empty name", `{"command":"send","data":{"message":1,"channel":""}}`, bad("invalid channel", "")},

	// A message may be any value, and keeps its bytes.
	{"null", `{"command":"send","data":{"message":null,"channel":"c"}}`, send("c", "null", "")},
	{"a number", `{"command":"send","data":{"message":-1.50e+007,"channel":"c"}}`, send("c", "-1.50e+007", "")},
	{"a huge number", `{"command":"send","data":{"message":123456789012345678901234567890,"channel":"c"}}`, send("c", "123456789012345678901234567890", "")},
	{"an object", `{"command":"send","data":{"message":{ "b" : 1 , "a":[ ] },"channel":"c"}}`, send("c", `{ "b" : 1 , "a":[ ] }`, "")},
	{"escapes", `{"command":"send","data":{"message":"\u00e9\/é\n😀\ud83d\ude00","channel":"c"}}`, send("c", `"\u00e9\/é\n😀\ud83d\ude00"`, "")},
	{"the deepest", `{"command":"send","data":{"message":` + nest(30) + `,"channel":"c"}}`, send("c", nest(30), "")},
	{"deeper", `{"command":"send","data":{"message":` + nest(31) + `,"channel":"c"}}`, bad("invalid json", "")},
	{"brackets in strings are no depth", `{"command":"send","data":{"message":"` + strings.Repeat(`[{\"`, 50) + `","channel":"c"}}`, send("c", `"`+strings.Repeat(`[{\"`, 50)+`"`, "")},
	{"an escaped end of a string", `{"command":"send","data":{"message":"\\","channel":"c"},"nonce":"\\\""}`, send("c", `"\\"`, `"\\\""`)},

	// Nonces keep their type and bytes.
	{"nonce 0", `{"command":"list","nonce":0}`, &relaypb.List{Nonce: []byte("0")}},
	{"nonce 1.0", `{"command":"list","nonce":1.0}`, &relaypb.List{Nonce: []byte("1.0")}},
	{"nonce null", `{"command":"list","nonce":null}`, &relaypb.List{Nonce: []byte("null")}},
	{"nonce true", `{"command":"list","nonce":true}`, &relaypb.List{Nonce: []byte("true")}},
	{"nonce object", `{"command":"list","nonce":{"a": [1, "x"]}}`, &relaypb.List{Nonce: []byte(`{"a": [1, "x"]}`)}},
	{"nonce escaped", `{"command":"list","nonce":"\u0041"}`, &relaypb.List{Nonce: []byte(`"\u0041"`)}},
	{"the longest nonce", `{"command":"list","nonce":"` + strings.Repeat("n", 4094) + `"}`, &relaypb.List{Nonce: []byte(`"` + strings.Repeat("n", 4094) + `"`)}},
	{"a longer nonce", `{"command":"list","nonce":"` + strings.Repeat("n", 4095) + `"}`, bad("invalid nonce", "")},
	{"a longer nonce of a wrong command", `{"command":"x","nonce":"` + strings.Repeat("n", 1_000_000) + `"}`, bad("invalid nonce", "")},
	{"a longer nonce of a message", `{"command":"send","data":{"message":1,"channel":"c"},"nonce":"` + strings.Repeat("n", 5000) + `"}`, bad("invalid nonce", "")},

	// Faults of the frame.
	{"no command", `{"data":{"topic":"c1"},"nonce":3}`, bad("command key must be present", "3")},
	{"nothing at all", `{}`, bad("command key must be present", "")},
	{"a null command", `{"command":null}`, bad("invalid command", "")},
	{"a number for a command", `{"command":1,"nonce":"x"}`, bad("invalid command", `"x"`)},
	{"an unknown command", `{"command":"dance","data":{},"nonce":"x"}`, bad("invalid command", `"x"`)},
	{"an empty command", `{"command":""}`, bad("invalid command", "")},
	{"another case", `{"command":"Subscribe","data":{"topic":"c1"}}`, bad("invalid command", "")},
	{"another case of a key", `{"Command":"subscribe","data":{"topic":"c1"}}`, bad("command key must be present", "")},
	{"another case of data", `{"command":"subscribe","Data":{"topic":"c1"}}`, bad("data key must be present", "")},
	{"another case of topic", `{"command":"subscribe","data":{"Topic":"c1"}}`, bad("no channel provided", "")},
	{"no data", `{"command":"subscribe","nonce":4}`, bad("data key must be present", "4")},
	{"no data to send", `{"command":"send"}`, bad("data key must be present", "")},
	{"no data to unsubscribe", `{"command":"unsubscribe"}`, bad("data key must be present", "")},
	{"null data", `{"command":"subscribe","data":null}`, bad("data key must be present", "")},
	{"a list for data", `{"command":"subscribe","data":[{"topic":"c1"}],"nonce":"x"}`, bad("data key must be present", `"x"`)},
	{"a string for data", `{"command":"send","data":"message"}`, bad("data key must be present", "")},

	// Escapes in names.
	{"escaped keys", `{"\u0063ommand":"subscri\u0062e","\u0064ata":{"t\u006fpic":"c1"},"\u006eonce":1}`, subscribe("c1", "1")},
	{"a key that only looks escaped", `{"\\u0063ommand":"list"}`, bad("command key must be present", "")},
	{"a slash that need not be escaped", `{"command":"list","no\/nce":1}`, &relaypb.List{}},

	// White space.
	{"spaces", " \t\r\n{ \"command\" :\n\"list\"\t,\r\"nonce\" : 1 } \n\t\r ", &relaypb.List{Nonce: []byte("1")}},
	{"no other space", "\u00a0{\"command\":\"list\"}", bad("invalid json", "")},
	{"no vertical tab", "{\"command\":\v\"list\"}", bad("invalid json", "")},
	{"a byte order mark", "\ufeff{\"command\":\"list\"}", bad("invalid json", "")},
	{"a nul behind", "{\"command\":\"list\"}\x00", bad("invalid json", "")},

	// No JSON object.
	{"empty", ``, bad("invalid json", "")},
	{"spaces only", `   `, bad("invalid json", "")},
	{"text", `hello`, bad("invalid json", "")},
	{"a string", `"list"`, bad("invalid json", "")},
	{"a number for a frame", `1`, bad("invalid json", "")},
	{"null for a frame", `null`, bad("invalid json", "")},
	{"a list for a frame", `[{"command":"list"}]`, bad("invalid json", "")},
	{"two objects", `{"command":"list"}{"command":"list"}`, bad("invalid json", "")},
	{"two objects, a line each", "{\"command\":\"list\"}\n{\"command\":\"list\"}", bad("invalid json", "")},
	{"garbage behind", `{"command":"list"}x`, bad("invalid json", "")},
	{"a brace too many", `{"command":"list"}}`, bad("invalid json", "")},
	{"a comma behind", `{"command":"list"},`, bad("invalid json", "")},
	{"a comma too many", `{"command":"list",}`, bad("invalid json", "")},
	{"a comma too few", `{"command":"list" "nonce":1}`, bad("invalid json", "")},
	{"cut off", `{"command":"list"`, bad("invalid json", "")},
	{"cut off in a string", `{"command":"lis`, bad("invalid json", "")},
	{"cut off in an escape", `{"command":"lis\`, bad("invalid json", "")},
	{"single quotes", `{'command':'list'}`, bad("invalid json", "")},
	{"a comment", `{"command":"list"/* */}`, bad("invalid json", "")},
	{"a bare key", `{command:"list"}`, bad("invalid json", "")},
	{"a bad number", `{"command":"list","nonce":01}`, bad("invalid json", "")},
	{"not a number", `{"command":"list","nonce":NaN}`, bad("invalid json", "")},
	{"a bad escape", `{"command":"list","nonce":"\x41"}`, bad("invalid json", "")},
	{"half a surrogate pair", `{"command":"list","nonce":"\ud83d"}`, bad("invalid json", "")},
	{"a control character", "{\"command\":\"list\",\"nonce\":\"\x01\"}", bad("invalid json", "")},
	{"bad UTF-8", "{\"command\":\"list\",\"nonce\":\"\xff\"}", bad("invalid json", "")},
	{"bad UTF-8 in an unknown key", "{\"command\":\"list\",\"\xff\":1}", bad("invalid json", "")},
	{"too deep in an unknown key", `{"command":"list","x":` + nest(32) + `}`, bad("invalid json", "")},
	{"too deep, and never closed", strings.Repeat(`{"a":`, 100_000), bad("invalid json", "")},

	// Keys that stand twice.
	{"two commands", `{"command":"list","command":"subscribe"}`, bad("invalid json", "")},
	{"two commands, one escaped", `{"command":"list","\u0063ommand":"list"}`, bad("invalid json", "")},
	{"two nonces", `{"command":"list","nonce":1,"nonce":1}`, bad("invalid json", "")},
	{"two channels", `{"command":"send","data":{"channel":"a","message":1,"channel":"b"}}`, bad("invalid json", "")},
	{"two unknown keys", `{"command":"list","x":1,"x":2}`, bad("invalid json", "")},
	{"two keys in a message", `{"command":"send","data":{"message":{"a":1,"a":2},"channel":"c"}}`, bad("invalid json", "")},
	{"two keys in different objects", `{"command":"list","x":{"command":"send"},"y":{"command":"send"}}`, &relaypb.List{}},
}

func TestDecodeVectors(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			frame := []byte(v.frame)
			got, charge := Codec{}.Decode(frame, false)
			clear(frame) // it is used again
			if d := cmp.Diff(v.want, got, protocmp.Transform()); d != "" {
				t.Errorf("want -, got +:\n%s", d)
			}
			want := uint32(1)
			switch m := got.(type) {
			case *relaypb.Send:
				want = m.GetCharge()
			case *relaypb.List:
				want = messages.ChargeAll
			}
			if charge != want {
				t.Errorf("charge %d, want %d", charge, want)
			}
		})
	}
}

// TestNames tries channel names in both places where they are checked.
func TestNames(t *testing.T) {
	for _, c := range []struct {
		name string // as JSON
		want string // "": refused
	}{
		{`"a"`, "a"},
		{`" "`, " "},
		{`"a b"`, "a b"},
		{`"\u0041"`, "A"},
		{`"日本"`, "日本"},
		{`"😀"`, "😀"},
		{`"\ud83d\ude00"`, "😀"},
		{`"\""`, `"`},
		{`"\\"`, `\`},
		{`"\/"`, "/"},
		{`"\u202e"`, "\u202e"}, // for screens to care about
		{`"\u00a0"`, "\u00a0"},
		{`"` + strings.Repeat("x", 256) + `"`, strings.Repeat("x", 256)},
		{`"` + strings.Repeat("é", 128) + `"`, strings.Repeat("é", 128)},
		{`"` + strings.Repeat(`\u0078`, 256) + `"`, strings.Repeat("x", 256)},
		{`"` + strings.Repeat("x", 257) + `"`, ""},
		{`"` + strings.Repeat("é", 128) + `x"`, ""},
		{`""`, ""},
		{`"\u0000"`, ""},
		{`"a\nb"`, ""},
		{`"\t"`, ""},
		{`"\u001b[2J"`, ""},
		{"\"\x7f\"", ""},
		{`"\u007f"`, ""},
		{`"\u0080"`, ""},
		{`"\u009f"`, ""},
		{`null`, ""},
		{`1`, ""},
		{`true`, ""},
		{`["a"]`, ""},
		{`{"a":1}`, ""},
	} {
		for verb, data := range map[string]string{
			"subscribe": `"topic":%s`, "unsubscribe": `"channel":%s`, "send": `"message":1,"channel":%s`,
		} {
			got, _ := Codec{}.Decode(fmt.Appendf(nil, `{"command":%q,"data":{`+data+`}}`, verb, c.name), false)
			if c.want == "" {
				if m, ok := got.(*linkpb.Malformed); !ok || m.GetReason() != "invalid channel" {
					t.Errorf("%s to %s: %v", verb, c.name, got)
				}
				continue
			}
			m, ok := got.(interface{ GetChannel() string })
			if !ok || m.GetChannel() != c.want {
				t.Errorf("%s to %s: %v, want %q", verb, c.name, got, c.want)
			}
		}
	}
}

func TestBinaryIsNotSupported(t *testing.T) {
	for _, frame := range []string{`{"command":"list","nonce":1}`, "", "\xff"} {
		got, charge := Codec{}.Decode([]byte(frame), true)
		if d := cmp.Diff(bad("binary not supported", ""), got, protocmp.Transform()); d != "" || charge != 1 {
			t.Errorf("%q: charge %d\n%s", frame, charge, d)
		}
	}
}

// TestChargeFollowsTheFrame of a Send: it is kept.
func TestChargeFollowsTheFrame(t *testing.T) {
	for _, size := range []int{100, 16 << 10, 1 << 20} {
		frame := fmt.Appendf(nil, `{"command":"send","data":{"channel":"c","message":"%s"}}`, strings.Repeat("x", size))
		m, charge := Codec{}.Decode(frame, false)
		if want := messages.Charge(len(frame)); charge != want || m.(*relaypb.Send).GetCharge() != want {
			t.Errorf("%d bytes: charge %d and %d, want %d", len(frame), charge, m.(*relaypb.Send).GetCharge(), want)
		}
	}
	for _, c := range []struct {
		m    proto.Message
		want uint32
	}{
		{&relaypb.Answer{Charge: 7}, 7},
		{&relaypb.Error{Charge: 3}, 3},
		{&relaypb.Message{}, 0},
		{&linkpb.Dropped{}, 0},
	} {
		if got := (Codec{}).Charge(c.m); got != c.want {
			t.Errorf("%T gives back %d, want %d", c.m, got, c.want)
		}
	}
}

func TestAppendVectors(t *testing.T) {
	for _, v := range []struct {
		m    proto.Message
		want string
	}{
		{&relaypb.Message{Channel: "c1", Message: []byte(`"Hello"`)}, `{"type":"message","data":{"message":"Hello","channel":"c1"}}`},
		{&relaypb.Message{Channel: "c1", Message: []byte(`{ "a": 1 }`), Nonce: []byte(`"n"`)}, `{"type":"message","data":{"message":{ "a": 1 },"channel":"c1"},"nonce":"n"}`},
		{&relaypb.Message{Channel: "c1", Message: []byte(`1`), Nonce: []byte(`0`)}, `{"type":"message","data":{"message":1,"channel":"c1"},"nonce":0}`},
		{&relaypb.Answer{Ok: true, Nonce: []byte(`"n"`)}, `{"type":"response","data":{"ok":true},"nonce":"n"}`},
		{&relaypb.Answer{Ok: true}, `{"type":"response","data":{"ok":true},"nonce":""}`},
		{&relaypb.Answer{Reason: "slow down", Nonce: []byte(`7`)}, `{"type":"response","data":{"ok":false,"reason":"slow down"},"nonce":7}`},
		{&relaypb.Answer{Ok: true, List: &relaypb.Channels{}}, `{"type":"response","data":{"ok":true,"channels":[],"subscribed":[]},"nonce":""}`},
		{&relaypb.Answer{Ok: true, List: &relaypb.Channels{Open: []string{"a", `b"`, "é"}, Subscribed: []string{"a"}}}, `{"type":"response","data":{"ok":true,"channels":["a","b\"","é"],"subscribed":["a"]},"nonce":""}`},
		{&relaypb.Error{Reason: "invalid json"}, `{"type":"error","data":{"reason":"invalid json"},"nonce":""}`},
		{&relaypb.Error{Reason: "invalid command", Nonce: []byte(`[1]`)}, `{"type":"error","data":{"reason":"invalid command"},"nonce":[1]}`},
		{&relaypb.Error{Reason: "channel lost", Channel: "c\\"}, `{"type":"error","data":{"reason":"channel lost","channel":"c\\"},"nonce":""}`},
		{&linkpb.Dropped{Source: "c1", Count: 18446744073709551615}, `{"type":"dropped","data":{"channel":"c1","count":18446744073709551615}}`},
	} {
		got, err := Codec{}.Append([]byte("before "), v.m)
		if err != nil || string(got) != "before "+v.want {
			t.Errorf("%s, %v\nwant %s", got, err, v.want)
		}
	}
	if got, err := (Codec{}).Append([]byte("before"), &relaypb.HealthRequest{}); !errors.Is(err, link.ErrNotOnWire) || string(got) != "before" {
		t.Errorf("%s, %v", got, err)
	}
}

// TestEveryReasonIsSpecified: what people read is what PROTOCOL.md lists.
func TestEveryReasonIsSpecified(t *testing.T) {
	var got []string
	for _, v := range vectors {
		m, _ := Codec{}.Decode([]byte(v.frame), false)
		if m, ok := m.(*linkpb.Malformed); ok && !slices.Contains(got, m.GetReason()) {
			got = append(got, m.GetReason())
		}
	}
	for _, want := range append(got, "binary not supported") {
		if !strings.Contains(protocolText(t), "`"+want+"`") {
			t.Errorf("PROTOCOL.md does not know %q", want)
		}
	}
	if len(got) != 10 {
		t.Errorf("%d reasons are tested: %q", len(got), got)
	}
}
