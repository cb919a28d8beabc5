package link

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"parley/actors/tree"
	"parley/testkit"
)

func TestSlowConsumerIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := testkit.System(t)
		const size, limit, window = 1000, 20_000, 4500
		r := newRig(t, sys, window, false, func(k *Kind) { k.OutboundLimit = limit })
		n := flood(r.out, size, 1000, "")
		// The window takes 4½ frames; behind the half one, the backlog takes what
		// fits and one more.
		if want := 5 + limit/(size+chunkCost) + 1 + 1; n != want {
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
		// With the one that found no room.
		if got := tree.Of(sys).Dropped(tree.SlowConsumer); got != int64(limit/(size+chunkCost)+2) {
			t.Errorf("%d frames counted as dropped, want %d", got, limit/(size+chunkCost)+2)
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
		if q := r.out.queuedNow(); q > limit+size+chunkCost || q < limit/4*3 {
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
		const size = 10_000
		r := newRig(t, sys, size, false, func(k *Kind) { k.OutboundLimit = 20 * size })
		reports := 0
		var last uint64
		for range 50 { // a tenth of a second each
			flood(r.out, size, 20, "news")
			for range drainStep / size { // one write of the backlog
				r.read(size)
			}
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
		r := newRig(t, sys, 100, false, func(k *Kind) { k.OutboundLimit = 10 * (100 + chunkCost) })
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

// TestWhatTLSWritesByItself is bounded: a peer can ask for it again and again,
// and read none of it.
func TestWhatTLSWritesByItself(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := testkit.System(t)
		r := newRig(t, sys, 100, true, nil)
		c := r.out.conn
		flood(r.out, 300, 1, "")
		for range 2 * maxAlone / 100 {
			if _, err := c.Write(make([]byte, 100)); err != nil {
				break
			}
		}
		if kept := c.kept(); kept > maxAlone+1000 {
			t.Errorf("%d bytes are kept", kept)
		}
		flood(r.out, 300, 1, "")
		time.Sleep(r.kind.WriteTimeout)
		synctest.Wait()
		if len(r.reasons()) != 1 {
			t.Errorf("the link lives on: %q", r.reasons())
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
