package main

import (
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/lmittmann/tint"
	"golang.org/x/term"

	"parley/cmd/parley/config"
)

// maxLogValue is how much of a string value is logged, in bytes.
const maxLogValue = 2048

// newLogger writes to w as the options say; colour only on a terminal, and not
// if NO_COLOR is set.
func newLogger(w io.Writer, c *config.Node) *slog.Logger {
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: c.Level(), ReplaceAttr: plainAttr}))
	}
	f, isFile := w.(*os.File)
	color := isFile && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return slog.New(tint.NewTextHandler(w, &tint.Options{Level: c.Level(), TimeFormat: time.RFC3339, NoColor: !color, ReplaceAttr: plainAttr}))
}

// plainAttr keeps what strangers wrote from acting on a terminal.
func plainAttr(_ []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(plain(a.Value.String(), maxLogValue))
	case slog.KindAny:
		if err, ok := a.Value.Any().(error); ok {
			a.Value = slog.StringValue(plain(err.Error(), maxLogValue))
		}
	}
	return a
}

// plain is oneLine, cut at most bytes.
func plain(s string, most int) string {
	if len(s) > most {
		for most > 0 && !utf8.RuneStart(s[most]) {
			most--
		}
		s = s[:most] + "…"
	}
	return oneLine(s)
}

// oneLine shows s on one line without control characters or changes of writing
// direction.
func oneLine(s string) string {
	if strings.IndexFunc(s, risky) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if !risky(r) {
			b.WriteRune(r)
			continue
		}
		b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
	}
	return b.String()
}

func risky(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar || r == '\u2028' || r == '\u2029'
}
