package ws

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"parley/gateways/link"
	"parley/testkit"
)

// peerOf dials a server that speaks for itself: it gets the connection when the
// request was read, and the key that its answer must prove.
func peerOf(t *testing.T, d Dialler, serve func(c net.Conn, accept string)) (*Socket, error) {
	t.Helper()
	n := testkit.NewNetwork(testkit.Window(1 << 20))
	l, err := n.Listen("server:80")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer l.Close()
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		digest := sha1.Sum([]byte(r.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		serve(c, base64.StdEncoding.EncodeToString(digest[:]))
	}()
	d.Connect = n.DialFrom("client")
	return d.Dial(t.Context(), "ws://server/", nil)
}

// accepting is the answer of a server that agrees.
func accepting(accept string) string {
	return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + "\r\n\r\n"
}

// frames that a server sends, as bytes.
func served(payload string) string { return string((Framing{}).AppendFrame(nil, []byte(payload))) }

// heardBy reads a socket to its end.
func heardBy(s *Socket) (all []string, err error) {
	for {
		if err = s.Next(); err != nil {
			return all, err
		}
		frame, binary, err := s.Read(nil)
		if err != nil {
			return all, err
		}
		all = append(all, fmt.Sprintf("%v %s", binary, frame))
	}
}

// TestFramesBehindTheAnswer: a server need not wait with its first frames.
func TestFramesBehindTheAnswer(t *testing.T) {
	binary := string((Framing{}).AppendBinary(nil, []byte{0xff}))
	for _, cut := range []int{0, 1, 50, 140, 1000} { // where the stream is cut in two
		synctest.Test(t, func(t *testing.T) {
			s, err := peerOf(t, Dialler{Limit: 100}, func(c net.Conn, accept string) {
				all := accepting(accept) + served("one") + binary + served("three") + string((Framing{}).AppendClose(nil, 4409, "name in use"))
				cut := min(cut, len(all))
				_, _ = io.WriteString(c, all[:cut])
				time.Sleep(time.Second)
				_, _ = io.WriteString(c, all[cut:])
				_, _ = io.Copy(io.Discard, c)
			})
			if err != nil {
				t.Fatal(err)
			}
			got, err := heardBy(s)
			var bye *link.Hangup
			if strings.Join(got, "|") != "false one|true \xff|false three" || !errors.As(err, &bye) || bye.Code != 4409 {
				t.Errorf("cut at %d: heard %q, %v", cut, got, err)
			}
			_ = s.Writer().Close()
			time.Sleep(2 * time.Second) // the server's own goroutine
		})
	}
}

// TestServersAreMetered: what a server sends has limits from its first byte on,
// and the rules of the protocol hold for it, too.
func TestServersAreMetered(t *testing.T) {
	for _, v := range []struct {
		name, send string
		code       uint32
	}{
		{"too big", served(strings.Repeat("x", 101)), closeTooBig},
		{"masked", string((Masked{}).AppendFrame(nil, []byte("x"))), closeProtocol},
		{"compressed", "\xc1\x01x", closeProtocol},
		{"empty fragments", "\x01\x00" + strings.Repeat("\x00\x00", maxFragments), closePolicy},
		{"pings", strings.Repeat("\x89\x00", maxControlSecond+1), closePolicy},
		{"no text", "\x81\x01\xff", closeUTF8},
		{"never whole", "\x81\x05x", closePolicy},
	} {
		t.Run(v.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, err := peerOf(t, Dialler{Limit: 100}, func(c net.Conn, accept string) {
					_, _ = io.WriteString(c, accepting(accept)+v.send)
					_, _ = io.Copy(io.Discard, c)
				})
				if err != nil {
					t.Fatal(err)
				}
				got, err := heardBy(s)
				var bad *link.Violation
				if len(got) > 0 || !errors.As(err, &bad) || bad.Code != v.code {
					t.Errorf("heard %q, %v", got, err)
				}
				_ = s.Writer().Close()
			})
		})
	}
}

// TestBadAnswers make no connection; whoever answers slowly gets no more time.
func TestBadAnswers(t *testing.T) {
	for _, v := range []struct {
		name   string
		answer func(accept string) string
		want   string
	}{
		{"nothing", func(string) string { return "" }, "deadline exceeded"},
		{"half", func(a string) string { return accepting(a)[:30] }, "deadline exceeded"},
		{"no HTTP", func(string) string { return "hello\r\n\r\n" }, "malformed HTTP"},
		{"wrong proof", func(string) string { return accepting("AAAA") }, "bad handshake"},
		{"long", func(a string) string {
			return strings.Replace(accepting(a), "\r\n", "\r\nX: "+strings.Repeat("x", burstSize)+"\r\n", 1)
		}, "too long"},
		{"no space", func(a string) string { return strings.Replace(accepting(a), " Switching Protocols", "", 1) }, "no proper HTTP"},
		{"another version", func(a string) string { return strings.Replace(accepting(a), "1.1", "1.0", 1) }, "no proper HTTP"},
		{"two ends", func(a string) string { return strings.Replace(accepting(a), "\r\n\r\n", "\n\n\x81\x01x\r\n\r\n", 1) }, "no proper HTTP"},
		{"extension", func(a string) string {
			return strings.Replace(accepting(a), "\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n", 1)
		}, "nobody offered"},
		{"subprotocol", func(a string) string {
			return strings.Replace(accepting(a), "\r\n", "\r\nSec-WebSocket-Protocol: x\r\n", 1)
		}, "nobody offered"},
	} {
		t.Run(v.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				s, err := peerOf(t, Dialler{Limit: 100, Timeout: 3 * time.Second}, func(c net.Conn, accept string) {
					_, _ = io.WriteString(c, v.answer(accept))
					_, _ = io.Copy(io.Discard, c)
				})
				if s != nil || err == nil || !strings.Contains(err.Error(), v.want) || !strings.HasPrefix(err.Error(), `ws: dial "server": `) {
					t.Errorf("got %v, want %s", err, v.want)
				}
				if took := time.Since(start); took > 3*time.Second {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// TestDialRefused: what a server answered instead is told, up to a limit, and
// also when it does not end.
func TestDialRefused(t *testing.T) {
	for _, body := range []string{"Content-Length: 9\r\n\r\nforbidden", "\r\nforbidden", "Content-Length: 100000\r\n\r\nforbidden" + strings.Repeat("!", 20_000)} {
		synctest.Test(t, func(t *testing.T) {
			_, err := peerOf(t, Dialler{Limit: 100}, func(c net.Conn, _ string) {
				_, _ = io.WriteString(c, "HTTP/1.1 403 Forbidden\r\n"+body)
				_, _ = io.Copy(io.Discard, c)
			})
			var refused *Refused
			if !errors.As(err, &refused) || refused.Code != http.StatusForbidden || !strings.HasPrefix(string(refused.Body), "forbidden") || len(refused.Body) > refusalBytes {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestDialIsCalledOff while the server thinks, and while it cannot be reached.
func TestDialIsCalledOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := testkit.NewNetwork()
		l, err := n.Listen("server:80")
		if err != nil {
			t.Fatal(err)
		}
		d := Dialler{Limit: 100, Connect: n.DialFrom("client")}
		for range 2 {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() {
				_, err := d.Dial(ctx, "ws://server/", nil)
				done <- err
			}()
			time.Sleep(time.Second)
			cancel()
			synctest.Wait()
			select {
			case err := <-done:
				if !errors.Is(err, context.Canceled) {
					t.Errorf("got %v", err)
				}
			default:
				t.Error("goes on")
				<-done
			}
			n.Partition("client", "server")
		}
		start := time.Now()
		if _, err := d.Dial(t.Context(), "ws://server/", nil); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != dialTimeout {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
		n.Heal("client", "server")
		_ = l.Close()
	})
}

// TestDialLinks: a dialled socket as a link writes to the library's own server,
// which is strict about masks, and hears from it.
func TestDialLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := testkit.NewNetwork()
		l, err := n.Listen("server:80")
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan string, 10)
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
			if err != nil {
				return
			}
			defer c.Close()
			for _, say := range []string{"hello", "world"} {
				_ = c.WriteMessage(websocket.TextMessage, []byte(say))
			}
			for {
				kind, b, err := c.ReadMessage()
				if err != nil {
					got <- err.Error()
					return
				}
				got <- fmt.Sprintf("%d %s", kind, b)
			}
		})}
		go func() { _ = server.Serve(l) }()
		c := newSimulated(t, Upgrader{Limit: testLimit}, echo)
		c.kind.Framing = Masked{}
		d := Dialler{Limit: testLimit, Connect: n.DialFrom("client")}
		socket, err := d.Dial(t.Context(), "ws://server/", nil)
		if err != nil {
			t.Fatal(err)
		}
		link.Admit(c.kind, c.links, socket, 7)
		for _, want := range []string{"1 hello", "1 world"} { // echoed
			if have := <-got; have != want {
				t.Errorf("the server heard %q, want %q", have, want)
			}
		}
		c.stop()
		if have := <-got; !strings.Contains(have, "close 1001") {
			t.Errorf("the server heard %q at the end", have)
		}
		_ = server.Close()
		_ = l.Close()
	})
}
