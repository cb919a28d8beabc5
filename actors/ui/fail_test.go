package ui

import (
	"fmt"
	"testing"
	"time"

	"parley/messages/linkpb"
	"parley/messages/uipb"
	"parley/testkit"
)

func TestClientFails(t *testing.T) {
	in(t, failures(1), func(t *testing.T, w *world) {
		f, g := w.face(), w.face()
		f.talk(1, "do", plan{kind: "ok", after: time.Second})
		f.talk(2, "do", ok())
		g.talk(1, "do", plan{kind: "ok", after: time.Second})
		f.wants("2 2")
		w.sys.Root.Send(f.server, (*answered)(nil)) // nobody sends such
		g.talk(2, "do", ok())
		g.wants("2 4")
		if !f.gone || f.code != closeInternal || f.reason != "internal error" {
			t.Errorf("gone %v, closed %d %q", f.gone, f.code, f.reason)
		}
		if left := w.below(f.server); len(left) > 0 {
			t.Errorf("left are %v", left)
		}
		w.d.Run(time.Second)
		g.wants("1 3")
		w.tell(crashed(1))
		g.wants("crashed 1")
		f.wants()
	})
}

// TestClientFailsWithMuchToDo must end although requests still come for it.
func TestClientFailsWithMuchToDo(t *testing.T) {
	in(t, failures(1), func(t *testing.T, w *world) {
		f := w.face()
		w.sys.Root.Send(f.server, (*answered)(nil))
		for i := range uint64(20) {
			f.talk(i%7, "do", plan{kind: "ok", after: time.Duration(i%2) * time.Second})
		}
		w.d.Run(DefaultTimeout)
		if left := w.below(w.clients); len(left) > 0 || !f.gone {
			t.Errorf("left are %v", left)
		}
	})
}

// TestHangUp ends all conversations, whatever they are doing.
func TestHangUp(t *testing.T) {
	in(t, setup{shards: 2}, func(t *testing.T, w *world) {
		f, g := w.face(), w.face()
		f.talk(1, "do", plan{kind: "ok", after: time.Second})
		f.talk(1, "do", ok())
		f.talk(2, "do", ok())
		f.wants("2 3")
		f.hangUp()
		f.talk(3, "do", ok()) // its reader had it in hand
		f.say(&uipb.Unreadable{Charge: 1})
		w.d.Run(time.Minute)
		if left := w.below(w.clients); len(left) != 1 {
			t.Errorf("left are %v", left)
		}
		g.talk(1, "do", ok())
		g.wants("1 5")
	})
}

// TestLinkThatNeverOpened is gone before it can hear that it is served.
func TestLinkThatNeverOpened(t *testing.T) {
	in(t, setup{}, func(t *testing.T, w *world) {
		w.sys.Root.RequestWithCustomSender(w.clients, &linkpb.Opened{Protocol: "uiv2", Member: 1}, w.sys.NewLocalPID("gone"))
		w.d.Settle()
		if left := w.below(w.clients); len(left) > 0 {
			t.Errorf("left are %v", left)
		}
		w.tell(crashed(1)) // or a paper shard finds that there is no such face
	})
}

// TestEverythingStops in the middle of everything, with links that still open
// and requests that still come.
func TestEverythingStops(t *testing.T) {
	testkit.Seeds(t, 2*seeds, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d, setup{shards: 2})
		f := w.face()
		for i := range uint64(9) {
			f.talk(i%5, "do", plan{kind: "ok", after: time.Duration(i%2) * time.Second})
		}
		w.connect()
		testkit.Ending(w.sys)
		w.sys.Root.Stop(w.clients)
		for i := range uint64(9) {
			f.talk(10+i, "do", ok())
			w.connect()
		}
		d.Settle()
		if left := w.below(w.clients); len(left) > 0 {
			t.Errorf("left are %v", left)
		}
		w.stop()
	})
}

// TestBroadcastsRestart keeps who is connected, and what each wants.
func TestBroadcastsRestart(t *testing.T) {
	in(t, failures(1), func(t *testing.T, w *world) {
		f, g := w.face(), w.face()
		crash := crashed(1)
		crash.RetainMs = 10_000
		w.tell(crash)
		f.wants("crashed 1")
		g.wants("crashed 1")
		g.subscribe("subscribe", "", "b")
		g.wants("99 done")
		w.onDemand = func(uipb.LogLevel) {
			w.onDemand = nil
			panic("as planned")
		}
		f.subscribe("subscribe", "Trace", opcodeLog)
		f.wants("99 unknown")
		w.tell(announce("a", 2), announce("b", 3), logged(uipb.LogLevel_LOG_LEVEL_TRACE, "x"))
		f.wants("logBroadcast x (lossy)") // it had taken effect
		g.wants("b 3")
		h := w.face()
		h.wants("crashed 1")
		f.subscribe("unsubscribe", "")
		f.wants("99 done")
		if got := fmt.Sprint(w.demanded); got != "[LOG_LEVEL_TRACE LOG_LEVEL_INFO]" {
			t.Errorf("demanded %s", got)
		}
	})
}
