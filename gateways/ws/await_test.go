package ws

import (
	"bytes"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"parley/gateways/link"
	"parley/testkit"
)

// onWire is a Socket of a real connection, and its other end.
func onWire(t *testing.T) (*Socket, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	far, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c, err := link.NewConn(near)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = far.Close(), near.Close() })
	s, err := Upgrader{Limit: 1 << 20}.Upgrade(takeover{conn: c}, request())
	if err != nil {
		t.Fatal(err)
	}
	s.view.muted.Store(true)
	for head, b := "", make([]byte, 1); !strings.HasSuffix(head, "\r\n\r\n"); head += string(b) {
		if _, err := far.Read(b); err != nil {
			t.Fatal(err)
		}
	}
	_ = near.SetDeadline(time.Now().Add(time.Minute))
	return s, far
}

// TestBursts has a peer write as fast as it can, frames of all sizes: whatever
// is read at once, every message comes as it was sent, what is ready is there,
// and when all is read no memory is borrowed.
func TestBursts(t *testing.T) {
	s, far := onWire(t)
	const rounds = 60
	sizes := []int{0, 5, 125, 126, 4000, burstSize - 8, burstSize, burstSize + 1, wideSize, 200_000}
	message := func(n int) []byte { return bytes.Repeat([]byte{byte(n)}, sizes[n%len(sizes)]) }
	sent := make(chan error, 1)
	go func() {
		for n := range rounds * len(sizes) {
			if _, err := far.Write(wire(part(testkit.OpBinary, true, string(message(n))))); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	var buf []byte
	wideSeen := false
	for n := range rounds * len(sizes) {
		ready := s.Ready()
		if ready {
			_ = s.Conn().NetConn().SetReadDeadline(time.Unix(1, 0)) // nothing waits
		}
		if err := s.Next(); err != nil {
			t.Fatal(err)
		}
		got, binary, err := s.Read(buf[:0])
		if err != nil || !binary || !bytes.Equal(got, message(n)) {
			t.Fatalf("message %d (ready: %v): %d bytes, %v", n, ready, len(got), err)
		}
		if ready {
			_ = s.Conn().NetConn().SetReadDeadline(time.Now().Add(time.Minute))
		}
		buf = got
		wideSeen = wideSeen || s.view.burst != nil && len(s.view.burst.b) == wideSize
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if s.view.burst != nil || s.Ready() {
		t.Errorf("idle, with a burst: %v, ready: %v", s.view.burst != nil, s.Ready())
	}
	if !wideSeen {
		t.Error("never read wide")
	}
}

// TestWidesAreNotMany: beyond so many, peers that say much are read in small
// steps; what is collected makes room again.
func TestWidesAreNotMany(t *testing.T) {
	var all []*burst
	for b := newWide(); b != nil; b = newWide() {
		all = append(all, b)
	}
	if len(all) > widesMost {
		t.Errorf("%d, want %d", len(all), widesMost)
	}
	v := &view{busy: true}
	for range widesMost + 1 { // some may be in the pool
		v.borrow()
	}
	if len(v.burst.b) != burstSize {
		t.Errorf("a burst of %d bytes", len(v.burst.b))
	}
	runtime.KeepAlive(all)
	all = nil
	for i := 0; wide.Load() > widesMost/2; i++ {
		if i == 1000 {
			t.Fatalf("%d are still counted", wide.Load())
		}
		runtime.GC()
	}
}

// TestResetWithinAMessage is the network's fault, not the peer's.
func TestResetWithinAMessage(t *testing.T) {
	s, far := onWire(t)
	if _, err := far.Write(wire(text("whole"))); err != nil {
		t.Fatal(err)
	}
	if _, err := far.Write(wire(text("half"))[:8]); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"whole", "half"} {
		err := s.Next()
		if err == nil {
			var got []byte
			if want == "half" {
				_ = far.(*net.TCPConn).SetLinger(0)
				_ = far.Close()
			}
			if got, _, err = s.Read(nil); err == nil && string(got) == want {
				continue
			}
		}
		if v := fmt.Sprintf("%T", err); want == "whole" || v == "*link.Violation" {
			t.Errorf("%s: %s %v", want, v, err)
		}
	}
}
