package vault

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"
	"pgregory.net/rapid"

	"parley/actors/tree"
	"parley/messages/vaultpb"
	"parley/testkit"
)

// TestHash holds for every node and program that speaks of channel hashes.
// Source: gateways/relay/PROTOCOL.md, Passwords.
func TestHash(t *testing.T) {
	const want = "5e8e1c3f3d66a7240d92badaa4c7e9744497dfa0f368fbe05bf6f2227f16788e"
	if got := hex.EncodeToString(Hash("channel1", "wordpass")); got != want {
		t.Errorf("hash is %s, want %s", got, want)
	}
	if got := politeHash(&vaultpb.HashRequest{Channel: "channel1", Password: "wordpass"}); hex.EncodeToString(got) != want {
		t.Errorf("on its own thread it is %x, want %s", got, want)
	}
}

// TestLongHash holds for what wsrelay reserves: made with Python's hashlib.
func TestLongHash(t *testing.T) {
	const want = "dd2bffac1b51aa007b55a28480d0e88d0c3c6e769cc5140c6b6f167d62000185088d7fe106ec3ed0ca0dde3b97abd0ef6cb8faed1b5201a4580ed803a05ea0e7"
	m := &vaultpb.HashRequest{Channel: "channel1", Password: "wordpass", Long: true}
	for _, got := range [][]byte{LongHash("channel1", "wordpass"), politeHash(m)} {
		if hex.EncodeToString(got) != want {
			t.Errorf("hash is %x, want %s", got, want)
		}
	}
}

// bench is a vault whose hashes end when the test says so.
type bench struct {
	t       testing.TB
	d       *testkit.Driver
	sys     *actor.ActorSystem
	v       *vault
	pid     *actor.PID
	under   []*hashing // way, oldest first
	most    int        // under way at once
	started []string
	clients []*client
}

type hashing struct {
	what string
	done chan struct{}
}

// client asks the vault, and keeps what it answers.
type client struct {
	pid     *actor.PID
	answers []string
}

func (c *client) Receive(ctx actor.Context) {
	if m, ok := ctx.Message().(*vaultpb.HashResponse); ok {
		text := string(m.GetHash())
		if m.GetBusy() {
			text = "busy"
		}
		c.answers = append(c.answers, text)
	}
}

func newBench(t testing.TB, seed uint64, l Limits) *bench {
	b := &bench{t: t, d: testkit.NewDriver(seed), v: newVault(l)}
	b.sys = testkit.System(t, testkit.Under(b.d))
	b.v.hash = b.hash
	b.pid = b.v.spawn(b.sys.Root)
	for range 8 {
		c := &client{}
		c.pid = tree.Spawn(b.sys.Root, "", tree.Spec{New: func() actor.Actor { return c }})
		b.clients = append(b.clients, c)
	}
	return b
}

// hash runs off the actors, but no two steps of a driver at a time.
func (b *bench) hash(m *vaultpb.HashRequest) []byte {
	what := m.GetChannel() + "/" + m.GetPassword()
	if m.GetLong() {
		what += "/long"
	}
	h := &hashing{what, make(chan struct{})}
	b.under, b.started = append(b.under, h), append(b.started, h.what)
	b.most = max(b.most, len(b.under))
	<-h.done
	if m.GetLong() {
		return longSum(m.GetChannel(), m.GetPassword())
	}
	return sum(m.GetChannel(), m.GetPassword())
}

// sum stands for a hash. It tells what it is of only to who knows.
func sum(channel, password string) []byte {
	return []byte(fmt.Sprint(reversed(channel), "/", reversed(password)))
}

// longSum stands for a long hash.
func longSum(channel, password string) []byte { return append(sum(channel, password), " long"...) }

func reversed(s string) string {
	b := []byte(s)
	for i := range len(b) / 2 {
		b[i], b[len(b)-1-i] = b[len(b)-1-i], b[i]
	}
	return string(b)
}

// finish ends the i-th hash under way.
func (b *bench) finish(i int) {
	h := b.under[i]
	b.under = append(b.under[:i], b.under[i+1:]...)
	close(h.done)
	b.d.Settle()
}

func (b *bench) ask(c *client, channel, password string) {
	b.sys.Root.RequestWithCustomSender(b.pid, &vaultpb.HashRequest{Channel: channel, Password: password}, c.pid)
	b.d.Settle()
}

func (b *bench) remember(channel, password string) {
	b.sys.Root.Send(b.pid, &vaultpb.Remember{Channel: channel, Password: password, Hash: sum(channel, password)})
	b.d.Settle()
}

func (b *bench) stop() {
	for len(b.under) > 0 {
		b.finish(0)
	}
	pids := []*actor.PID{b.pid}
	for _, c := range b.clients {
		pids = append(pids, c.pid)
	}
	testkit.Stop(b.t, b.sys, pids...)
}

func bubble(t *testing.T, l Limits, test func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, l)
		test(t, b)
		b.stop()
	})
}

func TestQueue(t *testing.T) {
	bubble(t, Limits{Workers: 2, Queue: 3}, func(t *testing.T, b *bench) {
		for i, c := range b.clients {
			b.ask(c, "x", fmt.Sprint(i))
		}
		if got := fmt.Sprint(b.started); got != "[x/0 x/1]" {
			t.Errorf("under way are %s, want two", got)
		}
		for i, c := range b.clients {
			if busy := fmt.Sprint(c.answers) == "[busy]"; busy != (i >= 5) {
				t.Errorf("client %d heard %q", i, c.answers)
			}
		}
		b.finish(1) // room for one
		b.ask(b.clients[5], "x", "5")
		b.ask(b.clients[6], "x", "6")
		for len(b.under) > 0 {
			b.finish(0)
		}
		if got := fmt.Sprint(b.started); got != "[x/0 x/1 x/2 x/3 x/4 x/5]" || b.most != 2 {
			t.Errorf("hashed %s, %d at once", got, b.most)
		}
		for i, want := range []string{"[x/0]", "[x/1]", "[x/2]", "[x/3]", "[x/4]", "[busy x/5]", "[busy busy]", "[busy]"} {
			if got := fmt.Sprint(b.clients[i].answers); got != want {
				t.Errorf("client %d heard %s, want %s", i, got, want)
			}
		}
	})
}

// TestSpawn has the hash that yields to all others.
func TestSpawn(t *testing.T) {
	if got := runtime.FuncForPC(reflect.ValueOf(newVault(Limits{}).hash).Pointer()).Name(); !strings.HasSuffix(got, ".politeHash") {
		t.Errorf("the vault hashes with %s", got)
	}
	synctest.Test(t, func(t *testing.T) {
		sys := testkit.System(t)
		c := &client{}
		c.pid = tree.Spawn(sys.Root, "", tree.Spec{New: func() actor.Actor { return c }})
		pid := Spawn(sys.Root, Limits{Workers: 1, Queue: 1})
		sys.Root.RequestWithCustomSender(pid, &vaultpb.HashRequest{Channel: "x", Password: "y"}, c.pid)
		synctest.Wait()
		if len(c.answers) != 1 || c.answers[0] != string(Hash("x", "y")) {
			t.Errorf("heard %x", c.answers)
		}
		testkit.Stop(t, sys, pid, c.pid)
	})
}

func TestOnlyRightPasswordsAreKnown(t *testing.T) {
	bubble(t, Limits{Workers: 1, Queue: 9}, func(t *testing.T, b *bench) {
		c := b.clients[0]
		for range 2 { // hashing one does not make it known
			b.ask(c, "x", "guess")
			b.finish(0)
		}
		b.remember("x", "right")
		b.ask(c, "x", "right")
		b.ask(c, "x", "guess")
		b.ask(c, "y", "right") // another channel
		for len(b.under) > 0 {
			b.finish(0)
		}
		if got := fmt.Sprint(b.started); got != "[x/guess x/guess x/guess y/right]" {
			t.Errorf("hashed %s", got)
		}
		if want := fmt.Sprintf("%s", [][]byte{sum("x", "guess"), sum("x", "guess"), sum("x", "right"), sum("x", "guess"), sum("y", "right")}); fmt.Sprint(c.answers) != want {
			t.Errorf("heard %s, want %s", c.answers, want)
		}
	})
}

// TestKindsOfHashesAreApart remembers one of each, of the same password.
func TestKindsOfHashesAreApart(t *testing.T) {
	bubble(t, Limits{Workers: 1, Queue: 9}, func(t *testing.T, b *bench) {
		c := b.clients[0]
		ask := func(long bool) {
			b.sys.Root.RequestWithCustomSender(b.pid, &vaultpb.HashRequest{Channel: "x", Password: "p", Long: long}, c.pid)
			b.d.Settle()
		}
		b.remember("x", "p")
		ask(true)
		b.finish(0)
		ask(false)
		b.sys.Root.Send(b.pid, &vaultpb.Remember{Channel: "x", Password: "p", Long: true, Hash: longSum("x", "p")})
		ask(true)
		if got := fmt.Sprint(b.started); got != "[x/p/long]" {
			t.Errorf("hashed %s", got)
		}
		if want := fmt.Sprintf("%s", [][]byte{longSum("x", "p"), sum("x", "p"), longSum("x", "p")}); fmt.Sprint(c.answers) != want {
			t.Errorf("heard %s, want %s", c.answers, want)
		}
	})
}

// TestKnownPasswordsAreNeverBusy answers them while everything is full.
func TestKnownPasswordsAreNeverBusy(t *testing.T) {
	bubble(t, Limits{Workers: 1, Queue: 1}, func(t *testing.T, b *bench) {
		b.remember("x", "right")
		for i := range 3 {
			b.ask(b.clients[0], "x", fmt.Sprint(i))
		}
		b.ask(b.clients[1], "x", "right")
		if got := b.clients[1].answers; len(got) != 1 || got[0] != string(sum("x", "right")) {
			t.Errorf("heard %q", got)
		}
	})
}

// TestPairsWithTheSameLetters are different passwords.
func TestPairsWithTheSameLetters(t *testing.T) {
	v := newVault(Limits{})
	ids := map[digest]string{}
	for _, pair := range [][2]string{{"ab", "c"}, {"a", "bc"}, {"abc", ""}, {"", "abc"}, {"a\x00", "bc"}, {"a", "\x00bc"}} {
		for _, long := range []bool{false, true} {
			id := v.id(pair[0], pair[1], long)
			if other, ok := ids[id]; ok {
				t.Errorf("%q is taken for %s", pair, other)
			}
			ids[id] = fmt.Sprintf("%q long %v", pair, long)
		}
	}
	if v.id("ab", "c", false) == newVault(Limits{}).id("ab", "c", false) {
		t.Error("two processes name a password alike")
	}
}

func TestTheLongestUnusedIsForgotten(t *testing.T) {
	bubble(t, Limits{Workers: 1, Queue: 1}, func(t *testing.T, b *bench) {
		knows := func(i int) bool {
			_, ok := b.v.known[b.v.id("x", fmt.Sprint(i), false)]
			return ok
		}
		for i := range remembered {
			b.v.onRemember(&vaultpb.Remember{Channel: "x", Password: fmt.Sprint(i), Hash: []byte{1}})
		}
		b.ask(b.clients[0], "x", "0") // used: now the newest
		b.remember("x", "1")          // remembered again: newer still
		b.remember("x", "one more")
		if !knows(0) || !knows(1) || knows(2) || !knows(3) {
			t.Errorf("known are 0 %v, 1 %v, 2 %v, 3 %v; want all but 2", knows(0), knows(1), knows(2), knows(3))
		}
		if len(b.v.known) != remembered || b.v.order.Len() != remembered {
			t.Errorf("%d and %d known, want %d", len(b.v.known), b.v.order.Len(), remembered)
		}
	})
}

// TestNothingKeepsAPassword looks through all that the vault holds when it has
// nothing to do.
func TestNothingKeepsAPassword(t *testing.T) {
	bubble(t, Limits{Workers: 1, Queue: 100}, func(t *testing.T, b *bench) {
		const secret = "Xyzzy-4711"
		if found := search(reflect.ValueOf(&job{m: &vaultpb.HashRequest{Password: secret}}), secret); !found {
			t.Fatal("the search is blind")
		}
		for i := range 10 {
			b.ask(b.clients[0], "channel", fmt.Sprint(secret, i))
		}
		if !search(reflect.ValueOf(b.v), secret) {
			t.Error("nothing is queued")
		}
		for len(b.under) > 0 {
			b.finish(0)
		}
		for i := range 10 {
			b.remember("channel", fmt.Sprint(secret, i))
		}
		if len(b.v.known) != 10 {
			t.Errorf("%d known, want 10", len(b.v.known))
		}
		if search(reflect.ValueOf(b.v), secret) {
			t.Error("the vault keeps a password")
		}
	})
}

// search reports whether a text is anywhere below a value.
func search(v reflect.Value, text string) bool { return searchIn(v, text, map[uintptr]bool{}) }

func searchIn(v reflect.Value, text string, seen map[uintptr]bool) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.Kind() == reflect.Pointer {
			if seen[v.Pointer()] {
				return false
			}
			seen[v.Pointer()] = true
		}
		return !v.IsNil() && searchIn(v.Elem(), text, seen)
	case reflect.String:
		return strings.Contains(v.String(), text)
	case reflect.Struct:
		for i := range v.NumField() {
			if searchIn(v.Field(i), text, seen) {
				return true
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if searchIn(it.Key(), text, seen) || searchIn(it.Value(), text, seen) {
				return true
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return bytes.Contains(v.Bytes(), []byte(text))
		}
		for i := range v.Cap() { // what was cut off is still there
			if searchIn(v.Slice(0, v.Cap()).Index(i), text, seen) {
				return true
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			if searchIn(v.Index(i), text, seen) {
				return true
			}
		}
	}
	return false
}

// TestRestart has hashes under way: they are answered, and none is started too many.
func TestRestart(t *testing.T) {
	bubble(t, Limits{Workers: 2, Queue: 9}, func(t *testing.T, b *bench) {
		for i, c := range b.clients {
			b.ask(c, "x", fmt.Sprint(i))
		}
		p, _ := b.sys.ProcessRegistry.Get(b.pid)
		p.SendSystemMessage(b.pid, &actor.SuspendMailbox{})
		p.SendSystemMessage(b.pid, &actor.Restart{})
		b.d.Settle()
		for len(b.under) > 0 {
			b.finish(0)
		}
		for i, c := range b.clients {
			if got := fmt.Sprint(c.answers); got != fmt.Sprintf("[x/%d]", i) {
				t.Errorf("client %d heard %s", i, got)
			}
		}
		if b.most != 2 {
			t.Errorf("%d at once, want 2", b.most)
		}
	})
}

// rapidTB lets testkit fail a rapid test.
type rapidTB struct {
	testing.TB
	rt *rapid.T
}

func (b rapidTB) Cleanup(f func())                  { b.rt.Cleanup(f) }
func (b rapidTB) Error(args ...any)                 { b.rt.Error(args...) }
func (b rapidTB) Errorf(format string, args ...any) { b.rt.Errorf(format, args...) }
func (b rapidTB) Fatalf(format string, args ...any) { b.rt.Fatalf(format, args...) }
func (b rapidTB) Failed() bool                      { return b.rt.Failed() }
func (b rapidTB) Helper()                           {}
func (b rapidTB) Logf(string, ...any)               {}

// TestVault asks, finishes and remembers in any order: each request has one
// answer, workers and queue keep to their limits.
func TestVault(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rapid.SyncTest(rt, func(rt *rapid.T) {
			l := Limits{Workers: rapid.IntRange(1, 3).Draw(rt, "workers"), Queue: rapid.IntRange(1, 4).Draw(rt, "queue")}
			b := newBench(rapidTB{t, rt}, rapid.Uint64().Draw(rt, "seed"), l)
			asked, known := map[*client][]string{}, map[string]bool{}
			client := rapid.IntRange(0, len(b.clients)-1)
			channel, password := rapid.SampledFrom([]string{"x", "y"}), rapid.SampledFrom([]string{"p", "q", "r"})
			rt.Repeat(map[string]func(*rapid.T){
				"ask": func(t *rapid.T) {
					c, ch, pw := b.clients[client.Draw(t, "client")], channel.Draw(t, "channel"), password.Draw(t, "password")
					full := len(b.under) == l.Workers && len(b.v.queue) == l.Queue
					before := len(c.answers)
					b.ask(c, ch, pw)
					asked[c] = append(asked[c], string(sum(ch, pw)))
					answered, busy := len(c.answers) > before, len(c.answers) > before && c.answers[before] == "busy"
					if k := known[ch+"/"+pw]; answered != (k || full) || busy != (full && !k) {
						t.Fatalf("full %v, known %v: answered %v, busy %v", full, k, answered, busy)
					}
				},
				"finish": func(t *rapid.T) {
					if n := len(b.under); n > 0 {
						b.finish(rapid.IntRange(0, n-1).Draw(t, "which"))
					}
				},
				"remember": func(t *rapid.T) {
					ch, pw := channel.Draw(t, "channel"), password.Draw(t, "password")
					b.remember(ch, pw)
					known[ch+"/"+pw] = true
				},
				"": func(t *rapid.T) {
					if b.most > l.Workers || len(b.v.queue) > l.Queue || b.v.running != len(b.under) {
						t.Fatalf("%d at once, %d wait, %d run of %d", b.most, len(b.v.queue), b.v.running, len(b.under))
					}
				},
			})
			for len(b.under) > 0 {
				b.finish(0)
			}
			for c, want := range asked {
				if len(c.answers) != len(want) {
					rt.Fatalf("%d answers to %d requests", len(c.answers), len(want))
				}
				for _, a := range c.answers {
					if !strings.Contains("busy "+strings.Join(want, " "), a) {
						rt.Fatalf("answered %q, asked for %q", a, want)
					}
				}
			}
			b.stop()
		})
	})
}
