package talk

import (
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"parley/cmd/parley/talk/fake"
)

const crash = `{"processId":77,"crashReason":{"Unrecognized":"first\nlast \u001b[31m"},"exitCode":null,"signal":"killed","requested":false,"lastLines":["first","last \u001b[31m"]}`

const crashText = "ended by signal killed (pid 77); its last lines:\n  | first\n  | last \\x1b[31m"

// TestNodeEndsInBetween : the Daemon tells why, at once or a little later.
func TestNodeEndsInBetween(t *testing.T) {
	for name, greet := range map[string]func(c *fake.Conn){
		"replayed": func(c *fake.Conn) { c.Cast("crashed", crash) },
		"later": func(c *fake.Conn) {
			c.Cast("setup", `{"running":false,"values":[],"errors":[]}`)
			c.Cast("crashed", crash)
		},
	} {
		daemon, node := pair(t)
		var dead atomic.Bool
		daemon.Greet = func(c *fake.Conn) {
			if dead.Load() {
				greet(c)
			}
		}
		node.On["configuration"] = func(c *fake.Conn, _ fake.Message) {
			dead.Store(true)
			c.Drop()
		}
		s := open(t, Options{Port: daemon.Port})
		_, err := s.Ask(t.Context(), Question{Opcode: "configuration"})
		var ended *Ended
		if !errors.As(err, &ended) || ended.Crash == nil || ended.Crash.PID != 77 {
			t.Fatalf("%s: got %v", name, err)
		}
		if want := `the Node ended before it answered "configuration": ` + crashText; err.Error() != want {
			t.Errorf("%s: want %q, got %q", name, want, err)
		}
		ask(t, s, Question{Opcode: "setup"}, `{"running":true,"values":[{"name":"real-user","value":"2000:2000:/home/x"}],"errors":[]}`)
	}
}

// TestNodeEndsBehindAnother : the Daemon still tells newcomers how the Node before
// ended, and that is no word of this one.
func TestNodeEndsBehindAnother(t *testing.T) {
	daemon, node := pair(t)
	var dead atomic.Bool
	daemon.Greet = func(c *fake.Conn) {
		c.Cast("crashed", `{"processId":76,"crashReason":"NoInformation","requested":true}`)
		if dead.Load() {
			c.Cast("crashed", crash)
		}
	}
	node.On["configuration"] = func(c *fake.Conn, _ fake.Message) {
		dead.Store(true)
		c.Drop()
	}
	s := open(t, Options{Port: daemon.Port})
	_, err := s.Ask(t.Context(), Question{Opcode: "configuration"})
	var ended *Ended
	if !errors.As(err, &ended) || ended.Crash == nil || ended.Crash.PID != 77 {
		t.Fatalf("got %v", err)
	}
}

// TestNodeEndsWithoutAWord of the Daemon's.
func TestNodeEndsWithoutAWord(t *testing.T) {
	daemon, node := pair(t)
	node.On["configuration"] = func(c *fake.Conn, _ fake.Message) { c.Bye(1008, "too \x1b slow") }
	s := open(t, Options{Port: daemon.Port, moment: time.Millisecond})
	_, err := s.Ask(t.Context(), Question{Opcode: "configuration"})
	if want := `the Node ended the connection before it answered "configuration": too \x1b slow`; err == nil || err.Error() != want {
		t.Errorf("want %q, got %v", want, err)
	}
	daemon.Stop()
	s.Close()
}

// TestDaemonEndsInBetween and may have done what it was asked, or not.
func TestDaemonEndsInBetween(t *testing.T) {
	daemon := fake.Listen(t)
	daemon.On["start"] = func(c *fake.Conn, _ fake.Message) { c.Bye(1001, "") }
	s := open(t, Options{Port: daemon.Port})
	_, err := s.Ask(t.Context(), Question{Opcode: "start"})
	var lost *Lost
	if want := `the Daemon ended the connection before it answered "start": it was shut down`; !errors.As(err, &lost) || err.Error() != want {
		t.Errorf("want %q, got %v", want, err)
	}
}

// TestNodeIsGoneAlready when the Daemon still sends there: it is asked again.
func TestNodeIsGoneAlready(t *testing.T) {
	daemon, node := pair(t)
	old := fake.Listen(t)
	old.Stop()
	sent := 0
	daemon.Else = func(c *fake.Conn, m fake.Message) {
		if sent++; sent < 3 {
			c.Redirect(m, old.Port)
			return
		}
		c.Redirect(m, node.Port)
	}
	s := open(t, Options{Port: daemon.Port})
	ask(t, s, Question{Opcode: "descriptor"}, `{"nodeDescriptorOpt":null}`)
	if sent != 3 {
		t.Errorf("asked %d times", sent)
	}
	daemon.Else = fake.NoNode
	node.Stop()
	eventually(t, "end of the connection", func() bool { return s.wire().over() })
	_, err := s.Ask(t.Context(), Question{Opcode: "descriptor"})
	var refused *Refused
	if !errors.As(err, &refused) || refused.Code != CodeNoNode {
		t.Errorf("got %v", err)
	}
}

// TestNodeNeverThere though the Daemon says so.
func TestNodeNeverThere(t *testing.T) {
	daemon, node := pair(t)
	node.Stop()
	s := open(t, Options{Port: daemon.Port})
	_, err := s.Ask(t.Context(), Question{Opcode: "descriptor"})
	var none *Nobody
	if !errors.As(err, &none) || none.Role != "Node" || len(daemon.Heard()) != tries {
		t.Errorf("got %v after %d tries", err, len(daemon.Heard()))
	}
}

// TestNodeDoesNotRedirect : only the Daemon may say where to send things.
func TestNodeDoesNotRedirect(t *testing.T) {
	daemon, node := pair(t)
	node.On["configuration"] = func(c *fake.Conn, m fake.Message) { c.Redirect(m, daemon.Port) }
	s := open(t, Options{Port: daemon.Port, moment: time.Millisecond})
	if _, err := s.Ask(t.Context(), Question{Opcode: "configuration"}); err == nil || !strings.Contains(err.Error(), "a Node does not redirect") {
		t.Errorf("got %v", err)
	}
}

func TestUnmarshalErrorFailsTheQuestion(t *testing.T) {
	daemon := fake.Listen(t)
	daemon.On["x"] = func(c *fake.Conn, _ fake.Message) {
		c.Cast("redirect", `{"port":1,"opcode":"y","contextId":null,"payload":"{}"}`) // nobody's
		c.Say(`{"opcode":"x","error":{"code":1,"message":"of no conversation"}}`)
		c.Cast("unmarshalError", `{"message":"what?","badData":"x"}`)
	}
	s := open(t, Options{Port: daemon.Port})
	if _, err := s.Ask(t.Context(), Question{Opcode: "x"}); err == nil || err.Error() != "the Daemon did not understand: what?" {
		t.Errorf("got %v", err)
	}
}

func TestTell(t *testing.T) {
	daemon, node := pair(t)
	node.On["crash"] = func(c *fake.Conn, _ fake.Message) { c.Drop() }
	daemon.Greet = func(c *fake.Conn) {
		if node.Payloads("crash") != "" {
			c.Cast("crashed", `{"processId":5,"crashReason":"NoInformation"}`)
		}
	}
	s := open(t, Options{Port: daemon.Port})
	if err := s.Tell(t.Context(), "crash", map[string]string{"actor": "a"}); err != nil {
		t.Fatal(err)
	}
	<-s.Gone()
	told, err := s.Fate(t.Context(), time.Minute)
	if err != nil || told == nil || told.String() != "it said nothing (pid 5)" {
		t.Errorf("got %v, %v", told, err)
	}
	if got := node.Payloads("crash"); got != "{\"actor\":\"a\"}\n" {
		t.Error(got)
	}
	for _, m := range node.Heard() {
		if (m.Opcode == "crash") != (m.Context == nil) {
			t.Errorf("%s has context %v", m.Opcode, m.Context)
		}
	}
}

func TestCrashTexts(t *testing.T) {
	for raw, want := range map[string]string{
		`{"processId":1,"crashReason":"NoInformation"}`:                       "it said nothing (pid 1)",
		`{"processId":1,"crashReason":{"ChildWaitFailure":"no child"}}`:       "how is not known: no child (pid 1)",
		`{"processId":1,"crashReason":{"Unrecognized":"a\nb\n"}}`:             "it said nothing (pid 1); its last lines:\n  | a\n  | b",
		`{"processId":1,"crashReason":"NoInformation","exitCode":3}`:          "exit code 3 (pid 1)",
		`{"processId":1,"crashReason":"NoInformation","requested":true}`:      "it was shut down (pid 1)",
		`{"processId":1,"crashReason":"NoInformation","signal":null,"x":"y"}`: "it said nothing (pid 1)",
		crash: crashText,
	} {
		c, err := ParseCrashed([]byte(raw))
		if err != nil || c.String() != want {
			t.Errorf("%s: want %q, got %v, %v", raw, want, c, err)
		}
	}
}

// TestSecretsGoToTrustedUsersOnly : the server's owner is asked from the kernel.
func TestSecretsGoToTrustedUsersOnly(t *testing.T) {
	type owners struct{ daemon, node uint32 }
	for name, c := range map[string]struct {
		of    owners
		trust []uint32
		err   string // blank: it is sent
	}{
		"mine":                       {of: owners{me, me}},
		"root's":                     {of: owners{0, 0}},
		"root's, with its real-user": {of: owners{0, 2000}},
		"mine, but not the Node":     {of: owners{me, 66}, err: "the Node on port"},
		"a stranger's real-user":     {of: owners{66, 2000}, err: "the Node on port"},
		"strangers, trusted":         {of: owners{66, 66}, trust: []uint32{66}},
	} {
		daemon, node := pair(t)
		node.On["checkPassword"] = fake.Reply(`{"matches":true}`)
		s := open(t, Options{Port: daemon.Port, Trust: c.trust, LocalUser: func(remote, _ netip.AddrPort) (uint32, error) {
			if remote.Port() == daemon.Port {
				return c.of.daemon, nil
			}
			return c.of.node, nil
		}})
		_, err := s.Ask(t.Context(), Question{Opcode: "checkPassword", Payload: map[string]string{"dbPasswordOpt": "marker"}, Place: Node, Secret: true})
		var stranger *Stranger
		switch {
		case c.err == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.err != "" && (!errors.As(err, &stranger) || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%s: want %q, got %v", name, c.err, err)
		}
		if sent := node.Payloads("checkPassword") != ""; sent != (c.err == "") {
			t.Errorf("%s: sent is %v", name, sent)
		}
		if strings.Contains(daemon.Payloads("checkPassword"), "marker") {
			t.Errorf("%s: the Daemon was sent the password, too", name)
		}
		s.Close()
	}
}

func TestSecretsStayHereWhenNobodyCanTell(t *testing.T) {
	daemon := fake.Listen(t)
	daemon.On["setup"] = fake.Reply(`{}`)
	s := open(t, Options{Port: daemon.Port, LocalUser: func(netip.AddrPort, netip.AddrPort) (uint32, error) {
		return 0, errors.New("guard: no such socket")
	}})
	_, err := s.Ask(t.Context(), Question{Opcode: "setup", Secret: true})
	if want := "cannot tell which user runs the Daemon"; err == nil || !strings.Contains(err.Error(), want) || len(daemon.Heard()) != 0 {
		t.Errorf("want %q, got %v", want, err)
	}
	ask(t, s, Question{Opcode: "setup"}, `{}`) // nothing secret
}

func TestRealUser(t *testing.T) {
	for text, want := range map[string]bool{"2000:2000:/home/x": true, "2000": true, "2001:2000:/": false, "": false, "no-such-user": false, "-1": false} {
		if got := userIs(text, 2000); got != want {
			t.Errorf("%q: want %v", text, want)
		}
	}
	if !userIs("root", 0) {
		t.Error("root is not 0")
	}
}

// TestKeepsAConnection whatever ends, and says so once.
func TestKeepsAConnection(t *testing.T) {
	daemon, node := pair(t)
	var dead atomic.Bool
	daemon.Greet = func(c *fake.Conn) {
		if dead.Load() {
			c.Cast("crashed", crash)
		}
	}
	var heard note
	lost, back := make(chan error, 100), make(chan struct{}, 100)
	s := open(t, Options{
		Port: daemon.Port, Broadcast: heard.take,
		Lost: func(err error) { lost <- err }, Back: func() { back <- struct{}{} },
	})
	ask(t, s, Question{Opcode: "descriptor"}, `{"nodeDescriptorOpt":null}`)
	dead.Store(true)
	node.Stop()
	eventually(t, "crashed", func() bool { return strings.HasPrefix(heard.String(), "crashed") })
	if len(lost) > 0 {
		t.Errorf("the user was told: %v", <-lost)
	}
	port := daemon.Port
	daemon.Stop()
	if err := <-lost; err.Error() != "it broke without a goodbye" {
		t.Error(err)
	}
	var none *Nobody
	if _, err := s.Ask(t.Context(), Question{Opcode: "setup"}); !errors.As(err, &none) {
		t.Errorf("got %v", err)
	}
	fake.ListenAt(t, port, func(s *fake.Server) { s.On["setup"] = fake.Reply(`{"again":true}`) })
	<-back
	ask(t, s, Question{Opcode: "setup"}, `{"again":true}`)
	if len(lost)+len(back) > 0 {
		t.Error("told more than once")
	}
}
