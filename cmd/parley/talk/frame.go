package talk

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Subprotocol is the WebSocket subprotocol of user interfaces.
const Subprotocol = "MASQNode-UIv2"

// frameLimit is the longest message that is taken, in bytes: ten thousand
// channels with their statistics are about a fifth of it.
const frameLimit = 16 << 20

// outward is what a question looks like; the keys have this order.
type outward struct {
	Opcode  string         `json:"opcode"`
	Context *uint64        `json:"contextId,omitempty"` // nil: isolated
	Payload jsontext.Value `json:"payload"`
}

// inward is what comes from a server.
type inward struct {
	Opcode  *string        `json:"opcode"`
	Context jsontext.Value `json:"contextId"`
	Payload jsontext.Value `json:"payload"`
	Error   jsontext.Value `json:"error"`
}

// frame is a message of a server that was understood.
type frame struct {
	opcode  string
	context uint64 // 0: isolated; ours count from 1
	payload jsontext.Value
	fault   *Refused // instead of payload
}

// parse takes one message. Keys must be spelled exactly and stand once; unknown
// ones are ignored.
func parse(b []byte) (*frame, error) {
	if jsontext.Value(b).Kind() != '{' {
		return nil, errors.New("it is no JSON object")
	}
	var in inward
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, err
	}
	if in.Opcode == nil {
		return nil, errors.New("it has no opcode")
	}
	f := &frame{opcode: *in.Opcode, payload: in.Payload}
	if in.Context != nil {
		if err := number(in.Context, &f.context); err != nil {
			return nil, fmt.Errorf("contextId: %w", err)
		}
	}
	switch {
	case (in.Payload == nil) == (in.Error == nil):
		return nil, errors.New("it has not exactly one of payload and error")
	case in.Payload != nil && in.Payload.Kind() != '{':
		return nil, errors.New("its payload is no object")
	case in.Error != nil:
		var err error
		if f.fault, err = parseFault(in.Error); err != nil {
			return nil, fmt.Errorf("error: %w", err)
		}
		f.fault.Opcode = f.opcode
	}
	return f, nil
}

func parseFault(raw jsontext.Value) (*Refused, error) {
	var in struct {
		Code    jsontext.Value `json:"code"`
		Message *string        `json:"message"`
	}
	if err := Decode(raw, &in, "code", "message"); err != nil {
		return nil, err
	}
	r := &Refused{Message: *in.Message}
	if err := number(in.Code, &r.Code); err != nil {
		return nil, fmt.Errorf("code: %w", err)
	}
	return r, nil
}

// number takes an integer without sign, fraction or exponent.
func number(raw jsontext.Value, to *uint64) error {
	if raw.Kind() != '0' {
		return fmt.Errorf("%.40q is no number", string(raw))
	}
	return json.Unmarshal(raw, to)
}

// Decode reads an object into a struct. The fields named by required must be
// there and not null.
func Decode(raw jsontext.Value, into any, required ...string) error {
	if raw.Kind() != '{' {
		return errors.New("it is no object")
	}
	var fields map[string]jsontext.Value
	if err := json.Unmarshal(raw, &fields); err != nil {
		return err
	}
	for _, name := range required {
		if v, ok := fields[name]; !ok || v.Kind() == 'n' {
			return fmt.Errorf("it has no %s", name)
		}
	}
	return json.Unmarshal(raw, into)
}

// Redirect is where a Node is, and what to ask it.
type redirect struct {
	port    uint16
	context uint64 // of the question; 0: none
}

func parseRedirect(raw jsontext.Value) (*redirect, error) {
	var in struct {
		Port    uint16  `json:"port"`
		Context *uint64 `json:"contextId"`
	}
	if err := Decode(raw, &in, "port"); err != nil {
		return nil, err
	}
	if in.Port == 0 {
		return nil, errors.New("port 0 is none")
	}
	r := &redirect{port: in.Port}
	if in.Context != nil {
		r.context = *in.Context
	}
	return r, nil
}
