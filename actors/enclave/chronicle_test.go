package enclave

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"parley/messages/enclavepb"
	"parley/messages/storepb"
	"parley/testkit"
)

const (
	ada = "10.0.0.1"
	bob = "fe80::1%eth0"
)

// TestSaid keeps conversations apart, in order, over restarts of the node, and
// tells people and peers in time.
func TestSaid(t *testing.T) {
	inBureau(t, 5, func(b *bureau) { b.shelf.takes = time.Millisecond }, func(b *bureau) {
		b.say(ada, false, "one", "two")
		b.say(bob, false, "hey")
		b.say(ada, true, "run-1", "run-2")
		b.d.Settle()
		if len(b.told) != 0 || len(of[*noted](b)) != 0 {
			b.t.Errorf("%d events, %d notes before anything is stored", len(b.told), len(of[*noted](b)))
		}
		b.d.Run(5 * time.Millisecond)
		if got := of[*noted](b); len(got) != 2 || len(b.told) != 3 {
			b.t.Errorf("%d notes, %d events", len(got), len(b.told))
		}
		for _, e := range b.told {
			r := e.GetReceived()
			if r.GetName() != "name of "+r.GetFrom() || r.GetSerial() == 0 || r.GetTimestamp() != 7 {
				b.t.Errorf("told %v", e)
			}
		}
		b.wants(ada, "one", "two", "run-1 queued", "run-2 queued")
		b.kill()
		b.say(ada, false, "three") // before it is known how far the conversation is
		b.sys.Root.Send(b.met.chronicle, &progressed{ada, "run-1", enclavepb.Delivery_DELIVERY_SENT})
		b.sys.Root.Send(b.met.chronicle, &progressed{ada, "run-1", enclavepb.Delivery_DELIVERY_DELIVERED})
		b.sys.Root.Send(b.met.chronicle, &progressed{ada, "no id of ours", enclavepb.Delivery_DELIVERY_DELIVERED})
		b.wants(ada, "one", "two", "run-1 delivered", "run-2 queued", "three")
		b.wants(bob, "hey")
		b.wants("10.9.9.9")
	})
}

// TestSaidWithItsMark stores both in one Write; of several marks the last.
func TestSaidWithItsMark(t *testing.T) {
	inBureau(t, 3, func(b *bureau) { b.shelf.takes = time.Second }, func(b *bureau) {
		for i := range 10 {
			b.sys.Root.RequestWithCustomSender(b.met.chronicle, &said{
				address: ada, note: uint64(i + 1), entry: &enclavepb.Entry{Message: fmt.Sprint(i)},
				mark: &storepb.Record{Key: "heard/" + ada, Value: []byte{byte(i)}},
			}, b.friend)
		}
		b.d.Run(10 * time.Second)
		next := 0
		for _, w := range b.shelf.writes {
			mark := -1
			for _, r := range w.GetPuts() {
				switch {
				case r.GetKey() == "heard/"+ada:
					mark = int(r.GetValue()[0])
				case strings.HasPrefix(r.GetKey(), saidPrefix):
					next++
				}
			}
			if mark != next-1 {
				b.t.Errorf("%d entries are stored, and the mark says %d", next, mark)
			}
		}
		for i, n := range of[*noted](b) {
			if n.note != uint64(i+1) {
				b.t.Errorf("note %d is %d", i, n.note)
			}
		}
		if got := of[*noted](b); len(got) != 10 || len(b.shelf.writes) > 3 {
			b.t.Errorf("%d notes after %d writes", len(got), len(b.shelf.writes))
		}
	})
}

// TestRetention lets entries go by themselves.
func TestRetention(t *testing.T) {
	for _, test := range []struct {
		retention time.Duration
		after     []int // entries after an hour, a day, a year
	}{{time.Hour, []int{1, 1, 1}}, {48 * time.Hour, []int{2, 3, 1}}, {0, []int{2, 3, 4}}, {-1, []int{0, 0, 0}}} {
		inBureau(t, 1, func(b *bureau) { b.o.Retention = test.retention }, func(b *bureau) {
			b.say(ada, false, "0")
			for i, pause := range []time.Duration{time.Hour, 23 * time.Hour, 365 * 24 * time.Hour} {
				b.d.Run(pause - 10*time.Second)
				time.Sleep(10 * time.Second)
				b.say(ada, true, fmt.Sprint("run-", i))
				got := b.history(&enclavepb.History{With: ada})
				if len(got.GetEntries()) != test.after[i] {
					b.t.Errorf("kept for %v: %q after %v", test.retention, lines(got.GetEntries()), pause)
				}
			}
			if n := len(of[*noted](b)); n != 1 {
				b.t.Errorf("%d notes", n)
			}
			if test.retention < 0 && (b.told[0].GetReceived().GetSerial() != 0 || len(b.shelf.brief) > 0) {
				b.t.Errorf("%v is kept", b.shelf.brief)
			}
		})
	}
}

// TestNoHistoryWithoutAStore keeps nothing without a store.
func TestNoHistoryWithoutAStore(t *testing.T) {
	inBureau(t, 1, func(b *bureau) { b.o.Store = nil }, func(b *bureau) {
		b.say(ada, false, "one")
		b.sys.Root.Send(b.met.chronicle, &resaid{ada, []*enclavepb.Kept{{Id: "run-1"}}})
		b.d.Settle()
		if len(b.told) != 1 || b.told[0].GetReceived().GetSerial() != 0 || len(of[*noted](b)) != 1 {
			b.t.Errorf("told %v, %d notes", b.told, len(b.heard))
		}
		if r := b.history(&enclavepb.History{With: ada}); r.GetOk() {
			b.t.Errorf("history %v", r)
		}
	})
}

// TestSickStore has entries written again, and at last given up; peers are
// answered in any case, so that nobody waits for ever.
func TestSickStore(t *testing.T) {
	for _, test := range []struct {
		name  string
		make  func(s *shelf)
		kept  bool
		fails int
	}{
		{"refuses once", func(s *shelf) { s.refuse = []string{"full"} }, true, 0},
		{"refuses always", func(s *shelf) { s.refuse = slices.Repeat([]string{"full"}, writeTries) }, false, 0},
		{"mute once", func(s *shelf) { s.mute = 1 }, true, 0},
		{"mute always", func(s *shelf) { s.mute = writeTries }, false, 0},
		{"fails once", func(s *shelf) { s.fail = 1 }, true, 1},
		{"fails always", func(s *shelf) { s.fail = writeTries }, false, writeTries},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBureau(t, 1, nil, func(b *bureau) {
				b.say(ada, false, "before")
				b.d.Run(time.Second)
				test.make(b.shelf)
				b.say(ada, false, "this")
				b.d.Run(time.Minute)
				b.say(ada, false, "after")
				b.d.Run(time.Minute)
				if n := len(of[*noted](b)); n != 3 {
					b.t.Errorf("%d notes", n)
				}
				if test.kept {
					b.wants(ada, "before", "this", "after")
				} else {
					b.wants(ada, "before", "after")
				}
			}, testkit.ExpectFailures(test.fails))
		})
	}
}

// TestUnreadStore goes on without history until it can be read.
func TestUnreadStore(t *testing.T) {
	for _, sick := range []func(s *shelf){
		func(s *shelf) { s.blind = []string{"broken", "broken", "broken", "broken"} },
		func(s *shelf) { s.mute = 1 },
	} {
		inBureau(t, 1, func(b *bureau) { sick(b.shelf) }, func(b *bureau) {
			b.say(ada, false, "one")
			b.d.Run(storeTimeout)
			if len(b.told) != 1 || len(of[*noted](b)) != 1 {
				b.t.Errorf("told %v, heard %v", b.told, b.heard)
			}
			if r := b.history(&enclavepb.History{With: ada}); r.GetOk() || r.GetLocked() {
				b.t.Errorf("history %v", r)
			}
			b.d.Run(time.Minute)
			b.say(ada, false, "two")
			b.wants(ada, "two")
		})
	}
}

// TestDamagedLast never writes over what there is.
func TestDamagedLast(t *testing.T) {
	inBureau(t, 1, nil, func(b *bureau) {
		b.say(ada, false, count("a", 1, 300)...)
		b.say(bob, false, "b1")
		b.d.Run(time.Second)
		b.shelf.corrupt[lastPrefix+ada] = true
		b.shelf.stay[lastPrefix+bob] = "\xff"
		b.kill()
		b.say(ada, false, "new")
		b.say(bob, false, "b2")
		b.d.Run(time.Second)
		reads := b.shelf.reads
		b.wants(ada, append(count("a", 1, 300), "new")...)
		if n := b.shelf.reads - reads; n > 100 {
			b.t.Errorf("%d questions", n)
		}
		b.wants(bob, "b1", "b2")
	})
}

// TestFailedChronicle goes on with what it knew.
func TestFailedChronicle(t *testing.T) {
	inBureau(t, 5, func(b *bureau) { b.shelf.takes = 5 * time.Millisecond }, func(b *bureau) {
		rng := rand.New(rand.NewPCG(b.d.Seed(), 1))
		var want []string
		for i := range 50 {
			text := fmt.Sprint(i)
			want = append(want, text)
			b.say(ada, false, text)
			b.d.Run(time.Duration(rng.IntN(20)) * time.Millisecond)
			if i%10 == 9 {
				b.d.Run(time.Minute) // more often than 10 times in 10 s, and all of it would end
				b.fail(b.met.chronicle)
			}
		}
		b.d.Run(time.Second)
		b.wants(ada, want...)
		if n := len(of[*noted](b)); n != 50 {
			b.t.Errorf("%d notes", n)
		}
	})
}

// TestFlood keeps what is said here within limits, and loses nothing of peers.
func TestFlood(t *testing.T) {
	inBureau(t, 1, func(b *bureau) { b.shelf.takes = time.Second }, func(b *bureau) {
		b.d.Settle()
		text := strings.Repeat("x", 60<<10)
		for i := range 200 {
			e := &enclavepb.Entry{Own: true, Message: text, Id: makeID("run", uint64(i))}
			b.sys.Root.Send(b.met.chronicle, &said{address: ada, entry: e})
		}
		b.say(ada, false, "peer")
		b.d.Settle()
		if n := b.chronicle.writing.bytes; n > ownWaitMost+100<<10 {
			b.t.Errorf("%d bytes wait", n)
		}
		b.d.Run(10 * time.Minute)
		r := b.history(&enclavepb.History{With: ada, Most: 1})
		if got := lines(r.GetEntries()); !slices.Equal(got, []string{"peer"}) || !r.GetMore() {
			b.t.Errorf("%.100q", got)
		}
		if n := b.chronicle.lasts[ada]; n < ownWaitMost/(70<<10) || n > 200 {
			b.t.Errorf("%d entries are kept", n)
		}
		if n := b.chronicle.writing.bytes; n != 0 || len(b.chronicle.writing.unsent) != 0 {
			b.t.Errorf("%d bytes wait at the end", n)
		}
	})
}

// TestEarlyFlood waits for the store with few messages only.
func TestEarlyFlood(t *testing.T) {
	inBureau(t, 1, func(b *bureau) { b.shelf.mute = 1 }, func(b *bureau) {
		b.say(ada, false, count("", 1, earlyMost+1)...)
		b.d.Settle()
		if len(b.told) != earlyMost+1 || len(b.chronicle.early) != 0 {
			b.t.Errorf("%d told, %d wait", len(b.told), len(b.chronicle.early))
		}
		b.d.Run(time.Minute)
		b.say(ada, false, "kept")
		b.wants(ada, "kept")
	})
}

// TestLongMessages come back whole, up to a limit.
func TestLongMessages(t *testing.T) {
	inBureau(t, 1, (*bureau).withSafe, func(b *bureau) {
		long := strings.Repeat("ä", 32<<10)
		longer := "x" + strings.Repeat("ä", 60<<10)
		b.say(ada, false, long, longer, "short")
		for _, pass := range []*string{nil, proto.String("secret")} {
			var got []string
			h := &enclavepb.History{With: ada, Most: 2, Password: pass}
			for range 2 {
				r := b.history(h)
				got = slices.Concat(lines(r.GetEntries()), got)
				if len(r.GetEntries()) > 0 {
					h.Before = r.GetEntries()[0].GetSerial()
				}
			}
			want := []string{long, "x" + strings.Repeat("ä", 60<<10-1) + "…", "short"}
			if !slices.Equal(got, want) {
				b.t.Errorf("%d entries, of %v", len(got), slices.Collect(maps.Values(map[int]int{len(got[0]): len(got[1])})))
			}
			if pass == nil {
				b.rekey(nil, "secret")
				b.d.Run(time.Minute)
				if left := b.shelf.clear(ada); len(left) > 0 {
					b.t.Errorf("%q are in the clear", left)
				}
			}
		}
	})
}

// TestResaid adds what a kill has kept from being stored, and nothing else.
func TestResaid(t *testing.T) {
	inBureau(t, 3, nil, func(b *bureau) {
		b.say(ada, true, "run-1", "run-2")
		b.d.Run(time.Second)
		for i, id := range []string{"run-1", "run-2", "run-3", "other-1"} {
			b.toOutbox(&keep{ada, uint64(i + 1), &enclavepb.Kept{Message: id, Id: id}})
		}
		b.d.Run(time.Second)
		for range 2 {
			b.kill()
			b.toOutbox(&recall{ada})
			b.d.Run(time.Second)
			if r := of[*recalled](b); len(r) != 1 || len(r[0].messages) != 4 || r[0].error != "" {
				b.t.Fatalf("recalled %v", r)
			}
			b.wants(ada, "run-1 queued", "run-2 queued", "run-3 queued", "other-1 queued")
		}
	})
}
