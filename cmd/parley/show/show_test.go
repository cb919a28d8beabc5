package show

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"parley/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

func TestLineAndText(t *testing.T) {
	for in, want := range map[string][2]string{
		"plain é 🦜":                {"plain é 🦜", "plain é 🦜"},
		"a\x1b[2J\u202e\u0085\x7f": {`a\x1b[2J\u202e\u0085\u007f`, `a\x1b[2J\u202e\u0085\u007f`},
		"one\r\ntwo\n":             {`one\r\ntwo\n`, "one\n  two"},
		"\xff":                     {`\ufffd`, `\ufffd`},
		"":                         {"", ""},
	} {
		if got := Line(in); strings.ReplaceAll(got, `\x7f`, `\u007f`) != want[0] {
			t.Errorf("%q: want %q, got %q", in, want[0], got)
		}
		if got := Text(in); strings.ReplaceAll(got, `\x7f`, `\u007f`) != want[1] {
			t.Errorf("%q: want %q, got %q", in, want[1], got)
		}
	}
	if got := Line(strings.Repeat("é", Most)); len(got) > Most+len("…") || !utf8.ValidString(got) {
		t.Errorf("%d bytes", len(got))
	}
}

// FuzzJSON : the same meaning, and nothing that acts on a terminal.
func FuzzJSON(f *testing.F) {
	f.Add("a\u202e\x7f\u0085\U000e0001 é \\ \" \x1b\n")
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "?")
		raw, err := json.Marshal(map[string]string{s: s})
		if err != nil {
			t.Fatal(err)
		}
		safe := JSON(append(raw, '\n'))
		var back map[string]string
		if err := json.Unmarshal(safe, &back); err != nil || back[s] != s {
			t.Errorf("%q became %q: %v", raw, safe, err)
		}
		if at := strings.IndexFunc(strings.TrimSuffix(string(safe), "\n"), risky); at >= 0 {
			t.Errorf("%q is risky at %d", safe, at)
		}
	})
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no room") }

func TestTable(t *testing.T) {
	var b strings.Builder
	if err := Table(&b, []string{"A", "B", "C"}, []string{"é\x1b", "", "long"}, []string{"x"}); err != nil {
		t.Fatal(err)
	}
	if want := "A      B  C\né\\x1b     long\nx\n"; b.String() != want {
		t.Errorf("want %q, got %q", want, b.String())
	}
	b.Reset()
	long := strings.Repeat("x", columnMost+1)
	if err := Table(&b, []string{"A", "B"}, []string{long, "1"}, []string{"short", "2"}); err != nil {
		t.Fatal(err)
	}
	if want := "A      B\n" + long + "  1\nshort  2\n"; b.String() != want {
		t.Errorf("want %q, got %q", want, b.String())
	}
	if Table(full{}, []string{"A"}) == nil {
		t.Error("nobody noticed")
	}
}
