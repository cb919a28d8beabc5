package chat

import (
	"errors"
	"strings"
	"testing"

	"parley/cmd/parley/talk"
	"parley/cmd/parley/talk/fake"
)

// TestHistoryHoldsNothingUp: while a password is checked, everything else is asked
// and answered, in its order.
func TestHistoryHoldsNothingUp(t *testing.T) {
	daemon, node := both(t)
	asked := make(chan fake.Message, 2)
	node.On["history"] = func(_ *fake.Conn, m fake.Message) { asked <- m }
	node.On["sendMessage"] = fake.Reply(`{"messageId":"m-1"}`)
	l := open(t, daemon.Port)
	var left []any
	next[connected](t, l, &left)
	password := "wrong"
	first, second := historyAsk{with: bob, password: &password}, historyAsk{with: carol}
	l.Do(first)
	l.Do(second)
	slow := <-asked
	others := []request{sendAsk{bob, "one", 1}, acceptAsk{erin, "erin"}, sendAsk{bob, "two", 2}, statusAsk{away, ""}, sendAsk{carol, "three", 3}}
	for _, r := range others {
		l.Do(r)
	}
	for _, r := range others {
		if a := next[answer](t, l, &left); a.to != r || a.err != nil {
			t.Fatalf("%+v was answered (%v), not %+v", a.to, a.err, r)
		}
	}
	sends := node.Payloads("sendMessage")
	if one, two, three := strings.Index(sends, "one"), strings.Index(sends, "two"), strings.Index(sends, "three"); one < 0 || two < one || three < two {
		t.Errorf("sent in the wrong order: %s", sends)
	}
	node.Each(func(c *fake.Conn) { c.Fault(slow, codeBadPassword, "no") })
	var locked *lockedError
	if a := next[answer](t, l, &left); a.to != first || !errors.As(a.err, &locked) || !locked.wrong {
		t.Errorf("%+v: %v", a.to, a.err)
	}
	slow = <-asked
	node.Each(func(c *fake.Conn) { c.Answer(slow, `{"entries":[]}`) })
	if a := next[answer](t, l, &left); a.to != second || a.err != nil {
		t.Errorf("%+v: %v", a.to, a.err)
	}
}

// TestHistoryEndsWithItsConnection: what was asked on it is answered before the
// next one is there.
func TestHistoryEndsWithItsConnection(t *testing.T) {
	daemon, node := both(t)
	asked := make(chan struct{}, 1)
	node.On["history"] = func(c *fake.Conn, m fake.Message) {
		if strings.Contains(string(m.Payload), dave) {
			c.Answer(m, `{"entries":[]}`)
			return
		}
		asked <- struct{}{}
	}
	node.On["sendMessage"] = func(c *fake.Conn, _ fake.Message) { c.Drop() }
	l := open(t, daemon.Port)
	var left []any
	next[connected](t, l, &left)
	l.Do(historyAsk{with: bob})
	l.Do(historyAsk{with: carol})
	<-asked
	l.Do(sendAsk{bob, "hi", 1})
	histories := 0
	for up := true; up; {
		for len(left) == 0 {
			left = l.Next()
		}
		switch n := left[0].(type) {
		case answer:
			var lost *lostError
			if !errors.As(n.err, &lost) {
				t.Errorf("%+v: %v", n.to, n.err)
			}
			if _, ok := n.to.(historyAsk); ok {
				histories++
			}
		case disconnected:
			up = false
		}
		left = left[1:]
	}
	if histories != 2 {
		t.Errorf("%d answers came before the end of the connection", histories)
	}
	next[connected](t, l, &left)
	l.Do(historyAsk{with: dave})
	if a := next[answer](t, l, &left); a.to != (historyAsk{with: dave}) || a.err != nil {
		t.Errorf("%+v: %v", a.to, a.err)
	}
	if got := strings.Count(node.Payloads("history"), carol); got != 0 {
		t.Errorf("two histories were asked for at once")
	}
}

// TestCloseWhileAHistoryWaits leaves nothing behind.
func TestCloseWhileAHistoryWaits(t *testing.T) {
	daemon, node := both(t)
	asked := make(chan fake.Message, 1)
	node.On["history"] = func(_ *fake.Conn, m fake.Message) { asked <- m }
	l, err := dial(t.Context(), talk.Options{Port: daemon.Port, LocalUser: mine}, func(err error) error { return err })
	if err != nil {
		t.Fatal(err)
	}
	l.Do(historyAsk{with: bob})
	l.Do(historyAsk{with: carol})
	<-asked
	l.close()
}
