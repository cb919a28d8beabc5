// Package show makes what strangers wrote harmless on a terminal, and lines up
// what people read. Source: gateways/uiv2/PROTOCOL.md.
package show

import (
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Most is how much of one text is shown, in bytes: far above any real one.
const Most = 16 << 10

// Line is Clip at Most bytes.
func Line(s string) string { return Clip(s, Most) }

// Clip is Safe of at most bytes of s.
func Clip(s string, most int) string { return Safe(cut(s, most)) }

// Safe is s on one line, without control characters or changes of writing
// direction.
func Safe(s string) string {
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

// Text is s with its line breaks, each line as Line makes it, all but the first
// indented.
func Text(s string) string {
	lines := strings.Split(strings.TrimRight(cut(s, Most), "\r\n"), "\n")
	for i := range lines {
		lines[i] = Line(strings.TrimSuffix(lines[i], "\r"))
	}
	return strings.Join(lines, "\n  ")
}

// JSON is a JSON text with the same meaning and without characters that act on
// a terminal: such ones stand in strings only, where they have an escape.
func JSON(text []byte) []byte {
	s := string(text)
	if strings.IndexFunc(s, risky) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case !risky(r) || r < ' ': // white space between values; strings cannot hold it
			b.WriteRune(r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			unit(&b, high)
			unit(&b, low)
		default:
			unit(&b, r)
		}
	}
	return []byte(b.String())
}

// unit writes one UTF-16 unit as JSON escapes it.
func unit(b *strings.Builder, r rune) {
	b.WriteString(`\u`)
	hex := strconv.FormatInt(int64(r), 16)
	b.WriteString("0000"[len(hex):] + hex)
}

func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "…"
}

func risky(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar || r == '\u2028' || r == '\u2029'
}

// gap stands between two columns.
const gap = "  "

// columnMost is how wide a column gets at most. What is longer is shown whole, and
// only its own line is out of step.
const columnMost = 48

// Table prints rows in columns as wide as their widest cell, up to columnMost.
// Line makes cells harmless first. The last column is not padded.
func Table(w io.Writer, rows ...[]string) error {
	var widths []int
	safe := make([][]string, len(rows))
	for i, row := range rows {
		for j, cell := range row {
			cell = Line(cell)
			safe[i] = append(safe[i], cell)
			if j == len(widths) {
				widths = append(widths, 0)
			}
			if n := utf8.RuneCountInString(cell); n <= columnMost {
				widths[j] = max(widths[j], n)
			}
		}
	}
	var b strings.Builder
	for _, row := range safe {
		line := ""
		for j, cell := range row {
			if j > 0 {
				line += gap
			}
			line += cell + strings.Repeat(" ", max(0, widths[j]-utf8.RuneCountInString(cell)))
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
