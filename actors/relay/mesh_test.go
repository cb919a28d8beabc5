package relay

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/actors/tree"
	"parley/messages/meshpb"
	"parley/messages/relaypb"
	"parley/testkit"
)

// meshed runs a test in a node of a mesh.
func meshed(t *testing.T, limits Limits, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorldIn(t, testkit.NewDriver(1), 2, limits, newPaperMesh())
		test(t, w)
		w.mesh.settled()
		w.stop()
	})
}

// slowly makes the mesh answer so much later.
func (m *paperMesh) slowly(d time.Duration) {
	m.takes = func(*meshpb.OpenRequest) time.Duration { return d }
}

const asking = 300 * time.Millisecond

// TestOpening asks the mesh for a name once, whatever it says.
func TestOpening(t *testing.T) {
	meshed(t, roomy, func(t *testing.T, w *world) {
		w.mesh.foreign["theirs"], w.mesh.foreign["free"] = paperSum("theirs", "pw"), nil
		w.mesh.foreign["old"] = longSum("old", "pw")
		a, b := w.client(), w.client()
		a.says(sub("x", "", "1")).wants("1 ok")
		b.says(sub("x", "whatever", "1")).wants("1 ok") // open here: nobody is asked
		w.mesh.wantRequests("x false 0")

		a.says(sub("mine", "pw", "2")).wants("2 ok")
		w.mesh.wantRequests("mine true 0", "mine true 32")
		b.says(sub("mine", "", "2"), sub("mine", "no", "3"), sub("mine", "pw", "4")).wantsAll("2 invalid password", "3 invalid password", "4 ok")
		w.mesh.wantRequests()

		a.says(sub("theirs", "", "3")).wants("3 invalid password")
		a.says(sub("theirs", "no", "4")).wants("4 invalid password")
		a.says(sub("theirs", "pw", "5")).wants("5 ok")
		w.mesh.wantRequests("theirs false 0", "theirs true 0", "theirs true 32", "theirs true 0", "theirs true 32")

		requests := w.safe.requests
		a.says(sub("free", "whatever", "6")).wants("6 ok")
		if w.safe.requests != requests {
			t.Error("a password was hashed for a channel without one")
		}
		w.mesh.wantRequests("free true 0")

		a.says(sub("old", "no", "7")).wants("7 invalid password")
		a.says(sub("old", "pw", "8")).wants("8 ok")
		w.mesh.wantRequests("old true 0", "old true 64", "old true 0", "old true 64")
		c := w.client()
		c.says(sub("old", "", "1")).wants("1 invalid password") // and here it is the same
		c.says(sub("old", "pw", "2")).wants("2 ok")
		if got, want := fmt.Sprint(w.safe.remembered), "[mine pw mine pw theirs pw old pw old pw]"; got != want {
			t.Errorf("remembered %s, want %s", got, want)
		}
		a.settledUp()
		b.settledUp()
	})
}

// TestRaceOfTwoPasswords has two clients open a name while others are asked.
func TestRaceOfTwoPasswords(t *testing.T) {
	for _, c := range []struct {
		name         string
		first, later string   // passwords
		theirs       string   // that another node had first; "": none had
		a, b         []string // what they hear
	}{
		{"equal", "p", "p", "", []string{"1 ok"}, []string{"1 ok"}},
		{"different", "p", "q", "", []string{"1 ok"}, []string{"1 invalid password"}},
		{"the later one has none", "p", "", "", []string{"1 ok"}, []string{"1 invalid password"}},
		{"the first one has none", "", "q", "", []string{"1 ok"}, []string{"1 ok"}},
		{"the other node agrees with the first", "p", "q", "p", []string{"1 ok"}, []string{"1 invalid password"}},
		{"the other node agrees with the later", "p", "q", "q", []string{"1 invalid password"}, []string{"1 ok"}},
		{"the other node agrees with none", "p", "q", "r", []string{"1 invalid password"}, []string{"1 invalid password"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			testkit.Seeds(t, seeds, func(t *testing.T, d *testkit.Driver) {
				w := newWorldIn(t, d, 1, roomy, newPaperMesh())
				w.mesh.slowly(asking)
				a, b := w.client(), w.client()
				a.says(sub("x", c.first, "1"))
				d.Run(asking + asking/2) // its password is hashed, and the others are being asked
				if c.theirs != "" {
					w.mesh.foreign["x"] = paperSum("x", c.theirs)
				}
				b.says(sub("x", c.later, "1"))
				w.quiet()
				a.wants(c.a...)
				b.wants(c.b...)
				w.mesh.settled()
				w.stop()
			})
		})
	}
}

// TestNameThatIsAskedForCounts is as good as an open one for the limits, and no
// channel for anybody else.
func TestNameThatIsAskedForCounts(t *testing.T) {
	meshed(t, Limits{ChannelsPerClient: 2, Channels: 3}, func(t *testing.T, w *world) {
		w.mesh.slowly(asking)
		a, b := w.client(), w.client()
		a.says(sub("x", "", "1"), sub("y", "", "2"), sub("z", "", "3")).wants("3 channel limit reached") // a's own
		b.says(sub("z", "", "1"), sub("u", "", "2")).wants("2 channel limit reached")                    // the node's
		b.says(&relaypb.List{Nonce: []byte("3")}).wants()
		if _, open := w.census(); open > 0 || len(w.sizes()) > 0 {
			t.Errorf("%d are open", open)
		}
		w.d.Run(asking)
		a.wantsAll("1 ok", "2 ok")
		b.wants("1 ok", "3 [x y z] [z]")
		w.mesh.foreign["v"] = paperSum("v", "theirs")
		a.says(unsub("x", "4")).wants("4 ok")
		a.says(sub("v", "", "5"))
		w.d.Run(asking)
		a.wants("5 invalid password") // and that leaves room
		a.says(sub("x", "", "6"))
		w.d.Run(asking)
		a.wants("6 ok")
	})
}

// TestLeavingWhileTheMeshIsAsked gives names back that nobody wants any more.
func TestLeavingWhileTheMeshIsAsked(t *testing.T) {
	meshed(t, roomy, func(t *testing.T, w *world) {
		w.mesh.slowly(asking)
		a, b := w.client(), w.client()
		a.says(sub("x", "", "1"), send("x", `"1"`, "2"))
		w.d.Settle()
		a.hangUp()
		w.quiet()
		if clients, open := w.census(); clients != 1 || open > 0 || fmt.Sprint(w.mesh.dropped) != "[x]" {
			t.Errorf("%d clients, %d channels, given back %v", clients, open, w.mesh.dropped)
		}
		if got := w.mesh.published(); got != `x "1" 2` {
			t.Errorf("published %s", got) // its last words
		}
		a = w.client()
		a.says(sub("x", "", "1"))
		w.d.Settle()
		b.says(sub("x", "", "1"), unsub("x", "2"), sub("x", "", "3"))
		w.d.Settle()
		a.hangUp()
		w.quiet()
		b.wants("1 ok", "2 ok", "3 ok")
		if got := fmt.Sprint(w.sizes()); got != "map[x:1]" {
			t.Errorf("open are %s", got)
		}
	})
}

// TestFailingWhileTheMeshIsAsked is leaving without a word.
func TestFailingWhileTheMeshIsAsked(t *testing.T) {
	testkit.Seeds(t, seeds, func(t *testing.T, d *testkit.Driver) {
		w := newWorldIn(t, d, 1, roomy, newPaperMesh(), testkit.ExpectFailures(2))
		w.mesh.slowly(asking)
		a, b, c := w.client(), w.client(), w.client()
		a.says(sub("x", "", "1"), sub("y", "", "2"))
		d.Settle()
		b.says(sub("x", "", "1"))
		c.says(sub("x", "", "1"))
		d.Settle()
		w.sys.Root.Send(a.server, poison)
		w.sys.Root.Send(b.server, poison)
		w.quiet()
		c.wants("1 ok")
		if got := fmt.Sprint(w.sizes()); got != "map[x:1]" {
			t.Errorf("open are %s", got)
		}
		w.mesh.settled()
		w.stop()
	})
}

// TestMeshThatDoesNotAnswer makes nobody wait for ever.
func TestMeshThatDoesNotAnswer(t *testing.T) {
	meshed(t, roomy, func(_ *testing.T, w *world) {
		w.mesh.slowly(-1)
		a, b := w.client(), w.client()
		a.says(sub("x", "", "1"))
		w.d.Settle()
		b.says(sub("x", "", "1"))
		w.d.Run(openTimeout - time.Millisecond)
		o := w.core.kept.openings["x"]
		w.sys.Root.Send(w.channels, openLate{o, o.round - 1}) // an earlier question's
		a.wants()
		w.d.Run(time.Millisecond)
		a.wants("1 busy")
		b.wants("1 busy")
		w.mesh.takes = nil
		for _, m := range []*meshpb.OpenResponse{
			{Channel: "x", Outcome: meshpb.Outcome_OUTCOME_NEED_HASH},
			{Channel: "x", Outcome: meshpb.Outcome_OUTCOME_WRONG_PASSWORD},
		} {
			w.sys.Root.Send(w.channels, m) // at last
		}
		w.mesh.own["x"] = nil
		w.sys.Root.Send(w.channels, &meshpb.OpenResponse{Channel: "x", Outcome: meshpb.Outcome_OUTCOME_OPEN})
		a.says(sub("x", "", "2")).wants("2 ok")
		w.sys.Root.Send(w.channels, &meshpb.OpenResponse{Channel: "x", Outcome: meshpb.Outcome_OUTCOME_OPEN})
		b.says(sub("x", "", "2")).wants("2 ok")
		a.settledUp()
	})
}

// TestNameThatChangesHands between two kinds of hashes is given up.
func TestNameThatChangesHands(t *testing.T) {
	meshed(t, roomy, func(t *testing.T, w *world) {
		w.mesh.takes = func(r *meshpb.OpenRequest) time.Duration {
			w.mesh.foreign["x"] = longSum("x", "pw")
			if len(r.GetHash()) == longHash {
				w.mesh.foreign["x"] = paperSum("x", "pw")
			}
			return 0
		}
		a := w.client()
		a.says(sub("x", "pw", "1")).wants("1 busy")
		if w.safe.requests != hashRounds {
			t.Errorf("%d hashes", w.safe.requests)
		}
		a.says(sub("y", "", "2")).wants("2 ok")
		a.settledUp()
	})
}

// TestChannelInTheMesh passes on what is said here, and hears what is said
// elsewhere.
func TestChannelInTheMesh(t *testing.T) {
	meshed(t, roomy, func(t *testing.T, w *world) {
		a, b, c := w.client(), w.client(), w.client()
		lossy := sub("x", "pw", "1")
		lossy.Lossy = true
		a.says(sub("x", "pw", "1"), sub("y", "", "2")).wantsAll("1 ok", "2 ok")
		b.says(lossy).wants("1 ok")
		c.says(sub("x", "pw", "1")).wants("1 ok")
		if fmt.Sprint(w.mesh.own) == "" || w.mesh.carried["x"] == nil || w.mesh.carried["y"] == nil {
			t.Errorf("carried are %v", w.mesh.carried)
		}
		text := send("x", payload(750), "3")
		a.says(text, send("y", `{"a":1}`, "4")).wantsAll("3 ok", "4 ok")
		key := fmt.Sprintf("%x", paperSum("x", "pw"))[:keyDigits]
		if got, want := w.mesh.published(), "x "+payload(750)+" 3 "+key+` | y {"a":1} 4`; got != want {
			t.Errorf("published %s, want %s", got, want)
		}
		if &w.mesh.passed[0].GetPayload()[0] != &text.GetMessage()[0] {
			t.Error("the message was copied")
		}
		for _, p := range []*peer{a, b, c} {
			p.says()
		}
		before := len(w.mesh.passed)
		w.mesh.alone = true // nobody would get it
		a.says(send("y", `"lone"`, "6")).wants("6 ok")
		w.mesh.alone = false
		for i := range 3 {
			w.mesh.deliver(w.sys.Root, "x", fmt.Sprintf(`"%0373d"`, i))
		}
		w.d.Settle()
		for _, p := range []*peer{a, b, c} {
			p.wants(fmt.Sprintf(`x: "%0373d"`, 0), fmt.Sprintf(`x: "%0373d"`, 1), fmt.Sprintf(`x: "%0373d"`, 2))
		}
		if len(w.mesh.passed) > before {
			t.Error("what came from elsewhere was sent back")
		}
		w.d.Run(time.Second)
		s := w.nodeStats() // each message once, where it came in
		if got := brief(&relaypb.NodeStats{Clients: 3, Channels: s.GetChannels()[:1], Total: s.GetTotal()}); got !=
			"3 clients, [6 6 6] [15.104 1.0069333333333332 0.2517333333333333] [11 11 11]; x of 3: [4 4 4] [15 1 0.25] [11 11 11]" {
			t.Errorf("stats are %s", got)
		}
		old := w.mesh.carried["x"]
		for _, p := range []*peer{a, b, c} {
			p.says(unsub("x", "5")).wants("5 ok")
		}
		if w.mesh.carried["x"] != nil || fmt.Sprint(w.mesh.dropped) != "[x]" {
			t.Errorf("x is carried to %v, given back %v", w.mesh.carried["x"], w.mesh.dropped)
		}
		w.sys.Root.Send(old, &meshpb.Delivery{Message: &meshpb.Message{Channel: "x", Payload: []byte(`"late"`)}})
		a.wants()
	})
}

// TestDeliveryToAnEmptyChannel comes between the last leave and the end.
func TestDeliveryToAnEmptyChannel(t *testing.T) {
	testkit.Seeds(t, seeds, func(t *testing.T, d *testkit.Driver) {
		w := newWorldIn(t, d, 1, roomy, newPaperMesh())
		a := w.client()
		a.says(sub("x", "", "1")).wants("1 ok")
		w.mesh.deliver(w.sys.Root, "x", `"1"`)
		a.says(unsub("x", "2"), sub("x", "", "3"))
		for i := range 5 {
			w.later(i, func() { w.mesh.deliver(w.sys.Root, "x", `"2"`) })
		}
		d.Settle()
		d.Run(time.Second)
		heard := uint64(len(a.heard) - 2)
		if got := w.nodeStats().GetTotal(); got.GetPackets()[1] != heard || got.GetDeliveries()[1] != heard {
			t.Errorf("%v counted, heard %d", got, heard)
		}
		w.mesh.settled()
		w.stop()
	})
}

func TestSlowDownWhenTheMeshIsBehind(t *testing.T) {
	meshed(t, roomy, func(t *testing.T, w *world) {
		a, b := w.client(), w.client()
		a.says(sub("x", "", "1")).wants("1 ok")
		b.says(sub("x", "", "1")).wants("1 ok")
		w.mesh.behind = true
		silent := send("x", `"2"`, "3")
		silent.Silent = true
		a.says(send("x", `"1"`, "2"), silent).wants("2 slow down", "3 slow down")
		w.mesh.deliver(w.sys.Root, "x", `"in"`)
		a.wants(`x: "in"`)
		b.wants(`x: "in"`)
		w.mesh.behind = false
		a.says(send("x", `"3"`, "4")).wants("4 ok")
		b.wants(`x: "3"`)
		if got := w.mesh.published(); got != `x "3" 4` {
			t.Errorf("published %s", got)
		}
		if n := tree.Of(w.sys).Dropped(tree.SlowDown); n != 2 {
			t.Errorf("%d counted, want 2", n)
		}
		a.settledUp()
	})
}

// TestDeliveryToAChannelThatIsBehind is refused, and counted.
func TestDeliveryToAChannelThatIsBehind(t *testing.T) {
	meshed(t, roomy, func(t *testing.T, w *world) {
		a := w.client()
		a.says(sub("x", "", "1")).wants("1 ok")
		large := `"` + strings.Repeat("x", tree.DefaultLimit/2) + `"` // two of them are too much
		seen := false
		w.onCast = func(cast) { // the channel is at work and takes nothing else
			if !seen {
				seen = true
				w.mesh.deliver(w.sys.Root, "x", large)
				w.mesh.deliver(w.sys.Root, "x", large)
			}
		}
		w.mesh.deliver(w.sys.Root, "x", `"1"`)
		w.d.Settle()
		if n := tree.Of(w.sys).Dropped(tree.MailboxFull); n != 1 || len(a.heard) != 2 {
			t.Errorf("%d counted, a heard %d", n, len(a.heard))
		}
	})
}

// TestWhoWaitsKeepsTheirTurn asks for one password after the other.
func TestWhoWaitsKeepsTheirTurn(t *testing.T) {
	meshed(t, roomy, func(t *testing.T, w *world) {
		w.mesh.slowly(asking)
		w.mesh.foreign["x"] = paperSum("x", "theirs")
		for i, password := range []string{"p", "q", "r", "q", "r"} {
			p := w.client()
			w.sys.Root.Send(w.channels, &subscribe{
				name: "x", hasPassword: true, hash: paperSum("x", password), member: p.member, client: w.asker, nonce: fmt.Append(nil, i),
			})
		}
		w.d.Run(asking)
		delete(w.mesh.foreign, "x") // while the next is asked for
		w.d.Run(asking)
		w.peer(2).wants("1 ok")
		w.peer(4).wants("3 ok")
		w.mesh.wantRequests("x true 32", "x true 32")
		if got := fmt.Sprint(w.refusals); got != "[{x invalid password} {x invalid password} {x invalid password}]" {
			t.Errorf("refused %s", got)
		}
	})
}
