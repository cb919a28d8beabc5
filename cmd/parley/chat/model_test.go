package chat

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
)

// has fails unless the screen shows all texts.
func (s *stage) has(texts ...string) {
	s.t.Helper()
	f := s.frame()
	for _, text := range texts {
		if !strings.Contains(f, text) {
			s.t.Errorf("%q is not on the screen:\n%s", text, f)
		}
	}
}

func (s *stage) hasNot(text string) {
	s.t.Helper()
	if f := s.frame(); strings.Contains(f, text) {
		s.t.Errorf("%q is on the screen:\n%s", text, f)
	}
}

// row is the only row that holds a text.
func (s *stage) row(text string) string {
	s.t.Helper()
	found := ""
	for row := range strings.Lines(s.frame()) {
		if strings.Contains(row, text) {
			if found != "" {
				s.t.Errorf("%q stands twice:\n%s", text, s.frame())
			}
			found = row
		}
	}
	return found
}

// TestDelivery: what is said of a message on its way, in any order of news and
// answers.
func TestDelivery(t *testing.T) {
	answered := func(s *stage) { s.hear(answer{to: last[sendAsk](s.t, s.p), id: "m-1"}) }
	to := func(d delivery) func(*stage) { return func(s *stage) { s.hear(progress{bob, "m-1", d}) } }
	for _, c := range []struct {
		name  string
		steps []func(*stage)
		want  string
	}{
		{"on its way", nil, "..."},
		{"answered", []func(*stage){answered}, "queued"},
		{"sent", []func(*stage){answered, to(queued), to(sent)}, "sent"},
		{"delivered", []func(*stage){answered, to(sent), to(delivered)}, "delivered"},
		{"news before the answer", []func(*stage){to(queued), to(sent), answered}, "sent"},
		{"never back", []func(*stage){answered, to(delivered), to(sent)}, "delivered"},
		{"refused", []func(*stage){func(s *stage) { s.hear(answer{to: last[sendAsk](s.t, s.p), err: errors.New("too long")}) }}, "not sent"},
		{"lost", []func(*stage){func(s *stage) {
			s.hear(answer{to: last[sendAsk](s.t, s.p), err: &lostError{errors.New("gone")}})
		}}, "unclear"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := chatting(t, 80, 24)
			asks := len(s.p.asks)
			s.press("ahoy there", "enter")
			if r := last[sendAsk](t, s.p); r.to != bob || r.text != "ahoy there" || len(s.p.asks) != asks+1 {
				t.Fatalf("asked %+v", s.p.asks[asks:])
			}
			for _, step := range c.steps {
				step(s)
			}
			if row := s.row("> ahoy there  "); !strings.HasSuffix(strings.TrimSpace(row), " "+c.want) {
				t.Errorf("%q does not end with %q", row, c.want)
			}
			if c.name == "refused" && s.m.entry.value() != "ahoy there" {
				t.Errorf("the text is lost: %q", s.m.entry.value())
			}
			if c.name != "refused" && s.m.entry.value() != "" {
				t.Errorf("%q is left to send", s.m.entry.value())
			}
		})
	}
}

// TestUnclear: the history tells what became of a message that got no answer.
func TestUnclear(t *testing.T) {
	for _, c := range []struct {
		name  string
		extra []entry
		want  string
	}{
		{"it came", []entry{{serial: 7, own: true, text: "ahoy", at: noon + 300, id: "m-1", state: sent}}, "sent"},
		{"it did not", nil, "not sent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := chatting(t, 80, 24)
			s.press("ahoy", "enter")
			s.hear(answer{to: last[sendAsk](t, s.p), err: &lostError{errors.New("gone")}}, disconnected{"gone"})
			s.press("later", "enter")
			s.has("there is no connection", "> later")
			s.hear(people())
			s.hear(answer{to: last[historyAsk](t, s.p), entries: append(said(), c.extra...)})
			if row := s.row("> ahoy"); !strings.HasSuffix(strings.TrimSpace(row), " "+c.want) {
				t.Errorf("%q does not end with %q", row, c.want)
			}
		})
	}
}

// TestUnclearStays where the history does not tell: what is not kept may have been
// sent, and nobody shall send it twice.
func TestUnclearStays(t *testing.T) {
	for _, c := range []struct {
		name        string
		before, now []entry
		live        uint64 // serial of what the other says meanwhile
	}{
		{"nothing is kept", nil, nil, 0},
		{"nothing is kept any more", said(), said(), 0},
		{"what was kept is gone", said(), nil, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t, 80, 24)
			s.hear(people())
			s.hear(answer{to: last[historyAsk](t, s.p), entries: c.before})
			s.hear(received{bob, entry{serial: c.live, text: "hello", at: noon + 300}})
			s.press("ahoy", "enter")
			s.hear(answer{to: last[sendAsk](t, s.p), err: &lostError{errors.New("gone")}}, disconnected{"gone"}, people())
			for range 2 {
				s.hear(answer{to: last[historyAsk](t, s.p), entries: c.now})
				if row := s.row("> ahoy"); !strings.HasSuffix(strings.TrimSpace(row), " unclear") {
					t.Errorf("%q does not end with unclear", row)
				}
			}
		})
	}
}

func TestUnread(t *testing.T) {
	s := chatting(t, 80, 24)
	s.hear(received{carol, entry{serial: 1, text: "one", at: noon}}, received{carol, entry{serial: 2, text: "two", at: noon}}, received{bob, entry{serial: 7, text: "here", at: noon + 300}})
	s.has(`+ "carol"          2 |`, `"carol": two`, "bob here")
	s.press("tab")
	if r := last[historyAsk](t, s.p); r.with != carol {
		t.Fatalf("asked %+v", r)
	}
	s.hear(answer{to: last[historyAsk](t, s.p), entries: []entry{{serial: 1, text: "one", at: noon}, {serial: 2, text: "two", at: noon}}})
	s.row(`"carol" one`)
	s.hasNot(" 2 |")
	s.press("tab") // erin waits
	s.has("asks to be let in, from " + erin)
	// The same news again change nothing.
	s.hear(received{carol, entry{serial: 2, text: "two", at: noon}})
	s.hasNot(" 1 |")
	// What came while there was no connection is unread.
	s.hear(disconnected{"gone"}, people())
	s.hear(answer{to: historyAsk{with: carol}, entries: []entry{{serial: 2, text: "two", at: noon}, {serial: 3, text: "three", at: noon}}})
	s.has(`+ "carol"          1 |`)
}

// TestPages scrolls up to what the node has, page by page.
func TestPages(t *testing.T) {
	s := newStage(t, 80, 24)
	s.hear(people())
	page := func(first, last uint64) (all []entry) {
		for i := first; i <= last; i++ {
			all = append(all, entry{serial: i, text: fmt.Sprintf("line %d.", i), at: noon})
		}
		return all
	}
	s.hear(answer{to: last[historyAsk](t, s.p), entries: page(101, 200), more: true})
	s.has("line 200.")
	for range 10 {
		s.press("pgup")
	}
	if r := last[historyAsk](t, s.p); r.before != 101 {
		t.Fatalf("asked %+v", r)
	}
	s.has("-- loading --", "line 101.")
	asks := len(s.p.asks)
	s.press("pgup")
	if len(s.p.asks) != asks {
		t.Errorf("asked again before there is an answer: %+v", s.p.asks[asks:])
	}
	s.hear(answer{to: last[historyAsk](t, s.p), entries: page(1, 100), more: false})
	s.has("line 101.")
	s.hear(received{bob, entry{serial: 201, text: "news", at: noon}})
	s.has("line 101.", "there is more below")
	for range 12 {
		s.press("pgup")
	}
	s.has("line 1.", "2026-11-21")
	if r := last[historyAsk](t, s.p); r.before != 101 {
		t.Errorf("asked for more: %+v", r)
	}
	for range 20 {
		s.press("pgdown")
	}
	s.has("news")
	s.hasNot("more below")
}

// TestLocked: the password is asked for, and again when it is wrong.
func TestLocked(t *testing.T) {
	s := newStage(t, 80, 24)
	s.hear(people())
	s.hear(answer{to: last[historyAsk](t, s.p), err: &lockedError{}})
	s.has("Database password, to show the history:")
	s.press("open", "enter")
	if r := last[historyAsk](t, s.p); r.password == nil || *r.password != "open" {
		t.Fatal("the password was not sent")
	}
	s.hasNot("open")
	s.hear(answer{to: last[historyAsk](t, s.p), err: &lockedError{wrong: true}})
	s.has("Try again:")
	s.press("esc")
	s.has("the history is locked: Ctrl-S", "^S password")
	s.hear(received{bob, entry{serial: 9, text: "still here", at: noon}})
	s.has("still here")
	s.press("ctrl+s", "sesame", "enter")
	s.hear(answer{to: last[historyAsk](t, s.p), entries: append(said(), entry{serial: 9, text: "still here", at: noon})})
	s.has("are you there?")
	s.row("still here")
	// Who is typing is not interrupted.
	s = newStage(t, 80, 24)
	s.hear(people())
	s.press("hel")
	s.hear(answer{to: last[historyAsk](t, s.p), err: &lockedError{}})
	s.press("lo", "enter")
	if r := last[sendAsk](t, s.p); r.text != "hello" {
		t.Errorf("sent %q", r.text)
	}
}

// TestQuestions: what the keys ask, and what is asked of the node then.
func TestQuestions(t *testing.T) {
	for _, c := range []struct {
		name string
		keys []string
		want request // nil: nothing
		says string
	}{
		{"accept", []string{"up", "ctrl+y", "erin", "enter"}, acceptAsk{erin, "erin"}, ""},
		{"accept, blank", []string{"up", "ctrl+y", "enter"}, acceptAsk{erin, ""}, ""},
		{"accept, left", []string{"up", "ctrl+y", "esc"}, nil, ""},
		{"accept a friend", []string{"ctrl+y"}, nil, "bob is a contact already"},
		{"accept the ignored", []string{"down", "down", "down", "ctrl+y", "enter"}, addAsk{fay, "fay"}, ""},
		{"ignore", []string{"up", "ctrl+x", "yes", "enter"}, ignoreAsk{erin}, ""},
		{"ignore, unsure", []string{"up", "ctrl+x", "enter"}, nil, "nothing was done"},
		{"remove", []string{"ctrl+r", "Yes", "enter"}, removeAsk{bob}, ""},
		{"add", []string{"ctrl+o", "10.1.1.1:9 old friend", "enter"}, addAsk{"10.1.1.1:9", "old friend"}, ""},
		{"add nobody", []string{"ctrl+o", "enter"}, nil, "nothing was done"},
		{"status", []string{"ctrl+t", "ctrl+u", "aw back at noon", "enter"}, statusAsk{away, "back at noon"}, ""},
		{"status, as before", []string{"ctrl+t", "enter"}, statusAsk{available, "at work"}, ""},
		{"status, none", []string{"ctrl+t", "ctrl+u", "happy", "enter"}, nil, `"happy" is no status`},
		{"status, offline", []string{"ctrl+t", "ctrl+u", "offline", "enter"}, nil, "is no status"},
		{"alias", []string{"alt+n", "x", "enter"}, aliasAsk{"alicex"}, ""},
		{"alias, blank", []string{"alt+n", "ctrl+u", " ", "enter"}, nil, "cannot be blank"},
		{"send to who waits", []string{"up", "hi", "enter"}, nil, "Ctrl-Y accepts"},
		{"send to the ignored", []string{"down", "down", "down", "hi", "enter"}, nil, "Ctrl-Y accepts"},
		{"nothing to send", []string{"  ", "enter"}, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := chatting(t, 80, 24)
			s.press(c.keys...)
			var got request
			for _, r := range s.p.asks {
				if _, ok := r.(historyAsk); !ok {
					got = r
				}
			}
			if got != c.want {
				t.Errorf("asked %+v, not %+v", got, c.want)
			}
			s.has(c.says)
			if c.want == nil {
				return
			}
			s.hear(answer{to: c.want, err: errors.New("no such thing")})
			s.has("no such thing")
			s.hear(answer{to: c.want})
			last[listAsk](t, s.p)
			s.hear(disconnected{"away"})
			asks := len(s.p.asks)
			s.press(c.keys...)
			for _, r := range s.p.asks[asks:] {
				t.Errorf("asked %+v without a connection", r)
			}
		})
	}
}

// TestContacts come, change and go while one is typing.
func TestContacts(t *testing.T) {
	s := chatting(t, 80, 24)
	s.press("for bob", "down")
	s.hasNot("for bob")
	s.press("for carol", "up")
	s.has("> for bob")
	s.hear(changed{contact{address: "10.0.0.9", state: statePending, presence: presence{alias: "gus"}, held: 1}})
	s.has(`? "gus"            1 |`, `"gus" asks to be let in`, "> for bob")
	s.hear(gone{"10.0.0.9"}, gone{"10.0.0.9"})
	s.hasNot(`? "gus"`)
	s.hear(changed{contact{address: bob, name: "robert", state: stateFriend, presence: presence{status: busy}}})
	s.has("! robert", "robert  10.0.0.2  busy", "12:00 robert are you there?", "> for bob")
	s.hear(gone{bob})
	s.has("Up and Down choose another one")
	s.hasNot("for bob")
	asks := len(s.p.asks)
	s.press("for nobody", "enter")
	if len(s.p.asks) != asks {
		t.Errorf("asked %+v", s.p.asks[asks:])
	}
	s.press("ctrl+u", "down")
	s.has("> for carol")
}

func TestMissed(t *testing.T) {
	s := chatting(t, 80, 24)
	asks := len(s.p.asks)
	s.hear(missed{})
	if got, want := fmt.Sprintf("%T %T", s.p.asks[asks], s.p.asks[asks+1]), "chat.listAsk chat.historyAsk"; got != want || len(s.p.asks) != asks+2 {
		t.Errorf("asked %+v, not %s", s.p.asks[asks:], want)
	}
	book := people().list
	s.hear(answer{to: listAsk{}, list: &book}, answer{to: last[historyAsk](t, s.p), entries: append(said(), entry{serial: 7, text: "anew", at: noon})})
	s.row("anew")
	s.row("seen")
	// A message that was sent from elsewhere.
	s.hear(progress{bob, "m-9", sent})
	if len(s.p.asks) != asks+3 {
		t.Errorf("asked %+v", s.p.asks[asks:])
	}
}

func TestTyping(t *testing.T) {
	for _, c := range []struct {
		keys []string
		want string // | is the cursor
	}{
		{[]string{"abc", "left", "left", "x"}, "ax|bc"},
		{[]string{"abc", "home", "delete", "end", "backspace"}, "b|"},
		{[]string{"one two", "ctrl+w"}, "one |"},
		{[]string{"one two", "ctrl+a", "ctrl+k"}, "|"},
		{[]string{"one two", "left", "ctrl+u"}, "|o"},
		{[]string{"left", "backspace", "delete", "right", "ctrl+w"}, "|"},
	} {
		s := chatting(t, 80, 24)
		s.press(c.keys...)
		f := s.m.entry
		if got := string(f.text[:f.at]) + "|" + string(f.text[f.at:]); got != c.want {
			t.Errorf("%q: got %q, want %q", c.keys, got, c.want)
		}
	}
	s := chatting(t, 80, 24)
	s.do(tea.PasteMsg{Content: "two\r\nlines\x1b[2J\u202e" + strings.Repeat("x", 2*fieldMost)})
	if got := s.m.entry.value(); !strings.HasPrefix(got, "two lines[2J\u202exx") || len(s.m.entry.text) != fieldMost {
		t.Errorf("pasted %.40q of %d", got, len(got))
	}
	s.has("it was cut")
	s.press("home")
	s.has(`> two lines[2J\u202exx`)
	s.whole()
}

// TestNoConnectionIsOver : what was said of it does not outlive it.
func TestNoConnectionIsOver(t *testing.T) {
	for _, keys := range [][]string{{"hello", "enter"}, {"ctrl+o", "10.0.0.9", "enter"}} {
		s := chatting(t, 80, 24)
		s.hear(disconnected{"gone"})
		s.press(keys...)
		s.has("there is no connection")
		s.hear(people())
		s.hasNot("there is no connection")
	}
	s := chatting(t, 80, 24)
	s.hear(disconnected{"gone"}, received{carol, entry{serial: 1, text: "one", at: noon}}, people())
	s.has(`"carol": one`)
}

// TestNarrow has no room for contacts, and tells of them in a word.
func TestNarrow(t *testing.T) {
	s := chatting(t, 40, 12)
	s.has("-- news: Tab (1) --") // erin waits
	s.hear(received{carol, entry{serial: 1, text: "one", at: noon}})
	s.do(noteOver(s.m.notes))
	s.has("-- news: Tab (2) --")
	s.press("tab", "tab")
	s.hear(gone{erin})
	s.do(noteOver(s.m.notes))
	s.hasNot("news")
}

// TestFloodWhileReading older messages: they stay where they are, and what is in
// memory has an end.
func TestFloodWhileReading(t *testing.T) {
	s := chatting(t, 80, 24)
	flood := func(from, to uint64) {
		var all []any
		for i := from; i <= to; i++ {
			all = append(all, received{bob, entry{serial: i, text: fmt.Sprintf("line %d.", i), at: noon + 300}})
		}
		s.hear(all...)
	}
	flood(7, 100)
	s.press("pgup")
	before := s.row("line 70.")
	flood(101, 3000)
	s.has(before, "there is more below")
	if n := len(s.m.talk(bob).lines); n != 3000 {
		t.Errorf("%d lines", n)
	}
	flood(3001, 3001+scrolledMost)
	if n := len(s.m.talk(bob).lines); n != scrolledMost {
		t.Errorf("%d lines, want %d", n, scrolledMost)
	}
	s.has("there is more above", "there is more below")
	s.m.talk(bob).up = 0
	flood(4002+scrolledMost, 4002+scrolledMost)
	if n := len(s.m.talk(bob).lines); n != linesMost {
		t.Errorf("%d lines, want %d", n, linesMost)
	}
}
