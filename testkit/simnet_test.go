package testkit_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"parley/testkit"
)

// dialled returns both ends of a connection between the hosts a and b.
func dialled(t *testing.T, n *testkit.Network) (near, far *testkit.SimConn) {
	t.Helper()
	l, err := n.Listen("b:80")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err = n.Dial(t.Context(), "a", "b:80")
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return near, c.(*testkit.SimConn)
}

// closed closes ends and checks that the network is empty.
func closed(t *testing.T, n *testkit.Network, ends ...*testkit.SimConn) {
	t.Helper()
	for _, c := range ends {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := c.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second close: %v", err)
		}
	}
	if n.Open() != 0 {
		t.Errorf("%d ends left open", n.Open())
	}
}

func timedOut(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout() && errors.Is(err, os.ErrDeadlineExceeded)
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := testkit.NewNetwork(testkit.Latency(40 * time.Millisecond))
		start := time.Now()
		a, b := dialled(t, n)
		if d := time.Since(start); d != 80*time.Millisecond {
			t.Errorf("dialling took %v", d)
		}
		start = time.Now()
		fmt.Fprint(a, "one")
		fmt.Fprint(a, "two")
		_ = a.CloseWrite()
		got, err := io.ReadAll(b)
		if string(got) != "onetwo" || err != nil || time.Since(start) != 40*time.Millisecond {
			t.Errorf("got %q, %v after %v", got, err, time.Since(start))
		}
		fmt.Fprint(b, "still open")
		p := make([]byte, 32)
		if k, err := a.Read(p); string(p[:k]) != "still open" || err != nil {
			t.Errorf("after the half-close: %q, %v", p[:k], err)
		}
		if _, err := a.Write(p); !errors.Is(err, net.ErrClosed) {
			t.Errorf("write after CloseWrite: %v", err)
		}
		closed(t, n, a, b)
	})
}

func TestWindowHoldsTheWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := testkit.NewNetwork(testkit.Window(10))
		a, b := dialled(t, n)
		if k, err := a.TryWrite([]byte("1234567")); k != 7 || err != nil {
			t.Errorf("TryWrite: %d, %v", k, err)
		}
		if k, err := a.TryWrite([]byte("8901234")); k != 3 || err != nil {
			t.Errorf("TryWrite into what is left: %d, %v", k, err)
		}
		if k, err := a.TryWrite([]byte("4")); k != 0 || err != nil {
			t.Errorf("TryWrite into a full window: %d, %v", k, err)
		}
		written := false
		go func() {
			_, err := a.Write([]byte("45678901234567890")) // more than the window
			written = err == nil
		}()
		synctest.Wait()
		if written {
			t.Error("the writer did not wait")
		}
		got := make([]byte, 27)
		if _, err := io.ReadFull(b, got); err != nil || string(got) != "123456789045678901234567890" {
			t.Errorf("got %q, %v", got, err)
		}
		synctest.Wait()
		if !written {
			t.Error("the writer still waits")
		}
		closed(t, n, a, b)
	})
}

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := testkit.NewNetwork(testkit.Window(4))
		a, b := dialled(t, n)
		p := make([]byte, 8)
		start := time.Now()
		_ = a.SetReadDeadline(start.Add(time.Second))
		if _, err := a.Read(p); !timedOut(err) || time.Since(start) != time.Second {
			t.Errorf("read: %v after %v", err, time.Since(start))
		}
		_ = a.SetReadDeadline(time.Time{})
		_ = a.SetWriteDeadline(time.Now().Add(time.Second))
		if k, err := a.Write([]byte("12345")); k != 4 || !timedOut(err) {
			t.Errorf("write: %d, %v", k, err)
		}
		if _, err := a.TryWrite([]byte("5")); !timedOut(err) {
			t.Errorf("TryWrite after the deadline: %v", err)
		}
		_ = a.SetDeadline(time.Time{})
		_, _ = io.ReadFull(b, p[:4])
		fmt.Fprint(b, "yes")
		if k, err := a.Read(p); string(p[:k]) != "yes" || err != nil {
			t.Errorf("after the deadline was lifted: %q, %v", p[:k], err)
		}
		go func() { // a deadline in the past wakes a reader that waits already
			time.Sleep(time.Minute)
			_ = a.SetDeadline(time.Unix(1, 0))
		}()
		if _, err := a.Read(p); !timedOut(err) {
			t.Errorf("a deadline set later: %v", err)
		}
		closed(t, n, a, b)
	})
}

func TestCloseIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := testkit.NewNetwork()
		a, b := dialled(t, n)
		go func() {
			time.Sleep(time.Second)
			fmt.Fprint(b, "bye")
			_ = b.Close()
		}()
		got, err := io.ReadAll(a)
		if string(got) != "bye" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		if _, err := a.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("write to a closed end: %v", err)
		}
		go func() {
			time.Sleep(time.Second)
			_ = a.Close()
		}()
		if _, err := b.Read(nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read from an own closed end: %v", err)
		}
		time.Sleep(2 * time.Second)
		if n.Open() != 0 {
			t.Errorf("%d ends open", n.Open())
		}
	})
}

func TestPartitionHealsAndCutBreaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := testkit.NewNetwork(testkit.Latency(time.Millisecond))
		a, b := dialled(t, n)
		n.Partition("a", "b")
		fmt.Fprint(a, "held")
		_ = b.SetReadDeadline(time.Now().Add(time.Hour))
		p := make([]byte, 8)
		if _, err := b.Read(p); !timedOut(err) {
			t.Errorf("read across a partition: %v", err)
		}
		l, _ := n.Listen("b:81")
		short, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := n.Dial(short, "a", "b:81"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("dial across a partition: %v", err)
		}
		c, err := n.Dial(t.Context(), "c", "b:81") // others are not concerned
		if err != nil {
			t.Fatal(err)
		}
		n.Heal("b", "a")
		_ = b.SetReadDeadline(time.Time{})
		if k, err := b.Read(p); string(p[:k]) != "held" || err != nil {
			t.Errorf("after the partition: %q, %v", p[:k], err)
		}
		go func() {
			time.Sleep(time.Second)
			n.Cut("a", "b")
		}()
		if _, err := b.Read(p); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read after a cut: %v", err)
		}
		if _, err := a.Write(p); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("write after a cut: %v", err)
		}
		_ = l.Close() // nobody accepted c
		if _, err := c.Read(p); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read from a connection nobody accepted: %v", err)
		}
		closed(t, n, a, b, c)
	})
}

func TestListenAndDialErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := testkit.NewNetwork()
		if _, err := n.Dial(t.Context(), "a", "b:80"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("nobody listens: %v", err)
		}
		for _, bad := range []string{"b", "b:http", "b:70000", ""} {
			if _, err := n.Dial(t.Context(), "a", bad); err == nil {
				t.Errorf("address %q was taken", bad)
			}
		}
		l, err := n.Listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Listen(l.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("listening twice: %v", err)
		}
		c, err := n.Dial(t.Context(), "127.0.0.1", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if !c.LocalAddr().(*net.TCPAddr).IP.IsLoopback() || c.RemoteAddr().String() != l.Addr().String() {
			t.Errorf("addresses %v, %v", c.LocalAddr(), c.RemoteAddr())
		}
		accepted := make(chan error)
		go func() {
			_, _ = l.Accept()
			_, err := l.Accept()
			accepted <- err
		}()
		synctest.Wait()
		_ = l.Close()
		if err := <-accepted; !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept after close: %v", err)
		}
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("closing twice: %v", err)
		}
	})
}

func TestChop(t *testing.T) {
	for _, most := range []int{1, 3} {
		sizes := func(seed uint64) (out []int) {
			synctest.Test(t, func(t *testing.T) {
				n := testkit.NewNetwork(testkit.Chop(seed, most))
				a, b := dialled(t, n)
				fmt.Fprint(a, strings.Repeat("x", 300))
				_ = a.CloseWrite()
				p := make([]byte, 100)
				for {
					k, err := b.Read(p)
					if err == io.EOF {
						break
					}
					if k < 1 || k > most {
						t.Fatalf("read gave %d bytes, most is %d", k, most)
					}
					out = append(out, k)
				}
				closed(t, n, a, b)
			})
			return out
		}
		one, again, two := sizes(1), sizes(1), sizes(2)
		if !slices.Equal(one, again) {
			t.Error("one seed chopped in two ways")
		}
		if most > 1 && slices.Equal(one, two) {
			t.Error("two seeds chopped in one way")
		}
	}
}

// TestRealServer has net/http on both sides, under a driver and without.
func TestRealServer(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789"), 30_000) // several windows
	visit := func(t *testing.T, n *testkit.Network, do func(func())) {
		l, _ := n.Listen("server:80")
		srv := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			_, _ = w.Write(b)
		})}
		go func() { _ = srv.Serve(l) }()
		tr := &http.Transport{DialContext: n.DialFrom("client"), DisableKeepAlives: true}
		do(func() {
			resp, err := (&http.Client{Transport: tr}).Post("http://server/", "text/plain", bytes.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			got, err := io.ReadAll(resp.Body)
			if !bytes.Equal(got, body) || err != nil {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
		})
		do(func() { // half a header
			c, _ := n.Dial(t.Context(), "client", "server:80")
			start := time.Now()
			fmt.Fprint(c, "GET / HTTP/1.1\r\nHo")
			_, _ = io.ReadAll(c)
			if d := time.Since(start).Round(time.Second); d != 5*time.Second {
				t.Errorf("half a header was cut after %v", d)
			}
			_ = c.Close()
		})
		do(func() { _ = srv.Close() })
		tr.CloseIdleConnections()
		do(func() { time.Sleep(time.Minute) })
		if n.Open() != 0 {
			t.Errorf("%d ends left open", n.Open())
		}
	}
	synctest.Test(t, func(t *testing.T) {
		visit(t, testkit.NewNetwork(testkit.Latency(20*time.Millisecond)), func(f func()) { f() })
	})
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		visit(t, testkit.NewNetwork(testkit.Driven(d), testkit.Latency(20*time.Millisecond), testkit.Chop(d.Seed(), 4000)), d.Do)
	})
}

// TestDrivenNetworkHasOneHistory has many readers of which all could be served
// at the same instants.
func TestDrivenNetworkHasOneHistory(t *testing.T) {
	run := func(seed uint64, latency time.Duration) string {
		var log []string
		synctest.Test(t, func(t *testing.T) {
			d := testkit.NewDriver(seed)
			n := testkit.NewNetwork(testkit.Driven(d), testkit.Latency(latency))
			for i := range 8 {
				a, b := dialled(t, n)
				go func() {
					lines := bufio.NewScanner(b)
					for lines.Scan() {
						d.Post(fmt.Sprint("reader", i), func() { log = append(log, lines.Text()) })
					}
				}()
				for k := range 5 {
					d.After(time.Duration(k)*time.Second, func() { fmt.Fprintf(a, "%d.%d\n", i, k) })
				}
				d.After(time.Minute, func() { _ = a.Close(); _ = b.Close() })
			}
			d.Run(2 * time.Minute)
		})
		return strings.Join(log, " ")
	}
	for _, latency := range []time.Duration{0, 20 * time.Millisecond} {
		seen, all := map[string]bool{}, map[string]bool{}
		for i := range uint64(20) {
			seen[run(1, latency)] = true
			all[run(i, latency)] = true
		}
		if len(seen) != 1 || len(all) != 20 {
			t.Errorf("latency %v: one seed gave %d histories, 20 seeds %d", latency, len(seen), len(all))
		}
	}
}
