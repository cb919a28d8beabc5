package enclave

import (
	"fmt"
	"strings"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/gateways/guard"
	"parley/gateways/tcp"
	"parley/messages"
	"parley/messages/enclavepb"
	"parley/messages/linkpb"
)

// benchmarked is a message of 64 B as a node sends it to one of its own kind.
func benchmarked(i int) *enclavepb.Packet {
	return &enclavepb.Packet{Message: proto.String(strings.Repeat("x", 64)), Timestamp: proto.Int64(1795219316), Id: fmt.Sprintf("1y2p0ij32e8e7-%x", i)}
}

func BenchmarkDecode(b *testing.B) {
	message, _ := Codec{}.Append(nil, benchmarked(77))
	for name, frame := range map[string][]byte{
		"message":   message,
		"handshake": []byte(goldens[0].wire[4:]),
		"unknown":   []byte(`{"message":"hi","x":{"y":[1,2,3]},"z":null}`),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if m, _ := (Codec{}).Decode(frame, false); m.(*enclavepb.Packet) == nil {
					b.Fatal(m)
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	many := &enclavepb.Packets{}
	for i := range 256 {
		many.Packets = append(many.Packets, benchmarked(i))
	}
	for _, c := range []struct {
		name string
		m    proto.Message
		n    int
	}{{"message", many.GetPackets()[0], 1}, {"handshake", goldens[0].packet, 1}, {"burst", many, len(many.GetPackets())}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			var buf []byte
			for b.Loop() {
				buf, _ = Codec{}.AppendFrames(buf[:0], tcp.Framing{}, c.m)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*c.n), "ns/message")
		})
	}
}

// sendNext has a burst's sender begin.
type sendNext struct{ link *actor.PID }

// BenchmarkLink sends messages in bursts over one link on loopback, the next when
// there is room: from one actor to another.
func BenchmarkLink(b *testing.B) {
	for _, burst := range []int{256, 32, 1} {
		b.Run(fmt.Sprintf("burst=%d", burst), func(b *testing.B) {
			done := make(chan struct{})
			got, charge := 0, uint32(0)
			near := newHouse(b, guard.Limits{}, func(h *house) {
				h.mute = true
				h.hear = func(ctx actor.Context, p *enclavepb.Packet) {
					got++
					if charge += p.GetCharge(); charge >= 16 {
						ctx.Send(ctx.Sender(), &linkpb.Settled{Charge: charge})
						charge = 0
					}
					if got == b.N {
						close(done)
					}
				}
			})
			far := newHouse(b, guard.Limits{}, func(h *house) { h.mute = true })
			if failed := far.dialler().Dial(&enclavepb.Dial{Ticket: 1, Address: near.listener.Addr().String()}); failed != nil {
				b.Fatal(failed)
			}
			far.until(b, "link", func() bool { return len(far.pids) == 1 })
			sent := 0
			next := func(ctx actor.Context, link *actor.PID) {
				n := min(burst, b.N-sent)
				if n == 0 {
					return
				}
				all := make([]*enclavepb.Packet, n)
				for i := range all {
					all[i] = benchmarked(sent + i)
				}
				sent += n
				ctx.Request(link, &messages.Paced{Message: &enclavepb.Packets{Packets: all}, Size: 100 * n})
			}
			b.ResetTimer()
			sender := tree.Spawn(far.sys.Root, "", tree.Spec{New: func() actor.Actor {
				return actor.ReceiveFunc(func(ctx actor.Context) {
					switch m := ctx.Message().(type) {
					case sendNext:
						next(ctx, m.link)
					case *linkpb.Taken:
						next(ctx, far.pids[0])
					}
				})
			}})
			far.sys.Root.Send(sender, sendNext{far.pids[0]})
			<-done
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
			_ = far.sys.Root.StopFuture(sender).Wait()
		})
	}
}
