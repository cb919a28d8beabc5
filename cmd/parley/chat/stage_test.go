package chat

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	uv "github.com/charmbracelet/ultraviolet"

	"parley/testkit/leaks"
)

var update = flag.Bool("update", false, "write the frames under testdata anew")

func TestMain(m *testing.M) { leaks.Main(m) }

// paper is a node that notes what it is asked. Its news are put by the test.
type paper struct {
	asks []request
	news chan []any
}

func (p *paper) Do(r request) { p.asks = append(p.asks, r) }

func (p *paper) Next() []any { return <-p.news }

// last is what was asked last of one type.
func last[T any](t *testing.T, p *paper) T {
	t.Helper()
	for i := len(p.asks) - 1; i >= 0; i-- {
		if r, ok := p.asks[i].(T); ok {
			return r
		}
	}
	var none T
	t.Fatalf("no %T among %+v", none, p.asks)
	return none
}

// stage is a model without a program around it.
type stage struct {
	t *testing.T
	m *model
	p *paper
}

func newStage(t *testing.T, columns, rows int) *stage {
	p := &paper{}
	s := &stage{t: t, m: newModel(p, time.UTC, looks()), p: p}
	s.do(tea.WindowSizeMsg{Width: columns, Height: rows})
	return s
}

func (s *stage) do(msg tea.Msg) {
	next, _ := s.m.Update(msg)
	s.m = next.(*model)
}

// hear takes news and answers.
func (s *stage) hear(all ...any) { s.do(news(all)) }

// keys are the special ones by name; all other words are typed.
var keys = map[string]tea.Key{
	"enter": {Code: tea.KeyEnter}, "esc": {Code: tea.KeyEscape}, "tab": {Code: tea.KeyTab},
	"up": {Code: tea.KeyUp}, "down": {Code: tea.KeyDown}, "left": {Code: tea.KeyLeft}, "right": {Code: tea.KeyRight},
	"home": {Code: tea.KeyHome}, "end": {Code: tea.KeyEnd}, "delete": {Code: tea.KeyDelete}, "backspace": {Code: tea.KeyBackspace},
	"pgup": {Code: tea.KeyPgUp}, "pgdown": {Code: tea.KeyPgDown}, "alt+n": {Code: 'n', Mod: tea.ModAlt},
}

func press(word string) []tea.Msg {
	if k, ok := keys[word]; ok {
		return []tea.Msg{tea.KeyPressMsg(k)}
	}
	if c, ok := strings.CutPrefix(word, "ctrl+"); ok {
		return []tea.Msg{tea.KeyPressMsg{Code: rune(c[0]), Mod: tea.ModCtrl}}
	}
	var all []tea.Msg
	for _, r := range word {
		all = append(all, tea.KeyPressMsg{Code: r, Text: string(r)})
	}
	return all
}

func (s *stage) press(words ...string) {
	for _, w := range words {
		for _, msg := range press(w) {
			s.do(msg)
		}
	}
}

// frame is what the screen shows, a row a line, and where the cursor is.
func frame(v tea.View, columns, rows int) string {
	buf := uv.NewScreenBuffer(columns, rows)
	uv.NewStyledString(v.Content).Draw(buf, buf.Bounds())
	var b strings.Builder
	for y := range rows {
		row := ""
		for x := range columns {
			if c := buf.CellAt(x, y); c != nil && !c.IsZero() {
				row += c.Content
			}
		}
		b.WriteString(strings.TrimRight(row, " ") + "\n")
	}
	if v.Cursor != nil {
		fmt.Fprintf(&b, "cursor %d,%d\n", v.Cursor.X, v.Cursor.Y)
	}
	return b.String()
}

func (s *stage) frame() string { return frame(s.m.View(), s.m.width, s.m.height) }

// golden compares the screen with a file.
func (s *stage) golden(name string) {
	s.t.Helper()
	file := filepath.Join("testdata", fmt.Sprintf("%s_%dx%d.txt", name, s.m.width, s.m.height))
	got := s.frame()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			s.t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	if got != string(want) {
		s.t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}

// noon is when people talk in these tests, in Unix s.
const noon = 1795262400 // 2026-11-21 12:00:00 UTC

// Addresses of these tests.
const (
	bob   = "10.0.0.2"
	carol = "10.0.0.3"
	dave  = "10.0.0.4"
	erin  = "10.0.0.5"
	fay   = "10.0.0.6"
)

// people are one of each kind.
func people() connected {
	return connected{list{
		own: presence{alias: "alice", status: available, message: "at work"},
		contacts: []contact{
			{address: bob, name: "bob", state: stateFriend, presence: presence{alias: "bobby", status: away, message: "lunch"}},
			{address: carol, state: stateFriend, presence: presence{alias: "carol", status: available}},
			{address: dave, name: "dave", state: stateFriend, presence: presence{status: offline}},
			{address: erin, state: statePending, presence: presence{alias: "erin", status: busy, message: "let me in"}, held: 3},
			{address: fay, name: "fay", state: stateIgnored},
		},
	}}
}

// said are some lines of a conversation.
func said() []entry {
	return []entry{
		{serial: 1, text: "are you there?", at: noon - 86400},
		{serial: 2, own: true, text: "yes", at: noon, id: "a-1", state: delivered},
		{serial: 3, text: "A message that is so long that it does not fit into one row of the window, so it is broken between words.", at: noon + 60},
		{serial: 4, own: true, text: "Mine is long as well, and how far it has come stands behind its first row, wherever that ends.", at: noon + 120, id: "a-2", state: sent},
		{serial: 5, text: "two\nlines", at: noon + 180},
		{serial: 6, own: true, text: "seen", at: noon + 240, id: "a-3", state: queued},
	}
}

// chatting is a stage that shows the conversation with bob.
func chatting(t *testing.T, columns, rows int) *stage {
	s := newStage(t, columns, rows)
	s.hear(people())
	s.hear(answer{to: last[historyAsk](t, s.p), entries: said()})
	return s
}
