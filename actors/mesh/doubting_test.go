package mesh

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/meshpb"
)

// TestLiesAreFoundOut has a peer tell of a record what its node does not say.
func TestLiesAreFoundOut(t *testing.T) {
	one(t, Options{}, func(c *clerk) {
		c.link("far", false)
		c.link("near", false)
		x := entry("x", hashOne, 1, "node")
		// Of a node that nobody has heard it can say anything, until that one speaks.
		first := &meshpb.Record{Node: "node", Boot: 99, Ver: 1, Entries: []*meshpb.Entry{entry("y", "", 0, "node")}}
		sync := func(source, from string, all ...*meshpb.Record) {
			c.send(&inquiry{packet: &meshpb.Packet{Source: source, Command: &meshpb.Command{Name: cmdSync, Records: all}}, from: from})
		}
		sync("far", "far", first)
		if got := c.knows("node"); !strings.HasPrefix(got, "y ") {
			t.Errorf("knows %s", got)
		}
		c.send(&heard{node: "node", boot: 3, ver: 1})
		c.d.Run(2 * checkAfter)
		c.record("node", 3, 1, x)
		rumor := func(boot, ver uint64) *meshpb.Record {
			return &meshpb.Record{Node: "node", Boot: boot, Ver: ver, Partial: true}
		}
		for i, lie := range []*meshpb.Record{
			{Node: "node", Boot: 3, Ver: 9},
			{Node: "node", Boot: 99, Ver: 1, Entries: first.GetEntries()},
			{Node: "node", Boot: 3, Ver: 1, Entries: first.GetEntries()}, // as far as is known, and not the same
			{Node: "node", Boot: 3, Ver: 1},
		} {
			c.d.Run(suspectSpan)
			before := c.questions(cmdChannels, "node")
			c.told = nil
			for range 3 { // each time more than the last, before the node can answer
				sync("far", "far", lie)
				if lie.GetVer() > 1 || lie.GetBoot() > 3 {
					lie.Ver++
				}
				c.d.Run(rumorAfter / 4)
				if got := c.knows("node"); !strings.HasPrefix(got, "x ") {
					t.Errorf("lie %d: knows %s", i, got)
				}
			}
			c.d.Run(2 * checkAfter)
			if got := c.questions(cmdChannels, "node"); got != before+1 {
				t.Errorf("lie %d: asked %d times, not once", i, got-before)
			}
			c.record("node", 3, 1, x)
			if got := c.knows("node"); !strings.HasPrefix(got, "x ") {
				t.Errorf("lie %d: knows %s", i, got)
			}
			var want *meshpb.Record
			if i < 2 { // others are to ask, too
				want = []*meshpb.Record{rumor(3, 9), rumor(99, 1)}[i]
			}
			switch m := last[*post](c); {
			case m == nil && want == nil:
			case m == nil || want == nil || m.only != "near" || !proto.Equal(m.command.GetRecords()[0], want):
				t.Errorf("lie %d: passed on as %+v, want %v", i, m, want)
			}
			c.send(&heard{node: "node", boot: 3, ver: 1})
		}
		c.d.Run(suspectSpan)
		// One who says so on behalf of another is not believed, but a reason to ask.
		before := c.questions(cmdChannels, "node")
		c.yes(c.inquire("far", &meshpb.Command{Name: cmdUnreserve, Channel: "x", Node: "node"}))
		if got := c.knows("node"); !strings.HasPrefix(got, "x ") {
			t.Errorf("knows %s", got)
		}
		c.d.Run(2 * checkAfter)
		c.record("node", 3, 1)
		if c.knows("node") != "" || c.questions(cmdChannels, "node") != before+1 {
			t.Errorf("knows %s", c.knows("node"))
		}
		behalf := changeOf(cmdReserve, 0, 0, x)
		behalf.Open, behalf.Holders = proto.Bool(false), []string{"node", "nobody", "self"}
		c.yes(c.inquire("far", behalf)) // too early
		c.d.Run(suspectSpan)
		c.yes(c.inquire("far", behalf))
		c.d.Run(2 * checkAfter)
		c.record("node", 3, 1, x)
		if got := c.knows("node"); !strings.HasPrefix(got, "x ") || c.knows("far") != "" || c.knows("nobody") != "nothing" {
			t.Errorf("knows %s", got)
		}
		c.yes(c.inquire("far", behalf)) // nothing is wrong now
		if c.d.Run(2 * checkAfter); c.questions(cmdChannels, "node") != before+2 {
			t.Error("asked for nothing")
		}
		c.want("mine", "")
		if m := c.inquire("far", &meshpb.Command{Name: cmdUnreserve, Channel: "mine", Node: "self"}); m.GetReason() != reasonStillOpen {
			t.Errorf("answered %v", m)
		}
	})
}

// TestOthersWords has a peer tell of nodes, and nodes tell by a peer, what is
// not theirs to tell.
func TestOthersWords(t *testing.T) {
	one(t, Options{}, func(c *clerk) {
		x, y := entry("x", "", 1, "node"), entry("y", "", 0, "node")
		c.link("far", false, x)
		c.link("odd", true, &meshpb.Entry{Name: "o"})
		tell := func(source, from, node string, boot uint64) {
			rec := &meshpb.Record{Node: node, Boot: boot, Ver: 9, Entries: []*meshpb.Entry{y}}
			c.send(&inquiry{packet: &meshpb.Packet{Source: source, Destination: "*", Command: &meshpb.Command{Name: cmdSync, Records: []*meshpb.Record{rec}}}, from: from})
		}
		tell("liar", "far", "far", 1) // it only came over far
		tell("far", "far", "odd", 1)  // a foreign node has no such record
		if c.knows("far") != `x "" 1 node` || !strings.HasPrefix(c.knows("odd"), "o ") || tree.Of(c.sys).Dropped(tree.MeshMalformed) != 1 {
			t.Errorf("knows %s and %s", c.knows("far"), c.knows("odd"))
		}
		tell("far", "far", "far", 1)
		if c.knows("far") != `y "" 0 node` {
			t.Errorf("its own word: knows %s", c.knows("far"))
		}
		// Two peers tell of one version, and not the same: the node is asked.
		c.link("near", false)
		c.send(&heard{node: "node", boot: 3, ver: 9})
		tell("far", "far", "node", 3)
		c.d.Run(2 * checkAfter)
		if n := c.questions(cmdChannels, "node"); n != 0 {
			t.Errorf("asked %d times for what is known", n)
		}
		rec := &meshpb.Record{Node: "node", Boot: 3, Ver: 9, Entries: []*meshpb.Entry{x}}
		c.inquire("near", &meshpb.Command{Name: cmdSync, Records: []*meshpb.Record{rec}})
		c.d.Run(2 * checkAfter)
		c.record("node", 3, 9, x)
		if c.knows("node") != `x "" 1 node` {
			t.Errorf("knows %s", c.knows("node"))
		}
	})
}

// TestLateChanges has a peer tell of a version before the change that made it
// comes: if that says something else, the node is asked.
func TestLateChanges(t *testing.T) {
	one(t, Options{}, func(c *clerk) {
		c.link("far", false)
		x, y := entry("x", "", 1, "node"), entry("y", "", 1, "node")
		for i, told := range [][]*meshpb.Entry{{x, y}, {x}, {y}, {}} {
			node := fmt.Sprint("node", i)
			c.send(&heard{node: node, boot: 3, ver: 1})
			c.d.Run(2 * checkAfter)
			c.record(node, 3, 1, x)
			c.send(&heard{node: node, boot: 3, ver: 2})
			rec := &meshpb.Record{Node: node, Boot: 3, Ver: 2, Entries: told}
			c.inquire("far", &meshpb.Command{Name: cmdSync, Records: []*meshpb.Record{rec}})
			before := c.questions(cmdChannels, node)
			c.inquire(node, changeOf(cmdReserve, 3, 2, y))
			c.d.Run(2 * checkAfter)
			asked := c.questions(cmdChannels, node) - before
			if lie := i%2 == 1; lie {
				c.record(node, 3, 2, x, y)
				if asked != 1 || c.knows(node) != `x "" 1 node, y "" 1 node` {
					t.Errorf("%s: asked %d times, knows %s", node, asked, c.knows(node))
				}
			} else if asked != 0 { // what it lacks beside, nobody here can know
				t.Errorf("%s: asked %d times for nothing", node, asked)
			}
		}
	})
}

// TestRumors has a peer say no more of a record than how far it is.
func TestRumors(t *testing.T) {
	one(t, Options{}, func(c *clerk) {
		c.link("far", false)
		c.link("near", false)
		x, y := entry("x", "", 1, "node"), entry("y", "", 1, "node")
		c.send(&heard{node: "node", boot: 3, ver: 1})
		c.d.Run(2 * checkAfter)
		c.record("node", 3, 1, x)
		hear := func(ver uint64) (passed bool) {
			c.told = nil
			rumor := &meshpb.Record{Node: "node", Boot: 3, Ver: ver, Partial: true}
			c.send(&inquiry{packet: &meshpb.Packet{Source: "far", Command: &meshpb.Command{Name: cmdSync, Records: []*meshpb.Record{rumor}}}, from: "far"})
			return last[*post](c) != nil
		}
		c.d.Run(suspectSpan)
		before := c.questions(cmdChannels, "node")
		if hear(1) {
			t.Error("no news are passed on")
		}
		if !hear(2) || c.knows("node") != `x "" 1 node` {
			t.Errorf("a rumor stays here, or counts: knows %s", c.knows("node"))
		}
		c.inquire("node", changeOf(cmdReserve, 3, 2, y)) // it was on its way
		if c.d.Run(2 * checkAfter); c.questions(cmdChannels, "node") != before {
			t.Error("asked for what is known")
		}
		if !hear(3) {
			t.Error("the next rumor stays here")
		}
		c.d.Run(2 * rumorAfter)
		c.record("node", 3, 3, y)
		if c.knows("node") != `y "" 1 node` {
			t.Errorf("knows %s", c.knows("node"))
		}
		if hear(4) {
			t.Error("asked again at once")
		}
		if c.d.Run(2 * checkAfter); c.questions(cmdChannels, "node") != before+1 {
			t.Errorf("asked %d times, not once", c.questions(cmdChannels, "node")-before)
		}
		// That it speaks of more itself is a reason to ask at once.
		c.d.Run(suspectSpan)
		c.send(&heard{node: "node", boot: 3, ver: 4})
		hear(4)
		c.d.Run(2 * rumorAfter)
		c.record("node", 3, 4, x, y)
		c.d.Run(2 * checkAfter)
		if c.knows("node") != `x "" 1 node, y "" 1 node` || c.questions(cmdChannels, "node") != before+2 {
			t.Errorf("knows %s, asked %d times", c.knows("node"), c.questions(cmdChannels, "node")-before)
		}
	})
}

// TestForgedChanges has a node seem to speak of far more than it has: when it is
// asked, that is over.
func TestForgedChanges(t *testing.T) {
	one(t, Options{}, func(c *clerk) {
		c.link("far", false)
		x := entry("x", "", 1, "node")
		c.send(&heard{node: "node", boot: 3, ver: 1})
		c.d.Run(2 * checkAfter)
		c.record("node", 3, 1, x)
		c.inquire("node", changeOf(cmdUnreserve, 3, 1_000_000, x))
		c.d.Run(2 * checkAfter)
		c.record("node", 3, 1, x)
		if rec := c.me.records.nodes["node"]; rec.behind() || len(rec.pending) != 0 {
			t.Errorf("at %+v, %d changes wait", rec.extent, len(rec.pending))
		}
		before := c.questions(cmdChannels, "node")
		lie := &meshpb.Record{Node: "node", Boot: 3, Ver: 999_999}
		c.inquire("far", &meshpb.Command{Name: cmdSync, Records: []*meshpb.Record{lie}})
		if c.d.Run(suspectSpan / 2); c.knows("node") != `x "" 1 node` || c.questions(cmdChannels, "node") != before {
			t.Errorf("knows %s, asked %d times", c.knows("node"), c.questions(cmdChannels, "node")-before)
		}
		// A change that crosses the answer is no lie.
		c.inquire("node", changeOf(cmdReserve, 3, 3, entry("z", "", 1, "node")))
		c.d.Run(2 * checkAfter)
		c.inquire("node", changeOf(cmdReserve, 3, 4, entry("w", "", 1, "node")))
		c.record("node", 3, 3, x)
		if c.knows("node") != `w "" 1 node, x "" 1 node` {
			t.Errorf("knows %s", c.knows("node"))
		}
	})
}
