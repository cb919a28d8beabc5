package node

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/asynkron/protoactor-go/actor"

	"parley/messages/uipb"
)

const (
	maxLogValue = 2 << 10 // bytes of a message or a value that are broadcast
	maxLogLine  = 8 << 10 // bytes of a line, about
)

// Tee is a slog.Handler that passes records on, and also sends those that user
// interfaces are told to the actor of SpawnLogs. What these are does not depend
// on the level of the next handler: a log file may be silent while somebody
// watches. It never waits, and logs nothing itself.
type Tee struct {
	next  slog.Handler // fixed, as all of this
	tap   *tap         // shared by all that descend from one NewTee
	attrs string       // of WithAttrs, as they stand in a line
	group string       // of WithGroup, before each key: "a.b."
}

// tap is where lines go.
type tap struct {
	to    atomic.Pointer[drain] // nil: nowhere
	least atomic.Int32          // uipb.LogLevel: the least serious that is wanted
}

type drain struct {
	root *actor.RootContext
	logs *actor.PID
}

// NewTee makes a Tee that sends nothing until it is attached.
func NewTee(next slog.Handler) *Tee {
	t := &Tee{next: next, tap: &tap{}}
	t.Demand(uipb.LogLevel_LOG_LEVEL_INFO)
	return t
}

// Attach sends lines to logs from now on; nil: nowhere.
func (t *Tee) Attach(root *actor.RootContext, logs *actor.PID) {
	if logs == nil {
		t.tap.to.Store(nil)
		return
	}
	t.tap.to.Store(&drain{root, logs})
}

// Demand sets the least serious level that any user interface wants. It returns
// at once, and may be called from any goroutine.
func (t *Tee) Demand(least uipb.LogLevel) { t.tap.least.Store(int32(least)) }

// wanted is where lines of a level go; nil: nobody wants them.
func (t *tap) wanted(level uipb.LogLevel) *drain {
	if int32(level) > t.least.Load() {
		return nil
	}
	return t.to.Load()
}

// Enabled implements slog.Handler.
func (t *Tee) Enabled(ctx context.Context, l slog.Level) bool {
	return t.next.Enabled(ctx, l) || t.tap.wanted(levelOf(l)) != nil
}

// Handle implements slog.Handler.
func (t *Tee) Handle(ctx context.Context, r slog.Record) (err error) {
	if t.next.Enabled(ctx, r.Level) {
		err = t.next.Handle(ctx, r)
	}
	level := levelOf(r.Level)
	if to := t.tap.wanted(level); to != nil {
		to.root.Send(to.logs, &uipb.LogLine{Level: level, Text: t.line(r)})
	}
	return err
}

// WithAttrs implements slog.Handler.
func (t *Tee) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	b.WriteString(t.attrs)
	for _, a := range attrs {
		writeAttr(&b, t.group, a)
	}
	return &Tee{next: t.next.WithAttrs(attrs), tap: t.tap, attrs: b.String(), group: t.group}
}

// WithGroup implements slog.Handler.
func (t *Tee) WithGroup(name string) slog.Handler {
	if name == "" {
		return t
	}
	return &Tee{next: t.next.WithGroup(name), tap: t.tap, attrs: t.attrs, group: t.group + harmless(name, maxLogValue) + "."}
}

// levelOf is the level on the wire of a level here.
func levelOf(l slog.Level) uipb.LogLevel {
	switch {
	case l >= slog.LevelError:
		return uipb.LogLevel_LOG_LEVEL_ERROR
	case l >= slog.LevelWarn:
		return uipb.LogLevel_LOG_LEVEL_WARN
	case l >= slog.LevelInfo:
		return uipb.LogLevel_LOG_LEVEL_INFO
	case l >= slog.LevelDebug:
		return uipb.LogLevel_LOG_LEVEL_DEBUG
	default:
		return uipb.LogLevel_LOG_LEVEL_TRACE
	}
}

// line is a record's message, and key=value for each attribute.
func (t *Tee) line(r slog.Record) string {
	var b strings.Builder
	b.WriteString(harmless(r.Message, maxLogValue))
	b.WriteString(t.attrs)
	r.Attrs(func(a slog.Attr) bool {
		writeAttr(&b, t.group, a)
		return b.Len() < maxLogLine
	})
	return cut(b.String(), maxLogLine)
}

// writeAttr adds an attribute, unless the line is full.
func writeAttr(b *strings.Builder, group string, a slog.Attr) {
	v := a.Value.Resolve()
	if b.Len() >= maxLogLine || a.Equal(slog.Attr{}) {
		return
	}
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			group += harmless(a.Key, maxLogValue) + "."
		}
		for _, member := range v.Group() {
			writeAttr(b, group, member)
		}
		return
	}
	text := cut(valueText(v), maxLogValue)
	if text == "" || strings.ContainsFunc(text, needsQuotes) || !utf8.ValidString(text) {
		text = strconv.Quote(text)
	}
	b.WriteString(" " + group + harmless(a.Key, maxLogValue) + "=" + text)
}

func valueText(v slog.Value) string {
	switch v.Kind() {
	case slog.KindTime:
		return v.Time().Format(time.RFC3339Nano)
	case slog.KindAny:
		return fmt.Sprintf("%+v", v.Any())
	default:
		return v.String()
	}
}

func needsQuotes(r rune) bool { return r == ' ' || r == '=' || r == '"' || !strconv.IsPrint(r) }

// cut shortens s to at most bytes, and says so.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "…"
}

// harmless shows s, cut, on one line: no control characters, no changes of
// writing direction, nothing that is not UTF-8.
func harmless(s string, most int) string {
	s = cut(s, most)
	risky := func(r rune) bool { return r == utf8.RuneError || !strconv.IsPrint(r) }
	if !strings.ContainsFunc(s, risky) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if risky(r) {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}
