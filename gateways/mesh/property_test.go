package mesh

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	"parley/messages/meshpb"
	"parley/messages/relaypb"
)

// What packets are drawn from.
var (
	nodeNames    = rapid.StringMatching(`[A-Za-z0-9._-]{1,12}`)
	channelNames = rapid.StringMatching(`[a-z"\\/ é€😀]{1,12}`)
	integers     = rapid.Uint64Range(0, maxInteger)
	wide         = rapid.Uint64()
	hashes       = rapid.SampledFrom([]string{"", hash, otherHash})
	times        = rapid.Float64Range(0, maxMs)
	texts        = rapid.StringMatching(`[ -~é€]{0,20}`)
	clientTexts  = rapid.OneOf(rapid.String(), rapid.StringN(0, 300, -1), rapid.StringMatching(`["\\\x00-\x1f/é€😀a-z]{0,30}`))
	values       = rapid.SampledFrom([]string{`7`, `-1.50e3`, `null`, `true`, `{"a":[1,{"b":"\u0041"}]}`, `[]`, `{}`, `[ 1, 2 ]`})
)

func quoted(s string) []byte {
	b, _ := jsontext.AppendQuote(nil, strings.ToValidUTF8(s, "?"))
	return b
}

func maybe[T any](t *rapid.T, g *rapid.Generator[T]) (v T) {
	if rapid.Bool().Draw(t, "there") {
		v = g.Draw(t, "value")
	}
	return v
}

func maybePtr[T any](t *rapid.T, g *rapid.Generator[T]) *T {
	if rapid.Bool().Draw(t, "there") {
		return ptr(g.Draw(t, "value"))
	}
	return nil
}

func few[T any](t *rapid.T, g *rapid.Generator[T]) []T {
	return rapid.SliceOfN(g, 0, 4).Draw(t, "list")
}

// distinct are sorted, and none is there twice.
func distinct(t *rapid.T, g *rapid.Generator[string]) []string {
	list := rapid.SliceOfNDistinct(g, 0, 4, rapid.ID[string]).Draw(t, "names")
	slices.Sort(list)
	return list
}

func drawnPacket(t *rapid.T) *meshpb.Packet {
	p := &meshpb.Packet{
		Source: nodeNames.Draw(t, "source"), Destination: rapid.OneOf(rapid.Just("*"), nodeNames).Draw(t, "destination"),
		Hops: maybe(t, rapid.Uint32()),
	}
	if rapid.Bool().Draw(t, "own") {
		p.Boot, p.Seq = rapid.Uint64Min(1).Draw(t, "boot"), wide.Draw(t, "seq")
	} else {
		p.Nonce = "x" + texts.Draw(t, "nonce")
	}
	switch rapid.IntRange(0, 2).Draw(t, "type") {
	case 0:
		p.Message = drawnMessage(t)
		p.Via, p.Tree = few(t, nodeNames), maybe(t, wide)
	case 1:
		p.Command = drawnCommand(t)
	default:
		p.Response = drawnResponse(t)
	}
	return p
}

func drawnMessage(t *rapid.T) *meshpb.Message {
	m := &meshpb.Message{Channel: channelNames.Draw(t, "channel"), Key: maybePtr(t, rapid.SampledFrom([]string{"", hash[:keyDigits]}))}
	value := func() []byte {
		if rapid.Bool().Draw(t, "text") {
			return quoted(clientTexts.Draw(t, "text"))
		}
		return []byte(values.Draw(t, "value"))
	}
	m.Payload = value()
	if rapid.Bool().Draw(t, "nonce") {
		m.Nonce = value()
	}
	return m
}

func drawnCommand(t *rapid.T) *meshpb.Command {
	c := &meshpb.Command{Name: rapid.SampledFrom([]string{
		cmdConnection, cmdToken, cmdLatency, cmdReserve, cmdUnreserve, cmdHello, cmdSync, "list-nodes", "list-channels", "dance",
	}).Draw(t, "name")}
	switch c.GetName() {
	case cmdConnection, cmdToken, cmdLatency:
		c.Node = nodeNames.Draw(t, "node")
	case cmdReserve, cmdUnreserve:
		c.Channel, c.Node = channelNames.Draw(t, "channel"), maybe(t, nodeNames)
		c.Boot, c.Ver = maybe(t, integers), maybe(t, integers)
		if c.GetName() == cmdReserve {
			c.Password, c.Claim, c.Open, c.Holders = hashes.Draw(t, "hash"), drawnClaim(t), maybePtr(t, rapid.Bool()), few(t, nodeNames)
		}
	case cmdHello:
		c.Hello = &meshpb.Hello{Boot: integers.Draw(t, "boot"), Ver: integers.Draw(t, "ver"), Master: rapid.Bool().Draw(t, "master"), Round: maybe(t, integers), Leaf: rapid.Bool().Draw(t, "leaf"), Host: maybe(t, texts)}
		for _, peer := range distinct(t, nodeNames) {
			c.Hello.Links = append(c.Hello.Links, &meshpb.LinkCost{Peer: peer, Ms: times.Draw(t, "ms")})
		}
	case cmdSync:
		c.Records = drawnRecords(t)
	}
	return c
}

func drawnClaim(t *rapid.T) *meshpb.Claim {
	if rapid.Bool().Draw(t, "claim") {
		return &meshpb.Claim{Ts: integers.Draw(t, "ts"), Owner: nodeNames.Draw(t, "owner")}
	}
	return nil
}

func drawnEntries(t *rapid.T) (list []*meshpb.Entry) {
	for _, name := range distinct(t, channelNames) {
		list = append(list, &meshpb.Entry{Name: name, Password: hashes.Draw(t, "hash"), Claim: drawnClaim(t)})
	}
	return list
}

func drawnRecords(t *rapid.T) (list []*meshpb.Record) {
	for _, node := range few(t, nodeNames) {
		list = append(list, &meshpb.Record{Node: node, Boot: integers.Draw(t, "boot"), Ver: integers.Draw(t, "ver"), Age: maybe(t, rapid.Uint32()), Partial: rapid.Bool().Draw(t, "partial"), Entries: drawnEntries(t)})
	}
	return list
}

func drawnResponse(t *rapid.T) *meshpb.Response {
	m := &meshpb.Response{Ok: maybePtr(t, rapid.Bool()), Reason: maybe(t, texts), Destination: maybe(t, nodeNames)}
	switch rapid.IntRange(0, 7).Draw(t, "part") {
	case 0:
		m.Nodes = &meshpb.Nodes{Names: few(t, nodeNames)}
	case 1:
		m.Listing = &meshpb.Listing{Entries: drawnEntries(t), Records: drawnRecords(t)}
		if rapid.Bool().Draw(t, "record") {
			m.Listing.Boot, m.Listing.Ver = rapid.Uint64Range(1, maxInteger).Draw(t, "boot"), integers.Draw(t, "ver")
			m.Listing.Partial = rapid.Bool().Draw(t, "partial")
		}
	case 2:
		m.Connection = &meshpb.Connection{Host: maybe(t, texts), Token: "x" + texts.Draw(t, "token")}
	case 3:
		m.Latency = ptr(times.Draw(t, "ms"))
	case 4:
		m.NodeStats = &relaypb.NodeStats{Clients: rapid.Uint32().Draw(t, "clients"), Total: drawnTraffic(t)}
		for _, name := range distinct(t, channelNames) {
			m.NodeStats.Channels = append(m.NodeStats.Channels, &relaypb.ChannelStats{Name: name, Subscribers: rapid.Uint32().Draw(t, "subscribers"), Traffic: drawnTraffic(t)})
		}
	case 5:
		m.HostStats = drawnHost(t)
	case 6:
		m.Winner = &meshpb.Entry{Name: maybe(t, channelNames), Password: hashes.Draw(t, "hash"), Claim: &meshpb.Claim{Ts: integers.Draw(t, "ts"), Owner: nodeNames.Draw(t, "owner")}}
	}
	return m
}

func drawnTraffic(t *rapid.T) *relaypb.Traffic {
	return traffic(rapid.SliceOfN(integers, 3, 3).Draw(t, "packets"), rapid.SliceOfN(times, 3, 3).Draw(t, "kilobits"), rapid.SliceOfN(integers, 3, 3).Draw(t, "out"))
}

func drawnHost(t *rapid.T) *relaypb.HostStats {
	n := func() uint64 { return integers.Draw(t, "n") }
	s := &relaypb.HostStats{
		Load:   rapid.SliceOfN(times, 3, 3).Draw(t, "load"),
		Memory: &relaypb.Memory{Used: n(), Free: n(), Available: n(), Total: n()},
	}
	for _, mount := range few(t, texts) {
		s.Disks = append(s.Disks, &relaypb.Disk{Mount: mount, Used: n(), Free: n(), Total: n()})
	}
	for _, seconds := range hostWindows {
		s.Network = append(s.Network, &relaypb.NetworkWindow{Seconds: seconds, Count: &relaypb.NetworkCount{BytesIn: n(), BytesOut: n(), PacketsIn: n(), PacketsOut: n()}})
	}
	return s
}

// through is a packet on the other side of a link.
func through(m proto.Message, binary bool) (*meshpb.Packet, error) {
	frame, err := Codec{}.Append(nil, m)
	if err != nil {
		return nil, err
	}
	got, _ := Codec{}.Decode(frame, binary)
	f, ok := got.(*meshpb.Frame)
	if !ok || len(f.GetPackets()) != 1 {
		return nil, fmt.Errorf("%.500q became %v", frame, got)
	}
	for i := range frame { // its memory is used again
		frame[i] ^= 0x55
	}
	return f.GetPackets()[0], nil
}

// TestEncodingsAgree: a packet means the same over every kind of link, and over
// any two of them.
func TestEncodingsAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawnPacket(t)
		same := func(way string, got *meshpb.Packet, err error) *meshpb.Packet {
			if err != nil {
				t.Fatalf("%s: %v", way, err)
			}
			if d := cmp.Diff(p, without(got), protocmp.Transform()); d != "" {
				t.Fatalf("%s: want -, got +:\n%s", way, d)
			}
			return got
		}
		text, err := through(p, false)
		same("json", text, err)
		binary, err := through(frameOf(p), true)
		same("protobuf", binary, err)
		again, err := through(frameOf(text), true)
		same("json, protobuf", again, err)
		if string(again.GetJson()) != string(text.GetJson()) {
			t.Fatalf("%s became %s", text.GetJson(), again.GetJson())
		}
		back, err := through(binary, false)
		same("protobuf, json", back, err)
	})
}

// TestManyPackets in one frame keep their order.
func TestManyPackets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := &meshpb.Frame{}
		for range rapid.IntRange(1, 5).Draw(t, "packets") {
			f.Packets = append(f.Packets, drawnPacket(t))
		}
		wire, err := Codec{}.Append(nil, f)
		if err != nil {
			t.Fatal(err)
		}
		got, charge := Codec{}.Decode(wire, true)
		f.Charge = charge
		if d := cmp.Diff(f, got, protocmp.Transform()); d != "" {
			t.Fatalf("want -, got +:\n%s", d)
		}
	})
}
