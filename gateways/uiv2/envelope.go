package uiv2

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"parley/messages/uipb"
)

// Keys of the envelope. Source: PROTOCOL.md, Envelope.
const (
	keyOpcode  = "opcode"
	keyContext = "contextId"
	keyPayload = "payload"
	keyError   = "error"
)

// Limits of a frame: enough for any message there is, too little to exhaust a
// parser, ours or one that a payload is handed on to.
const (
	maxDepth   = 32   // objects and lists within each other, the frame itself counted
	maxMembers = 1000 // members of all objects and elements of all lists together
)

// envelope holds the parts of a frame as raw JSON, nil when absent. They point
// into the frame.
type envelope struct {
	opcode, contextID, payload, failure []byte
}

// parser is a decoder that is used again.
type parser struct {
	dec *jsontext.Decoder
	buf bytes.Buffer
}

var parsers = sync.Pool{New: func() any {
	p := &parser{}
	p.dec = jsontext.NewDecoder(&p.buf)
	return p
}}

// open checks that frame is one JSON object within the limits, and takes it
// apart.
func (e *envelope) open(frame []byte) (fault string) {
	if fault = oversized(frame); fault != "" {
		return "Couldn't parse text as JSON: " + fault
	}
	p := parsers.Get().(*parser)
	root, err := p.parse(frame)
	p.buf = bytes.Buffer{} // let go of the frame
	p.dec.Reset(&p.buf)
	parsers.Put(p)
	if err != nil {
		return "Couldn't parse text as JSON: " + strings.ToValidUTF8(strings.TrimPrefix(err.Error(), "jsontext: "), "?")
	}
	if root[0] != '{' {
		return "Root was not a JSON object: " + shown(root)
	}
	for c := walk(root); c.member(); {
		name, _ := plain(c.name)
		switch string(name) {
		case keyOpcode:
			e.opcode = c.value
		case keyContext:
			e.contextID = c.value
		case keyPayload:
			e.payload = c.value
		case keyError:
			e.failure = c.value
		}
	}
	return ""
}

var (
	errNothing = errors.New("there is no text")
	errMore    = errors.New("the text goes on after its first value")
)

// parse returns the one value in frame. It is strict: keys that stand twice,
// bad UTF-8 and halves of surrogate pairs are errors anywhere in it.
func (p *parser) parse(frame []byte) (root []byte, err error) {
	p.buf = *bytes.NewBuffer(frame)
	p.dec.Reset(&p.buf)
	v, err := p.dec.ReadValue()
	if errors.Is(err, io.EOF) {
		return nil, errNothing
	}
	if err != nil {
		return nil, err
	}
	end := p.dec.InputOffset()
	root = frame[end-int64(len(v)) : end]
	switch _, err = p.dec.ReadToken(); {
	case errors.Is(err, io.EOF):
		return root, nil
	case err == nil:
		return nil, errMore
	}
	return nil, err
}

// context notes the conversation.
func (e *envelope) context(r *uipb.Request) (fault string) {
	if e.contextID == nil {
		return ""
	}
	id, ok := number(e.contextID)
	if !ok {
		return mistyped(keyContext, typeNumber, e.contextID)
	}
	r.Context = &id
	return ""
}

var emptyObject = []byte("{}")

// content notes the payload, or that there is an error instead.
func (e *envelope) content(r *uipb.Request) (flaw string) {
	switch {
	case e.payload == nil && e.failure == nil:
		return missing(keyPayload + ", " + keyError)
	case e.payload != nil && e.failure != nil:
		return "Exactly one of payload and error may be there, but both were"
	case e.failure != nil:
		r.Error, r.Payload = true, emptyObject
		return failure(e.failure)
	case e.payload[0] != '{':
		return mistyped(keyPayload, typeObject, e.payload)
	case len(e.payload) == len(emptyObject):
		r.Payload = emptyObject // shared: a sent message is frozen
	default:
		r.Payload = append(make([]byte, 0, len(e.payload)), e.payload...)
	}
	return ""
}

// failure checks the error of an envelope.
func failure(raw []byte) (flaw string) {
	if raw[0] != '{' {
		return mistyped(keyError, typeObject, raw)
	}
	code := lookup(raw, "code")
	if code == nil {
		return missing("error.code")
	}
	if _, ok := number(code); !ok {
		return mistyped("error.code", typeNumber, code)
	}
	message := lookup(raw, "message")
	if message == nil {
		return missing("error.message")
	}
	if message[0] != '"' {
		return mistyped("error.message", typeString, message)
	}
	return ""
}

// oversized says which limit frame is over, if any. Of text that is no JSON it
// may say anything: that is refused in any case.
func oversized(frame []byte) (fault string) {
	depth, members := 0, 0
	opened := false // what comes next is the first within a bracket, or its end
	for i := 0; i < len(frame); i++ {
		b := frame[i]
		switch b {
		case ' ', '\t', '\n', '\r':
			continue
		case '}', ']':
			depth--
			opened = false
			continue
		case ',':
			members++
			continue
		}
		if opened {
			members++
			opened = false
		}
		switch b {
		case '{', '[':
			if depth++; depth > maxDepth {
				return "values nest deeper than 32"
			}
			opened = true
		case '"':
			i += stringLength(frame[i:]) - 1
		}
	}
	if members > maxMembers {
		return "there are more than 1000 members"
	}
	return ""
}
