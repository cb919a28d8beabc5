package enclave

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/messages/enclavepb"
)

// ear is a listener of a lobby.
type ear struct {
	pid     *actor.PID
	heard   []string
	numbers []uint64 // of Events
}

// listen adds a listener that says so at once.
func (l *lobby) listen(m *enclavepb.Listen) *ear {
	e := &ear{}
	note := func(one *enclavepb.Event) { e.heard = append(e.heard, eventText(one)) }
	e.pid = l.paper(func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case *enclavepb.Event:
			note(m)
		case *enclavepb.Events:
			e.numbers = append(e.numbers, m.GetNumber())
			for _, one := range m.GetEvents() {
				note(one)
			}
		}
	})
	l.sys.Root.RequestWithCustomSender(l.pid, m, e.pid)
	l.d.Settle()
	return e
}

// tells has a friend say texts that it waits for to be shown.
func (l *lobby) tells(friend *actor.PID, note uint64, texts ...string) {
	m := &toldAll{events: &enclavepb.Events{}, notes: []noting{{friend, &noted{note: note}}}}
	for _, text := range texts {
		m.events.Events = append(m.events.Events, heardFrom(text))
	}
	l.sys.Root.Send(l.pid, m)
	l.d.Settle()
}

// friendOf notes what was noted.
func (l *lobby) friendOf(notes *[]uint64) *actor.PID {
	return l.paper(func(ctx actor.Context) {
		if m, ok := ctx.Message().(*noted); ok {
			*notes = append(*notes, m.note)
		}
	})
}

func heardTexts(texts ...string) (out []string) {
	for _, text := range texts {
		out = append(out, eventText(heardFrom(text)))
	}
	return out
}

// TestConfirmed: friends hear that people were told when all have confirmed who
// said they would, in order, or are gone.
func TestConfirmed(t *testing.T) {
	inLobby(t, 3, func(l *lobby) {
		var notes []uint64
		friend := l.friendOf(&notes)
		l.tells(friend, 1, "to nobody")
		slow, never := l.listen(&enclavepb.Listen{Bursts: true, Confirms: true}), l.listen(&enclavepb.Listen{Bursts: true, Confirms: true})
		plain := l.listen(&enclavepb.Listen{})
		l.tells(friend, 2, "a", "b")
		l.tells(friend, 3, "c")
		shown := func(e *ear, n uint64) {
			l.sys.Root.RequestWithCustomSender(l.pid, &enclavepb.Shown{Number: n}, e.pid)
			l.d.Settle()
		}
		shown(plain, 99) // it was not asked
		shown(slow, slow.numbers[1])
		if !slices.Equal(notes, []uint64{1}) {
			l.t.Errorf("noted %v", notes)
		}
		shown(never, never.numbers[0])
		if !slices.Equal(notes, []uint64{1, 2}) {
			l.t.Errorf("noted %v", notes)
		}
		l.sys.Root.Stop(never.pid)
		l.d.Settle()
		l.sys.Root.Send(l.pid, &told{heardFrom("d")}) // nobody waits for that
		l.d.Settle()
		if !slices.Equal(notes, []uint64{1, 2, 3}) || len(l.real.telling.under) != 0 {
			l.t.Errorf("noted %v", notes)
		}
		if want := heardTexts("a", "b", "c", "d"); !slices.Equal(slow.heard, want) || !slices.Equal(plain.heard, want) {
			l.t.Errorf("heard %q and %q", slow.heard, plain.heard)
		}
	})
}

// TestAgainForSome: what may have been told before is for who wants that.
func TestAgainForSome(t *testing.T) {
	inLobby(t, 1, func(l *lobby) {
		some, all := l.listen(&enclavepb.Listen{Bursts: true}), l.listen(&enclavepb.Listen{Bursts: true, Again: true})
		again := heardFrom("b")
		again.GetReceived().Again = true
		l.sys.Root.Send(l.pid, &toldAll{events: &enclavepb.Events{Events: []*enclavepb.Event{heardFrom("a"), again, heardFrom("c"), again}}})
		l.sys.Root.Send(l.pid, &toldAll{events: &enclavepb.Events{Events: []*enclavepb.Event{again}}})
		l.d.Settle()
		if !slices.Equal(some.heard, heardTexts("a", "c")) || !slices.Equal(all.heard, heardTexts("a", "b", "c", "b", "b")) {
			l.t.Errorf("heard %q and %q", some.heard, all.heard)
		}
	})
}

// TestHeld: what happens before all have come that are to come waits for them, with
// what follows from it; not for ever, and not too much.
func TestHeld(t *testing.T) {
	for _, test := range []struct {
		name string
		wait func(l *lobby)
		want int // that the first has heard then
	}{
		{"both come", func(l *lobby) { l.listen(&enclavepb.Listen{}) }, 3},
		{"one does not", func(l *lobby) { l.d.Run(holdTime) }, 3},
		{"too much", func(l *lobby) {
			l.sys.Root.Send(l.pid, &toldAll{events: &enclavepb.Events{Events: slices.Repeat([]*enclavepb.Event{heardFrom("x")}, heldMost)}})
			l.d.Settle()
		}, 3 + heldMost},
	} {
		inLobbyOf(t, 2, 2, func(l *lobby) {
			var notes []uint64
			friend := l.friendOf(&notes)
			l.tells(friend, 1, "a")
			first := l.listen(&enclavepb.Listen{})
			l.tells(friend, 2, "b")
			l.sys.Root.Send(l.pid, &told{heardFrom("c")})
			l.d.Settle()
			if len(first.heard)+len(notes) > 0 {
				l.t.Errorf("%s: heard %q, noted %v too early", test.name, first.heard, notes)
			}
			test.wait(l)
			if len(first.heard) != test.want || !slices.Equal(first.heard[:3], heardTexts("a", "b", "c")) || !slices.Equal(notes, []uint64{1, 2}) {
				l.t.Errorf("%s: heard %d, noted %v", test.name, len(first.heard), notes)
			}
			l.tells(friend, 3, "d")
			if !slices.Equal(notes, []uint64{1, 2, 3}) {
				l.t.Errorf("%s: noted %v in the end", test.name, notes)
			}
		})
	}
}

// calls has an unknown address come or go.
func (l *lobby) calls(address string, held int, waits bool) {
	e := &enclavepb.Event{Body: &enclavepb.Event_Gone{Gone: &enclavepb.Gone{Address: address}}}
	if waits {
		e.Body = &enclavepb.Event_Request{Request: &enclavepb.Contact{Address: address, Held: uint32(held)}}
	}
	l.sys.Root.Send(l.pid, &told{e})
	l.d.Settle()
}

// TestUnknownCallers come and go as often as they like: people hear a few times a
// second of each, and what they hear last is so.
func TestUnknownCallers(t *testing.T) {
	inLobby(t, 3, func(l *lobby) {
		e := l.listen(&enclavepb.Listen{})
		for i := range 500 {
			l.calls(ada, i, true)
			l.calls(ada, 0, false)
			l.d.Run(5 * time.Millisecond)
		}
		if n := len(e.heard); n > 4*newsEach {
			l.t.Errorf("heard %d times in 2.5 s", n)
		}
		l.calls(ada, 7, true)
		l.d.Run(5 * time.Second)
		if last := e.heard[len(e.heard)-1]; last != "request "+ada+` "" 0 "" held=7` {
			l.t.Errorf("heard %q last", last)
		}
		e.heard = nil
		l.calls(ada, 0, false) // long after
		l.calls(ada, 8, true)
		l.calls(ada, 0, false)
		l.d.Run(5 * time.Second)
		if len(e.heard) != 3 || e.heard[0] != "gone "+ada || e.heard[2] != "gone "+ada {
			l.t.Errorf("heard %q", e.heard)
		}
		e.heard = nil
		l.calls(ada, 1, true)
		l.sys.Root.Send(l.pid, &told{&enclavepb.Event{Body: &enclavepb.Event_Status{Status: &enclavepb.Contact{Address: ada}}}}) // accepted
		l.calls(ada, 0, false)                                                                                                   // and removed
		l.d.Run(5 * time.Second)
		if len(e.heard) != 3 || e.heard[2] != "gone "+ada || len(l.real.news.callers) != 0 || l.real.news.timer != nil {
			l.t.Errorf("heard %q, %d known", e.heard, len(l.real.news.callers))
		}
	})
}

// TestManyUnknownCallers: there is a rate for all of them together, and a limit of
// what is remembered; the oldest come first.
func TestManyUnknownCallers(t *testing.T) {
	inLobby(t, 1, func(l *lobby) {
		e := l.listen(&enclavepb.Listen{})
		for i := range 4 * newsKnown {
			l.calls(fmt.Sprintf("10.1.%d.%d", i/200, i%200), 0, true)
		}
		if len(e.heard) != newsMost || len(l.real.news.callers) != newsKnown {
			l.t.Errorf("heard %d at once, %d known", len(e.heard), len(l.real.news.callers))
		}
		l.d.Run(3*newsPause + newsPause/2)
		if len(e.heard) != 4*newsMost {
			l.t.Errorf("heard %d", len(e.heard))
		}
		l.d.Run(time.Minute)
		if len(e.heard) != newsKnown || !slices.IsSortedFunc(e.heard, func(a, b string) int {
			var x, y [2]int
			_, _ = fmt.Sscanf(a, "request 10.1.%d.%d", &x[0], &x[1])
			_, _ = fmt.Sscanf(b, "request 10.1.%d.%d", &y[0], &y[1])
			return slices.Compare(x[:], y[:])
		}) || len(l.real.news.callers) != 0 {
			l.t.Errorf("heard %d, %d known", len(e.heard), len(l.real.news.callers))
		}
	})
}
