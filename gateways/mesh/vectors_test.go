package mesh

import (
	"strings"

	"parley/messages/meshpb"
	"parley/messages/relaypb"
)

var (
	hash      = strings.Repeat("5e8e1c3f", 8)
	otherHash = strings.Repeat("0123abcd", 16) // as another program makes them
)

// vector is a packet and its frame. Frames are those of the wsrelay notes,
// section Intra-Node Message Definitions, and of PROTOCOL.md.
type vector struct {
	name  string
	frame string
	want  *meshpb.Packet // without what it was read from
}

// asked and answered are packets around data.
func asked(data string) string {
	return `{"source":"node-1","destination":"node-2","type":"command","nonce":"abc123","data":` + data + `}`
}

func answered(data string) string {
	return `{"source":"node-2","destination":"node-1","type":"response","nonce":"abc123","data":` + data + `}`
}

func command(c *meshpb.Command) *meshpb.Packet {
	return &meshpb.Packet{Source: "node-1", Destination: "node-2", Nonce: "abc123", Command: c}
}

func response(r *meshpb.Response) *meshpb.Packet {
	return &meshpb.Packet{Source: "node-2", Destination: "node-1", Nonce: "abc123", Response: r}
}

func ptr[T any](v T) *T { return &v }

func refusal(reason string) *meshpb.Response { return &meshpb.Response{Ok: ptr(false), Reason: reason} }

func traffic(packets []uint64, kilobits []float64, out []uint64) *relaypb.Traffic {
	return &relaypb.Traffic{Packets: packets, Kilobits: kilobits, Deliveries: out}
}

func hostWindow(seconds uint32, in, out uint64) *relaypb.NetworkWindow {
	return &relaypb.NetworkWindow{Seconds: seconds, Count: &relaypb.NetworkCount{BytesIn: in, BytesOut: out, PacketsIn: in / 100, PacketsOut: out / 100}}
}

var twoChannels = []*meshpb.Entry{{Name: "channel1", Password: hash}, {Name: "channel2", Password: otherHash}}

// seedVectors are the ten commands of the notes, and all their answers.
var seedVectors = []vector{
	{
		"message", `{"source":"node-1","destination":"*","type":"message","nonce":"some randomly generated data","data":{"message":"SGVsbG8=","channel":"channel name here"}}`,
		&meshpb.Packet{
			Source: "node-1", Destination: "*", Nonce: "some randomly generated data",
			Message: &meshpb.Message{Channel: "channel name here", Payload: []byte(`"Hello"`)},
		},
	},
	{"get-node-connection", asked(`{"command":"get-node-connection","node":"node-3"}`), command(&meshpb.Command{Name: "get-node-connection", Node: "node-3"})},
	{
		"get-node-connection: ok", answered(`{"ok":true,"host":"wss://node3.example.com/","token":"connection token"}`),
		response(&meshpb.Response{Ok: ptr(true), Connection: &meshpb.Connection{Host: "wss://node3.example.com/", Token: "connection token"}}),
	},
	{"get-node-connection: not", answered(`{"ok":false,"reason":"target not connected"}`), response(refusal("target not connected"))},
	{"get-connection-token", asked(`{"command":"get-connection-token","node":"node-1"}`), command(&meshpb.Command{Name: "get-connection-token", Node: "node-1"})},
	{"get-connection-token: ok", answered(`{"token":"connection token"}`), response(&meshpb.Response{Connection: &meshpb.Connection{Token: "connection token"}})},
	{"list-nodes", asked(`{"command":"list-nodes"}`), command(&meshpb.Command{Name: "list-nodes"})},
	{"list-nodes: ok", answered(`{"nodes":["node-3","node-4"]}`), response(&meshpb.Response{Nodes: &meshpb.Nodes{Names: []string{"node-3", "node-4"}}})},
	{"list-channels", asked(`{"command":"list-channels"}`), command(&meshpb.Command{Name: "list-channels"})},
	{
		"list-channels: ok", answered(`{"channels":[{"name":"channel1","password":"` + hash + `"},{"name":"channel2","password":"` + otherHash + `"}]}`),
		response(&meshpb.Response{Listing: &meshpb.Listing{Entries: twoChannels}}),
	},
	{"list-channels: none", answered(`{"channels":[]}`), response(&meshpb.Response{Listing: &meshpb.Listing{}})},
	{"list-reserved-channels", asked(`{"command":"list-reserved-channels"}`), command(&meshpb.Command{Name: "list-reserved-channels"})},
	{
		"reserve-channel", asked(`{"command":"reserve-channel","channel":"channel3","password":"` + hash + `"}`),
		command(&meshpb.Command{Name: "reserve-channel", Channel: "channel3", Password: hash}),
	},
	{"reserve-channel: ok", answered(`{"ok":true}`), response(&meshpb.Response{Ok: ptr(true)})},
	{"reserve-channel: not", answered(`{"ok":false,"reason":"channel already reserved"}`), response(refusal("channel already reserved"))},
	{"unreserve-channel", asked(`{"command":"unreserve-channel","channel":"channel3"}`), command(&meshpb.Command{Name: "unreserve-channel", Channel: "channel3"})},
	{"unreserve-channel: not", answered(`{"ok":false,"reason":"channel still open"}`), response(refusal("channel still open"))},
	{"node-stats", asked(`{"command":"node-stats"}`), command(&meshpb.Command{Name: "node-stats"})},
	{"host-stats", asked(`{"command":"host-stats"}`), command(&meshpb.Command{Name: "host-stats"})},
	{
		"host-stats: ok", answered(`{"cpu":{"1m":0,"5m":0.25,"15m":1.5},"mem":{"used":1000,"free":500,"cache":500,"total":2000},` +
			`"disk":[{"mount":"/","used":0,"free":1000,"total":1000},{"mount":"/home","used":7,"free":3,"total":10}],"network":{` +
			`"bytes":{"15s_in":100,"15s_out":200,"30s_in":200,"30s_out":400,"45s_in":800,"45s_out":1600,"60s_in":3200,"60s_out":6400},` +
			`"packets":{"15s_in":1,"15s_out":2,"30s_in":2,"30s_out":4,"45s_in":8,"45s_out":16,"60s_in":32,"60s_out":64}}}`),
		response(&meshpb.Response{HostStats: &relaypb.HostStats{
			Load: []float64{0, 0.25, 1.5}, Memory: &relaypb.Memory{Used: 1000, Free: 500, Available: 500, Total: 2000},
			Disks:   []*relaypb.Disk{{Mount: "/", Free: 1000, Total: 1000}, {Mount: "/home", Used: 7, Free: 3, Total: 10}},
			Network: []*relaypb.NetworkWindow{hostWindow(15, 100, 200), hostWindow(30, 200, 400), hostWindow(45, 800, 1600), hostWindow(60, 3200, 6400)},
		}}),
	},
	{"get-latency", asked(`{"command":"get-latency","node":"node-2"}`), command(&meshpb.Command{Name: "get-latency", Node: "node-2"})},
	{"get-latency: ok", answered(`{"ok":true,"latency":0.45}`), response(&meshpb.Response{Ok: ptr(true), Latency: ptr(0.45)})},
}

// ownVectors are what goes beyond the notes.
var ownVectors = []vector{
	{
		"message with all there is",
		`{"source":"node-1","destination":"*","type":"message","nonce":"19a9d5f8c00-2a","hops":2,"via":["node-2","node-3"],"tree":"0000000000c0ffee",` +
			`"data":{"message":"eyJhIjpbMSwyXX0=","channel":"channel1","enc":"json","nonce":{"mine":7},"key":"5e8e1c3f3d66a724"}}`,
		&meshpb.Packet{
			Source: "node-1", Destination: "*", Boot: 0x19a9d5f8c00, Seq: 42, Hops: 2, Via: []string{"node-2", "node-3"}, Tree: 0xc0ffee,
			Message: &meshpb.Message{Channel: "channel1", Payload: []byte(`{"a":[1,2]}`), Nonce: []byte(`{"mine":7}`), Key: ptr("5e8e1c3f3d66a724")},
		},
	},
	{
		"message of a channel without a password", `{"source":"n","destination":"*","type":"message","nonce":"1-0","data":{"message":"","channel":"c","key":""}}`,
		&meshpb.Packet{Source: "n", Destination: "*", Boot: 1, Message: &meshpb.Message{Channel: "c", Payload: []byte(`""`), Key: ptr("")}},
	},
	{
		"reserve-channel with a claim",
		asked(`{"command":"reserve-channel","channel":"c","password":"","ts":1763000000000,"owner":"node-1","boot":1762999999999,"ver":3}`),
		command(&meshpb.Command{
			Name: "reserve-channel", Channel: "c", Claim: &meshpb.Claim{Ts: 1763000000000, Owner: "node-1"}, Boot: 1762999999999, Ver: 3,
		}),
	},
	{
		"reserve-channel for others",
		asked(`{"command":"reserve-channel","node":"node-9","channel":"c","password":"","ts":1,"owner":"node-9","open":false,"holders":["node-9"]}`),
		command(&meshpb.Command{
			Name: "reserve-channel", Node: "node-9", Channel: "c", Claim: &meshpb.Claim{Ts: 1, Owner: "node-9"}, Open: ptr(false), Holders: []string{"node-9"},
		}),
	},
	{
		"reserve-channel: lost", answered(`{"ok":false,"reason":"channel already reserved","password":"` + hash + `","ts":5,"owner":"node-3"}`),
		response(&meshpb.Response{
			Ok: ptr(false), Reason: "channel already reserved", Winner: &meshpb.Entry{Password: hash, Claim: &meshpb.Claim{Ts: 5, Owner: "node-3"}},
		}),
	},
	{
		"unreserve-channel with a version", asked(`{"command":"unreserve-channel","channel":"c","boot":7,"ver":9}`),
		command(&meshpb.Command{Name: "unreserve-channel", Channel: "c", Boot: 7, Ver: 9}),
	},
	{
		"list-channels: a record", answered(`{"channels":[{"name":"c","password":"","ts":5,"owner":"node-2"}],"boot":7,"ver":4,"partial":true,` +
			`"records":[{"node":"node-2","boot":7,"ver":1,"channels":[{"name":"c","password":"","ts":5,"owner":"node-2"}]},{"node":"node-5","boot":8,"ver":2,"age":31,"partial":true,"channels":[]}]}`),
		response(&meshpb.Response{Listing: &meshpb.Listing{
			Entries: []*meshpb.Entry{{Name: "c", Claim: &meshpb.Claim{Ts: 5, Owner: "node-2"}}}, Boot: 7, Ver: 4, Partial: true,
			Records: []*meshpb.Record{
				{Node: "node-2", Boot: 7, Ver: 1, Entries: []*meshpb.Entry{{Name: "c", Claim: &meshpb.Claim{Ts: 5, Owner: "node-2"}}}},
				{Node: "node-5", Boot: 8, Ver: 2, Age: 31, Partial: true},
			},
		}}),
	},
	{
		"hello",
		`{"source":"node-1","destination":"*","type":"command","nonce":"7-1","hops":1,"data":{"command":"hello","boot":7,"ver":3,"links":{"node-2":0.45,"node-3":12},"master":true,"round":4,"leaf":true,"host":"wss://node1.example.com"}}`,
		&meshpb.Packet{Source: "node-1", Destination: "*", Boot: 7, Seq: 1, Hops: 1, Command: &meshpb.Command{Name: "hello", Hello: &meshpb.Hello{
			Boot: 7, Ver: 3, Links: []*meshpb.LinkCost{{Peer: "node-2", Ms: 0.45}, {Peer: "node-3", Ms: 12}}, Master: true, Round: 4, Leaf: true, Host: "wss://node1.example.com",
		}}},
	},
	{
		"sync", asked(`{"command":"sync","records":[{"node":"node-5","boot":8,"ver":2,"channels":[{"name":"c","password":"` + hash + `"}]}]}`),
		command(&meshpb.Command{Name: "sync", Records: []*meshpb.Record{{Node: "node-5", Boot: 8, Ver: 2, Entries: []*meshpb.Entry{{Name: "c", Password: hash}}}}}),
	},
	{
		"reserve-channel: lost, and which", answered(`{"ok":false,"reason":"channel already reserved","channel":"c","password":"","ts":5,"owner":"node-3"}`),
		response(&meshpb.Response{
			Ok: ptr(false), Reason: "channel already reserved", Winner: &meshpb.Entry{Name: "c", Claim: &meshpb.Claim{Ts: 5, Owner: "node-3"}},
		}),
	},
	{
		"return to sender", answered(`{"ok":false,"reason":"return to sender","destination":"node-9"}`),
		response(&meshpb.Response{Ok: ptr(false), Reason: "return to sender", Destination: "node-9"}),
	},
	{
		"node-stats: ok", answered(`{"relay":{"channels":["channel1","channel2"],"clients":5,"channel_connections":{"channel1":3,"channel2":4}},` +
			`"network":{"packets":{"1s":2,"15s":30,"60s":63},"bandwidth":{"1s":1.3,"15s":41.2,"60s":124.6},"out":{"1s":4,"15s":60,"60s":126}},` +
			`"channels":{"channel1":{"packets":{"1s":2,"15s":30,"60s":63},"bandwidth":{"1s":1.3,"15s":41.2,"60s":124.6},"out":{"1s":4,"15s":60,"60s":126}},` +
			`"channel2":{"packets":{"1s":0,"15s":0,"60s":0},"bandwidth":{"1s":0,"15s":0,"60s":0},"out":{"1s":0,"15s":0,"60s":0}}}}`),
		response(&meshpb.Response{NodeStats: &relaypb.NodeStats{
			Clients: 5, Total: traffic([]uint64{2, 30, 63}, []float64{1.3, 41.2, 124.6}, []uint64{4, 60, 126}),
			Channels: []*relaypb.ChannelStats{
				{Name: "channel1", Subscribers: 3, Traffic: traffic([]uint64{2, 30, 63}, []float64{1.3, 41.2, 124.6}, []uint64{4, 60, 126})},
				{Name: "channel2", Subscribers: 4, Traffic: traffic([]uint64{0, 0, 0}, []float64{0, 0, 0}, []uint64{0, 0, 0})},
			},
		}}),
	},
}
