package mesh

import (
	"bytes"
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// How deep values may nest, see PROTOCOL.md, Frames: a client's values go into
// clients again, at the depth that they came from.
const (
	maxDepth      = 40 // of a frame
	maxValueDepth = 32 // of a message or nonce of a client
)

// sound reports whether b is one JSON value: UTF-8, no key twice in one object,
// not too deep. What walks values, below, is for such only.
func sound(b []byte, depth int) bool { return shallow(b, depth) && jsontext.Value(b).IsValid() }

// shallow reports whether nothing in b nests deeper than most.
func shallow(b []byte, most int) bool {
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
			for i+1 < len(b) && !bytes.ContainsRune(ends, rune(b[i+1])) {
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
var ends = []byte(" \t\r\n,]}")

// gap is where the first byte from b[i] on stands that is neither white space
// nor between two values.
func gap(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n' || b[i] == ',' || b[i] == ':') {
		i++
	}
	return i
}

// members calls each for the members of an object, as long as it returns true,
// and reports whether it did and b is one. Names come without quotes and escapes.
func members(b []byte, each func(name, value []byte) bool) bool {
	i := gap(b, 0)
	if i == len(b) || b[i] != '{' {
		return false
	}
	for i = gap(b, i+1); b[i] != '}'; i = gap(b, i) {
		end := stringEnd(b, i)
		name := b[i+1 : end-1]
		if bytes.IndexByte(name, '\\') >= 0 {
			name, _ = jsontext.AppendUnquote(nil, b[i:end])
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

// elements is members for arrays.
func elements(b []byte, each func(value []byte) bool) bool {
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

// text unquotes a string.
func text(raw []byte) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), true
	}
	b, err := jsontext.AppendUnquote(nil, raw)
	return string(b), err == nil
}

// maxInteger is the largest that every reader of JSON sees as it is.
const maxInteger = 1<<53 - 1

// integer reads a whole number that is not negative.
func integer(raw []byte) (uint64, bool) {
	n, err := strconv.ParseUint(string(raw), 10, 64)
	return n, err == nil && n <= maxInteger
}

// number reads any number.
func number(raw []byte) (float64, bool) {
	if len(raw) == 0 || raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	return f, err == nil
}

// truth reads a boolean.
func truth(raw []byte) (is, ok bool) {
	return string(raw) == "true", string(raw) == "true" || string(raw) == "false"
}

// quote appends s as a JSON string. What is written was UTF-8 when it came in.
func quote(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}

// appendFloat appends f, so that reading it gives f again; what JSON has no
// number for is 0.
func appendFloat(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		f = 0
	}
	return strconv.AppendFloat(dst, f, 'g', -1, 64)
}
