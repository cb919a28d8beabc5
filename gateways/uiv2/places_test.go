package uiv2

import (
	"testing"

	"parley/messages/linkpb"
)

// TestPlaces: who may only change things, or look, leaves room for owners.
func TestPlaces(t *testing.T) {
	for _, c := range []struct{ most, others int64 }{{1, 1}, {4, 4}, {8, 7}, {2000, 1750}} {
		g := &Gateway{MaxLinks: c.most}
		if got := g.places(&linkpb.Peer{Owner: true, Changes: true}); got != c.most {
			t.Errorf("of %d places owners get %d", c.most, got)
		}
		for _, p := range []*linkpb.Peer{{Changes: true}, {}} {
			if got := g.places(p); got != c.others {
				t.Errorf("of %d places others get %d, want %d", c.most, got, c.others)
			}
		}
	}
}
