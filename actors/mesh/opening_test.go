package mesh

import (
	"slices"
	"strings"
	"testing"
	"time"

	"parley/messages/meshpb"
)

const (
	opens      = meshpb.Outcome_OUTCOME_OPEN
	wrong      = meshpb.Outcome_OUTCOME_WRONG_PASSWORD
	needs      = meshpb.Outcome_OUTCOME_NEED_HASH
	needsLong  = meshpb.Outcome_OUTCOME_NEED_LONG_HASH
	askFirst   = 300 * time.Millisecond
	lingersFor = 2 * time.Second
)

// TestOpenAlone opens names on a node that has no peers: nothing waits and
// nobody is asked.
func TestOpenAlone(t *testing.T) {
	one(t, Options{AskFirst: askFirst, Linger: lingersFor}, func(c *clerk) {
		c.expect("no hash yet", c.want("a", "?"), needs, "")
		c.expect("a hash of another kind", c.want("a", strings.Repeat("x", hashLong)), needs, "")
		c.expect("first", c.want("a", hashOne), opens, hashOne)
		c.expect("none", c.want("b", ""), opens, "")
		c.expect("open already, another", c.want("a", hashTwo), wrong, "")
		c.expect("open already, none", c.want("a", ""), wrong, "")
		c.expect("ignored", c.want("b", hashTwo), opens, "")
		if len(c.asked) != 0 || last[*version](c).ver != 2 {
			t.Errorf("asked %v", c.asked)
		}
		c.send(&meshpb.Drop{Channel: "a"})
		c.expect("as it was", c.want("a", hashOne), opens, hashOne)
		c.send(&meshpb.Drop{Channel: "a"})
		c.d.Run(lingersFor + time.Second)
		c.expect("free again", c.want("a", hashTwo), opens, hashTwo)
		if v := last[*version](c); v.ver != 4 {
			t.Errorf("version %d", v.ver)
		}
	})
}

// TestOpenAsksFirst has names wait for what others say.
func TestOpenAsksFirst(t *testing.T) {
	yes := &meshpb.Answer{Node: "far", Response: agreed()}
	no := func(e *meshpb.Entry) *meshpb.Answer {
		return &meshpb.Answer{Node: "far", Response: declined(reasonReserved, e)}
	}
	long := strings.Repeat("l", hashLong)
	for _, test := range []struct {
		name    string
		hash    string
		answers []*meshpb.Answer
		want    meshpb.Outcome
		has     string // hash of the name here, afterwards; "-": it is not open
	}{
		{"agreed", hashOne, []*meshpb.Answer{yes}, opens, hashOne},
		{"silence", hashOne, nil, opens, hashOne},
		{"another's", hashOne, []*meshpb.Answer{yes, no(entry("", hashTwo, 7, "far"))}, wrong, "-"},
		{"another's, and it fits", hashTwo, []*meshpb.Answer{no(entry("", hashTwo, 7, "far"))}, opens, hashTwo},
		{"another's, of no password", hashOne, []*meshpb.Answer{no(entry("", "", 7, "far"))}, opens, ""},
		{"of two the smaller", hashOne, []*meshpb.Answer{no(entry("", "", 8, "far")), no(entry("", hashTwo, 7, "far"))}, wrong, "-"},
		{"a larger claim", hashOne, []*meshpb.Answer{no(entry("", hashTwo, foreignTS, "far"))}, opens, hashOne},
		{"no claim, by a foreign node", hashOne, []*meshpb.Answer{no(nil)}, wrong, "-"},
		{"a long hash", hashOne, []*meshpb.Answer{no(entry("", long, 7, "far"))}, needsLong, "-"},
		{"nonsense", hashOne, []*meshpb.Answer{{Node: "far"}, {Node: "far", Response: declined("moon", nil)}}, opens, hashOne},
	} {
		t.Run(test.name, func(t *testing.T) {
			one(t, Options{AskFirst: askFirst, Linger: lingersFor}, func(c *clerk) {
				c.link("far", strings.HasSuffix(test.name, "foreign node"))
				if early := c.want("a", test.hash); early != nil {
					t.Fatalf("not asked: %v", early)
				}
				again := c.want("a", test.hash) // another client
				cmd := c.question(cmdReserve)
				if again != nil || cmd.GetChannel() != "a" || cmd.GetVer() != 1 || cmd.GetBoot() != 5 || cmd.GetClaim().GetOwner() != "self" || cmd.Open != nil {
					t.Errorf("asked %v", cmd)
				}
				c.answer(cmdReserve, test.answers...)
				m := last[*meshpb.OpenResponse](c)
				if test.name == "no claim, by a foreign node" {
					c.answer(cmdReserve, test.answers...) // the second one asked, too
					m = last[*meshpb.OpenResponse](c)
				}
				hash := test.has
				if hash == "-" {
					hash = ""
				}
				c.expect(test.name, m, test.want, hash)
				own := c.me.records.entry(c.me.records.own, "a")
				if (own == nil) != (test.has == "-") || own != nil && own.hash != test.has {
					t.Errorf("own %v", own)
				}
				if test.has == "-" && c.question(cmdUnreserve) == nil {
					t.Error("it stays reserved")
				}
				if test.name == "a long hash" {
					c.expect("long", c.want("a", long), opens, long)
				}
			})
		})
	}
}

// TestJoin opens names that others have: nobody is asked first, and who joins
// copies the claim.
func TestJoin(t *testing.T) {
	long := strings.Repeat("l", hashLong)
	one(t, Options{AskFirst: askFirst, Linger: lingersFor}, func(c *clerk) {
		c.link("far", false, entry("a", hashOne, 7, "further"), entry("b", "", 8, "far"), entry("c", long, 9, "far"))
		c.expect("no hash yet", c.want("a", "?"), needs, "")
		c.expect("another", c.want("a", hashTwo), wrong, "")
		c.expect("none", c.want("a", ""), wrong, "")
		c.expect("right", c.want("a", hashOne), opens, hashOne)
		if cl := c.question(cmdReserve).GetClaim(); cl.GetTs() != 7 || cl.GetOwner() != "further" {
			t.Errorf("claimed %v", cl)
		}
		c.expect("none needed", c.want("b", hashOne), opens, "")
		c.expect("long wanted", c.want("c", hashOne), needsLong, "")
		c.expect("wrong long", c.want("c", strings.Repeat("m", hashLong)), wrong, "")
		c.expect("long", c.want("c", long), opens, long)
		h := c.holdings()
		if len(h) != 3 || h[0].GetName() != "a" || !h[0].GetProtected() || !slices.Equal(h[0].GetHolders(), []string{"far", "self"}) || h[1].GetProtected() {
			t.Errorf("holdings %v", h)
		}
	})
}

func (c *clerk) holdings() []*meshpb.Holding {
	c.send(&meshpb.HoldingsRequest{})
	return last[*meshpb.HoldingsResponse](c).GetChannels()
}

// TestFirstSyncHoldsOpenings has openings wait for what the first peer tells, and
// not for ever.
func TestFirstSyncHoldsOpenings(t *testing.T) {
	for _, comes := range []string{"told", "silent", "gone"} {
		one(t, Options{AskFirst: askFirst}, func(c *clerk) {
			c.send(&linked{neighbor{name: "far", boot: 1, member: 1}})
			if m := c.want("a", hashOne); m != nil {
				t.Fatalf("%s: at once: %v", comes, m)
			}
			switch comes {
			case "told":
				e := entry("a", hashTwo, 7, "far")
				c.answer(cmdChannels, &meshpb.Answer{Node: "far", Response: &meshpb.Response{Listing: &meshpb.Listing{Boot: 1, Ver: 1, Entries: []*meshpb.Entry{e}}}})
				c.answer(cmdReserved, &meshpb.Answer{Node: "far", Response: &meshpb.Response{Listing: &meshpb.Listing{}}})
				c.expect(comes, last[*meshpb.OpenResponse](c), wrong, "")
			case "gone":
				c.send(&unlinked{name: "far", member: 1})
				c.expect(comes, last[*meshpb.OpenResponse](c), opens, hashOne)
			case "silent":
				c.d.Run(firstSync + time.Millisecond)
				c.answer(cmdReserve)
				c.expect(comes, last[*meshpb.OpenResponse](c), opens, hashOne)
			}
			c.told = nil
			c.send(&linked{neighbor{name: "other", boot: 1, member: 2}})
			c.expect("the second waits for nothing", c.want("a", "?"), needs, "")
		})
	}
}
