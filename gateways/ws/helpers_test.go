package ws

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/gorilla/websocket"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"parley/actors/tree"
	"parley/gateways/guard"
	"parley/gateways/link"
	"parley/messages"
	"parley/messages/linkpb"
	"parley/testkit"
	"parley/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// testLimit is how long a message of the tests may be, in bytes.
const testLimit = 1 << 20

// plain is a protocol of texts that are echoed. Of a binary message only its
// length comes back: answers are text.
type plain struct{}

// echoed is a text on its way; who it is for may be gone by then.
type echoed struct{ *wrapperspb.StringValue }

// IgnoreDeadLetterLogging implements actor.IgnoreDeadLetterLogging.
func (echoed) IgnoreDeadLetterLogging() {}

func (plain) Protocol() string    { return "plain" }
func (plain) Slot() messages.Slot { return messages.SlotRelay }

func (plain) Decode(frame []byte, binary bool) (proto.Message, uint32) {
	if binary {
		return echoed{wrapperspb.String(fmt.Sprintf("binary of %d", len(frame)))}, 1
	}
	return echoed{wrapperspb.String(string(frame))}, 1
}

func (plain) Append(dst []byte, m proto.Message) ([]byte, error) {
	s, ok := m.(echoed)
	if !ok {
		return dst, link.ErrNotOnWire
	}
	return append(dst, s.GetValue()...), nil
}
func (plain) Charge(proto.Message) uint32 { return 1 }

// funcActor is an actor that is a function.
type funcActor func(ctx actor.Context)

func (f funcActor) Receive(ctx actor.Context) { f(ctx) }

// echo serves all links.
func echo(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *linkpb.Opened:
		ctx.Request(ctx.Sender(), &linkpb.Accepted{})
	case echoed:
		ctx.Respond(m)
	}
}

// site is an echo server behind an HTTP server.
type site struct {
	sys   *actor.ActorSystem
	root  *actor.PID
	links *actor.PID
	kind  *link.Kind
	http  *http.Server
	done  chan struct{}
}

// serve starts a site on l. up is how it upgrades.
func serve(sys *actor.ActorSystem, l net.Listener, up Upgrader, receive func(actor.Context)) *site {
	s := &site{sys: sys, done: make(chan struct{})}
	s.kind = link.New(sys, &link.Kind{
		Codec: plain{}, Framing: Framing{}, OutboundLimit: 4 << 20, WriteTimeout: 10 * time.Second, Shards: 1,
	})
	started := make(chan struct{})
	s.root = tree.Spawn(sys.Root, "root", tree.Spec{New: func() actor.Actor {
		return funcActor(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); !ok {
				return
			}
			fan := link.SpawnShards(ctx, "fanout", s.kind)
			server := tree.Spawn(ctx, "echo", tree.Spec{New: func() actor.Actor { return funcActor(receive) }})
			s.links = link.SpawnLinks(ctx, "links", s.kind, fan.Shards, server)
			close(started)
		})
	}})
	<-started
	s.http = guard.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if socket, err := up.Upgrade(w, r); err == nil {
			link.Accept(s.kind, s.links, socket, nil)
		}
	}), guard.ServerOptions{})
	go func() {
		defer close(s.done)
		_ = s.http.Serve(link.Listener(l))
	}()
	return s
}

// stop ends the HTTP server; the actors are the caller's.
func (s *site) stop() {
	_ = s.http.Close()
	<-s.done
}

// simulated is a site on a simulated network, in a bubble.
type simulated struct {
	*site
	t   *testing.T
	net *testkit.Network
}

func newSimulated(t *testing.T, up Upgrader, receive func(actor.Context), opts ...testkit.NetworkOption) *simulated {
	t.Helper()
	n := testkit.NewNetwork(opts...)
	l, err := n.Listen("server:80")
	if err != nil {
		t.Fatal(err)
	}
	return &simulated{serve(testkit.System(t), l, up, receive), t, n}
}

func (s *simulated) dial() *testkit.SimConn {
	s.t.Helper()
	c, err := s.net.Dial(context.Background(), "client", "server:80")
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *simulated) stop() {
	s.t.Helper()
	s.site.stop()
	testkit.Stop(s.t, s.sys, s.root)
	if n := s.net.Open(); n != 0 {
		s.t.Errorf("%d ends of connections left open", n)
	}
}

// ear reads what a server sends, frame by frame, on a goroutine of its own.
type ear struct {
	mu   sync.Mutex
	got  []string
	done chan struct{} // closed at the end of the stream
}

func listen(r *bufio.Reader) *ear {
	e := &ear{done: make(chan struct{})}
	go func() {
		defer close(e.done)
		for {
			f, err := testkit.ReadFrame(r)
			e.note(f, err)
			if err != nil {
				return
			}
		}
	}()
	return e
}

func (e *ear) note(f testkit.Frame, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		if err == io.EOF {
			e.got = append(e.got, "end")
		} else {
			e.got = append(e.got, "broken: "+err.Error())
		}
		return
	}
	e.got = append(e.got, describe(f))
}

// heard is all that came so far.
func (e *ear) heard() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.got...)
}

// describe is a server's frame as the tables of the tests write it.
func describe(f testkit.Frame) string {
	switch f.Op {
	case testkit.OpText:
		return said(string(f.Payload))
	case testkit.OpPing:
		return "ping:" + string(f.Payload)
	case testkit.OpPong:
		return "pong:" + string(f.Payload)
	case testkit.OpClose:
		if len(f.Payload) < 2 {
			return "close:none"
		}
		return fmt.Sprintf("close:%d", int(f.Payload[0])<<8|int(f.Payload[1]))
	}
	return fmt.Sprintf("opcode %d, fin %v, %d bytes", f.Op, f.Fin, len(f.Payload))
}

// said is how a text message of the server is described; long ones by their sum.
func said(text string) string {
	if len(text) <= 100 {
		return "text:" + text
	}
	return fmt.Sprintf("text:%d bytes, sum %08x", len(text), crc32.ChecksumIEEE([]byte(text)))
}

// mask is the mask of all frames of the tests.
var mask = [4]byte{0x11, 0xa2, 0x33, 0xc4}

// wire is masked frames and bytes as they are, one after the other.
func wire(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case testkit.Frame:
			if p.Mask == nil {
				p.Mask = &mask
			}
			b = p.Append(b)
		case []byte:
			b = append(b, p...)
		default:
			panic(fmt.Sprintf("wire of %T", p))
		}
	}
	return b
}

// part is a frame.
func part(op byte, fin bool, payload string) testkit.Frame {
	return testkit.Frame{Op: op, Fin: fin, Payload: []byte(payload)}
}

func text(payload string) testkit.Frame { return part(testkit.OpText, true, payload) }
func ping(payload string) testkit.Frame { return part(testkit.OpPing, true, payload) }

// bye is a close frame with a code.
func bye(code int, reason string) testkit.Frame {
	return part(testkit.OpClose, true, string([]byte{byte(code >> 8), byte(code)})+reason)
}

// header is the head of a masked frame whose length is written in so many bytes.
func header(first byte, lengthBytes int, length uint64) []byte {
	b := []byte{first}
	switch lengthBytes {
	case 0:
		b = append(b, 0x80|byte(length))
	case 2:
		b = append(b, 0x80|126, byte(length>>8), byte(length))
	case 8:
		b = append(b, 0x80|127)
		for i := 56; i >= 0; i -= 8 {
			b = append(b, byte(length>>i))
		}
	}
	return append(b, mask[:]...)
}

// takeover is a ResponseWriter that hands out a connection.
type takeover struct {
	http.ResponseWriter
	conn net.Conn
}

func (t takeover) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return t.conn, bufio.NewReadWriter(bufio.NewReader(t.conn), bufio.NewWriter(t.conn)), nil
}

// bufferConn is a connection that reads from bytes, cut as cut says, and keeps
// what is written. It never waits.
type bufferConn struct {
	net.Conn
	in  []byte
	cut func(n int) int // nil: all at once
	out bytes.Buffer
}

func (c *bufferConn) Read(b []byte) (int, error) {
	if len(c.in) == 0 {
		return 0, io.EOF
	}
	n := min(len(b), len(c.in))
	if c.cut != nil {
		n = min(n, max(1, c.cut(n)))
	}
	n = copy(b[:n], c.in)
	c.in = c.in[n:]
	return n, nil
}
func (c *bufferConn) Write(b []byte) (int, error)      { return c.out.Write(b) }
func (c *bufferConn) TryWrite(b []byte) (int, error)   { return c.out.Write(b) }
func (c *bufferConn) Close() error                     { return nil }
func (c *bufferConn) SetDeadline(time.Time) error      { return nil }
func (c *bufferConn) SetReadDeadline(time.Time) error  { return nil }
func (c *bufferConn) SetWriteDeadline(time.Time) error { return nil }

// request is a handshake.
func request() *http.Request {
	r, err := http.NewRequest(http.MethodGet, "http://server/", strings.NewReader(""))
	if err != nil {
		panic(err)
	}
	r.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="},
	}
	return r
}

// reference is the library's own server connection on c, as if after a
// handshake: what was written for that is forgotten.
func reference(c *bufferConn) *websocket.Conn {
	up := websocket.Upgrader{WriteBufferSize: 4 << 10, CheckOrigin: func(*http.Request) bool { return true }}
	in := c.in
	c.in = nil
	w, err := up.Upgrade(takeover{conn: c}, request(), nil)
	if err != nil {
		panic(err)
	}
	c.in = in
	c.out.Reset()
	return w
}

// socket is ours on c, after a handshake.
func socket(c *bufferConn, limit int64) *Socket {
	base, err := link.NewConn(c)
	if err != nil {
		panic(err)
	}
	in := c.in
	c.in = nil
	s, err := Upgrader{Limit: limit}.Upgrade(takeover{conn: base}, request())
	if err != nil {
		panic(err)
	}
	c.in = in
	c.out.Reset()
	return s
}
