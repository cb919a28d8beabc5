package uiv2

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/uipb"
	"parley/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

var daemon, node = DaemonCodec(), NodeCodec()

// ask is a request in conversation 7, with change applied.
func ask(opcode, payload string, change func(*uipb.Request)) *uipb.Request {
	m := &uipb.Request{Context: proto.Uint64(7), Opcode: opcode, Payload: []byte(payload), Charge: 1}
	if change != nil {
		change(m)
	}
	return m
}

// alone makes a request isolated.
func alone(m *uipb.Request) *uipb.Request {
	m.Context = nil
	return m
}

// flawed is a request in conversation 7 that is refused.
func flawed(opcode, flaw string) *uipb.Request {
	return &uipb.Request{Context: proto.Uint64(7), Opcode: opcode, Charge: 1, Flaw: flaw}
}

// in is a frame in conversation 7.
func in(opcode, payload string) string {
	return `{"opcode":"` + opcode + `","contextId":7,"payload":` + payload + `}`
}

func withEmpty(m *uipb.Request) { m.Body = &uipb.Request_Empty{Empty: &uipb.Empty{}} }

func withSetup(changes ...*uipb.SetupChange) func(*uipb.Request) {
	return func(m *uipb.Request) { m.Body = &uipb.Request_Setup{Setup: &uipb.SetupRequest{Changes: changes}} }
}

func withSubscribe(level string, opcodes ...string) func(*uipb.Request) {
	return func(m *uipb.Request) {
		m.Body = &uipb.Request_Subscribe{Subscribe: &uipb.SubscribeRequest{Opcodes: opcodes, MinLogLevel: level}}
	}
}

func withPassword(password *string) func(*uipb.Request) {
	return func(m *uipb.Request) {
		m.Body = &uipb.Request_Password{Password: &uipb.PasswordRequest{Password: password}}
	}
}

func withChange(old *string, password string) func(*uipb.Request) {
	return func(m *uipb.Request) {
		m.Body = &uipb.Request_ChangePassword{ChangePassword: &uipb.ChangePasswordRequest{OldPassword: old, NewPassword: password}}
	}
}

func withStats(of string) func(*uipb.Request) {
	return func(m *uipb.Request) { m.Body = &uipb.Request_Stats{Stats: &uipb.StatsRequest{Node: of}} }
}

func withChannels(network bool) func(*uipb.Request) {
	return func(m *uipb.Request) {
		m.Body = &uipb.Request_Channels{Channels: &uipb.ChannelsRequest{Network: network}}
	}
}

const (
	setupPayload = `{"values":[{"name":"chain","value":"dev"},{"name":"ip","value":null},{"name":"neighbors"},{"value":"","name":"log-level","extra":{"name":1}}]}`
	hiddenTail   = ", but was '****************' instead"
)

// payloads are frames with an opcode that the codec knows.
var payloads = []struct {
	name  string
	codec Codec
	frame string
	want  proto.Message
}{
	{"setup", daemon, in("setup", setupPayload), ask("setup", setupPayload, withSetup(
		&uipb.SetupChange{Name: "chain", Value: proto.String("dev")}, &uipb.SetupChange{Name: "ip"},
		&uipb.SetupChange{Name: "neighbors"}, &uipb.SetupChange{Name: "log-level", Value: proto.String("")}))},
	{"setup, a dump", daemon, in("setup", `{"values":[]}`), ask("setup", `{"values":[]}`, withSetup())},
	{
		"setup, escapes", daemon, in("setup", `{"v\u0061lues" : [ {"n\u0061me":"\u0063","value":"\"\ud83d\ude00"} ] }`),
		ask("setup", `{"v\u0061lues" : [ {"n\u0061me":"\u0063","value":"\"\ud83d\ude00"} ] }`, withSetup(&uipb.SetupChange{Name: "c", Value: proto.String("\"😀")})),
	},
	{"setup without values", daemon, in("setup", `{}`), flawed("setup", "Required field was missing: values")},
	{"setup, keys are case-sensitive", daemon, in("setup", `{"Values":[]}`), flawed("setup", "Required field was missing: values")},
	{"setup, values null", daemon, in("setup", `{"values":null}`), flawed("setup", "Field values should have been of type array"+hiddenTail)},
	{"setup, values an object", daemon, in("setup", `{"values":{"name":"x"}}`), flawed("setup", "Field values should have been of type array"+hiddenTail)},
	{"setup, no object", daemon, in("setup", `{"values":[{"name":"a"},"b"]}`), flawed("setup", "Field values[1] should have been of type object"+hiddenTail)},
	{"setup, no name", daemon, in("setup", `{"values":[{"value":"x"}]}`), flawed("setup", "Required field was missing: values[0].name")},
	{"setup, name null", daemon, in("setup", `{"values":[{"name":null}]}`), flawed("setup", "Field values[0].name should have been of type string, but was 'null' instead")},
	{"setup, value a number", daemon, in("setup", `{"values":[{"name":"a"},{"name":"db-password","value":1234}]}`), flawed("setup", "Field values[1].value should have been of type string or null"+hiddenTail)},
	{"start", daemon, in("start", `{}`), ask("start", `{}`, withEmpty)},
	{"start with something", daemon, in("start", `{"a":1}`), ask("start", `{"a":1}`, withEmpty)},

	{"subscribe to nothing", daemon, in("subscribe", `{}`), ask("subscribe", `{}`, withSubscribe(""))},
	{
		"subscribe", node, in("subscribe", `{"opcodes":["crashed","logBroadcast"],"minLogLevel":"Debug"}`),
		ask("subscribe", `{"opcodes":["crashed","logBroadcast"],"minLogLevel":"Debug"}`, withSubscribe("Debug", "crashed", "logBroadcast")),
	},
	{"unsubscribe", node, in("unsubscribe", `{"opcodes":["crashed"]}`), ask("unsubscribe", `{"opcodes":["crashed"]}`, withSubscribe("", "crashed"))},
	{"subscribe, opcodes null", node, in("subscribe", `{"opcodes":null}`), flawed("subscribe", "Field opcodes should have been of type array"+hiddenTail)},
	{"subscribe, opcode null", node, in("subscribe", `{"opcodes":["a",null]}`), flawed("subscribe", "Field opcodes[1] should have been of type string, but was 'null' instead")},
	{"subscribe, level of another", node, in("subscribe", `{"minLogLevel":"loud"}`), flawed("subscribe", `Field minLogLevel should have been of type Error, Warn, Info, Debug or Trace, but was '"loud"' instead`)},
	{"subscribe, level in lower case", node, in("subscribe", `{"minLogLevel":"info"}`), flawed("subscribe", `Field minLogLevel should have been of type Error, Warn, Info, Debug or Trace, but was '"info"' instead`)},
	{"subscribe, level null", node, in("subscribe", `{"minLogLevel":null}`), flawed("subscribe", `Field minLogLevel should have been of type Error, Warn, Info, Debug or Trace, but was 'null' instead`)},

	{"checkPassword", node, in("checkPassword", `{"dbPasswordOpt":"x"}`), ask("checkPassword", `{"dbPasswordOpt":"x"}`, withPassword(proto.String("x")))},
	{"checkPassword, empty", node, in("checkPassword", `{"dbPasswordOpt":""}`), ask("checkPassword", `{"dbPasswordOpt":""}`, withPassword(proto.String("")))},
	{"checkPassword, null", node, in("checkPassword", `{"dbPasswordOpt":null}`), ask("checkPassword", `{"dbPasswordOpt":null}`, withPassword(nil))},
	{"checkPassword, absent", node, in("checkPassword", `{}`), ask("checkPassword", `{}`, withPassword(nil))},
	{"checkPassword, a number", node, in("checkPassword", `{"dbPasswordOpt":1234}`), flawed("checkPassword", "Field dbPasswordOpt should have been of type string or null"+hiddenTail)},
	{"configuration", node, in("configuration", `{"dbPasswordOpt":"x"}`), ask("configuration", `{"dbPasswordOpt":"x"}`, withPassword(proto.String("x")))},
	{"changePassword", node, in("changePassword", `{"oldPasswordOpt":"a","newPassword":"b"}`), ask("changePassword", `{"oldPasswordOpt":"a","newPassword":"b"}`, withChange(proto.String("a"), "b"))},
	{"changePassword, the first", node, in("changePassword", `{"newPassword":"b"}`), ask("changePassword", `{"newPassword":"b"}`, withChange(nil, "b"))},
	{"changePassword, no new", node, in("changePassword", `{"oldPasswordOpt":"a"}`), flawed("changePassword", "Required field was missing: newPassword")},
	{"changePassword, new null", node, in("changePassword", `{"newPassword":null}`), flawed("changePassword", "Field newPassword should have been of type string"+hiddenTail)},
	{"changePassword, old a list", node, in("changePassword", `{"oldPasswordOpt":["a"],"newPassword":"b"}`), flawed("changePassword", "Field oldPasswordOpt should have been of type string or null"+hiddenTail)},
	{"setConfiguration", node, in("setConfiguration", `{"name":"log-level","value":"warn"}`), ask("setConfiguration", `{"name":"log-level","value":"warn"}`, func(m *uipb.Request) {
		m.Body = &uipb.Request_SetConfiguration{SetConfiguration: &uipb.SetConfigurationRequest{Name: "log-level", Value: "warn"}}
	})},
	{"setConfiguration, no name", node, in("setConfiguration", `{"value":"x"}`), flawed("setConfiguration", "Required field was missing: name")},
	{"setConfiguration, no value", node, in("setConfiguration", `{"name":"x"}`), flawed("setConfiguration", "Required field was missing: value")},
	{"setConfiguration, value a number", node, in("setConfiguration", `{"name":"x","value":18446744073709551616}`), flawed("setConfiguration", "Field value should have been of type string, but was '18446744073709551616' instead")},
	{"crash", node, `{"opcode":"crash","payload":{"actor":"relay","panicMessage":"boo"}}`, alone(ask("crash", `{"actor":"relay","panicMessage":"boo"}`, func(m *uipb.Request) {
		m.Body = &uipb.Request_Crash{Crash: &uipb.CrashRequest{Actor: "relay", PanicMessage: "boo"}}
	}))},
	{"crash, no actor", node, in("crash", `{"panicMessage":"x"}`), flawed("crash", "Required field was missing: actor")},
	{"crash, no message", node, in("crash", `{"actor":"x"}`), flawed("crash", "Required field was missing: panicMessage")},
	{"shutdown", node, in("shutdown", `{}`), ask("shutdown", `{}`, withEmpty)},
	{"nodeStats", node, in("nodeStats", `{}`), ask("nodeStats", `{}`, withStats(""))},
	{"nodeStats of another", node, in("nodeStats", `{"node":"n2"}`), ask("nodeStats", `{"node":"n2"}`, withStats("n2"))},
	{"hostStats, node null", node, in("hostStats", `{"node":null}`), ask("hostStats", `{"node":null}`, withStats(""))},
	{"hostStats, node a number", node, in("hostStats", `{"node":2}`), flawed("hostStats", "Field node should have been of type string or null, but was '2' instead")},
	{"channels", node, in("channels", `{}`), ask("channels", `{}`, withChannels(false))},
	{"channels of this node", node, in("channels", `{"scope":"node"}`), ask("channels", `{"scope":"node"}`, withChannels(false))},
	{"channels of the mesh", node, in("channels", `{"scope":"network"}`), ask("channels", `{"scope":"network"}`, withChannels(true))},
	{"channels, scope of another", node, in("channels", `{"scope":"all"}`), flawed("channels", `Field scope should have been of type node or network, but was '"all"' instead`)},
	{"channels, scope null", node, in("channels", `{"scope":null}`), flawed("channels", "Field scope should have been of type node or network, but was 'null' instead")},
	{"a Node's at the Daemon", daemon, in("shutdown", `{ }`), ask("shutdown", `{ }`, nil)},
	{"a Daemon's at the Node", node, in("setup", setupPayload), ask("setup", setupPayload, nil)},
	{"a flaw that the Daemon cannot see", daemon, in("checkPassword", `{"dbPasswordOpt":1}`), ask("checkPassword", `{"dbPasswordOpt":1}`, nil)},
}

func TestPayloads(t *testing.T) {
	for _, v := range payloads {
		got, charge := v.codec.Decode([]byte(v.frame), false)
		if d := cmp.Diff(v.want, got, protocmp.Transform()); d != "" || charge != 1 {
			t.Errorf("%s: charge %d, want -, got +:\n%s", v.name, charge, d)
		}
	}
}

// TestOpcodes: each side knows its own, and no others.
func TestOpcodes(t *testing.T) {
	both := []string{"subscribe", "unsubscribe"}
	knows := map[string][]string{
		"daemon": append([]string{"setup", "start"}, both...),
		"node": append([]string{
			"descriptor", "connectionStatus", "neighborhoodGraph", "checkPassword", "changePassword", "configuration",
			"setConfiguration", "shutdown", "crash", "nodeStats", "hostStats", "channels", "peers", "starPeers",
			"contacts", "addContact", "acceptContact", "ignoreContact", "removeContact", "sendMessage", "setStatus", "setAlias", "history",
		}, both...),
	}
	for side, c := range map[string]Codec{"daemon": daemon, "node": node, "neither": {}} {
		if len(c.schemas) != len(knows[side]) {
			t.Errorf("the %s knows %d opcodes, want %d", side, len(c.schemas), len(knows[side]))
		}
		for _, opcode := range knows[side] {
			if c.schemas[opcode].read == nil {
				t.Errorf("the %s does not know %q", side, opcode)
			}
		}
	}
}

// TestBinaryFrames are told apart from text, whatever is in them.
func TestBinaryFrames(t *testing.T) {
	for _, frame := range []string{"", in("setup", setupPayload), strings.Repeat("\xff", 100<<10)} {
		got, charge := daemon.Decode([]byte(frame), true)
		if d := cmp.Diff(&linkpb.Malformed{Reason: "binary frame", Charge: 1}, got, protocmp.Transform()); d != "" || charge != 1 {
			t.Errorf("charge %d, want -, got +:\n%s", charge, d)
		}
	}
}

// TestCharge: a frame holds credit by its length, and a response gives back
// what it says.
func TestCharge(t *testing.T) {
	large := in("shutdown", `{"x":"`+strings.Repeat("y", 100<<10)+`"}`)
	for _, frame := range []string{large, large[1:]} {
		m, charge := node.Decode([]byte(frame), false)
		if want := messages.Charge(len(frame)); charge != want || m.(interface{ GetCharge() uint32 }).GetCharge() != want {
			t.Errorf("%T: charge %d, want %d", m, charge, want)
		}
	}
	if n := node.Charge(&uipb.Response{Charge: 9}); n != 9 {
		t.Errorf("a response gives back %d", n)
	}
	if n := node.Charge(&linkpb.Dropped{Count: 9}); n != 0 {
		t.Errorf("what nobody asked for gives back %d", n)
	}
	if node.Protocol() != "uiv2" || node.Slot() != messages.SlotUI {
		t.Errorf("%q, slot %d", node.Protocol(), node.Slot())
	}
}
