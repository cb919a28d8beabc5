package wire

import "bytes"

// Answer is a frame that is not a delivery. Its slices point into the frame.
type Answer struct {
	// Kind is the frame's type: "response" or "error".
	Kind []byte
	OK   bool
	// Reason is why not, as it stands in the JSON string; empty when OK.
	Reason []byte
	// Nonce is the nonce's text without quotes.
	Nonce []byte
}

// ParseAnswer searches a frame's JSON for its keys, whatever their order and spacing. It is false for a frame that is
// neither a response nor an error.
func ParseAnswer(json []byte) (Answer, bool) {
	kind, ok := Value(json, `"type"`)
	if !ok || (string(kind) != "response" && string(kind) != "error") {
		return Answer{}, false
	}
	a := Answer{Kind: kind}
	yes, _ := Value(json, `"ok"`)
	a.OK = string(yes) == "true"
	if !a.OK {
		a.Reason, _ = Value(json, `"reason"`)
	}
	a.Nonce, _ = Value(json, `"nonce"`)
	return a, true
}

// Value finds the value of the first place where quoted, a key with its quotes, stands as a key: a string's inside, not
// unescaped, or any other scalar's text. JSON inside a string has its quotes escaped and is never taken for a key.
func Value(json []byte, quoted string) ([]byte, bool) {
	key := []byte(quoted)
	for at := 0; ; {
		i := bytes.Index(json[at:], key)
		if i < 0 {
			return nil, false
		}
		at += i + len(key)
		b := bytes.TrimLeft(json[at:], " \t\r\n")
		if len(b) == 0 || b[0] != ':' {
			continue // it stands as a value
		}
		return scalar(bytes.TrimLeft(b[1:], " \t\r\n"))
	}
}

func scalar(b []byte) ([]byte, bool) {
	if len(b) == 0 {
		return nil, false
	}
	if b[0] != '"' {
		if n := bytes.IndexAny(b, ",}] \t\r\n"); n > 0 {
			return b[:n], true
		}
		return nil, false
	}
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return b[1:i], true
		}
	}
	return nil, false
}
