package mesh

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/messages/meshpb"
	"parley/testkit"
)

// tokenModel is what the protocol says of tokens: issued ones by their text.
type tokenModel struct {
	live map[string]tokenOf
	past []string // used, replaced, expired or wiped
}

type tokenOf struct {
	name  string
	by    string
	until time.Time
}

// TestTokensAgainstModel issues and presents tokens in any order.
func TestTokensAgainstModel(t *testing.T) {
	names := rapid.SampledFrom([]string{"a", "b", "c", "d"})
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1000, 0)
		tokens := newTokens("all", map[string]string{"a": "for a", "b": "for b", "": "for nobody", "c": ""})
		m := tokenModel{live: map[string]tokenOf{}}
		kill := func(token string) {
			delete(m.live, token)
			m.past = append(m.past, token)
		}
		t.Repeat(map[string]func(*rapid.T){
			"issue": func(t *rapid.T) {
				name := names.Draw(t, "name")
				by := rapid.SampledFrom([]string{"x", "y"}).Draw(t, "by")
				token, ok := tokens.issue(name, by, now)
				if b, err := base64.RawURLEncoding.DecodeString(token); !ok || err != nil || len(b) != 32 {
					t.Fatalf("issued %q, %v", token, ok)
				}
				for old, of := range m.live {
					if of.name == name && of.by == by {
						kill(old)
					}
				}
				if _, again := m.live[token]; again || slices.Contains(m.past, token) {
					t.Fatal("issued a token twice")
				}
				m.live[token] = tokenOf{name, by, now.Add(60 * time.Second)}
			},
			"use": func(t *rapid.T) {
				var all []string
				for token := range m.live {
					all = append(all, token)
				}
				if len(all) == 0 {
					t.Skip("none")
				}
				slices.SortFunc(all, func(a, b string) int {
					return cmp.Or(int(m.live[a].until.Sub(m.live[b].until)), cmp.Compare(m.live[a].name+m.live[a].by, m.live[b].name+m.live[b].by))
				})
				token := all[rapid.IntRange(0, len(all)-1).Draw(t, "which")]
				who := rapid.SampledFrom([]string{"", "a", "b", "c", "d"}).Draw(t, "who")
				of := m.live[token]
				want := now.Before(of.until) && (who == "" || who == of.name)
				got, ok := tokens.use(token, who, now)
				if ok != want || ok && !slices.Equal(got, []string{of.name}) {
					t.Fatalf("%q presented the token of %q: %v %v, want %v", who, of.name, got, ok, want)
				}
				kill(token) // whatever came of it
			},
			"replay": func(t *rapid.T) {
				if len(m.past) == 0 {
					t.Skip("none")
				}
				if _, ok := tokens.use(rapid.SampledFrom(m.past).Draw(t, "token"), "", now); ok {
					t.Fatal("a token of the past was good")
				}
			},
			"nonsense": func(t *rapid.T) {
				for _, token := range []string{"", "al", "all ", "for nobody", "for c"} {
					if _, ok := tokens.use(token, "a", now); ok {
						t.Fatalf("%q was good", token)
					}
				}
			},
			"fixed": func(t *rapid.T) {
				who := rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "who")
				if got, ok := tokens.use("all", who, now); !ok || got != nil {
					t.Fatalf("the token for all: %v %v", got, ok)
				}
				got, ok := tokens.use("for a", who, now)
				if ok != (who == "" || who == "a") || ok && !slices.Equal(got, []string{"a"}) {
					t.Fatalf("the token for a, presented by %q: %v %v", who, got, ok)
				}
			},
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "seconds")) * time.Second)
			},
			"": func(t *rapid.T) {
				if len(tokens.issued) > len(names0(m)) {
					t.Fatalf("%d tokens are kept of %d", len(tokens.issued), len(names0(m)))
				}
			},
		})
	})
}

// names0 lists whose tokens are not used, expired ones among them.
func names0(m tokenModel) (names []string) {
	for _, of := range m.live {
		names = append(names, of.name)
	}
	return names
}

// TestTokensAreBounded asks for more than there may be.
func TestTokensAreBounded(t *testing.T) {
	now := time.Unix(1000, 0)
	var tokens tokens
	first := ""
	for i := range tokensMost {
		token, ok := tokens.issue(fmt.Sprint("n", i), fmt.Sprint(i%4), now)
		if !ok {
			t.Fatalf("token %d was not issued", i)
		}
		if i == 0 {
			first = token
		}
	}
	if _, ok := tokens.issue("another", "5", now); ok {
		t.Error("one too many was issued")
	}
	again, ok := tokens.issue("n0", "0", now.Add(time.Second))
	if !ok || again == first {
		t.Error("a new one for a name was not issued")
	}
	if _, ok := tokens.use(first, "n0", now); ok {
		t.Error("the one that it replaces is still good")
	}
	if _, ok := tokens.issue("another", "5", now.Add(tokenLife)); !ok {
		t.Error("expired ones keep their places")
	}
	if _, ok := tokens.use(again, "n0", now.Add(tokenLife)); !ok {
		t.Error("one that is not expired was wiped with the others")
	}
	for i := range tokens.issued {
		if tokens.issued[i].name == "n1" {
			t.Error("an expired one is kept")
		}
	}
}

// TestTokensOfOnePeer: nobody uses up what others may ask for, or wipes theirs.
func TestTokensOfOnePeer(t *testing.T) {
	now := time.Unix(1000, 0)
	var tokens tokens
	honest, _ := tokens.issue("victim", "honest", now)
	for i := range tokensEach {
		if _, ok := tokens.issue(fmt.Sprint("n", i), "rogue", now); !ok {
			t.Fatalf("token %d was not issued", i)
		}
	}
	if _, ok := tokens.issue("victim", "rogue", now); ok {
		t.Error("one too many for one peer was issued")
	}
	if _, ok := tokens.issue("n0", "rogue", now); !ok {
		t.Error("a new one for a name was not issued")
	}
	if _, ok := tokens.issue("another", "honest", now); !ok {
		t.Error("nothing is left for others")
	}
	if _, ok := tokens.use(honest, "victim", now); !ok {
		t.Error("a token was wiped by who had not asked for it")
	}
}

// tokenFor has this node itself ask for a token, which needs no link.
func (y *yard) tokenFor(name string) string {
	y.t.Helper()
	r := y.inquire(y.o.Name, &meshpb.Command{Name: cmdToken, Node: name})
	if r.GetConnection().GetToken() == "" {
		y.t.Fatalf("no token for %s: %v", name, r)
	}
	return r.GetConnection().GetToken()
}

// TestAdmission knocks with all kinds of tokens.
func TestAdmission(t *testing.T) {
	const in, out = true, false
	for _, c := range []struct {
		name string
		do   func(y *yard) *meshpb.AdmitResponse
		want bool
	}{
		{"the token for all", func(y *yard) *meshpb.AdmitResponse { return y.admit(yardToken, "") }, in},
		{"the token for all, with a name", func(y *yard) *meshpb.AdmitResponse { return y.admit(yardToken, "b") }, in},
		{"the token for all, with no name at all", func(y *yard) *meshpb.AdmitResponse { return y.admit(yardToken, "b c") }, out},
		{"no token", func(y *yard) *meshpb.AdmitResponse { return y.admit("", "b") }, out},
		{"another token", func(y *yard) *meshpb.AdmitResponse { return y.admit("let me in!", "b") }, out},
		{"a name's token", func(y *yard) *meshpb.AdmitResponse { return y.admit("only c", "c") }, in},
		{"a name's token, no name", func(y *yard) *meshpb.AdmitResponse { return y.admit("only c", "") }, in},
		{"a name's token, another name", func(y *yard) *meshpb.AdmitResponse { return y.admit("only c", "b") }, out},
		{"issued", func(y *yard) *meshpb.AdmitResponse { return y.admit(y.tokenFor("b"), "b") }, in},
		{"issued, no name", func(y *yard) *meshpb.AdmitResponse { return y.admit(y.tokenFor("b"), "") }, in},
		{"issued to another", func(y *yard) *meshpb.AdmitResponse { return y.admit(y.tokenFor("b"), "c") }, out},
		{"wiped by another", func(y *yard) *meshpb.AdmitResponse {
			token := y.tokenFor("b")
			y.admit(token, "c")
			return y.admit(token, "b")
		}, out},
		{"replayed", func(y *yard) *meshpb.AdmitResponse {
			token := y.tokenFor("b")
			y.admit(token, "b")
			return y.admit(token, "b")
		}, out},
		{"not wiped by a wrong one", func(y *yard) *meshpb.AdmitResponse {
			token := y.tokenFor("b")
			y.admit("nonsense", "b")
			return y.admit(token, "b")
		}, in},
		{"replaced", func(y *yard) *meshpb.AdmitResponse {
			token := y.tokenFor("b")
			y.tokenFor("b")
			return y.admit(token, "b")
		}, out},
		{"in the last moment", func(y *yard) *meshpb.AdmitResponse {
			token := y.tokenFor("b")
			y.d.Run(tokenLife - time.Millisecond)
			return y.admit(token, "b")
		}, in},
		{"expired", func(y *yard) *meshpb.AdmitResponse {
			token := y.tokenFor("b")
			y.d.Run(tokenLife)
			return y.admit(token, "b")
		}, out},
		{"after a restart", func(y *yard) *meshpb.AdmitResponse {
			token := y.tokenFor("b")
			y.restart()
			return y.admit(token, "b")
		}, in},
	} {
		t.Run(c.name, func(t *testing.T) {
			testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
				y := newYard(t, d, Options{Tokens: map[string]string{"c": "only c"}}, "peers", newPeers)
				if r := c.do(y); (r.GetTicket() != 0) != c.want || r.GetFull() {
					t.Errorf("answered %v", r)
				}
				y.stop()
			})
		})
	}
}

// TestIssuedNameIsBound says no name at the door, and another one's afterwards.
func TestIssuedNameIsBound(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		y := newYard(t, d, Options{}, "peers", newPeers)
		s := y.open(y.admit(y.tokenFor("b"), "").GetTicket()).say(hand("c"))
		s.wantClosed(closeForbidden, byeForbidden)
		y.open(y.admit(y.tokenFor("b"), "").GetTicket()).say(hand("b")).wantOpen()
		y.stop()
	})
}

// TestTwoAtOnce has many present one token at the same time, and its rightful
// owner among them: one is let in at most, and a thief never.
func TestTwoAtOnce(t *testing.T) {
	testkit.Seeds(t, 100, func(t *testing.T, d *testkit.Driver) {
		y := newYard(t, d, Options{}, "peers", newPeers)
		token := y.tokenFor("b")
		y.answers = nil
		const uses = 5
		who := []string{"b", "", "b", "c", "b"}
		if d.Seed()%2 == 0 {
			who[3] = "b"
		}
		askers := make([]*strandAsker, uses)
		for i := range uses {
			askers[i] = y.askFrom(&meshpb.AdmitRequest{Token: token, Name: who[i]})
		}
		d.Settle()
		in, thief := 0, false
		for i, a := range askers {
			if a.answer.GetTicket() != 0 {
				in++
				thief = thief || who[i] == "c"
			}
		}
		if thief || in > 1 || in == 0 && d.Seed()%2 == 0 {
			t.Errorf("%d were let in, a thief: %v", in, thief)
		}
		y.stop()
	})
}
