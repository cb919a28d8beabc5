package uiv2

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"parley/messages"
	"parley/messages/uipb"
)

// nest is n lists within each other.
func nest(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

// zeros is n numbers.
func zeros(n int) string { return strings.TrimSuffix(strings.Repeat("0,", n), ",") }

const notJSON = "Couldn't parse text as JSON: "

// unreadable are frames that are answered without a conversation, with this
// message. One that ends in … stands for any that begins like it.
var unreadable = []struct{ name, frame, message string }{
	{"nothing", ``, notJSON + "there is no text"},
	{"white space", " \n", notJSON + "there is no text"},
	{"no JSON", `hello`, notJSON + "…"},
	{"half of it", `{"opcode":"x","contextId":7,"payload":{}`, notJSON + "…"},
	{"more than it", in("x", `{}`) + `,`, notJSON + "…"},
	{"twice", in("x", `{}`) + in("x", `{}`), notJSON + "the text goes on after its first value"},
	{"a comment", `/**/{}`, notJSON + "…"},
	{"a comma too much", `{"opcode":"x","contextId":7,"payload":{},}`, notJSON + "…"},
	{"single quotes", `{'opcode':'x'}`, notJSON + "…"},
	{"NaN", `{"opcode":"x","contextId":NaN,"payload":{}}`, notJSON + "…"},
	{"a leading zero", `{"opcode":"x","contextId":07,"payload":{}}`, notJSON + "…"},
	{"a plus", `{"opcode":"x","contextId":+7,"payload":{}}`, notJSON + "…"},
	{"a byte order mark", "\ufeff" + in("x", `{}`), notJSON + "…"},
	{"bad UTF-8", "{\"opcode\":\"\xff\",\"contextId\":7,\"payload\":{}}", notJSON + "…"},
	{"bad UTF-8 in the payload", "{\"opcode\":\"x\",\"contextId\":7,\"payload\":{\"a\":\"\xc3\"}}", notJSON + "…"},
	{"half a surrogate pair", in("x", `{"a":"\ud83d"}`), notJSON + "…"},
	{"the other half", in("x", `{"a":"\ude00"}`), notJSON + "…"},
	{"a control character", in("x", "{\"a\":\"\x01\"}"), notJSON + "…"},
	{"a key twice", `{"opcode":"x","opcode":"y","contextId":7,"payload":{}}`, notJSON + `duplicate object member name "opcode"…`},
	{"a key twice, once escaped", `{"opcode":"x","\u006fpcode":"y","contextId":7,"payload":{}}`, notJSON + `duplicate object member name "opcode"…`},
	{"a key twice in the payload", in("x", `{"a":{"b":1,"b":1}}`), notJSON + `duplicate object member name "b"…`},
	{"an unknown key twice", `{"opcode":"x","contextId":7,"payload":{},"z":1,"z":1}`, notJSON + `duplicate object member name "z"…`},
	{"too deep", in("x", `{"a":`+nest(31)+`}`), notJSON + "values nest deeper than 32"},
	{"too deep outside", `{"opcode":"x","z":` + nest(32) + `,"contextId":7,"payload":{}}`, notJSON + "values nest deeper than 32"},
	{"endless", strings.Repeat("[", 1<<20), notJSON + "values nest deeper than 32"},
	{"too many", in("x", `{"a":[`+zeros(997)+`]}`), notJSON + "there are more than 1000 members"},
	{"too many outside", `{"opcode":"x","contextId":7,"payload":{},"z":[` + zeros(997) + `]}`, notJSON + "there are more than 1000 members"},

	{"a list", `["opcode"]`, `Root was not a JSON object: ["opcode"]`},
	{"a string", ` "opcode" `, `Root was not a JSON object: "opcode"`},
	{"null", `null`, `Root was not a JSON object: null`},
	{"a long string", `"` + strings.Repeat("ä", 300) + `"`, `Root was not a JSON object: "` + strings.Repeat("ä", 127) + "…"},

	{"an empty object", `{}`, "Required field was missing: opcode"},
	{"no opcode", `{"contextId":7,"payload":{}}`, "Required field was missing: opcode"},
	{"upper case", `{"OPCODE":"x","contextId":7,"payload":{}}`, "Required field was missing: opcode"},
	{"opcode null", `{"opcode":null,"contextId":7,"payload":{}}`, "Field opcode should have been of type string, but was 'null' instead"},
	{"opcode a number", `{"opcode":5,"contextId":7,"payload":{}}`, "Field opcode should have been of type string, but was '5' instead"},
	{"opcode a list", `{"opcode":["x"],"contextId":7,"payload":{}}`, `Field opcode should have been of type string, but was '["x"]' instead`},
	{"opcode too long", in(strings.Repeat("x", 129), `{}`), "Field opcode should have been of type string of at most 128 bytes, but was '\"" + strings.Repeat("x", 129) + "\"' instead"},

	{"context null", `{"opcode":"x","contextId":null,"payload":{}}`, "Field contextId should have been of type u64, but was 'null' instead"},
	{"context a string", `{"opcode":"x","contextId":"7","payload":{}}`, `Field contextId should have been of type u64, but was '"7"' instead`},
	{"context negative", `{"opcode":"x","contextId":-1,"payload":{}}`, "Field contextId should have been of type u64, but was '-1' instead"},
	{"context minus zero", `{"opcode":"x","contextId":-0,"payload":{}}`, "Field contextId should have been of type u64, but was '-0' instead"},
	{"context a fraction", `{"opcode":"x","contextId":7.0,"payload":{}}`, "Field contextId should have been of type u64, but was '7.0' instead"},
	{"context a power", `{"opcode":"x","contextId":7e2,"payload":{}}`, "Field contextId should have been of type u64, but was '7e2' instead"},
	{"context 2^64", `{"opcode":"x","contextId":18446744073709551616,"payload":{}}`, "Field contextId should have been of type u64, but was '18446744073709551616' instead"},
	{"context 2^64 and a digit", `{"opcode":"x","contextId":184467440737095516150,"payload":{}}`, "Field contextId should have been of type u64, but was '184467440737095516150' instead"},
	{"context an object", `{"opcode":"x","contextId":{},"payload":{}}`, "Field contextId should have been of type u64, but was '{}' instead"},

	// Usable but for the context that an answer would need.
	{"isolated, no payload", `{"opcode":"x"}`, "Required field was missing: payload, error"},
	{"isolated, payload null", `{"opcode":"x","payload":null}`, "Field payload should have been of type object, but was 'null' instead"},
	{"isolated, both", `{"opcode":"x","payload":{},"error":{"code":1,"message":""}}`, "Exactly one of payload and error may be there, but both were"},
	{"isolated, a bad error", `{"opcode":"x","error":{"code":1}}`, "Required field was missing: error.message"},
	{"isolated, a bad payload", `{"opcode":"subscribe","payload":{"opcodes":1}}`, "Field opcodes should have been of type array" + hiddenTail},
}

func TestUnreadable(t *testing.T) {
	for _, v := range unreadable {
		for side, c := range map[string]Codec{"daemon": daemon, "node": node} {
			m, _ := c.Decode([]byte(v.frame), false)
			got, ok := m.(*uipb.Unreadable)
			if !ok {
				t.Errorf("%s at the %s: %v", v.name, side, m)
				continue
			}
			stem, open := strings.CutSuffix(v.message, "…")
			if open = open && strings.HasPrefix(stem, notJSON); open && !strings.HasPrefix(got.GetMessage(), stem) || !open && got.GetMessage() != v.message {
				t.Errorf("%s at the %s: %q, want %q", v.name, side, got.GetMessage(), v.message)
			}
			if want := strings.ToValidUTF8(v.frame[:min(len(v.frame), maxBadData)], "?"); got.GetBadData() != want {
				t.Errorf("%s at the %s: bad data %q, want %q", v.name, side, got.GetBadData(), want)
			}
		}
	}
}

// TestBadDataIsCutBetweenCharacters.
func TestBadDataIsCutBetweenCharacters(t *testing.T) {
	for lead := range 4 {
		frame := strings.Repeat("x", lead) + strings.Repeat("😀", 2000)
		m, _ := node.Decode([]byte(frame), false)
		got := m.(*uipb.Unreadable).GetBadData()
		if !utf8.ValidString(got) || len(got) > 4096 || len(got) < 4093 || !strings.HasPrefix(frame, got) {
			t.Errorf("lead %d: %d bytes, the end is %q", lead, len(got), got[len(got)-8:])
		}
	}
}

// unknown are frames with an opcode that no side knows, and what both make of
// them.
var unknown = []struct {
	name, frame string
	want        *uipb.Request
}{
	{"plain", in("x", `{}`), ask("x", `{}`, nil)},
	{"isolated", `{"opcode":"x","payload":{}}`, alone(ask("x", `{}`, nil))},
	{"white space", " { \"opcode\" :\t\"x\" ,\r\n \"contextId\" : 7 , \"payload\" : { \"a\" : [ ] } } \n", ask("x", `{ "a" : [ ] }`, nil)},
	{"another order", `{"payload":{"b":{},"a":null},"z":[1,{"opcode":"y"}],"contextId":7,"opcode":"x"}`, ask("x", `{"b":{},"a":null}`, nil)},
	{"keys with escapes", `{"\u006fpcode":"x","context\u0049d":7,"pa\u0079load":{}}`, ask("x", `{}`, nil)},
	{"keys in other cases are other keys", `{"opcode":"x","contextId":7,"payload":{},"Opcode":1,"contextid":"1","Payload":2,"ERROR":3}`, ask("x", `{}`, nil)},
	{"escapes in the opcode", in(`\u0073\u00e9t\"`, `{}`), ask(`sét"`, `{}`, nil)},
	{"an empty opcode", in(``, `{}`), ask(``, `{}`, nil)},
	{"the longest opcode", in(strings.Repeat("x", 128), `{}`), ask(strings.Repeat("x", 128), `{}`, nil)},
	{"a payload of any bytes", in("x", `{"a":"\u00e9\/é","b":1.50e+07,"c":123456789012345678901234567890}`), ask("x", `{"a":"\u00e9\/é","b":1.50e+07,"c":123456789012345678901234567890}`, nil)},
	{"brackets in strings", in("x", `{"a":"`+strings.Repeat(`[{\"`, 99)+`\\"}`), ask("x", `{"a":"`+strings.Repeat(`[{\"`, 99)+`\\"}`, nil)},
	{"the deepest", in("x", `{"a":`+nest(30)+`}`), ask("x", `{"a":`+nest(30)+`}`, nil)},
	{"the most", in("x", `{"a":[`+zeros(996)+`]}`), ask("x", `{"a":[`+zeros(996)+`]}`, nil)},
	{"empty ones are no members", in("x", `{"a":[`+strings.TrimSuffix(strings.Repeat("[ ],", 996), ",")+`]}`), ask("x", `{"a":[`+strings.TrimSuffix(strings.Repeat("[ ],", 996), ",")+`]}`, nil)},

	{"context 0", `{"opcode":"x","contextId":0,"payload":{}}`, inContext(0)},
	{"context 2^53+1", `{"opcode":"x","contextId":9007199254740993,"payload":{}}`, inContext(1<<53 + 1)},
	{"context 2^63+1", `{"opcode":"x","contextId":9223372036854775809,"payload":{}}`, inContext(1<<63 + 1)},
	{"context 2^64-1", `{"opcode":"x","contextId":18446744073709551615,"payload":{}}`, inContext(1<<64 - 1)},

	{"no payload", `{"opcode":"x","contextId":7}`, flawed("x", "Required field was missing: payload, error")},
	{"payload null", in("x", `null`), flawed("x", "Field payload should have been of type object, but was 'null' instead")},
	{"payload a list", in("x", `[1]`), flawed("x", "Field payload should have been of type object, but was '[1]' instead")},
	{"payload a string", in("x", `"{}"`), flawed("x", `Field payload should have been of type object, but was '"{}"' instead`)},
	{"payload and error", `{"opcode":"x","contextId":7,"payload":{},"error":{"code":1,"message":""}}`, flawed("x", "Exactly one of payload and error may be there, but both were")},
	{"payload null and error", `{"opcode":"x","contextId":7,"payload":null,"error":{"code":1,"message":""}}`, flawed("x", "Exactly one of payload and error may be there, but both were")},

	{"an error", `{"opcode":"x","contextId":7,"error":{"code":9223372036854775812,"message":"m"}}`, failedAsk("x")},
	{"an error for a known opcode", `{"opcode":"subscribe","contextId":7,"error":{"code":0,"message":"","more":1}}`, failedAsk("subscribe")},
	{"an isolated error", `{"opcode":"x","error":{"message":"m","code":1}}`, alone(failedAsk("x"))},
	{"error null", `{"opcode":"x","contextId":7,"error":null}`, flawed("x", "Field error should have been of type object, but was 'null' instead")},
	{"error without code", `{"opcode":"x","contextId":7,"error":{"message":"m"}}`, flawed("x", "Required field was missing: error.code")},
	{"error without message", `{"opcode":"x","contextId":7,"error":{"code":1}}`, flawed("x", "Required field was missing: error.message")},
	{"error with code 2^64", `{"opcode":"x","contextId":7,"error":{"code":18446744073709551616,"message":"m"}}`, flawed("x", "Field error.code should have been of type u64, but was '18446744073709551616' instead")},
	{"error with a message null", `{"opcode":"x","contextId":7,"error":{"code":1,"message":null}}`, flawed("x", "Field error.message should have been of type string, but was 'null' instead")},
}

func inContext(id uint64) *uipb.Request {
	return ask("x", `{}`, func(m *uipb.Request) { m.Context = &id })
}

func failedAsk(opcode string) *uipb.Request {
	return ask(opcode, `{}`, func(m *uipb.Request) { m.Error = true })
}

func TestUnknownOpcodes(t *testing.T) {
	for _, v := range unknown {
		for side, c := range map[string]Codec{"daemon": daemon, "node": node} {
			got, _ := c.Decode([]byte(v.frame), false)
			want := proto.Clone(v.want).(*uipb.Request)
			want.Charge = messages.Charge(len(v.frame))
			if d := cmp.Diff(want, got, protocmp.Transform()); d != "" {
				t.Errorf("%s at the %s: want -, got +:\n%s", v.name, side, d)
			}
		}
	}
}

// TestSecretsStayOutOfTexts: what is said about a value that may be a password
// does not repeat it.
func TestSecretsStayOutOfTexts(t *testing.T) {
	for opcode, forms := range map[string][]string{
		"setup":          {`{"values":%s}`, `{"values":[%s]}`, `{"values":[{"name":"db-password","value":%s}]}`},
		"checkPassword":  {`{"dbPasswordOpt":%s}`},
		"configuration":  {`{"dbPasswordOpt":%s}`},
		"changePassword": {`{"newPassword":%s}`, `{"oldPasswordOpt":%s,"newPassword":""}`},
	} {
		for _, form := range forms {
			for _, secret := range []string{`778899`, `[778899]`, `{"x":"778899"}`} {
				for _, c := range []Codec{daemon, node} {
					m, _ := c.Decode([]byte(in(opcode, fmt.Sprintf(form, secret))), false)
					if r, ok := m.(*uipb.Request); !ok || strings.Contains(r.GetFlaw(), "778899") {
						t.Errorf("%s %s: %v", opcode, fmt.Sprintf(form, secret), m)
					}
				}
			}
		}
	}
}
