package enclave

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/enclavepb"
	"parley/messages/storepb"
	"parley/testkit"
)

// TestWeights: what may be lost where there is too much of it has a weight, what
// must not be lost has none.
func TestWeights(t *testing.T) {
	event := &enclavepb.Event{Body: &enclavepb.Event_Received{Received: &enclavepb.Received{Message: strings.Repeat("x", 1000)}}}
	for _, m := range []any{&told{event}, &toldAll{events: &enclavepb.Events{Events: []*enclavepb.Event{event}}}, &ours{said{entry: &enclavepb.Entry{Message: strings.Repeat("x", 1000)}}}} {
		if l, ok := m.(messages.Load); !ok || l.Bytes() < 1000 || l.Bytes() > 3000 {
			t.Errorf("%T weighs nothing, or too much", m)
		}
	}
	for _, m := range []any{&said{}, &saidAll{}, &noted{}, &keep{}, &introduced{}} {
		if _, ok := m.(messages.Load); ok {
			t.Errorf("%T could be lost", m)
		}
	}
}

// TestRefused: what there is no room for is answered or counted.
func TestRefused(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		w, n := quiet(t, d, nil)
		m := tree.Of(w.sys)
		refuse := refuseLoads(w.sys)
		before := m.Dropped(tree.MailboxFull)
		refuse(&toldAll{events: &enclavepb.Events{Events: make([]*enclavepb.Event, 3)}})
		refuse(&told{&enclavepb.Event{}})
		refuse(&ours{said{}})
		refuse(&progressed{})
		if got := m.Dropped(tree.MailboxFull) - before; got != 6 || historyLost(m).Load() != 1 {
			t.Errorf("%d were counted, %d of history", got, historyLost(m).Load())
		}
		_ = n
		w.stop()
	})
}

// TestBurstIsOneWrite: a Write takes all that has come during the last one, each
// message with the mark of what it stores, and notes for all of them.
func TestBurstIsOneWrite(t *testing.T) {
	inBureau(t, 3, func(b *bureau) { b.shelf.takes = time.Millisecond }, func(b *bureau) {
		const all, every = 1000, 100 * time.Microsecond
		for i := range all {
			b.sys.Root.RequestWithCustomSender(b.met.chronicle, &said{
				address: ada, note: uint64(i + 1), entry: &enclavepb.Entry{Message: fmt.Sprint(i)},
				mark: &storepb.Record{Key: "heard/" + ada, Value: fmt.Append(nil, i)},
			}, b.friend)
			b.d.Run(every)
		}
		b.d.Run(time.Second)
		if n := len(b.shelf.writes); n > all*int(every)/int(time.Millisecond)+2 {
			b.t.Errorf("%d writes of %d messages", n, all)
		}
		if got := of[*noted](b); len(got) != all {
			b.t.Errorf("%d notes", len(got))
		}
	})
}

// TestJoined: what shares a mark is never stored without it.
func TestJoined(t *testing.T) {
	inBureau(t, 3, func(b *bureau) { b.shelf.takes = time.Millisecond }, func(b *bureau) {
		next := 0
		for range 20 {
			m := &saidAll{}
			for i := range joinedMost {
				s := &said{address: ada, joined: i < joinedMost-1, entry: &enclavepb.Entry{Message: strings.Repeat("x", 3000)}}
				if next++; !s.joined {
					s.mark, s.note = &storepb.Record{Key: "heard/" + ada, Value: fmt.Append(nil, next)}, uint64(next)
				}
				m.all = append(m.all, s)
			}
			b.sys.Root.RequestWithCustomSender(b.met.chronicle, m, b.friend)
		}
		b.d.Run(time.Second)
		stored := 0
		for _, w := range b.shelf.writes {
			mark := ""
			for _, r := range w.GetPuts() {
				switch {
				case r.GetKey() == "heard/"+ada:
					mark = string(r.GetValue())
				case strings.HasPrefix(r.GetKey(), saidPrefix):
					stored++
				}
			}
			if mark != fmt.Sprint(stored) {
				b.t.Errorf("%d are stored, and the mark says %s", stored, mark)
			}
		}
		if stored != next || len(b.told) != next {
			b.t.Errorf("%d of %d are stored, %d told", stored, next, len(b.told))
		}
	})
}
