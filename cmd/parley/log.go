package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/lmittmann/tint"
	"golang.org/x/term"

	"parley/actors/tree"
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

// logOutput is where a process logs to. Nobody who does waits.
type logOutput struct {
	logger   *slog.Logger
	level    *slog.LevelVar               // may be changed at any time
	screen   *logQueue                    // stderr
	terminal bool                         // screen is one
	kept     *logQueue                    // the file; nil: none
	file     *logFile                     // what kept writes to
	lost     atomic.Pointer[tree.Counter] // lines; nil: nobody asks
}

// openLog makes the log of a process. Colour only on a terminal, and not if
// NO_COLOR is set.
func openLog(stderr io.Writer, l logging) (*logOutput, error) {
	o := &logOutput{level: new(slog.LevelVar), terminal: isTerminal(stderr)}
	o.level.Set(l.level)
	color := o.terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	if l.file != "" {
		var err error
		if o.file, err = openLogFile(l.file); err != nil {
			return nil, err
		}
	}
	o.screen = newLogQueue(stderr, missing(l.format, color), func() {}, o.lose)
	handler := newHandler(o.screen, o.level, l.format, color)
	if o.file != nil {
		o.kept = newLogQueue(o.file, missing(l.format, false), o.file.Reopen, o.lose)
		handler = slog.NewMultiHandler(handler, newHandler(o.kept, o.level, l.format, false))
	}
	o.logger = slog.New(handler)
	return o, nil
}

func newHandler(w io.Writer, level slog.Leveler, format string, color bool) slog.Handler {
	if format == "json" {
		return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: plainAttr})
	}
	return tint.NewTextHandler(w, &tint.Options{Level: level, TimeFormat: time.RFC3339, NoColor: !color, ReplaceAttr: plainAttr})
}

// missing tells, as the log does, of lines that are not in it.
func missing(format string, color bool) func(w io.Writer, lines int64) {
	return func(w io.Writer, lines int64) {
		log := slog.New(newHandler(w, slog.LevelWarn, format, color))
		log.Warn("log lines lost here: they came faster than they were taken", slog.Int64("lines", lines))
	}
}

// lose counts a line that is not in the log.
func (o *logOutput) lose() {
	if c := o.lost.Load(); c != nil {
		c.Add(1)
	}
}

func isTerminal(w io.Writer) bool {
	f, isFile := w.(*os.File)
	return isFile && term.IsTerminal(int(f.Fd()))
}

// reload says what a SIGHUP is: with a terminal that is gone, the end; without
// any, the wish for a new log file.
func (o *logOutput) reload(s os.Signal) bool { return s == syscall.SIGHUP && !o.terminal }

// nodeLine passes on what a Node wrote to its stderr: it has its own time and level.
func (o *logOutput) nodeLine(pid uint32, line string) {
	text := fmt.Sprintf("node %d: %s\n", pid, line)
	_, _ = io.WriteString(o.screen, text) // it never fails
	if o.kept != nil {
		_, _ = io.WriteString(o.kept, text)
	}
}

// Reopen goes on in a file of the same name that may be another one by now.
func (o *logOutput) Reopen() {
	if o.kept != nil {
		o.kept.Turn()
	}
}

// Close writes what waits, and ends the file. Nothing is logged any more. It
// waits for lastWords at most: who does not read must not keep a process from its
// end.
func (o *logOutput) Close() { _ = o.end(nil) }

// end is Close for a process that ends with err, which is told as main would. What
// it returns has the same exit code, and nothing more to say.
func (o *logOutput) end(err error) error {
	until, said := time.Now().Add(lastWords), complaint(err)
	_ = o.screen.Close(lastWords, said)
	if o.kept != nil && o.kept.Close(time.Until(until), "") {
		_ = o.file.Close() // nothing is left to tell of it
	}
	if said == "" {
		return err
	}
	return &toldError{err}
}

// abort ends the process at once, when a second signal comes.
func (o *logOutput) abort() {
	o.logger.Warn("stopped without goodbye: second signal")
	o.Close()
	os.Exit(exitFailed)
}

// toldError is an error whose text was written.
type toldError struct{ was error }

func (*toldError) Error() string { return "" }

func (e *toldError) Unwrap() error { return e.was }

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
