package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"

	"parley/cmd/parley/talk"
	"parley/cmd/parley/talk/fake"
)

const wireBook = `{"own":{"alias":"alice","status":1,"statusMessage":"hi"},"contacts":[{"address":"10.0.0.2","port":0,"name":"bob","state":"friend","alias":"bobby","status":2,"statusMessage":"lunch","notes":"","lastSeen":0,"held":0}],"more":false}`

// both is a Daemon with its Node.
func both(t *testing.T) (daemon, node *fake.Server) {
	daemon, node = fake.Listen(t), fake.Listen(t)
	daemon.Else = fake.To(node)
	script(node)
	return daemon, node
}

func script(node *fake.Server) {
	node.On["descriptor"] = fake.Reply(`{"nodeDescriptorOpt":null}`)
	node.On["subscribe"] = fake.Reply(`{}`)
	node.On["contacts"] = fake.Reply(wireBook)
	node.Else = fake.Reply(`{}`)
}

func open(t *testing.T, port uint16) *link {
	t.Helper()
	o := talk.Options{Port: port, UID: uint32(os.Geteuid()), LocalUser: mine}
	l, err := dial(t.Context(), o, func(err error) error { return err })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	return l
}

// next waits for one piece of news or an answer of a type, and skips others.
func next[T any](t *testing.T, l *link, left *[]any) T {
	t.Helper()
	for {
		for len(*left) > 0 {
			v := (*left)[0]
			*left = (*left)[1:]
			if is, ok := v.(T); ok {
				return is
			}
		}
		if *left = l.Next(); *left == nil {
			t.Fatal("there is no more news")
		}
	}
}

// TestLink asks everything there is, and hears all broadcasts.
func TestLink(t *testing.T) {
	daemon, node := both(t)
	node.On["sendMessage"] = fake.Reply(`{"messageId":"m-1"}`)
	node.On["history"] = func(c *fake.Conn, m fake.Message) {
		switch {
		case !strings.Contains(string(m.Payload), "dbPasswordOpt"), strings.Contains(string(m.Payload), "wrong"):
			c.Fault(m, codeBadPassword, "locked")
		default:
			c.Answer(m, `{"entries":[{"serial":4,"own":true,"message":"yes","timestamp":5,"messageId":"m-0","state":"sent"},{"serial":6,"own":false,"message":"no","timestamp":7,"messageId":"","state":""}],"more":true}`)
		}
	}
	node.On["addContact"] = func(c *fake.Conn, m fake.Message) { c.Fault(m, 1, "it is no address") }
	l := open(t, daemon.Port)
	var left []any
	if got := fmt.Sprintf("%+v", next[connected](t, l, &left)); got != "{list:{own:{alias:alice status:1 message:hi} contacts:[{address:10.0.0.2 name:bob state:friend presence:{alias:bobby status:2 message:lunch} held:0}]}}" {
		t.Errorf("connected: %s", got)
	}
	right, wrong := "sesame", "wrong"
	for _, c := range []struct {
		ask  request
		sent string
		want string
	}{
		{listAsk{}, `{}`, "list"},
		{sendAsk{bob, "hi", 1}, `{"message":"hi","to":"10.0.0.2"}`, "m-1"},
		{historyAsk{with: bob}, `{"most":100,"with":"10.0.0.2"}`, "locked"},
		{historyAsk{bob, 9, &wrong}, `{"before":9,"dbPasswordOpt":"wrong","most":100,"with":"10.0.0.2"}`, "wrong"},
		{historyAsk{bob, 9, &right}, `{"before":9,"dbPasswordOpt":"sesame","most":100,"with":"10.0.0.2"}`, "[{4 true yes 5 m-0 2} {6 false no 7  0}] true"},
		{addAsk{"x", "y"}, `{"address":"x","name":"y"}`, "it is no address"},
		{acceptAsk{erin, "e"}, `{"address":"10.0.0.5","name":"e"}`, ""},
		{ignoreAsk{erin}, `{"address":"10.0.0.5"}`, ""},
		{removeAsk{erin}, `{"address":"10.0.0.5"}`, ""},
		{statusAsk{away, ""}, `{"status":2,"statusMessage":""}`, ""},
		{aliasAsk{"a"}, `{"alias":"a"}`, ""},
	} {
		l.Do(c.ask)
		a := next[answer](t, l, &left)
		var locked *lockedError
		got := a.id
		switch {
		case errors.As(a.err, &locked):
			got = map[bool]string{true: "wrong", false: "locked"}[locked.wrong]
		case a.err != nil:
			got = a.err.Error()
		case a.list != nil:
			got = "list"
		case a.entries != nil:
			got = fmt.Sprintf("%v %v", a.entries, a.more)
		}
		heard := node.Heard()
		if sent := string(heard[len(heard)-1].Payload); a.to != c.ask || got != c.want || !sameObject(sent, c.sent) {
			t.Errorf("%+v: sent %s, got %q, want %s, %q", c.ask, sent, got, c.sent, c.want)
		}
	}
	node.Each(func(c *fake.Conn) {
		c.Cast("contactRequest", `{"address":"10.0.0.5","state":"pending","alias":"erin","status":9,"held":2}`)
		c.Cast("contactStatus", `{"address":"10.0.0.2","state":"gone"}`)
		c.Cast("messageReceived", `{"from":"10.0.0.2","name":"bob","message":"ho","timestamp":3,"serial":8,"extra":{"a":1}}`)
		c.Cast("messageState", `{"to":"10.0.0.2","name":"bob","messageId":"m-1","id":"","state":"delivered"}`)
		c.Cast("messageState", `{"to":7}`)
		c.Cast("missed", `{"opcode":"messageState","count":3}`)
	})
	for _, got := range []string{
		fmt.Sprintf("%+v", next[changed](t, l, &left)), fmt.Sprintf("%+v", next[gone](t, l, &left)),
		fmt.Sprintf("%+v", next[received](t, l, &left)), fmt.Sprintf("%+v", next[progress](t, l, &left)), fmt.Sprintf("%T", next[missed](t, l, &left)),
	} {
		switch got {
		case "{contact:{address:10.0.0.5 name: state:pending presence:{alias:erin status:3 message:} held:2}}", "{address:10.0.0.2}",
			"{from:10.0.0.2 entry:{serial:8 own:false text:ho at:3 id: state:0}}", "{to:10.0.0.2 id:m-1 state:3}", "chat.missed":
		default:
			t.Errorf("heard %s", got)
		}
	}
	if got := node.Payloads("subscribe"); got != `{"opcodes":["contactRequest","contactStatus","messageReceived","messageState"]}`+"\n" {
		t.Errorf("subscribed to %s", got)
	}
}

// TestLinkBack: the Node goes, another one comes, and all is as it was.
func TestLinkBack(t *testing.T) {
	daemon, node := both(t)
	node.On["sendMessage"] = func(c *fake.Conn, _ fake.Message) { c.Drop() }
	l := open(t, daemon.Port)
	var left []any
	next[connected](t, l, &left)
	l.Do(sendAsk{bob, "hi", 1})
	l.Do(sendAsk{bob, "you", 2})
	var lost *lostError
	for n := range uint64(2) {
		if a := next[answer](t, l, &left); !errors.As(a.err, &lost) && n == 0 || a.to.(sendAsk).n != n+1 {
			t.Errorf("%+v: %v", a.to, a.err)
		}
	}
	next[disconnected](t, l, &left)
	next[connected](t, l, &left)
	if got := strings.Count(node.Payloads("subscribe"), "\n"); got < 2 {
		t.Errorf("subscribed %d times", got)
	}
}

// TestLinkWaits for a Node while there is none, also without a Daemon.
func TestLinkWaits(t *testing.T) {
	node := fake.Listen(t)
	script(node) // it is where a Daemon would be
	l := open(t, node.Port)
	var left []any
	next[connected](t, l, &left)
	node.Stop()
	next[disconnected](t, l, &left)
	l.Do(listAsk{})
	var lost *lostError
	if a := next[answer](t, l, &left); !errors.As(a.err, &lost) {
		t.Errorf("answered %v", a.err)
	}
	fake.ListenAt(t, node.Port, script)
	next[connected](t, l, &left)
}

func TestLinkRefused(t *testing.T) {
	daemon := fake.Listen(t)
	daemon.Else = fake.NoNode
	o := talk.Options{Port: daemon.Port, LocalUser: mine}
	var refused *talk.Refused
	if _, err := dial(t.Context(), o, func(err error) error { return err }); !errors.As(err, &refused) || refused.Code != talk.CodeNoNode {
		t.Errorf("got %v", err)
	}
}

// TestTooMuch: who is not asked for a long time loses news, is told so, and loses
// no answers.
func TestTooMuch(t *testing.T) {
	l := &link{ctx: t.Context(), news: newBox[any](), asks: newBox[request]()}
	for range newsMost + 10 {
		l.hear(talk.Broadcast{Opcode: "contactStatus", Payload: []byte(`{"address":"10.0.0.2","state":"gone"}`)})
	}
	for range asksMost + 1 {
		l.Do(listAsk{})
	}
	all := l.Next()
	if len(all) != newsMost+2 {
		t.Fatalf("%d came", len(all))
	}
	if _, ok := all[newsMost].(answer); !ok {
		t.Errorf("%T came", all[newsMost])
	}
	if _, ok := all[newsMost+1].(missed); !ok {
		t.Errorf("%T came last", all[newsMost+1])
	}
}

func TestFitting(t *testing.T) {
	var buf strings.Builder
	if err := fitting(&buf, &buf, "xterm"); err == nil || !strings.Contains(err.Error(), "parley send") {
		t.Errorf("without a terminal: %v", err)
	}
	err := run(t.Context(), nil, strings.NewReader(""), &buf)
	var code interface{ ExitCode() int }
	if !errors.As(err, &code) || code.ExitCode() != exitUsage {
		t.Errorf("without a terminal: %v", err)
	}
}

// mine says that this user runs all servers.
func mine(_, _ netip.AddrPort) (uint32, error) { return uint32(os.Geteuid()), nil }

func sameObject(a, b string) bool {
	var x, y map[string]any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}
