package mesh

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"parley/messages/meshpb"
)

// benchmarked is a message of 128 B as a node sends it.
func benchmarked(seq uint64) *meshpb.Packet {
	return &meshpb.Packet{
		Source: "node-1", Destination: "*", Boot: 1763000000000, Seq: seq, Hops: 1, Tree: 0x1234567812345678,
		Message: &meshpb.Message{
			Channel: "channel1", Payload: []byte(`"` + strings.Repeat("x", 128) + `"`), Nonce: []byte(`"abc123"`), Key: ptr("0123456789abcdef"),
		},
	}
}

func BenchmarkMessage(b *testing.B) {
	p := benchmarked(12345)
	many := &meshpb.Frame{}
	for seq := range uint64(32) {
		many.Packets = append(many.Packets, benchmarked(seq))
	}
	for _, v := range []struct {
		name    string
		m       proto.Message
		binary  bool
		packets int
	}{{"json", p, false, 1}, {"protobuf", frameOf(p), true, 1}, {"protobuf", many, true, 32}} {
		frame, err := Codec{}.Append(nil, v.m)
		if err != nil {
			b.Fatal(err)
		}
		each := func(b *testing.B) {
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*v.packets), "ns/message")
		}
		b.Run(fmt.Sprintf("encode/%s/packets=%d", v.name, v.packets), func(b *testing.B) {
			b.ReportAllocs()
			var buf []byte
			for b.Loop() {
				buf, _ = Codec{}.Append(buf[:0], v.m)
			}
			each(b)
		})
		b.Run(fmt.Sprintf("decode/%s/packets=%d", v.name, v.packets), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m, _ := Codec{}.Decode(frame, v.binary)
				if _, ok := m.(*meshpb.Frame); !ok {
					b.Fatal(m)
				}
			}
			each(b)
		})
	}
}
