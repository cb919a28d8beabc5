package relay

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"parley/actors/tree"
	"parley/messages/linkpb"
	"parley/messages/vaultpb"
	"parley/testkit"
)

// single runs a test in one order.
func single(t *testing.T, limits Limits, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testkit.NewDriver(1), 2, limits)
		test(t, w)
		w.stop()
	})
}

func TestChannelsPerClient(t *testing.T) {
	single(t, Limits{ChannelsPerClient: 2, Channels: 100}, func(_ *testing.T, w *world) {
		a, b := w.client(), w.client()
		b.says(sub("locked", "pw", "0")).wants("0 ok")
		a.says(sub("x", "", "1")).wants("1 ok")
		a.says(sub("x", "", "2")).wants("2 ok") // twice is once
		a.says(sub("locked", "wrong", "3")).wants("3 invalid password")
		a.says(sub("y", "", "4")).wants("4 ok")
		a.says(sub("z", "", "5")).wants("5 channel limit reached")
		a.says(unsub("x", "6"), sub("z", "", "7")).wantsAll("6 ok", "7 ok")
		b.says(sub("y", "", "8")).wants("8 ok") // each has its own
		a.settledUp()
	})
}

func TestChannelsInAll(t *testing.T) {
	single(t, Limits{ChannelsPerClient: 100, Channels: 2}, func(_ *testing.T, w *world) {
		a, b := w.client(), w.client()
		a.says(sub("x", "", "1")).wants("1 ok")
		b.says(sub("y", "pw", "1")).wants("1 ok")
		requests := w.safe.requests
		a.says(sub("z", "secret", "2")).wants("2 channel limit reached")
		if w.safe.requests != requests {
			w.t.Error("a password was hashed for a channel that cannot be opened")
		}
		a.says(sub("y", "pw", "3")).wants("3 ok")
		b.says(unsub("y", "2")).wants("2 ok")
		b.says(sub("z", "", "3")).wants("3 channel limit reached") // a is still in y
		a.says(unsub("y", "4")).wants("4 ok")
		b.says(sub("z", "", "4")).wants("4 ok")
		a.settledUp()
		b.settledUp()
	})
}

// TestPasswordLastsAsLongAsItsChannel opens a name again and again.
func TestPasswordLastsAsLongAsItsChannel(t *testing.T) {
	single(t, roomy, func(_ *testing.T, w *world) {
		a, b := w.client(), w.client()
		a.says(sub("x", "one", "1")).wants("1 ok")
		b.says(sub("x", "", "1")).wants("1 invalid password")
		b.says(sub("x", "two", "2")).wants("2 invalid password")
		b.says(sub("x", "one", "3")).wants("3 ok")
		a.says(unsub("x", "2")).wants("2 ok") // who opened it does not matter
		a.says(sub("x", "two", "3")).wants("3 invalid password")
		b.says(unsub("x", "4")).wants("4 ok")
		a.says(sub("x", "two", "4")).wants("4 ok")
		b.says(sub("x", "one", "5")).wants("5 invalid password")
		a.hangUp()
		w.d.Settle()
		b.says(sub("x", "", "6")).wants("6 ok")
		c := w.client()
		c.says(sub("x", "whatever", "1")).wants("1 ok") // a channel without one ignores it
		if got, want := fmt.Sprint(w.safe.remembered), "[x one x one x two]"; got != want {
			w.t.Errorf("remembered %s, want %s", got, want)
		}
	})
}

func malformed(nonce string) *linkpb.Malformed {
	return &linkpb.Malformed{Reason: "invalid json", Nonce: []byte(nonce), Charge: 1}
}

func TestErrorsCloseTheConnection(t *testing.T) {
	for _, c := range []struct {
		name   string
		errors int
		span   time.Duration // from the first to the last
		closed bool
	}{
		{"20 at once", errorsAllowed, 0, true},
		{"19 at once", errorsAllowed - 1, 0, false},
		{"20 in 10 s", errorsAllowed, window - time.Millisecond, true},
		{"20 in 11 s", errorsAllowed, window + time.Second, false},
		{"100 in 55 s", 100, 55 * time.Second, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			single(t, roomy, func(t *testing.T, w *world) {
				a := w.client()
				for i := range c.errors {
					if i > 0 {
						w.d.Run(c.span / time.Duration(c.errors-1))
					}
					a.says(malformed("1")).wants("error 1 invalid json")
				}
				if a.gone != c.closed || c.closed && (a.code != 1008 || a.reason != "too many errors") {
					t.Errorf("gone %v, closed %d %q", a.gone, a.code, a.reason)
				}
				a.settledUp()
			})
		})
	}
}

func TestWrongPasswordsCloseTheConnection(t *testing.T) {
	for _, c := range []struct {
		name    string
		guesses int
		every   time.Duration
		closed  bool
	}{
		{"5 at once", wrongAllowed, 0, true},
		{"4 at once", wrongAllowed - 1, 0, false},
		{"5 in 10 s", wrongAllowed, (window - time.Millisecond) / (wrongAllowed - 1), true},
		{"5 in 11 s", wrongAllowed, (window + time.Second) / (wrongAllowed - 1), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			single(t, roomy, func(t *testing.T, w *world) {
				owner, a := w.client(), w.client()
				owner.says(sub("x", "right", "1")).wants("1 ok")
				for i := range c.guesses {
					if i > 0 {
						w.d.Run(c.every)
					}
					guess := fmt.Sprint("guess", i)
					if i%2 == 0 {
						guess = "" // none is wrong, too
					}
					a.says(sub("x", guess, "1")).wants("1 invalid password")
				}
				if a.gone != c.closed || c.closed && (a.code != 1008 || a.reason != "too many wrong passwords") {
					t.Errorf("gone %v, closed %d %q", a.gone, a.code, a.reason)
				}
			})
		})
	}
}

// busy is a vault that refuses until told otherwise.
func (w *world) busy(is *bool) {
	w.safe.takes = func(*vaultpb.HashRequest) (time.Duration, bool) { return 0, *is }
}

func TestBusyComesLate(t *testing.T) {
	single(t, roomy, func(t *testing.T, w *world) {
		is := true
		w.busy(&is)
		a := w.client()
		a.says(sub("x", "pw", "1"), sub("y", "pw", "2"), sub("z", "", "3")).wants("3 ok") // the others wait for each other
		w.d.Run(busyPause - time.Millisecond)
		a.wants()
		w.d.Run(time.Millisecond)
		a.wants("1 busy")
		w.d.Run(busyPause - time.Millisecond)
		a.wants()
		is = false
		w.d.Run(time.Millisecond) // it was refused before
		a.wants("2 busy")
		a.says(sub("x", "pw", "4")).wants("4 ok")
		if n := tree.Of(w.sys).Dropped(tree.PasswordBusy); n != 2 {
			t.Errorf("%d counted, want 2", n)
		}
		a.settledUp()
	})
}

func TestBusyClosesTheConnection(t *testing.T) {
	for _, relieved := range []bool{false, true} {
		t.Run(fmt.Sprint("relieved ", relieved), func(t *testing.T) {
			single(t, roomy, func(t *testing.T, w *world) {
				is := true
				w.busy(&is)
				a := w.client()
				for i := range busyAllowed {
					a.says(sub("x", "pw", "1"))
					w.d.Run(busyPause)
					a.wants("1 busy")
					if relieved && i == busyAllowed/2 { // one success in between
						is = false
						a.says(sub("y", "pw", "2")).wants("2 ok")
						is = true
					}
				}
				if a.gone == relieved || !relieved && (a.code != 1008 || a.reason != "too many passwords") {
					t.Errorf("gone %v, closed %d %q", a.gone, a.code, a.reason)
				}
			})
		})
	}
}

// TestNobodyHashesForThoseWhoLeft lets a client hang up with many passwords to
// be hashed, while one is under way or was refused.
func TestNobodyHashesForThoseWhoLeft(t *testing.T) {
	for _, busy := range []bool{false, true} {
		t.Run(fmt.Sprint("busy ", busy), func(t *testing.T) {
			single(t, roomy, func(t *testing.T, w *world) {
				w.safe.takes = func(*vaultpb.HashRequest) (time.Duration, bool) { return 16 * time.Millisecond, busy }
				a := w.client()
				a.says()
				for i := range 50 {
					a.say(sub(fmt.Sprint("c", i), "pw", "1"))
				}
				w.d.Run(40 * time.Millisecond)
				before := w.safe.requests
				a.hangUp()
				w.quiet()
				if w.safe.requests > before {
					t.Errorf("%d passwords hashed, %d behind the end", w.safe.requests, w.safe.requests-before)
				}
				if clients, open := w.census(); clients+open+len(w.alive(w.clients)) > 0 {
					t.Errorf("left are %d clients and %d channels", clients, open)
				}
			})
		})
	}
}

// heavy weighs on a gauge while it is handled.
type heavy struct {
	bytes int
	while func()
}

// Bytes implements messages.Load.
func (h *heavy) Bytes() int { return h.bytes }

// weigh runs f while so many bytes are queued for a shard.
func (w *world) weigh(shard, bytes int, f func()) {
	pid := tree.Spawn(w.sys.Root, "", tree.Spec{Gauge: w.fan.Gauges[shard], New: func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			if h, ok := ctx.Message().(*heavy); ok {
				h.while()
			}
		})
	}})
	w.sys.Root.Send(pid, &heavy{bytes, f})
	w.d.Settle()
	w.sys.Root.Stop(pid)
	w.d.Settle()
}

func TestSlowDownWhenAShardIsBehind(t *testing.T) {
	single(t, roomy, func(t *testing.T, w *world) {
		a, b := w.client(), w.client() // in different shards
		a.says(sub("x", "", "1")).wants("1 ok")
		b.says(sub("x", "", "1")).wants("1 ok")
		for shard := range 2 {
			w.weigh(shard, slowDownAt+1, func() {
				silent := send("x", `"s"`, "3")
				silent.Silent = true
				a.says(send("x", `"1"`, "2"), silent).wantsAll("2 slow down", "3 slow down")
				a.says(sub("y", "", "4"), unsub("y", "5")).wantsAll("4 ok", "5 ok") // commands go on
				a.settledUp()
				b.wants()
			})
			w.weigh(shard, slowDownAt, func() {
				a.says(send("x", `"2"`, "6")).wants("6 ok")
				b.wants(`x: "2"`)
			})
		}
		if n := tree.Of(w.sys).Dropped(tree.SlowDown); n != 4 {
			t.Errorf("%d counted, want 4", n)
		}
	})
}

func TestSlowDownWhenAChannelIsBehind(t *testing.T) {
	single(t, roomy, func(t *testing.T, w *world) {
		a, b, c := w.client(), w.client(), w.client()
		for _, p := range []*peer{a, b, c} {
			p.says(sub("x", "", "1")).wants("1 ok")
		}
		large := `"` + strings.Repeat("x", tree.DefaultLimit/2) + `"` // two of them are too much
		seen := false
		w.onCast = func(cast) { // the channel is at work and takes nothing else
			if seen {
				return
			}
			seen = true
			a.says(send("x", large, "2"))
			w.d.Settle()
			b.says(send("x", large, "2")).wants("2 slow down")
			b.settledUp()
			b.says(unsub("x", "3")) // control gets in
			w.d.Settle()
		}
		c.says(send("x", `"1"`, "2"))
		w.d.Settle()
		if !slices.Contains(a.heard, "2 ok") || !slices.Contains(b.heard, "3 ok") || len(c.heard) != 2 {
			t.Errorf("a heard %d, b %d, c %d frames", len(a.heard), len(b.heard), len(c.heard))
		}
		if n := tree.Of(w.sys).Dropped(tree.SlowDown); n != 1 {
			t.Errorf("%d counted, want 1", n)
		}
		a.settledUp()
		c.settledUp()
	})
}

// TestCommandsThatLackSomething checks what the codec leaves to the client.
func TestCommandsThatLackSomething(t *testing.T) {
	single(t, roomy, func(_ *testing.T, w *world) {
		a := w.client()
		for _, c := range []struct {
			m    proto.Message
			want string
		}{
			{send("x", "", "1"), "1 message key must be present"},
			{send("", "", "2"), "2 message key must be present"},
			{send("", `"m"`, "3"), "3 channel key must be present"},
			{send("x", `"m"`, "4"), "4 channel does not exist"},
			{unsub("x", "5"), "5 channel does not exist"},
		} {
			a.says(c.m).wants(c.want)
		}
		a.settledUp()
	})
}

// TestTally compares the sliding window with a list of all that ever happened.
func TestTally(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now, all, tally := time.Unix(1e9, 0), []time.Time{}, tally{}
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			now = now.Add(time.Duration(rapid.IntRange(0, 4000).Draw(t, "ms")) * time.Millisecond)
			all = append(all, now)
			want := 0
			for _, at := range all {
				if now.Sub(at) < window {
					want++
				}
			}
			if got := tally.add(now); got != want {
				t.Fatalf("%d in the window, want %d", got, want)
			}
			if len(tally.times) != want {
				t.Fatalf("%d kept, %d are of use", len(tally.times), want)
			}
		}
	})
}
