package enclave

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"parley/gateways/guard"
	"parley/gateways/tcp"
	"parley/messages"
	"parley/messages/enclavepb"
	"parley/messages/linkpb"
)

func (h *house) dialler() *Dialler {
	return &Dialler{Kind: h.kind, Links: h.links, Sockets: tcp.Dialler{Limit: UsualPacket, Local: netip.MustParseAddr("127.0.0.2")}}
}

// TestLink: two nodes, one of which dials from the address that it listens on; what
// one says the other hears, in order, also many packets at once.
func TestLink(t *testing.T) {
	a, b := newHouse(t, guard.Limits{}, nil), newHouse(t, guard.Limits{}, nil)
	if failed := b.dialler().Dial(&enclavepb.Dial{Ticket: 7, Address: a.listener.Addr().String()}); failed != nil {
		t.Fatal(failed)
	}
	for _, h := range []*house{a, b} {
		h.until(t, "handshake", func() bool { return len(h.heard) == 1 })
		if !proto.Equal(plain(h.heard[0]), handshake()) {
			t.Errorf("heard %v", h.heard[0])
		}
	}
	if o := a.opened[0]; o.GetProtocol() != "enclave" || !strings.HasPrefix(o.GetRemote(), "127.0.0.2:") || o.GetTicket() != 0 {
		t.Errorf("opened %v", o)
	}
	if o := b.opened[0]; o.GetRemote() != a.listener.Addr().String() || o.GetTicket() != 7 {
		t.Errorf("opened %v", o)
	}
	var want []*enclavepb.Packet
	for i := range 300 {
		p := &enclavepb.Packet{Message: proto.String(fmt.Sprint(i, strings.Repeat("x", i*i%5000))), Timestamp: proto.Int64(int64(i)), Id: fmt.Sprint("k-", i)}
		want = append(want, p)
	}
	for _, h := range []*house{a, b} {
		other := a
		if h == a {
			other = b
		}
		for i, p := range want[:100] {
			if i%2 == 0 {
				h.sys.Root.Send(h.pids[0], p)
			} else {
				h.sys.Root.Send(h.pids[0], &messages.Paced{Message: p, Charge: 1})
			}
		}
		h.sys.Root.Send(h.pids[0], &messages.Paced{Message: &enclavepb.Packets{Packets: want[100:]}, Charge: 1})
		other.until(t, "messages", func() bool { return len(other.heard) == 1+len(want) })
		for i, p := range want {
			if !proto.Equal(plain(other.heard[1+i]), p) {
				t.Fatalf("%.100v came as %.100v", p, other.heard[1+i])
			}
		}
	}
	b.sys.Root.Send(b.pids[0], &linkpb.Close{Code: 1000})
	for _, h := range []*house{a, b} {
		h.until(t, "end", func() bool { return h.gone == 1 })
	}
}

// TestPaced: who paces a message learns when there is room for more.
func TestPaced(t *testing.T) {
	h := newHouse(t, guard.Limits{}, nil)
	c := h.call(t)
	h.until(t, "link", func() bool { return len(h.pids) == 1 })
	h.mu.Lock()
	link := h.pids[0]
	h.mu.Unlock()
	h.sys.Root.RequestWithCustomSender(link, &messages.Paced{Message: &enclavepb.Packets{Packets: []*enclavepb.Packet{words("a"), words("b")}}, Charge: 5}, h.hall)
	h.until(t, "answer", func() bool { return h.taken == 5 })
	want := goldens[0].wire + frame(words("a")) + frame(words("b"))
	got := make([]byte, len(want))
	if _, err := readFull(c, got); err != nil || string(got) != want {
		t.Errorf("%q, %v", got, err)
	}
}

// TestHandshakeBytes: what a caller gets, byte for byte, before it has said a word;
// and what this node reads of the public program's own.
func TestHandshakeBytes(t *testing.T) {
	h := newHouse(t, guard.Limits{}, nil)
	c := h.call(t)
	got := make([]byte, len(goldens[0].wire))
	if _, err := readFull(c, got); err != nil || string(got) != goldens[0].wire {
		t.Fatalf("%q, %v", got, err)
	}
	for _, v := range vectors {
		_, _ = c.Write([]byte(v.wire))
	}
	h.until(t, "packets", func() bool { return len(h.heard) == len(vectors) })
	for i, v := range vectors {
		if !proto.Equal(plain(h.heard[i]), v.want) {
			t.Errorf("%q came as %v", v.wire, h.heard[i])
		}
	}
	_ = c.CloseWrite() // a peer that is gone is no peer
	h.until(t, "end", func() bool { return h.gone == 1 })
}

// TestStrangeBytes: nonsense in packets is told of, nonsense in lengths ends the
// link, and neither does anything to others.
func TestStrangeBytes(t *testing.T) {
	h := newHouse(t, guard.Limits{}, func(h *house) { h.mute = true })
	honest := h.call(t)
	h.until(t, "link", func() bool { return h.serving == 1 })
	for _, text := range []string{
		"GET / HTTP/1.1\r\n\r\n", "\xff\xff\xff\xff", "\x00\x01\x00\x01" + strings.Repeat("x", UsualPacket+1), "\x80\x00\x00\x00{}", "SSH-2.0-x\r\n", "\x16\x03\x01\x02\x00\x01",
	} {
		c := h.call(t)
		_, _ = c.Write([]byte(text))
		if got := hangUp(t, c); got != "" {
			t.Errorf("%.20q was answered with %q", text, got)
		}
	}
	c := h.call(t)
	_, _ = c.Write([]byte("\x00\x00\x00\x00\x00\x00\x00\x02[]\x00\x00\x00\x01{\x00\x00\x00\x02{}"))
	_, _ = honest.Write([]byte(vectors[0].wire))
	h.until(t, "packets", func() bool { return len(h.heard) == 4 })
	bad, good := 0, 0
	for _, m := range h.heard {
		switch plain(m).(type) {
		case *linkpb.Malformed:
			bad++
		default:
			good++
		}
	}
	if bad != 2 || good != 2 {
		t.Errorf("heard %v", h.heard)
	}
	h.until(t, "ends", func() bool { return h.gone == 6 })
}

// TestSlowReader: a peer that does not read is cut when more than its share waits.
func TestSlowReader(t *testing.T) {
	h := newHouse(t, guard.Limits{}, nil)
	c := h.call(t)
	_ = c.SetReadBuffer(4 << 10)
	h.until(t, "link", func() bool { return len(h.pids) == 1 })
	big := words(strings.Repeat("x", 60<<10))
	for range 3 * outboundLimit / len(big.GetMessage()) {
		h.sys.Root.Send(h.pids[0], big)
	}
	hangUp(t, c)
	h.until(t, "end", func() bool { return h.gone == 1 })
}

// TestDialFailed: what cannot be reached is told.
func TestDialFailed(t *testing.T) {
	h := newHouse(t, guard.Limits{}, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	for _, address := range []string{l.Addr().String(), "localhost:1", "[::1]:1", ""} {
		if f := h.dialler().Dial(&enclavepb.Dial{Ticket: 9, Address: address}); f.GetTicket() != 9 || f.GetReason() == "" {
			t.Errorf("%q: %v", address, f)
		}
	}
	d := h.dialler()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d.Context = ctx
	if f := d.Dial(&enclavepb.Dial{Ticket: 9, Address: h.listener.Addr().String()}); f == nil {
		t.Error("dialled after the end")
	}
}

const (
	strangers = 10_000
	served    = 64
)

// TestStrangers: ten thousand that connect, of whom few say anything, are bounded
// by the door and by who serves; one that is served is served on.
func TestStrangers(t *testing.T) {
	h := newHouse(t, guard.Limits{MaxConns: 512, HalfOpenTotal: 256}, func(h *house) { h.most, h.mute = served, true })
	honest := h.call(t)
	_, _ = honest.Write([]byte(vectors[0].wire))
	h.until(t, "honest peer", func() bool { return len(h.heard) == 1 })
	before := memory()
	var crowd sync.WaitGroup
	var most uint64
	for worker := range 8 {
		crowd.Go(func() {
			var held []net.Conn
			for i := range strangers / 8 {
				c, err := net.Dial("tcp", h.listener.Addr().String())
				if err != nil {
					continue // it was reset
				}
				switch i % 4 {
				case 0:
					_, _ = c.Write([]byte(vectors[0].wire[:i%70]))
				case 1:
					_, _ = c.Write([]byte("\x00\x00\xff\xff{")) // and nothing more
				}
				if held = append(held, c); len(held) == 100 { // they stay for a while
					for _, c := range held {
						_ = c.Close()
					}
					held = nil
				}
				if worker == 0 && i%100 == 0 {
					most = max(most, memory())
				}
			}
			for _, c := range held {
				_ = c.Close()
			}
		})
	}
	crowd.Wait()
	if grown := int64(most) - int64(before); grown > 32<<20 {
		t.Errorf("%d MiB more", grown>>20)
	}
	h.mu.Lock()
	serving, refused := h.serving, h.refused
	h.mu.Unlock()
	if serving != served {
		t.Errorf("%d are served", serving)
	}
	t.Logf("%d refused by who serves, %v at the door, %d KiB more at most", refused, h.listener.Door.Counts(), (int64(most)-int64(before))>>10)
	_, _ = honest.Write([]byte(frame(words("still here"))))
	h.until(t, "word of the honest peer", func() bool {
		last, ok := h.heard[len(h.heard)-1].(*enclavepb.Packet)
		return ok && last.GetMessage() == "still here"
	})
}

// memory is what the heap holds, in bytes.
func memory() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

func words(text string) *enclavepb.Packet {
	return &enclavepb.Packet{Message: proto.String(text), Timestamp: proto.Int64(1)}
}

func frame(p *enclavepb.Packet) string {
	b, _ := Codec{}.AppendFrames(nil, tcp.Framing{}, p)
	return string(b)
}

func readFull(c net.Conn, b []byte) (n int, err error) {
	_ = c.SetReadDeadline(time.Now().Add(patience))
	for n < len(b) && err == nil {
		var m int
		m, err = c.Read(b[n:])
		n += m
	}
	return n, err
}
