package ws

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/gateways/guard"
	"parley/gateways/link"
	"parley/messages/linkpb"
	"parley/testkit"
)

// timed is what a client writes when.
type timed struct {
	at   time.Duration
	what []byte
}

// TestAMessageMustBeWholeInTime: ten seconds from the first byte of its first
// header to its last byte, whatever it consists of.
func TestAMessageMustBeWholeInTime(t *testing.T) {
	whole := wire(text("0123456789abcdef"))
	var slow []timed
	for i, b := range whole[:16] {
		slow = append(slow, timed{time.Duration(i) * 600 * time.Millisecond, []byte{b}})
	}
	const sec = time.Second
	for _, c := range []struct {
		name string
		say  []timed
		want []string
		at   time.Duration // of the close, if any
	}{
		{"fragments for 9.9 s", []timed{{0, wire(part(txt, false, "a"))}, {5 * sec, wire(part(cont, false, "b"))}, {9900 * time.Millisecond, wire(part(cont, true, "c"))}}, []string{"text:abc"}, 0},
		{"fragments for longer", []timed{{0, wire(part(txt, false, "a"))}, {5 * sec, wire(part(cont, false, "b"))}, {9 * sec, wire(part(cont, false, "c"))}}, []string{"close:1008", "end"}, 10 * sec},
		{"pings do not help", []timed{{0, wire(part(txt, false, "a"))}, {4 * sec, wire(ping("1"))}, {8 * sec, wire(ping("2"))}}, []string{"pong:1", "pong:2", "close:1008", "end"}, 10 * sec},
		{"a frame byte by byte", slow, []string{"close:1008", "end"}, 10 * sec},
		{"half a header", []timed{{0, whole[:1]}}, []string{"close:1008", "end"}, 10 * sec},
		{"half a ping", []timed{{0, wire(ping("abc"))[:7]}}, []string{"close:1008", "end"}, 10 * sec},
		{"silence between messages is fine", []timed{{0, whole}, {50 * sec, whole}}, []string{"text:0123456789abcdef", "text:0123456789abcdef"}, 0},
		{"each message has its own time", []timed{
			{0, wire(part(txt, false, "a"))}, {9 * sec, wire(part(cont, true, "b"), part(txt, false, "c"))}, {18 * sec, wire(part(cont, true, "d"), part(txt, false, "e"))}, {27 * sec, wire(part(cont, true, "f"))},
		}, []string{"text:ab", "text:cd", "text:ef"}, 0},
		{"and no more than that", []timed{{0, wire(part(txt, false, "a"))}, {9 * sec, wire(part(cont, true, "b"), part(txt, false, "c"))}}, []string{"text:ab", "close:1008", "end"}, 19 * sec},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := newConform(t)
				start := time.Now()
				for _, s := range c.say {
					time.Sleep(time.Until(start.Add(s.at)))
					client.say(s.what)
				}
				if c.at > 0 {
					time.Sleep(time.Until(start.Add(c.at - time.Millisecond)))
					synctest.Wait()
					if got := client.ear.heard(); slices.Contains(got, "close:1008") {
						t.Errorf("closed early: %q", got)
					}
					time.Sleep(time.Millisecond)
				} else {
					time.Sleep(time.Minute)
				}
				synctest.Wait()
				if got := client.ear.heard(); !slices.Equal(got, c.want) {
					t.Errorf("heard %q, want %q", got, c.want)
				}
				client.end()
			})
		})
	}
}

// TestWaitingForCreditIsNotTheClientsFault: a message of which half has come
// waits for a server that is busy, longer than a message may take.
func TestWaitingForCreditIsNotTheClientsFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var waiting []*actor.PID
		client := &conform{simulated: newSimulated(t, Upgrader{Limit: testLimit}, func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *linkpb.Opened:
				ctx.Request(ctx.Sender(), &linkpb.Accepted{})
			case echoed:
				if m.GetValue() == "last" {
					ctx.Respond(m)
				}
				waiting = append(waiting, ctx.Sender())
			}
		})}
		client.conn = client.dial()
		r, err := testkit.Upgrade(client.conn, "server", "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		client.ear = listen(r)
		last := wire(part(txt, false, "la"), part(cont, true, "st"))
		client.say(wire(bytes.Repeat(wire(text("x")), 64), last[:len(last)-3]))
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := client.ear.heard(); len(got) != 0 || len(waiting) != 64 {
			t.Fatalf("heard %q with %d messages at the server", got, len(waiting))
		}
		client.sys.Root.Send(waiting[0], &linkpb.Settled{All: true})
		time.Sleep(5 * time.Second)
		client.say(last[len(last)-3:])
		if got := client.ear.heard(); !slices.Equal(got, []string{"text:last"}) {
			t.Errorf("heard %q", got)
		}
		client.end()
	})
}

// TestHandshakesAreCut when they take five seconds.
func TestHandshakesAreCut(t *testing.T) {
	const full = "GET / HTTP/1.1\r\nHost: server\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
	for name, say := range map[string]string{
		"nothing": "", "a byte": "G", "half": full[:60], "all but the end": full[:len(full)-2],
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSimulated(t, Upgrader{Limit: testLimit}, echo)
				c := s.dial()
				start := time.Now()
				if _, err := io.WriteString(c, say); err != nil {
					t.Fatal(err)
				}
				_, _ = io.ReadAll(c)
				if took := time.Since(start); took < guard.HeaderTimeout || took > guard.HeaderTimeout+time.Second {
					t.Errorf("cut after %v", took)
				}
				_ = c.Close()
				s.stop()
			})
		})
	}
}

func TestBadHandshakes(t *testing.T) {
	for _, c := range []struct {
		name   string
		header http.Header
		status int
	}{
		{"no upgrade", http.Header{"Upgrade": {"h2c"}}, http.StatusBadRequest},
		{"an old version", http.Header{"Sec-Websocket-Version": {"8"}}, http.StatusBadRequest},
		{"no key", http.Header{"Sec-Websocket-Key": {""}}, http.StatusBadRequest},
		{"a short key", http.Header{"Sec-Websocket-Key": {"YWJj"}}, http.StatusBadRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSimulated(t, Upgrader{Limit: testLimit}, echo)
				conn := s.dial()
				_, err := testkit.Upgrade(conn, "server", "/", c.header)
				var refused *testkit.Refused
				if !errors.As(err, &refused) || refused.Status != c.status {
					t.Errorf("got %v, want %d", err, c.status)
				}
				_ = conn.Close()
				s.stop()
			})
		})
	}
}

// TestSubprotocols are named in the answer only if they were asked for.
func TestSubprotocols(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSimulated(t, Upgrader{Limit: testLimit, Subprotocol: "parley.v1"}, echo)
		conn := s.dial()
		if _, err := testkit.Upgrade(conn, "server", "/", http.Header{"Sec-Websocket-Protocol": {"other, parley.v1"}}); err != nil {
			t.Error(err)
		}
		_ = conn.Close()
		s.stop()
	})
}

// TestNobodyTalksDuringTheHandshake: a frame that comes with the request is
// refused; who sends it cannot know yet that it will be understood.
func TestNobodyTalksDuringTheHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSimulated(t, Upgrader{Limit: testLimit}, echo)
		c := s.dial()
		var b bytes.Buffer
		_ = request().Write(&b)
		_, _ = c.Write(append(b.Bytes(), wire(text("early"))...))
		got, _ := io.ReadAll(c)
		if strings.Contains(string(got), "101") {
			t.Errorf("answered %q", got)
		}
		_ = c.Close()
		s.stop()
	})
}

// TestCompressionIsNeverNegotiated, and a compressed frame is refused before
// anything is made of it: 260 kB could be 256 MB.
func TestCompressionIsNeverNegotiated(t *testing.T) {
	var bomb bytes.Buffer
	w, err := flate.NewWriter(&bomb, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	frame := wire(testkit.Frame{Fin: true, Op: txt, RSV: 4, Payload: bytes.Repeat(bomb.Bytes(), 256)})
	synctest.Test(t, func(t *testing.T) {
		s := newSimulated(t, Upgrader{Limit: testLimit}, echo, testkit.Window(1<<20))
		conn := s.dial()
		offer := http.Header{"Sec-Websocket-Extensions": {"permessage-deflate; client_max_window_bits"}}
		r, err := testkit.Upgrade(conn, "server", "/", offer) // which fails if an extension is chosen
		if err != nil {
			t.Fatal(err)
		}
		e := listen(r)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = conn.Write(frame)
		synctest.Wait()
		runtime.ReadMemStats(&after)
		if got := e.heard(); !slices.Equal(got, []string{"close:1002", "end"}) {
			t.Errorf("heard %q", got)
		}
		if grew := after.TotalAlloc - before.TotalAlloc; grew > 4<<20 {
			t.Errorf("%d bytes were allocated for a frame of %d", grew, len(frame))
		}
		_ = conn.Close()
		s.stop()
	})
}

// TestEndlessFragments are cut off after a thousand of 200,000, cheaply.
func TestEndlessFragments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := newConform(t)
		var before, after runtime.MemStats
		flood := wire(part(txt, false, ""), bytes.Repeat(wire(part(cont, false, "")), 200_000))
		runtime.ReadMemStats(&before)
		client.say(flood)
		runtime.ReadMemStats(&after)
		if got := client.ear.heard(); !slices.Equal(got, []string{"close:1008", "end"}) {
			t.Errorf("heard %q", got)
		}
		if grew := after.TotalAlloc - before.TotalAlloc; grew > 8<<20 {
			t.Errorf("%d bytes were allocated", grew)
		}
		client.end()
	})
}

// TestLongMessagesGrowWithWhatCame: a header that promises much is no reason to
// allocate.
func TestLongMessagesGrowWithWhatCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSimulated(t, Upgrader{Limit: 1 << 30}, echo)
		conn := s.dial()
		r, err := testkit.Upgrade(conn, "server", "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		e := listen(r)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = conn.Write(append(header(0x82, 8, 1<<30), 1, 2, 3))
		synctest.Wait()
		runtime.ReadMemStats(&after)
		if grew := after.TotalAlloc - before.TotalAlloc; grew > 4<<20 {
			t.Errorf("%d bytes were allocated for three", grew)
		}
		_ = conn.Close()
		<-e.done
		s.stop()
	})
}

// TestUpgraderWantsALinksConnection: any other could block its writers.
func TestUpgraderWantsALinksConnection(t *testing.T) {
	if _, err := (Upgrader{Limit: 1}).Upgrade(takeover{httptest.NewRecorder(), &bufferConn{}}, request()); err == nil {
		t.Error("any connection was taken over")
	}
	if _, err := (Upgrader{Limit: 1}).Upgrade(httptest.NewRecorder(), request()); err == nil {
		t.Error("a response that cannot be taken over was taken over")
	}
}

// TestReasonsAreShort: what is told to a peer fits into a close frame.
func TestReasonsAreShort(t *testing.T) {
	v := &link.Violation{Code: 1002, Reason: clip(strings.Repeat("long ", 100))}
	if len(v.Reason) > maxReason {
		t.Errorf("%d bytes", len(v.Reason))
	}
}
