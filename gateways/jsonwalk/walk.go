// Package jsonwalk reads JSON in place: members and elements are slices of the
// frame, nothing is copied and nothing is known of what they mean. Gateways whose
// frames are mostly passed on read them with it; whole values are decoded
// elsewhere.
package jsonwalk

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// Sound reports whether b is one JSON value: UTF-8, no key twice in one object,
// not nested deeper than most. Members, Quoted and Elements are for such only.
func Sound(b []byte, most int) bool { return Shallow(b, most) && jsontext.Value(b).IsValid() }

// Shallow reports whether nothing in b, of which nothing is known, nests deeper
// than most.
func Shallow(b []byte, most int) bool {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '{', '[':
			if depth++; depth > most {
				return false
			}
		case '}', ']':
			depth--
		case '"':
			i = stringEnd(b, i) - 1
		}
	}
	return true
}

// stringEnd is where the string that begins at b[i] is over, or b.
func stringEnd(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

// valueEnd is where the value that begins at b[i] is over.
func valueEnd(b []byte, i int) int {
	depth := 0
	for ; i < len(b); i++ {
		switch b[i] {
		case '{', '[':
			depth++
			continue
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
			continue
		case '"':
			i = stringEnd(b, i) - 1
		case ' ', '\t', '\r', '\n', ',', ':':
			continue
		default:
			for i+1 < len(b) && !ends[b[i+1]] {
				i++
			}
		}
		if depth == 0 {
			return i + 1
		}
	}
	return i
}

// ends are what may follow a number or a literal.
var ends = [256]bool{' ': true, '\t': true, '\r': true, '\n': true, ',': true, ']': true, '}': true}

// gap is where the first byte from b[i] on stands that is neither white space
// nor between two values.
func gap(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n' || b[i] == ',' || b[i] == ':') {
		i++
	}
	return i
}

// Members calls each for the members of an object, as long as it returns true,
// and reports whether it did and b is one. Names come without quotes and escapes.
func Members(b []byte, each func(name, value []byte) bool) bool { return members(b, false, each) }

// Quoted is Members with names as they stand in b, quotes and escapes and all.
func Quoted(b []byte, each func(name, value []byte) bool) bool { return members(b, true, each) }

func members(b []byte, quoted bool, each func(name, value []byte) bool) bool {
	i := gap(b, 0)
	if i == len(b) || b[i] != '{' {
		return false
	}
	for i = gap(b, i+1); b[i] != '}'; i = gap(b, i) {
		end := stringEnd(b, i)
		name := b[i:end]
		if !quoted {
			name = Unquoted(name)
		}
		i = gap(b, end)
		end = valueEnd(b, i)
		if !each(name, b[i:end]) {
			return false
		}
		i = end
	}
	return true
}

// Elements is Members for arrays.
func Elements(b []byte, each func(value []byte) bool) bool {
	if len(b) == 0 || b[0] != '[' {
		return false
	}
	for i := gap(b, 1); b[i] != ']'; i = gap(b, i) {
		end := valueEnd(b, i)
		if !each(b[i:end]) {
			return false
		}
		i = end
	}
	return true
}

// Unquoted is what a valid JSON string says: a slice of it where there is no escape.
func Unquoted(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	b, _ := jsontext.AppendUnquote(nil, quoted)
	return b
}

// Text unquotes a JSON string; false: it is none, or has an escape that is no
// character.
func Text(raw []byte) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), true
	}
	b, err := jsontext.AppendUnquote(nil, raw)
	return string(b), err == nil
}
