package relay

import (
	"fmt"
	"slices"
	"testing"

	"parley/testkit"
)

// TestListsOfMembersAreFrozen has members come and go while messages are on
// their way to a shard: the world compares what was sent with what comes.
func TestListsOfMembersAreFrozen(t *testing.T) {
	testkit.Seeds(t, seeds, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d, 1, roomy)
		sender := w.client()
		sender.says(sub("x", "", "0")).wants("0 ok")
		var members []*peer
		for i := range 6 {
			p := w.client()
			s := sub("x", "", "0")
			s.Lossy = i%2 == 0
			p.says(s).wants("0 ok")
			members = append(members, p)
		}
		for round := range 3 {
			for i, p := range members {
				if (i+round)%3 == 0 {
					p.says(unsub("x", "1"), sub("x", "", "2"))
				}
				sender.say(send("x", fmt.Sprintf(`"%d-%d"`, round, i), fmt.Sprint(round, i)))
			}
			d.Settle()
		}
		for _, p := range members {
			if !slices.Contains(p.heard, "2 ok") {
				t.Errorf("%d heard %q", p.member, p.heard)
			}
		}
		if got := fmt.Sprint(w.sizes()); got != "map[x:7]" {
			t.Errorf("open are %s", got)
		}
		w.stop()
	})
}

// TestLastWordsAreHeard has a peer hang up before its subscribe is answered:
// what it said behind that is published, up to its unsubscribe.
func TestLastWordsAreHeard(t *testing.T) {
	testkit.Seeds(t, seeds, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d, 2, roomy)
		owner, a := w.client(), w.client()
		owner.says(sub("x", "", "1")).wants("1 ok")
		a.says(sub("x", "", "1"), send("x", `"1"`, "2"), send("x", `"2"`, "3"), unsub("x", "4"), send("x", `"3"`, "5"))
		a.hangUp()
		owner.wants(`x: "1"`, `x: "2"`)
		if clients, _ := w.census(); clients != 1 || fmt.Sprint(w.sizes()) != "map[x:1]" {
			t.Errorf("left are %d clients, members %v", clients, w.sizes())
		}
		w.stop()
	})
}
