package ui

import (
	"fmt"
	"testing"
	"time"

	"parley/messages/uipb"
	"parley/testkit"
)

func TestAnswerThatComesTooLate(t *testing.T) {
	in(t, setup{}, func(t *testing.T, w *world) {
		f := w.face()
		f.talk(1, "do", plan{kind: "ok", after: timeoutDo + time.Second})
		f.talk(1, "do", plan{kind: "ok", after: 2 * time.Second})
		f.talk(2, "quick", plan{kind: "silent"})
		w.d.Run(timeoutQuick - time.Millisecond)
		f.wants()
		w.d.Run(time.Millisecond)
		f.wants("2 timeout")
		w.d.Run(timeoutDo - timeoutQuick - time.Millisecond)
		f.wants()
		w.d.Run(time.Millisecond)
		f.wants("1 timeout")
		w.d.Run(time.Second) // the late one is here
		f.wants()
		w.d.Run(time.Second)
		f.wants("1 2")
		if n := len(w.below(f.server)); n != 1 {
			t.Errorf("%d conversations are left", n)
		}
	})
}

// TestTimeoutTellsTheOpcode and how long it waited.
func TestTimeoutTellsTheOpcode(t *testing.T) {
	in(t, setup{}, func(t *testing.T, w *world) {
		f := w.face()
		var got *uipb.Response
		f.onHear = func(r *uipb.Response) { got = r }
		f.talk(1<<63, "quick", plan{kind: "silent"})
		w.d.Run(timeoutQuick)
		if m := got.GetFault().GetMessage(); m != "No answer to quick within 10s" || got.GetOpcode() != "quick" || got.GetContext() != 1<<63 {
			t.Errorf("heard %v", got)
		}
	})
}

func TestIdleConversationEnds(t *testing.T) {
	in(t, setup{}, func(t *testing.T, w *world) {
		f := w.face()
		f.talk(1, "do", ok())
		w.d.Run(time.Minute)
		f.talk(2, "do", ok())
		f.talk(3, "do", plan{kind: "ok", after: 10 * time.Second})
		w.d.Run(DefaultIdle - time.Minute - time.Millisecond)
		f.wantsAll("1 1", "2 2", "3 3")
		for _, c := range []struct {
			after time.Duration
			left  int
		}{{0, 3}, {time.Millisecond, 2}, {time.Minute, 1}, {10 * time.Second, 0}} {
			w.d.Run(c.after)
			if got := len(w.below(f.server)); got != c.left {
				t.Errorf("%d conversations are left, want %d", got, c.left)
			}
		}
		f.talk(1, "do", ok())
		f.wants("1 4")
		f.talk(1, "do", ok())
		w.d.Run(DefaultIdle - time.Millisecond)
		f.talk(1, "do", ok()) // it counts anew
		w.d.Run(DefaultIdle - time.Millisecond)
		if got := len(w.below(f.server)); got != 1 {
			t.Errorf("%d conversations are left, want 1", got)
		}
		f.wants("1 5", "1 6")
	})
}

// TestManyConversations is at the limit of one connection.
func TestManyConversations(t *testing.T) {
	testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d, setup{})
		f, g := w.face(), w.face()
		f.talk(0, "do", ok()) // idle, the longest
		d.Run(time.Second)
		f.talk(1, "do", ok())
		d.Run(time.Second)
		for i := range uint64(DefaultTalks - 2) {
			f.talk(2+i, "do", plan{kind: "ok", after: 20 * time.Second})
		}
		d.Settle()
		first := w.below(f.server)
		f.wants("0 1", "1 2")
		f.talk(0, "do", ok()) // now 1 is silent for longer
		f.wants("0 1025")
		f.talk(5000, "do", plan{kind: "ok", after: 20 * time.Second}) // instead of 1
		f.talk(5001, "do", plan{kind: "ok", after: 20 * time.Second}) // instead of 0
		f.wants()
		if n := len(w.below(f.server)); n != DefaultTalks || len(first) != DefaultTalks {
			t.Errorf("%d conversations, and %d before", n, len(first))
		}
		f.talk(5002, "do", ok())
		f.talk(5003, "do", ok())
		f.talk(5000, "do", ok()) // it has a place
		f.wants("5002 too many", "5003 too many")
		g.talk(1, "do", ok()) // each connection has its own
		g.wants("1 1031")
		d.Run(20 * time.Second)
		if len(f.heard) != DefaultTalks+1 {
			t.Errorf("heard %d answers", len(f.heard))
		}
		f.heard = nil
		f.talk(5002, "do", ok())
		f.wants("5002 1032")
		f.settledUp()
		w.stop()
	})
}

// TestTheRefusalOfOneTooManyKeepsItsPlace: a context's answers come in order,
// also when its conversation had to make room meanwhile.
func TestTheRefusalOfOneTooManyKeepsItsPlace(t *testing.T) {
	in(t, setup{talks: 1}, func(_ *testing.T, w *world) {
		f := w.face()
		f.talk(1, "do", ok())
		f.talk(2, "do", plan{kind: "ok", after: time.Second})
		f.talk(1, "do", ok())
		w.d.Run(2 * time.Second)
		if got := fmt.Sprint(f.heard); got != "[1 1 2 too many 1 3]" && got != "[1 1 1 too many 2 2]" && got != "[2 too many 1 1 1 3]" {
			w.t.Errorf("heard %s", got)
		}
	})
}
