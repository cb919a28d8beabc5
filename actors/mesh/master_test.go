package mesh

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/actors/tree"
	"parley/messages/meshpb"
	"parley/messages/relaypb"
	"parley/testkit"
)

const checkRound = checkBeats * masterBeat

// corrections is how many the master counts.
func (w *mastersDesk) corrections() int64 {
	n := tree.Of(w.sys).Counter("mesh_corrections_total", "", "", "").Load()
	if got := w.overview(&meshpb.OverviewRequest{}).GetCorrections(); got != uint64(n) {
		w.t.Errorf("%d corrections in the overview, %d counted", got, n)
	}
	return n
}

// TestMasterLeavesAHealthyMeshAlone corrects nothing while channels come and go.
func TestMasterLeavesAHealthyMeshAlone(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		w := newMastersDesk(t, d, Options{})
		for i := range 20 {
			d.Run(checkRound)
			n := w.nodes[[]string{"anna", "bob", "carl", "self"}[i%4]]
			name := fmt.Sprint("c", i%3)
			if _, open := n.open[name]; open {
				delete(n.open, name)
			} else {
				n.open[name] = claimBy("anna", uint64(i%3), "")
			}
			if i%2 == 0 { // the others learn of it later
				w.learn()
			}
		}
		if got := w.commands(); len(got) > 0 || w.corrections() != 0 {
			t.Errorf("told %q", got)
		}
		w.stop()
	})
}

// TestMasterCorrects tampers with what one node believes: that is corrected
// after two rounds, and nothing else is touched.
func TestMasterCorrects(t *testing.T) {
	tests := []struct {
		name   string
		tamper func(w *mastersDesk)
		want   []string
		times  int64
	}{
		{"an orphan", func(w *mastersDesk) {
			w.nodes["anna"].believes["ghost"] = claimBy("bob", 5, hash32("x"))
		}, []string{"unreserve-channel to anna: ghost  bob []"}, 1},
		{"an orphan of nobody", func(w *mastersDesk) {
			w.nodes["anna"].believes["ghost"] = claimBy("zoe", 5, "")
		}, []string{"unreserve-channel to anna: ghost  bob []", "unreserve-channel to anna: ghost  carl []", "unreserve-channel to anna: ghost  self []"}, 1},
		{"an orphan that it has open itself", func(w *mastersDesk) {
			w.nodes["anna"].open["ghost"] = claimBy("anna", 5, "")
			w.learn()
			w.nodes["anna"].believes["ghost"] = claimBy("carl", 5, "")
		}, []string{"unreserve-channel to anna: ghost  carl []"}, 1},
		{"one that is missing", func(w *mastersDesk) {
			delete(w.nodes["carl"].believes, "alpha")
		}, []string{"reserve-channel to carl: alpha   [anna bob]"}, 1},
		{"one of the master's", func(w *mastersDesk) {
			delete(w.nodes["carl"].believes, "gamma")
		}, []string{"reserve-channel to carl: gamma 63  [self]"}, 1},
		{"another password", func(w *mastersDesk) {
			w.nodes["carl"].believes["beta"] = claimBy("bob", 1, hash32("x"))
		}, []string{"unreserve-channel to carl: beta  bob []", "reserve-channel to carl: beta 62  [bob]"}, 1},
		{"two nodes", func(w *mastersDesk) {
			delete(w.nodes["carl"].believes, "alpha")
			w.nodes["anna"].believes["ghost"] = claimBy("carl", 5, "")
		}, []string{"unreserve-channel to anna: ghost  carl []", "reserve-channel to carl: alpha   [anna bob]"}, 2},
		{"a record of one node", func(w *mastersDesk) {
			w.nodes["carl"].records = []*meshpb.Record{
				{Node: "anna", Boot: w.nodes["anna"].boot, Ver: 1}, // alpha is missing, but bob has it too
				{Node: "bob", Boot: w.nodes["bob"].boot, Ver: 9},   // newer than what bob said
				{Node: "carl", Boot: w.nodes["carl"].boot, Ver: 1, Entries: entriesIn(map[string]claim{"x": claimBy("carl", 1, "")}, false)},
			}
		}, []string{"reserve-channel to carl: alpha   [anna bob]"}, 1},
		{"a foreign node", func(w *mastersDesk) {
			w.nodes["carl"].foreign = true
			w.nodes["carl"].open["delta"] = claimBy("carl", foreignTS, "")
			w.learn()
			w.nodes["carl"].believes["delta"] = claimBy("carl", foreignTS, "") // it may say so
			w.nodes["carl"].believes["ghost"] = claimBy("zoe", 5, "")
			w.nodes["carl"].believes["beta"] = claimBy("bob", 1, hash32("x"))
		}, []string{
			"unreserve-channel to carl: beta  carl []", "reserve-channel to carl: beta 62  [bob]",
			"unreserve-channel to carl: ghost  carl []",
		}, 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
				w := newMastersDesk(t, d, Options{})
				d.Run(2*checkRound + time.Second)
				test.tamper(w)
				d.Run(checkRound)
				if got := w.commands(); len(got) > 0 {
					t.Errorf("told %q after one round", got)
				}
				d.Run(checkRound)
				if got := w.commands(); fmt.Sprint(got) != fmt.Sprint(test.want) {
					t.Errorf("told %q, want %q", got, test.want)
				}
				d.Run(5 * checkRound)
				if got := w.commands(); len(got) > 0 || w.corrections() != test.times {
					t.Errorf("told %q more, %d corrections", got, w.corrections())
				}
				w.stop()
			})
		})
	}
}

// TestMasterWaits corrects nothing that was not found twice in a row, and
// nothing as long as somebody has not confirmed it.
func TestMasterWaits(t *testing.T) {
	testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
		w := newMastersDesk(t, d, Options{})
		d.Run(time.Second)
		anna := w.nodes["anna"]
		for i := range uint64(4) { // now and then, and never the same
			anna.believes["ghost"] = claimBy("bob", 5, "")
			d.Run(checkRound)
			w.learn()
			d.Run(checkRound)
			anna.believes["other"] = claimBy("bob", i, "")
			d.Run(checkRound)
			anna.believes["other"] = claimBy("bob", 100+i, "")
			d.Run(checkRound)
			delete(anna.believes, "other")
		}
		anna.believes["ghost"] = claimBy("bob", 5, "")
		w.nodes["carl"].silent = true
		d.Run(5 * checkRound)
		if got := w.commands(); len(got) > 0 {
			t.Errorf("told %q", got)
		}
		w.nodes["carl"].silent = false
		d.Run(checkRound)
		if got := w.commands(); len(got) > 0 {
			t.Errorf("told %q after one round", got)
		}
		anna.boot++ // another life is another matter
		d.Run(checkRound)
		if got := w.commands(); len(got) > 0 {
			t.Errorf("told %q after one round", got)
		}
		d.Run(checkRound)
		if got := w.commands(); len(got) != 1 {
			t.Errorf("told %q", got)
		}
		w.stop()
	})
}

// TestMasterInsists looks for the entry elsewhere when telling a node once has
// not helped.
func TestMasterInsists(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		w := newMastersDesk(t, d, Options{})
		w.nodes["anna"].stubborn = true
		w.nodes["anna"].believes["ghost"] = claimBy("bob", 5, "")
		d.Run(2*checkRound + time.Second)
		if got := w.commands(); len(got) != 1 {
			t.Errorf("told %q", got)
		}
		d.Run(checkRound)
		if got := w.commands(); len(got) != 3 {
			t.Errorf("told %q", got)
		}
		w.stop()
	})
}

// TestMasterObserves leaves corrections to a master with a smaller name.
func TestMasterObserves(t *testing.T) {
	testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
		w := newMastersDesk(t, d, Options{})
		w.nodes["bob"].master = true
		w.nodes["anna"].believes["ghost"] = claimBy("bob", 5, "")
		d.Run(5 * checkRound)
		if got := w.commands(); len(got) > 0 {
			t.Errorf("told %q", got)
		}
		if got := w.overview(&meshpb.OverviewRequest{}).GetLeader(); got != "bob" {
			t.Errorf("the leader is %q", got)
		}
		w.nodes["bob"].master = false
		w.nodes["zoe"] = &paperNode{master: true, open: map[string]claim{}, believes: maps.Clone(w.nodes["carl"].believes)}
		d.Run(checkRound)
		if got := w.commands(); len(got) > 0 {
			t.Errorf("told %q after one round", got)
		}
		d.Run(checkRound)
		if got := w.commands(); len(got) != 1 || w.corrections() != 1 {
			t.Errorf("told %q", got)
		}
		w.stop()
	})
}

// TestMasterOverview shows the network: what there is, and since when.
func TestMasterOverview(t *testing.T) {
	testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
		w := newMastersDesk(t, d, Options{Host: "ws://own"})
		if o := w.overview(&meshpb.OverviewRequest{Serial: 4}); o.GetSerial() != 4 || o.GetAt() != 0 || len(o.GetNodes()) > 0 {
			t.Errorf("begins with %v", o)
		}
		d.Run(checkRound + time.Second)
		o := w.overview(&meshpb.OverviewRequest{Step: 10, Serial: 5})
		var lines []string
		for _, n := range o.GetNodes() {
			lines = append(lines, fmt.Sprint(n.GetName(), " ", n.GetHost(), " ", n.GetStats().GetClients(), " ", n.GetHostStats().GetLoad(), " ", n.GetMaster()))
		}
		for _, l := range o.GetLinks() {
			lines = append(lines, fmt.Sprint(l.GetA(), "-", l.GetB(), " ", l.GetMs()))
		}
		for _, c := range o.GetChannels() {
			lines = append(lines, fmt.Sprint(c.GetName(), " ", c.GetHolders(), " ", c.GetClients(), " ", c.GetProtected()))
		}
		want := []string{
			"anna ws://anna 1 [1] false", "bob ws://bob 2 [1] false", "carl ws://carl 3 [1] false", "self ws://own 0 [0.5] true",
			"anna-bob 3", "anna-self 7", "bob-carl 3", "carl-self 0",
			"alpha [anna bob] 4 false", "beta [bob] 2 true", "gamma [self] 2 true",
		}
		if !slices.Equal(lines, want) {
			t.Errorf("shows %q, want %q", lines, want)
		}
		total := o.GetTotals()
		if got := fmt.Sprint(total.GetNodes(), total.GetLinks(), total.GetChannels(), total.GetClients(), total.GetPackets(), total.GetKilobits(), total.GetDeliveries()); got != "4 4 3 6 8 8 12" {
			t.Errorf("totals %s", got)
		}
		if o.GetAt() != uint64(time.Now().Add(-time.Second).UnixMilli()) || o.GetError() != "" || len(o.GetHistory()) != 3 {
			t.Errorf("at %d, error %q, %d points", o.GetAt(), o.GetError(), len(o.GetHistory()))
		}
		if got := w.overview(&meshpb.OverviewRequest{Step: 7}).GetError(); got != errNoStep {
			t.Errorf("error %q", got)
		}
		delete(w.nodes, "carl")
		d.Run(checkRound)
		if o := w.overview(&meshpb.OverviewRequest{}); len(o.GetNodes()) != 3 || len(o.GetLinks()) != 2 {
			t.Errorf("still shows %v", o)
		}
		w.stop()
	})
}

// TestMasterPolls asks what, whom and how often the protocol says.
func TestMasterPolls(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		w := newMastersDesk(t, d, Options{})
		asked := map[string]int{}
		w.onAsk = func(m *meshpb.AskRequest) {
			asked[strings.TrimSpace(m.GetDestination()+" "+m.GetCommand().GetName()+" "+m.GetCommand().GetNode())]++
		}
		d.Run(5*time.Minute + time.Second)
		want := map[string]int{
			"* node-stats": 30, "* host-stats": 20, "* list-channels": 10, "* list-reserved-channels": 10,
			"anna get-latency bob": 10, "bob get-latency carl": 10,
		}
		if !maps.Equal(asked, want) {
			t.Errorf("asked %v, want %v", asked, want)
		}
		w.stop()
	})
}

// TestFiguresOfTheInvented: what a master keeps of figures is bounded; its own are
// kept whatever others say, and who is heard again with less has room again.
func TestFiguresOfTheInvented(t *testing.T) {
	m := newMaster(&Options{Name: "self", Now: time.Now}, &meet{}).(*master)
	long := &relaypb.NodeStats{Channels: []*relaypb.ChannelStats{{Name: strings.Repeat("x", 1<<20)}}}
	for i := range 200 {
		m.onStats(nil, fmt.Sprint("n", i), long)
	}
	m.onStats(nil, "self", long)
	kept := 0
	for _, f := range m.figures {
		if f.stats != nil {
			kept++
		}
	}
	if kept < 60 || kept > 64 || m.figures["self"].stats == nil {
		t.Errorf("%d are kept", kept)
	}
	m.onStats(nil, "n0", &relaypb.NodeStats{})
	m.onStats(nil, "n199", long)
	if m.figures["n199"].stats == nil || m.figures["n0"].stats == nil {
		t.Error("there is no room after there was made some")
	}
}
