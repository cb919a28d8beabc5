package vault

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"parley/messages/vaultpb"
)

// night is how long a thousand guesses take, at least.
const night = 8 * time.Hour

// TestGuessing guesses a thousand times in several ways. Meanwhile a client that
// was right once is right at once.
func TestGuessing(t *testing.T) {
	const guesses = 1000
	guess := func(r *room, member uint64, i int) uint64 {
		text := pw(fmt.Sprint("guess", i))
		return r.ask([]proto.Message{check(member, text), rekey(member, text, "mine"), reveal(member, text)}[i%3])
	}
	fresh := func(i int) uint64 { return uint64(100 + i) }
	for _, c := range []struct {
		name   string
		member func(i int) uint64
		once   bool          // all guesses come at once; else each behind the answer to the last
		leave  bool          // each connection ends with its guess
		rest   time.Duration // behind each fifth guess
	}{
		{"one connection", func(int) uint64 { return 7 }, false, false, 0},
		{"a fresh connection for each", fresh, false, true, 0},
		{"all at once", fresh, true, false, 0},
		{"with rests", fresh, false, true, forgiven + time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			opened(t, life(t), nil, func(t *testing.T, r *room) {
				r.vault.takes = 10 * time.Millisecond
				const ui = 1
				if got := r.hear(time.Second, check(ui, pw("right"))); got != "true" {
					t.Fatalf("the first check: %q", got)
				}
				r.ear.heard = map[uint64]string{}
				start, derived, asked := time.Now(), r.vault.asked, 0
				var took time.Duration
				next := func() {
					guess(r, c.member(asked), asked)
					asked++
				}
				r.ear.then = func() {
					took = time.Since(start)
					if c.leave {
						r.sys.Root.Send(r.safe, &vaultpb.Departed{Member: c.member(asked - 1)})
					}
					switch {
					case c.once || asked == guesses:
					case c.rest > 0 && asked%5 == 0:
						r.d.After(c.rest, next)
					default:
						next()
					}
				}
				for next(); c.once && asked < guesses; {
					next()
				}
				r.d.Run(7 * night)
				if took < night || r.vault.asked-derived != guesses || len(r.ear.heard) != guesses {
					t.Errorf("%d guesses, %d answers took %v", r.vault.asked-derived, len(r.ear.heard), took)
				}
				for serial, got := range r.ear.heard {
					if got != "false" && got != "bad_password" {
						t.Fatalf("guess %d heard %q", serial, got)
					}
				}
				r.ear.then = nil
				if got := r.hear(r.vault.takes+soon, reveal(ui, pw("right"))); got != "true a=aaaa b=bbbb" {
					t.Errorf("the proven client heard %q", got)
				}
				t.Log(took)
			})
		})
	}
}

// TestProvenAreNotSlowed has a proven client busy in the middle of an attack.
func TestProvenAreNotSlowed(t *testing.T) {
	opened(t, life(t), nil, func(t *testing.T, r *room) {
		r.expect("true", check(1, pw("right")))
		for i := range 500 {
			r.ask(check(uint64(100+i), pw("guess")))
		}
		for range 50 {
			r.expect("true", check(1, pw("right")))
			r.d.Run(20 * time.Second)
		}
		// Its own failures slow it, and a success makes them forgotten.
		r.expect("false", check(1, pw("typo")))
		if got := r.hear(delayFirst-soon, check(1, pw("right"))); got != "" {
			t.Errorf("not slowed: %q", got)
		}
		r.d.Run(2 * soon)
		r.expect("true", check(1, pw("right")))
		// Who proved it with the old password has to prove it with the new one.
		r.expect("done", rekey(1, pw("right"), "new"))
		r.expect("true", check(1, pw("new")))
		if got := r.hear(soon, check(2, pw("new"))); got != "" {
			t.Errorf("a stranger is not slowed: %q", got)
		}
	})
}

// TestChangesMakeStrangers: those who were right about the old password are
// slowed like all others.
func TestChangesMakeStrangers(t *testing.T) {
	opened(t, life(t), nil, func(t *testing.T, r *room) {
		r.expect("true", check(1, pw("right")))
		r.expect("true", check(2, pw("right")))
		r.expect("done", rekey(1, pw("right"), "new"))
		r.expect("false", check(3, pw("guess")))
		if got := r.hear(soon, check(2, pw("new"))); got != "" {
			t.Errorf("heard %q at once", got)
		}
		r.expect("true", check(1, pw("new")))
	})
}

// TestDelays is the table of what a member's failures cost.
func TestDelays(t *testing.T) {
	opened(t, life(t), nil, func(t *testing.T, r *room) {
		var took []time.Duration
		for range 8 {
			start := time.Now()
			if got := r.hear(time.Minute, check(1, pw("x"))); got != "false" {
				t.Fatalf("heard %q", got)
			}
			took = append(took, time.Since(start).Round(100*time.Millisecond))
		}
		if got := fmt.Sprint(took); got != "[0s 1s 2s 4s 8s 16s 30s 30s]" {
			t.Errorf("took %s", got)
		}
		r.d.Run(forgiven + delayMost)
		r.expect("false", check(2, pw("x")))
		r.d.Run(delayFirst)
		r.expect("false", check(3, pw("x")))
	})
}

// TestNoGuess: without a password, or when none is set, nothing is guessed, and
// nothing slows down.
func TestNoGuess(t *testing.T) {
	opened(t, life(t), nil, func(_ *testing.T, r *room) {
		for range 50 {
			r.expect("false", check(1, nil))
			r.expect("false", reveal(1, nil))
			r.expect("has_password", rekey(1, nil, "x"))
		}
		r.expect("true", check(1, pw("right")))
	})
	opened(t, nil, nil, func(_ *testing.T, r *room) {
		for range 50 {
			r.expect("false", check(1, pw("x")))
		}
		r.expect("true", check(1, nil))
	})
}

// TestOneAtATime: a member's checks wait for each other, in their order; those
// of others do not, and too many are refused.
func TestOneAtATime(t *testing.T) {
	opened(t, life(t), nil, func(t *testing.T, r *room) {
		r.expect("true", check(1, pw("right")))
		r.expect("true", check(2, pw("right")))
		r.vault.takes, r.vault.most = time.Second, 0
		start := time.Now()
		var mine []uint64
		for range lineMost {
			mine = append(mine, r.ask(check(1, pw("right"))))
		}
		r.expect("false why", check(1, pw("right")))
		r.expect("false why", reveal(1, pw("right")))
		r.expect("busy", rekey(1, pw("right"), "x"))
		other := r.ask(check(2, pw("right")))
		r.ear.order = nil
		r.d.RunUntil(time.Minute, func() bool { return r.ear.heard[mine[len(mine)-1]] != "" })
		if took := time.Since(start).Round(time.Second); took != lineMost*time.Second || r.vault.most != 2 {
			t.Errorf("took %v, %d at once", took, r.vault.most)
		}
		before := uint64(0)
		for _, s := range r.ear.order {
			if s == other {
				continue
			}
			if s < before {
				t.Errorf("answered %v", r.ear.order)
			}
			before = s
		}
		if r.ear.order[0] != other && r.ear.order[1] != other {
			t.Errorf("the other one waited: %v", r.ear.order)
		}
	})
}

// TestDeparted: who goes leaves nothing, but what it did counts.
func TestDeparted(t *testing.T) {
	opened(t, life(t), nil, func(t *testing.T, r *room) {
		r.vault.takes = time.Second
		var serials []uint64
		for member := range uint64(3) {
			for range 3 {
				serials = append(serials, r.ask(check(member, pw("x"))))
			}
		}
		r.d.Settle()
		for member := range uint64(4) {
			r.sys.Root.Send(r.safe, &vaultpb.Departed{Member: member})
		}
		r.d.Run(time.Hour)
		answered := 0
		for _, s := range serials {
			if r.ear.heard[s] != "" {
				answered++
			}
		}
		if answered != 1 || r.vault.asked != 1 { // the one under way
			t.Errorf("%d answers, %d derivations", answered, r.vault.asked)
		}
		if len(r.s.members.byID) != 0 || r.s.members.order.Len() != 0 || len(r.s.strangers) != 0 || r.s.overall.count != 1 {
			t.Errorf("left are %d members, %d strangers, %d failures", len(r.s.members.byID), len(r.s.strangers), r.s.overall.count)
		}
	})
}

// TestMembersAreForgotten keeps memory bounded, and who was right longest.
func TestMembersAreForgotten(t *testing.T) {
	opened(t, life(t), nil, func(t *testing.T, r *room) {
		r.expect("true", check(1, pw("right")))
		for i := range uint64(membersMost + 100) {
			r.ask(check(100+i, nil))
		}
		r.d.Settle()
		if n := len(r.s.members.byID); n != membersMost || r.s.members.order.Len() != n {
			t.Errorf("%d and %d members", n, r.s.members.order.Len())
		}
		if m := r.s.members.byID[1]; m == nil || !m.proven {
			t.Error("who was right is forgotten")
		}
		for i := range uint64(membersMost) { // the first is answered at once, and all others wait
			r.ask(check(100_000+i, pw("x")))
		}
		r.d.Settle()
		if got := r.hear(soon, check(6, pw("x"))); got != "" { // takes the place of the first
			t.Errorf("heard %q", got)
		}
		r.expect("false why", check(7, pw("x")))
		r.d.Run(forgiven)
	})
}
