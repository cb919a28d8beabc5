package chat

import (
	"slices"
	"strings"
	"unicode"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// fieldMost is how long what is typed can get, in characters.
const fieldMost = 16 << 10

// field is a line that is being typed.
type field struct {
	text   []rune
	at     int  // the cursor is before this one
	secret bool // it is not shown
}

func (f *field) value() string { return string(f.text) }

func (f *field) set(s string) {
	f.text = []rune(s)
	f.at = len(f.text)
}

// insert puts text at the cursor, without line breaks and control characters.
// false: not all of it fits.
func (f *field) insert(s string) bool {
	s = strings.ToValidUTF8(strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ", "\t", " ").Replace(s), "")
	add := slices.DeleteFunc([]rune(s), unicode.IsControl)
	room := fieldMost - len(f.text)
	whole := len(add) <= room
	add = add[:min(len(add), max(room, 0))]
	f.text = slices.Insert(f.text, f.at, add...)
	f.at += len(add)
	return whole
}

// key edits; false: the key means nothing here.
func (f *field) key(k tea.KeyPressMsg) bool {
	switch k.String() {
	case "left", "ctrl+b":
		f.at = max(f.at-1, 0)
	case "right", "ctrl+f":
		f.at = min(f.at+1, len(f.text))
	case "home", "ctrl+a":
		f.at = 0
	case "end", "ctrl+e":
		f.at = len(f.text)
	case "alt+left", "ctrl+left", "alt+b":
		f.at = f.word(-1)
	case "alt+right", "ctrl+right", "alt+f":
		f.at = f.word(1)
	case "backspace", "ctrl+h", "shift+backspace":
		f.cut(max(f.at-1, 0), f.at)
	case "delete", "ctrl+d":
		f.cut(f.at, min(f.at+1, len(f.text)))
	case "ctrl+w", "alt+backspace", "ctrl+backspace":
		f.cut(f.word(-1), f.at)
	case "alt+d":
		f.cut(f.at, f.word(1))
	case "ctrl+u":
		f.cut(0, f.at)
	case "ctrl+k":
		f.cut(f.at, len(f.text))
	default:
		if k.Text == "" {
			return false
		}
		f.insert(k.Text)
	}
	return true
}

func (f *field) cut(from, to int) {
	f.text = slices.Delete(f.text, from, to)
	f.at = from
}

// word is where the cursor comes to by one word.
func (f *field) word(step int) int {
	next := func(at int) (rune, bool) {
		if step < 0 {
			at--
		}
		if at < 0 || at >= len(f.text) {
			return 0, false
		}
		return f.text[at], true
	}
	at, inside := f.at, false
	for {
		r, ok := next(at)
		if !ok || inside && unicode.IsSpace(r) {
			return at
		}
		inside = inside || !unicode.IsSpace(r)
		at += step
	}
}

// show is the part around the cursor that fits into columns, plain, and where in
// it the cursor is.
func (f *field) show(columns int) (text string, cursor int) {
	if columns <= 1 {
		return "", 0
	}
	before, behind := f.pieces(f.text[:f.at]), f.pieces(f.text[f.at:])
	for i := len(before) - 1; i >= 0; i-- {
		w := width(before[i])
		if cursor+w > columns-1 {
			break
		}
		text, cursor = before[i]+text, cursor+w
	}
	cols := cursor
	for _, p := range behind {
		if cols += width(p); cols > columns {
			break
		}
		text += p
	}
	return text, cursor
}

// pieces are what is shown of text, cluster by cluster; one that does not fit
// into a row is cut by who shows it.
func (f *field) pieces(text []rune) []string {
	if f.secret {
		return slices.Repeat([]string{"*"}, len(text))
	}
	var all []string
	for s := string(text); s != ""; {
		cluster, _ := ansi.FirstGraphemeCluster(s, ansi.WcWidth)
		s = s[len(cluster):]
		if p := plain(cluster, len(cluster)); p != "" {
			all = append(all, p)
		}
	}
	return all
}
