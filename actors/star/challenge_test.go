package star

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"parley/messages/starpb"
	"parley/testkit"
)

func TestChallengeVectors(t *testing.T) {
	var vectors []struct {
		Address   string `json:"multiaddr"`
		Key       string `json:"ssJoinKeyHex"`
		Nonce     string `json:"nonce"`
		Signature string `json:"ssJoinSignatureHex"`
	}
	text, err := os.ReadFile("peerid/testdata/star-keys.json")
	if err == nil {
		err = json.Unmarshal(text, &vectors)
	}
	if err != nil || len(vectors) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		h := newHall(t, d, Options{Strict: true, Challenge: true, Draw: func() string { return vectors[0].Nonce }})
		g := h.guest(Three)
		for i, v := range vectors {
			g.say(g.join(v.Address, v.Key)).wants(fmt.Sprint(2*i, " nonce"))
			if g.nonce != v.Nonce {
				t.Errorf("nonce %q", g.nonce)
			}
			g.say(g.join(v.Address, v.Signature)).wants(fmt.Sprint(2*i+1, " joined"))
		}
		h.online(vectors[0].Address, vectors[1].Address, vectors[2].Address)
		h.stop()
	})
}

func TestNonces(t *testing.T) {
	a, b := Options{}, Options{}
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		sys := testkit.System(t, testkit.Under(d))
		a.complete(sys)
		testkit.Stop(t, sys)
	})
	b.Draw = a.Draw
	x, y := a.Draw(), b.Draw()
	if len(x) != 72 || len(strings.Split(x, "-")) != 9 || x == y || x[:36] == x[36:] || x[14] != '4' {
		t.Errorf("nonces %q and %q", x, y)
	}
}

// TestChallengesInWrongOrder are challenges in orders that make no sense.
func TestChallengesInWrongOrder(t *testing.T) {
	me, other := newIdentity(t, 1), newIdentity(t, 2)
	for name, script := range map[string]func(h *hall, a, b *guest){
		"signature of a nonce that was another socket's": func(h *hall, a, b *guest) {
			a.say(a.join(me.at(1), me.public)).wants("0 nonce")
			b.say(b.join(me.at(1), me.public)).wants("0 nonce")
			b.say(b.join(me.at(1), me.sign(a.nonce))).wants(`1 "Signature Invalid"`)
			h.online()
			a.say(a.join(me.at(1), me.sign(a.nonce))).wants("1 joined")
			h.online(me.at(1))
		},
		"signature where another socket has a nonce": func(h *hall, a, b *guest) {
			a.say(a.join(me.at(1), me.public)).wants("0 nonce")
			b.say(b.join(me.at(1), me.sign(a.nonce))).wants(`0 "Crypto error"`)
			h.online()
		},
		"nonce of another address": func(h *hall, a, b *guest) {
			a.say(a.join(me.at(1), me.public)).wants("0 nonce")
			first := a.nonce
			a.say(a.join(me.at(2), me.public)).wants("1 nonce")
			a.say(a.join(me.at(2), me.sign(first))).wants(`2 "Signature Invalid"`)
			h.online()
		},
		"replayed": func(h *hall, a, b *guest) {
			a.proves(me, me.at(1))
			a.say(a.join(me.at(1), me.sign(a.nonce))).wants(`2 "Crypto error"`)
			b.say(b.join(me.at(1), me.sign(a.nonce))).wants(`0 "Crypto error"`)
			h.online(me.at(1))
		},
		"replayed after leave": func(h *hall, a, b *guest) {
			a.proves(me, me.at(1))
			a.say(&starpb.Leave{Address: me.at(1)})
			a.say(a.join(me.at(1), me.sign(a.nonce))).wants(`2 "Crypto error"`)
			h.online()
		},
		"sent twice": func(h *hall, a, b *guest) {
			a.say(a.join(me.at(1), me.public)).wants("0 nonce")
			a.say(a.join(me.at(1), me.sign(a.nonce)), a.join(me.at(1), me.sign(a.nonce)))
			a.wants("1 joined", `2 "Crypto error"`)
			h.online(me.at(1))
		},
		"key twice": func(h *hall, a, b *guest) {
			a.say(a.join(me.at(1), me.public)).wants("0 nonce")
			first := a.nonce
			a.say(a.join(me.at(1), me.public)).wants("1 nonce")
			a.say(a.join(me.at(1), me.sign(first))).wants(`2 "Signature Invalid"`)
			a.say(a.join(me.at(1), other.public)).wants(`3 "Signature Invalid"`)
			a.say(a.join(me.at(1), me.sign(a.nonce))).wants("4 joined")
			h.online(me.at(1))
		},
		"key, leave, signature": func(h *hall, a, b *guest) {
			a.say(a.join(me.at(1), me.public)).wants("0 nonce")
			a.say(a.join(me.at(2), me.public)).wants("1 nonce")
			second := a.nonce
			a.say(&starpb.Leave{Address: me.at(1)}).wants()
			a.say(a.join(me.at(1), me.sign(a.nonce))).wants(`2 "Crypto error"`)
			a.say(a.join(me.at(2), me.sign(second))).wants("3 joined")
			h.online(me.at(2))
		},
		"wrong, then right": func(h *hall, a, b *guest) {
			a.say(a.join(me.at(1), me.public)).wants("0 nonce")
			for _, wrong := range []string{other.sign(a.nonce), "", "nonsense", "00", strings.Repeat("00", 1<<16), me.sign(a.nonce + "x")} {
				want := errSignature
				if wrong == "" {
					want = errNoID
				}
				a.say(a.join(me.at(1), wrong)).wants(fmt.Sprintf(`%d "%s"`, a.acks-1, want))
			}
			a.say(a.join(me.at(1), me.sign(a.nonce))).wants(fmt.Sprint(a.acks-1, " joined"))
			h.online(me.at(1))
		},
		"left before": func(h *hall, a, b *guest) {
			a.say(&starpb.Leave{Address: me.at(1)}, &starpb.Leave{Address: "nonsense"}).wants()
			a.say(a.join(me.at(1), me.public), &starpb.Leave{Address: me.at(1)}).wants("0 nonce")
			a.say(a.join(me.at(1), me.sign(a.nonce))).wants(`1 "Crypto error"`)
			h.online()
		},
		"disconnected before": func(h *hall, a, b *guest) {
			a.say(a.join(me.at(1), me.public)).wants("0 nonce")
			a.say(&starpb.Disconnect{}, &starpb.Connect{Namespace: "/"})
			a.say(a.join(me.at(1), me.sign(a.nonce))).wants(`1 "Crypto error"`)
			h.online()
		},
		"disconnected while it is checked": func(h *hall, a, b *guest) {
			a.say(a.join(me.at(1), me.public)).wants("0 nonce")
			a.say(a.join(me.at(1), me.sign(a.nonce)), &starpb.Disconnect{}, &starpb.Connect{Namespace: "/"})
			h.d.Settle()
			a.heard = nil // it may have joined, and have left then
			h.online()
			a.proves(me, me.at(1))
		},
		"gone while it is checked": func(h *hall, a, b *guest) {
			a.say(a.join(me.at(1), me.public)).wants("0 nonce")
			a.say(a.join(me.at(1), me.sign(a.nonce)))
			a.hangUp()
			h.online()
			b.proves(me, me.at(1))
		},
		"joined, left, joined at once": func(h *hall, a, b *guest) {
			a.say(a.join(me.at(1), me.public)).wants("0 nonce")
			a.say(a.join(me.at(1), me.sign(a.nonce)), &starpb.Leave{Address: me.at(1)}, a.join(me.at(1), me.public))
			a.wants("1 joined", "2 nonce")
			a.say(a.join(me.at(1), me.sign(a.nonce))).wants("3 joined")
			h.online(me.at(1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.Seeds(t, 20, func(t *testing.T, d *testkit.Driver) {
				h := newHall(t, d, Options{Strict: true, Challenge: true})
				script(h, h.guest(Three), h.guest(Three))
				h.stop()
			})
		})
	}
}

func TestNonceExpires(t *testing.T) {
	me := newIdentity(t, 1)
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		h := newHall(t, d, Options{Strict: true, Challenge: true})
		g := h.guest(Three)
		g.say(g.join(me.at(1), me.public)).wants("0 nonce")
		g.say(g.join(me.at(2), me.public)).wants("1 nonce")
		d.Run(nonceTime - time.Millisecond)
		g.say(g.join(me.at(2), me.sign(g.nonce))).wants("2 joined")
		g.say(g.join(me.at(1), "00")).wants(`3 "Signature Invalid"`)
		g.say(g.join(me.at(3), me.public)).wants("4 nonce")
		old := g.nonce
		d.Run(nonceTime)
		g.say(g.join(me.at(3), me.sign(old))).wants(`5 "Crypto error"`)
		g.proves(me, me.at(1))
		d.Run(3 * nonceTime)
		h.online(me.at(1), me.at(2))
		h.stop()
	})
}

// TestChecksQueue has checks that do not end. Others are refused then, and not kept.
func TestChecksQueue(t *testing.T) {
	me := newIdentity(t, 1)
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		var running, most int
		var stalled []func()
		h := newHall(t, d, Options{Strict: true, Challenge: true, Workers: 2, Verify: func(verify, done func()) {
			running++
			most = max(most, running)
			stalled = append(stalled, func() {
				running--
				verify()
				done()
			})
		}})
		var guests []*guest
		nonces := map[string]string{}
		for range (checksMost+2)/addressesMost + 1 {
			g := h.guest(Three)
			guests = append(guests, g)
			for i := range addressesMost {
				g.say(g.join(me.at(i), me.public))
				d.Settle()
				nonces[fmt.Sprint(g.name, i)] = g.nonce
			}
			g.heard = nil
		}
		for _, g := range guests {
			for i := range addressesMost {
				g.say(g.join(me.at(i), me.sign(nonces[fmt.Sprint(g.name, i)])))
			}
		}
		d.Settle()
		busy := 0
		for _, g := range guests {
			for _, s := range g.heard {
				if strings.HasSuffix(s, `"Too many requests"`) {
					busy++
				}
			}
		}
		if want := len(guests)*addressesMost - checksMost - 2; busy != want {
			t.Errorf("%d were told that it is busy, want %d", busy, want)
		}
		for len(stalled) > 0 {
			next := stalled[0]
			stalled = stalled[1:]
			next()
			d.Settle()
		}
		if most != 2 {
			t.Errorf("%d checks at once", most)
		}
		if n := h.status().GetPeers(); int(n) != addressesMost {
			t.Errorf("%d addresses are online", n)
		}
		h.stop()
	})
}

// TestCheckPanics has a check of a signature panic, which is no end of the world.
func TestCheckPanics(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		sys := testkit.System(t, testkit.Under(d))
		if (&check{}).run(sys) {
			t.Error("it was right")
		}
		testkit.Stop(t, sys)
	})
}
