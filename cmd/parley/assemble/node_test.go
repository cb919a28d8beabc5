package assemble_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/actors/tree"
	"parley/cmd/parley/assemble"
	"parley/cmd/parley/config"
	"parley/gateways/ws"
	"parley/testkit"
	"parley/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

const (
	// patience ends a wait that should take moments, on a busy machine too.
	patience = 60 * time.Second
	// afterlife is more than a socket lingers for a peer that does not answer a
	// goodbye.
	afterlife = 40 * time.Second
	frameMost = 1 << 20
)

// eventually polls cond until it holds.
func eventually(t *testing.T, what string, cond func() error) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.NewTimer(afterlife)
	defer end.Stop()
	for {
		err := cond()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatalf("in vain, after %v: %s: %v", afterlife, what, err)
		}
	}
}

// descriptors counts what this process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// inProcess is a node on real sockets.
type inProcess struct {
	*assemble.Node
	t                    *testing.T
	pool                 *tree.Pool
	relay, star, metrics net.Listener
}

func start(t *testing.T) *inProcess {
	t.Helper()
	values, err := config.Load(config.LoadOptions{Environ: func() []string { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	c := values.Node()
	n := &inProcess{t: t, pool: tree.NewPool()}
	for _, l := range []*net.Listener{&n.relay, &n.star, &n.metrics} {
		if *l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	sys := tree.New(tree.Options{Log: slog.New(slog.DiscardHandler), Driver: n.pool, Fatal: func(reason any) { t.Error(reason) }})
	n.Node = assemble.Start(sys, &c, assemble.Listeners{Relay: n.relay, Star: n.star, Metrics: n.metrics})
	return n
}

// stop ends the node in the time that is given.
func (n *inProcess) stop(most time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	defer n.pool.Close()
	return n.Stop(ctx)
}

func (n *inProcess) dial() *ws.Client { return n.dialAt(n.relay, "/connect") }

func (n *inProcess) dialAt(l net.Listener, path string) *ws.Client {
	n.t.Helper()
	c, err := ws.Dial(n.t.Context(), "ws://"+l.Addr().String()+path, frameMost)
	if err != nil {
		n.t.Fatal(err)
	}
	return c
}

// ask sends a command and waits for the answer.
func ask(t *testing.T, c *ws.Client, command string) string {
	t.Helper()
	if err := c.Say([]byte(command)); err != nil {
		t.Fatal(err)
	}
	for {
		b, err := c.Hear()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), `"response"`) {
			return string(b)
		}
	}
}

func get(t *testing.T, l net.Listener, path string) {
	t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("%s: %d, %v", path, res.StatusCode, err)
	}
}

// TestStopLeavesNothing serves clients of all kinds, and looks for what is left
// when the node has stopped: goroutines, and open files.
func TestStopLeavesNothing(t *testing.T) {
	goroutines, files := goleak.IgnoreCurrent(), descriptors(t)
	n := start(t)
	const clients = 50
	var wg sync.WaitGroup
	ends := make([]error, clients+2) // those at the rendezvous last
	for i := range clients {
		c := n.dial()
		name := fmt.Sprintf("room %d", i%5)
		command := fmt.Sprintf(`{"command":"subscribe","data":{"topic":%q,"password":"p"}}`, name)
		if got := ask(t, c, command); !strings.Contains(got, `"ok":true`) {
			t.Errorf("%s: %s", command, got)
		}
		ask(t, c, fmt.Sprintf(`{"command":"send","data":{"channel":%q,"message":"hello"}}`, name))
		switch i % 10 {
		case 0:
			ask(t, c, fmt.Sprintf(`{"command":"unsubscribe","data":{"topic":%q}}`, name))
		case 1: // leaves by itself
			_ = c.Close()
			continue
		}
		wg.Go(func() {
			for ends[i] == nil {
				_, ends[i] = c.Hear()
			}
			_ = c.Close()
		})
	}
	for i, version := range []string{"3", "4"} { // of Engine.IO
		i += clients
		c := n.dialAt(n.star, "/socket.io/?transport=websocket&EIO="+version)
		wg.Go(func() {
			for ends[i] == nil {
				_, ends[i] = c.Hear()
			}
			_ = c.Close()
		})
	}
	get(t, n.relay, "/health")
	get(t, n.star, "/")
	get(t, n.metrics, "/metrics")
	var idle []net.Conn
	for i, l := range []net.Listener{n.relay, n.relay, n.star, n.star, n.metrics, n.metrics} {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 1 {
			fmt.Fprint(c, "GET /health HTTP/1.1\r\nHost:")
		}
		idle = append(idle, c)
	}
	if err := n.stop(patience); err != nil {
		t.Error(err)
	}
	wg.Wait()
	for i, err := range ends {
		var c *ws.Closed
		if (i%10 != 1 || i >= clients) && (!errors.As(err, &c) || c.Code != 1001) {
			t.Errorf("client %d ended with: %v", i, err)
		}
	}
	for _, c := range idle {
		_ = c.Close()
	}
	eventually(t, "no goroutine is left", func() error { return goleak.Find(goroutines) })
	eventually(t, "no file is left", func() error {
		if now := descriptors(t); now > files {
			return fmt.Errorf("%d files are open, %d were", now, files)
		}
		return nil
	})
}

// TestStopCutsOff does not wait longer than it may for a client that reads
// nothing, and leaves nothing of it either.
func TestStopCutsOff(t *testing.T) {
	goroutines, files := goleak.IgnoreCurrent(), descriptors(t)
	n := start(t)
	conn, err := net.Dial("tcp", n.relay.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil { // else kernels take tens of MiB
		t.Fatal(err)
	}
	mute, err := testkit.DialWS(conn, n.relay.Addr().String(), "/connect", nil)
	if err != nil {
		t.Fatal(err)
	}
	writer := n.dial()
	const subscribe = `{"command":"subscribe","data":{"topic":"lobby"}}`
	mute.Pause() // the answer is the last that it reads
	if err := mute.Say(subscribe); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the answer is heard", func() error {
		if _, _, _, heard := mute.Hear(); !heard {
			return errors.New("nothing yet")
		}
		return nil
	})
	ask(t, writer, subscribe)
	frame := fmt.Sprintf(`{"command":"send","data":{"channel":"lobby","message":%q}}`, strings.Repeat("x", 256<<10))
	for range 3 { // more than the kernel takes of them, less than the node queues
		ask(t, writer, frame)
	}
	go func() {
		for {
			if _, err := writer.Hear(); err != nil {
				_ = writer.Close()
				return
			}
		}
	}()
	if err := n.stop(100 * time.Millisecond); err == nil {
		t.Error("nobody was cut off")
	}
	mute.HangUp()
	eventually(t, "no goroutine is left", func() error { return goleak.Find(goroutines) })
	eventually(t, "no file is left", func() error {
		if now := descriptors(t); now > files {
			return fmt.Errorf("%d files are open, %d were", now, files)
		}
		return nil
	})
}

// TestFailedListener is reported.
func TestFailedListener(t *testing.T) {
	n := start(t)
	if err := n.relay.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-n.Failed():
		if !strings.Contains(err.Error(), "relay listener") {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("nobody told")
	}
	if err := n.stop(patience); err != nil {
		t.Error(err)
	}
}
