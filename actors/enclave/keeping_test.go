package enclave

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/messages/enclavepb"
	"parley/messages/storepb"
	"parley/testkit"
)

// numbered is a message of a node of our own.
func numbered(run string, n int, text string) *enclavepb.Packet {
	p := words(text)
	p.Id = makeID(run, uint64(n))
	return p
}

// acksOf is what was acknowledged on a link since the last call.
func acksOf(e *end) (out []string) {
	for _, m := range e.heard {
		if p, ok := m.(*enclavepb.Packet); ok && p.GetAck() != "" {
			out = append(out, p.GetAck())
		}
	}
	e.heard = nil
	return out
}

// TestNotStored: what could not be stored is not acknowledged, ends the link, and
// counts as not heard; what comes behind it on that link is passed over. All of it
// comes again, and counts once.
func TestNotStored(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		store := &paperStore{}
		w, n := quiet(t, d, func(n *node) { n.store, store.chron = store, &n.talk })
		e := n.call("10.0.0.2:5").say(kinShake("peer"), numbered("peer", 1, "a"))
		if got := acksOf(e); !slices.Equal(got, []string{"peer-1"}) {
			t.Errorf("acknowledged %q", got)
		}
		n.talk.full = true
		e.say(numbered("peer", 2, "b"), numbered("peer", 3, "c"), words("no number"))
		e.say(numbered("peer", 4, "d"))
		d.Settle()
		if got := acksOf(e); len(got) != 0 || !e.gone {
			t.Errorf("acknowledged %q, closed %v", got, e.gone)
		}
		n.talk.full = false
		d.Run(time.Second)
		for range 2 {
			e = n.call("10.0.0.2:6").say(kinShake("peer"), numbered("peer", 2, "b"), numbered("peer", 3, "c"), numbered("peer", 4, "d"))
			if got := acksOf(e); len(got) == 0 || got[len(got)-1] != "peer-4" {
				t.Errorf("acknowledged %q", got)
			}
			e.cut()
			d.Run(time.Second)
		}
		var got []string
		for _, s := range n.talk.said {
			if text := strings.TrimPrefix(s, "10.0.0.2 "); text != "no number" {
				got = append(got, text)
			}
		}
		if !slices.Equal(got, []string{"a", "b", "c", "d"}) || len(n.talk.again) > 0 {
			t.Errorf("said %q, again %q", got, n.talk.again)
		}
		w.stop()
	})
}

// TestSaidAgain: what an earlier run has stored, and not acknowledged, is said to be
// so when it comes again: once, in its order among what is new.
func TestSaidAgain(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		store := &paperStore{}
		w, n := quiet(t, d, func(n *node) { n.store, store.chron = store, &n.talk })
		n.call("10.0.0.2:5").say(kinShake("peer"), numbered("peer", 1, "a"), numbered("peer", 2, "b"), numbered("peer", 3, "c")).bye()
		n.kill()
		n.start()
		d.Settle()
		for range 2 {
			e := n.call("10.0.0.2:6").say(kinShake("peer"), numbered("peer", 2, "b"), numbered("peer", 3, "c"), numbered("peer", 4, "d"))
			if got := acksOf(e); len(got) == 0 || got[len(got)-1] != "peer-4" {
				t.Errorf("acknowledged %q", got)
			}
			e.cut()
			d.Run(time.Second)
		}
		if !slices.Equal(n.talk.again, []string{"b", "c"}) || len(n.talk.said) != 4 {
			t.Errorf("again %q, said %q", n.talk.again, n.talk.said)
		}
		w.stop()
	})
}

// vital says so many messages that come again if they are not stored.
func (b *bureau) vital(epoch uint32, from, to int) {
	m := &saidAll{}
	for i := from; i <= to; i++ {
		s := &said{address: ada, epoch: epoch, entry: &enclavepb.Entry{Message: fmt.Sprint(i), Id: makeID("peer", uint64(i))}, joined: i < to}
		if i == to {
			s.note, s.mark = uint64(i), &storepb.Record{Key: "heard/" + ada, Value: fmt.Append(nil, i)}
		}
		m.all = append(m.all, s)
	}
	b.sys.Root.RequestWithCustomSender(b.met.chronicle, m, b.friend)
}

// TestFullStore: of what comes again nothing is told that is not stored, nor what
// stands behind it; the friend hears of it once. What does not come again is told.
func TestFullStore(t *testing.T) {
	for _, retention := range []time.Duration{time.Hour, -1} {
		inBureau(t, 5, func(b *bureau) { b.o.Retention = retention }, func(b *bureau) {
			b.shelf.takes = time.Millisecond
			b.vital(0, 1, 3)
			b.d.Run(time.Second)
			b.shelf.refuse = slices.Repeat([]string{"full"}, writeTries)
			b.vital(0, 4, 6)
			b.d.Run(100 * time.Microsecond)
			b.vital(0, 7, 9) // in the queue
			b.say(bob, false, "bob's")
			b.say(ada, false, "no number")
			b.d.Run(10 * time.Second)
			b.vital(0, 10, 12) // late
			b.d.Run(time.Second)
			lost, notes := 0, 0
			for _, m := range of[*noted](b) {
				switch {
				case m.lost:
					lost++
				case m.mark != nil:
					notes++
				}
			}
			if lost != 1 || notes != 1 {
				b.t.Errorf("%d times lost, %d marks stored", lost, notes)
			}
			b.vital(1, 4, 12)
			b.d.Run(time.Second)
			var got []string
			for _, e := range b.told {
				if text := e.GetReceived().GetMessage(); text != "bob's" && text != "no number" {
					got = append(got, text)
				}
			}
			if !slices.Equal(got, count("", 1, 12)) || len(b.told) != 14 {
				b.t.Errorf("told %q of %d", got, len(b.told))
			}
			if mark := b.shelf.stay["heard/"+ada]; mark != "12" || len(b.chronicle.refusing) > 0 {
				b.t.Errorf("mark %q, refusing %v", mark, b.chronicle.refusing)
			}
			if b.chronicle.writing.bytes != 0 || b.chronicle.writing.over != b.chronicle.writing.came {
				b.t.Errorf("%d bytes, %d of %d rows are over", b.chronicle.writing.bytes, b.chronicle.writing.over, b.chronicle.writing.came)
			}
		})
	}
}

// TestToldAgain: what was stored before is not stored again, and told behind what
// was said before it.
func TestToldAgain(t *testing.T) {
	inBureau(t, 3, func(b *bureau) { b.shelf.takes = time.Millisecond }, func(b *bureau) {
		b.vital(0, 1, 3)
		e := &enclavepb.Entry{Message: "again", Id: "peer-3"}
		mark := &storepb.Record{Key: "heard/" + ada, Value: []byte("3")}
		b.sys.Root.RequestWithCustomSender(b.met.chronicle, &said{address: ada, entry: e, again: true, mark: mark, note: 4}, b.friend)
		b.d.Run(time.Second)
		last := b.told[len(b.told)-1].GetReceived()
		if len(b.told) != 4 || !last.GetAgain() || last.GetRun() != "peer" || last.GetNumber() != 3 || last.GetSerial() != 0 {
			b.t.Errorf("told %v", b.told)
		}
		b.wants(ada, "1", "2", "3")
	})
}

// TestNotCompacted says so, and tries again: copies in the clear may be left.
func TestNotCompacted(t *testing.T) {
	inBureau(t, 1, (*bureau).withSafe, func(b *bureau) {
		b.say(ada, false, "plain")
		b.d.Run(time.Second)
		b.shelf.torn = []string{"broken"}
		b.rekey(nil, "secret")
		b.d.Run(30 * time.Second)
		if _, swept := b.shelf.stay[sweptKey]; swept || b.shelf.compacts != 1 {
			b.t.Errorf("swept %v after %d", swept, b.shelf.compacts)
		}
		b.d.Run(2 * time.Minute)
		if _, swept := b.shelf.stay[sweptKey]; !swept || b.shelf.compacts != 2 {
			b.t.Errorf("swept %v after %d", swept, b.shelf.compacts)
		}
		b.kill()
		b.d.Run(time.Hour)
		if b.shelf.compacts != 2 {
			b.t.Errorf("%d times", b.shelf.compacts)
		}
	})
}
