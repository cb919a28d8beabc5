package uiv2

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"parley/actors/tree"
	"parley/gateways/guard"
	"parley/gateways/link"
	"parley/gateways/ws"
	"parley/messages/linkpb"
	"parley/messages/uipb"
	"parley/testkit"
)

// patience is how long these tests wait for anything. They never wait for it to
// pass.
const patience = time.Minute

// Users of these tests.
const (
	root     = 0
	own      = 1000
	friend   = 1001
	stranger = 1002
)

// served is a gateway on a real listener, with a server that answers whatever
// has a conversation.
type served struct {
	t      *testing.T
	gate   *Gateway
	policy Policy
	addr   string
	peers  chan *linkpb.Peer // of links that opened
	sys    *actor.ActorSystem
	root   *actor.PID
	http   *http.Server
	done   chan struct{}
}

// userIs answers who is there.
func userIs(uid uint32) func(remote, local netip.AddrPort) (uint32, error) {
	return func(_, _ netip.AddrPort) (uint32, error) { return uid, nil }
}

func serve(t *testing.T) *served {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &served{t: t, addr: l.Addr().String(), peers: make(chan *linkpb.Peer, 16), sys: tree.New(tree.Options{}), done: make(chan struct{})}
	s.policy = Policy{Rules: guard.Rules{LoopbackOnly: true, Port: l.Addr().(*net.TCPAddr).Port, Origins: []string{"http://127.0.0.1:5500"}, OriginsOption: "ui-origins"}, Users: []uint32{friend}}
	s.gate = &Gateway{
		Kind: link.New(s.sys, NewKind(DaemonCodec())), Limit: 1 << 20, MaxLinks: 4, Own: own, User: userIs(own),
		Policy: func() Policy { return s.policy },
		Refuse: func(w http.ResponseWriter, _ *http.Request, r *guard.Refusal) { r.WriteTo(w) },
	}
	started := make(chan struct{})
	s.root = tree.Spawn(s.sys.Root, "root", tree.Spec{New: func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); !ok {
				return
			}
			fan := link.SpawnShards(ctx, "fanout", s.gate.Kind)
			server := tree.Spawn(ctx, "server", tree.Spec{New: func() actor.Actor { return actor.ReceiveFunc(s.answer) }})
			s.gate.Links = link.SpawnLinks(ctx, "links", s.gate.Kind, fan.Shards, server)
			close(started)
		})
	}})
	<-started
	s.http = guard.Server(s.gate, guard.ServerOptions{})
	go func() {
		defer close(s.done)
		_ = s.http.Serve(link.Listener(l))
	}()
	t.Cleanup(s.stop)
	return s
}

func (s *served) stop() {
	_ = s.http.Close()
	<-s.done
	_ = s.sys.Root.StopFuture(s.root).Wait()
	s.sys.Shutdown()
}

func (s *served) answer(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *linkpb.Opened:
		s.peers <- m.GetPeer()
		ctx.Request(ctx.Sender(), &linkpb.Accepted{})
	case *linkpb.Malformed:
		ctx.Respond(&linkpb.Settled{Charge: m.GetCharge()})
	case *uipb.Unreadable:
		r := uipb.Broadcast("unmarshalError", &uipb.UnmarshalError{Message: m.GetMessage(), BadData: m.GetBadData()})
		r.Charge = m.GetCharge()
		ctx.Respond(r)
	case *uipb.Request:
		r := uipb.Broadcast(m.GetOpcode(), &uipb.Done{})
		r.Context, r.Charge = m.Context, m.GetCharge()
		ctx.Respond(r)
	}
}

// offer are the headers of a user interface, with more in pairs.
func offer(more ...string) http.Header {
	h := http.Header{"Sec-Websocket-Protocol": {Subprotocol}}
	for i := 0; i < len(more); i += 2 {
		h[more[i]] = append(h[more[i]], more[i+1])
	}
	return h
}

// knock asks to come in, and hangs up at once.
func (s *served) knock(host, path string, header http.Header) error {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, err = testkit.Upgrade(c, host, path, header)
	return err
}

// dial connects as a user interface.
func (s *served) dial() *ws.Client {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	c, err := ws.DialProtocol(ctx, "ws://"+s.addr+"/", 1<<20, Subprotocol)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// refused checks that err is a refusal, and returns its text.
func (s *served) refused(err error, status int, reason string) (help string) {
	s.t.Helper()
	var r *testkit.Refused
	if !errors.As(err, &r) {
		s.t.Fatalf("got %v, want a refusal with %d", err, status)
	}
	var body struct{ Reason, Help string }
	if err := json.Unmarshal([]byte(r.Body), &body); err != nil {
		s.t.Fatalf("%q: %v", r.Body, err)
	}
	if r.Status != status || body.Reason != reason {
		s.t.Errorf("got %d %s (%s), want %d %s", r.Status, body.Reason, body.Help, status, reason)
	}
	select {
	case p := <-s.peers:
		s.t.Errorf("%v has a link", p)
	default:
	}
	return body.Help
}

// TestConversation: the 101 names the subprotocol, frames come and go.
func TestConversation(t *testing.T) {
	s := serve(t)
	c := s.dial()
	for _, v := range [][2]string{
		{in("start", `{}`), `{"opcode":"start","contextId":7,"payload":{}}`},
		{`{"opcode":"x"}`, `{"opcode":"unmarshalError","payload":{"message":"Required field was missing: payload, error","badData":"{\"opcode\":\"x\"}"}}`},
		{`{"opcode":"x","contextId":18446744073709551615,"payload":{}}`, `{"opcode":"x","contextId":18446744073709551615,"payload":{}}`},
	} {
		if err := c.Say([]byte(v[0])); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Hear(); err != nil || string(got) != v[1] {
			t.Errorf("%s is answered %s, %v", v[0], got, err)
		}
	}
}

// TestBinaryIsIgnored: the connection stays, and nothing is answered.
func TestBinaryIsIgnored(t *testing.T) {
	s := serve(t)
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	r, err := testkit.Upgrade(conn, s.addr, "/", offer())
	if err != nil {
		t.Fatal(err)
	}
	mask := &[4]byte{1, 2, 3, 4}
	var wire []byte
	for range 200 { // more than a link would read, if they kept their credit
		wire = testkit.Frame{Fin: true, Op: testkit.OpBinary, Payload: []byte(in("start", `{}`)), Mask: mask}.Append(wire)
	}
	wire = testkit.Frame{Fin: true, Op: testkit.OpText, Payload: []byte(in("start", `{}`)), Mask: mask}.Append(wire)
	if _, err := conn.Write(wire); err != nil {
		t.Fatal(err)
	}
	if f, err := testkit.ReadFrame(r); err != nil || string(f.Payload) != `{"opcode":"start","contextId":7,"payload":{}}` {
		t.Errorf("%s, %v", f.Payload, err)
	}
}

// TestAnyPath is served alike.
func TestAnyPath(t *testing.T) {
	s := serve(t)
	for _, path := range []string{"/", "/ui", "/a/b?c=d", "/%2e%2e/x"} {
		if err := s.knock(s.addr, path, offer()); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		<-s.peers
	}
}

// TestHostsAndOrigins of web pages, and of those that are none.
func TestHostsAndOrigins(t *testing.T) {
	s := serve(t)
	_, port, _ := net.SplitHostPort(s.addr)
	for _, host := range []string{"localhost:" + port, "127.0.0.1:" + port, "[::1]:" + port, "127.8.9.10:" + port, "LocalHost.:" + port} {
		if err := s.knock(host, "/", offer()); err != nil {
			t.Errorf("host %s: %v", host, err)
		}
		<-s.peers
	}
	for host, reason := range map[string]string{
		"evil.example:" + port:           guard.ReasonHostNotAllowed, // rebinding
		"localhost.evil.example:" + port: guard.ReasonHostNotAllowed,
		"192.0.2.1:" + port:              guard.ReasonHostNotAllowed,
		"localhost:1":                    guard.ReasonHostPort,
		"0x7f.1:" + port:                 guard.ReasonHostMalformed,
	} {
		s.refused(s.knock(host, "/", offer("Origin", "http://"+host)), http.StatusForbidden, reason)
	}
	if err := s.knock(s.addr, "/", offer("Origin", "http://127.0.0.1:5500")); err != nil {
		t.Errorf("an origin that is listed: %v", err)
	}
	<-s.peers
	for _, origin := range []string{"https://evil.example", "null", "file://", "http://" + s.addr, "http://127.0.0.1:5501", ""} {
		help := s.refused(s.knock(s.addr, "/", offer("Origin", origin)), http.StatusForbidden, guard.ReasonOriginNotAllowed)
		if origin != "" && !strings.Contains(help, "ui-origins") {
			t.Errorf("origin %s: no advice in %q", origin, help)
		}
	}
	s.refused(s.knock(s.addr, "/", offer("Origin", "http://127.0.0.1:5500", "Origin", "null")), http.StatusForbidden, guard.ReasonOriginRepeated)
}

// TestSubprotocol must be offered, spelled like this.
func TestSubprotocol(t *testing.T) {
	s := serve(t)
	for _, offers := range [][]string{nil, {""}, {"MASQNode-UIv1"}, {"masqnode-uiv2"}, {"MASQNode-UIv2x, x"}, {"MASQNode UIv2"}} {
		help := s.refused(s.knock(s.addr, "/", http.Header{"Sec-Websocket-Protocol": offers}), http.StatusBadRequest, guard.ReasonSubprotocol)
		if !strings.Contains(help, Subprotocol) {
			t.Errorf("%q: no advice in %q", offers, help)
		}
	}
	for _, offers := range [][]string{{"other, MASQNode-UIv2"}, {"other", "MASQNode-UIv2,x"}} {
		if err := s.knock(s.addr, "/", http.Header{"Sec-Websocket-Protocol": offers}); err != nil {
			t.Errorf("%q: %v", offers, err)
		}
		<-s.peers
	}
}

// TestUsers: who comes in, and as what.
func TestUsers(t *testing.T) {
	s := serve(t)
	for _, v := range []struct {
		uid  uint32
		look bool
		want *linkpb.Peer // nil: refused
	}{
		{root, false, &linkpb.Peer{Uid: root, Owner: true, Changes: true}},
		{own, false, &linkpb.Peer{Uid: own, Owner: true, Changes: true}},
		{friend, false, &linkpb.Peer{Uid: friend, Changes: true}},
		{stranger, false, nil},
		{root, true, &linkpb.Peer{Uid: root, Owner: true, Changes: true}},
		{friend, true, &linkpb.Peer{Uid: friend, Changes: true}},
		{stranger, true, &linkpb.Peer{Uid: stranger}},
	} {
		s.gate.User, s.policy.AllMayLook = userIs(v.uid), v.look
		err := s.knock(s.addr, "/", offer())
		if v.want == nil {
			help := s.refused(err, http.StatusForbidden, guard.ReasonUserNotAllowed)
			if !strings.Contains(help, "uid 1002 ") || !strings.Contains(help, `ui-users = "1002"`) {
				t.Errorf("uid %d: no advice in %q", v.uid, help)
			}
			continue
		}
		if err != nil {
			t.Errorf("uid %d: %v", v.uid, err)
			continue
		}
		if d := cmp.Diff(v.want, <-s.peers, protocmp.Transform()); d != "" {
			t.Errorf("uid %d, look %v: want -, got +:\n%s", v.uid, v.look, d)
		}
	}
}

// TestUnknownUser is refused, even where all may look.
func TestUnknownUser(t *testing.T) {
	s := serve(t)
	s.policy.AllMayLook = true
	s.gate.User = func(_, _ netip.AddrPort) (uint32, error) { return 0, errors.New("guard: nobody there") }
	help := s.refused(s.knock(s.addr, "/", offer()), http.StatusForbidden, guard.ReasonUserUnknown)
	if !strings.Contains(help, "nobody there") {
		t.Errorf("no reason in %q", help)
	}
}

// TestRealUser asks the kernel, with the addresses that net/http gives.
func TestRealUser(t *testing.T) {
	s := serve(t)
	s.gate.User, s.gate.Own = guard.LocalUser, uint32(os.Getuid())
	s.dial()
	if p := <-s.peers; p.GetUid() != uint32(os.Getuid()) || !p.GetOwner() || !p.GetChanges() {
		t.Errorf("%v", p)
	}
}

// TestOrder: a stranger's web page is refused for being one, and nobody is
// asked for.
func TestOrder(t *testing.T) {
	s := serve(t)
	s.gate.User = func(_, _ netip.AddrPort) (uint32, error) {
		t.Error("the user was asked for")
		return stranger, nil
	}
	s.refused(s.knock("evil.example", "/", http.Header{"Origin": {"null"}}), http.StatusForbidden, guard.ReasonHostNotAllowed)
	s.refused(s.knock(s.addr, "/", http.Header{"Origin": {"null"}}), http.StatusForbidden, guard.ReasonOriginNotAllowed)
	s.refused(s.knock(s.addr, "/", nil), http.StatusBadRequest, guard.ReasonSubprotocol)
	s.gate.User, s.gate.MaxLinks = userIs(stranger), 0
	s.refused(s.knock(s.addr, "/", offer()), http.StatusForbidden, guard.ReasonUserNotAllowed)
	s.gate.User = userIs(own)
	s.refused(s.knock(s.addr, "/", offer()), http.StatusServiceUnavailable, guard.ReasonMaxConns)
}

// TestNoHandshake: what is no WebSocket request is answered, not served.
func TestNoHandshake(t *testing.T) {
	s := serve(t)
	req, err := http.NewRequest(http.MethodGet, "http://"+s.addr+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = offer()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("status %d", res.StatusCode)
	}
}

// TestNoAddresses: a server that does not say who is connected to what lets
// nobody in.
func TestNoAddresses(t *testing.T) {
	g := &Gateway{User: userIs(own), Own: own, Policy: func() Policy { return Policy{} }}
	at := func(remote string, local any) error {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header, r.RemoteAddr = offer(), remote
		if local != nil {
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))
		}
		if _, refusal := g.admit(r); refusal != nil {
			return fmt.Errorf("%s", refusal.Reason)
		}
		return nil
	}
	here := &net.UnixAddr{Name: "/x", Net: "unix"}
	for remote, local := range map[string]any{"": nil, "@": nil, "127.0.0.1:1": nil, "127.0.0.1:2": here} {
		if err := at(remote, local); err == nil || err.Error() != guard.ReasonUserUnknown {
			t.Errorf("%q to %v: %v", remote, local, err)
		}
	}
}

// TestLimits are those that user interfaces are told of.
func TestLimits(t *testing.T) {
	k := NewKind(NodeCodec())
	if k.OutboundLimit != 1<<20 || k.OutboundCount != 1024 || k.SlowCode != 1008 || k.WriteTimeout != 10*time.Second || k.Ping != 30*time.Second || k.Dead != 0 || k.MessageRate != 1000 {
		t.Errorf("%+v", k)
	}
}
