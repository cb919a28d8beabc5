package vault

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"pgregory.net/rapid"

	"parley/messages/vaultpb"
	"parley/testkit"
)

// TestSafe compares a safe with a password and a map: through changes, refused
// writes, restarts of the actor and of the process.
func TestSafe(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rapid.SyncTest(rt, func(rt *rapid.T) {
			d := testkit.NewDriver(rapid.Uint64().Draw(rt, "seed"))
			var r *room
			var password *string
			stored, memory := map[string]string{}, map[string]string{}
			unlocked := false
			life := func(store *paperStore, initial *string) {
				r = newRoom(rapidTB{t, rt}, d, store, initial)
				d.Settle()
				if initial != nil {
					if password == nil && store.refuse == "" {
						password = initial
					}
					unlocked = password != nil && *password == *initial
				}
			}
			life(&paperStore{records: map[string][]byte{}}, nil)
			given := rapid.SampledFrom([]*string{nil, pw(""), pw("p"), pw("q")})
			member := rapid.Uint64Range(1, 3)
			right := func(p *string) bool {
				return p == nil && password == nil || p != nil && password != nil && *p == *password
			}
			learn := func(p *string) {
				if p != nil && right(p) {
					unlocked = true
				}
			}
			rt.Repeat(map[string]func(*rapid.T){
				"check": func(t *rapid.T) {
					p := given.Draw(t, "password")
					if got := r.hear(time.Hour, check(member.Draw(t, "member"), p)); got != fmt.Sprint(right(p)) {
						t.Fatalf("heard %q", got)
					}
					learn(p)
				},
				"rekey": func(t *rapid.T) {
					old, fresh := given.Draw(t, "old"), rapid.SampledFrom([]string{"", "p", "q"}).Draw(t, "new")
					want := "done"
					switch {
					case old == nil && password != nil:
						want = "has_password"
					case !right(old):
						want = "bad_password"
					case r.store.refuse != "":
						want = "not_written"
					}
					if got := r.hear(time.Hour, rekey(member.Draw(t, "member"), old, fresh)); got != want {
						t.Fatalf("heard %q, want %q", got, want)
					}
					learn(old)
					if want == "done" {
						password, unlocked = &fresh, true
						maps.Copy(stored, memory)
						clear(memory)
					}
				},
				"reveal": func(t *rapid.T) {
					p := given.Draw(t, "password")
					want := fmt.Sprint(right(p))
					if right(p) {
						there := stored
						if password == nil {
							there = memory
						}
						for _, name := range slices.Sorted(maps.Keys(there)) {
							want += fmt.Sprint(" ", name, "=", there[name])
						}
					}
					if got := r.hear(time.Hour, reveal(member.Draw(t, "member"), p)); got != want {
						t.Fatalf("heard %q, want %q", got, want)
					}
					learn(p)
				},
				"seal": func(t *rapid.T) {
					name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name")
					value := fmt.Sprint(rapid.IntRange(0, 99).Draw(t, "value"))
					want := "false why"
					switch {
					case password == nil:
						want = "false"
						memory[name] = value
					case unlocked && r.store.refuse == "":
						want = "true"
						stored[name] = value
					}
					if got := r.hear(time.Hour, keep(name, value)); got != want {
						t.Fatalf("heard %q, want %q", got, want)
					}
				},
				"disk": func(t *rapid.T) {
					r.store.refuse = rapid.SampledFrom([]string{"", "", "store: the disk is full"}).Draw(t, "refuse")
				},
				"restart": func(*rapid.T) {
					p, _ := r.sys.ProcessRegistry.Get(r.safe)
					p.SendSystemMessage(r.safe, &actor.SuspendMailbox{})
					p.SendSystemMessage(r.safe, &actor.Restart{})
					d.Settle()
				},
				"new process": func(t *rapid.T) {
					clear(memory)
					unlocked = false
					store := r.store
					r.stop()
					life(store, given.Draw(t, "initial"))
				},
				"depart": func(t *rapid.T) {
					r.sys.Root.Send(r.safe, &vaultpb.Departed{Member: member.Draw(t, "member")})
					d.Settle()
				},
				"": func(t *rapid.T) {
					if got := r.s.standing(); got.GetPasswordSet() != (password != nil) || got.GetUnlocked() != unlocked {
						t.Fatalf("stands %v, password %v, unlocked %v", got, password != nil, unlocked)
					}
					if len(r.s.errands) > 0 || len(r.s.parked) > 0 || r.s.changing != nil || r.s.stranger != nil {
						t.Fatal("something is under way")
					}
				},
			})
			r.stop()
		})
	})
}
