package vault

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/messages/vaultpb"
	"parley/testkit"
)

// TestNoPassword: absent matches, and is the only one that does.
func TestNoPassword(t *testing.T) {
	opened(t, nil, nil, func(t *testing.T, r *room) {
		if got := r.standing(); got != "" {
			t.Errorf("stands %q", got)
		}
		r.expect("true", check(1, nil))
		r.expect("false", check(1, pw("")))
		r.expect("false", check(1, pw("x")))
		r.expect("false", keep("token", "t1"))
		r.expect("true token=t1", reveal(1, nil))
		r.expect("true", reveal(1, nil, "other"))
		r.expect("false", reveal(1, pw("")))
		r.expect("bad_password", rekey(1, pw("x"), "new"))
		r.expect("not_written", rekey(1, nil, strings.Repeat("x", passwordMost+1)))
	})
}

// TestPassword is a password's life.
func TestPassword(t *testing.T) {
	opened(t, nil, nil, func(t *testing.T, r *room) {
		r.expect("false", keep("past/neighbors", "neighbor-1"))
		r.expect("false", keep("token", "token-01"))
		r.expect("done", rekey(1, nil, "")) // "" is one
		if got := r.standing(); got != "set unlocked" {
			t.Errorf("stands %q", got)
		}
		if w := r.store.writes; len(w) != 1 || len(w[0].GetPuts()) != 3 {
			t.Errorf("the first password took %v", w)
		}
		for key, value := range r.store.records { // values long enough not to be there by chance
			if bytes.Contains(value, []byte("neighbor-1")) || bytes.Contains(value, []byte("token-01")) {
				t.Errorf("%s is stored as it is", key)
			}
		}
		r.expect("false", check(1, nil))
		r.expect("true", check(1, pw("")))
		r.expect("true past/neighbors=neighbor-1 token=token-01", reveal(1, pw("")))
		r.expect("true token=token-01", reveal(1, pw(""), "token", "none"))
		r.expect("false", reveal(1, nil))
		r.expect("has_password", rekey(2, nil, "x"))
		r.expect("true", keep("token", "t2"))
		r.expect("done", rekey(2, pw(""), "second"))
		if w := r.store.writes[len(r.store.writes)-1]; len(w.GetPuts()) != 1 || w.GetPuts()[0].GetKey() != lockKey {
			t.Errorf("a change took %v", w)
		}
		r.expect("true past/neighbors=neighbor-1 token=t2", reveal(2, pw("second")))
		r.expect("false", check(2, pw("")))
		r.expect("not_written", rekey(3, pw("second"), strings.Repeat("x", passwordMost+1)))
		long := pw(strings.Repeat("x", passwordMost+1))
		r.expect("false", check(4, long))
		r.expect("false", reveal(4, long))
		r.expect("bad_password", rekey(4, long, "x"))
	})
}

// TestWrongOld changes nothing.
func TestWrongOld(t *testing.T) {
	opened(t, nil, nil, func(t *testing.T, r *room) {
		r.expect("done", rekey(1, nil, "first"))
		r.expect("bad_password", rekey(2, pw("guess"), "mine"))
		r.expect("true", check(1, pw("first")))
		if len(r.store.writes) != 1 {
			t.Errorf("%d writes", len(r.store.writes))
		}
	})
}

// TestRefusedWrite leaves the old password, or none.
func TestRefusedWrite(t *testing.T) {
	opened(t, nil, nil, func(t *testing.T, r *room) {
		r.store.refuse = "store: the disk is full"
		r.expect("false", keep("token", "t1"))
		r.expect("not_written", rekey(1, nil, "first"))
		r.expect("true token=t1", reveal(1, nil))
		r.store.refuse = ""
		r.expect("done", rekey(1, nil, "first"))
		r.store.refuse = "store: the disk is full"
		r.expect("not_written", rekey(1, pw("first"), "second"))
		r.expect("false why", keep("token", "t2"))
		r.expect("true token=t1", reveal(1, pw("first")))
	})
}

// life makes a store with a password and two secrets.
func life(t *testing.T) *paperStore {
	store := &paperStore{records: map[string][]byte{}}
	opened(t, store, nil, func(_ *testing.T, r *room) {
		r.expect("false", keep("a", "aaaa"))
		r.expect("false", keep("b", "bbbb"))
		r.expect("done", rekey(1, nil, "right"))
	})
	store.writes = nil
	return store
}

func TestInitial(t *testing.T) {
	for _, c := range []struct {
		name     string
		store    func(*testing.T) *paperStore
		initial  *string
		stands   string
		seals    string
		password *string
	}{
		{"none, none set", nil, nil, "", "false", nil},
		{"none, one set", life, nil, "set", "false why", pw("right")},
		{"becomes the first", nil, pw("given"), "set unlocked", "true", pw("given")},
		{"empty becomes the first", nil, pw(""), "set unlocked", "true", pw("")},
		{"right", life, pw("right"), "set unlocked", "true", pw("right")},
		{"wrong", life, pw("other"), "set wrong", "false why", pw("right")},
		{"too long", nil, pw(strings.Repeat("x", passwordMost+1)), "why", "false", nil},
		{"too long is wrong", life, pw(strings.Repeat("x", passwordMost+1)), "set wrong", "false why", pw("right")},
		{"empty is wrong", life, pw(""), "set wrong", "false why", pw("right")},
	} {
		t.Run(c.name, func(t *testing.T) {
			var store *paperStore
			if c.store != nil {
				store = c.store(t)
			}
			opened(t, store, c.initial, func(t *testing.T, r *room) {
				if got := r.standing(); got != c.stands {
					t.Errorf("stands %q, want %q", got, c.stands)
				}
				r.expect(c.seals, keep("c", "cccc"))
				r.expect("true", check(1, c.password))
				if c.seals == "false why" { // the check made the key known
					r.expect("true", keep("c", "cccc"))
				}
				if r.s.spec.Initial != nil {
					t.Error("what the process was started with is still there")
				}
			})
		})
	}
}

// TestInitialNotWritten says so.
func TestInitialNotWritten(t *testing.T) {
	store := &paperStore{records: map[string][]byte{}, refuse: "store: the disk is full"}
	opened(t, store, pw("given"), func(t *testing.T, r *room) {
		if got := r.standing(); got != "why" {
			t.Errorf("stands %q", got)
		}
		r.expect("true", check(1, nil))
	})
}

// TestTooEarly answers everything that comes before it is known how things stand.
func TestTooEarly(t *testing.T) {
	store := life(t)
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, testkit.NewDriver(1), store, pw("right"))
		a, b := r.ask(reveal(1, pw("right"))), r.ask(keep("c", "cccc"))
		r.sys.Root.RequestWithCustomSender(r.safe, &vaultpb.StandingRequest{}, r.ear.pid)
		r.d.RunUntil(time.Second, func() bool { return len(r.ear.order) == 3 })
		if r.ear.heard[a] == "" || r.ear.heard[b] != "true" || r.ear.heard[0] != "set unlocked" {
			t.Errorf("heard %v", r.ear.heard)
		}
		r.stop()
	})
}

// TestDamagedSecrets are named; the others are there.
func TestDamagedSecrets(t *testing.T) {
	for name, damage := range map[string]func(s *paperStore){
		"set aside by the store": func(s *paperStore) {
			delete(s.records, "secret/a")
			s.corrupt = []string{"secret/a"}
		},
		"a flipped bit":  func(s *paperStore) { s.records["secret/a"][30] ^= 1 },
		"another schema": func(s *paperStore) { s.records["secret/a"][0]++ },
		"too short":      func(s *paperStore) { s.records["secret/a"] = []byte{secretSchema} },
		"under another's name": func(s *paperStore) {
			s.records["secret/a"] = bytes.Clone(s.records["secret/b"])
		},
	} {
		store := life(t)
		damage(store)
		opened(t, store, nil, func(t *testing.T, r *room) {
			if got := r.hear(soon, reveal(1, pw("right"))); got != "true b=bbbb !a" {
				t.Errorf("%s: heard %q", name, got)
			}
			r.expect("true b=bbbb", reveal(1, pw("right"), "b"))
			r.expect("true", check(1, pw("right")))
		})
	}
}

// TestDamagedLock refuses everything, and writes nothing over it.
func TestDamagedLock(t *testing.T) {
	for name, damage := range map[string]func(s *paperStore){
		"set aside by the store": func(s *paperStore) {
			delete(s.records, lockKey)
			s.corrupt = []string{lockKey}
		},
		"gone, and secrets are there":         func(s *paperStore) { delete(s.records, lockKey) },
		"gone, and damaged secrets are there": func(s *paperStore) { s.records, s.corrupt = map[string][]byte{}, []string{"secret/a"} },
		"no lock at all":                      func(s *paperStore) { s.records[lockKey] = []byte("x") },
		"empty":                               func(s *paperStore) { s.records[lockKey] = nil },
		"of a later version":                  func(s *paperStore) { s.records[lockKey][1]++ },
		"could not be read":                   func(s *paperStore) { s.blind = "store: broken" },
	} {
		for _, initial := range []*string{nil, pw("right")} {
			store := life(t)
			damage(store)
			opened(t, store, initial, func(t *testing.T, r *room) {
				if got := r.standing(); got != "set why" {
					t.Errorf("%s: stands %q", name, got)
				}
				r.expect("unreadable", rekey(1, nil, "new"))
				r.expect("unreadable", rekey(1, pw("right"), "new"))
				r.expect("false why", check(1, pw("right")))
				r.expect("false why", check(1, nil))
				r.expect("false why", reveal(1, pw("right")))
				r.expect("false why", keep("a", "new"))
				if len(store.writes) > 0 {
					t.Errorf("%s: wrote %v", name, store.writes)
				}
				if name == "could not be read" {
					store.blind = ""
					r.d.Run(2 * retry)
					r.expect("true a=aaaa b=bbbb", reveal(1, pw("right")))
				}
			})
		}
	}
}

// TestMuteStore: what becomes of a change is what is in the database.
func TestMuteStore(t *testing.T) {
	opened(t, life(t), nil, func(t *testing.T, r *room) {
		r.expect("true", check(1, pw("right")))
		r.store.mute = true
		changed := r.ask(rekey(1, pw("right"), "new"))
		r.d.Run(storePatience / 2)
		r.store.mute = false
		r.d.Run(storePatience)
		if got := r.ear.heard[changed]; got != "not_written" {
			t.Errorf("heard %q", got)
		}
		r.expect("true a=aaaa b=bbbb", reveal(1, pw("new")))
		r.expect("true", keep("c", "cccc"))
	})
}

// TestSafeRestarts has everything under way: each is answered, the data key is kept,
// and so is what memory alone has.
func TestSafeRestarts(t *testing.T) {
	restart := func(r *room) {
		p, _ := r.sys.ProcessRegistry.Get(r.safe)
		p.SendSystemMessage(r.safe, &actor.SuspendMailbox{})
		p.SendSystemMessage(r.safe, &actor.Restart{})
		r.d.Settle()
	}
	opened(t, nil, nil, func(_ *testing.T, r *room) {
		r.expect("false", keep("token", "t1"))
		restart(r)
		r.expect("true token=t1", reveal(1, nil))
	})
	opened(t, life(t), pw("right"), func(t *testing.T, r *room) {
		r.vault.takes = time.Hour
		serials := []uint64{r.ask(check(1, pw("right"))), r.ask(check(1, pw("x"))), r.ask(rekey(2, pw("right"), "y")), r.ask(check(3, pw("x")))}
		r.d.Settle()
		restart(r)
		for _, s := range serials {
			if got := r.ear.heard[s]; got != "false why" && got != "not_written" {
				t.Errorf("request %d heard %q", s, got)
			}
		}
		r.expect("true", keep("c", "cccc"))
		r.vault.takes = 0
		r.d.Run(2 * time.Hour) // what was under way is nobody's business
		r.expect("true a=aaaa b=bbbb c=cccc", reveal(1, pw("right")))
	})
}

// TestPanic answers who asked, and goes on.
func TestPanic(t *testing.T) {
	store := life(t)
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, testkit.NewDriver(1), store, pw("right"), testkit.ExpectFailures(1))
		r.d.Settle()
		byID := r.s.members.byID
		r.s.members.byID = nil // taking note of a member panics
		r.ask(check(9, pw("right")))
		r.d.RunUntil(soon, func() bool { return r.ear.heard[0] != "" })
		if r.ear.heard[0] != "failed" {
			t.Errorf("heard %v", r.ear.heard)
		}
		r.s.members.byID = byID
		r.d.Run(time.Second)
		r.expect("true a=aaaa b=bbbb", reveal(1, pw("right")))
		r.stop()
	})
}

// TestBusyVault is asked again.
func TestBusyVault(t *testing.T) {
	opened(t, life(t), nil, func(t *testing.T, r *room) {
		r.vault.busy = 3
		if got := r.hear(time.Second, check(1, pw("right"))); got != "true" {
			t.Errorf("heard %q", got)
		}
	})
}

func TestSecretsHaveBounds(t *testing.T) {
	opened(t, nil, nil, func(t *testing.T, r *room) {
		for _, name := range []string{"", "A", "a b", "ä", strings.Repeat("n", nameMost+1)} {
			r.expect("false why", keep(name, "v"))
		}
		r.expect("false why", keep("a", strings.Repeat("v", secretMost+1)))
		n := 0
		for ; n < 10 && r.hear(soon, keep(fmt.Sprint("big", n), strings.Repeat("v", secretMost))) == "false"; n++ {
		}
		if n != 3 {
			t.Errorf("memory holds %d large secrets", n)
		}
		r.expect("false", keep("big0", "smaller"))
		for i := range plainCount {
			r.hear(soon, keep(fmt.Sprint("s", i), "v"))
		}
		if len(r.s.plain) != plainCount {
			t.Errorf("memory holds %d secrets", len(r.s.plain))
		}
		r.expect("done", rekey(1, nil, "p"))
		if got := len(r.store.writes[0].GetPuts()); got != plainCount+1 {
			t.Errorf("%d records in the first write", got)
		}
	})
}
