package verbs

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzBook reads any file as the public Enclave program's: it is refused with a
// word that does nothing to a terminal, or all that it says is asked for, once.
func FuzzBook(f *testing.F) {
	f.Add([]byte(`{"friends": {"fc12::3": "Ann", "fc12::2": null}, "enemies": ["fc12::4"], "alias": "Anon", "statusmsg": "hi", "theme": 1}`))
	f.Add([]byte(`{"friends":{"x\u001b":"\u202e"},"enemies":["",""]}`))
	f.Add([]byte("{\"alias\":\"\xff\"}"))
	f.Add([]byte(`{"friends":{},"friends":{}}`))
	f.Add([]byte(`[]`))
	name := filepath.Join(f.TempDir(), "config.json")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		book, err := readBook(name)
		if err != nil {
			if strings.ContainsFunc(err.Error(), unicode.IsControl) || !utf8.ValidString(err.Error()) {
				t.Errorf("%q", err.Error())
			}
			return
		}
		want := len(book.Friends) + len(book.Enemies)
		for _, text := range []string{book.Alias, book.Message} {
			if text != "" {
				want++
			}
		}
		all := book.entries()
		if len(all) != want {
			t.Fatalf("%d entries of %+v", len(all), book)
		}
		for _, one := range all {
			payload, err := json.Marshal(one.q.Payload)
			if err != nil || one.q.Opcode == "" {
				t.Fatalf("%+v: %v", one, err)
			}
			var members map[string]any
			if err := json.Unmarshal(payload, &members); err != nil {
				t.Fatalf("%s: %v", payload, err)
			}
			if address, ok := members["address"].(string); ok && address != one.what {
				t.Errorf("%q is asked for as %q", one.what, address)
			}
		}
	})
}
