package vault

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func secret(t testing.TB, text string) *Secret {
	t.Helper()
	s, err := NewSecret([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// TestSecretNeverPrints looks at all ways to make text of a Secret, by itself
// and inside of something.
func TestSecretNeverPrints(t *testing.T) {
	const text = "Xyzzy-4711"
	s := secret(t, text)
	type box struct {
		S    *Secret
		s    *Secret
		Some []*Secret
		Map  map[string]*Secret
		Any  any
	}
	b := box{s, s, []*Secret{s}, map[string]*Secret{"s": s}, s}
	shown := []string{s.String(), s.GoString(), fmt.Sprint(s), fmt.Sprint(b), fmt.Sprintln(s, b), fmt.Errorf("%w %v", errWrong, s).Error()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%o", "%b", "%c", "%U", "%T", "%10.3s", "%[1]*[2]v", "%!"} {
		shown = append(shown, fmt.Sprintf(verb, s), fmt.Sprintf(verb, b), fmt.Sprintf(verb, &b), fmt.Sprintf(verb, []*Secret{s}))
	}
	var out bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		log := slog.New(h)
		log.Info("x", "s", s, "b", b, slog.Group("g", slog.Any("s", s)))
		log.With("s", s).Info("x")
	}
	shown = append(shown, out.String())
	for _, v := range []any{s, b, &b, []*Secret{s}, map[string]any{"s": s}} {
		j, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		shown = append(shown, string(j))
	}
	for _, text := range shown {
		low := strings.ToLower(text)
		for _, hint := range []string{"xyzzy", "4711", fmt.Sprintf("%x", "Xyzzy"), strings.Trim(fmt.Sprint([]byte("Xyzzy")), "[]")} {
			if strings.Contains(low, hint) {
				t.Errorf("%.100q… shows %q", text, hint)
			}
		}
	}
	if fmt.Sprint(s) != masked {
		t.Errorf("looks like %v", s)
	}
}

func TestSecret(t *testing.T) {
	for _, text := range []string{"", "short", strings.Repeat("long", 5000)} {
		b := []byte(text)
		s, err := NewSecret(b)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b, make([]byte, len(b))) {
			t.Error("what it was made of is still there")
		}
		var page []byte
		s.Open(func(b []byte) {
			page = b
			if b == nil || string(b) != text {
				t.Errorf("holds %.20q, want %.20q", b, text)
			}
		})
		if cap(page) != len(page) {
			t.Error("what is behind it can be had")
		}
		s.Close()
		s.Close()
		s.Open(func(b []byte) {
			if b != nil {
				t.Errorf("closed, it holds %q", b)
			}
		})
	}
	var none *Secret
	none.Open(func(b []byte) {
		if b != nil {
			t.Errorf("nil holds %q", b)
		}
	})
	none.Close()
}
