package daemon

import (
	"strings"
	"testing"

	"parley/messages/uipb"
)

// TestVeil: what is secret in a value is shown to nobody, and a form that was
// filled in from a dump changes nothing when it comes back.
func TestVeil(t *testing.T) {
	s := &Space{
		Rows:  []Row{{Name: "neighbors", Veil: func(v string) string { return strings.ReplaceAll(v, "token", mask) }}},
		Check: func(_, v string) (stored, problem string) { return v, "" },
		Cross: func(map[string]string) ([]Problem, []string) { return nil, nil },
	}
	c := &contents{set: map[string]string{}, configured: map[string]string{}, stale: map[string]string{}}
	change := func(value string) *revision {
		v := s.revise(c, true, []*uipb.SetupChange{{Name: "neighbors", Value: &value}})
		if len(v.bad) > 0 {
			t.Fatalf("%q: %v", value, v.bad)
		}
		c = v.draft
		return v
	}
	shown := func() string { return s.dump(s.look(c), false, nil).GetValues()[0].GetValue() }
	if v := change("token@here"); len(v.names) != 1 || string(v.puts[0].GetValue()) != "token@here" {
		t.Errorf("the first change: %+v", v)
	}
	if got := shown(); got != mask+"@here" {
		t.Errorf("it is shown as %q", got)
	}
	if v := change(mask + "@here"); len(v.names)+len(v.puts) != 0 || c.set["neighbors"] != "token@here" {
		t.Errorf("what was shown came back: %+v", v)
	}
	if v := change("token@there"); len(v.names) != 1 || shown() != mask+"@there" {
		t.Errorf("another value: %+v, %q", v, shown())
	}
	if change(""); shown() != "" {
		t.Errorf("none is shown as %q", shown())
	}
	if got := s.settings(s.look(&contents{set: map[string]string{"neighbors": "token@here"}})).settings; len(got) != 1 || got[0].GetValue() != "token@here" {
		t.Errorf("a Node gets %v", got)
	}
}
