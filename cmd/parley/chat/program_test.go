package chat

import (
	"bytes"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
)

// terminal shows what a program writes. It knows what the library uses of
// ECMA-48 on an xterm, and notes all else.
type terminal struct {
	columns, rows int

	mu      sync.Mutex // guards what follows
	raw     bytes.Buffer
	rest    []byte
	cells   [][]string
	x, y    int
	strange []string
}

func newTerminal(columns, rows int) *terminal {
	t := &terminal{columns: columns, rows: rows, cells: make([][]string, rows)}
	for y := range t.cells {
		t.cells[y] = make([]string, columns)
		t.erase(y, 0, columns)
	}
	return t
}

func (t *terminal) erase(y, from, to int) {
	for x := max(from, 0); x < min(to, t.columns); x++ {
		t.cells[y][x] = " "
	}
}

// Write implements io.Writer.
func (t *terminal) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.raw.Write(b)
	t.rest = append(t.rest, b...)
	p := ansi.NewParser()
	state := byte(0)
	for len(t.rest) > 0 {
		seq, w, n, next := ansi.DecodeSequenceWc(t.rest, state, p)
		if n == 1 && len(t.rest) > 1 && t.rest[0] >= ' ' && t.rest[1] >= 0xC0 { // maybe a mark upon it
			cluster, columns := ansi.FirstGraphemeCluster(t.rest, ansi.WcWidth)
			seq, w, n = cluster, columns, len(cluster)
		}
		state = next
		t.rest = t.rest[n:]
		switch {
		case w > 0:
			t.put(string(seq), w)
		case len(seq) == 1:
			t.control(seq[0])
		case ansi.HasCsiPrefix(seq):
			t.csi(string(seq), p)
		default:
			t.strange = append(t.strange, strconv.Quote(string(seq)))
		}
	}
	return len(b), nil
}

func (t *terminal) put(s string, w int) {
	if t.x+w > t.columns {
		t.x, t.y = 0, min(t.y+1, t.rows-1)
	}
	t.cells[t.y][t.x] = s
	for i := 1; i < w; i++ {
		t.cells[t.y][t.x+i] = ""
	}
	t.x += w
}

func (t *terminal) control(c byte) {
	switch c {
	case '\r':
		t.x = 0
	case '\n': // where input is no terminal, the library takes it for a whole new line
		t.x = 0
		t.y = min(t.y+1, t.rows-1)
	case '\b':
		t.x = max(t.x-1, 0)
	default:
		t.strange = append(t.strange, strconv.Quote(string(c)))
	}
}

func (t *terminal) csi(seq string, p *ansi.Parser) {
	n := func(i, preset int) int {
		if v, ok := p.Param(i, preset); ok && v > 0 {
			return v
		}
		return preset
	}
	t.x = min(t.x, t.columns-1)
	switch final := seq[len(seq)-1]; final {
	case 'H':
		t.y, t.x = min(n(0, 1), t.rows)-1, min(n(1, 1), t.columns)-1
	case 'A':
		t.y = max(t.y-n(0, 1), 0)
	case 'B':
		t.y = min(t.y+n(0, 1), t.rows-1)
	case 'C':
		t.x = min(t.x+n(0, 1), t.columns-1)
	case 'D':
		t.x = max(t.x-n(0, 1), 0)
	case 'G', '`':
		t.x = min(n(0, 1), t.columns) - 1
	case 'd':
		t.y = min(n(0, 1), t.rows) - 1
	case 'X':
		t.erase(t.y, t.x, t.x+n(0, 1))
	case 'K':
		switch n(0, 0) {
		case 0:
			t.erase(t.y, t.x, t.columns)
		case 1:
			t.erase(t.y, 0, t.x+1)
		default:
			t.erase(t.y, 0, t.columns)
		}
	case 'J':
		for y := range t.rows {
			switch {
			case y == t.y && n(0, 0) == 0:
				t.erase(y, t.x, t.columns)
			case y > t.y || n(0, 0) == 2:
				t.erase(y, 0, t.columns)
			}
		}
	case '@', 'P':
		t.shift(n(0, 1), final == '@')
	case 'm', 'h', 'l', 'u', 'q', 'p': // looks and modes
	default:
		t.strange = append(t.strange, strconv.Quote(seq))
	}
}

// shift makes room at the cursor, or takes cells away.
func (t *terminal) shift(by int, insert bool) {
	row := t.cells[t.y]
	by = min(by, t.columns-t.x)
	if insert {
		copy(row[t.x+by:], row[t.x:])
		t.erase(t.y, t.x, t.x+by)
		return
	}
	copy(row[t.x:], row[t.x+by:])
	t.erase(t.y, t.columns-by, t.columns)
}

// frame is what is shown, as frame makes it, without the cursor.
func (t *terminal) frame() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	for _, row := range t.cells {
		b.WriteString(strings.TrimRight(strings.Join(row, ""), " ") + "\n")
	}
	return b.String()
}

// colours are looks with one. Source: ECMA-48, 8.3.117.
var colours = regexp.MustCompile(`\x1b\[([0-9:;]*;)?([349][0-7]|10[0-7]|[34]8[:;][0-9:;]*)(;[0-9:;]*)?m`)

// TestProgram runs the whole program on a terminal: after each step, that shows
// what was drawn, and nothing else was done to it.
func TestProgram(t *testing.T) {
	for name, profile := range map[string]colorprofile.Profile{"colours": profile(""), "none": profile("1")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { program(t, profile) })
		})
	}
}

func program(t *testing.T, profile colorprofile.Profile) {
	const columns, rows = 80, 24
	screen := newTerminal(columns, rows)
	input, keyboard := io.Pipe()
	defer keyboard.Close()
	p := &paper{news: make(chan []any)}
	defer close(p.news)
	m := newModel(p, time.UTC, looks())
	prog := tea.NewProgram(
		m, tea.WithInput(input), tea.WithOutput(screen), tea.WithWindowSize(columns, rows), tea.WithColorProfile(profile),
		tea.WithEnvironment([]string{"TERM=xterm-256color"}), tea.WithoutSignalHandler(),
	)
	done := make(chan error, 1)
	go func() {
		_, err := prog.Run()
		done <- err
	}()
	check := func(step string) {
		t.Helper()
		time.Sleep(time.Second) // of the bubble: all is drawn then
		synctest.Wait()
		want, _, _ := strings.Cut(frame(m.View(), columns, rows), "cursor")
		if got := screen.frame(); got != want {
			t.Errorf("%s: the terminal shows\n%s\nnot\n%s", step, got, want)
		}
	}
	steps := []struct {
		name string
		do   func()
	}{
		{"start", func() {}},
		{"contacts", func() { p.news <- []any{people()} }},
		{"history", func() { p.news <- []any{answer{to: last[historyAsk](t, p), entries: said()}} }},
		{"typing", func() { _, _ = io.WriteString(keyboard, "hello you") }},
		{"sending", func() { _, _ = io.WriteString(keyboard, "\r") }},
		{"sent", func() { p.news <- []any{answer{to: last[sendAsk](t, p), id: "m-1"}, progress{bob, "m-1", sent}} }},
		{"hostile", func() {
			p.news <- []any{
				received{bob, entry{serial: 7, text: strings.Join(evil[:len(evil)/2], " "), at: noon}},
				received{bob, entry{serial: 8, text: strings.Join(evil[len(evil)/2:], " "), at: noon}},
				changed{contact{address: carol, state: stateFriend, presence: presence{alias: strings.Join(evil, ""), message: strings.Join(evil, "")}}},
			}
		}},
		{"above", func() { _, _ = io.WriteString(keyboard, "\x1b[5~") }},
		{"another", func() { _, _ = io.WriteString(keyboard, "\x1b[B") }},
		{"help", func() { _, _ = io.WriteString(keyboard, "\x07") }},
		{"back", func() { _, _ = io.WriteString(keyboard, "\x07\x1b[A") }},
		{"the note is over", func() { time.Sleep(noteTime) }},
		{"lost", func() { p.news <- []any{disconnected{"the Node hung up"}} }},
		{"narrow", func() { prog.Send(tea.WindowSizeMsg{Width: columns, Height: rows}) }},
	}
	for _, s := range steps {
		s.do()
		check(s.name)
	}
	_, _ = io.WriteString(keyboard, "\x11")
	if err := <-done; err != nil {
		t.Errorf("it ended with %v", err)
	}
	if len(screen.strange) > 0 {
		t.Errorf("the terminal got %s", screen.strange)
	}
	if coloured := colours.MatchString(screen.raw.String()); coloured != (profile != colorprofile.ASCII) {
		t.Errorf("colours were written: %v", coloured)
	}
	raw := screen.raw.String()
	if !strings.Contains(raw, "\x1b[?1049h") || !strings.Contains(raw[strings.LastIndex(raw, "\x1b[?1049"):], "\x1b[?1049l") {
		t.Error("the terminal is not as it was before")
	}
}
