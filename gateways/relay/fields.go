package relay

import (
	"bytes"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"parley/gateways/jsonwalk"
)

// maxDepth is how deep a frame's values may nest: enough for people, too little
// to exhaust a subscriber's parser.
const maxDepth = 32

// fields are the parts of a command frame that are looked at, as raw JSON. They
// point into the frame. Unknown keys are passed over, duplicate ones refused:
// two readers of one frame must not see different values.
type fields struct {
	verb, nonce                                  []byte
	topic, channel, password, message, ack, drop []byte // of data
	data                                         bool   // is an object
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

// parse reports whether frame is one JSON object and takes it apart.
func (f *fields) parse(frame []byte) bool {
	if !jsonwalk.Shallow(frame, maxDepth) {
		return false
	}
	p := parsers.Get().(*parser)
	defer func() {
		p.buf = bytes.Buffer{} // let go of the frame
		p.dec.Reset(&p.buf)
		parsers.Put(p)
	}()
	p.buf = *bytes.NewBuffer(frame)
	p.dec.Reset(&p.buf)
	ok := p.object(frame, func(name []byte) bool {
		switch string(name) {
		case `"command"`:
			return p.value(frame, &f.verb)
		case `"nonce"`:
			return p.value(frame, &f.nonce)
		case `"data"`:
			if p.dec.PeekKind() != '{' {
				return p.dec.SkipValue() == nil
			}
			f.data = true
			return p.object(frame, func(name []byte) bool { return f.inData(p, frame, name) })
		}
		return p.dec.SkipValue() == nil
	})
	if !ok {
		return false
	}
	_, err := p.dec.ReadToken()
	return err != nil && p.dec.InputOffset() == int64(len(bytes.TrimRight(frame, " \t\r\n")))
}

func (f *fields) inData(p *parser, frame, name []byte) bool {
	switch string(name) {
	case `"topic"`:
		return p.value(frame, &f.topic)
	case `"channel"`:
		return p.value(frame, &f.channel)
	case `"password"`:
		return p.value(frame, &f.password)
	case `"message"`:
		return p.value(frame, &f.message)
	case `"ack"`:
		return p.value(frame, &f.ack)
	case `"drop"`:
		return p.value(frame, &f.drop)
	}
	return p.dec.SkipValue() == nil
}

// object reads one object; member is called after each name, with the name as
// it would be without needless escapes, and reads the value.
func (p *parser) object(frame []byte, member func(name []byte) bool) bool {
	if p.dec.PeekKind() != '{' {
		return false
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return false
	}
	for p.dec.PeekKind() == '"' {
		var name []byte
		if !p.value(frame, &name) {
			return false
		}
		if bytes.IndexByte(name, '\\') >= 0 {
			plain, err := jsontext.AppendUnquote(nil, name)
			if err != nil {
				return false
			}
			name, _ = jsontext.AppendQuote(nil, plain)
		}
		if !member(name) {
			return false
		}
	}
	if p.dec.PeekKind() != '}' {
		return false
	}
	_, err := p.dec.ReadToken()
	return err == nil
}

// value reads one value and notes where it stands in the frame.
func (p *parser) value(frame []byte, to *[]byte) bool {
	v, err := p.dec.ReadValue()
	if err != nil {
		return false
	}
	end := p.dec.InputOffset()
	*to = frame[end-int64(len(v)) : end]
	return true
}

// clone copies raw out of the frame, whose memory is used again.
func clone(raw []byte) []byte {
	if raw == nil {
		return nil
	}
	return append(make([]byte, 0, len(raw)), raw...)
}
