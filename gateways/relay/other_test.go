package relay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"unicode"
	"unicode/utf8"
)

// objectOf is what the standard library's parser sees in a frame. sound: it is
// one object, of UTF-8, that repeats no key and does not nest too deep.
func objectOf(frame []byte) (members map[string]json.RawMessage, sound bool) {
	if !utf8.Valid(frame) || json.Unmarshal(frame, &members) != nil || members == nil {
		return nil, false
	}
	return members, walk(json.NewDecoder(bytes.NewReader(frame))) == nil
}

// walk goes through all tokens of a document.
func walk(d *json.Decoder) error {
	d.UseNumber()
	var open []map[string]bool // keys of the objects around; nil: a list
	key := false               // the next string is a key
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch token := token.(type) {
		case json.Delim:
			switch token {
			case '{':
				open = append(open, map[string]bool{})
			case '[':
				open = append(open, nil)
			default:
				open = open[:len(open)-1]
			}
			if len(open) > maxDepth {
				return errors.New("too deep")
			}
		case string:
			if key {
				keys := open[len(open)-1]
				if keys[token] {
					return fmt.Errorf("key %q twice", token)
				}
				keys[token], key = true, false
				continue
			}
		}
		key = len(open) > 0 && open[len(open)-1] != nil
	}
}

// validName is the rule for channel names, said in another way.
func validName(name string) error {
	if name == "" || len(name) > 256 || !utf8.ValidString(name) {
		return fmt.Errorf("name of %d bytes", len(name))
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			return fmt.Errorf("name %q", name)
		}
	}
	return nil
}

func protocolText(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
