package ws

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"parley/actors/tree"
	"parley/gateways/link"
)

// onLoopback is a site on a real socket, for the client, which dials by itself.
func onLoopback(t *testing.T) (url string, s *site, stop func()) {
	t.Helper()
	return onLoopbackUpTo(t, testLimit)
}

func onLoopbackUpTo(t *testing.T, limit int64) (url string, s *site, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sys := tree.New(tree.Options{})
	s = serve(sys, l, Upgrader{Limit: limit}, echo)
	return "ws://" + l.Addr().String() + "/", s, func() {
		s.stop()
		_ = sys.Root.StopFuture(s.root).Wait()
		sys.Shutdown()
	}
}

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestClient(t *testing.T) {
	url, s, stop := onLoopback(t)
	defer stop()
	c, err := Dial(soon(t), url, testLimit)
	if err != nil {
		t.Fatal(err)
	}
	for _, say := range []string{"hello", "", strings.Repeat("é", 100_000)} {
		if err := c.Say([]byte(say)); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Hear(); err != nil || string(got) != say {
			t.Errorf("said %.20q, heard %.20q, %v", say, got, err)
		}
	}
	done := make(chan error)
	go func() {
		_, err := c.Hear()
		done <- err
	}()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err == nil {
		t.Error("heard something behind the close")
	}
	_ = s
}

// TestClientIsClosed by a server that says why.
// TestClientSaysMuch: more than maxFragments frames of the library's usual 4 KiB.
func TestClientSaysMuch(t *testing.T) {
	const much = maxFragments*4<<10 + 1
	url, _, stop := onLoopbackUpTo(t, much)
	defer stop()
	c, err := Dial(soon(t), url, much)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	say := strings.Repeat("x", much)
	if err := c.Say([]byte(say)); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Hear(); err != nil || string(got) != say {
		t.Errorf("heard %d bytes, %v", len(got), err)
	}
	if err := c.Say([]byte(say + "x")); err != nil {
		t.Fatal(err)
	}
	var closed *Closed
	if _, err := c.Hear(); !errors.As(err, &closed) || closed.Code != 1009 {
		t.Errorf("one byte more: %v", err)
	}
}

func TestClientIsClosed(t *testing.T) {
	url, _, stop := onLoopback(t)
	defer stop()
	c, err := Dial(soon(t), url, testLimit)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Say([]byte(strings.Repeat("x", testLimit+1))); err != nil {
		t.Fatal(err)
	}
	_, err = c.Hear()
	var closed *Closed
	if !errors.As(err, &closed) || closed.Code != 1009 || closed.Error() != "ws: closed by the server with code 1009: message too big" {
		t.Errorf("got %v", err)
	}
	if got := (&Closed{Code: 1000}).Error(); got != "ws: closed by the server with code 1000" {
		t.Error(got)
	}
	_ = c.Close()
}

// TestClientHasALimit of its own.
func TestClientHasALimit(t *testing.T) {
	url, _, stop := onLoopback(t)
	defer stop()
	c, err := Dial(soon(t), url, 10)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Say([]byte("longer than ten"))
	if got, err := c.Hear(); err == nil {
		t.Errorf("heard %q", got)
	}
	_ = c.Close()
}

func TestClientIsRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "not today"+strings.Repeat("!", 10_000), http.StatusTeapot)
	})}
	done := make(chan error)
	go func() { done <- s.Serve(link.Listener(l)) }()
	_, err = Dial(soon(t), "ws://"+l.Addr().String()+"/", 10)
	if err == nil || !strings.Contains(err.Error(), "418") || !strings.Contains(err.Error(), "not today!") || len(err.Error()) > 700 {
		t.Errorf("got %v", err)
	}
	_ = s.Close()
	<-done
	if _, err := Dial(soon(t), "ws://"+l.Addr().String()+"/", 10); err == nil || !strings.HasPrefix(err.Error(), "ws: dial") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Dial(ctx, "ws://127.0.0.1:1/", 10); err == nil {
		t.Error("dialled with a context that is over")
	}
}

// TestClientNamesAProtocol and talks to nobody who does not agree to it.
func TestClientNamesAProtocol(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sys := tree.New(tree.Options{})
	s := serve(sys, l, Upgrader{Limit: testLimit, Subprotocol: "talk"}, echo)
	defer func() {
		s.stop()
		_ = sys.Root.StopFuture(s.root).Wait()
		sys.Shutdown()
	}()
	url := "ws://" + l.Addr().String() + "/"
	c, err := DialProtocol(soon(t), url, testLimit, "talk")
	if err != nil {
		t.Fatal(err)
	}
	remote, local := c.Ends()
	if remote.String() != l.Addr().String() || !local.Addr().IsLoopback() || local.Port() == 0 {
		t.Errorf("the ends are %v and %v", remote, local)
	}
	if err := c.Say([]byte("hello")); err != nil {
		t.Error(err)
	}
	if got, err := c.Hear(); err != nil || string(got) != "hello" {
		t.Errorf("heard %q, %v", got, err)
	}
	_ = c.Close()
	if c, err := DialProtocol(soon(t), url, testLimit, "sing"); err == nil {
		t.Error("a server that agreed to nothing was taken")
		_ = c.Close()
	} else if want := `the server speaks "", not "sing"`; !strings.Contains(err.Error(), want) {
		t.Errorf("want %q, got %v", want, err)
	}
	if got := endpoint(&net.UnixAddr{Name: "x"}); got.IsValid() {
		t.Errorf("got %v", got)
	}
}
