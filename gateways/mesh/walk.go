package mesh

import (
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
