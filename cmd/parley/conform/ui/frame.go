package ui

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"parley/cmd/parley/talk"
)

// Keys of the envelope. Source: gateways/uiv2/PROTOCOL.md, Envelope.
const (
	keyOpcode  = "opcode"
	keyContext = "contextId"
	keyPayload = "payload"
	keyError   = "error"
)

// frame is a message of the server that keeps to the envelope.
type frame struct {
	text    string
	keys    []string // in their order
	opcode  string
	context *uint64 // nil: it has none
	payload jsontext.Value
	code    uint64 // of an error; 0: it is none
	message string // of an error
}

// parse reads a message strictly: no key stands twice, and numbers have digits only.
func parse(text []byte) (*frame, error) {
	members, keys, err := object(text)
	if err != nil {
		return nil, fmt.Errorf("%.300s: %w", text, err)
	}
	f := &frame{text: string(text), keys: keys, payload: members[keyPayload]}
	if err := f.fill(members); err != nil {
		return nil, fmt.Errorf("%.300s: %w", text, err)
	}
	return f, nil
}

func (f *frame) fill(members map[string]jsontext.Value) (err error) {
	if f.opcode, err = str(members[keyOpcode]); err != nil || f.opcode == "" {
		return errors.New("its opcode is no string")
	}
	if raw, ok := members[keyContext]; ok {
		n, err := number(raw)
		if err != nil {
			return fmt.Errorf("its contextId: %w", err)
		}
		f.context = &n
	}
	failure, bad := members[keyError]
	switch {
	case (f.payload != nil) == bad:
		return errors.New("it has not exactly one of payload and error")
	case !bad && f.payload.Kind() != '{':
		return errors.New("its payload is no object")
	case !bad:
		return nil
	}
	in, _, err := object(failure)
	if err != nil {
		return fmt.Errorf("its error: %w", err)
	}
	if f.code, err = number(in["code"]); err != nil || f.code == 0 {
		return fmt.Errorf("the code of its error is %s", in["code"])
	}
	if f.message, err = str(in["message"]); err != nil {
		return errors.New("its error has no message")
	}
	return nil
}

// object takes an object apart, strictly.
func object(text []byte) (members map[string]jsontext.Value, keys []string, err error) {
	d := jsontext.NewDecoder(bytes.NewReader(text))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return nil, nil, errors.New("it is no JSON object")
	}
	members = map[string]jsontext.Value{}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, nil, err
		}
		key := name.String() // valid until the next read
		value, err := d.ReadValue()
		if err != nil {
			return nil, nil, err
		}
		members[key] = bytes.Clone(value)
		keys = append(keys, key)
	}
	_, err = d.ReadToken()
	if rest := bytes.TrimSpace(text[d.InputOffset():]); err == nil && len(rest) > 0 {
		err = fmt.Errorf("%.40q stands behind it", rest)
	}
	return members, keys, err
}

func str(raw jsontext.Value) (string, error) {
	if raw.Kind() != '"' {
		return "", errors.New("no string")
	}
	b, err := jsontext.AppendUnquote(nil, raw)
	return string(b), err
}

// number reads an integer from 0 to 2^64-1, in digits.
func number(raw jsontext.Value) (uint64, error) {
	n, err := strconv.ParseUint(string(raw), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%.40q is no integer from 0 to 2^64-1", string(raw))
	}
	return n, nil
}

// ordered says whether the keys stand as they must.
func (f *frame) ordered() bool {
	want := []string{keyOpcode, keyContext, keyPayload}
	if f.context == nil {
		want = []string{keyOpcode, keyPayload}
	}
	if f.code != 0 {
		want[len(want)-1] = keyError
	}
	return slices.Equal(f.keys, want)
}

// redirect is where a Daemon sends a request.
type redirect struct {
	Port    uint16  `json:"port"`
	Opcode  string  `json:"opcode"`
	Context *uint64 `json:"contextId"`
	Payload string  `json:"payload"` // JSON
}

// redirected reads the payload of a redirect.
func (f *frame) redirected() (*redirect, error) {
	r := &redirect{}
	if err := talk.Decode(f.payload, r, "port", "opcode", "payload"); err != nil {
		return nil, fmt.Errorf("the redirect %.300s: %w", f.text, err)
	}
	if members, _, err := object(f.payload); err != nil || members[keyContext] == nil || r.Port == 0 {
		return nil, fmt.Errorf("the redirect %.300s is without port or contextId", f.text)
	}
	return r, nil
}

// dump is the answer to setup, and its broadcast.
type dump struct {
	Running bool       `json:"running"`
	Values  []value    `json:"values"`
	Errors  [][]string `json:"errors"`
}

type value struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Status string `json:"status"`
}

func (d *dump) find(name string) (value, bool) {
	for _, v := range d.Values {
		if v.Name == name {
			return v, true
		}
	}
	return value{}, false
}

// complains says whether the errors name a parameter.
func (d *dump) complains(name string) bool {
	return slices.ContainsFunc(d.Errors, func(e []string) bool { return len(e) == 2 && e[0] == name && e[1] != "" })
}

// same compares payloads as JSON.
func same(a, b jsontext.Value) bool {
	a, b = bytes.Clone(a), bytes.Clone(b)
	return a.Canonicalize() == nil && b.Canonicalize() == nil && bytes.Equal(a, b)
}
