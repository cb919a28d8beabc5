package verbs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// maxSecret is the longest password that is read, in bytes: far above any real
// one, small enough that a wrong file is noticed.
const maxSecret = 4 << 10

// prompt implements Secrets: on the terminal, or from the lines of standard
// input when that is none.
type prompt struct {
	lines *bufio.Reader // nil: the terminal is asked
}

// newPrompt asks where in comes from.
func newPrompt(in io.Reader) *prompt {
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &prompt{}
	}
	return &prompt{lines: bufio.NewReader(in)}
}

// OnTerminal asks on the terminal.
func OnTerminal() Secrets { return &prompt{} }

// FromLines takes the next line of in.
func FromLines(in *bufio.Reader) Secrets { return &prompt{lines: in} }

// Seen implements Secrets.
func (p *prompt) Seen() bool { return p.lines == nil }

// Ask implements Secrets.
func (p *prompt) Ask(ctx context.Context, what string) (string, error) {
	var (
		line string
		err  error
	)
	if p.lines != nil {
		line, err = p.lines.ReadString('\n')
		if errors.Is(err, io.EOF) && line != "" {
			err = nil
		}
		if errors.Is(err, io.EOF) {
			return "", usage("%s: standard input has no line for it; write it there, or run this on a terminal", what)
		}
	} else {
		line, err = askTerminal(ctx, what)
	}
	if err != nil {
		return "", err
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	switch {
	case len(line) > maxSecret:
		return "", usage("%s: it is longer than %d bytes", what, maxSecret)
	case !utf8.ValidString(line):
		return "", usage("%s: it is not UTF-8", what)
	}
	return line, nil
}

// askTerminal reads a line that the terminal does not show. It leaves nothing
// behind when ctx ends: a shell goes on reading from the same terminal.
func askTerminal(ctx context.Context, what string) (string, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", usage("%s: there is no terminal to ask on; write it to standard input", what)
	}
	defer tty.Close()
	raw, err := tty.SyscallConn()
	if err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	restore, err := mute(raw)
	if err != nil {
		return "", fmt.Errorf("%s: cannot hide what is typed: %w", what, err)
	}
	defer restore()
	fmt.Fprintf(tty, "%s: ", what)
	defer fmt.Fprintln(tty)
	defer context.AfterFunc(ctx, func() { _ = tty.SetReadDeadline(time.Unix(1, 0)) })()
	line := make([]byte, 0, 64)
	var b [1]byte // no byte behind the line is taken from who reads next
	for len(line) <= maxSecret {
		n, err := tty.Read(b[:])
		switch {
		case ctx.Err() != nil:
			return "", ctx.Err()
		case err != nil && !errors.Is(err, io.EOF):
			return "", fmt.Errorf("%s: %w", what, err)
		case n == 0 && len(line) == 0: // Ctrl-D
			return "", errors.New("nothing was typed")
		case n == 0 || b[0] == '\n':
			return string(line), nil
		}
		line = append(line, b[0])
	}
	return string(line), nil
}
