package link

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"pgregory.net/rapid"

	"parley/actors/tree"
	"parley/testkit"
)

// rig is one Outbound over a simulated connection, without actors.
type rig struct {
	kind *Kind
	out  *Outbound
	near *testkit.SimConn
	far  net.Conn // the peer's end
	got  []byte   // what the peer has read
	eof  bool     // the peer has read to the end

	mu    sync.Mutex
	ended []string          // reasons
	lost  map[string]uint64 // reported
}

// fatal is what tests of any kind fail with.
type fatal interface {
	Helper()
	Fatalf(format string, args ...any)
}

func newRig(t fatal, sys *actor.ActorSystem, window int, secret bool, change func(*Kind)) *rig {
	t.Helper()
	n := testkit.NewNetwork(testkit.Window(window))
	l, err := n.Listen("server:1")
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer l.Close()
	far, err := n.Dial(background, "client", "server:1")
	if err != nil {
		t.Fatalf("%v", err)
	}
	c, err := Listener(l).Accept()
	if err != nil {
		t.Fatalf("%v", err)
	}
	base := c.(*Conn)
	r := &rig{kind: newKind(sys, change), near: base.NetConn().(*testkit.SimConn), far: far, lost: map[string]uint64{}}
	r.kind.unsaid.Store(1)
	r.out = &Outbound{member: 1, kind: r.kind, conn: base, w: base, tell: r.tell}
	if secret {
		server, client := tls.Server(base, selfSigned()), tls.Client(far, trusting())
		shaken := make(chan error)
		go func() { shaken <- client.Handshake() }()
		if err := server.Handshake(); err != nil {
			t.Fatalf("%v", err)
		}
		if err := <-shaken; err != nil {
			t.Fatalf("%v", err)
		}
		r.out.w, r.far = server, client
	}
	base.Release()
	return r
}

func (r *rig) tell(m any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch m := m.(type) {
	case *ended:
		r.ended = append(r.ended, m.reason)
	case *lostFrames:
		for source, n := range m.counts {
			r.lost[source] += n
		}
	}
}

// reasons are what the link's actor was told that its outbound ended for.
func (r *rig) reasons() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.ended)
}

// reported is how many lost frames of a source the link's actor was told of.
func (r *rig) reported(source string) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lost[source]
}

// read lets the peer take up to n bytes, of those that are there.
func (r *rig) read(n int) int {
	_ = r.far.SetReadDeadline(time.Now().Add(time.Nanosecond))
	b := make([]byte, n)
	n, err := r.far.Read(b)
	r.got = append(r.got, b[:n]...)
	r.eof = r.eof || err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
	synctest.Wait()
	return n
}

// readAll lets the peer take all that ever comes.
func (r *rig) readAll() {
	for r.read(64<<10) > 0 {
	}
}

// close ends both sides as the reader of a link would.
func (r *rig) close() {
	_ = r.far.Close()
	_ = r.near.Close()
	synctest.Wait()
}

// check compares the books with what is there.
func (r *rig) check(t fatal) {
	t.Helper()
	o := r.out
	o.mu.Lock()
	defer o.mu.Unlock()
	size := o.flight
	for _, c := range o.queue {
		size += len(c.wire)
	}
	if o.state != outOpen {
		size = 0
	}
	if got := int(o.bytes.Load()); got != size || int(r.kind.Budget.Used()) != size {
		t.Fatalf("%d bytes are counted, %d in the budget, %d are there", got, r.kind.Budget.Used(), size)
	}
	if !o.draining && o.state != outDead && o.conn.kept() > 0 {
		t.Fatalf("%d bytes are kept and nobody drains them", o.conn.kept())
	}
	if (r.kind.unsaid.Load() == 0) != (o.state == outDead) {
		t.Fatalf("%d last words unsaid in state %d", r.kind.unsaid.Load(), o.state)
	}
}

// lines are the whole frames that the peer read; rest is what follows.
func (r *rig) lines() (all []string, rest string) {
	all = strings.Split(string(r.got), "\n")
	return all[:len(all)-1], all[len(all)-1]
}

// timeless hides that a test may have a deadline, which a bubble must not ask for.
type timeless struct{ testing.TB }

// sent is what a property test sent, by number.
type sent struct {
	text  string
	lossy bool
}

// TestSendKeepsOrder sends firm and lossy frames at random while the peer reads
// at random: what arrives is whole frames in the order of the calls; nothing
// firm is missing unless the link ended, and then nothing follows the first
// that is; each lossy one that is missing is reported.
func TestSendKeepsOrder(t *testing.T) {
	for name, secret := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				sys := testkit.System(t)
				rapid.Check(timeless{t}, func(t *rapid.T) { keepsOrder(t, sys, secret) })
				testkit.Stop(t, sys)
			})
		})
	}
}

func keepsOrder(t *rapid.T, sys *actor.ActorSystem, secret bool) {
	scale := rapid.SampledFrom([]int{20, 200, 30_000}).Draw(t, "frame")
	limit := rapid.IntRange(0, 8).Draw(t, "limit") * scale
	window := rapid.IntRange(1, 4).Draw(t, "window") * scale
	r := newRig(t, sys, window, secret, func(k *Kind) { k.OutboundLimit = limit })
	defer r.close()
	var all []sent
	biggest := 0
	send := func(t *rapid.T) {
		chunks := make([]chunk, rapid.IntRange(1, 6).Draw(t, "chunks"))
		var lent [][]byte
		for i := range chunks {
			size := rapid.IntRange(0, 2*scale).Draw(t, "size")
			lossy := rapid.IntRange(0, 3).Draw(t, "lossy") == 0
			text := fmt.Sprintf("%d:%s", len(all), strings.Repeat("x", size))
			all = append(all, sent{text, lossy})
			c := chunk{wire: frame(text), frames: 1}
			if lossy {
				c.source = "s"
			}
			if c.lent = !lossy && rapid.Bool().Draw(t, "lent"); c.lent {
				lent = append(lent, c.wire)
			}
			biggest = max(biggest, len(c.wire))
			chunks[i] = c
		}
		r.out.send(nil, chunks...)
		for _, b := range lent {
			clear(b) // the caller's again
		}
	}
	step := 0
	t.Repeat(map[string]func(*rapid.T){
		"send": send, "send ": send,
		"read": func(t *rapid.T) { r.read(rapid.IntRange(1, 6*scale).Draw(t, "bytes")) },
		"wait": func(t *rapid.T) {
			time.Sleep(time.Duration(rapid.IntRange(0, 6000).Draw(t, "ms")) * time.Millisecond)
		},
		"shut": func(t *rapid.T) {
			if step > 10 && rapid.IntRange(0, 4).Draw(t, "really") == 0 {
				r.out.shut(1001, "bye")
			}
		},
		"": func(t *rapid.T) {
			step++
			synctest.Wait()
			r.check(t)
			if queued := r.out.queuedNow(); queued > limit+biggest {
				t.Fatalf("%d bytes queued with a limit of %d and frames of %d at most", queued, limit, biggest)
			}
		},
	})
	r.readAll()
	time.Sleep(2 * reportPause) // the last report may be held back
	r.readAll()
	r.check(t)
	checkArrived(t, r, all)
}

func (o *Outbound) queuedNow() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.state != outOpen {
		return 0
	}
	return o.queued()
}

// checkArrived compares what the peer read with what was sent.
func checkArrived(t *rapid.T, r *rig, all []sent) {
	lines, rest := r.lines()
	r.out.mu.Lock()
	state, conn := r.out.state, r.out.conn
	r.out.mu.Unlock()
	over := state != outOpen
	said := false
	if n := len(lines); n > 0 && strings.HasPrefix(lines[n-1], "close ") {
		said = true
		lines = lines[:n-1]
	}
	if over != said && conn.err == nil && r.eof {
		t.Fatalf("ended %v, said so %v", over, said)
	}
	if rest != "" && !over {
		t.Fatalf("half a frame at the end of an open link: %q", rest)
	}
	at, missing := 0, uint64(0)
	for i, line := range lines {
		for at < len(all) && all[at].text != line {
			if !all[at].lossy {
				t.Fatalf("frame %d is not what was sent: firm frame %d is missing before %.20q", i, at, line)
			}
			missing++
			at++
		}
		if at == len(all) {
			t.Fatalf("frame %d is not what was sent: %.20q", i, line)
		}
		at++
	}
	if over {
		return
	}
	for ; at < len(all); at++ {
		if !all[at].lossy {
			t.Fatalf("firm frame %d is missing at the end of an open link", at)
		}
		missing++
	}
	if r.reported("s") != missing || len(r.reasons()) > 0 {
		t.Fatalf("%d lossy frames are missing, %d were reported; ended %q", missing, r.reported("s"), r.reasons())
	}
}

// flood sends frames of size until the link is over, or most were sent.
func flood(o *Outbound, size, most int, source string) (n int) {
	for ; n < most; n++ {
		o.mu.Lock()
		over := o.state != outOpen
		o.mu.Unlock()
		if over {
			break
		}
		o.send(nil, chunk{wire: frame(fmt.Sprintf("%06d%s", n, strings.Repeat("x", size-7))), frames: 1, source: source})
	}
	return n
}

func TestSlowConsumerIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := testkit.System(t)
		const size, limit, window = 1000, 20_000, 4500
		r := newRig(t, sys, window, false, func(k *Kind) { k.OutboundLimit = limit })
		n := flood(r.out, size, 1000, "")
		// The window takes 4½ frames; behind the half one, the backlog takes what
		// fits and one more.
		if want := 5 + limit/size + 1 + 1; n != want {
			t.Errorf("%d frames were taken, want %d", n, want)
		}
		if !slices.Equal(r.reasons(), []string{reasonSlow}) {
			t.Errorf("told %q", r.reasons())
		}
		time.Sleep(closeLinger - time.Second) // it may take that long
		r.readAll()
		lines, rest := r.lines()
		if len(lines) != 6 || rest != "" || lines[5] != "close 1013 slow consumer" || len(lines[4]) != size-1 {
			t.Errorf("the peer read %s, %q", brief(lines), rest)
		}
		if !r.eof {
			t.Error("the stream did not end behind the goodbye")
		}
		if got := tree.Of(sys).Dropped(tree.SlowConsumer); got != int64(limit/size+1) {
			t.Errorf("%d frames counted as dropped, want %d", got, limit/size+1)
		}
		r.check(t)
		r.close()
		testkit.Stop(t, sys)
	})
}

// TestSlowConsumerThatNeverReads gets closeLinger, then the socket is cut.
func TestSlowConsumerThatNeverReads(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := testkit.System(t)
		r := newRig(t, sys, 100, false, func(k *Kind) { k.OutboundLimit = 1000 })
		flood(r.out, 100, 100, "")
		time.Sleep(closeLinger - time.Millisecond)
		if r.kind.unsaid.Load() != 1 {
			t.Error("given up early")
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if r.kind.unsaid.Load() != 0 {
			t.Error("not given up")
		}
		if _, err := r.near.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the reader of the link is not woken: %v", err)
		}
		r.check(t)
		r.close()
		testkit.Stop(t, sys)
	})
}

// TestBlockedWrite has a backlog that is small and does not move.
func TestBlockedWrite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := testkit.System(t)
		r := newRig(t, sys, 100, false, nil)
		flood(r.out, 100, 3, "")
		time.Sleep(r.kind.WriteTimeout - time.Millisecond)
		synctest.Wait()
		if len(r.reasons()) != 0 {
			t.Fatal("closed early")
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if !slices.Equal(r.reasons(), []string{reasonSlow}) {
			t.Errorf("told %q", r.reasons())
		}
		r.readAll() // the frame that was being written comes whole, then the reason
		lines, rest := r.lines()
		if len(lines) != 3 || rest != "" || lines[2] != "close 1013 slow consumer" {
			t.Errorf("the peer read %s, %q", brief(lines), rest)
		}
		r.close()
		testkit.Stop(t, sys)
	})
}

// TestSlowIsNotGone has a peer that takes one step of a backlog just in time,
// again and again.
func TestSlowIsNotGone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := testkit.System(t)
		r := newRig(t, sys, flushStep, false, func(k *Kind) { k.OutboundLimit = 1 << 20 })
		n := flood(r.out, flushStep, 10, "")
		for range n {
			time.Sleep(r.kind.WriteTimeout - time.Millisecond)
			r.read(flushStep)
		}
		r.readAll()
		if lines, rest := r.lines(); len(lines) != 10 || rest != "" || len(r.reasons()) != 0 {
			t.Errorf("the peer read %s, %q; ended %q", brief(lines), rest, r.reasons())
		}
		r.close()
		testkit.Stop(t, sys)
	})
}

func TestDropOldest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := testkit.System(t)
		const size, limit, window = 100, 2000, 250
		r := newRig(t, sys, window, false, func(k *Kind) { k.OutboundLimit = limit })
		const n = 1000
		if got := flood(r.out, size, n, "news"); got != n {
			t.Fatalf("closed after %d frames", got)
		}
		if q := r.out.queuedNow(); q > limit+size || q < limit/4*3 {
			t.Errorf("%d bytes are queued with a limit of %d", q, limit)
		}
		r.out.send(nil, chunk{wire: frame("firm"), frames: 1}) // finds room
		r.readAll()
		lines, rest := r.lines()
		if rest != "" || lines[len(lines)-1] != "firm" {
			t.Fatalf("the peer read %s, %q", brief(lines), rest)
		}
		kept := lines[3 : len(lines)-1] // behind the one that was being written
		for i, l := range kept {
			if want := fmt.Sprintf("%06d", n-len(kept)+i); l[:6] != want {
				t.Errorf("frame %s where %s should be: not the oldest were dropped", l[:6], want)
			}
		}
		if want := uint64(n - 3 - len(kept)); r.reported("news") != want {
			t.Errorf("%d frames reported lost, want %d", r.reported("news"), want)
		}
		if got := tree.Of(sys).Dropped(tree.LossyDropped); got != int64(n-3-len(kept)) {
			t.Errorf("%d frames counted as dropped", got)
		}
		r.check(t)
		r.close()
		testkit.Stop(t, sys)
	})
}

// TestDropsAreReportedOnceASecond while the backlog lasts.
func TestDropsAreReportedOnceASecond(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := testkit.System(t)
		r := newRig(t, sys, 100, false, func(k *Kind) { k.OutboundLimit = 1000 })
		reports := 0
		var last uint64
		for range 50 { // a tenth of a second each
			flood(r.out, 100, 20, "news")
			r.read(100)
			if now := r.reported("news"); now != last {
				last, reports = now, reports+1
			}
			time.Sleep(reportPause / 10)
		}
		if reports < 4 || reports > 6 {
			t.Errorf("%d reports in 5 s", reports)
		}
		r.readAll()
		r.close()
		testkit.Stop(t, sys)
	})
}

// TestFirmFramesAreNeverDroppedForLossyOnes fills a backlog with firm frames:
// lossy ones are lost, a firm one more ends the link.
func TestFirmFramesAreNeverDroppedForLossyOnes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := testkit.System(t)
		r := newRig(t, sys, 100, false, func(k *Kind) { k.OutboundLimit = 1000 })
		firm := flood(r.out, 100, 13, "") // 1 with the kernel, 1 in flight, 11 queued
		if lossy := flood(r.out, 100, 5, "news"); firm != 13 || lossy != 5 {
			t.Fatalf("closed after %d firm and %d lossy frames", firm, lossy)
		}
		if got := tree.Of(sys).Dropped(tree.LossyDropped); got != 5 {
			t.Errorf("%d lossy frames dropped, want 5", got)
		}
		flood(r.out, 100, 1, "")
		if !slices.Equal(r.reasons(), []string{reasonSlow}) {
			t.Errorf("told %q", r.reasons())
		}
		r.readAll()
		r.close()
		testkit.Stop(t, sys)
	})
}

// TestBurstToAPeerBehind sends in one call more than may wait: what the kernel
// does not take must not become one endless write.
func TestBurstToAPeerBehind(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := testkit.System(t)
		const size, n = 10_000, 1000 // 10 MB
		r := newRig(t, sys, 32<<10, false, func(k *Kind) { k.OutboundLimit = 1 << 20 })
		chunks := make([]chunk, n)
		for i := range chunks {
			chunks[i] = chunk{wire: bytes.Repeat([]byte{'x'}, size), frames: 1}
			chunks[i].wire[size-1] = '\n'
		}
		r.out.send(nil, chunks...)
		r.out.mu.Lock()
		held := r.out.conn.kept()
		r.out.mu.Unlock()
		if held > drainStep {
			t.Errorf("%d bytes are held outside the backlog, %d may", held, drainStep)
		}
		r.readAll()
		lines, rest := r.lines()
		if last := lines[len(lines)-1]; rest != "" || last != "close 1013 slow consumer" {
			t.Errorf("the peer read %s, %q", brief(lines), rest)
		}
		if got, most := len(r.got), 32<<10+2*drainStep; got > most {
			t.Errorf("the peer got %d bytes, at most %d were on their way", got, most)
		}
		r.close()
		testkit.Stop(t, sys)
	})
}

// TestPeerGone writes to a connection that is cut.
func TestPeerGone(t *testing.T) {
	for _, behind := range []bool{false, true} {
		t.Run(fmt.Sprintf("behind=%v", behind), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				sys := testkit.System(t)
				r := newRig(t, sys, 100, false, nil)
				if behind {
					flood(r.out, 100, 5, "")
					synctest.Wait()
				}
				_ = r.far.Close()
				synctest.Wait()
				flood(r.out, 100, 1, "")
				synctest.Wait()
				r.check(t)
				if !slices.Equal(r.reasons(), []string{"write failed"}) {
					t.Errorf("told %q", r.reasons())
				}
				r.out.shut(1001, "too late")
				r.out.send(nil, chunk{wire: frame("too late"), frames: 1})
				r.close()
				testkit.Stop(t, sys)
			})
		})
	}
}

// TestReadDeadlinesOfAClosingConn are the link's, whatever the protocol above says.
func TestReadDeadlinesOfAClosingConn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := testkit.System(t)
		r := newRig(t, sys, 100, false, nil)
		c := r.out.conn
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		start := time.Now()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		c.hangUp(closeLinger)
		_ = c.SetReadDeadline(time.Time{})
		start = time.Now()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != closeLinger {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		r.close()
		testkit.Stop(t, sys)
	})
}

// plainConn cannot write without waiting.
type plainConn struct{ net.Conn }

func (plainConn) Close() error { return nil }

// onceListener accepts one connection.
type onceListener struct{ conns []net.Conn }

func (l *onceListener) Accept() (net.Conn, error) {
	if len(l.conns) == 0 {
		return nil, io.EOF
	}
	c := l.conns[0]
	l.conns = l.conns[1:]
	return c, nil
}
func (*onceListener) Close() error   { return nil }
func (*onceListener) Addr() net.Addr { return &net.TCPAddr{} }

func TestListenerTakesOnlyWhatCanTryToWrite(t *testing.T) {
	if _, err := NewConn(plainConn{}); err == nil {
		t.Error("a connection that can only wait was taken")
	}
	good := &testkit.SimConn{}
	c, err := Listener(&onceListener{[]net.Conn{plainConn{}, good}}).Accept()
	if err != nil || c.(*Conn).NetConn() != good {
		t.Errorf("got %v, %v", c, err)
	}
	if c.(*Conn).Raw() != nil {
		t.Error("a simulated connection has a raw socket")
	}
}
