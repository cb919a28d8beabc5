package talk

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/cmd/parley/talk/fake"
)

const me = 1000

// owned says that all servers are run by one user.
func owned(uid uint32) func(remote, local netip.AddrPort) (uint32, error) {
	return func(netip.AddrPort, netip.AddrPort) (uint32, error) { return uid, nil }
}

// note keeps broadcasts.
type note struct {
	mu  sync.Mutex
	all []string
}

func (n *note) take(b Broadcast) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, b.Opcode+string(b.Payload))
}

func (n *note) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.all, "\n")
}

func open(t *testing.T, o Options) *Session {
	t.Helper()
	o.UID = me
	if o.LocalUser == nil {
		o.LocalUser = owned(me)
	}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// ask expects an answer.
func ask(t *testing.T, s *Session, q Question, want string) {
	t.Helper()
	got, err := s.Ask(t.Context(), q)
	if err != nil || string(got) != want {
		t.Fatalf("%s: want %s, got %s, %v", q.Opcode, want, got, err)
	}
}

// eventually waits for something that other goroutines do.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	end := time.After(time.Minute)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-end:
			t.Fatalf("no %s", what)
		case <-tick.C:
		}
	}
}

// pair is a Daemon with a running Node.
func pair(t *testing.T) (daemon, node *fake.Server) {
	t.Helper()
	daemon, node = fake.Listen(t), fake.Listen(t)
	daemon.On["setup"] = fake.Reply(`{"running":true,"values":[{"name":"real-user","value":"2000:2000:/home/x"}],"errors":[]}`)
	daemon.Else = fake.To(node)
	node.On["descriptor"] = fake.Reply(`{"nodeDescriptorOpt":null}`)
	return daemon, node
}

func TestRedirectIsInvisible(t *testing.T) {
	daemon, node := pair(t)
	node.On["configuration"] = func(c *fake.Conn, m fake.Message) {
		c.Cast("logBroadcast", `{"msg":"before"}`)
		c.Answer(m, `{"nodeName":"n"}`)
	}
	var heard note
	s := open(t, Options{Port: daemon.Port, Broadcast: heard.take})
	ask(t, s, Question{Opcode: "configuration", Payload: map[string]any{"z": 1.5, "a": "é"}}, `{"nodeName":"n"}`)
	if got, want := node.Payloads("configuration"), daemon.Payloads("configuration"); got != want || got == "" {
		t.Errorf("the Daemon was sent %s, the Node %s", want, got)
	}
	if port, at := s.AtNode(); !at || port != node.Port {
		t.Errorf("it is at %d, %v", port, at)
	}
	ask(t, s, Question{Opcode: "configuration"}, `{"nodeName":"n"}`)
	if got := len(daemon.Heard()); got != 1 {
		t.Errorf("the Daemon was asked %d times", got)
	}
	if got := heard.String(); got != "logBroadcast{\"msg\":\"before\"}\nlogBroadcast{\"msg\":\"before\"}" {
		t.Error(got)
	}
	// What only the Daemon knows is asked there again.
	if _, err := s.Ask(t.Context(), Question{Opcode: "setup", Place: Daemon}); err != nil {
		t.Error(err)
	}
	if _, at := s.AtNode(); at {
		t.Error("it is still at the Node")
	}
	for i, m := range append(daemon.Heard(), node.Heard()...) {
		if m.Context == nil || *m.Context == 0 {
			t.Errorf("question %d has no context id", i)
		}
	}
}

func TestErrorsAreAnswers(t *testing.T) {
	daemon := fake.Listen(t)
	daemon.Else = fake.NoNode
	daemon.On["start"] = func(c *fake.Conn, m fake.Message) {
		c.Fault(m, 9223372036854775809, "Could not launch Node: bad\nline \x1b[2J two\u202e")
	}
	s := open(t, Options{Port: daemon.Port})
	_, err := s.Ask(t.Context(), Question{Opcode: "shutdown"})
	var refused *Refused
	if !errors.As(err, &refused) || refused.Code != CodeNoNode || refused.ExitCode() != 3 || refused.Opcode != "shutdown" {
		t.Errorf("got %#v", err)
	}
	_, err = s.Ask(t.Context(), Question{Opcode: "start"})
	if !errors.As(err, &refused) || refused.Code != CodeLaunch || refused.ExitCode() != 1 {
		t.Errorf("got %#v", err)
	}
	if want := "Could not launch Node: bad\n  line \\x1b[2J two\\u202e"; err.Error() != want {
		t.Errorf("want %q, got %q", want, err)
	}
	if _, err := s.Ask(t.Context(), Question{Opcode: "x", Payload: map[string]string{"a": "\xff"}}); err == nil {
		t.Error("a payload that is not UTF-8 was sent")
	}
}

func TestNobodyThere(t *testing.T) {
	daemon := fake.Listen(t)
	daemon.Stop()
	_, err := Open(t.Context(), Options{Port: daemon.Port})
	var none *Nobody
	if !errors.As(err, &none) || none.ExitCode() != 3 || none.Port != daemon.Port || !strings.Contains(err.Error(), "no Daemon answers on port") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, Options{Port: daemon.Port}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestSomebodyElseThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for said, want := range map[string]string{
		"HTTP/1.1 403 Forbidden\r\nContent-Length: 44\r\n\r\n" + `{"ok":false,"reason":"x","help":"set \u001bit"}`[:44]:             "403 Forbidden",
		"HTTP/1.1 403 Forbidden\r\nContent-Length: 31\r\n\r\n" + `{"reason":"x","help":"try this"}`[:31]:                            "403 Forbidden",
		"HTTP/1.1 403 Forbidden\r\nContent-Length: 19\r\n\r\n" + `{"help":"try this"}`:                                              "403 Forbidden: try this",
		"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk=\r\n\r\n": "bad handshake",
		"SSH-2.0-OpenSSH_9\r\n": "malformed HTTP",
	} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			c, err := l.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 4096)
			_, _ = c.Read(buf)
			_, _ = c.Write([]byte(said))
			_ = c.Close()
		}()
		_, err := Open(t.Context(), Options{Port: uint16(l.Addr().(*net.TCPAddr).Port)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
		<-done
	}
}

func TestSlowAnswer(t *testing.T) {
	daemon := fake.Listen(t)
	daemon.On["start"] = func(*fake.Conn, fake.Message) {}
	late := make(chan fake.Message, 1)
	daemon.On["descriptor"] = func(_ *fake.Conn, m fake.Message) { late <- m }
	daemon.On["setup"] = func(c *fake.Conn, m fake.Message) {
		c.Answer(<-late, `{"late":true}`)
		c.Answer(m, `{"right":true}`)
	}
	s := open(t, Options{Port: daemon.Port, answer: 50 * time.Millisecond})
	_, err := s.Ask(t.Context(), Question{Opcode: "start"})
	var silent *Silent
	if !errors.As(err, &silent) || err.Error() != `the Daemon did not answer "start" within 50ms` {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		late <- <-late // wait until it was asked
		cancel()
	}()
	s.o.answer = time.Minute
	if _, err := s.Ask(ctx, Question{Opcode: "descriptor"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	ask(t, s, Question{Opcode: "setup"}, `{"right":true}`)
}

func TestMalformedAnswers(t *testing.T) {
	for said, want := range map[string]string{
		`no`:                           "no JSON object",
		`[1]`:                          "no JSON object",
		`{"opcode":"x"`:                "unexpected EOF",
		`{"Opcode":"x","payload":{}}`:  "no opcode",
		`{"opcode":null,"payload":{}}`: "no opcode",
		`{"opcode":7,"payload":{}}`:    "opcode",
		`{"opcode":"x","contextId":1}`: "not exactly one",
		`{"opcode":"x","opcode":"x","payload":{}}`:                                                 "duplicate",
		`{"opcode":"x","contextId":1,"payload":{},"error":{"code":1,"message":"m"}}`:               "not exactly one",
		`{"opcode":"x","contextId":1,"payload":[]}`:                                                "payload is no object",
		`{"opcode":"x","contextId":1,"payload":null}`:                                              "payload is no object",
		`{"opcode":"x","contextId":"1","payload":{}}`:                                              "no number",
		`{"opcode":"x","contextId":null,"payload":{}}`:                                             "no number",
		`{"opcode":"x","contextId":-1,"payload":{}}`:                                               "contextId",
		`{"opcode":"x","contextId":1.0,"payload":{}}`:                                              "contextId",
		`{"opcode":"x","contextId":18446744073709551616,"payload":{}}`:                             "contextId",
		`{"opcode":"x","contextId":1,"error":{"code":1}}`:                                          "no message",
		`{"opcode":"x","contextId":1,"error":{"code":-1,"message":"m"}}`:                           "code",
		`{"opcode":"x","contextId":1,"error":{"code":null,"message":"m"}}`:                         "no code",
		`{"opcode":"x","contextId":1,"error":7}`:                                                   "no object",
		`{"opcode":"y","contextId":1,"payload":{}}`:                                                `the answer to "x" is one to "y"`,
		`{"opcode":"redirect","payload":{"port":0,"opcode":"x","contextId":1,"payload":"{}"}}`:     "port 0",
		`{"opcode":"redirect","payload":{"port":70000,"opcode":"x","contextId":1,"payload":"{}"}}`: "redirect",
		`{"opcode":"redirect","payload":{"opcode":"x","contextId":1,"payload":"{}"}}`:              "no port",
		`{"opcode":"crashed","payload":{"processId":1}}`:                                           "no crashReason",
		`{"opcode":"crashed","payload":{"processId":1,"crashReason":7}}`:                           "crashReason",
		`{"opcode":"crashed","payload":{"processId":"1","crashReason":"NoInformation"}}`:           "crashed",
	} {
		daemon := fake.Listen(t)
		daemon.On["x"] = func(c *fake.Conn, _ fake.Message) { c.Say(said) }
		s := open(t, Options{Port: daemon.Port})
		_, err := s.Ask(t.Context(), Question{Opcode: "x"})
		var lost *Lost
		if !errors.As(err, &lost) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "what is not MASQNode-UIv2") {
			t.Errorf("%s: want %q, got %v", said, want, err)
		}
		s.Close()
		daemon.Stop()
	}
}

func TestBigNumbersSurvive(t *testing.T) {
	f, err := parse([]byte(`{"opcode":"x","contextId":18446744073709551615,"error":{"code":18446744073709551615,"message":""},"more":[]}`))
	if err != nil || f.context != 1<<64-1 || f.fault.Code != 1<<64-1 {
		t.Errorf("got %+v, %v", f, err)
	}
	if f, err = parse([]byte(`{"payload":{"a":9007199254740993},"contextId":0,"opcode":"x"}`)); err != nil || f.context != 0 || string(f.payload) != `{"a":9007199254740993}` {
		t.Errorf("got %+v, %v", f, err)
	}
}

// FuzzParse looks for answers that panic.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"opcode":"x","contextId":1,"error":{"code":1,"message":"m"}}`))
	f.Add([]byte(`{"opcode":"crashed","payload":{"processId":1,"crashReason":{"Unrecognized":"a\nb"}}}`))
	f.Add([]byte(`{"opcode":"redirect","payload":{"port":1,"opcode":"x","contextId":1,"payload":"{}"}}`))
	f.Fuzz(func(_ *testing.T, b []byte) {
		m, err := parse(b)
		if err != nil {
			return
		}
		_, _ = parseRedirect(m.payload)
		if c, err := ParseCrashed(m.payload); err == nil {
			_ = c.String()
		}
	})
}
