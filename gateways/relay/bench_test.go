package relay

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"parley/messages/relaypb"
)

func BenchmarkDecodeSend(b *testing.B) {
	for _, size := range []int{128, 4096} {
		frame := fmt.Appendf(nil, `{"command":"send","data":{"message":"%s","channel":"channel1"},"nonce":"abc123"}`, strings.Repeat("x", size))
		b.Run(fmt.Sprintf("message=%dB", size), func(b *testing.B) {
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := first(Codec{}.Decode(frame, false)).(*relaypb.Send); !ok {
					b.Fatal("not understood")
				}
			}
		})
	}
}

func first(m proto.Message, _ uint32) proto.Message { return m }

func BenchmarkAppendMessage(b *testing.B) {
	m := &relaypb.Message{Channel: "channel1", Message: []byte(`"` + strings.Repeat("x", 128) + `"`), Nonce: []byte(`"abc123"`)}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = Codec{}.Append(buf[:0], m)
	}
	b.SetBytes(int64(len(buf)))
}
