package wire

import (
	"bytes"
	"strconv"
)

// Stamp is what a published message's text begins with: "p<publisher>:<channel>:<seq>:<unix ns>:". The rest of the text
// is padding.
type Stamp struct {
	Publisher int
	Channel   int
	Seq       uint64
	// Nanos is when the message was, or should have been, sent: nanoseconds since 1970.
	Nanos int64
}

// MinText is the shortest text that holds every stamp of 5-digit publishers and channels, bytes.
const MinText = 56

// AppendText appends the stamp and its padding, size bytes in all (more when the stamp alone is longer).
func (s Stamp) AppendText(dst []byte, size int) []byte {
	start := len(dst)
	dst = append(dst, 'p')
	dst = strconv.AppendInt(dst, int64(s.Publisher), 10)
	dst = append(dst, ':')
	dst = strconv.AppendInt(dst, int64(s.Channel), 10)
	dst = append(dst, ':')
	dst = strconv.AppendUint(dst, s.Seq, 10)
	dst = append(dst, ':')
	dst = strconv.AppendInt(dst, s.Nanos, 10)
	dst = append(dst, ':')
	for pad := size - (len(dst) - start); pad > 0; {
		n := min(pad, len(padding))
		dst = append(dst, padding[:n]...)
		pad -= n
	}
	return dst
}

var padding = bytes.Repeat([]byte("abcdefghijklmnopqrstuvwxyz012345"), 32)

// stampMarker is how a stamp begins inside JSON: it is the start of a string.
var stampMarker = []byte(`"p`)

// Finder finds stamps in the JSON of deliveries. A server puts them at the same place in every frame, so it looks there
// first.
type Finder struct{ last int }

// Find returns the stamp in a delivery's JSON, or false when there is none: then it is no delivery of ours.
func (f *Finder) Find(json []byte) (Stamp, bool) {
	if f.last < len(json) {
		if s, ok := parseStamp(json[f.last:]); ok {
			return s, true
		}
	}
	for at := 0; ; {
		i := bytes.Index(json[at:], stampMarker)
		if i < 0 {
			return Stamp{}, false
		}
		at += i
		if s, ok := parseStamp(json[at:]); ok {
			f.last = at
			return s, true
		}
		at++
	}
}

// parseStamp reads a stamp from where its marker stands.
func parseStamp(b []byte) (Stamp, bool) {
	if !bytes.HasPrefix(b, stampMarker) {
		return Stamp{}, false
	}
	b = b[len(stampMarker):]
	var field [4]uint64
	for i := range field {
		n := 0
		for n < len(b) && b[n]-'0' <= 9 {
			field[i] = field[i]*10 + uint64(b[n]-'0')
			n++
		}
		// 19 digits fit an int64's positive half, which is all that a stamp uses.
		if n == 0 || n > 19 || n == len(b) || b[n] != ':' {
			return Stamp{}, false
		}
		b = b[n+1:]
	}
	const most = 1<<31 - 1
	if field[0] > most || field[1] > most || field[3] > 1<<63-1 {
		return Stamp{}, false
	}
	return Stamp{Publisher: int(field[0]), Channel: int(field[1]), Seq: field[2], Nanos: int64(field[3])}, true
}
