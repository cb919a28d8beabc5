package node

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/uipb"
	"parley/testkit"
)

// record logs one line through a handler.
func record(h slog.Handler, l slog.Level, text string, attrs ...slog.Attr) {
	slog.New(h).LogAttrs(context.Background(), l, text, attrs...)
}

// onTee has what a Tee sends collected.
func onTee(t *testing.T, next slog.Handler, test func(t *testing.T, tee *Tee, lines func() []*uipb.LogLine)) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		var got []*uipb.LogLine
		var logs *actor.PID
		w := newWorld(t, d, func(w *world, ctx actor.Context) {
			logs = w.paper(ctx, "logs", func(ctx actor.Context) {
				if m, ok := ctx.Message().(*uipb.LogLine); ok {
					got = append(got, m)
				}
			})
		})
		tee := NewTee(next)
		record(tee, slog.LevelError, "nobody hears this")
		tee.Attach(w.sys.Root, logs)
		test(t, tee, func() []*uipb.LogLine {
			d.Settle()
			out := got
			got = nil
			return out
		})
		w.stop()
	})
}

type secretive struct{}

// LogValue implements slog.LogValuer.
func (secretive) LogValue() slog.Value { return slog.StringValue("***") }

type explosive struct{}

// Error implements error.
func (*explosive) Error() string { panic("told to") }

func TestTeeLines(t *testing.T) {
	at := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	long := strings.Repeat("ö", maxLogValue) // two bytes each
	for _, c := range []struct {
		name  string
		text  string
		with  func(h slog.Handler) slog.Handler
		attrs []slog.Attr
		want  string
	}{
		{name: "no attributes", text: "hello, world", want: "hello, world"},
		{name: "plain values", text: "a", attrs: []slog.Attr{slog.Int("n", -1), slog.Bool("b", true), slog.Duration("d", time.Second), slog.Time("t", at)}, want: "a n=-1 b=true d=1s t=2024-05-06T07:08:09Z"},
		{name: "quoted", text: "a", attrs: []slog.Attr{slog.String("x", "b c"), slog.String("e", ""), slog.String("q", `"`), slog.String("k", "v=1")}, want: `a x="b c" e="" q="\"" k="v=1"`},
		{name: "an error", text: "a", attrs: []slog.Attr{slog.Any("error", errors.New("no such thing"))}, want: `a error="no such thing"`},
		{name: "nothing", text: "a", attrs: []slog.Attr{slog.Any("x", nil), {}}, want: "a x=<nil>"},
		{name: "an error that fails", text: "a", attrs: []slog.Attr{slog.Any("x", (*explosive)(nil))}, want: "a x=<nil>"},
		{name: "a hidden value", text: "a", attrs: []slog.Attr{slog.Any("x", secretive{})}, want: "a x=***"},
		{name: "a group", text: "a", attrs: []slog.Attr{slog.Group("g", slog.Int("x", 1), slog.Group("h", slog.Int("y", 2)), slog.Group("empty"))}, want: "a g.x=1 g.h.y=2"},
		{name: "an inlined group", text: "a", attrs: []slog.Attr{slog.Group("", slog.Int("x", 1))}, want: "a x=1"},
		{name: "with attributes and groups", text: "a", with: func(h slog.Handler) slog.Handler {
			return h.WithAttrs([]slog.Attr{slog.Int("x", 1)}).WithGroup("g").WithGroup("").WithAttrs([]slog.Attr{slog.Int("y", 2)}).WithGroup("h")
		}, attrs: []slog.Attr{slog.Int("z", 3)}, want: "a x=1 g.y=2 g.h.z=3"},
		{name: "many lines", text: "a\r\nb\tc\x1b[31m\x00", attrs: []slog.Attr{slog.String("x\n", "1\n2")}, want: `a\r\nb\tc\x1b[31m\x00 x\n="1\n2"`},
		{name: "another direction", text: "a\u202eb\u2066\u200b\u2028\ufeff", attrs: []slog.Attr{slog.String("x", "\u202e")}, want: `a\u202eb\u2066\u200b\u2028\ufeff x="\u202e"`},
		{name: "no UTF-8", text: "a\xff", attrs: []slog.Attr{slog.String("x", "\xff")}, want: `a\ufffd x="\xff"`},
		{name: "long", text: long, attrs: []slog.Attr{slog.String("x", "a"+long)}, want: long[:maxLogValue] + "… x=a" + long[:maxLogValue-2] + "…"},
	} {
		t.Run(c.name, func(t *testing.T) {
			onTee(t, slog.DiscardHandler, func(t *testing.T, tee *Tee, lines func() []*uipb.LogLine) {
				var h slog.Handler = tee
				if c.with != nil {
					h = c.with(h)
				}
				record(h, slog.LevelInfo, c.text, c.attrs...)
				got := lines()
				if len(got) != 1 || got[0].GetText() != c.want || got[0].GetLevel() != levelInfo {
					t.Errorf("lines are %v, want %q", got, c.want)
				}
			})
		})
	}
}

// TestTeeLineIsBounded however many attributes there are.
func TestTeeLineIsBounded(t *testing.T) {
	onTee(t, slog.DiscardHandler, func(t *testing.T, tee *Tee, lines func() []*uipb.LogLine) {
		var attrs []slog.Attr
		for range 100 {
			attrs = append(attrs, slog.String("x", strings.Repeat("\n", maxLogValue)))
		}
		record(tee, slog.LevelInfo, "a", attrs...)
		record(tee.WithAttrs(attrs), slog.LevelInfo, "a", attrs...)
		record(tee, slog.LevelInfo, "a", slog.Any("g", slog.GroupValue(attrs...)))
		for _, m := range lines() {
			if n := len(m.GetText()); n < maxLogLine || n > maxLogLine+len("…") {
				t.Errorf("a line has %d bytes", n)
			}
		}
	})
}

// TestTeeLevels: what the next handler gets and what user interfaces get do not
// depend on each other.
func TestTeeLevels(t *testing.T) {
	levels := []slog.Level{slog.LevelError + 4, slog.LevelError, slog.LevelWarn + 1, slog.LevelWarn, slog.LevelInfo, slog.LevelDebug, slog.LevelDebug - 4}
	names := []uipb.LogLevel{levelError, levelError, levelWarn, levelWarn, levelInfo, levelDebug, levelTrace}
	for _, c := range []struct {
		file   slog.Level
		demand uipb.LogLevel
		inFile int
		toUIs  int
	}{
		{slog.LevelInfo, levelInfo, 5, 5},
		{slog.LevelInfo, levelTrace, 5, 7},
		{slog.LevelInfo, levelDebug, 5, 6},
		{slog.LevelError + 100, levelInfo, 0, 5},
		{slog.LevelDebug - 4, levelInfo, 7, 5},
		{slog.LevelWarn, levelError, 4, 2},
	} {
		var file bytes.Buffer
		onTee(t, slog.NewTextHandler(&file, &slog.HandlerOptions{Level: c.file}), func(t *testing.T, tee *Tee, lines func() []*uipb.LogLine) {
			file.Reset()
			tee.Demand(c.demand)
			h := tee.WithGroup("g") // what descends from it follows
			for i, l := range levels {
				if want := i < max(c.inFile, c.toUIs); h.Enabled(context.Background(), l) != want {
					t.Errorf("%v: enabled %v, want %v", l, !want, want)
				}
				record(h, l, "hello")
			}
			if n := strings.Count(file.String(), "hello"); n != c.inFile {
				t.Errorf("file %v, demand %v: the file has %d lines, want %d", c.file, c.demand, n, c.inFile)
			}
			got := lines()
			if len(got) != c.toUIs {
				t.Errorf("file %v, demand %v: user interfaces get %d lines, want %d", c.file, c.demand, len(got), c.toUIs)
			}
			for i, m := range got {
				if m.GetLevel() != names[i] {
					t.Errorf("%v is told as %v", levels[i], m.GetLevel())
				}
			}
		})
	}
}

// TestTeePassesOn all that slog wants of a handler, and its errors.
func TestTeePassesOn(t *testing.T) {
	var file bytes.Buffer
	tee := NewTee(slog.NewTextHandler(&file, nil))
	err := slogtest.TestHandler(tee, func() (out []map[string]any) {
		for line := range strings.Lines(file.String()) {
			m := map[string]any{}
			for field := range strings.FieldsSeq(line) {
				key, value, _ := strings.Cut(field, "=")
				at := m
				parts := strings.Split(key, ".")
				for _, group := range parts[:len(parts)-1] {
					if at[group] == nil {
						at[group] = map[string]any{}
					}
					at = at[group].(map[string]any)
				}
				at[parts[len(parts)-1]] = value
			}
			out = append(out, m)
		}
		return out
	})
	if err != nil {
		t.Error(err)
	}
	full := errors.New("disk full")
	tee = NewTee(slog.NewTextHandler(broken{full}, nil))
	if err := tee.Handle(context.Background(), slog.Record{}); !errors.Is(err, full) {
		t.Errorf("handled with %v", err)
	}
}

type broken struct{ err error }

// Write implements io.Writer.
func (b broken) Write([]byte) (int, error) { return 0, b.err }

// TestTeeFromEverywhere logs and changes on many goroutines, under the real
// dispatcher.
func TestTeeFromEverywhere(t *testing.T) {
	sys := tree.New(tree.Options{Log: slog.New(slog.DiscardHandler)})
	root := Spawn(sys, "node", func(actor.Context) {})
	tee := NewTee(slog.DiscardHandler)
	const lines = 500
	done := make(chan struct{})
	n := 0
	logs := tree.Spawn(sys.Root, "logs", tree.Spec{New: func() actor.Actor {
		return &paper{func(ctx actor.Context) {
			if _, ok := ctx.Message().(*uipb.LogLine); ok {
				if n++; n == 4*lines {
					close(done)
				}
			}
		}}
	}})
	tee.Attach(sys.Root, logs)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			log := slog.New(tee).With(slog.Int("x", 1))
			for i := range lines {
				tee.Demand([]uipb.LogLevel{levelInfo, levelTrace}[i%2])
				tee.Attach(sys.Root, logs)
				log.Info("hello")
			}
		})
	}
	all.Wait()
	<-done
	_ = sys.Root.StopFuture(logs).Wait()
	_ = sys.Root.StopFuture(root).Wait()
	sys.Shutdown()
}

// FuzzHarmless: whatever is logged, a line of it is one line.
func FuzzHarmless(f *testing.F) {
	for _, s := range []string{"", "a", "a\nb", "\xff\xfe", "\u202e", strings.Repeat("é", maxLogValue), "…\ufffd"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		tee := NewTee(slog.DiscardHandler)
		r := slog.NewRecord(time.Time{}, slog.LevelInfo, text, 0)
		r.AddAttrs(slog.String(value, text), slog.String("k", value))
		line := tee.line(r)
		if !utf8.ValidString(line) || len(line) > maxLogLine+len("…") {
			t.Fatalf("the line is %q", line)
		}
		for _, c := range line {
			if unicode.IsControl(c) || unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp) {
				t.Fatalf("the line has %q: %q", c, line)
			}
		}
	})
}
