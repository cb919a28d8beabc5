package uiv2

import (
	"bytes"
	"math"

	"github.com/go-json-experiment/json/jsontext"
)

// What follows reads JSON that parser.parse found valid, so it need not look
// for faults: only for where things end.

// cursor goes over the members of an object or the elements of a list.
type cursor struct {
	rest        []byte
	name, value []byte // raw; name is nil in a list
}

// walk begins with raw, which is an object or a list.
func walk(raw []byte) cursor { return cursor{rest: raw[1:]} }

// member goes to the next member of an object; false: there is none.
func (c *cursor) member() bool {
	if !c.next() {
		return false
	}
	c.name = c.take()
	c.next()
	c.value = c.take()
	return true
}

// element goes to the next element of a list; false: there is none.
func (c *cursor) element() bool {
	if !c.next() {
		return false
	}
	c.value = c.take()
	return true
}

// next finds where the next name or value begins.
func (c *cursor) next() bool {
	for i, b := range c.rest {
		switch b {
		case ' ', '\t', '\n', '\r', ',', ':':
			continue
		case '}', ']':
			return false
		}
		c.rest = c.rest[i:]
		return true
	}
	return false
}

func (c *cursor) take() (raw []byte) {
	n := length(c.rest)
	raw, c.rest = c.rest[:n:n], c.rest[n:]
	return raw
}

// length is how long the value is that b begins with.
func length(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i += stringLength(b[i:]) - 1
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
		}
	}
	return len(b)
}

// stringLength is how long the string is that b begins with, quotes included;
// all of b if it does not end.
func stringLength(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

// lookup finds a member of an object; nil: there is none. Names are compared
// as they are meant, whatever was escaped in them.
func lookup(object []byte, name string) (raw []byte) {
	for c := walk(object); c.member(); {
		if got, _ := plain(c.name); string(got) == name {
			return c.value
		}
	}
	return nil
}

// plain is what a string says. It points into raw unless something in it is
// escaped. false: raw is no string.
func plain(raw []byte) ([]byte, bool) {
	if raw[0] != '"' {
		return nil, false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], true
	}
	s, err := jsontext.AppendUnquote(nil, raw)
	return s, err == nil
}

// text is plain as a copy.
func text(raw []byte) (string, bool) {
	s, ok := plain(raw)
	return string(s), ok
}

// number reads an integer from 0 to 2^64-1. It never passes through a float,
// so 1.0 and 1e3 are none, as little as -0.
func number(raw []byte) (n uint64, ok bool) {
	for _, b := range raw {
		d := uint64(b - '0')
		if d > 9 || n > math.MaxUint64/10 || n*10 > math.MaxUint64-d {
			return 0, false
		}
		n = n*10 + d
	}
	return n, true
}

func isNull(raw []byte) bool { return raw[0] == 'n' }
