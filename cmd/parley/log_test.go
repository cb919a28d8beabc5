package main

import (
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"parley/cmd/parley/show"
)

func TestPlain(t *testing.T) {
	for _, c := range []struct {
		in, want string
		most     int
	}{
		{"", "", 10},
		{"grün 🦜 日本", "grün 🦜 日本", 100},
		{"\x1b[2J\r\n\t\x00\x7f", `\x1b[2J\r\n\t\x00\x7f`, 100},
		{"a\u202eb\u2066c\u200dd\ufeffe", `a\u202eb\u2066c\u200dd\ufeffe`, 100},
		{"\u2028\u2029\u0085\u009b", `\u2028\u2029\u0085\u009b`, 100},
		{"bad \xff\xfe", `bad \ufffd\ufffd`, 100},
		{"\U000e0041", `\U000e0041`, 100},
		{"abcdef", "abc…", 3},
		{"aéé", "aé…", 4},
	} {
		if got := show.Clip(c.in, c.most); got != c.want {
			t.Errorf("%q: want %s, got %s", c.in, c.want, got)
		}
	}
}

// TestPlainIsHarmless tries everything.
func TestPlainIsHarmless(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "in")
		got := show.Clip(in, rapid.IntRange(0, 40).Draw(t, "most"))
		if !utf8.ValidString(got) {
			t.Fatalf("%q: not UTF-8: %q", in, got)
		}
		for _, r := range got {
			if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
				t.Fatalf("%q: %q", in, got)
			}
		}
	})
}

// TestLogIsHarmless logs what strangers wrote.
func TestLogIsHarmless(t *testing.T) {
	const nasty = "\x1b[2J\r\nINF all is well\u202e\u2066"
	for _, format := range []string{"text", "json"} {
		var out strings.Builder
		log := slog.New(newHandler(&out, slog.LevelInfo, format, false))
		log.Info(nasty, "text", nasty, "error", errors.New(nasty))
		log.WithGroup("group").With("more", nasty).Info("hello", slog.Group("inner", "text", nasty))
		if strings.ContainsAny(out.String(), "\x1b\r\u202e\u2066") || strings.Count(out.String(), "\n") != 2 {
			t.Errorf("%s: %q", format, out.String())
		}
		if format != "json" {
			continue
		}
		for line := range strings.Lines(out.String()) {
			if !json.Valid([]byte(line)) {
				t.Errorf("no JSON: %s", line)
			}
		}
	}
}
