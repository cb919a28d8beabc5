package uiv2

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"parley/gateways/link"
	"parley/messages/linkpb"
	"parley/messages/relaypb"
	"parley/messages/uipb"
)

// to is a response in conversation 7.
func to(opcode string, body proto.Message) *uipb.Response {
	m := uipb.Broadcast(opcode, body)
	m.Context = proto.Uint64(7)
	return m
}

func inform(level uipb.LogLevel) *uipb.Response {
	return uipb.Broadcast("logBroadcast", &uipb.LogLine{Level: level, Text: "a \"line\""})
}

func traffic(n uint64, f float64) *relaypb.Traffic {
	return &relaypb.Traffic{Packets: []uint64{n, n + 1, n + 2}, Kilobits: []float64{f, f + 1, f + 2}, Deliveries: []uint64{n, 0, math.MaxUint64}}
}

func crashed(change func(*uipb.Crashed)) *uipb.Response {
	m := &uipb.Crashed{ProcessId: 4711}
	change(m)
	return uipb.Broadcast("crashed", m)
}

const crashTail = `,"requested":false,"lastLines":[]}}`

// frames are messages and the frames that they are.
var frames = []struct {
	name string
	m    proto.Message
	want string
}{
	{"done", to("shutdown", &uipb.Done{}), `{"opcode":"shutdown","contextId":7,"payload":{}}`},
	{"an isolated one has no context", uipb.Broadcast("newPassword", &uipb.Done{}), `{"opcode":"newPassword","payload":{}}`},
	{"configurationChanged", uipb.Broadcast("configurationChanged", &uipb.Done{}), `{"opcode":"configurationChanged","payload":{}}`},
	{"context 0", &uipb.Response{Context: proto.Uint64(0), Opcode: "x", Body: &uipb.Response_Done{}}, `{"opcode":"x","contextId":0,"payload":{}}`},
	{"context 2^64-1", &uipb.Response{Context: proto.Uint64(math.MaxUint64), Opcode: "x", Body: &uipb.Response_Done{}}, `{"opcode":"x","contextId":18446744073709551615,"payload":{}}`},
	{"an opcode of anything", to("é\"\\\n\u2028<", &uipb.Done{}), "{\"opcode\":\"é\\\"\\\\\\n\u2028<\",\"contextId\":7,\"payload\":{}}"},
	{"an error", to("start", &uipb.Fault{Code: 1<<63 | 3, Message: "Could not launch Node: already running"}), `{"opcode":"start","contextId":7,"error":{"code":9223372036854775811,"message":"Could not launch Node: already running"}}`},
	{"an error of our own", to("setup", &uipb.Fault{Code: 0x50<<48 | 1}), `{"opcode":"setup","contextId":7,"error":{"code":22517998136852481,"message":""}}`},

	{"setup", to("setup", &uipb.SetupResponse{
		Running: true,
		Values:  []*uipb.SetupValue{{Name: "chain", Value: "dev", Status: "Default"}, {Name: "data-directory", Value: "/x\"", Status: "Set"}},
		Errors:  []*uipb.SetupError{{Name: "a", Text: "b"}, {Name: "c", Text: "\"d\""}},
	}), `{"opcode":"setup","contextId":7,"payload":{"running":true,"values":[{"name":"chain","value":"dev","status":"Default"},{"name":"data-directory","value":"/x\"","status":"Set"}],"errors":[["a","b"],["c","\"d\""]]}}`},
	{"setup, empty, to others", uipb.Broadcast("setup", &uipb.SetupResponse{}), `{"opcode":"setup","payload":{"running":false,"values":[],"errors":[]}}`},
	{"start", to("start", &uipb.Started{NewProcessId: math.MaxUint32, RedirectUiPort: 65535}), `{"opcode":"start","contextId":7,"payload":{"newProcessId":4294967295,"redirectUiPort":65535}}`},
	{"nodeStarted", uipb.Broadcast("nodeStarted", &uipb.Started{NewProcessId: 1, RedirectUiPort: 2}), `{"opcode":"nodeStarted","payload":{"newProcessId":1,"redirectUiPort":2}}`},
	{
		"redirect", uipb.Broadcast("redirect", &uipb.Redirect{Port: 5334, Opcode: "checkPassword", Context: proto.Uint64(9007199254740993), Payload: []byte(`{ "dbPasswordOpt" : "a\"\u00e9" }`)}),
		`{"opcode":"redirect","payload":{"port":5334,"opcode":"checkPassword","contextId":9007199254740993,"payload":"{ \"dbPasswordOpt\" : \"a\\\"\\u00e9\" }"}}`,
	},
	{"redirect of an isolated one", uipb.Broadcast("redirect", &uipb.Redirect{Port: 5334, Opcode: "crash", Payload: []byte(`{}`)}), `{"opcode":"redirect","payload":{"port":5334,"opcode":"crash","contextId":null,"payload":"{}"}}`},
	{"undelivered", uipb.Broadcast("undelivered", &uipb.Undelivered{Opcode: "crash"}), `{"opcode":"undelivered","payload":{"opcode":"crash"}}`},
	{"unmarshalError", uipb.Broadcast("unmarshalError", &uipb.UnmarshalError{Message: "m", BadData: "{\""}), `{"opcode":"unmarshalError","payload":{"message":"m","badData":"{\""}}`},

	{"crashed, nobody could wait for it", crashed(func(m *uipb.Crashed) { m.WaitFailure = "no child" }), `{"opcode":"crashed","payload":{"processId":4711,"crashReason":{"ChildWaitFailure":"no child"},"exitCode":null,"signal":null` + crashTail},
	{"crashed, nothing known", crashed(func(*uipb.Crashed) {}), `{"opcode":"crashed","payload":{"processId":4711,"crashReason":"NoInformation","exitCode":null,"signal":null` + crashTail},
	{"crashed, killed", crashed(func(m *uipb.Crashed) { m.Signal = "SIGKILL" }), `{"opcode":"crashed","payload":{"processId":4711,"crashReason":"NoInformation","exitCode":null,"signal":"SIGKILL"` + crashTail},
	{"crashed, silently", crashed(func(m *uipb.Crashed) { m.ExitCode = proto.Int32(3) }), `{"opcode":"crashed","payload":{"processId":4711,"crashReason":{"Unrecognized":"exit code 3"},"exitCode":3,"signal":null` + crashTail},
	{"crashed, with last words", crashed(func(m *uipb.Crashed) {
		m.Signal, m.Requested, m.LastLines = "SIGABRT", true, []string{"one", "two"}
	}), `{"opcode":"crashed","payload":{"processId":4711,"crashReason":{"Unrecognized":"one\ntwo"},"exitCode":null,"signal":"SIGABRT","requested":true,"lastLines":["one","two"]}}`},
	{"crashed, ended in order", crashed(func(m *uipb.Crashed) { m.ExitCode, m.Requested = proto.Int32(0), true }), `{"opcode":"crashed","payload":{"processId":4711,"crashReason":{"Unrecognized":"exit code 0"},"exitCode":0,"signal":null,"requested":true,"lastLines":[]}}`},

	{"descriptor", to("descriptor", &uipb.Descriptor{Descriptor_: proto.String("parley://t@h:1")}), `{"opcode":"descriptor","contextId":7,"payload":{"nodeDescriptorOpt":"parley://t@h:1"}}`},
	{"no descriptor", to("descriptor", &uipb.Descriptor{}), `{"opcode":"descriptor","contextId":7,"payload":{"nodeDescriptorOpt":null}}`},
	{"connectionStatus", to("connectionStatus", &uipb.Stage{Stage: "NotConnected"}), `{"opcode":"connectionStatus","contextId":7,"payload":{"stage":"NotConnected"}}`},
	{"connectionChange", uipb.Broadcast("connectionChange", &uipb.Stage{Stage: "RouteFound"}), `{"opcode":"connectionChange","payload":{"stage":"RouteFound"}}`},
	{"neighborhoodGraph", to("neighborhoodGraph", &uipb.Graph{Graph: "digraph {\n\"a\" -> \"b\"\n}"}), `{"opcode":"neighborhoodGraph","contextId":7,"payload":{"graph":"digraph {\n\"a\" -> \"b\"\n}"}}`},
	{"checkPassword", to("checkPassword", &uipb.PasswordMatch{Matches: true}), `{"opcode":"checkPassword","contextId":7,"payload":{"matches":true}}`},
	{"checkPassword, no", to("checkPassword", &uipb.PasswordMatch{}), `{"opcode":"checkPassword","contextId":7,"payload":{"matches":false}}`},
	{"configuration", to("configuration", &uipb.Configuration{
		ClandestinePort: 8912, CurrentSchemaVersion: 1, NeighborhoodMode: "standard", PastNeighbors: []string{"parley://t@h:1", "x"}, NodeName: "n1", ChainName: "dev",
		Gateways: []*uipb.Gateway{{Name: "relay", Address: "127.0.0.1:8912"}, {Name: "ui", Address: "127.0.0.1:1"}, {Name: "star", Address: "[::1]:2", Multiaddr: "/ip6/::1/tcp/2/ws/p2p-websocket-star"}},
	}), `{"opcode":"configuration","contextId":7,"payload":{"gasPrice":0,"startBlock":null,"portMappingProtocol":null,"chainName":"dev","clandestinePort":8912,"currentSchemaVersion":"1","neighborhoodMode":"standard","pastNeighbors":["parley://t@h:1","x"]` +
		`,"paymentThresholds":{"thresholdIntervalSec":0,"debtThresholdGwei":0,"paymentGracePeriodSec":0,"maturityThresholdSec":0,"permanentDebtAllowedGwei":0,"unbanBelowGwei":0},"ratePack":{"routingByteRate":0,"routingServiceRate":0,"exitByteRate":0,"exitServiceRate":0},"scanIntervals":{"pendingPayableSec":0,"payableSec":0,"receivableSec":0}` +
		`,"nodeName":"n1","gateways":[{"name":"relay","address":"127.0.0.1:8912"},{"name":"ui","address":"127.0.0.1:1"},{"name":"star","address":"[::1]:2","multiaddr":"/ip6/::1/tcp/2/ws/p2p-websocket-star"}]}}`},

	{"an error line", inform(uipb.LogLevel_LOG_LEVEL_ERROR), `{"opcode":"logBroadcast","payload":{"msg":"a \"line\"","logLevel":"Error"}}`},
	{"a warning", inform(uipb.LogLevel_LOG_LEVEL_WARN), `{"opcode":"logBroadcast","payload":{"msg":"a \"line\"","logLevel":"Warn"}}`},
	{"a line", inform(uipb.LogLevel_LOG_LEVEL_INFO), `{"opcode":"logBroadcast","payload":{"msg":"a \"line\"","logLevel":"Info"}}`},
	{"a detail", inform(uipb.LogLevel_LOG_LEVEL_DEBUG), `{"opcode":"logBroadcast","payload":{"msg":"a \"line\"","logLevel":"Debug"}}`},
	{"a step", inform(uipb.LogLevel_LOG_LEVEL_TRACE), `{"opcode":"logBroadcast","payload":{"msg":"a \"line\"","logLevel":"Trace"}}`},
	{"a line without a level", inform(99), `{"opcode":"logBroadcast","payload":{"msg":"a \"line\"","logLevel":"Info"}}`},
	{"lines left out", &linkpb.Dropped{Source: "logBroadcast", Count: 12}, `{"opcode":"logBroadcast","payload":{"msg":"12 log lines were left out here, because this user interface reads too slowly: subscribe to a higher minLogLevel, or read faster","logLevel":"Warn"}}`},
	{"a line left out", &linkpb.Dropped{Count: 1}, `{"opcode":"logBroadcast","payload":{"msg":"1 log line was left out here, because this user interface reads too slowly: subscribe to a higher minLogLevel, or read faster","logLevel":"Warn"}}`},

	{"nodeStats", to("nodeStats", &relaypb.NodeStats{
		Clients: 5, Total: traffic(2, 1.25), Channels: []*relaypb.ChannelStats{{Name: "a", Subscribers: 3, Traffic: traffic(0, 0)}, {Name: "b\"", Subscribers: 1, Traffic: &relaypb.Traffic{Packets: []uint64{9}}}},
	}), `{"opcode":"nodeStats","contextId":7,"payload":{"relay":{"channels":["a","b\""],"clients":5,"channel_connections":{"a":3,"b\"":1}}` +
		`,"network":{"packets":{"1s":2,"15s":3,"60s":4},"bandwidth":{"1s":1.25,"15s":2.25,"60s":3.25},"out":{"1s":2,"15s":0,"60s":18446744073709551615}}` +
		`,"channels":{"a":{"packets":{"1s":0,"15s":1,"60s":2},"bandwidth":{"1s":0,"15s":1,"60s":2},"out":{"1s":0,"15s":0,"60s":18446744073709551615}}` +
		`,"b\"":{"packets":{"1s":9,"15s":0,"60s":0},"bandwidth":{"1s":0,"15s":0,"60s":0},"out":{"1s":0,"15s":0,"60s":0}}}}}`},
	{"nodeStats, figures", to("nodeStats", &relaypb.NodeStats{Total: &relaypb.Traffic{Kilobits: []float64{math.NaN(), math.Inf(1), 1.0 / 3}}}), `{"opcode":"nodeStats","contextId":7,"payload":{"relay":{"channels":[],"clients":0,"channel_connections":{}}` +
		`,"network":{"packets":{"1s":0,"15s":0,"60s":0},"bandwidth":{"1s":0,"15s":0,"60s":0.333},"out":{"1s":0,"15s":0,"60s":0}},"channels":{}}}`},
	{"hostStats", to("hostStats", &relaypb.HostStats{
		Load: []float64{0.5, 1, 2.125}, Memory: &relaypb.Memory{Used: 1, Free: 2, Available: 3, Total: 4},
		Disks: []*relaypb.Disk{{Mount: "/", Used: 5, Free: 6, Total: 11}, {Mount: "/é", Used: 1, Total: 1}},
		Network: []*relaypb.NetworkWindow{
			{Seconds: 15, Count: &relaypb.NetworkCount{BytesIn: 1, BytesOut: 2, PacketsIn: 3, PacketsOut: 4}}, {Seconds: 30, Count: &relaypb.NetworkCount{BytesIn: 5, BytesOut: 6, PacketsIn: 7, PacketsOut: 8}},
		},
	}), `{"opcode":"hostStats","contextId":7,"payload":{"cpu":{"1m":0.5,"5m":1,"15m":2.125},"mem":{"used":1,"free":2,"cache":3,"total":4},"disk":[{"mount":"/","used":5,"free":6,"total":11},{"mount":"/é","used":1,"free":0,"total":1}]` +
		`,"network":{"bytes":{"15s_in":1,"15s_out":2,"30s_in":5,"30s_out":6},"packets":{"15s_in":3,"15s_out":4,"30s_in":7,"30s_out":8}}}}`},
	{"hostStats, nothing sampled", to("hostStats", &relaypb.HostStats{}), `{"opcode":"hostStats","contextId":7,"payload":{"cpu":{"1m":0,"5m":0,"15m":0},"mem":{"used":0,"free":0,"cache":0,"total":0},"disk":[],"network":{"bytes":{},"packets":{}}}}`},
	{"channels", to("channels", &uipb.Channels{Channels: []*relaypb.ChannelStats{{Name: "a", Subscribers: 3}, {Name: "b"}}}), `{"opcode":"channels","contextId":7,"payload":{"channels":[{"name":"a","subscribers":3},{"name":"b","subscribers":0}]}}`},
	{"channels of the mesh", to("channels", &uipb.Channels{Network: true, Holdings: []*uipb.Holding{{Name: "a\"", Protected: true, Holders: []string{"n1", "n2"}}, {Name: "b"}}}), `{"opcode":"channels","contextId":7,"payload":{"channels":[{"name":"a\"","protected":true,"holders":["n1","n2"]},{"name":"b","protected":false,"holders":[]}]}}`},
	{"peers", to("peers", &uipb.Peers{Peers: []*uipb.Peer{{Name: "n2", Address: "h:1", Host: "wss://h/", Dialled: true, Configured: true, Ms: proto.Float64(0.25), Since: 1700000000000, Encoding: "pb", Version: "1.0"}, {Name: "n3", Foreign: true}}}), `{"opcode":"peers","contextId":7,"payload":{"peers":[` +
		`{"name":"n2","address":"h:1","host":"wss://h/","dialled":true,"configured":true,"latency":0.25,"since":1700000000000,"encoding":"pb","foreign":false,"version":"1.0"},` +
		`{"name":"n3","address":"","host":"","dialled":false,"configured":false,"latency":null,"since":0,"encoding":"","foreign":true,"version":""}]}}`},
	{"starPeers", to("starPeers", &uipb.StarPeers{Peers: []string{"/ip4/10.0.0.1/tcp/1/ws/p2p-websocket-star/ipfs/QmA", "a\"b"}, Online: 5, Sockets: 4, Dials: 3}), `{"opcode":"starPeers","contextId":7,"payload":{"peers":["/ip4/10.0.0.1/tcp/1/ws/p2p-websocket-star/ipfs/QmA","a\"b"],"online":5,"sockets":4,"dials":3}}`},
	{"starPeers, nobody", to("starPeers", &uipb.StarPeers{}), `{"opcode":"starPeers","contextId":7,"payload":{"peers":[],"online":0,"sockets":0,"dials":0}}`},
}

func TestFrames(t *testing.T) {
	const before = "before"
	for _, v := range frames {
		got, err := node.Append([]byte(before), v.m)
		if err != nil || string(got) != before+v.want {
			t.Errorf("%s: %v\ngot  %s\nwant %s", v.name, err, strings.TrimPrefix(string(got), before), v.want)
		}
		if !json.Valid([]byte(v.want)) {
			t.Errorf("%s: %s is no JSON", v.name, v.want)
		}
	}
}

// TestEveryBodyHasAFrame: a body that is added to the schema needs one here.
func TestEveryBodyHasAFrame(t *testing.T) {
	seen := map[string]bool{}
	for _, v := range frames {
		if r, ok := v.m.(*uipb.Response); ok {
			seen[string(r.ProtoReflect().WhichOneof(r.ProtoReflect().Descriptor().Oneofs().ByName("body")).Name())] = true
		}
	}
	bodies := (&uipb.Response{}).ProtoReflect().Descriptor().Oneofs().ByName("body").Fields()
	for i := range bodies.Len() {
		if name := string(bodies.Get(i).Name()); !seen[name] {
			t.Errorf("%s has no vector", name)
		}
	}
}

// TestPlaceholders: user interfaces of this protocol read these as required,
// of exactly these types.
func TestPlaceholders(t *testing.T) {
	frame, err := node.Append(nil, to("configuration", &uipb.Configuration{}))
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Payload struct {
			ChainName            *string
			ClandestinePort      *uint16
			CurrentSchemaVersion *string
			GasPrice             *uint64
			NeighborhoodMode     *string
			PastNeighbors        []string
			PaymentThresholds    map[string]uint64
			RatePack             map[string]uint64
			ScanIntervals        map[string]uint64
		}
	}
	if err := json.Unmarshal(frame, &m); err != nil {
		t.Fatal(err)
	}
	p := m.Payload
	if p.ChainName == nil || p.ClandestinePort == nil || p.CurrentSchemaVersion == nil || p.GasPrice == nil || p.NeighborhoodMode == nil || p.PastNeighbors == nil {
		t.Errorf("%s lacks a field", frame)
	}
	if len(p.PaymentThresholds) != 6 || len(p.RatePack) != 4 || len(p.ScanIntervals) != 3 {
		t.Errorf("%s lacks a part of a field", frame)
	}
}

// TestNotOnWire: what has no frame changes nothing.
func TestNotOnWire(t *testing.T) {
	for _, m := range []proto.Message{&uipb.Response{Opcode: "x"}, &uipb.Done{}, &uipb.Request{}, &linkpb.Malformed{}, &linkpb.Closed{}} {
		if got, err := node.Append([]byte("before"), m); !errors.Is(err, link.ErrNotOnWire) || string(got) != "before" {
			t.Errorf("%T: %q, %v", m, got, err)
		}
	}
}
