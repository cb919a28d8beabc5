package mesh

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/gateways/ws"
	"parley/messages/linkpb"
	"parley/messages/meshpb"
	"parley/testkit"
)

// onLoopback is a site on a real listener; its dialler trusts its certificate.
func onLoopback(t *testing.T, secret bool) (s *site, url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, client := selfSigned()
	url = "wss://" + l.Addr().String()
	if !secret {
		server, url = nil, "ws://"+l.Addr().String()
	}
	sys := tree.New(tree.Options{})
	s = newSite(sys, l, server)
	s.dialler.Sockets.TLS = client
	t.Cleanup(func() {
		s.close()
		_ = sys.Root.StopFuture(s.root).Wait()
		sys.Shutdown()
	})
	return s, url
}

func dial(url, token, name string) *meshpb.Dial {
	return &meshpb.Dial{Ticket: ticketOut, Url: url, Token: token, Name: name}
}

// TestLink: two ends of one link, over TCP and TLS, in both encodings, with small
// frames and with the largest.
func TestLink(t *testing.T) {
	for _, secret := range []bool{false, true} {
		s, url := onLoopback(t, secret)
		if failed := s.dialler.Dial(dial(url+"/", "good", "node3")); failed != nil {
			t.Fatal(failed)
		}
		s.until(t, "link", func() bool { return len(s.opened) == 2 })
		for _, o := range s.opened {
			if o.GetProtocol() != "mesh" || o.GetTicket() != ticketIn && o.GetTicket() != ticketOut || o.GetMember() == 0 {
				t.Errorf("opened %v", o)
			}
		}
		if want := (&meshpb.AdmitRequest{Token: "good", Name: "node3"}); !proto.Equal(s.asked[0], want) {
			t.Errorf("asked %v", s.asked[0])
		}
		big := proto.CloneOf(vectors[0].want)
		big.Message.Payload = []byte(`"` + strings.Repeat("x", MaxFrame-1000) + `"`)
		sent := []proto.Message{
			&meshpb.Handshake{Name: "node3"}, vectors[0].want, frameOf(vectors[0].want), frameOf(ownVectors[0].want, vectors[0].want), frameOf(big),
		}
		for _, ticket := range []uint64{ticketIn, ticketOut} {
			s.mu.Lock()
			s.heard = nil
			s.mu.Unlock()
			for _, m := range sent {
				s.cast(ticket, m)
			}
			s.until(t, "message", func() bool { return len(s.heard) == len(sent) })
			for i, m := range sent {
				if p, ok := m.(*meshpb.Packet); ok {
					m = frameOf(p)
				}
				got := proto.Clone(s.heard[i])
				if f, ok := got.(*meshpb.Frame); ok {
					f.Charge = 0
				}
				if !proto.Equal(got, m) {
					t.Errorf("ticket %d, message %d became %.200v", ticket, i, got)
				}
			}
		}
		_, pid := s.member(ticketIn)
		s.sys.Root.Send(pid, &linkpb.Close{Code: CloseForbidden, Reason: "forbidden"})
		s.until(t, "end", func() bool { return s.gone == 2 })
	}
}

// TestRoundTrips are measured at both ends, the first of them soon, and a link
// whose other end is gone ends by itself.
func TestRoundTrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const oneWay = 3 * time.Millisecond
		n := testkit.NewNetwork(testkit.Latency(oneWay))
		l, err := n.Listen("server:80")
		if err != nil {
			t.Fatal(err)
		}
		sys := testkit.System(t)
		s := newSite(sys, l, nil)
		s.dialler.Sockets.Connect = n.DialFrom("client")
		if failed := s.dialler.Dial(dial("ws://server:80", "good", "")); failed != nil {
			t.Fatal(failed)
		}
		count := func() int {
			synctest.Wait()
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.trips
		}
		time.Sleep(2 * time.Second)
		if got := count(); got != 2 {
			t.Errorf("%d round trips after 2 s", got)
		}
		time.Sleep(60 * time.Second)
		if got := count(); got != 26 {
			t.Errorf("%d round trips after 62 s", got)
		}
		n.Partition("client", "server")
		time.Sleep(deadAfter + 2*pingInterval)
		synctest.Wait()
		if s.gone != 2 {
			t.Errorf("%d ends noticed that they are cut off", s.gone)
		}
		n.Heal("client", "server")
		s.close()
		testkit.Stop(t, sys, s.root)
	})
}

// request is a handshake with headers of the test's own; what is not upgraded
// tells status and body.
func request(t *testing.T, url string, header http.Header) (status int, body string) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "ws://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, err = testkit.Upgrade(c, strings.TrimPrefix(url, "ws://"), "/node", header)
	var refused *testkit.Refused
	if errors.As(err, &refused) {
		return refused.Status, refused.Body
	}
	if err != nil {
		t.Fatal(err)
	}
	return http.StatusSwitchingProtocols, ""
}

const forbidden = `{"ok":false,"reason":"forbidden"}`

func TestWhoComesIn(t *testing.T) {
	s, url := onLoopback(t, false)
	for _, v := range []struct {
		header http.Header
		status int
		body   string
		asked  int // times
	}{
		{http.Header{"Authentication": {"good"}}, 101, "", 1},
		{http.Header{"Authorization": {"Bearer good"}}, 101, "", 1},
		{http.Header{"Authorization": {"bearer  good "}, "Authentication": {"good"}, "Node-Name": {"node3"}}, 101, "", 1},
		{http.Header{"Authentication": {"good"}, "Node-Name": {"node4"}}, 403, forbidden, 1},
		{http.Header{"Authentication": {"bad"}}, 403, forbidden, 1},
		{http.Header{"Authentication": {"full"}}, 503, `{"ok":false,"reason":"full"}`, 1},
		{nil, 403, forbidden, 0},
		{http.Header{"Authentication": {""}}, 403, forbidden, 0},
		{http.Header{"Authentication": {"good", "bad"}}, 403, forbidden, 0},
		{http.Header{"Authentication": {"good"}, "Authorization": {"Bearer bad"}}, 403, forbidden, 0},
		{http.Header{"Authorization": {"Basic good"}}, 403, forbidden, 0},
		{http.Header{"Authorization": {"Bearer"}}, 403, forbidden, 0},
		{http.Header{"Authentication": {strings.Repeat("x", maxText+1)}}, 403, forbidden, 0},
		{http.Header{"Authentication": {"good"}, "Node-Name": {"a b"}}, 403, forbidden, 0},
		{http.Header{"Authentication": {"good"}, "Node-Name": {"node3", "node3"}}, 403, forbidden, 0},
	} {
		s.mu.Lock()
		before := len(s.asked)
		s.mu.Unlock()
		status, body := request(t, url, v.header)
		s.mu.Lock()
		asked := len(s.asked) - before
		s.mu.Unlock()
		if status != v.status || body != v.body || asked != v.asked {
			t.Errorf("%v: %d %s, asked %d times", v.header, status, body, asked)
		}
	}
}

// TestNoHandshake: a request that could not be upgraded presents no token.
func TestNoHandshake(t *testing.T) {
	s, url := onLoopback(t, false)
	r, err := http.NewRequest(http.MethodGet, "http"+strings.TrimPrefix(url, "ws")+"/node", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authentication", "good")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	if res.StatusCode != http.StatusBadRequest || len(s.asked) > 0 {
		t.Errorf("%s, asked %v", res.Status, s.asked)
	}
}

// TestNobodyAnswers at a node that is too busy to say who comes in.
func TestNobodyAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := testkit.NewNetwork()
		l, err := n.Listen("server:80")
		if err != nil {
			t.Fatal(err)
		}
		sys := testkit.System(t)
		s := newSite(sys, l, nil)
		s.dialler.Sockets.Connect = n.DialFrom("client")
		want := &meshpb.DialFailed{Ticket: ticketOut, Refused: true, Reason: reasonBusy}
		if got := s.dialler.Dial(dial("ws://server:80", "silent", "")); !proto.Equal(got, want) {
			t.Errorf("got %v", got)
		}
		s.close()
		testkit.Stop(t, sys, s.root)
	})
}

// TestDialFails and says why, without the token.
func TestDialFails(t *testing.T) {
	s, url := onLoopback(t, false)
	private, secretURL := onLoopback(t, true)
	private.dialler.Sockets.TLS = ws.TLS{}
	over, cancel := context.WithCancel(background)
	cancel()
	ended := s.dialler
	ended.Context = over
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	for _, v := range []struct {
		dialler    Dialler
		url, token string
		refused    bool
		reason     string // begins or ends it
	}{
		{s.dialler, url, "bad-and-secret", true, "forbidden"},
		{s.dialler, url, "full", true, "full"},
		{s.dialler, url + "/nowhere", "secret", true, "Not Found"},
		{s.dialler, url + "/bad", "secret", true, "I'm a teapot"},
		{s.dialler, url + "/odd", "secret", true, "Forbidden"},
		{s.dialler, "ws://" + closed.Addr().String(), "secret", false, "connection refused"},
		{private.dialler, secretURL, "secret", false, "certificate signed by unknown authority"},
		{s.dialler, "wss://" + strings.TrimPrefix(url, "ws://"), "secret", false, "first record does not look like a TLS handshake"},
		{s.dialler, "http://127.0.0.1", "secret", false, "not a ws:// or wss:// address"},
		{s.dialler, "ws://user:secret@127.0.0.1", "secret", false, "not a ws:// or wss:// address"},
		{s.dialler, "ws://127.0.0.1?secret", "secret", false, "not a ws:// or wss:// address"},
		{s.dialler, "", "secret", false, "not a ws:// or wss:// address"},
		{ended, url, "secret", false, "context canceled"},
	} {
		got := v.dialler.Dial(dial(v.url, v.token, "node3"))
		if got.GetTicket() != ticketOut || got.GetRefused() != v.refused || !strings.HasSuffix(got.GetReason(), v.reason) || strings.Contains(got.GetReason(), "secret") {
			t.Errorf("%s: %v, want %q", v.url, got, v.reason)
		}
	}
	spelledOut := private.dialler
	spelledOut.Sockets.TLS.InsecureSkipVerify = true
	if failed := spelledOut.Dial(dial(secretURL, "good", "")); failed != nil {
		t.Error(failed)
	}
	private.until(t, "link", func() bool { return len(private.opened) == 2 })
}
