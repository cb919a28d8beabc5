package star

import (
	"bytes"
	"math/bits"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"parley/gateways/jsonwalk"
)

const (
	// maxDepth is how deep the values of a packet may nest: enough for programs,
	// too little to exhaust another client's parser.
	maxDepth = 32
	// maxArgs is how many arguments are looked at; what is behind them is not.
	maxArgs = 4
)

// args are the values of a packet's JSON array, raw. They point into the frame.
type args struct {
	list  [maxArgs][]byte
	count int // of all, also those that are not in list
}

// at is an argument, nil if there are not so many.
func (a *args) at(i int) []byte {
	if i >= min(a.count, maxArgs) {
		return nil
	}
	return a.list[i]
}

// parser is a decoder that is used again.
type parser struct {
	dec *jsontext.Decoder
	buf bytes.Buffer
}

var parsers = sync.Pool{New: func() any {
	p := &parser{}
	p.dec = jsontext.NewDecoder(&p.buf, halves)
	return p
}}

// halves lets half a surrogate pair in, as an escape: clients in JavaScript may
// write one. Where a string is looked at, text refuses it.
var halves = jsontext.AllowInvalidUTF8(true)

// start makes p read b, which is not kept beyond stop.
func (p *parser) start(b []byte) {
	p.buf = *bytes.NewBuffer(b)
	p.dec.Reset(&p.buf, halves)
}

func (p *parser) stop() {
	p.start(nil)
	parsers.Put(p)
}

// parse reports whether b is one JSON array, and takes it apart.
func (a *args) parse(b []byte) bool {
	if !jsonwalk.Shallow(b, maxDepth) {
		return false
	}
	p := parsers.Get().(*parser)
	defer p.stop()
	p.start(b)
	if p.dec.PeekKind() != '[' {
		return false
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return false
	}
	for p.dec.PeekKind() != ']' {
		v, err := p.dec.ReadValue()
		if err != nil {
			return false
		}
		if a.count < maxArgs {
			end := p.dec.InputOffset()
			a.list[a.count] = b[end-int64(len(v)) : end]
		}
		a.count++
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return false
	}
	_, err := p.dec.ReadToken()
	return err != nil && p.dec.InputOffset() == int64(len(bytes.TrimRight(b, " \t\r\n")))
}

// Keys of an object that stands for an attachment.
const (
	keyPlaceholder = "_placeholder"
	keyNumber      = "num"
)

// placed reports whether a packet's JSON, which is valid, has one placeholder for
// each of n attachments and no other. Whatever any client would take for one
// counts: an object with the key _placeholder.
func placed(b []byte, n int) bool {
	p := parsers.Get().(*parser)
	defer p.stop()
	p.start(b)
	w := walk{dec: p.dec}
	return w.value() && w.seen == 1<<n-1
}

// walk goes through a JSON value and notes the placeholders in it.
type walk struct {
	dec  *jsontext.Decoder
	seen uint // a bit for each number
}

func (w *walk) value() bool {
	kind := w.dec.PeekKind()
	if kind != '[' && kind != '{' {
		return w.dec.SkipValue() == nil
	}
	_, _ = w.dec.ReadToken() // its kind was peeked
	if kind == '{' {
		return w.object()
	}
	for w.dec.PeekKind() != ']' {
		if !w.value() {
			return false
		}
	}
	_, err := w.dec.ReadToken()
	return err == nil
}

// object reads the members of an object. One that is a placeholder has no other
// members, and a number that was not seen before.
func (w *walk) object() bool {
	members, is, num := 0, false, -1
	for ; w.dec.PeekKind() != '}'; members++ {
		name, err := w.dec.ReadToken()
		if err != nil {
			return false
		}
		switch name.String() {
		case keyPlaceholder:
			is = true
			if w.dec.PeekKind() != 't' || w.dec.SkipValue() != nil {
				return false
			}
		case keyNumber:
			if w.dec.PeekKind() != '0' {
				if !w.value() {
					return false
				}
				continue
			}
			raw, err := w.dec.ReadValue()
			if err != nil {
				return false
			}
			if n, err := strconv.ParseUint(string(raw), 10, bits.UintSize); err == nil && n < maxAttachments {
				num = int(n)
			}
		default:
			if !w.value() {
				return false
			}
		}
	}
	if _, err := w.dec.ReadToken(); err != nil || !is {
		return err == nil
	}
	if members != 2 || num < 0 || w.seen&(1<<num) != 0 {
		return false
	}
	w.seen |= 1 << num
	return true
}
