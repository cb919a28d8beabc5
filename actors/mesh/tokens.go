package mesh

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"maps"
	"slices"
	"time"
)

const (
	tokenBytes = 32               // of an issued token: 256 random bits
	tokenLife  = 60 * time.Second // in which it must be used
	tokensMost = 64               // issued and not used: whoever may ask for some could ask for any number
	tokensEach = 16               // of them, that one peer asked for
)

// secret is what is kept of a token.
type secret [sha256.Size]byte

// tokens decides who may connect. A token is compared with all that there are,
// each in constant time, so that nobody can find one bit by bit; of issued ones
// not even their names are looked up. Source: gateways/mesh/PROTOCOL.md, Tokens.
type tokens struct {
	fixed  []fixedToken  // of the configuration: reusable
	issued []issuedToken // oldest first, at most tokensMost
}

// fixedToken is one of the configuration.
type fixedToken struct {
	sum  secret
	name string // who may present it; empty: anybody
}

// issuedToken is good for one node, once.
type issuedToken struct {
	sum   secret
	name  string
	by    string // who asked for it
	until time.Time
}

// newTokens knows the tokens of a configuration: one for all, and one a name.
// Empty ones let nobody in.
func newTokens(all string, named map[string]string) tokens {
	var t tokens
	if all != "" {
		t.fixed = append(t.fixed, fixedToken{sum: sha256.Sum256([]byte(all))})
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if token := named[name]; token != "" && name != "" {
			t.fixed = append(t.fixed, fixedToken{sum: sha256.Sum256([]byte(token)), name: name})
		}
	}
	return t
}

// issue makes a token for a node, as by asks. One that by was given for it before
// is worth nothing from now on; what others were given is. It fails when too many
// are waiting to be used.
func (t *tokens) issue(name, by string, now time.Time) (token string, ok bool) {
	t.issued = slices.DeleteFunc(t.issued, func(i issuedToken) bool { return i.name == name && i.by == by })
	if t.waiting(now) >= tokensMost {
		return "", false
	}
	theirs := 0
	for _, i := range t.issued {
		if i.by == by {
			theirs++
		}
	}
	if theirs >= tokensEach {
		return "", false
	}
	var b [tokenBytes]byte
	_, _ = rand.Read(b[:]) // never fails
	token = base64.RawURLEncoding.EncodeToString(b[:])
	t.issued = append(t.issued, issuedToken{sha256.Sum256([]byte(token)), name, by, now.Add(tokenLife)})
	return token, true
}

// waiting is how many issued tokens may still be used.
func (t *tokens) waiting(now time.Time) int {
	t.issued = slices.DeleteFunc(t.issued, func(i issuedToken) bool { return !now.Before(i.until) })
	return len(t.issued)
}

// use lets in who presents a token, or not. who may be empty: not said yet. names
// are those that may come with it, nil: any. An issued token is gone afterwards,
// whatever came of it.
func (t *tokens) use(token, who string, now time.Time) (names []string, ok bool) {
	if token == "" {
		return nil, false
	}
	sum := sha256.Sum256([]byte(token))
	anybody := false
	for _, f := range t.fixed {
		if subtle.ConstantTimeCompare(f.sum[:], sum[:]) != 1 {
			continue
		}
		if f.name == "" {
			anybody = true
		} else {
			names = append(names, f.name)
		}
	}
	at := -1
	for i := range t.issued {
		at = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(t.issued[i].sum[:], sum[:]), i, at)
	}
	if at >= 0 {
		if i := t.issued[at]; now.Before(i.until) {
			names = append(names, i.name)
		}
		t.issued = slices.Delete(t.issued, at, at+1)
	}
	if anybody {
		return nil, true
	}
	return names, len(names) > 0 && (who == "" || slices.Contains(names, who))
}
