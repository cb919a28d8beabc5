package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/reeflective/readline"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"parley/cmd/parley/show"
	"parley/cmd/parley/verbs"
)

const (
	// showNotes is a command of the line editor.
	showNotes = "parley-show-notes"
	// notesKey runs it: Ctrl-^, which means nothing else.
	notesKey = '\x1e'
	tab      = "\t"
)

// editor reads lines from the terminal.
type editor struct {
	*readline.Shell
	notes *notes
	ctx   context.Context
}

// interact reads verbs from the terminal until its end.
func (sh *shell) interact(ctx context.Context) error {
	var flags []string
	for _, cmd := range verbs.Inside(sh.desk) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) { flags = append(flags, f.Name) })
	}
	h, err := newHistory(historyFile(), func(verb string) bool { return sh.verb(verb) != nil || verb == "help" }, flags...)
	if err != nil {
		sh.notes.add(show.Line(err.Error()))
	}
	e := newEditor(ctx, sh.notes, h)
	e.Completer = sh.complete
	defer context.AfterFunc(ctx, e.Keys.RequestRefresh)()
	sh.notes.add(fmt.Sprintf("connected on port %d; help lists the verbs, exit ends", sh.desk.Port()))
	for {
		if text := sh.notes.take(); text != "" {
			fmt.Fprintln(sh.out, text)
		}
		line, err := e.read()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, readline.ErrInterrupt):
			continue
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("ui: the terminal: %w", err)
		}
		if _, over := sh.do(ctx, line); over {
			return nil
		}
	}
}

func newEditor(ctx context.Context, notes *notes, h *history) *editor {
	e := &editor{Shell: readline.NewShell(), notes: notes, ctx: ctx}
	e.Prompt.Primary(func() string { return promptText })
	e.History.Delete()
	e.History.Add("parley", h)
	e.Keymap.Register(map[string]func(){showNotes: e.show})
	for _, keys := range []string{"emacs", "emacs-standard", "vi-insert", "vi-command", "vi-move", "vi"} {
		_ = e.Config.Bind(keys, string(notesKey), showNotes, false) // never fails
	}
	e.SyntaxHighlighter = e.look
	_ = e.Config.Set("cursor-position-probe", false) // never fails; see room
	// Tab inserts what all candidates have in common and lists them; the next ones
	// go through the list.
	_ = e.Config.Set("menu-complete-display-prefix", true)
	for keys := range e.Config.Binds {
		if bind := e.Config.Binds[keys][tab]; bind.Action == "complete" {
			_ = e.Config.Bind(keys, tab, "menu-complete", false)
		}
	}
	return e
}

// read gives the next line. Notes that come meanwhile wake the editor up.
func (e *editor) read() (string, error) {
	e.setWake(e.Keys.RequestRefresh)
	defer e.setWake(nil)
	return e.Readline()
}

func (e *editor) setWake(wake func()) {
	e.notes.mu.Lock()
	defer e.notes.mu.Unlock()
	e.notes.wake = wake
}

// look is called by the editor's goroutine whenever the line is drawn, also when
// it was woken up. It changes nothing of the line, but presses the key that
// shows notes: in the midst of drawing they would garble the screen. While the
// user is in a menu or a search, they wait.
func (e *editor) look(line []rune) string {
	if (e.notes.waiting() && e.Keymap.Local() == "" || e.ctx.Err() != nil) && e.Keys.Empty() {
		e.Keys.Feed(false, notesKey)
	}
	return e.room(line) + string(line)
}

// room scrolls the screen, where the cursor is near its bottom, until there are
// as many rows below as the line needs, and one more: the editor moves through
// them. It could ask the terminal where the cursor is, but loses what is typed
// until the answer comes.
func (e *editor) room(line []rune) string {
	width, _ := screenSize()
	used := len(promptText)
	for _, r := range line {
		used++
		if r >= utf8.RuneSelf { // maybe a wide one
			used++
		}
	}
	rows := used/width + 1
	return fmt.Sprintf("%s\x1b[%dA\r\x1b[%dC", strings.Repeat(index, rows), rows, len(promptText))
}

const (
	// index moves the cursor down, and the screen up if it must. Source: ECMA-48
	// (1986), 8.3.59.
	index = "\x1bD"
	// What a terminal has that does not tell, in columns and rows.
	usualWidth, usualHeight = 80, 24
)

// screenSize is the terminal's, in columns and rows.
func screenSize() (width, height int) {
	width, height, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		return usualWidth, usualHeight
	}
	return width, height
}

// show prints notes above the line.
func (e *editor) show() {
	if e.ctx.Err() != nil { // the process is to end
		e.Display.AcceptLine()
		e.History.Accept(false, false, io.EOF)
		return
	}
	if text := e.notes.take(); text != "" {
		_, _ = e.PrintTransientf("%s", strings.ReplaceAll(text, "\n", "\r\n")) // the terminal is raw
	}
}
