package relay

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/messages/relaypb"
)

// nodeStats asks for the traffic. The answer may take a second.
func (w *world) nodeStats() *relaypb.NodeStats {
	w.t.Helper()
	got := w.ask(w.stats, &relaypb.NodeStatsRequest{})
	if len(got) != 1 {
		w.t.Fatalf("%d answers", len(got))
	}
	return got[0].(*relaypb.NodeStats)
}

// brief writes stats in a line: packets, kb/s and deliveries of each window.
func brief(s *relaypb.NodeStats) string {
	text := func(t *relaypb.Traffic) string {
		return fmt.Sprint(t.GetPackets(), t.GetKilobits(), t.GetDeliveries())
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d clients, %s", s.GetClients(), text(s.GetTotal()))
	for _, c := range s.GetChannels() {
		fmt.Fprintf(&b, "; %s of %d: %s", c.GetName(), c.GetSubscribers(), text(c.GetTraffic()))
	}
	return b.String()
}

func (w *world) wantStats(want string) {
	w.t.Helper()
	if got := brief(w.nodeStats()); got != want {
		w.t.Errorf("stats are\n%s, want\n%s", got, want)
	}
}

// payload is a JSON string of so many bytes.
func payload(bytes int) string { return `"` + strings.Repeat("x", bytes-2) + `"` }

const quietTraffic = "[0 0 0] [0 0 0] [0 0 0]"

func TestNodeStats(t *testing.T) {
	single(t, roomy, func(_ *testing.T, w *world) {
		w.wantStats("0 clients, " + quietTraffic)
		a, b, c := w.client(), w.client(), w.client()
		for _, p := range []*peer{a, b, c} {
			p.says(sub("x", "", "1")).wants("1 ok")
		}
		b.says(sub("a", "", "2")).wants("2 ok")
		w.wantStats("3 clients, " + quietTraffic + "; a of 1: " + quietTraffic + "; x of 3: " + quietTraffic)

		a.says(send("x", payload(750), "2"), send("x", payload(750), "3")).wants("2 ok", "3 ok")
		b.says(send("a", payload(375), "3"))
		w.d.Settle()
		w.wantStats("3 clients, " + quietTraffic + "; a of 1: " + quietTraffic + "; x of 3: " + quietTraffic) // the second is not over
		w.d.Run(time.Second)
		w.wantStats("3 clients, [3 3 3] [15 1 0.25] [4 4 4]; a of 1: [1 1 1] [3 0.2 0.05] [0 0 0]; x of 3: [2 2 2] [12 0.8 0.2] [4 4 4]")
		w.d.Run(14 * time.Second)
		w.wantStats("3 clients, [0 3 3] [0 1 0.25] [0 4 4]; a of 1: [0 1 1] [0 0.2 0.05] [0 0 0]; x of 3: [0 2 2] [0 0.8 0.2] [0 4 4]")
		w.d.Run(time.Second)
		w.wantStats("3 clients, [0 0 3] [0 0 0.25] [0 0 4]; a of 1: [0 0 1] [0 0 0.05] [0 0 0]; x of 3: [0 0 2] [0 0 0.2] [0 0 4]")

		// What a closed channel had counted stays in the total.
		b.says(unsub("a", "4"))
		w.d.Settle()
		w.wantStats("3 clients, [0 0 3] [0 0 0.25] [0 0 4]; x of 3: [0 0 2] [0 0 0.2] [0 0 4]")
		b.says(sub("a", "", "5"))
		w.d.Settle()
		w.wantStats("3 clients, [0 0 3] [0 0 0.25] [0 0 4]; a of 1: " + quietTraffic + "; x of 3: [0 0 2] [0 0 0.2] [0 0 4]")
		for _, p := range []*peer{a, b, c} {
			p.hangUp()
		}
		w.d.Settle()
		w.wantStats("0 clients, [0 0 3] [0 0 0.25] [0 0 4]")
		w.d.Run(44 * time.Second)
		w.wantStats("0 clients, [0 0 3] [0 0 0.25] [0 0 4]")
		w.d.Run(time.Second)
		w.wantStats("0 clients, " + quietTraffic)
	})
}

// TestRingIsFreed looks at a channel's memory of its traffic.
func TestRingIsFreed(t *testing.T) {
	single(t, roomy, func(t *testing.T, w *world) {
		has := func() bool {
			for _, m := range w.ask(w.channels, &count{1}) {
				if c, ok := m.(*counted); ok {
					return c.ring != nil
				}
			}
			t.Fatal("no answer")
			return false
		}
		a := w.client()
		a.says(sub("x", "", "1")).wants("1 ok")
		if has() {
			t.Error("a channel that nobody spoke in keeps buckets")
		}
		for range 2 {
			a.says(send("x", `"1"`, "2")).wants("2 ok")
			w.d.Run(50 * time.Second)
			a.says(send("x", `"2"`, "3")).wants("3 ok")
			w.d.Run(60 * time.Second)
			if !has() {
				t.Error("the buckets are gone while they still count")
			}
			w.d.Run(ringSpan + time.Second)
			if has() {
				t.Error("a silent channel keeps its buckets")
			}
		}
		a.says(send("x", `"3"`, "4")).wants("4 ok") // and its timer ends with it
	})
}

// mute adds a channel that never answers: it fails when it is asked.
func (w *world) mute(name string) {
	w.core.open[name] = &openChannel{pid: w.sys.NewLocalPID("mute")}
	w.core.names = nil
}

// unmute takes it away.
func (w *world) unmute(name string) {
	if o := w.core.open[name]; o != nil && o.pid.GetId() == "mute" {
		delete(w.core.open, name)
		w.core.names = nil
	}
}

// TestStatsDoNotWaitForever asks while a channel fails.
func TestStatsDoNotWaitForever(t *testing.T) {
	single(t, roomy, func(t *testing.T, w *world) {
		a := w.client()
		a.says(sub("x", "", "1")).wants("1 ok")
		a.says(send("x", payload(125), "2")).wants("2 ok")
		w.d.Run(time.Second)
		w.mute("mute")
		if got := w.ask(w.stats, &relaypb.NodeStatsRequest{}); len(got) > 0 {
			t.Fatalf("answered at once: %v", got)
		}
		w.d.Run(countTimeout / 2)
		w.sys.Root.RequestWithCustomSender(w.stats, &relaypb.NodeStatsRequest{}, w.asker) // joins the round
		w.d.Run(countTimeout/2 - time.Millisecond)
		if len(w.answers) > 0 {
			t.Fatalf("answered early: %v", w.answers)
		}
		w.d.Run(time.Millisecond)
		if len(w.answers) != 2 || w.answers[0] != w.answers[1] {
			t.Fatalf("answers %v, want the same twice", w.answers)
		}
		if got, want := brief(w.answers[0].(*relaypb.NodeStats)), "1 clients, [0 1 1] [0 0.06666666666666667 0.016666666666666666] [0 0 0]; x of 1: [0 1 1] [0 0.06666666666666667 0.016666666666666666] [0 0 0]"; got != want {
			t.Errorf("stats are %s, want %s", got, want)
		}
		w.unmute("mute")
		w.nodeStats() // the next round is whole
		w.d.Run(2 * countTimeout)
		if len(w.answers) != 1 {
			t.Errorf("%d answers to one question", len(w.answers))
		}
	})
}

// TestStatsCountAClosingChannelOnce has a channel end, and another of its name
// begin, while stats waits for a third.
func TestStatsCountAClosingChannelOnce(t *testing.T) {
	single(t, roomy, func(t *testing.T, w *world) {
		a := w.client()
		a.says(sub("x", "", "1")).wants("1 ok")
		a.says(send("x", payload(125), "2")).wants("2 ok")
		w.d.Run(time.Second)
		w.mute("mute")
		w.ask(w.stats, &relaypb.NodeStatsRequest{})
		a.says(unsub("x", "3")).wants("3 ok")
		a.says(sub("x", "", "4")).wants("4 ok")
		w.d.Run(countTimeout)
		w.unmute("mute")
		first := w.answers
		for _, m := range append(first, w.nodeStats()) {
			if got := m.(*relaypb.NodeStats).GetTotal().GetPackets()[1]; got != 1 {
				t.Errorf("%d packets counted, want 1", got)
			}
		}
	})
}

// restart restarts an actor as its supervisor would.
func (w *world) restart(pid *actor.PID) {
	p, _ := w.sys.ProcessRegistry.Get(pid)
	p.SendSystemMessage(pid, &actor.SuspendMailbox{})
	p.SendSystemMessage(pid, &actor.Restart{})
	w.d.Settle()
}

func TestStatsRestarts(t *testing.T) {
	single(t, roomy, func(t *testing.T, w *world) {
		w.mute("mute")
		w.ask(w.stats, &relaypb.NodeStatsRequest{})
		w.d.Run(countTimeout / 2)
		w.restart(w.stats)
		w.ask(w.stats, &relaypb.NodeStatsRequest{})
		w.d.Run(countTimeout - time.Millisecond)
		if len(w.answers) > 0 {
			t.Error("answered by the time-out of the round before")
		}
		w.d.Run(time.Millisecond)
		if len(w.answers) != 1 {
			t.Errorf("%d answers", len(w.answers))
		}
	})
}
