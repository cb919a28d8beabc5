package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"parley/gateways/ws"
)

const (
	// drainMost is how long an orderly end may take. Source: the option drain-timeout.
	drainMost = 10 * time.Second
	// deadSlack is for the machine: from the end of a wait to the end of the process.
	deadSlack = 3 * time.Second
)

// listenToEnd reads until the connection ends, and returns how.
func listenToEnd(c *ws.Client, heard func()) error {
	for {
		if _, err := c.Hear(); err != nil {
			return err
		}
		heard()
	}
}

// TestStopUnderLoad ends a node while publishers and subscribers are busy: all
// of them are told.
func TestStopUnderLoad(t *testing.T) {
	for attempt := 1; ; attempt++ {
		var (
			n    *node
			told []error
			code int
			end  time.Duration
		)
		took, still := timed(func() { n, told, code, end = stopUnderLoad(t) })
		if still > time.Second && attempt < 10 {
			t.Logf("the machine stood still for %v of %v: again", still, took)
			continue
		}
		if code != 0 || strings.Contains(n.err.String(), "cut off") || strings.Contains(n.err.String(), "late") {
			t.Errorf("exit code %d:\n%s", code, n.err.String())
		}
		if end > drainMost {
			t.Errorf("the end took %v, more than %v", end, drainMost)
		}
		lost := 0
		for i, err := range told {
			var c *ws.Closed
			if errors.As(err, &c) && c.Code == 1001 && c.Reason != "" {
				continue
			}
			if lost++; lost <= 5 {
				t.Errorf("client %d of %d ended with: %v", i, len(told), err)
			}
		}
		if lost > 0 {
			t.Errorf("%d of %d clients were not told", lost, len(told))
		}
		return
	}
}

// stopUnderLoad returns how each client's connection ended, and how long the node
// took for it. A publisher is some
// messages ahead of its readers: what is under way is in every buffer, but
// nobody is slow.
func stopUnderLoad(t *testing.T) (n *node, told []error, code int, end time.Duration) {
	const rooms, readers, ahead = 4, 75, 32
	n = startNode(t)
	var (
		wg    sync.WaitGroup
		heard atomic.Int64
	)
	told = make([]error, rooms*(readers+1))
	all := make(chan struct{}) // are there
	for room := range rooms {
		name := fmt.Sprintf("room %d", room)
		places := make(chan struct{}, (ahead+1)*readers) // for messages under way
		for range ahead * readers {
			places <- struct{}{}
		}
		over, done := make(chan struct{}), make(chan struct{}) // the publisher's reader, and its writer
		for i := range readers {
			c := n.join(t, name)
			wg.Go(func() {
				told[room*(readers+1)+i] = listenToEnd(c, func() {
					heard.Add(1)
					select {
					case places <- struct{}{}:
					case <-done:
					}
				})
			})
		}
		c := n.join(t, name)
		wg.Go(func() {
			told[room*(readers+1)+readers] = listenToEnd(c, func() {})
			close(over)
		})
		frame := fmt.Appendf(nil, `{"command":"send","data":{"channel":%q,"message":%q}}`, name, strings.Repeat("x", 128))
		wg.Go(func() {
			defer close(done)
			<-all
			for c.Say(frame) == nil {
				for range readers {
					select {
					case <-places:
					case <-over:
						return
					}
				}
			}
		})
	}
	close(all)
	eventually(t, "traffic", func() bool { return heard.Load() > 50*rooms*readers })
	took, still := timed(func() { code = n.stop() })
	wg.Wait()
	return n, told, code, took - still
}

// mute is a client that reads nothing after the answer to its subscribe.
func (n *node) mute(t *testing.T, channel string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", n.relay)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "GET /connect HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", n.relay)
	readTo(t, c, "\r\n\r\n")
	text := `{"command":"subscribe","data":{"topic":"` + channel + `"}}`
	frame := append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...) // masked with zeros
	if _, err := c.Write(frame); err != nil {
		t.Fatal(err)
	}
	readTo(t, c, `"ok":true`)
	return c
}

// readTo reads byte by byte, and no more.
func readTo(t *testing.T, c net.Conn, mark string) {
	t.Helper()
	for got := ""; !strings.HasSuffix(got, mark); {
		var b [1]byte
		if _, err := c.Read(b[:]); err != nil {
			t.Fatalf("%v after %q", err, got)
		}
		got += string(b[:])
	}
}

// TestStopWithMuteClient ends a node one of whose clients reads nothing, so that
// its goodbye is stuck behind messages.
func TestStopWithMuteClient(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	n.mute(t, "lobby")
	reader, writer := n.join(t, "lobby"), n.join(t, "lobby")
	var heard atomic.Int64
	end := make(chan error, 1)
	go func() { end <- listenToEnd(reader, func() { heard.Add(1) }) }()
	frame := fmt.Sprintf(`{"command":"send","data":{"channel":"lobby","message":%q}}`, strings.Repeat("x", 64<<10))
	for range 12 { // more than the kernels' buffers take, less than the outbound limit
		ask(t, writer, frame)
	}
	eventually(t, "the messages at the other client", func() bool { return heard.Load() == 12 })
	within(t, drainMost+deadSlack, "the end", func() {
		if code := n.stop(); code != 0 {
			t.Errorf("exit code %d:\n%s", code, n.err.String())
		}
	})
	var c *ws.Closed
	if err := <-end; !errors.As(err, &c) || c.Code != 1001 {
		t.Errorf("the other client ended with: %v", err)
	}
}

// TestSecondSignalEndsAtOnce does not wait for the mute client.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	n := startNode(t, "--drain-timeout", "1m")
	n.mute(t, "lobby")
	writer := n.join(t, "lobby")
	frame := fmt.Sprintf(`{"command":"send","data":{"channel":"lobby","message":%q}}`, strings.Repeat("x", 64<<10))
	for range 12 {
		ask(t, writer, frame)
	}
	n.signal(syscall.SIGTERM)
	eventually(t, "the first signal to be taken", func() bool { return strings.Contains(n.err.String(), "stopping") })
	within(t, deadSlack, "the end", func() {
		ended := make(chan struct{})
		go func() {
			tick := time.NewTicker(signalPause / 4) // the first ones are one wish with the one before
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					n.signal(syscall.SIGTERM)
				case <-ended:
					return
				}
			}
		}()
		defer close(ended)
		if code := n.wait(); code != exitFailed || !strings.Contains(n.err.String(), "second signal") {
			t.Errorf("exit code %d:\n%s", code, n.err.String())
		}
	})
}

// TestStopDeliversWhatIsQueued ends a node that holds messages for a client
// which was busy with something else: it gets them, and the goodbye.
func TestStopDeliversWhatIsQueued(t *testing.T) {
	t.Parallel()
	const messages = 40
	n := startNode(t, "--outbound-limit", "16MiB")
	busy, writer := n.join(t, "lobby"), n.join(t, "lobby")
	frame := fmt.Sprintf(`{"command":"send","data":{"channel":"lobby","message":%q}}`, strings.Repeat("x", 256<<10))
	for range messages {
		ask(t, writer, frame)
	}
	n.signal(syscall.SIGTERM)
	eventually(t, "the signal to be taken", func() bool { return strings.Contains(n.err.String(), "stopping") })
	heard := 0
	var c *ws.Closed
	if err := listenToEnd(busy, func() { heard++ }); !errors.As(err, &c) || c.Code != 1001 || heard != messages {
		t.Errorf("after %d of %d messages: %v\n%s", heard, messages, err, n.err.String())
	}
	if code := n.wait(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, n.err.String())
	}
}

// TestStopWithIdleConnections ends a node that holds connections which never
// asked for anything, and some that are half way through.
func TestStopWithIdleConnections(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	for i, at := range []string{n.relay, n.relay, n.metrics, n.metrics} {
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i%2 == 1 {
			fmt.Fprint(c, "GET /connect HTTP/1.1\r\nHost: ")
		}
	}
	within(t, drainMost, "the end", func() {
		if code := n.stop(); code != 0 {
			t.Errorf("exit code %d:\n%s", code, n.err.String())
		}
	})
}

// TestInterruptIsLikeTerminate is Ctrl-C.
func TestInterruptIsLikeTerminate(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	c := n.join(t, "lobby")
	n.signal(syscall.SIGINT)
	var closed *ws.Closed
	if err := listenToEnd(c, func() {}); !errors.As(err, &closed) || closed.Code != 1001 {
		t.Errorf("the client ended with: %v", err)
	}
	if code := n.wait(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, n.err.String())
	}
}
