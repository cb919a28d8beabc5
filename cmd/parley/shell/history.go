package shell

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"parley/cmd/parley/config"
)

const (
	// mostLines are kept in the history.
	mostLines = 1000
	// slack is how many more the file may hold before it is written anew.
	slack = 500
	// maxHistory is the largest history file that is read, in bytes.
	maxHistory = 4 << 20
)

// history is what was typed: in memory all of it, but for secrets; in the file
// only what begins with a verb. It implements the line editor's history source.
type history struct {
	file  string // fixed; blank: there is none
	known func(verb string) bool
	names map[string]bool // of parameters: whether it is a secret

	lines []string // owned by the line editor's goroutine
}

// historyFile is where it is kept; blank: nowhere. Source: XDG Base Directory
// Specification.
func historyFile() string {
	dir := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(dir) {
		home, err := os.UserHomeDir()
		if err != nil || !filepath.IsAbs(home) {
			return ""
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(dir, "parley", "history")
}

// newHistory reads the file. An error says why there is none; the history works
// without it. flags are those of the verbs, besides parameters.
func newHistory(file string, known func(string) bool, flags ...string) (*history, error) {
	h := &history{known: known, names: map[string]bool{}}
	for _, name := range flags {
		h.names[name] = false
	}
	for _, o := range config.Table() {
		h.names[o.Name] = o.Secret
	}
	if file == "" {
		return h, nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return h, fmt.Errorf("the history is not kept: %w", err)
	}
	f, err := openHistory(file)
	if err != nil {
		return h, fmt.Errorf("the history is not kept: %w", err)
	}
	defer f.Close()
	h.file = file
	lines := bufio.NewScanner(io.LimitReader(f, maxHistory))
	for lines.Scan() {
		if utf8.Valid(lines.Bytes()) && lines.Text() != "" {
			h.lines = append(h.lines, lines.Text())
		}
	}
	if len(h.lines) > mostLines {
		old := len(h.lines)
		h.lines = slices.Clone(h.lines[old-mostLines:])
		if old > mostLines+slack {
			return h, h.rewrite()
		}
	}
	return h, nil
}

// openHistory opens or makes the file, for this user alone. It follows no link.
func openHistory(file string) (*os.File, error) {
	const mode = 0o600
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, mode)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%q is no plain file", file)
	}
	if err == nil && info.Mode().Perm() != mode {
		err = f.Chmod(mode)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// rewrite shortens the file to what is in memory.
func (h *history) rewrite() error {
	f, err := os.CreateTemp(filepath.Dir(h.file), "history-*") // 0600
	if err != nil {
		return err
	}
	_, err = f.WriteString(strings.Join(h.lines, "\n") + "\n")
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), h.file)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// Write takes a line that was accepted.
func (h *history) Write(line string) (int, error) {
	line = strings.TrimSpace(line)
	if line == "" || strings.ContainsAny(line, "\r\n") || h.isSecret(line) {
		return len(h.lines), nil
	}
	h.lines = append(h.lines, line)
	if verb, _, _ := strings.Cut(line, " "); h.file == "" || !h.known(verb) {
		return len(h.lines), nil
	}
	f, err := openHistory(h.file)
	if err != nil {
		return len(h.lines), err
	}
	_, err = f.WriteString(line + "\n")
	return len(h.lines), errors.Join(err, f.Close())
}

// hints of a secret in a word that is no parameter's name, in lower case.
var hints = []string{"pass", "pwd", "secret", "token", "private"}

// tokenHint begins a value that holds the token of a node.
const tokenHint = "parley://"

// isSecret tells whether a line may hold a secret: something stands where a
// password would, even if the verb or the name was mistyped.
func (h *history) isSecret(line string) bool {
	words, err := split(line)
	if err != nil {
		words = strings.Fields(line)
	}
	for i, word := range words {
		name, value, has := strings.Cut(strings.TrimLeft(word, "-"), "=")
		lower := strings.ToLower(word)
		suspect, known := h.names[strings.ToLower(name)]
		if !known { // a mistyped name, or no name
			suspect = strings.HasPrefix(word, "--") || slices.ContainsFunc(hints, func(hint string) bool { return strings.Contains(lower, hint) })
		}
		switch {
		case strings.Contains(lower, tokenHint), suspect && has && value != "":
			return true
		case !suspect:
		case i+1 < len(words) && !strings.HasPrefix(words[i+1], "--"):
			return true
		}
	}
	return false
}

// GetLine gives one line, the oldest is 0.
func (h *history) GetLine(i int) (string, error) {
	if i < 0 || i >= len(h.lines) {
		return "", errors.New("shell: no such line in the history")
	}
	return h.lines[i], nil
}

// Len is how many lines there are.
func (h *history) Len() int { return len(h.lines) }

// Dump gives all lines.
func (h *history) Dump() any { return h.lines }
