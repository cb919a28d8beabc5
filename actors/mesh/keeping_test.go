package mesh

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"
	"unique"

	"parley/messages/meshpb"
	"parley/messages/relaypb"
)

// tight are limits that are soon reached.
var tight = limits{record: 10, total: 25, loose: 8, peer: 5}

// toldOf is a whole record of n names.
func toldOf(node, from string, ver uint64, n int) telling {
	return telling{node, from, 1, ver, sorted(many(n, node+"-")), false}
}

// TestRecordsAreBounded has nodes say more than is kept of them. What is left out
// makes the record partial until it is told again and there is room.
func TestRecordsAreBounded(t *testing.T) {
	now := time.Unix(1, 0)
	r := newRecords("me", 1)
	r.most = tight
	r.chart(map[string]bool{"greedy": true, "late": true, "modest": true, "third": true})
	r.merge(toldOf("modest", "modest", 1, 9), now)
	if r.blind() {
		t.Error("blind, but all is known")
	}
	r.merge(toldOf("greedy", "greedy", 1, 17), now)
	greedy := r.nodes["greedy"]
	if _, left := r.take(); len(greedy.entries) != 10 || left != 7 || !greedy.isPartial() || !r.blind() {
		t.Errorf("%d entries of one node, %d left out, blind %v", len(greedy.entries), left, r.blind())
	}
	if r.wanting(greedy, now.Add(time.Hour)) {
		t.Error("it is asked for, but there is no room")
	}
	c := claim{ts: 1, owner: unique.Make("n1")}
	r.change("greedy", "greedy", 1, 2, delta{"one more", &c}, now)
	if _, left := r.take(); left != 1 || greedy.ver != 2 || greedy.left != 8 {
		t.Errorf("%d left out, at %d, %d are missing", left, greedy.ver, greedy.left)
	}
	greedy.last = now
	for i := range 8 { // four of which are not kept
		r.change("greedy", "greedy", 1, uint64(3+i), delta{fmt.Sprintf("greedy-%05d", 6+i), nil}, now)
	}
	if len(greedy.entries) != 6 || greedy.left != 4 || !r.wanting(greedy, now.Add(time.Hour)) || r.wanting(greedy, now) {
		t.Errorf("%d entries and %d are missing", len(greedy.entries), greedy.left)
	}
	r.correct(toldOf("greedy", "greedy", 10, 10), greedy.extent, now)
	if len(greedy.entries) != 10 || r.blind() || r.wanting(greedy, now.Add(time.Hour)) {
		t.Errorf("told anew it has %d entries, blind %v", len(greedy.entries), r.blind())
	}
	r.merge(toldOf("third", "modest", 1, 9), now)
	if got := r.nodes["third"]; r.size != 25 || got.left != 3 || !r.blind() {
		t.Errorf("%d entries in all, %d are missing", r.size, got.left)
	}
	r.change("late", "late", 1, 5, delta{"early", &c}, now)
	if rec := r.nodes["late"]; len(rec.pending) != 0 || !rec.behind() {
		t.Error("a change waits where there is no room")
	}
	r.forget("modest")
	if !r.wanting(r.nodes["third"], now.Add(time.Hour)) {
		t.Error("there is room, and it is not asked for")
	}
	for i := range 2 * pendingMost {
		r.change("late", "late", 1, uint64(i)+5, delta{fmt.Sprint(i), &c}, now)
	}
	if got := len(r.nodes["late"].pending); got == 0 || r.size > 25 {
		t.Errorf("%d changes wait", got)
	}
	for node := range maps.Clone(r.nodes) {
		r.forget(node)
	}
	if r.size != 0 || r.loose != 0 || len(r.names)+len(r.lent) != 0 || r.charted != 0 || r.blind() {
		t.Errorf("%d entries, %d names, %d records are left", r.size+r.loose, len(r.names), r.charted)
	}
}

// TestPendingIsBounded has changes come early, without end.
func TestPendingIsBounded(t *testing.T) {
	r := newRecords("me", 1)
	c := claim{ts: 1, owner: unique.Make("n1")}
	for i := range 2 * pendingMost {
		r.change("late", "late", 1, uint64(i)+5, delta{fmt.Sprint(i), &c}, time.Unix(1, 0))
	}
	if got := len(r.nodes["late"].pending); got != pendingMost || !r.nodes["late"].behind() {
		t.Errorf("%d changes wait", got)
	}
}

// TestInventedNodes has a peer tell of nodes that nobody else knows: there are
// few of them, and they take nothing from those that are there.
func TestInventedNodes(t *testing.T) {
	now := time.Unix(1, 0)
	r := newRecords("me", 1)
	r.most = tight
	r.chart(map[string]bool{"real": true})
	for i := range 11 {
		r.merge(toldOf(fmt.Sprint("ghost", i), "rogue", 1, 10), now)
	}
	if r.loose != 5 || r.lent["rogue"] != 5 || r.blind() {
		t.Errorf("%d entries, blind %v", r.loose, r.blind())
	}
	r.merge(toldOf("other", "accomplice", 1, 10), now)
	if r.loose != 8 {
		t.Errorf("%d entries", r.loose)
	}
	r.merge(toldOf("new", "honest", 1, 4), now) // link state is still on its way
	r.merge(toldOf("real", "honest", 1, 10), now)
	if r.blind() || r.size != 10 {
		t.Errorf("blind %v, %d entries of those that are there", r.blind(), r.size)
	}
	r.chart(map[string]bool{"real": true, "new": true})
	rec := r.nodes["new"]
	if !r.blind() || !r.wanting(rec, now.Add(time.Hour)) {
		t.Error("a node is there, and what is missing of it does not matter")
	}
	r.correct(toldOf("new", "new", 1, 4), r.nodes["new"].extent, now)
	if r.blind() || r.size != 14 {
		t.Errorf("blind %v, %d entries of those that are there", r.blind(), r.size)
	}
	for i := range 2 * looseMost {
		r.hear(fmt.Sprint("n", i), 1, 0, now)
	}
	if got := len(r.nodes) - r.charted; got != looseMost {
		t.Errorf("%d records of nodes that are not there", got)
	}
	known := map[string]bool{}
	for i := range recordsMost + 1 {
		known[fmt.Sprintf("m%04d", i)] = true
	}
	r.chart(known)
	for node := range known {
		r.hear(node, 1, 0, now)
	}
	if r.charted != recordsMost || len(r.outside) != 3 || !r.blind() { // real and new are still kept
		t.Errorf("%d records, %d have none", r.charted, len(r.outside))
	}
	r.chart(map[string]bool{})
	if r.blind() {
		t.Error("those that have none are gone")
	}
}

// TestFullRecordsHeal has a peer open more than is kept, and close some. While
// not all is known, router and health are told.
func TestFullRecordsHeal(t *testing.T) {
	one(t, Options{}, func(c *clerk) {
		c.me.records.most = tight
		c.send(&surveyed{map[string]bool{"far": true}})
		list := onWire(many(12, "c"))
		c.link("far", false, list...)
		if m := last[*doubtful](c); m == nil || !m.now {
			t.Errorf("router was told %v", m)
		}
		if m := last[*relaypb.Ailment](c); m.GetReason() != reasonFull || m.GetHealthy() != healthDegraded || m.GetOver() {
			t.Errorf("health was told %v", m)
		}
		asked := c.questions(cmdChannels, "far")
		c.d.Run(30 * time.Second)
		if got := c.questions(cmdChannels, "far"); got != asked {
			t.Errorf("it was asked for %d times, without room", got-asked)
		}
		c.inquire("far", changeOf(cmdUnreserve, 1, 13, list[0]))
		c.inquire("far", changeOf(cmdUnreserve, 1, 14, list[1]))
		if last[*doubtful](c) != nil {
			t.Error("router was told before all is known")
		}
		c.d.Run(sweepEvery + checkAfter + time.Second)
		c.record("far", 1, 14, list[2:]...)
		if m := last[*doubtful](c); m == nil || m.now {
			t.Errorf("router was told %v", m)
		}
		if m := last[*relaypb.Ailment](c); m.GetReason() != reasonFull || !m.GetOver() {
			t.Errorf("health was told %v", m)
		}
		if len(c.me.records.nodes["far"].entries) != 10 {
			t.Errorf("known is %s", c.knows("far"))
		}
	})
}

// TestOversizedRecord has this node open more than one frame holds: it says so to
// who asks, and to health.
func TestOversizedRecord(t *testing.T) {
	one(t, Options{}, func(c *clerk) {
		list := many(listingMost/300, strings.Repeat("n", channelMost-5))
		for name, cl := range sorted(list) {
			c.me.records.open(name, &cl)
		}
		c.link("far", false)
		if m := last[*relaypb.Ailment](c); m.GetReason() != reasonFull || m.GetOver() {
			t.Errorf("health was told %v", m)
		}
		if last[*doubtful](c) != nil {
			t.Error("this node knows all that it needs")
		}
		l := c.inquire("far", &meshpb.Command{Name: cmdChannels}).GetListing()
		if !l.GetPartial() || len(l.GetEntries()) == 0 || len(l.GetEntries()) >= len(list) {
			t.Errorf("told are %d of %d, partial %v", len(l.GetEntries()), len(list), l.GetPartial())
		}
		for name := range list {
			c.me.records.shut(name)
		}
		c.d.Run(sweepEvery)
		if m := last[*relaypb.Ailment](c); !m.GetOver() || c.me.records.bytes != 0 {
			t.Errorf("health was told %v, %d bytes are left", m, c.me.records.bytes)
		}
		if l := c.inquire("far", &meshpb.Command{Name: cmdChannels}).GetListing(); l.GetPartial() {
			t.Error("nothing is missing of nothing")
		}
	})
}

// TestPartialRecords has others tell less of a node than it has open. It is asked
// itself, once it is known to be there.
func TestPartialRecords(t *testing.T) {
	one(t, Options{}, func(c *clerk) {
		c.link("near", false)
		list := onWire(many(3, "c"))
		c.inquire("near", &meshpb.Command{Name: cmdSync, Records: []*meshpb.Record{{Node: "far", Boot: 1, Ver: 3, Entries: list[:1], Partial: true}}})
		c.d.Run(sweepEvery + checkAfter)
		if last[*doubtful](c) != nil || c.questions(cmdChannels, "far") != 0 {
			t.Error("it matters what a node has that is not there")
		}
		l := c.inquire("near", &meshpb.Command{Name: cmdReserved}).GetListing()
		if n := len(l.GetRecords()); n != 2 || l.GetRecords()[1].GetNode() != "far" || !l.GetRecords()[1].GetPartial() {
			t.Errorf("told is %v", l)
		}
		c.send(&surveyed{map[string]bool{"near": true, "far": true}})
		if m := last[*doubtful](c); m == nil || !m.now {
			t.Errorf("router was told %v", m)
		}
		c.d.Run(sweepEvery + checkAfter)
		c.record("far", 1, 3, list...)
		if m := last[*doubtful](c); m == nil || m.now || len(c.me.records.nodes["far"].entries) != 3 {
			t.Errorf("router was told %v, known is %s", m, c.knows("far"))
		}
	})
}

// TestTellingMuch has this node know more than it tells a peer at once.
func TestTellingMuch(t *testing.T) {
	one(t, Options{}, func(c *clerk) {
		known := map[string]bool{"a": true, "b": true, "c": true}
		c.send(&surveyed{known})
		for node := range known {
			c.me.records.merge(telling{node, node, 1, 1, sorted(many(recordsSize/2/430, strings.Repeat(node, channelMost-5))), false}, time.Now())
		}
		size, partial := 0, 0
		for _, rec := range c.me.wireAll("", nil) {
			size += recordSize(rec)
			if rec.GetPartial() {
				partial++
			}
		}
		if size > recordsSize+4*entryBytes || partial != 1 {
			t.Errorf("%d bytes, %d records are partial", size, partial)
		}
	})
}
