package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/gateways/guard"
	"parley/gateways/link"
	"parley/gateways/ws"
	"parley/messages/linkpb"
	"parley/messages/relaypb"
	"parley/testkit"
)

// served is a gateway with a server that answers faults, and lists.
type served struct {
	t     *testing.T
	net   *testkit.Network
	sys   *actor.ActorSystem
	root  *actor.PID
	http  *http.Server
	done  chan struct{}
	heard []any // by the server, but for faults
}

func newServed(t *testing.T, g Gateway) *served {
	t.Helper()
	s := &served{t: t, net: testkit.NewNetwork(), sys: testkit.System(t), done: make(chan struct{})}
	g.Kind = link.New(s.sys, &link.Kind{Codec: Codec{}, Framing: ws.Framing{}, OutboundLimit: 1 << 20, WriteTimeout: 10 * time.Second, Shards: 1})
	started := make(chan struct{})
	s.root = tree.Spawn(s.sys.Root, "root", tree.Spec{New: func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); !ok {
				return
			}
			fan := link.SpawnShards(ctx, "fanout", g.Kind)
			server := tree.Spawn(ctx, "server", tree.Spec{New: func() actor.Actor { return actor.ReceiveFunc(s.serve) }})
			g.Links = link.SpawnLinks(ctx, "links", g.Kind, fan.Shards, server)
			close(started)
		})
	}})
	<-started
	l, err := s.net.Listen("server:80")
	if err != nil {
		t.Fatal(err)
	}
	s.http = guard.Server(&g, guard.ServerOptions{})
	go func() {
		defer close(s.done)
		_ = s.http.Serve(link.Listener(l))
	}()
	return s
}

func (s *served) serve(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *linkpb.Opened:
		ctx.Request(ctx.Sender(), &linkpb.Accepted{})
	case *linkpb.Malformed:
		ctx.Respond(&relaypb.Error{Reason: m.GetReason(), Nonce: m.GetNonce(), Charge: m.GetCharge()})
	case *relaypb.List:
		s.heard = append(s.heard, m)
		ctx.Respond(&relaypb.Answer{Ok: true, Nonce: m.GetNonce(), Charge: 1, List: &relaypb.Channels{}})
	}
}

func (s *served) dial() (*testkit.WS, error) {
	s.t.Helper()
	c, err := s.net.Dial(context.Background(), "client", "server:80")
	if err != nil {
		s.t.Fatal(err)
	}
	return testkit.DialWS(c, "server", "/connect", nil)
}

func (s *served) stop() {
	s.t.Helper()
	_ = s.http.Close()
	<-s.done
	testkit.Stop(s.t, s.sys, s.root)
	if n := s.net.Open(); n != 0 {
		s.t.Errorf("%d ends of connections left open", n)
	}
}

// hear is all that a client heard so far.
func hear(w *testkit.WS) (all []string) {
	synctest.Wait()
	for {
		frame, code, _, ok := w.Hear()
		if !ok {
			return all
		}
		if code != 0 {
			frame = fmt.Sprintf("close %d", code)
		}
		all = append(all, frame)
	}
}

// TestFaultsAreAnsweredAndTheConnectionStays.
func TestFaultsAreAnsweredAndTheConnectionStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServed(t, Gateway{Limit: 1 << 20, MaxLinks: 10})
		w, err := s.dial()
		if err != nil {
			t.Fatal(err)
		}
		say := func(f func() error, want string) {
			t.Helper()
			if err := f(); err != nil {
				t.Error(err)
			}
			if got := hear(w); !slices.Equal(got, []string{want}) {
				t.Errorf("heard %q, want %q", got, want)
			}
		}
		say(func() error { return w.SayBinary([]byte(`{"command":"list","nonce":1}`)) }, `{"type":"error","data":{"reason":"binary not supported"},"nonce":""}`)
		say(func() error { return w.Say(`{"command":"list"`) }, `{"type":"error","data":{"reason":"invalid json"},"nonce":""}`)
		say(func() error { return w.Say(`{"command":"dance","nonce":[1]}`) }, `{"type":"error","data":{"reason":"invalid command"},"nonce":[1]}`)
		say(func() error { return w.Say("") }, `{"type":"error","data":{"reason":"invalid json"},"nonce":""}`)
		say(func() error { return w.Say(`{"command":"list","nonce":2}`) }, `{"type":"response","data":{"ok":true,"channels":[],"subscribed":[]},"nonce":2}`)
		if len(s.heard) != 1 {
			t.Errorf("the server heard %v", s.heard)
		}
		w.HangUp()
		s.stop()
	})
}

// TestFullGateway refuses with 503 and says what to do, and has room again when
// somebody leaves.
func TestFullGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var refused []string
		s := newServed(t, Gateway{Limit: 1 << 20, MaxLinks: 2, Refuse: func(w http.ResponseWriter, _ *http.Request, r *guard.Refusal) {
			refused = append(refused, string(r.Reason))
			r.WriteTo(w)
		}})
		var clients []*testkit.WS
		for range 2 {
			w, err := s.dial()
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			clients = append(clients, w)
		}
		_, err := s.dial()
		var r *testkit.Refused
		if !errors.As(err, &r) || r.Status != http.StatusServiceUnavailable || !slices.Equal(refused, []string{string(guard.ReasonMaxConns)}) {
			t.Errorf("got %v, %q", err, refused)
		}
		if err := clients[0].Bye(1000, ""); err != nil {
			t.Error(err)
		}
		if got := hear(clients[0]); !slices.Equal(got, []string{"close 1000"}) {
			t.Errorf("heard %q", got)
		}
		w, err := s.dial()
		if err != nil {
			t.Fatal(err)
		}
		w.HangUp()
		clients[1].HangUp()
		s.stop()
	})
}

// TestNoHandshake: what is no WebSocket request is answered, not served.
func TestNoHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServed(t, Gateway{Limit: 1 << 20, MaxLinks: 2})
		c, err := s.net.Dial(context.Background(), "client", "server:80")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, "GET /connect HTTP/1.1\r\nHost: server\r\nConnection: close\r\n\r\n")
		got, err := io.ReadAll(c)
		if err != nil || len(got) < 12 || string(got[:12]) != "HTTP/1.1 400" {
			t.Errorf("%q, %v", got, err)
		}
		_ = c.Close()
		s.stop()
	})
}
