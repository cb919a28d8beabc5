package mesh

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/meshpb"
)

// change is a delta of another node, as a command.
func changeOf(name string, boot, ver uint64, e *meshpb.Entry) *meshpb.Command {
	m := &meshpb.Command{Name: name, Channel: e.GetName(), Boot: boot, Ver: ver}
	if name == cmdReserve {
		m.Password, m.Claim = e.GetPassword(), e.GetClaim()
	}
	return m
}

// knows tells what is known of a node.
func (c *clerk) knows(node string) string {
	if rec := c.me.records.nodes[node]; rec != nil {
		return contents(rec)
	}
	return "nothing"
}

// questions counts the commands of a name that were put to a node.
func (c *clerk) questions(name, to string) (n int) {
	for _, m := range c.asked {
		if m.GetCommand().GetName() == name && m.GetDestination() == to {
			n++
		}
	}
	return n
}

// record answers the oldest list-channels.
func (c *clerk) record(node string, boot, ver uint64, entries ...*meshpb.Entry) {
	c.t.Helper()
	c.answer(cmdChannels, &meshpb.Answer{Node: node, Response: &meshpb.Response{Listing: &meshpb.Listing{Boot: boot, Ver: ver, Entries: entries}}})
}

// TestListsAreExact answers both lists, to peers that know records and others.
func TestListsAreExact(t *testing.T) {
	one(t, Options{}, func(c *clerk) {
		a, b := entry("a", hashOne, 7, "far"), entry("b", "", 3, "far")
		c.link("far", false, a)
		c.link("odd", true, &meshpb.Entry{Name: "o", Password: a.GetPassword()})
		c.want("b", "")
		c.inquire("far", changeOf(cmdReserve, 1, 2, b))
		mine := c.me.records.entry(c.me.records.own, "b")
		if got, want := c.inquire("odd", &meshpb.Command{Name: cmdChannels}), (&meshpb.Response{Listing: &meshpb.Listing{
			Boot: 5, Ver: 1, Entries: []*meshpb.Entry{entryOf("b", mine)},
		}}); !proto.Equal(got, want) {
			t.Errorf("open: %v, want %v", got, want)
		}
		o := entry("o", hashOne, foreignTS, "odd")
		reserved := []*meshpb.Entry{a, b, o}
		if got, want := c.inquire("odd", &meshpb.Command{Name: cmdReserved}), (&meshpb.Response{Listing: &meshpb.Listing{Entries: reserved}}); !proto.Equal(got, want) {
			t.Errorf("reserved: %v, want %v", got, want)
		}
		c.send(&linked{neighbor{name: "new", boot: 1, member: 9}})
		c.d.Run(3500 * time.Millisecond)
		got := c.inquire("new", &meshpb.Command{Name: cmdReserved})
		want := &meshpb.Response{Listing: &meshpb.Listing{Entries: reserved, Records: []*meshpb.Record{
			{Node: "far", Boot: 1, Ver: 2, Entries: []*meshpb.Entry{a, b}, Age: 3},
			{Node: "self", Boot: 5, Ver: 1, Entries: []*meshpb.Entry{entryOf("b", mine)}},
		}}}
		slices.SortFunc(got.GetListing().GetRecords(), func(a, b *meshpb.Record) int { return strings.Compare(a.GetNode(), b.GetNode()) })
		if !proto.Equal(got, want) {
			t.Errorf("to a peer: %v, want %v", got, want)
		}
		if got := c.inquire("new", &meshpb.Command{Name: cmdSync}); got != nil {
			t.Errorf("sync was answered %v", got)
		}
	})
}

// TestManyRecordsGoAhead has a peer come up that is told of 10,000 channels: in
// packets that are not too large.
func TestManyRecordsGoAhead(t *testing.T) {
	one(t, Options{}, func(c *clerk) {
		c.link("far", false)
		for i := range 20 {
			node := fmt.Sprint("n", i)
			rec := &meshpb.Record{Node: node, Boot: 1, Ver: 500, Entries: onWire(many(500, node+"-channel-"))}
			c.inquire("far", &meshpb.Command{Name: cmdSync, Records: []*meshpb.Record{rec}})
		}
		c.link("new", false)
		c.told = nil
		c.send(&inquiry{packet: &meshpb.Packet{Source: "new", Command: &meshpb.Command{Name: cmdReserved}}, from: "new"})
		told := map[string]int{}
		for i, x := range c.told {
			m := x.(*post)
			if size := proto.Size(m.command); size > packetMost {
				t.Errorf("a packet of %d bytes", size)
			}
			for _, rec := range m.command.GetRecords() {
				told[rec.GetNode()] += len(rec.GetEntries())
			}
			switch last := i == len(c.told)-1; {
			case last && (m.response == nil || len(m.response.GetListing().GetEntries()) != 10_000):
				t.Error("the answer is not the last")
			case !last && (m.only != "new" || m.command.GetName() != cmdSync):
				t.Errorf("told %v", m)
			}
		}
		if len(told) != 22 || told["n7"] != 500 { // with those of self and far
			t.Errorf("told %v", told)
		}
	})
}

// TestSyncIsPassedOn has what is new go to all other peers that understand it,
// and nothing else.
func TestSyncIsPassedOn(t *testing.T) {
	one(t, Options{}, func(c *clerk) {
		c.link("far", false)
		c.link("near", false)
		c.link("odd", true)
		c.told = nil
		rec := func(node string, ver uint64, age uint32) *meshpb.Record {
			return &meshpb.Record{Node: node, Boot: 1, Ver: ver, Age: age, Entries: []*meshpb.Entry{entry("x", "", 1, "b")}}
		}
		sync := func(all ...*meshpb.Record) (to []string) {
			c.told = nil
			c.send(&inquiry{packet: &meshpb.Packet{Source: "far", Command: &meshpb.Command{Name: cmdSync, Records: all}}, from: "far"})
			for _, x := range c.told {
				if m, ok := x.(*post); ok {
					to = append(to, fmt.Sprint(m.only, " ", len(m.command.GetRecords())))
				}
			}
			return to
		}
		c.link("nearer", false)
		want := []string{"near 1", "nearer 1"}
		if to := sync(rec("b", 2, 0), rec("old", 1, 60), rec("self", 99, 0), rec("bad name", 1, 0)); !slices.Equal(to, want) {
			t.Errorf("passed on to %v, want %v", to, want)
		}
		if c.knows("b") != `x "" 1 b` || c.knows("old") != "nothing" || c.knows("bad name") != "nothing" || len(c.me.records.own.entries) != 0 {
			t.Errorf("knows %q, %q", c.knows("b"), c.knows("old"))
		}
		if to := sync(rec("b", 3, 0)); !slices.Equal(to, want) || c.me.records.nodes["b"].ver != 2 {
			t.Errorf("b has not spoken of so much: a rumor is passed on to %v, want %v", to, want)
		}
		if m := last[*post](c).command.GetRecords()[0]; !proto.Equal(m, &meshpb.Record{Node: "b", Boot: 1, Ver: 3, Partial: true}) {
			t.Errorf("passed on as a rumor: %v", m)
		}
		if to := sync(rec("b", 4, 0)); to != nil {
			t.Errorf("one rumor is passed on behind another to %v", to)
		}
		c.send(&heard{node: "b", boot: 1, ver: 3})
		want = []string{"near 2", "nearer 2"}
		if to := sync(rec("b", 3, 0), rec("c", 1, 0), rec("b", 1, 0)); !slices.Equal(to, want) {
			t.Errorf("passed on to %v, want %v", to, want)
		}
		if to := sync(rec("b", 3, 0)); to != nil {
			t.Errorf("passed on to %v", to)
		}
		c.d.Run(recordSpan + 2*sweepEvery)
		if c.knows("b") != "nothing" {
			t.Error("b is known for ever")
		}
	})
}

// TestGaps has changes come late, and not at all.
func TestGaps(t *testing.T) {
	one(t, Options{}, func(c *clerk) {
		c.link("far", false)
		x, y, z := entry("x", "", 1, "far"), entry("y", "", 2, "far"), entry("z", "", 3, "far")
		c.yes(c.inquire("far", changeOf(cmdReserve, 1, 2, y)))
		c.yes(c.inquire("far", changeOf(cmdReserve, 1, 1, x)))
		c.d.Run(2 * checkAfter)
		if c.knows("far") != `x "" 1 far, y "" 2 far` || c.questions(cmdChannels, "far") != 1 {
			t.Errorf("late: %s, asked %d times", c.knows("far"), c.questions(cmdChannels, "far"))
		}
		c.inquire("far", changeOf(cmdReserve, 1, 4, z))
		c.d.Run(checkAfter / 2)
		if c.questions(cmdChannels, "far") != 1 {
			t.Error("asked too early")
		}
		c.d.Run(checkAfter)
		c.answer(cmdChannels) // it was silent
		c.d.Run(2 * checkAfter)
		c.record("far", 1, 4, y, z)
		if c.knows("far") != `y "" 2 far, z "" 3 far` || c.questions(cmdChannels, "far") != 3 {
			t.Errorf("lost: %s, asked %d times", c.knows("far"), c.questions(cmdChannels, "far"))
		}
		c.send(&heard{node: "far", boot: 1, ver: 4})
		c.send(&heard{node: "far", boot: 2, ver: 0}) // it was started again
		if c.knows("far") != "" {
			t.Errorf("of an earlier start: %s", c.knows("far"))
		}
		c.send(&heard{node: "other", boot: 1, ver: 6})
		c.d.Run(2 * checkAfter)
		c.record("other", 1, 6, x)
		if c.knows("other") != `x "" 1 far` {
			t.Errorf("by a hello: %s", c.knows("other"))
		}
		c.send(&gone{"other"})
		if c.knows("other") != "nothing" || c.me.records.effective("x") != nil {
			t.Errorf("gone: %s", c.knows("other"))
		}
		if c.d.Run(time.Minute); c.questions(cmdChannels, "other") != 1 {
			t.Error("asked again for nothing")
		}
	})
}

// TestForeignPeersRecords has a peer that knows only the seed's keys.
func TestForeignPeersRecords(t *testing.T) {
	one(t, Options{Linger: time.Second}, func(c *clerk) {
		hex := entry("", hashOne, 1, "x").GetPassword()
		open, beyond := &meshpb.Entry{Name: "open", Password: hex}, &meshpb.Entry{Name: "beyond", Password: hex}
		c.want("mine", "")
		c.reply = answering("odd", &meshpb.Listing{Entries: []*meshpb.Entry{open}}, &meshpb.Listing{Entries: []*meshpb.Entry{beyond, {Name: "mine"}, {Name: "open", Password: hex}}})
		c.send(&linked{neighbor{name: "odd", member: 1, foreign: true}})
		c.expect("what it has", c.want("open", hashTwo), wrong, "")
		c.expect("what it reserved", c.want("beyond", hashTwo), wrong, "")
		if v := c.me.records.vias["odd"]; len(v.entries) != 1 {
			t.Errorf("via: %s", contents(v))
		}
		if h := last[*holds](c); *h != (holds{"odd", "open", true}) {
			t.Errorf("holds %v", h)
		}
		c.yes(c.inquire("odd", &meshpb.Command{Name: cmdReserve, Channel: "new", Password: hex}))
		c.expect("what it opened", c.want("new", hashTwo), wrong, "")
		c.yes(c.inquire("odd", &meshpb.Command{Name: cmdUnreserve, Channel: "new"}))
		c.expect("and closed", c.want("new", hashTwo), opens, hashTwo)
		m := c.inquire("odd", &meshpb.Command{Name: cmdReserve, Channel: "new", Password: hex})
		if m.GetReason() != reasonReserved {
			t.Errorf("answered %v", m)
		}
		before := c.questions(cmdReserved, "odd")
		c.reply = nil
		c.d.Run(foreignSpan + sweepEvery)
		if c.questions(cmdReserved, "odd") != before+1 || c.questions(cmdChannels, "odd") != before+1 {
			t.Errorf("asked %d and %d times", c.questions(cmdReserved, "odd"), c.questions(cmdChannels, "odd"))
		}
		// What changes while it answers is known better here.
		c.inquire("odd", &meshpb.Command{Name: cmdReserve, Channel: "late", Password: hex})
		c.inquire("odd", &meshpb.Command{Name: cmdUnreserve, Channel: "open"})
		c.send(&meshpb.Drop{Channel: "mine"})
		c.d.Run(2 * time.Second)
		c.record("odd", 0, 0, open)
		c.answer(cmdReserved, &meshpb.Answer{Node: "odd", Response: &meshpb.Response{Listing: &meshpb.Listing{Entries: []*meshpb.Entry{{Name: "mine"}}}}})
		if got := c.knows("odd"); !strings.HasPrefix(got, "late ") || strings.Contains(got, "open") || len(c.me.records.vias["odd"].entries) != 0 {
			t.Errorf("knows %s", got)
		}
		c.send(&unlinked{name: "odd", member: 1})
		if c.me.records.vias["odd"] != nil {
			t.Error("via nobody")
		}
		c.send(&heard{node: "odder", foreign: true})
		c.record("odder", 0, 0, beyond)
		if !strings.HasPrefix(c.knows("odder"), "beyond ") || tree.Of(c.sys).Dropped(tree.MeshMalformed) != 0 {
			t.Errorf("knows %s", c.knows("odder"))
		}
	})
}

// TestPeerBecomesAnother has a name's program change: what the other told is void.
func TestPeerBecomesAnother(t *testing.T) {
	one(t, Options{}, func(c *clerk) {
		c.link("far", false, entry("x", "", 1, "far"))
		c.send(&unlinked{name: "far", member: 7}) // of a link that was replaced
		if c.me.links["far"] == nil {
			t.Error("unlinked")
		}
		c.send(&unlinked{name: "far", member: 1})
		c.link("far", true, &meshpb.Entry{Name: "y"})
		if c.knows("far") != fmt.Sprintf(`y "" %d far`, uint64(foreignTS)) {
			t.Errorf("knows %s", c.knows("far"))
		}
		c.inquire("far", changeOf(cmdReserve, 1, 1, entry("z", "", 1, "far")))
		if c.knows("far") != `z "" 1 far` || c.me.records.nodes["far"].foreign {
			t.Errorf("knows %s", c.knows("far"))
		}
	})
}
