package mesh

import (
	"slices"
	"testing"
	"time"
	"unique"

	"parley/actors/tree"
	"parley/messages/meshpb"
	"parley/testkit"
)

// TestEvicted has names go to who opened them earlier elsewhere, by a command, a
// record and a refusal.
func TestEvicted(t *testing.T) {
	for _, by := range []string{"command", "sync", "refusal"} {
		one(t, Options{Linger: lingersFor}, func(c *clerk) {
			c.link("far", false)
			c.expect(by, c.want("a", hashOne), opens, hashOne)
			winner := entry("a", hashTwo, 7, "far")
			switch by {
			case "command":
				c.yes(c.inquire("far", &meshpb.Command{Name: cmdReserve, Channel: "a", Password: winner.GetPassword(), Claim: winner.GetClaim(), Boot: 1, Ver: 1}))
			case "sync":
				c.inquire("far", &meshpb.Command{Name: cmdSync, Records: []*meshpb.Record{{Node: "far", Boot: 1, Ver: 1, Entries: []*meshpb.Entry{winner}}}})
			case "refusal":
				c.answer(cmdReserve, &meshpb.Answer{Node: "far", Response: declined(reasonReserved, winner)})
			}
			if e := last[*meshpb.Evict](c); e.GetChannel() != "a" {
				t.Errorf("%s: %v", by, e)
			}
			if u := c.question(cmdUnreserve); u.GetVer() != 2 || u.GetChannel() != "a" {
				t.Errorf("%s: %v", by, u)
			}
			c.send(&meshpb.Drop{Channel: "a"}) // by who was told
			c.answer(cmdUnreserve, &meshpb.Answer{Node: "far", Response: declined(reasonStillOpen, nil)})
			again := c.question(cmdReserve)
			if again.Open == nil || again.GetOpen() || !slices.Equal(again.GetHolders(), []string{"far"}) || by != "refusal" && again.GetPassword() != winner.GetPassword() {
				t.Errorf("%s: reserved again: %v", by, again)
			}
			c.expect("lost", c.want("a", hashOne), wrong, "")
		})
	}
}

func (c *clerk) yes(m *meshpb.Response) {
	c.t.Helper()
	if m == nil || !m.GetOk() {
		c.t.Errorf("answered %v", m)
	}
}

// TestLinger closes and opens again, before and after the name is given up.
func TestLinger(t *testing.T) {
	one(t, Options{Linger: lingersFor}, func(c *clerk) {
		c.link("far", false)
		c.want("a", hashOne)
		c.want("b", "")
		for range 3 {
			c.send(&meshpb.Drop{Channel: "a"})
			c.d.Run(lingersFor / 2)
			c.expect("back", c.want("a", hashOne), opens, hashOne)
			c.d.Run(lingersFor / 2)
		}
		if c.question(cmdUnreserve) != nil {
			t.Fatal("given up")
		}
		if m := c.inquire("far", &meshpb.Command{Name: cmdUnreserve, Channel: "a", Boot: 1, Ver: 1}); m.GetReason() != reasonStillOpen || m.GetOk() {
			t.Errorf("answered %v", m)
		}
		c.send(&meshpb.Drop{Channel: "b"})
		c.send(&meshpb.Drop{Channel: "a"})
		c.send(&meshpb.Drop{Channel: "a"})
		c.send(&meshpb.Drop{Channel: "never opened"})
		c.d.Run(lingersFor + time.Millisecond)
		n := 0
		for _, m := range c.asked {
			if m.GetCommand().GetName() == cmdUnreserve {
				n++
			}
		}
		if n != 2 || len(c.me.records.own.entries) != 0 {
			t.Errorf("%d given up, %d left", n, len(c.me.records.own.entries))
		}
		c.want("a", hashOne) // before the answers
		last[*meshpb.OpenResponse](c)
		asked := len(c.asked)
		c.answer(cmdUnreserve, &meshpb.Answer{Node: "far", Response: declined(reasonStillOpen, nil)})
		c.answer(cmdUnreserve, &meshpb.Answer{Node: "far", Response: declined(reasonStillOpen, nil)})
		if c.question(cmdReserve).GetChannel() != "b" || len(c.asked) != asked+1 { // a is open again
			t.Errorf("reserved again: %v", c.question(cmdReserve))
		}
	})
}

// TestLingeringIsNotHeld: a name that only lingers belongs to who comes next,
// unless others have it.
func TestLingeringIsNotHeld(t *testing.T) {
	one(t, Options{Linger: lingersFor}, func(c *clerk) {
		c.link("far", false)
		for _, step := range []struct{ before, now string }{{hashOne, hashTwo}, {hashTwo, ""}, {"", hashOne}} {
			c.expect("opened", c.want("a", step.before), opens, step.before)
			c.send(&meshpb.Drop{Channel: "a"})
			c.expect("opened anew", c.want("a", step.now), opens, step.now)
			if got := c.question(cmdUnreserve); got == nil || got.GetVer()+1 != c.me.records.own.ver {
				t.Errorf("given up: %v, at %d", got, c.me.records.own.ver)
			}
			c.send(&meshpb.Drop{Channel: "a"})
			c.d.Run(lingersFor + time.Millisecond)
		}
	})
	one(t, Options{Linger: lingersFor}, func(c *clerk) {
		c.link("far", false, entry("a", hashOne, 7, "far"))
		c.expect("joined", c.want("a", hashOne), opens, hashOne)
		c.send(&meshpb.Drop{Channel: "a"})
		c.expect("held by others", c.want("a", hashTwo), wrong, "")
		c.expect("as it is", c.want("a", hashOne), opens, hashOne)
	})
}

// TestReservationsRestart has the actor fail while it decides: who asked is told,
// and what it knew is still known.
func TestReservationsRestart(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		c := newClerk(t, d, Options{AskFirst: askFirst, Linger: lingersFor}, testkit.ExpectFailures(1))
		c.want("a", hashOne)
		now := c.me.o.Now
		c.me.o.Now = func() time.Time { panic("told to") }
		c.expect("failed", c.want("b", ""), meshpb.Outcome_OUTCOME_BUSY, "")
		c.me.o.Now = now
		c.expect("b", c.want("b", ""), opens, "")
		c.expect("still known", c.want("a", hashTwo), wrong, "")
		c.send(&meshpb.Drop{Channel: "a"})
		d.Run(lingersFor + sweepEvery)
		c.expect("timers run", c.want("a", hashTwo), opens, hashTwo)
		c.stop()
	})
}

// TestLostAnswers has commands never answer: nothing stays open for ever.
func TestLostAnswers(t *testing.T) {
	one(t, Options{AskFirst: askFirst}, func(c *clerk) {
		c.link("far", false)
		c.want("a", hashOne)
		c.d.Run(queryMost + sweepEvery)
		c.expect("lost", last[*meshpb.OpenResponse](c), opens, hashOne)
	})
}

// TestReserveAnswers has other nodes open what is, and is not, somebody's.
func TestReserveAnswers(t *testing.T) {
	one(t, Options{}, func(c *clerk) {
		c.link("far", false)
		c.want("mine", hashOne)
		c.told = nil
		ver := uint64(0)
		reserve := func(name, hash string, ts uint64) *meshpb.Response {
			ver++
			cmd := reserving(name, &claim{ts, unique.Make("far"), hash})
			cmd.Boot, cmd.Ver = 1, ver
			return c.inquire("far", cmd)
		}
		c.yes(reserve("new", hashOne, 7))
		if h := last[*holds](c); h == nil || *h != (holds{"far", "new", true}) {
			t.Errorf("holds %v", h)
		}
		c.yes(reserve("mine", hashOne, foreignTS))
		m := reserve("mine", hashTwo, foreignTS)
		w := m.GetWinner()
		if m.GetOk() || m.GetReason() != reasonReserved || w.GetName() != "mine" || w.GetClaim().GetOwner() != "self" || w.GetPassword() != entry("", hashOne, 0, "far").GetPassword() {
			t.Errorf("answered %v", m)
		}
		if r := c.inquire("far", &meshpb.Command{Name: cmdReserve, Channel: "bad", Password: "moon"}); r != nil {
			t.Errorf("nonsense was answered %v", r)
		}
		p := &meshpb.Packet{Source: "far", Boot: 2, Command: &meshpb.Command{Name: cmdReserve, Channel: "bad", Boot: 1, Ver: ver + 1}}
		c.send(&inquiry{packet: p, from: "far"})
		if last[*post](c) != nil || c.me.records.effective("bad") != nil {
			t.Error("a change of another start was taken")
		}
		ver++
		c.yes(c.inquire("far", &meshpb.Command{Name: cmdUnreserve, Channel: "new", Boot: 1, Ver: ver}))
		if h := last[*holds](c); h == nil || *h != (holds{"far", "new", false}) {
			t.Errorf("holds %v", h)
		}
		if tree.Of(c.sys).Dropped(tree.MeshMalformed) != 2 {
			t.Error("not counted")
		}
	})
}
