package chat

import (
	"errors"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
)

// What stands where the password was typed.
const (
	checkingShown = "Checking the password..."
	againShown    = "That is not the database's password. Try again:"
	askedShown    = "Database password, to show the history:"
)

// atPassword is a stage that asks for the password of the conversation with bob.
func atPassword(t *testing.T) *stage {
	s := newStage(t, 80, 24)
	s.hear(people())
	s.hear(answer{to: last[historyAsk](t, s.p), err: &lockedError{}})
	s.has(askedShown)
	return s
}

// histories are the pages that were asked for.
func (s *stage) histories() (all []historyAsk) {
	for _, r := range s.p.asks {
		if h, ok := r.(historyAsk); ok {
			all = append(all, h)
		}
	}
	return all
}

// sent are all messages, to anybody.
func (s *stage) sent() (all []string) {
	for _, r := range s.p.asks {
		if m, ok := r.(sendAsk); ok {
			all = append(all, m.text)
		}
	}
	return all
}

// TestPasswordIsNoMessage: whoever sees nothing happen and types it again sends it
// to nobody, whenever the answer comes.
func TestPasswordIsNoMessage(t *testing.T) {
	for _, c := range []struct {
		name  string
		err   error
		shows string // where one types, then
	}{
		{"right", nil, "The history is shown."},
		{"wrong", &lockedError{wrong: true}, againShown},
		{"lost", &lostError{errors.New("gone")}, "was not checked."},
		{"refused", errors.New("busy"), "was not checked."},
	} {
		for at := range len("sesame") + 2 { // how much was typed again when it comes
			t.Run(c.name, func(t *testing.T) {
				s := atPassword(t)
				s.press("sesame", "enter")
				asked := last[historyAsk](t, s.p)
				s.has(checkingShown, "Esc leave it")
				again := []string{"s", "e", "s", "a", "m", "e", "enter"}
				s.press(again[:at]...)
				s.has(checkingShown)
				if n := len(s.histories()); n != 2 {
					t.Errorf("%d pages were asked for", n)
				}
				s.hear(answer{to: asked, err: c.err, entries: said()})
				if at > 0 || c.err != nil {
					s.has(c.shows)
				}
				s.press(again[at:]...)
				if at == 0 && c.err == nil { // the question was over when it was typed
					s.has("are you there?", "That is the database's password. Send it? Type yes:")
					s.press("esc")
				}
				if got := s.sent(); len(got) > 0 {
					t.Errorf("sent %q", got)
				}
				s.hasNot("sesame")
				s.press("esc", "hello", "enter")
				if got := s.sent(); len(got) != 1 || got[0] != "hello" {
					t.Errorf("sent %q, not hello", got)
				}
			})
		}
	}
}

// TestPasswordIsRight: who waits for it is back where messages are typed.
func TestPasswordIsRight(t *testing.T) {
	s := atPassword(t)
	s.press("sesame", "enter")
	s.hear(answer{to: last[historyAsk](t, s.p), entries: said()})
	s.has("are you there?", "\n>\n", "the password is right")
	s.press("down")
	if h := last[historyAsk](t, s.p); h.with != carol || h.password == nil || *h.password != "sesame" {
		t.Errorf("asked %+v", h)
	}
}

// TestLeavingTheCheck: Esc goes back to messages, and no answer takes their keys.
func TestLeavingTheCheck(t *testing.T) {
	for name, typed := range map[string]string{"typing": "hel", "not typing": ""} {
		t.Run(name, func(t *testing.T) {
			s := atPassword(t)
			s.press("open", "enter", "o", "esc", typed)
			s.has(strings.TrimSpace("> "+typed) + "\n")
			s.hear(answer{to: last[historyAsk](t, s.p), err: &lockedError{wrong: true}})
			s.has("That is not the database's password: Ctrl-S asks for it", "the history is locked: Ctrl-S")
			s.press("lo", "enter")
			if got := s.sent(); len(got) != 1 || got[0] != typed+"lo" {
				t.Errorf("sent %q", got)
			}
			if h := s.histories(); len(h) != 2 {
				t.Errorf("asked %+v", h)
			}
		})
	}
	// It may still be right.
	s := atPassword(t)
	s.press("sesame", "enter", "esc", "down")
	carols := last[historyAsk](t, s.p)
	s.hear(answer{to: s.histories()[1], entries: said()})
	s.hear(answer{to: carols, err: &lockedError{}})
	if h := last[historyAsk](t, s.p); h.with != carol || h.password == nil || *h.password != "sesame" {
		t.Errorf("asked %+v", h)
	}
}

// TestAnotherPassword while the one before is still being checked.
func TestAnotherPassword(t *testing.T) {
	two := func() (*stage, historyAsk) {
		s := atPassword(t)
		s.press("one", "enter", "esc", "ctrl+s", "two", "enter")
		s.has(checkingShown)
		return s, last[historyAsk](t, s.p)
	}
	for name, right := range map[string]bool{"are you there?": true, againShown: false} {
		s, h := two()
		s.hear(answer{to: h, err: &lockedError{wrong: true}})
		s.has(checkingShown)
		if h = last[historyAsk](t, s.p); h.password == nil || *h.password != "two" {
			t.Fatalf("asked %+v", s.histories())
		}
		if right {
			s.hear(answer{to: h, entries: said()})
		} else {
			s.hear(answer{to: h, err: &lockedError{wrong: true}})
		}
		s.has(name)
		s.hasNot(checkingShown)
	}
	// The first one was right.
	s, h := two()
	s.hear(answer{to: h, entries: said()})
	s.has("are you there?", "\n>\n")
	if h = last[historyAsk](t, s.p); h.password == nil || *h.password != "one" {
		t.Errorf("asked %+v", s.histories())
	}
}

// TestPasswordIsAnotherNow: it was right before. Who types goes on.
func TestPasswordIsAnotherNow(t *testing.T) {
	changed := func(typed string) *stage {
		s := atPassword(t)
		s.press("sesame", "enter")
		s.hear(answer{to: last[historyAsk](t, s.p), entries: said()})
		s.press(typed)
		s.hear(missed{})
		h := last[historyAsk](t, s.p)
		if h.password == nil {
			t.Fatalf("asked %+v", h)
		}
		s.hear(answer{to: h, err: &lockedError{wrong: true}})
		return s
	}
	changed("").has(againShown)
	s := changed("hel")
	s.has("> hel", "Ctrl-S asks for it")
	s.press("lo", "enter")
	if got := s.sent(); len(got) != 1 || got[0] != "hello" {
		t.Errorf("sent %q", got)
	}
}

// TestCheckEnds when nobody checks any more.
func TestCheckEnds(t *testing.T) {
	s := atPassword(t)
	s.press("sesame", "enter")
	s.hear(gone{bob})
	s.has("was not checked.")
	s.press("sesame", "enter")
	s.has("there is no contact here")
	// There is no connection: it stays typed.
	s = atPassword(t)
	s.press("sesame")
	s.hear(disconnected{"gone"})
	s.press("enter")
	s.has(askedShown+" ******", "there is no connection")
	s.hear(people())
	s.press("enter")
	s.has(checkingShown)
	// The connection goes, and comes back before there was an answer.
	s.hear(answer{to: last[historyAsk](t, s.p), err: &lostError{errors.New("gone")}}, disconnected{"gone"})
	s.has("was not checked.")
	s.hear(people())
	s.hear(answer{to: last[historyAsk](t, s.p), err: &lockedError{}})
	s.has("was not checked.")
	s.press("sesame", "enter")
	s.hear(answer{to: last[historyAsk](t, s.p), entries: said()})
	s.has("are you there?", "\n>\n")
}

// TestPasswordNowhere: where no history is shown, none is asked for.
func TestPasswordNowhere(t *testing.T) {
	s := chatting(t, 80, 24)
	s.press("up", "ctrl+s")
	s.has("waits to be let in")
	s.hasNot("password")
	s.press("hi")
	s.has("> hi")
	s.press("ctrl+u", "down", "ctrl+s", "sesame", "enter")
	s.has("\n>\n")
	if got := s.sent(); len(got) > 0 || len(s.histories()) != 1 {
		t.Errorf("sent %q, asked %+v", got, s.histories())
	}
}

// TestPasteWhileChecking goes nowhere else.
func TestPasteWhileChecking(t *testing.T) {
	s := atPassword(t)
	s.press("open", "enter")
	s.do(tea.PasteMsg{Content: "sesame"})
	s.hear(answer{to: last[historyAsk](t, s.p), err: &lockedError{wrong: true}})
	s.has(againShown + " ******")
	s.press("enter")
	if h := last[historyAsk](t, s.p); h.password == nil || *h.password != "sesame" {
		t.Errorf("asked %+v", h)
	}
}

// TestSentWhileLoading: a page may hold a message before its sending is answered.
func TestSentWhileLoading(t *testing.T) {
	s := chatting(t, 80, 24)
	s.hear(missed{})
	s.press("ahoy", "enter")
	s.hear(answer{to: last[historyAsk](t, s.p), entries: append(said(), entry{serial: 7, own: true, text: "ahoy", at: noon + 300, id: "m-1", state: queued})})
	s.hear(progress{bob, "m-1", sent}, answer{to: last[sendAsk](t, s.p), id: "m-1"})
	if row := s.row("> ahoy"); !strings.HasSuffix(strings.TrimSpace(row), " sent") {
		t.Errorf("%q does not end with sent", row)
	}
	s.hear(progress{bob, "m-1", delivered})
	if row := s.row("> ahoy"); !strings.HasSuffix(strings.TrimSpace(row), " delivered") {
		t.Errorf("%q does not end with delivered", row)
	}
}

// TestPasswordAsMessage : a password may be a common word. Who wants to say it says so.
func TestPasswordAsMessage(t *testing.T) {
	for answered, want := range map[string]int{"yes": 1, "no": 0} {
		s := atPassword(t)
		s.press("hello", "enter")
		s.hear(answer{to: last[historyAsk](t, s.p), entries: said()})
		s.press("hello", "enter", answered, "enter")
		if got := s.sent(); len(got) != want {
			t.Errorf("%s: sent %q", answered, got)
		}
		s.press("hello you", "enter")
		if got := s.sent(); len(got) != want+1 || got[want] != "hello you" {
			t.Errorf("%s: sent %q", answered, got)
		}
	}
}
