package jsonwalk

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// again is what walking finds in a sound value, put together anew.
func again(t *testing.T, b []byte) any {
	b = b[gap(b, 0):valueEnd(b, 0)]
	switch b[0] {
	case '{':
		o := map[string]any{}
		if !Members(b, func(name, value []byte) bool {
			o[string(name)] = again(t, value)
			return true
		}) {
			t.Fatalf("%s: no object", b)
		}
		if len(o) > 0 && Members(b, func(_, _ []byte) bool { return false }) {
			t.Fatalf("%s: goes on when told not to", b)
		}
		return o
	case '[':
		l := []any{}
		if !Elements(b, func(value []byte) bool {
			l = append(l, again(t, value))
			return true
		}) {
			t.Fatalf("%s: no array", b)
		}
		return l
	case '"':
		s, ok := Text(b)
		if !ok || s != string(Unquoted(b)) {
			t.Fatalf("%s: %q, %v and %q", b, s, ok, Unquoted(b))
		}
		return s
	}
	if _, ok := Text(b); ok {
		t.Fatalf("%s is a text", b)
	}
	return json.Number(b)
}

var values = []string{
	`{}`, `[]`, ` { } `, `{"a":1}`, `{"a" : [ 1 , -2.5e-3 , {"b":null} ] , "\u0063\"" : "\\" , "d":true}`, `["{", "]", "\"}", ""]`,
	`"x"`, `12`, `null`, `[[[[]]],{"":{"":""}}]`, "{\n\t\"a\"\r: false}",
}

// FuzzWalk compares with a parser: whatever is sound reads the same.
func FuzzWalk(f *testing.F) {
	for _, v := range values {
		f.Add([]byte(v))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		const most = 20
		if !Sound(b, most) {
			_ = Shallow(b, most)
			return
		}
		d := json.NewDecoder(strings.NewReader(string(b)))
		d.UseNumber()
		var want any
		if err := d.Decode(&want); err != nil {
			t.Fatalf("%q is sound, and %v", b, err)
		}
		if diff := cmp.Diff(want, plain(again(t, b))); diff != "" {
			t.Fatalf("%q: want -, got +:\n%s", b, diff)
		}
	})
}

// plain gives literals, which walking leaves as they stand, the parser's form.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case json.Number:
		switch v {
		case "null":
			return nil
		case "true", "false":
			return v == "true"
		}
	}
	return v
}

func TestShallow(t *testing.T) {
	for b, want := range map[string]bool{
		"": true, `"`: true, `"\`: true, "[[[": true, "[[[[": false, `{"[[[[":[[]]}`: true, "[][][][]": true, "]]]][[[": true, `"\"[[[["`: true,
	} {
		if got := Shallow([]byte(b), 3); got != want {
			t.Errorf("%q: %v", b, got)
		}
	}
}

func TestQuoted(t *testing.T) {
	var got []string
	if !Quoted([]byte(`{"\u0061" : "\u0062"}`), func(name, value []byte) bool {
		got = append(got, string(name), string(value))
		return true
	}) || !cmp.Equal(got, []string{`"\u0061"`, `"\u0062"`}) {
		t.Errorf("got %q", got)
	}
	for _, b := range []string{"", " ", "[]", `"a"`, "1"} {
		if Members([]byte(b), nil) || b != "[]" && Elements([]byte(b), nil) {
			t.Errorf("%q is walked", b)
		}
	}
}

func TestText(t *testing.T) {
	for _, b := range []string{"", `"`, "x", `"\ud800"`} {
		if s, ok := Text([]byte(b)); ok {
			t.Errorf("%q is the text %q", b, s)
		}
	}
}
