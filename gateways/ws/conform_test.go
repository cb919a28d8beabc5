package ws

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/actors/tree"
	"parley/testkit"
)

// closes reports whether a case ends in a close by the server.
func (c *conformance) closes() bool {
	return len(c.want) > 0 && strings.HasPrefix(c.want[len(c.want)-1], "close:")
}

// all is what must be heard to the end of the stream.
func (c *conformance) all() []string {
	if c.closes() {
		return append(slices.Clone(c.want), "end")
	}
	return append(slices.Clone(c.want), "close:1000", "end")
}

// TestConformance plays each case in three ways: frame by frame, byte by byte,
// and all at once. Frame by frame the answers must come in this order; at once,
// a pong may overtake an answer that takes its way through actors, and a close
// may leave out answers to what came right before it.
func TestConformance(t *testing.T) {
	all := cases()
	t.Logf("%d cases", len(all))
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { byFrames(t, &c) })
			synctest.Test(t, func(t *testing.T) { byFrames(t, &c, testkit.Chop(1, 1)) })
			synctest.Test(t, func(t *testing.T) { atOnce(t, &c) })
		})
	}
}

// conform is a client of a case.
type conform struct {
	*simulated
	conn *testkit.SimConn
	ear  *ear
}

func newConform(t *testing.T, opts ...testkit.NetworkOption) *conform {
	t.Helper()
	s := newSimulated(t, Upgrader{Limit: testLimit}, echo, append(opts, testkit.Window(4<<20))...)
	conn := s.dial()
	r, err := testkit.Upgrade(conn, "server", "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return &conform{s, conn, listen(r)}
}

// say writes what the server may not want to hear any more.
func (c *conform) say(b []byte) {
	_, _ = c.conn.Write(b)
	synctest.Wait()
}

func (c *conform) end() []string {
	time.Sleep(time.Minute) // whatever is left to wait for
	synctest.Wait()
	_ = c.conn.Close()
	<-c.ear.done
	c.stop()
	return c.ear.heard()
}

func byFrames(t *testing.T, c *conformance, opts ...testkit.NetworkOption) {
	client := newConform(t, opts...)
	for _, s := range c.send {
		client.say(wire(s))
	}
	if !c.closes() {
		client.say(wire(bye(1000, "")))
	}
	if got := client.end(); !slices.Equal(got, c.all()) {
		t.Errorf("frame by frame (%d options): heard %q, want %q", len(opts), got, c.all())
	}
}

func atOnce(t *testing.T, c *conformance) {
	client := newConform(t)
	client.say(wire(c.send...))
	if !c.closes() {
		client.say(wire(bye(1000, "")))
	}
	c.compare(t, client.end())
}

// compare is for what came at once: everything that was wanted, in any order,
// with the close and the end last; before a close answers may be missing.
func (c *conformance) compare(t *testing.T, got []string) {
	t.Helper()
	want := c.all()
	n := len(got)
	ok := n >= 2 && slices.Equal(got[n-2:], want[len(want)-2:])
	if ok {
		left := slices.Clone(want[:len(want)-2])
		for _, g := range got[:n-2] {
			i := slices.Index(left, g)
			if ok = ok && i >= 0; !ok {
				break
			}
			left = slices.Delete(left, i, i+1)
		}
		ok = ok && (c.closes() || len(left) == 0)
	}
	if !ok {
		t.Errorf("at once: heard %q, want %q", got, want)
	}
}

// TestConformanceOnSockets plays all cases at once on real sockets, where
// reading takes another path.
func TestConformanceOnSockets(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sys := tree.New(tree.Options{})
	s := serve(sys, l, Upgrader{Limit: testLimit}, echo)
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			r, err := testkit.Upgrade(conn, l.Addr().String(), "/", nil)
			if err != nil {
				t.Fatal(err)
			}
			c.compare(t, c.onSocket(t, conn, r))
		})
	}
	s.stop()
	_ = sys.Root.StopFuture(s.root).Wait()
	sys.Shutdown()
}

// onSocket writes a case and reads to the end. A case without a close gets one
// when all that it wants was heard.
// Whatever a client still writes, the server must take it or hang up.
func (c *conformance) onSocket(t *testing.T, conn net.Conn, r *bufio.Reader) []string {
	var writing sync.WaitGroup
	writing.Go(func() {
		if _, err := conn.Write(wire(c.send...)); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("the server neither read nor hung up")
		}
	})
	defer writing.Wait()
	e := &ear{}
	for {
		if len(e.got) == len(c.want) && !c.closes() {
			writing.Wait()
			_, _ = conn.Write(wire(bye(1000, "")))
		}
		f, err := testkit.ReadFrame(r)
		if e.note(f, err); err != nil {
			return e.got
		}
	}
}

// TestReadsToTheEnd: the server hangs up behind its close, and a client that
// goes on talking does not keep it.
func TestReadsToTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newConform(t)
		c.say(wire(part(3, true, "")))
		if got := c.ear.heard(); !slices.Equal(got, []string{"close:1002", "end"}) {
			t.Errorf("heard %q", got)
		}
		start := time.Now()
		var err error
		for err == nil {
			time.Sleep(100 * time.Millisecond)
			_, err = io.WriteString(c.conn, "and another thing")
		}
		if took := time.Since(start); took > 6*time.Second {
			t.Errorf("the server listened for %v more", took)
		}
		c.end()
	})
}
