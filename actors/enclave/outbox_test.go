package enclave

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/messages/enclavepb"
	"parley/testkit"
)

// post has the outbox keep messages.
func (b *bureau) post(address string, from, to int) {
	for i := from; i <= to; i++ {
		b.toOutbox(&keep{address, uint64(i), &enclavepb.Kept{Message: fmt.Sprint("m", i), Timestamp: 5, Id: makeID("run", uint64(i)), Command: "c"}})
	}
}

// waits fails the test unless these are the messages that wait for a friend.
func (b *bureau) waits(address string, want ...string) {
	b.t.Helper()
	b.heard = nil
	b.toOutbox(&recall{address})
	b.d.RunUntil(time.Minute, func() bool { return len(of[*recalled](b)) > 0 })
	all := of[*recalled](b)
	if len(all) != 1 || all[0].address != address || all[0].error != "" {
		b.t.Fatalf("recalled %v", all)
	}
	var got []string
	for i, k := range all[0].messages {
		if k.GetMessage() != fmt.Sprint("m", all[0].serials[i]) || k.GetCommand() != "c" || k.GetTimestamp() != 5 {
			b.t.Errorf("message %d is %v", all[0].serials[i], k)
		}
		got = append(got, k.GetMessage())
	}
	if !slices.Equal(got, want) {
		b.t.Errorf("for %s there waits %q, want %q", address, got, want)
	}
}

// keptNow is the serials that are answered, and those with an error.
func (b *bureau) keptNow() (good, bad []uint64) {
	for _, k := range of[*kept](b) {
		if k.error == "" {
			good = append(good, k.serial)
		} else {
			bad = append(bad, k.serial)
		}
	}
	return good, bad
}

// TestOutbox keeps each friend's messages in order, over kills.
func TestOutbox(t *testing.T) {
	inBureau(t, 10, func(b *bureau) { b.shelf.takes = time.Millisecond }, func(b *bureau) {
		b.post(ada, 1, 20)
		b.post(bob, 1, 3)
		b.d.Settle()
		if good, bad := b.keptNow(); len(good)+len(bad) != 0 {
			b.t.Errorf("%v and %v are answered before they are stored", good, bad)
		}
		b.d.Run(time.Second)
		if good, bad := b.keptNow(); len(good) != 23 || len(bad) != 0 {
			b.t.Errorf("%v and %v", good, bad)
		}
		b.kill()
		b.waits(ada, count("m", 1, 20)...)
		b.toOutbox(&release{ada, []uint64{1, 2, 3, 4, 99}})
		b.post(ada, 21, 21)
		b.post(ada, 20, 20) // asked for once more, as by a friend that has failed
		b.waits(ada, count("m", 5, 21)...)
		b.toOutbox(&discard{ada})
		b.waits(ada)
		b.post(ada, 7, 7)
		b.kill()
		b.d.Run(time.Second)
		b.waits(bob, "m1", "m2", "m3")
		b.toOutbox(&discard{"10.9.9.9"})
		b.waits("10.9.9.9")
	})
}

// TestOutboxOrder asks for everything at once: each friend's errands are done in
// the order they were asked.
func TestOutboxOrder(t *testing.T) {
	inBureau(t, 30, func(b *bureau) { b.shelf.takes = time.Millisecond }, func(b *bureau) {
		rng := rand.New(rand.NewPCG(b.d.Seed(), 9))
		want := map[string]map[int]bool{ada: {}, bob: {}}
		for range 200 {
			address := []string{ada, bob}[rng.IntN(2)]
			n := 1 + rng.IntN(30)
			switch rng.IntN(12) {
			case 0:
				b.toOutbox(&discard{address})
				want[address] = map[int]bool{}
			case 1, 2, 3:
				b.toOutbox(&release{address, []uint64{uint64(n)}})
				delete(want[address], n)
			case 4:
				b.toOutbox(&recall{address})
			case 5:
				b.d.Run(time.Millisecond)
			default:
				b.post(address, n, n)
				want[address][n] = true
			}
		}
		for _, address := range []string{ada, bob} {
			b.d.Run(time.Second)
			var texts []string
			for n := range 31 {
				if want[address][n] {
					texts = append(texts, fmt.Sprint("m", n))
				}
			}
			b.waits(address, texts...)
		}
	})
}

// TestOutboxWithASickStore answers for everything, and keeps nothing that it said
// it has not.
func TestOutboxWithASickStore(t *testing.T) {
	for _, test := range []struct {
		name  string
		make  func(s *shelf)
		fails int
		good  int
	}{
		{"refuses", func(s *shelf) { s.refuse = []string{"full", "full"} }, 0, 3},
		{"mute", func(s *shelf) { s.mute = 5 }, 0, 0},
		{"slow", func(s *shelf) { s.takes = storeTimeout + time.Second }, 0, 0},
		{"fails", func(s *shelf) { s.fail = 1 }, 1, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBureau(t, 3, nil, func(b *bureau) {
				b.d.Run(time.Second)
				test.make(b.shelf)
				b.post(ada, 1, 5)
				b.d.Run(3 * storeTimeout)
				good, bad := b.keptNow()
				if len(good) != test.good || len(bad) != 5-test.good {
					b.t.Errorf("%v are kept, %v are not", good, bad)
				}
				b.shelf.takes = 0
				var want []string
				for _, serial := range good {
					want = append(want, fmt.Sprint("m", serial))
				}
				b.waits(ada, want...)
				b.post(ada, 8, 8)
				b.waits(ada, append(want, "m8")...)
			}, testkit.ExpectFailures(test.fails))
		})
	}
}

// TestOutboxCannotRead says so, and leaves everything where it is.
func TestOutboxCannotRead(t *testing.T) {
	for _, sick := range []func(s *shelf){
		func(s *shelf) { s.blind = []string{"broken", "broken"} },
		func(s *shelf) { s.mute = 2 },
	} {
		inBureau(t, 1, nil, func(b *bureau) {
			b.post(ada, 1, 2)
			b.d.Run(time.Second)
			b.heard = nil
			sick(b.shelf)
			b.toOutbox(&recall{ada})
			b.toOutbox(&discard{ada})
			b.d.Run(3 * storeTimeout)
			if all := of[*recalled](b); len(all) != 1 || all[0].error == "" {
				b.t.Errorf("recalled %v", all)
			}
			b.waits(ada, "m1", "m2")
		})
	}
}

// TestDamagedOutbox leaves out what makes no sense.
func TestDamagedOutbox(t *testing.T) {
	inBureau(t, 1, nil, func(b *bureau) {
		b.post(ada, 1, 4)
		b.d.Run(time.Second)
		b.shelf.corrupt[outboxKey(ada, 2)] = true
		b.shelf.stay[outboxKey(ada, 3)] = "\xff"
		b.shelf.stay[outboxPrefix+ada+"/what"] = ""
		b.waits(ada, "m1", "m4")
		b.toOutbox(&discard{ada})
		b.d.Run(time.Second)
		for key := range b.shelf.stay {
			if strings.HasPrefix(key, outboxPrefix) {
				b.t.Errorf("%q is left", key)
			}
		}
	})
}

// TestOutboxWithoutAStore keeps nothing, and says so.
func TestOutboxWithoutAStore(t *testing.T) {
	inBureau(t, 1, func(b *bureau) { b.o.Store = nil }, func(b *bureau) {
		b.post(ada, 1, 1)
		b.toOutbox(&release{ada, []uint64{1}})
		b.toOutbox(&discard{ada})
		b.waits(ada)
	})
}

// TestOutboxLimits has no more on its way to the store than that takes, and
// refuses what is beyond all measure.
func TestOutboxLimits(t *testing.T) {
	inBureau(t, 1, func(b *bureau) { b.shelf.takes = time.Hour }, func(b *bureau) {
		text := strings.Repeat("x", 60<<10)
		const n = 1500
		for i := range n {
			b.toOutbox(&keep{fmt.Sprintf("10.0.%d.1", i%50), uint64(i), &enclavepb.Kept{Message: text}})
		}
		for i := range 200 {
			b.toOutbox(&recall{fmt.Sprintf("10.1.0.%d", i)})
		}
		b.d.Settle()
		_, bad := b.keptNow()
		if most := waitingMost + chargesMost; (n-len(bad))*len(text) > most || len(bad) == n {
			b.t.Errorf("%d are refused", len(bad))
		}
		for _, k := range of[*kept](b) {
			if k.error != reasonLagging {
				b.t.Fatal(k.error)
			}
		}
	})
}

// TestOutboxFails goes on where it was.
func TestOutboxFails(t *testing.T) {
	inBureau(t, 5, func(b *bureau) { b.shelf.takes = time.Millisecond }, func(b *bureau) {
		for i := range 20 {
			b.post(ada, i+1, i+1)
			if i%7 == 6 {
				b.d.Run(time.Minute)
				b.fail(b.met.outbox)
			}
		}
		b.d.Run(time.Second)
		if good, bad := b.keptNow(); len(good) != 20 || len(bad) != 0 {
			b.t.Errorf("%v and %v", good, bad)
		}
		b.waits(ada, count("m", 1, 20)...)
	})
}
