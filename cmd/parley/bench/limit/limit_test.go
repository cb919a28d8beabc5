package limit

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"parley/cmd/parley/bench/wire"
	"parley/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// client is a plain client with deadlines.
type client struct {
	t    *testing.T
	conn net.Conn
	scan wire.Scanner

	buffer [64 << 10]byte
}

func serve(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Listen("127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func dial(t *testing.T, s *Server) *client {
	t.Helper()
	conn, err := net.Dial("tcp", s.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	c := &client{t: t, conn: conn}
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	c.write(wire.AppendRequest(nil, s.Address(), "/connect", "", key))
	var head []byte
	for {
		b := make([]byte, 1)
		if _, err := conn.Read(b); err != nil {
			t.Fatal(err)
		}
		head = append(head, b...)
		first, lines, _, ok, err := wire.Head(head)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			if err := wire.CheckResponse(first, lines, key); err != nil {
				t.Fatal(err)
			}
			return c
		}
	}
}

func (c *client) write(b []byte) {
	c.t.Helper()
	if _, err := c.conn.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) say(json ...string) {
	c.t.Helper()
	var b []byte
	for _, j := range json {
		b = wire.AppendClient(b, wire.OpText, [4]byte{1, 2, 3, 4}, []byte(j))
	}
	c.write(b)
}

// expect reads the next frame.
func (c *client) expect(op byte, want string) {
	c.t.Helper()
	for {
		m, ok, err := c.scan.Next()
		if err != nil {
			c.t.Fatal(err)
		}
		if ok {
			if m.Op != op || string(m.Payload) != want {
				c.t.Fatalf("op %d %q, want op %d %q", m.Op, m.Payload, op, want)
			}
			return
		}
		c.scan.Keep()
		n, err := c.conn.Read(c.scan.Begin(c.buffer[:]))
		if err != nil {
			c.t.Fatalf("%v while waiting for %q", err, want)
		}
		c.scan.Filled(n)
	}
}

func answer(nonce string) string {
	return fmt.Sprintf(`{"type":"response","data":{"ok":true},"nonce":"%s"}`, nonce)
}

func (c *client) subscribe(key, channel string) {
	c.t.Helper()
	c.say(fmt.Sprintf(`{"command":"subscribe","data":{"%s":"%s"},"nonce":"s"}`, key, channel))
	c.expect(wire.OpText, answer("s"))
}

func TestDelivery(t *testing.T) {
	for _, join := range []bool{false, true} {
		t.Run(fmt.Sprintf("join %t", join), func(t *testing.T) {
			s := serve(t, Options{Join: join, WriteBuffer: 64 << 10})
			pub, a, b := dial(t, s), dial(t, s), dial(t, s)
			pub.subscribe("topic", "x")
			pub.subscribe("topic", "y")
			a.subscribe("channel", "x")
			a.subscribe("topic", "x") // again: delivered once
			b.subscribe("topic", "y")
			// One burst over two channels: far more than a first read takes.
			var burst []string
			const each = 50
			text := strings.Repeat("t", 200)
			for i := range each {
				for _, channel := range []string{"x", "y"} {
					burst = append(burst, fmt.Sprintf(`{"command":"send","data":{"message":"%d %s","channel":"%s"},"nonce":"%s%d"}`, i, text, channel, channel, i))
				}
			}
			pub.say(burst...)
			for i := range each {
				a.expect(wire.OpText, fmt.Sprintf(`{"type":"message","data":{"message":"%d %s","channel":"x"},"nonce":"x%d"}`, i, text, i))
				b.expect(wire.OpText, fmt.Sprintf(`{"type":"message","data":{"message":"%d %s","channel":"y"},"nonce":"y%d"}`, i, text, i))
				pub.expect(wire.OpText, answer(fmt.Sprintf("x%d", i)))
				pub.expect(wire.OpText, answer(fmt.Sprintf("y%d", i)))
			}
		})
	}
}

func TestCommands(t *testing.T) {
	s := serve(t, Options{})
	c := dial(t, s)
	c.subscribe("topic", "b")
	c.subscribe("topic", "a")
	c.say(`{"command":"list","data":{},"nonce":"l"}`)
	c.expect(wire.OpText, `{"type":"response","data":{"ok":true,"channels":["a","b"]},"nonce":"l"}`)
	c.say(`{"command":"unsubscribe","data":{"topic":"b"},"nonce":"u"}`, `{"command":"unsubscribe","data":{"topic":"b"},"nonce":"v"}`)
	c.expect(wire.OpText, answer("u"))
	c.expect(wire.OpText, answer("v"))
	c.say(`{"command":"send","data":{"message":"m","channel":"b"},"nonce":"n"}`)
	c.expect(wire.OpText, `{"type":"response","data":{"ok":false,"reason":"channel does not exist"},"nonce":"n"}`)
	c.say(`{"command":"list","data":{},"nonce":"l"}`)
	c.expect(wire.OpText, `{"type":"response","data":{"ok":true,"channels":["a"]},"nonce":"l"}`)
	c.write(wire.AppendClient(nil, wire.OpPing, [4]byte{1}, []byte("p")))
	c.expect(wire.OpPong, "p")
	code := wire.AppendClose(nil, wire.CloseNormal, "")
	c.write(wire.AppendClient(nil, wire.OpClose, [4]byte{1}, code))
	c.expect(wire.OpClose, string(code))
	c.expectEnd()
}

func (c *client) expectEnd() {
	c.t.Helper()
	if n, err := c.conn.Read(make([]byte, 1)); err == nil {
		c.t.Fatalf("%d bytes more", n)
	}
}

func TestBadClientsAreClosed(t *testing.T) {
	for _, bad := range []string{`{"command":"dance","data":{}}`, `{"command":"subscribe","data":{}}`, `{"command":"send","data":{"channel":"c"}}`, `x`} {
		s := serve(t, Options{})
		c := dial(t, s)
		c.say(bad)
		c.expectEnd()
	}
	s := serve(t, Options{})
	c := dial(t, s)
	c.write(wire.AppendServer(nil, wire.OpText, []byte("unmasked")))
	c.expectEnd()
	plain, err := net.Dial("tcp", s.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = plain.Close() }()
	_ = plain.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := plain.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 12)
	if _, err := plain.Read(got); err != nil || !bytes.Equal(got, []byte("HTTP/1.1 400")) {
		t.Fatalf("%q %v", got, err)
	}
}

// TestCloseEndsAll: connections that say nothing, and one that writes, are ended by Close.
func TestCloseEndsAll(t *testing.T) {
	s := serve(t, Options{})
	c := dial(t, s)
	c.subscribe("topic", "x")
	mute, err := net.Dial("tcp", s.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = mute.Close() }()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	c.expectEnd()
	if _, err := net.Dial("tcp", s.Address()); err == nil {
		t.Fatal("still listening")
	}
}

func TestListenFails(t *testing.T) {
	s := serve(t, Options{})
	if _, err := Listen(s.Address(), Options{}); err == nil {
		t.Fatal("listens twice on one port")
	}
}
