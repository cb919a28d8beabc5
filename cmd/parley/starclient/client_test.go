package starclient_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"testing"
	"time"

	"parley/actors/tree"
	"parley/cmd/parley/assemble"
	"parley/cmd/parley/config"
	"parley/cmd/parley/starclient"
)

// serve runs a node on a free port, and returns the address of its rendezvous.
func serve(t *testing.T, challenge string) string {
	t.Helper()
	values, err := config.Load(config.LoadOptions{Environ: func() []string { return []string{"PARLEY_STAR_CRYPTO_CHALLENGE=" + challenge} }})
	if err != nil {
		t.Fatal(err)
	}
	c := values.Node()
	var listeners [2]net.Listener
	for i := range listeners {
		if listeners[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	pool := tree.NewPool()
	sys := tree.New(tree.Options{Log: slog.New(slog.DiscardHandler), Driver: pool, Fatal: func(reason any) { t.Error(reason) }})
	n := assemble.Start(sys, &c, assemble.Listeners{Relay: listeners[0], Star: listeners[1]})
	t.Cleanup(func() {
		defer pool.Close()
		const most = time.Minute
		ctx, cancel := context.WithTimeout(context.Background(), most)
		defer cancel()
		if err := n.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return listeners[1].Addr().String()
}

func dial(t *testing.T, at string, o starclient.Options) *starclient.Client {
	t.Helper()
	c, err := starclient.Dial(t.Context(), at, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func identity(t *testing.T) *starclient.Identity {
	t.Helper()
	i, err := starclient.NewEd25519()
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// meeting is two clients that have joined; the dials that the second gets come out of a channel.
type meeting struct {
	a, b     *starclient.Client
	from, to string
	dials    chan *starclient.Stream
}

func meet(t *testing.T, at string, versions [2]int) *meeting {
	t.Helper()
	m := &meeting{dials: make(chan *starclient.Stream, 16)}
	heard := make(chan string, 16)
	m.a = dial(t, at, starclient.Options{Version: versions[0], Peer: func(address string) { heard <- address }})
	m.b = dial(t, at, starclient.Options{Version: versions[1], Incoming: func(from string, s *starclient.Stream) string {
		if from != m.from {
			return "not you"
		}
		m.dials <- s
		return ""
	}})
	anna, ben := identity(t), identity(t)
	m.from, m.to = anna.Address("127.0.0.1", 9090), ben.Address("127.0.0.1", 9090)
	if others, err := m.a.Join(t.Context(), m.from, anna); err != nil || len(others) > 0 {
		t.Fatalf("joined %v, %v", others, err)
	}
	if others, err := m.b.Join(t.Context(), m.to, ben); err != nil || !slices.Equal(others, []string{m.from}) {
		t.Fatalf("joined %v, %v", others, err)
	}
	if got := <-heard; got != m.to {
		t.Fatalf("heard of %q", got)
	}
	return m
}

func (m *meeting) connect(t *testing.T) (a, b *starclient.Stream) {
	t.Helper()
	a, err := m.a.Dial(t.Context(), m.from, m.to)
	if err != nil {
		t.Fatal(err)
	}
	return a, <-m.dials
}

func TestClientsMeet(t *testing.T) {
	for _, versions := range [][2]int{{3, 3}, {3, 4}, {4, 3}, {4, 4}} {
		t.Run(fmt.Sprint(versions), func(t *testing.T) {
			// A server of its own: one in common may not yet have noticed that the pair before left.
			m := meet(t, serve(t, "on"), versions)
			a, b := m.connect(t)
			for _, way := range [][2]*starclient.Stream{{a, b}, {b, a}} {
				for _, chunk := range [][]byte{[]byte("hello"), {}, bytes.Repeat([]byte{1}, 1<<20)} {
					if err := way[0].Send(t.Context(), chunk); err != nil {
						t.Fatal(err)
					}
					if got, err := way[1].Receive(t.Context()); err != nil || !bytes.Equal(got, chunk) {
						t.Fatalf("%d bytes came, not %d, %v", len(got), len(chunk), err)
					}
				}
				if err := way[0].End(); err != nil {
					t.Fatal(err)
				}
				if got, err := way[1].Receive(t.Context()); !errors.Is(err, io.EOF) {
					t.Fatalf("%d bytes came, %v", len(got), err)
				}
			}
			if err := errors.Join(a.Close(), b.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	m := meet(t, serve(t, "on"), [2]int{3, 3})
	var refused *starclient.Refused
	for to, want := range map[string]string{m.from: "nobody listens", identity(t).Address("127.0.0.1", 1): "Peer not found"} {
		if _, err := m.a.Dial(t.Context(), m.from, to); !errors.As(err, &refused) || refused.Text != want {
			t.Errorf("dial %q: %v", to, err)
		}
	}
	if _, err := m.b.Dial(t.Context(), m.from, m.to); !errors.As(err, &refused) || refused.Event != starclient.EventDial {
		t.Errorf("dialled from another's address: %v", err)
	}
	if _, err := m.a.Join(t.Context(), m.to, nil); !errors.As(err, &refused) || refused.Event != starclient.EventJoin {
		t.Errorf("joined without an identity: %v", err)
	}
	if err := m.b.Leave(m.to); err != nil {
		t.Error(err)
	}
	if _, err := m.b.Dial(t.Context(), m.to, m.from); !errors.As(err, &refused) {
		t.Errorf("dialled from where it has left: %v", err)
	}
}

// TestNobodyToProveTo joins without a challenge.
func TestNobodyToProveTo(t *testing.T) {
	c := dial(t, serve(t, "off"), starclient.Options{})
	if others, err := c.Join(t.Context(), identity(t).Address("127.0.0.1", 1), nil); err != nil || others == nil || len(others) > 0 {
		t.Errorf("joined %v, %v", others, err)
	}
}

// TestReceiverHoldsSenderBack sends more than all buffers on the way take, to somebody who does not read: Send waits.
func TestReceiverHoldsSenderBack(t *testing.T) {
	m := meet(t, serve(t, "on"), [2]int{3, 3})
	a, b := m.connect(t)
	const chunks = 1024 // of 64 KiB
	sent := make(chan error, 1)
	go func() {
		for i := range chunks {
			if err := a.Send(t.Context(), bytes.Repeat([]byte{byte(i)}, 64<<10)); err != nil {
				sent <- err
				return
			}
		}
		sent <- a.End()
	}()
	for i := range chunks {
		got, err := b.Receive(t.Context())
		select {
		case err := <-sent:
			if i == 0 {
				t.Fatalf("all was taken before anything was read: %v", err)
			}
			sent <- err
		default:
		}
		if err != nil || len(got) != 64<<10 || got[0] != byte(i) {
			t.Fatalf("chunk %d: %d bytes, %v", i, len(got), err)
		}
	}
	if _, err := b.Receive(t.Context()); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// TestEndOfConnection ends all that waits for it.
func TestEndOfConnection(t *testing.T) {
	for name, end := range map[string]func(*starclient.Client){"close": (*starclient.Client).Close, "cut": (*starclient.Client).Cut} {
		t.Run(name, func(t *testing.T) {
			m := meet(t, serve(t, "on"), [2]int{3, 3})
			a, b := m.connect(t)
			end(m.b)
			if _, err := b.Receive(t.Context()); !errors.Is(err, starclient.ErrClosed) {
				t.Errorf("here: %v", err)
			}
			if err := m.b.Err(); !errors.Is(err, starclient.ErrClosed) {
				t.Error(err)
			}
			if _, err := a.Receive(t.Context()); !errors.Is(err, io.EOF) {
				t.Errorf("there: %v", err)
			}
			if _, err := m.b.Ask(t.Context(), starclient.EventJoin, "", ""); err == nil {
				t.Error("something was asked after the end")
			}
			<-m.b.Done()
		})
	}
}

// TestNobodyThere fails at once.
func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := starclient.Dial(t.Context(), at, starclient.Options{}); err == nil {
		t.Error("connected")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := starclient.Dial(ctx, serve(t, "on"), starclient.Options{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
