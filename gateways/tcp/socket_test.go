package tcp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"parley/gateways/link"
	"parley/testkit"
)

// TestFraming: exact bytes.
func TestFraming(t *testing.T) {
	f := Framing{}
	if got, want := f.AppendFrame([]byte("x"), []byte("hello")), "x\x00\x00\x00\x05hello"; string(got) != want {
		t.Errorf("frame %q", got)
	}
	if got, want := f.AppendBinary(nil, bytes.Repeat([]byte("y"), 256)), "\x00\x00\x01\x00"+strings.Repeat("y", 256); string(got) != want {
		t.Errorf("frame %q", got)
	}
	if got := f.AppendClose(f.AppendPing(f.AppendPong(nil, []byte("x")), []byte("x")), 1000, "bye"); len(got) != 0 {
		t.Errorf("%q is on the wire", got)
	}
	b, at := Begin([]byte("x"))
	if b = End(append(b, "hello"...), at); string(b) != "x\x00\x00\x00\x05hello" || f.Overhead() != 4 {
		t.Errorf("%q, %d", b, f.Overhead())
	}
}

// mixed are packets of many lengths, those of 0 bytes among them.
func mixed() (packets, whole []string) {
	for _, n := range []int{3, 0, 1, 2, 0, 0, 5, 4, 70, 9} {
		packets = append(packets, strings.Repeat(string(rune('a'+n%26)), n))
	}
	for _, p := range packets {
		if p != "" {
			whole = append(whole, p)
		}
	}
	return packets, whole
}

// TestSplits: a stream cut in two at every byte, in three at every pair of bytes,
// and at all bytes, is the same packets; a stream that ends at any byte ends there.
func TestSplits(t *testing.T) {
	packets, want := mixed()
	b := stream(packets...)
	ends := map[int]int{} // packets whole by offset
	n, at := 0, 0
	for _, p := range packets {
		if at += headerSize + len(p); p != "" {
			n++
		}
		ends[at] = n
	}
	check := func(s *Socket, what string, i, j int, want []string) {
		if got, err := all(s); !slices.Equal(got, want) || !errors.Is(err, io.EOF) {
			t.Fatalf("%s %d %d: %q, %v", what, i, j, got, err)
		}
	}
	whole := 0
	for i := range len(b) + 1 {
		check(said(100, b[:i], b[i:]), "cut at", i, 0, want)
		for j := i; j <= len(b); j++ {
			check(said(100, b[:i], b[i:j], b[j:]), "cut at", i, j, want)
		}
		whole = max(whole, ends[i])
		check(said(100, b[:i]), "ends at", i, 0, want[:whole])
	}
	var single [][]byte
	for i := range b {
		single = append(single, b[i:i+1])
	}
	check(said(100, single...), "bytes", 0, 0, want)
}

// pair is a connection over loopback: the Socket of one end, and the other.
func pair(t testing.TB, limit int) (*Socket, *net.TCPConn) {
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
	near, err := link.Listener(l).Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = far.Close(), near.Close() })
	return NewSocket(near.(*link.Conn), limit), far.(*net.TCPConn)
}

// taken waits until all that was written to a socket was read from it.
func taken(t *testing.T, s *Socket) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); runtime.Gosched() {
		left := 0
		if err := s.raw.Control(func(fd uintptr) { left, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) }); err != nil || left == 0 {
			return
		}
	}
	t.Fatal("nobody reads")
}

// TestSplitsOverTCP is TestSplits with segments that really arrive one after the
// other.
func TestSplitsOverTCP(t *testing.T) {
	packets, want := mixed()
	b := stream(packets...)
	for i := range len(b) + 1 {
		s, far := pair(t, 100)
		type result struct {
			got []string
			err error
		}
		done := make(chan result, 1)
		go func() {
			got, err := all(s)
			done <- result{got, err}
		}()
		_, _ = far.Write(b[:i])
		taken(t, s)
		_, _ = far.Write(b[i:])
		_ = far.CloseWrite()
		if r := <-done; !slices.Equal(r.got, want) || !errors.Is(r.err, io.EOF) {
			t.Fatalf("cut at %d: %q, %v", i, r.got, r.err)
		}
		if s.burst != nil {
			t.Fatalf("cut at %d: a buffer is held", i)
		}
		_, _ = far.Close(), s.conn.Close()
	}
}

// TestLengths: what is over the limit ends the connection, and costs nothing; nor
// does what is announced and does not come.
func TestLengths(t *testing.T) {
	for _, limit := range []int{64 << 10, 1 << 20} {
		for _, c := range []struct {
			n    uint32
			over bool
		}{
			{0, false},
			{1, false},
			{uint32(limit), false},
			{uint32(limit) + 1, true},
			{1 << 31, true},
			{math.MaxUint32, true},
		} {
			for cut := range headerSize + 1 {
				head := length(c.n)
				s := said(limit, head[:cut], head[cut:], []byte("x"))
				bursts.Put(bursts.New()) // or the first to read may have to make one
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				got, err := all(s)
				runtime.ReadMemStats(&after)
				var v *link.Violation
				switch {
				case errors.As(err, &v) != c.over, c.over && (v.Code != closeTooBig || v.Reason != reasonTooBig):
					t.Errorf("length %d of %d: %v", c.n, limit, err)
				case c.n == 1 != (len(got) == 1):
					t.Errorf("length %d: %q", c.n, got)
				}
				if cost := after.TotalAlloc - before.TotalAlloc; cost > 64<<10 {
					t.Errorf("length %d of %d costs %d bytes", c.n, limit, cost)
				}
			}
		}
	}
}

// TestLargest: a packet as long as it may be, over TCP, costs about as much as it
// is long, and is what was sent.
func TestLargest(t *testing.T) {
	const limit = 1 << 20
	s, far := pair(t, limit)
	want := strings.Repeat("0123456789abcdef", limit/16)
	go func() { _, _ = far.Write(stream(want, "y")) }()
	if err := s.Next(); err != nil {
		t.Fatal(err)
	}
	frame, binary, err := s.Read(make([]byte, 0, 10))
	if err != nil || binary || string(frame) != want || cap(frame) > 2*limit {
		t.Fatalf("%d bytes in %d, %v", len(frame), cap(frame), err)
	}
	if err := s.Next(); err != nil || s.size != 1 {
		t.Fatal(err, s.size)
	}
	if frame, _, err = s.Read(frame[:0]); err != nil || string(frame) != "y" {
		t.Fatalf("%q, %v", frame, err)
	}
}

// TestTime: a packet that has begun must be whole in 10 s, however it drips; one
// that has not may take for ever.
func TestTime(t *testing.T) {
	const idle = time.Hour
	for _, c := range []struct {
		name  string
		parts [][]byte
		pause time.Duration // before each
		whole int           // packets
		late  time.Duration // after the begin of the last packet; 0: never
	}{
		{"whole at the last moment", [][]byte{length(3), []byte("a"), []byte("b"), []byte("c")}, packetTime/3 - time.Millisecond, 1, 0},
		{"dripping", [][]byte{length(30), []byte("a"), []byte("b"), []byte("c"), []byte("d"), []byte("e")}, packetTime / 4, 0, packetTime},
		{"a length that drips", [][]byte{{0}, {0}, {0}, {1}, []byte("x")}, packetTime / 2, 0, packetTime},
		{"a length of none that drips", [][]byte{{0}, {0}, {0}, {0}, length(1), []byte("x")}, packetTime / 4, 1, 0},
		{"idle", [][]byte{stream("a"), stream("b", ""), stream("c")}, idle, 3, 0},
		{"half of the next", [][]byte{append(stream("a"), 0, 0), {0, 1, 'b'}, append(stream("c"), 0)}, packetTime - time.Millisecond, 3, packetTime},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := testkit.NewNetwork()
				l, err := n.Listen("server:1")
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				far, err := n.Dial(t.Context(), "client", "server:1")
				if err != nil {
					t.Fatal(err)
				}
				near, err := link.Listener(l).Accept()
				if err != nil {
					t.Fatal(err)
				}
				type result struct {
					n   int
					err error
					at  time.Time
				}
				done := make(chan result, 1)
				go func() {
					got, err := all(NewSocket(near.(*link.Conn), 100))
					done <- result{len(got), err, time.Now()}
					_ = near.Close()
				}()
				var begun time.Time
				for i, p := range c.parts {
					time.Sleep(c.pause)
					if _, err := far.Write(p); err != nil {
						break
					}
					if i == 0 || c.name == "half of the next" {
						begun = time.Now()
					}
				}
				time.Sleep(idle)
				_ = far.Close()
				r := <-done
				var v *link.Violation
				if r.n != c.whole || errors.As(r.err, &v) != (c.late > 0) || v != nil && v.Reason != reasonTooLate {
					t.Fatalf("%d packets, %v", r.n, r.err)
				}
				if took := r.at.Sub(begun); c.late > 0 && took != c.late {
					t.Errorf("ended after %v", took)
				}
			})
		})
	}
}

// late is a connection for which each deadline is over when it is set.
type late struct {
	*net.TCPConn

	set []time.Duration // from now on
}

func (l *late) SetReadDeadline(t time.Time) error {
	if t.IsZero() {
		return l.TCPConn.SetReadDeadline(t)
	}
	l.set = append(l.set, time.Until(t))
	return l.TCPConn.SetReadDeadline(time.Unix(1, 0))
}

// TestTimeOverTCP: a deadline is set where the rest of a packet is waited for, and
// nowhere else.
func TestTimeOverTCP(t *testing.T) {
	s, far := pair(t, 100)
	l := &late{TCPConn: s.conn.Conn.(*net.TCPConn)}
	s.conn.Conn = l
	go func() { _, _ = far.Write(append(stream("a", "", "b"), 0, 0, 0)) }()
	for range 2 {
		if err := s.Next(); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Read(nil); err != nil || s.timed {
			t.Fatal(err, s.timed)
		}
	}
	var v *link.Violation
	if err := s.Next(); !errors.As(err, &v) || v.Reason != reasonTooLate || v.Code != closePolicy {
		t.Fatal(err)
	}
	if len(l.set) != 1 || l.set[0] <= 0 || l.set[0] > packetTime {
		t.Errorf("deadlines %v", l.set)
	}
}

// TestReset: a peer that resets the connection is an error of the network.
func TestReset(t *testing.T) {
	s, far := pair(t, 100)
	_, _ = far.Write([]byte{0})
	done := make(chan error, 1)
	go func() { done <- s.Next() }()
	taken(t, s)
	_ = far.SetLinger(0)
	_ = far.Close()
	if err := <-done; !errors.Is(err, syscall.ECONNRESET) {
		t.Fatal(err)
	}
}

// FuzzSocket compares what is read from any bytes, in any parts, with what a plain
// reader makes of them whole.
func FuzzSocket(f *testing.F) {
	packets, _ := mixed()
	f.Add(stream(packets...), []byte{1, 2, 3})
	f.Add(append(stream("a", ""), length(1<<31)...), []byte{4})
	f.Add(length(math.MaxUint32), []byte{})
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), []byte{7})
	f.Fuzz(func(t *testing.T, b, cuts []byte) {
		const limit = 300
		if len(b) >= emptyMost*headerSize {
			return // may be so many packets without content that they are refused
		}
		var split [][]byte
		rest := b
		for _, c := range cuts {
			n := min(int(c), len(rest))
			split, rest = append(split, rest[:n]), rest[n:]
		}
		got, err := all(said(limit, append(split, rest)...))
		want, end := plain(b, limit)
		var v *link.Violation
		if !slices.Equal(got, want) || errors.As(err, &v) != end || !end && !errors.Is(err, io.EOF) {
			t.Fatalf("%q, %v of %q", got, err, b)
		}
	})
}

// plain takes a stream apart; over: a length is over the limit.
func plain(b []byte, limit uint32) (packets []string, over bool) {
	for len(b) >= headerSize {
		n := binary.BigEndian.Uint32(b)
		if n > limit {
			return packets, true
		}
		if b = b[headerSize:]; uint32(len(b)) < n {
			return packets, false
		}
		if n > 0 {
			packets = append(packets, string(b[:n]))
		}
		b = b[n:]
	}
	return packets, false
}
