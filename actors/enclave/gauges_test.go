package enclave

import (
	"testing"

	"parley/actors/tree"
	"parley/testkit"
)

// TestGauges: operators see how many friends there are, who is online and what waits.
func TestGauges(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		w, n := quiet(t, d, nil)
		m := tree.Of(w.sys)
		is := func(friends, online, queued int64) {
			t.Helper()
			d.Settle()
			for name, want := range map[string]int64{"enclave_friends": friends, "enclave_friends_online": online, "enclave_queued": queued} {
				if got := m.Level(name, "").Load(); got != want {
					t.Errorf("%s is %d, want %d", name, got, want)
				}
			}
		}
		known := int64(n.status().GetFriends())
		is(known, 0, 0)
		n.must(send("Bo", "one"), send("Bo", "two"))
		is(known, 0, 2)
		e := n.call("10.0.0.2:5").say(shake("x", Available))
		is(known, 1, 0)
		e.say(shake("x", Offline))
		is(known, 0, 0)
		n.must(send("Bo", "three"))
		is(known, 0, 1)
		n.call("10.0.0.2:6").say(kinShake("peer"))
		is(known, 1, 1)
		n.ask(remove("Bo"))
		is(known-1, 0, 0)
		w.stop()
	})
}
