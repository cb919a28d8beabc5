package link

import (
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"parley/actors/tree"
	"parley/messages"
)

// members is a list of 1 to n.
func members(n int) []uint64 {
	m := make([]uint64, n)
	for i := range m {
		m[i] = uint64(i + 1)
	}
	return m
}

// burst is a batch of n messages of 128 B to one list, from a sender that is no
// member.
func burst(n int, list []uint64) *tree.Batch {
	text := strings.Repeat("x", 128)
	b := &tree.Batch{}
	for range n {
		b.Messages = append(b.Messages, post(text, 1<<40, list))
	}
	return b
}

// again makes the messages of a batch new: none has been encoded.
func again(b *tree.Batch) {
	for _, m := range b.Messages {
		m := m.(*messages.Multicast)
		m.Frame = &messages.Shared{Message: m.Frame.Message}
	}
}

func BenchmarkFanout(b *testing.B) {
	const n = 1000
	for _, inFlight := range []int{1, 32} {
		for _, sockets := range []bool{false, true} {
			b.Run(fmt.Sprintf("sockets=%v/inflight=%d", sockets, inFlight), func(b *testing.B) {
				sys := tree.New(tree.Options{})
				defer sys.Shutdown()
				s := newTable(newKind(sys, nil), n, true)
				if sockets {
					onSockets(b, s)
				}
				batch := burst(inFlight, members(n))
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				b.ResetTimer()
				for b.Loop() {
					again(batch)
					s.onBatch(batch)
				}
				runtime.ReadMemStats(&after)
				deliveries := float64(b.N) * n * float64(inFlight)
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/deliveries, "ns/delivery")
				b.ReportMetric(float64(after.Mallocs-before.Mallocs)/deliveries, "allocs/delivery")
			})
		}
	}
}

// onSockets puts a table on real connections whose other ends are read and
// forgotten.
func onSockets(b *testing.B, s *table) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	l := Listener(ln)
	for id, o := range s.links {
		far, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		near, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		o.conn = near.(*Conn)
		o.w = o.conn
		o.conn.Release()
		s.links[id] = o
		done := make(chan struct{})
		go func() {
			defer close(done)
			buf := make([]byte, 64<<10)
			for {
				if _, err := far.Read(buf); err != nil {
					return
				}
			}
		}()
		b.Cleanup(func() {
			_, _ = near.Close(), far.Close()
			<-done
		})
	}
}

func BenchmarkOutboundSend(b *testing.B) {
	sys := tree.New(tree.Options{})
	defer sys.Shutdown()
	for _, n := range []int{1, 8} {
		b.Run(fmt.Sprintf("chunks=%d", n), func(b *testing.B) {
			s := newTable(newKind(sys, nil), 1, true)
			chunks := make([]chunk, n)
			for i := range chunks {
				chunks[i] = chunk{wire: frame(strings.Repeat("x", 128)), frames: 1}
			}
			var join []byte
			b.ReportAllocs()
			for b.Loop() {
				join = s.links[1].send(join, chunks...)
			}
		})
	}
}

// TestDeliveriesDoNotAllocate compares a batch for few members with one for
// many: what the others cost must not be memory.
func TestDeliveriesDoNotAllocate(t *testing.T) {
	sys := tree.New(tree.Options{})
	defer sys.Shutdown()
	k := newKind(sys, nil)
	for _, c := range []struct {
		name  string
		batch func(list []uint64) *tree.Batch
	}{
		{"one message", func(list []uint64) *tree.Batch { return burst(1, list) }},
		{"a burst", func(list []uint64) *tree.Batch { return burst(32, list) }},
		{"a burst with an answer", func(list []uint64) *tree.Batch {
			b := burst(32, list)
			last := b.Messages[31].(*messages.Multicast)
			last.Origin, last.Answer = 3, wrapperspb.String("ok")
			for _, m := range b.Messages {
				m.(*messages.Multicast).Origin = 3
			}
			return b
		}},
		{"two groups", func(list []uint64) *tree.Batch {
			b := burst(4, list)
			b.Messages = append(b.Messages, burst(4, append([]uint64(nil), list...)).Messages...)
			return b
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cost := func(n int) float64 {
				s, b := newTable(k, n, true), c.batch(members(n))
				s.onBatch(b) // scratch space grows once
				return testing.AllocsPerRun(10, func() {
					again(b)
					s.onBatch(b)
				})
			}
			few, many := cost(10), cost(1010)
			if each := (many - few) / 1000; each > 0.01 {
				t.Errorf("%.2f allocations a member (%v for 10, %v for 1010)", each, few, many)
			}
		})
	}
}
