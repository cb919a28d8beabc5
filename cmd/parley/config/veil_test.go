package config

import (
	"strings"
	"testing"
)

// TestNeighborsAreShownWithoutTokens: all user interfaces see the Setup space,
// those of users who may only look, too.
func TestNeighborsAreShownWithoutTokens(t *testing.T) {
	const token = "TokenThatNobodySees0123456"
	space := SetupSpace(machine())
	for _, row := range space.Rows {
		if row.Name != optNeighbors {
			continue
		}
		if row.Veil == nil {
			t.Fatal("the tokens of neighbors are shown")
		}
		const value = "parley://" + token + "@10.0.0.1:1234?name=abc"
		stored, problem := space.Check(row.Name, value)
		if problem != "" {
			t.Fatal(problem)
		}
		shown := row.Veil(stored)
		if strings.Contains(shown, token) || !strings.Contains(shown, "@10.0.0.1:1234?name=abc") {
			t.Errorf("shown as %q", shown)
		}
		if _, problem := space.Check(row.Name, shown); problem == "" {
			t.Errorf("%q is taken for a descriptor with a token", shown)
		}
		return
	}
	t.Error("there is no such parameter")
}
