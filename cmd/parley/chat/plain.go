package chat

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"parley/cmd/parley/show"
)

const (
	// nameMost is how much of a name is looked at, in bytes; an alias has at most
	// 128.
	nameMost = 256
	// clusterMost is how many characters may share a place on the screen: more are
	// there to climb out of their row.
	clusterMost = 6
	// symbols begin here; what is before are letters, where an unseen character can
	// only deceive.
	symbols = 0x2000
)

// plain is at most most bytes of s on one line, without anything that acts on a
// terminal or that terminals disagree about.
func plain(s string, most int) string {
	s = show.Clip(s, most)
	if ascii(s) {
		return s
	}
	var b strings.Builder
	for s != "" {
		cluster, _ := ansi.FirstGraphemeCluster(s, ansi.GraphemeWidth)
		s = s[len(cluster):]
		if settled(cluster) {
			b.WriteString(cluster)
			continue
		}
		take(&b, cluster)
	}
	return b.String()
}

// unseen are characters that look like none, but count as letters or symbols, and
// parts of Korean syllables, which need another one before. Source: Unicode 15.0,
// DerivedCoreProperties.txt, Default_Ignorable_Code_Point; HangulSyllableType.txt.
var unseen = &unicode.RangeTable{R16: []unicode.Range16{
	{Lo: 0x115F, Hi: 0x11FF, Stride: 1},
	{Lo: 0x2800, Hi: 0x2800, Stride: 1},
	{Lo: 0x3164, Hi: 0x3164, Stride: 1},
	{Lo: 0xD7B0, Hi: 0xD7FB, Stride: 1},
	{Lo: 0xFFA0, Hi: 0xFFA0, Stride: 1},
}}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// settled tells whether all terminals give a cluster the same place, or at least
// keep to one with scripts that need marks.
func settled(cluster string) bool {
	first, size := utf8.DecodeRuneInString(cluster)
	rest := cluster[size:]
	if unicode.IsMark(first) || unicode.Is(unseen, first) || utf8.RuneCountInString(cluster) > clusterMost ||
		rest != "" && first < symbols && (!unicode.IsLetter(first) || strings.IndexFunc(rest, variation) >= 0) {
		return false
	}
	wide, other := ansi.StringWidth(cluster), ansi.StringWidthWc(cluster)
	if wide == other && wide > 0 {
		return true
	}
	return other > 0 && strings.IndexFunc(cluster, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) || variation(r) }) < 0
}

// take writes what is left of a cluster when its parts are taken by themselves.
func take(b *strings.Builder, cluster string) {
	last := rune(0) // that was written as it is
	for _, r := range cluster {
		s := string(r)
		switch {
		case last >= symbols && (variation(r) || unicode.Is(unicode.Sk, r)): // how an emoji is to look
		case last == 0 && !unicode.IsMark(r) && !unicode.Is(unseen, r) && ansi.StringWidth(s) > 0 && ansi.StringWidth(s) == ansi.StringWidthWc(s):
			b.WriteRune(r)
			last = r
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
}

// variation tells whether r chooses how the character before it looks.
func variation(r rune) bool { return unicode.Is(unicode.Variation_Selector, r) }

// width is how many columns plain text takes.
func width(s string) int { return ansi.StringWidthWc(s) }

// fit cuts plain text to columns, or fills it up with blanks.
func fit(s string, columns int) string {
	if columns <= 0 {
		return ""
	}
	w := width(s)
	if w > columns {
		mark := cutMark[:min(len(cutMark), columns)]
		s = head(s, columns-len(mark)) + mark
		w = width(s)
	}
	return s + strings.Repeat(" ", columns-w)
}

// head is the begin of plain text that fits into columns.
func head(s string, columns int) string {
	at := 0
	for at < len(s) {
		cluster, w := ansi.FirstGraphemeCluster(s[at:], ansi.WcWidth)
		if columns -= w; columns < 0 {
			break
		}
		at += len(cluster)
	}
	return s[:at]
}

// cutMark ends what did not fit.
const cutMark = ".."

// part is the begin of a cluster that is wider than columns, as signs of several
// letters are in some scripts: no row would ever have room for all of it.
func part(cluster string, columns int) (begin string, w int) {
	for at, r := range cluster {
		more := width(string(r))
		if at > 0 && w+more > columns {
			return cluster[:at], w
		}
		w += more
	}
	return cluster, w
}

// wrap breaks plain text into rows, between words where it can.
func wrap(s string, columns int) []string {
	columns = max(columns, 2) // a wide character fits
	var rows []string
	begin, at, cols := 0, 0, 0 // of this row
	space := -1                // behind the last blank of this row
	for at < len(s) {
		cluster, w := ansi.FirstGraphemeCluster(s[at:], ansi.WcWidth)
		if at == begin && w > columns {
			cluster, w = part(cluster, columns)
		}
		if cols+w > columns {
			end := at
			if space > begin && cluster != " " {
				end = space
			}
			rows = append(rows, strings.TrimRight(s[begin:end], " "))
			for end < at && s[end] == ' ' {
				end++
			}
			if cluster == " " { // it ends the row
				at += len(cluster)
				end = at
			}
			begin, space = end, -1
			cols = width(s[begin:at])
			continue
		}
		at += len(cluster)
		cols += w
		if cluster == " " {
			space = at
		}
	}
	return append(rows, s[begin:])
}
