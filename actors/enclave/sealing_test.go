package enclave

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/messages/enclavepb"
	"parley/messages/storepb"
	"parley/messages/vaultpb"
	"parley/testkit"
)

// refused fails the test unless a history is not shown.
func (b *bureau) refuses(h *enclavepb.History, locked bool) string {
	b.t.Helper()
	r := b.history(h)
	if r.GetOk() || r.GetLocked() != locked || len(r.GetEntries()) > 0 {
		b.t.Errorf("%v is answered %v", h, r)
	}
	return r.GetReason()
}

// leaks reports whether a text is in any record.
func (s *shelf) leaks(text string) bool {
	for _, r := range s.brief {
		if bytes.Contains(r.GetValue(), []byte(text)) {
			return true
		}
	}
	return false
}

// TestSealedHistory is a history's life with a password that comes late.
func TestSealedHistory(t *testing.T) {
	inBureau(t, 5, (*bureau).withSafe, func(b *bureau) {
		b.say(ada, false, count("secret a", 1, 100)...)
		b.say(bob, true, "secret-1")
		b.d.Run(time.Minute)
		b.wants(ada, count("secret a", 1, 100)...)
		b.refuses(with(ada, "x"), true) // none is set
		if !b.shelf.leaks("secret") || b.chronicle.sealing.public != nil {
			b.t.Error("it is sealed before there is a password")
		}

		b.rekey(nil, "right")
		b.refuses(&enclavepb.History{With: ada}, true) // sealed or not
		b.d.Run(standingEvery)
		b.say(ada, false, "secret later")
		b.d.Run(time.Minute)
		if b.shelf.leaks("secret") || b.shelf.stay[sweptKey] == "" || b.chronicle.sealing.sweep != nil {
			b.t.Errorf("in the clear: %q", b.shelf.clear(ada))
		}
		b.refuses(&enclavepb.History{With: ada}, true)
		if why := b.refuses(with(ada, "wrong"), true); !strings.Contains(why, "not the database password") {
			b.t.Error(why)
		}
		b.d.Run(time.Minute)
		all := append(count("secret a", 1, 100), "secret later")
		b.wantsPage(with(ada, "right"), false, all...)

		b.kill() // nobody has given the password since
		b.say(ada, false, "secret evermore")
		b.say(bob, true, "secret-2")
		b.d.Run(time.Second)
		b.sys.Root.Send(b.met.chronicle, &progressed{bob, "secret-1", enclavepb.Delivery_DELIVERY_DELIVERED})
		b.d.Run(time.Minute)
		if b.shelf.leaks("secret ") {
			b.t.Error("what was said after a restart is in the clear")
		}
		b.rekey(proto.String("right"), "new")
		b.refuses(with(ada, "right"), true)
		b.d.Run(time.Minute)
		b.wantsPage(with(ada, "new"), false, append(all, "secret evermore")...)
		b.wantsPage(with(bob, "new"), false, "secret-1 delivered", "secret-2 queued")
		reads := b.shelf.reads
		b.kill()
		b.d.Run(time.Hour)
		if n := b.shelf.reads - reads; n > 5 {
			b.t.Errorf("%d questions to a store whose entries are sealed", n)
		}
	})
}

// TestSealedOnceThePasswordIsGiven waits with sealing where the node was ended
// before it had a key, and the safe does not know the password.
func TestSealedOnceThePasswordIsGiven(t *testing.T) {
	inBureau(t, 3, (*bureau).withSafe, func(b *bureau) {
		b.say(ada, false, "one")
		b.d.Run(time.Second)
		b.rekey(nil, "right")
		b.kill()
		b.d.Run(time.Hour)
		b.say(ada, false, "two")
		b.refuses(&enclavepb.History{With: ada}, true)
		b.wantsPage(with(ada, "right"), false, "one", "two")
		b.d.Run(time.Minute)
		if left := b.shelf.clear(ada); len(left) > 0 {
			b.t.Errorf("%q are in the clear", left)
		}
		b.wantsPage(with(ada, "right"), false, "one", "two")
	})
}

// TestDamagedPublicKey seals nothing to another key, and has the old one back
// with the first history.
func TestDamagedPublicKey(t *testing.T) {
	for _, test := range []struct {
		name   string
		damage func(s *shelf)
	}{
		{"set aside", func(s *shelf) { s.corrupt[publicKey] = true }},
		{"too short", func(s *shelf) { s.stay[publicKey] = "x" }},
	} {
		inBureau(t, 1, (*bureau).withSafe, func(b *bureau) {
			b.rekey(nil, "right")
			b.d.Run(time.Minute)
			b.say(ada, false, "one")
			b.d.Run(time.Second)
			key := b.shelf.stay[publicKey]
			test.damage(b.shelf)
			b.kill()
			b.say(ada, false, "two")
			b.d.Run(time.Hour)
			b.wantsPage(with(ada, "right"), false, "one", "two")
			delete(b.shelf.corrupt, publicKey)
			b.d.Run(time.Minute)
			if left := b.shelf.clear(ada); len(left) > 0 || b.shelf.stay[publicKey] != key {
				b.t.Errorf("%s: %q are in the clear; the same key: %v", test.name, left, b.shelf.stay[publicKey] == key)
			}
			b.kill()
			b.wantsPage(with(ada, "right"), false, "one", "two")
		})
	}
}

// TestSealingOverKills ends the node anywhere while a key is made and entries are
// sealed: none is lost, and all are sealed in the end.
func TestSealingOverKills(t *testing.T) {
	inBureau(t, 5, func(b *bureau) {
		b.withSafe()
		b.shelf.takes = 3 * time.Millisecond
	}, func(b *bureau) {
		want := count("a", 1, 120)
		b.say(ada, false, want...)
		b.d.Run(time.Second)
		b.rekey(nil, "right")
		b.d.Run(standingEvery - 20*time.Millisecond)
		for i := range 10 {
			b.d.Run(time.Duration((b.d.Seed()*7+uint64(i)*13)%50) * time.Millisecond)
			b.kill()
			text := fmt.Sprint("between", i)
			want = append(want, text)
			b.say(ada, false, text)
			b.wantsPage(with(ada, "right"), false, want...)
		}
		b.d.Run(time.Minute)
		if left := b.shelf.clear(ada); len(left) > 0 {
			b.t.Errorf("%q are in the clear", left)
		}
		b.wantsPage(with(ada, "right"), false, want...)
	})
}

// TestSealingWithASickStore tries again until all are sealed.
func TestSealingWithASickStore(t *testing.T) {
	for _, test := range []struct {
		name  string
		make  func(s *shelf)
		fails int
	}{
		{"refuses", func(s *shelf) { s.refuse = slices.Repeat([]string{"full"}, 6) }, 0},
		{"refuses later", func(s *shelf) { s.refuse = slices.Repeat([]string{"full"}, 6) }, 0},
		{"cannot read", func(s *shelf) { s.blind = slices.Repeat([]string{"", "broken"}, 8) }, 0},
		{"mute", func(s *shelf) { s.mute = 5 }, 0},
		{"fails", func(s *shelf) { s.fail = 3 }, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBureau(t, 2, (*bureau).withSafe, func(b *bureau) {
				want := count("a", 1, 100)
				b.say(ada, false, want...)
				b.d.Run(time.Second)
				b.rekey(nil, "right")
				if test.name == "refuses later" {
					b.d.RunUntil(time.Minute, func() bool { return b.chronicle.sealing.public != nil })
				}
				test.make(b.shelf)
				b.d.Run(20 * time.Minute)
				if left := b.shelf.clear(ada); len(left) > 0 || b.shelf.stay[sweptKey] == "" {
					b.t.Errorf("%d are in the clear", len(left))
				}
				b.wantsPage(with(ada, "right"), false, want...)
			}, testkit.ExpectFailures(test.fails))
		})
	}
}

// TestSweepOfGaps reaches the end where serials were left out.
func TestSweepOfGaps(t *testing.T) {
	inBureau(t, 1, (*bureau).withSafe, func(b *bureau) {
		b.say(ada, false, "first")
		b.d.Run(time.Second)
		b.shelf.corrupt[lastPrefix+ada] = true
		b.kill()
		b.say(ada, false, "last")
		b.d.Run(time.Second)
		delete(b.shelf.corrupt, lastPrefix+ada)
		b.rekey(nil, "right")
		b.d.Run(time.Minute)
		if left := b.shelf.clear(ada); len(left) > 0 || b.shelf.stay[sweptKey] == "" {
			b.t.Errorf("%q are in the clear", left)
		}
		b.wantsPage(with(ada, "right"), false, "first", "last")
	})
}

// TestNoKey tells what is wrong where entries are sealed and nothing opens them.
func TestNoKey(t *testing.T) {
	inBureau(t, 1, (*bureau).withSafe, func(b *bureau) {
		b.rekey(nil, "right")
		b.d.Run(time.Minute)
		b.say(ada, false, "one", "two")
		b.d.Run(time.Second)
		for key, r := range b.shelf.brief { // one box that is not what was sealed
			if strings.HasSuffix(key, serialKey(1)) {
				value := slices.Clone(r.GetValue())
				value[len(value)-1]++
				b.shelf.brief[key] = &storepb.Record{Key: key, Value: value, Expires: r.GetExpires()}
			}
		}
		b.wantsPage(with(ada, "right"), false, "two")
		delete(b.shelf.stay, "secret/"+secretName)
		if why := b.refuses(with(ada, "right"), false); !strings.Contains(why, "key is missing") {
			b.t.Error(why)
		}
		b.keys, b.o.Safe = nil, nil
		b.kill()
		b.refuses(&enclavepb.History{With: ada}, false)
	})
}

// TestSickSafe is answered for.
func TestSickSafe(t *testing.T) {
	for _, test := range []struct {
		name  string
		do    func(ctx actor.Context)
		fails int
	}{
		{"mute", func(actor.Context) {}, 0},
		{"error", func(ctx actor.Context) {
			if m, ok := ctx.Message().(*vaultpb.RevealRequest); ok {
				ctx.Respond(&vaultpb.RevealResponse{Serial: m.GetSerial(), Error: "vault: it is ill"})
			}
		}, 0},
		{"gone", nil, 0},
		{"cannot keep", func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *vaultpb.StandingRequest:
				ctx.Respond(&vaultpb.StandingResponse{PasswordSet: true, Unlocked: true})
			case *vaultpb.SealRequest:
				ctx.Respond(&vaultpb.SealResponse{Serial: m.GetSerial(), Error: "vault: it is full"})
			}
		}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBureau(t, 1, func(b *bureau) {
				b.o.Safe = actor.NewPID(b.sys.Address(), "nobody")
				if test.do == nil {
					testkit.Ending(b.sys) // its dead letters are what is tested
					return
				}
				b.o.Safe = b.paper(test.do)
			}, func(b *bureau) {
				b.say(ada, false, "one")
				b.d.Run(time.Hour)
				b.sys.Root.Send(b.met.chronicle, &asked{&enclavepb.Command{Id: "h", Body: &enclavepb.Command_History{History: &enclavepb.History{With: ada}}}, b.person})
				b.d.Run(inquiryTime)
				if len(b.results) != 1 || b.results[0].GetOk() || b.results[0].GetLocked() || len(b.chronicle.inquiries) > 0 {
					b.t.Errorf("answered %v", b.results)
				}
				if got := b.shelf.clear(ada); len(got) != 1 {
					b.t.Errorf("stored %q", got)
				}
			}, testkit.ExpectFailures(test.fails))
		})
	}
}

// FuzzStored opens anything without harm.
func FuzzStored(f *testing.F) {
	p := pairOf(bytes.Repeat([]byte{7}, keySize))
	for _, with := range []*sealer{nil, newSealer(&p.public)} {
		all := entryRecords(&row{address: ada, entry: &enclavepb.Entry{Serial: 5, Message: "m"}}, with)
		f.Add(all[0].GetValue(), saidKey(ada, 5))
	}
	f.Fuzz(func(t *testing.T, value []byte, key string) {
		for _, s := range joinParts([]*storepb.Record{{Key: key, Value: value}, {Key: key + "/1", Value: value}}, saidPrefix+ada+"/") {
			for _, with := range []*opener{nil, newOpener(p)} {
				if e, ok := s.open(with); ok && e.GetSerial() != s.serial {
					t.Errorf("entry %v has key %q", e, key)
				}
			}
		}
	})
}

// TestSealers make boxes that their key opens, and nothing else does, unlike each
// other, and are not used for ever.
func TestSealers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, other := newPair(), newPair()
		if again := pairOf(p.private[:]); *again != *p || pairOf(nil) != nil {
			t.Error("a private key makes another pair")
		}
		s := newSealer(&p.public)
		seen := map[string]bool{}
		key := newOpener(p)
		for i := range 10 {
			sealed := s.seal([]byte("text"))
			if value, ok := key.open(sealed); !ok || string(value) != "text" {
				t.Errorf("box %d is opened as %q", i, value)
			}
			if _, ok := newOpener(other).open(sealed); ok {
				t.Error("another key opens it")
			}
			seen[string(sealed[keySize:])] = true
			for at := range sealed {
				bad := slices.Clone(sealed)
				bad[at] ^= 1
				if _, ok := key.open(bad); ok && i == 0 && at != keySize-1 {
					t.Errorf("a box with another byte %d opens", at)
				}
				if _, ok := key.open(sealed[:at]); ok {
					t.Errorf("%d bytes of a box open", at)
				}
				if i > 0 {
					break
				}
			}
		}
		if len(seen) != 10 || len(key.shared) > keySize+1 {
			t.Errorf("%d boxes, %d sealers", len(seen), len(key.shared))
		}
		key.close()
		if _, ok := (*opener)(nil).open(s.seal(nil)); ok {
			t.Error("no key opens it")
		}
		g := sealing{public: &p.public}
		first := g.current()
		time.Sleep(sealerTime)
		if g.current() != first {
			t.Error("it was replaced too early")
		}
		time.Sleep(time.Nanosecond)
		second := g.current()
		second.left = 1
		if g.current() != second || first == second {
			t.Error("it was not replaced in time")
		}
		second.seal(nil)
		if g.current() == second {
			t.Error("it makes more boxes than it should")
		}
	})
}
