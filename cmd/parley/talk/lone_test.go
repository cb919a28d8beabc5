package talk

import (
	"testing"
	"time"

	"parley/cmd/parley/talk/fake"
)

// TestNodeWithoutADaemon listens where a Daemon would, and answers what is for the
// Node. When a Daemon takes its place, that is one again.
func TestNodeWithoutADaemon(t *testing.T) {
	node := fake.Listen(t)
	node.On["descriptor"] = fake.Reply(`{"nodeDescriptorOpt":null}`)
	node.On["setPassword"] = fake.Reply(`{"ok":true}`)
	node.On["start"] = fake.Reply(`{"who":"node"}`)
	node.On["configuration"] = func(c *fake.Conn, _ fake.Message) { c.Drop() }
	s := open(t, Options{Port: node.Port, moment: time.Millisecond})
	if _, at := s.AtNode(); at {
		t.Error("it is at a Node before anybody was asked")
	}
	ask(t, s, Question{Opcode: "setPassword", Place: Node, Secret: true}, `{"ok":true}`)
	ask(t, s, Question{Opcode: "setPassword", Place: Node}, `{"ok":true}`)
	if port, at := s.AtNode(); !at || port != node.Port {
		t.Errorf("it is at %d, %v", port, at)
	}
	if got := node.Payloads("descriptor"); got != "{}\n" {
		t.Errorf("descriptor was asked for with %q", got)
	}
	ask(t, s, Question{Opcode: "start", Place: Daemon}, `{"who":"node"}`) // what it says of it is its own business
	_, err := s.Ask(t.Context(), Question{Opcode: "configuration", Place: Node})
	if want := `the Node ended the connection before it answered "configuration": it broke without a goodbye`; err == nil || err.Error() != want {
		t.Errorf("want %q, got %v", want, err)
	}
	behind := fake.Listen(t) // before the other gives its port up
	behind.On["descriptor"] = fake.Reply(`{"nodeDescriptorOpt":null}`)
	behind.On["setPassword"] = fake.Reply(`{"behind":true}`)
	port := node.Port
	node.Stop()
	eventually(t, "end of the connection", func() bool { return s.wire().over() })
	fake.ListenAt(t, port, func(s *fake.Server) { s.Else = fake.To(behind) })
	ask(t, s, Question{Opcode: "setPassword", Place: Node}, `{"behind":true}`)
	if port, at := s.AtNode(); !at || port != behind.Port {
		t.Errorf("it is at %d, %v", port, at)
	}
}
