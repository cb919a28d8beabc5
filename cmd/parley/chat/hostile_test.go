package chat

import (
	"strings"
	"testing"
	"testing/synctest"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// evil is what people could send to garble the screen of others.
var evil = []string{
	"\x1b[2J\x1b[H", "\x1b]0;title\a", "\x1b[31mred", "\x9b2J", "\x1bP+q\x1b\\", "\r\n\r\n", "\b\b\b\b", "\t\t\t", "\x00\x07\x7f",
	"\u202egnp.exe", "\u2066\u2067\u2068\u2069", "\u200f\u200e\u061c", "\u200b\u200d\ufeff", "\u2028\u2029",
	"e" + strings.Repeat("\u0301", 200), "\u0301\u0302", "❤\ufe0f", "b\ufe0fo\ufe0eb", "👩\u200d💻", "👍🏽", "🇩🇪", "🇩",
	"\xff\xfe", "\U000e0041\U000e0042", "\u3164\u115f", strings.Repeat("世", 200), strings.Repeat("W", 500), "क्षि", "\u1160\u1160",
	"\u0e33\u0e33", "\ufff9\ufffa\ufffb", "\u180e", "﷽",
}

// TestHostileNames: what people call themselves and say changes nothing but the
// places that are for it.
func TestHostileNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chatting(t, 80, 24)
		s.hear(changed{contact{address: bob, state: stateFriend, presence: presence{alias: strings.Join(evil, ""), status: available, message: strings.Join(evil, "")}}})
		for i, text := range evil {
			s.hear(received{bob, entry{serial: uint64(10 + i), text: text, at: noon}})
		}
		s.hear(changed{contact{address: "10.0.0.9", state: statePending, presence: presence{alias: "\x1b[2J\u202eevil\u0301\n", message: "\x1b]0;x\a"}}})
		s.golden("hostile")
		s.press("pgup")
		s.golden("hostile_above")
		s.whole()
	})
}

// TestHostileNothing: with anything from other people, the places around it stay
// as they are.
func TestHostileNothing(t *testing.T) {
	frameOf := func(alias, message, text string) []string {
		s := newStage(t, 80, 24)
		l := people()
		l.list.contacts = l.list.contacts[:1]
		l.list.contacts[0].name = ""
		l.list.contacts[0].presence.alias = alias
		l.list.contacts[0].presence.message = message
		s.hear(l)
		s.hear(answer{to: last[historyAsk](t, s.p), entries: []entry{{serial: 1, text: text, at: noon}}})
		got := s.m.View().Content
		for _, r := range got {
			if r != '\x1b' && r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError) {
				t.Fatalf("%q is on the screen", r)
			}
		}
		return strings.Split(s.frame(), "\n")
	}
	calm := frameOf("x", "x", "x")
	rapid.Check(t, func(rt *rapid.T) {
		some := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.SampledFrom(evil)), func(all []string) string { return strings.Join(all, "") }))
		got := frameOf(some.Draw(rt, "alias"), some.Draw(rt, "message"), some.Draw(rt, "text"))
		for i := range calm {
			switch {
			case i == 0 || i >= 22: // own status; what is typed, and keys
				if got[i] != calm[i] {
					rt.Fatalf("row %d is %q, not %q", i, got[i], calm[i])
				}
			case i == 1: // whom it is with
				if !strings.HasPrefix(got[i], calm[i][:23]) {
					rt.Fatalf("row %d is %q, not %q", i, got[i], calm[i])
				}
			case i < 21:
				if at := strings.Index(got[i]+" ", divider); width(got[i][:max(at, 0)]) != listWidth && len(strings.TrimSpace(got[i])) > 1 {
					rt.Fatalf("the divider of row %d is moved: %q", i, got[i])
				}
			}
		}
	})
}

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"plain":         "plain",
		"\x1b[31m":      `\x1b[31m`,
		"a\u202eb":      `a\u202eb`,
		"e\u0301":       "e\u0301",
		"\u0301":        `\u0301`,
		"❤\ufe0f":       "❤",
		"b\ufe0f":       `b\ufe0f`,
		"b\ufe0e":       `b\ufe0e`,
		" \u0301":       ` \u0301`,
		"\u3164":        `\u3164`,
		"한국어":           "한국어",
		"👍🏽":            "👍",
		"世界":            "世界",
		"grüße, Ελλάδα": "grüße, Ελλάδα",
		"नमस्ते":        "नमस्ते",
		"שלום":          "שלום",
	} {
		if got := plain(in, 1000); got != want {
			t.Errorf("%q becomes %q, not %q", in, got, want)
		}
	}
}

// TestWrap: no row is too wide, and nothing is lost.
func TestWrap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := plain(rapid.OneOf(rapid.String(), rapid.StringMatching(`([a-z]{0,12} {0,3}){0,12}`), rapid.StringMatching(`[a世 ]{0,60}`)).Draw(rt, "text"), 1000)
		columns := rapid.IntRange(2, 30).Draw(rt, "columns")
		rows := wrap(text, columns)
		for _, r := range rows {
			if width(r) > columns {
				rt.Fatalf("%q is wider than %d", r, columns)
			}
		}
		squeeze := func(s string) string { return strings.ReplaceAll(s, " ", "") }
		if got, want := squeeze(strings.Join(rows, "")), squeeze(text); got != want {
			rt.Fatalf("%q became %q", want, got)
		}
	})
	if got := strings.Join(wrap("क्षि", 2), "|"); got != "क्ष|ि" { // one place of three columns
		t.Errorf("got %q", got)
	}
	got := strings.Join(wrap("one two three  four fivesixseven", 8), "|")
	if want := "one two|three|four|fivesixs|even"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
