package talk

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"parley/cmd/parley/talk/fake"
)

// aside expects that there is a connection to the Node.
func aside(t *testing.T, s *Session) *Aside {
	t.Helper()
	if err := s.ToNode(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s.Aside()
}

// TestAsideHoldsNothingUp : what waits aside is answered after what was asked later.
func TestAsideHoldsNothingUp(t *testing.T) {
	daemon, node := pair(t)
	var slow fake.Message
	node.On["history"] = func(_ *fake.Conn, m fake.Message) { slow = m }
	node.On["sendMessage"] = func(c *fake.Conn, m fake.Message) { c.Answer(m, `{"messageId":"a"}`) }
	node.On["contacts"] = func(c *fake.Conn, m fake.Message) {
		c.Answer(m, `{}`)
		c.Answer(slow, `{"entries":[]}`)
	}
	s := open(t, Options{Port: daemon.Port})
	a := aside(t, s)
	got := make(chan string, 1)
	go func() {
		payload, err := a.Ask(t.Context(), Question{Opcode: "history", Place: Node})
		got <- fmt.Sprint(string(payload), err)
	}()
	eventually(t, "history", func() bool { return node.Payloads("history") != "" })
	ask(t, s, Question{Opcode: "sendMessage", Place: Node}, `{"messageId":"a"}`)
	if len(got) > 0 {
		t.Fatalf("it was answered %s", <-got)
	}
	ask(t, s, Question{Opcode: "contacts", Place: Node}, `{}`)
	if text := <-got; text != `{"entries":[]}<nil>` {
		t.Error(text)
	}
}

// TestAsideEndsWithItsConnection and does not open another one.
func TestAsideEndsWithItsConnection(t *testing.T) {
	daemon, node := pair(t)
	node.On["history"] = func(c *fake.Conn, _ fake.Message) { c.Bye(1001, "") }
	s := open(t, Options{Port: daemon.Port})
	a := aside(t, s)
	heard := len(daemon.Heard())
	for range 2 {
		_, err := a.Ask(t.Context(), Question{Opcode: "history", Place: Node})
		var ended *Ended
		if want := `the Node ended the connection before it answered "history": it was shut down`; !errors.As(err, &ended) || err.Error() != want {
			t.Errorf("want %q, got %v", want, err)
		}
		<-a.Gone()
	}
	if got := len(daemon.Heard()); got != heard {
		t.Errorf("the Daemon was asked %d times more", got-heard)
	}
	ask(t, s, Question{Opcode: "descriptor"}, `{"nodeDescriptorOpt":null}`)
	if _, err := a.Ask(t.Context(), Question{Opcode: "descriptor"}); err == nil {
		t.Error("it asks on another connection")
	}
}

// TestAsideOfADaemon : who has not asked for the Node is not at it.
func TestAsideOfADaemon(t *testing.T) {
	daemon, _ := pair(t)
	s := open(t, Options{Port: daemon.Port})
	if _, err := s.Aside().Ask(t.Context(), Question{Opcode: "history"}); err == nil || len(daemon.Heard()) != 0 {
		t.Errorf("got %v", err)
	}
}

func TestAsideKeepsSecrets(t *testing.T) {
	daemon, node := pair(t)
	s := open(t, Options{Port: daemon.Port, LocalUser: owned(66)})
	_, err := aside(t, s).Ask(t.Context(), Question{Opcode: "history", Place: Node, Secret: true})
	var stranger *Stranger
	if !errors.As(err, &stranger) || node.Payloads("history") != "" {
		t.Errorf("got %v", err)
	}
}

// TestAsideOfMany : all speak at the same time, and each gets its own answer.
func TestAsideOfMany(t *testing.T) {
	daemon, node := pair(t)
	node.Else = func(c *fake.Conn, m fake.Message) { c.Answer(m, string(m.Payload)) }
	s := open(t, Options{Port: daemon.Port})
	a := aside(t, s)
	var (
		wg  sync.WaitGroup
		bad atomic.Int64
	)
	for i := range 8 {
		payload := map[string]string{"n": strings.Repeat(fmt.Sprint(i), 5000)}
		asks := a.Ask
		if i == 0 {
			asks = s.Ask
		}
		wg.Go(func() {
			for range 20 {
				got, err := asks(t.Context(), Question{Opcode: "echo", Payload: payload, Place: Node})
				if err != nil || !strings.Contains(string(got), payload["n"]) {
					bad.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := bad.Load(); n > 0 {
		t.Errorf("%d answers were wrong", n)
	}
}
