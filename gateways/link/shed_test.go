package link

import (
	"fmt"
	"testing"
	"time"

	"parley/testkit"
)

// readyOrNot is a socket's word on what it has read ahead.
type readyOrNot bool

func (r readyOrNot) Ready() bool { return bool(r) }

// TestReadersShedTheirStacks behind the first message, and then once a second at
// most; never between messages that are there already.
func TestReadersShedTheirStacks(t *testing.T) {
	bubble(t, testShedding)
}

func testShedding(t *testing.T) {
	sys := testkit.System(t)
	r := &reader{kind: newKind(sys, nil), shed: -1}
	for i, c := range []struct {
		second int64
		ready  interface{ Ready() bool }
		want   bool
	}{
		{0, readyOrNot(true), false},
		{0, readyOrNot(false), true},
		{0, readyOrNot(false), false},
		{1, nil, true},
		{1, nil, false},
		{2, readyOrNot(true), false},
		{9, readyOrNot(false), true},
	} {
		r.kind.clock.Store(c.second)
		r.ready = c.ready
		if got := r.shedding(); got != c.want {
			t.Errorf("case %d: %v", i, got)
		}
	}
	testkit.Stop(t, sys)
}

// TestMessagesKeepTheirOrderWhenReadersShed, at any pace, and limits go on.
func TestMessagesKeepTheirOrderWhenReadersShed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{kind: func(k *Kind) { k.MessageRate = 2 }})
		p := w.dial().listen()
		const messages = 20
		for i := range messages {
			p.say("%d", i)
		}
		time.Sleep(time.Second)
		if got := len(w.heard(1)); got < 2 || got > 5 {
			t.Errorf("%d were read in a second", got)
		}
		time.Sleep(messages * time.Second)
		if got := w.heard(1); len(got) != messages {
			t.Errorf("%d were read in all", len(got))
		}
		for i, got := range w.heard(1) {
			if got != fmt.Sprint(i) {
				t.Errorf("message %d is %q", i, got)
			}
		}
		_ = p.Close()
		w.stop()
	})
}
