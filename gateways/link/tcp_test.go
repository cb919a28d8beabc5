package link

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"parley/messages"
)

// TestStoppedPeerAmongGoodOnes has one peer that never reads among 50 that do,
// and a publisher as fast as these: they get all of it in order, the stopped
// one is closed and, when it reads at last, learns why.
func TestStoppedPeerAmongGoodOnes(t *testing.T) {
	for _, c := range []struct {
		name   string
		secret bool
		good   int
		n      int
	}{
		{"plain", false, 50, 3000},
		{"TLS", true, 10, 2000},
	} {
		t.Run(c.name, func(t *testing.T) {
			var server, client *tls.Config
			if c.secret {
				server, client = selfSigned(), trusting()
			}
			s := newSite(t, server, func(k *Kind) { k.OutboundLimit = 512 << 10 })
			stopped, rest := s.dial(client, true)
			members := []uint64{1}
			p := newProgress(c.good)
			var readers sync.WaitGroup
			var conns []net.Conn
			for i := range c.good {
				conn, r := s.dial(client, false)
				conns, members = append(conns, conn), append(members, uint64(i+2))
				readers.Go(func() { consume(r, c.n, func(seen int, err error) { p.note(i, seen, err) }) })
			}
			pad := strings.Repeat("x", 1000)
			last := make(chan string, 1)
			wakes := func() { last <- lastWords(t, rest) }
			for i := range c.n {
				if i%64 == 0 {
					if wakes != nil && s.closes(closeSlow) > 0 { // it has closeLinger to read the reason
						go wakes()
						wakes = nil
					}
					if err := p.wait(i - 192); err != nil {
						t.Fatal(err)
					}
				}
				text := fmt.Sprintf("%06d %s", i, pad)
				s.sys.Root.Send(s.fan.Shards[0], &messages.Multicast{
					Members: members, Size: len(text), Frame: &messages.Shared{Message: wrapperspb.String(text)},
				})
			}
			if err := p.wait(c.n); err != nil {
				t.Error(err)
			}
			readers.Wait()
			if got := s.closes(closeSlow); got != 1 {
				t.Errorf("%d links closed as slow, want the stopped one", got)
			}
			if wakes != nil {
				t.Error("the stopped peer was not closed while messages came")
				go wakes()
			}
			if got := <-last; got != "close 1013 slow consumer\n" {
				t.Errorf("the stopped peer's last line is %.60q", got)
			}
			for _, conn := range append(conns, stopped) {
				_ = conn.Close()
			}
			s.stop()
		})
	}
}

// lastWords reads numbered lines to the end of the stream. TLS may end without
// its own goodbye: ours was said.
func lastWords(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	for i := 0; ; i++ {
		line, err := r.ReadString('\n')
		if err != nil {
			return fmt.Sprintf("line %d: %.30q, %v", i, line, err)
		}
		if !strings.HasPrefix(line, fmt.Sprintf("%06d ", i)) {
			if _, err := r.ReadByte(); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("behind the last line: %v", err)
			}
			return line
		}
	}
}

// TestSendNeverWaits times the calls to a peer that does not read. The worst is
// logged: machines differ.
func TestSendNeverWaits(t *testing.T) {
	s := newSite(t, nil, func(k *Kind) { k.OutboundLimit = 1 << 20 })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	far, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = far.(*net.TCPConn).SetReadBuffer(16 << 10)
	near, err := Listener(ln).Accept()
	if err != nil {
		t.Fatal(err)
	}
	base := near.(*Conn)
	base.Release()
	var slow atomic.Bool
	o := &Outbound{kind: s.kind, conn: base, w: base, tell: func(any) { slow.Store(true) }}
	wire := frame(strings.Repeat("x", 2047))
	worst, sent, most := time.Duration(0), 0, int64(0)
	for !slow.Load() {
		start := time.Now()
		o.send(nil, chunk{wire: wire, frames: 1})
		worst, sent = max(worst, time.Since(start)), sent+1
		most = max(most, o.bytes.Load())
	}
	t.Logf("%d frames of 2 KiB were taken; the worst call took %v; %d bytes queued at most", sent, worst, most)
	if limit := int64(s.kind.OutboundLimit + 2*len(wire)); most > limit {
		t.Errorf("%d bytes were queued, at most %d may", most, limit)
	}
	_ = far.SetReadDeadline(time.Now().Add(patience))
	got, err := io.ReadAll(far)
	if err != nil || !strings.HasSuffix(string(got), "x\nclose 1013 slow consumer\n") {
		t.Errorf("the peer read %d bytes, %v", len(got), err)
	}
	_, _, _ = far.Close(), near.Close(), ln.Close()
	s.stop()
}

// TestGoodbyeIsHeardByATalker: a peer that is closed while it talks must not
// lose the reason to a reset.
func TestGoodbyeIsHeardByATalker(t *testing.T) {
	s := newSite(t, nil, nil)
	c, r := s.dial(nil, false)
	var talk sync.WaitGroup
	talk.Go(func() {
		for range 2000 {
			if _, err := fmt.Fprintln(c, strings.Repeat("x", 1000)); err != nil {
				return
			}
		}
	})
	fmt.Fprintln(c, "bad 1002")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("no goodbye: %v", err)
		}
		if line == "close 1002 bad line\n" {
			break
		}
	}
	_ = c.Close()
	talk.Wait()
	s.stop()
}

// TestPeerResets ends the connection in the rudest way.
func TestPeerResets(t *testing.T) {
	s := newSite(t, nil, nil)
	c, _ := s.dial(nil, false)
	_ = c.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
	d, _ := s.dial(nil, false)
	text := strings.Repeat("x", 1000)
	for range 100 {
		s.sys.Root.Send(s.fan.Shards[0], &messages.Multicast{
			Members: []uint64{1, 2}, Size: len(text), Frame: &messages.Shared{Message: wrapperspb.String(text)},
		})
	}
	r := bufio.NewReader(d)
	for range 100 {
		if line, err := r.ReadString('\n'); err != nil || line != text+"\n" {
			t.Fatalf("%.20q, %v", line, err)
		}
	}
	_ = d.Close()
	s.stop()
}

// TestTryWriteTakesWhatFits on a real socket.
func TestTryWriteTakesWhatFits(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	far, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := Listener(ln).Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := near.(*Conn)
	if c.Raw() == nil {
		t.Error("a TCP connection has no raw socket")
	}
	c.Release()
	total := 0
	for c.kept() == 0 {
		n, err := c.Write(make([]byte, 100_000))
		if n != 100_000 || err != nil {
			t.Fatalf("Write: %d, %v", n, err)
		}
		total += n
	}
	if err := c.flush(time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) || c.kept() == 0 {
		t.Errorf("flush to a peer that does not read: %v with %d bytes left", err, c.kept())
	}
	done := make(chan int)
	go func() {
		n, _ := io.Copy(io.Discard, far)
		done <- int(n)
	}()
	if err := c.flush(patience); err != nil || c.kept() != 0 {
		t.Errorf("flush: %v with %d bytes left", err, c.kept())
	}
	c.closeWrite()
	if got := <-done; got != total {
		t.Errorf("%d of %d bytes arrived", got, total)
	}
	_, _ = far.Close(), near.Close()
	if _, err := c.Write([]byte("late")); err == nil {
		t.Error("a closed connection was written to")
	}
	if _, err := c.Write([]byte("late")); err == nil {
		t.Error("a closed connection was written to again")
	}
}
