package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/lmittmann/tint"
	"golang.org/x/term"

	"parley/cmd/parley/config"
	"parley/cmd/parley/show"
)

// maxLogValue is how much of a string value is logged, in bytes.
const maxLogValue = 2048

// logging says how a process logs.
type logging struct {
	level  slog.Level
	format string // text or json
	file   string // beside stderr; blank: none
}

// logOutput is where a process logs to.
type logOutput struct {
	logger *slog.Logger
	level  *slog.LevelVar // may be changed at any time
	stderr io.Writer
	file   *logFile // nil: none
}

// openLog makes the log of a process. Colour only on a terminal, and not if
// NO_COLOR is set.
func openLog(stderr io.Writer, l logging) (*logOutput, error) {
	o := &logOutput{level: new(slog.LevelVar), stderr: stderr}
	o.level.Set(l.level)
	handler := newHandler(stderr, o.level, l.format)
	if l.file != "" {
		var err error
		if o.file, err = openLogFile(l.file); err != nil {
			return nil, err
		}
		handler = slog.NewMultiHandler(handler, newHandler(o.file, o.level, l.format))
	}
	o.logger = slog.New(handler)
	return o, nil
}

func newHandler(w io.Writer, level slog.Leveler, format string) slog.Handler {
	if format == "json" {
		return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: plainAttr})
	}
	color := isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return tint.NewTextHandler(w, &tint.Options{Level: level, TimeFormat: time.RFC3339, NoColor: !color, ReplaceAttr: plainAttr})
}

func isTerminal(w io.Writer) bool {
	f, isFile := w.(*os.File)
	return isFile && term.IsTerminal(int(f.Fd()))
}

// reload says what a SIGHUP is: with a terminal that is gone, the end; without
// any, the wish for a new log file.
func (o *logOutput) reload(s os.Signal) bool { return s == syscall.SIGHUP && !isTerminal(o.stderr) }

// nodeLine passes on what a Node wrote to its stderr: it has its own time and level.
func (o *logOutput) nodeLine(pid uint32, line string) {
	text := fmt.Sprintf("node %d: %s\n", pid, line)
	_, _ = io.WriteString(o.stderr, text) // nobody may be listening any more
	if o.file != nil {
		_, _ = io.WriteString(o.file, text)
	}
}

// Reopen goes on in a file of the same name that may be another one by now.
func (o *logOutput) Reopen() {
	if o.file != nil {
		o.file.Reopen()
	}
}

// Close ends the file.
func (o *logOutput) Close() {
	if o.file != nil {
		_ = o.file.Close() // nothing is left to tell of it
	}
}

// plainAttr keeps what strangers wrote from acting on a terminal.
func plainAttr(_ []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(show.Clip(a.Value.String(), maxLogValue))
	case slog.KindAny:
		if err, ok := a.Value.Any().(error); ok {
			a.Value = slog.StringValue(show.Clip(err.Error(), maxLogValue))
		}
	}
	return a
}

// apply takes over an option that may change while a node runs.
func (o *logOutput) apply(name, value string) {
	if name == "log-level" {
		o.level.Set(config.Level(value))
	}
}
