package mesh

import (
	"fmt"
	"iter"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unique"

	"pgregory.net/rapid"

	"parley/messages/meshpb"
)

// ledger is what other nodes really have open, in every version that they ever
// had: the reference that records are compared with.
type ledger struct {
	nodes map[string]*ledgerNode
	own   map[string]claim
}

type ledgerNode struct {
	boot   uint64
	states map[uint64][]map[string]claim // by boot, then ver
	deltas map[uint64][]delta            // that led to states[boot][ver], by ver-1
}

func (n *ledgerNode) ver() uint64 { return uint64(len(n.deltas[n.boot])) }

func (n *ledgerNode) restart(boot uint64) {
	n.boot = boot
	n.states[boot] = []map[string]claim{{}}
}

func (n *ledgerNode) step(d delta) {
	next := maps.Clone(n.states[n.boot][n.ver()])
	if d.claim == nil {
		delete(next, d.name)
	} else {
		next[d.name] = *d.claim
	}
	n.states[n.boot] = append(n.states[n.boot], next)
	n.deltas[n.boot] = append(n.deltas[n.boot], d)
}

func sorted(m map[string]claim) iter.Seq2[string, claim] {
	return func(yield func(string, claim) bool) {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			if !yield(name, m[name]) {
				return
			}
		}
	}
}

func anyClaim(t *rapid.T) claim {
	return claim{
		ts:    uint64(rapid.IntRange(1, 4).Draw(t, "ts")),
		owner: unique.Make(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "owner")),
		hash:  rapid.SampledFrom([]string{"", "h1", "h2"}).Draw(t, "hash"),
	}
}

// TestRecordsAgainstLedger has changes and whole records arrive in any order,
// late, twice or never. Whatever version a record says it is of, it must hold
// what its node had then, or know that it is partial, where there is too little
// room. The index over all records must follow.
func TestRecordsAgainstLedger(t *testing.T) {
	names := rapid.SampledFrom([]string{"x", "y", "z"})
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1, 0)
		r := newRecords("me", 1)
		if rapid.Bool().Draw(t, "tight") {
			r.most = limits{record: 2, total: 4, loose: 3, peer: 2}
		}
		l := &ledger{map[string]*ledgerNode{}, map[string]claim{}}
		for _, node := range []string{"a", "b", "c"} {
			n := &ledgerNode{states: map[uint64][]map[string]claim{}, deltas: map[uint64][]delta{}}
			n.restart(1)
			l.nodes[node] = n
		}
		shown := map[string]map[string]bool{} // by node, as changes told it
		some := func(t *rapid.T) (string, *ledgerNode) {
			node := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "node")
			return node, l.nodes[node]
		}
		at := func(t *rapid.T, n *ledgerNode) (boot, ver uint64) {
			boot = rapid.SampledFrom(slices.Sorted(maps.Keys(n.states))).Draw(t, "boot")
			return boot, uint64(rapid.IntRange(0, len(n.states[boot])-1).Draw(t, "ver"))
		}
		t.Repeat(map[string]func(*rapid.T){
			"they change": func(t *rapid.T) {
				_, n := some(t)
				for range rapid.IntRange(1, 5).Draw(t, "changes") {
					d := delta{name: names.Draw(t, "name")}
					if rapid.Bool().Draw(t, "open") {
						c := anyClaim(t)
						d.claim = &c
					}
					n.step(d)
				}
			},
			"they restart": func(t *rapid.T) {
				_, n := some(t)
				n.restart(n.boot + 1)
			},
			"changes arrive": func(t *rapid.T) {
				node, n := some(t)
				for range rapid.IntRange(1, 8).Draw(t, "changes") {
					if boot, ver := at(t, n); ver > 0 {
						r.change(node, node, boot, ver, n.deltas[boot][ver-1], now)
					}
				}
			},
			"a record arrives": func(t *rapid.T) {
				node, n := some(t)
				boot, ver := at(t, n)
				was := r.newer(node, boot, ver)
				if r.merge(telling{node, "a", boot, ver, sorted(n.states[boot][ver]), false}, now) != was {
					t.Fatal("merge and newer disagree")
				}
			},
			"a hello arrives": func(t *rapid.T) {
				node, n := some(t)
				boot, ver := at(t, n)
				r.hear(node, boot, ver, now)
			},
			"it is asked for": func(t *rapid.T) {
				node, n := some(t)
				rec := r.nodes[node]
				if rec == nil {
					return
				}
				r.correct(telling{node, node, n.boot, n.ver(), sorted(n.states[n.boot][n.ver()]), false}, rec.extent, now)
				if rec.boot != n.boot || rec.ver != n.ver() || rec.behind() {
					t.Fatalf("%s is at %d/%d and told so, known is %d/%d", node, n.boot, n.ver(), rec.boot, rec.ver)
				}
			},
			"a lie arrives, and is found out": func(t *rapid.T) {
				node, n := some(t)
				r.merge(telling{node, "b", n.boot + 7, 9, sorted(map[string]claim{"x": anyClaim(t)}), false}, now)
				r.hear(node, n.boot, n.ver(), now)
				rec := r.nodes[node]
				if !rec.doubt {
					t.Fatal("no doubt")
				}
				r.correct(telling{node, node, n.boot, n.ver(), sorted(n.states[n.boot][n.ver()]), false}, rec.extent, now)
			},
			"link state tells": func(t *rapid.T) {
				node, _ := some(t)
				known := maps.Clone(r.known)
				if known == nil {
					known = map[string]bool{}
				}
				known[node] = !known[node]
				maps.DeleteFunc(known, func(_ string, is bool) bool { return !is })
				r.chart(known)
			},
			"a node is gone": func(t *rapid.T) {
				node, _ := some(t)
				r.forget(node)
			},
			"this node opens": func(t *rapid.T) {
				name := names.Draw(t, "name")
				if _, ok := l.own[name]; !ok {
					c := anyClaim(t)
					l.own[name] = c
					r.open(name, &c)
				}
			},
			"this node closes": func(t *rapid.T) {
				name := names.Draw(t, "name")
				if _, ok := l.own[name]; ok {
					delete(l.own, name)
					r.shut(name)
				}
			},
			"": func(t *rapid.T) { compare(t, r, l, shown) },
		})
	})
}

// compare checks all that records promises.
func compare(t *rapid.T, r *records, l *ledger, shown map[string]map[string]bool) {
	changes, left := r.take()
	if left != 0 && r.most.record >= 3 {
		t.Fatalf("%d left out", left)
	}
	for _, c := range changes {
		if shown[c.node] == nil {
			shown[c.node] = map[string]bool{}
		}
		if shown[c.node][c.name] != c.before {
			t.Fatalf("%+v, but it was %v", c, shown[c.node][c.name])
		}
		shown[c.node][c.name] = c.now
		if !c.now {
			delete(shown[c.node], c.name)
		}
	}
	all := map[string]map[string]claim{"me": l.own}
	size, loose, blind := 0, 0, false
	for node, rec := range r.nodes {
		want := l.nodes[node].states[rec.boot][rec.ver]
		if rec.isPartial() {
			want = maps.Clone(want)
			maps.DeleteFunc(want, func(name string, _ claim) bool { return r.entry(rec, name) == nil })
			blind = blind || rec.charted
		}
		all[node] = want
		if rec.charted {
			size += len(want) + len(rec.pending)
		} else {
			loose += len(want) + len(rec.pending)
		}
		for ver := range rec.pending {
			if ver <= rec.ver+1 {
				t.Fatalf("%s is at %d and keeps %d", node, rec.ver, ver)
			}
		}
		if told := maps.Clone(shown[node]); len(told) != len(want) {
			t.Fatalf("%s: told %v, want %v", node, told, want)
		}
	}
	best := map[string]*claim{}
	for node, want := range all {
		rec := r.own
		if node != "me" {
			rec = r.nodes[node]
		}
		if len(rec.entries) != len(want) {
			t.Fatalf("%s has %d, want %v", node, len(rec.entries), want)
		}
		for name, c := range want {
			if got := r.entry(rec, name); got == nil || *got != c {
				t.Fatalf("%s: %s is %v, want %v", node, name, got, c)
			}
			if best[name] == nil || c.before(best[name]) {
				best[name] = &c
			}
		}
	}
	if size > r.most.total || loose > r.most.loose {
		t.Fatalf("%d entries, %d loose", size, loose)
	}
	if size != r.size || loose != r.loose || len(r.names) != len(best) || r.blind() != blind {
		t.Fatalf("size %d and %d, want %d and %d; names %d, want %d", r.size, r.loose, size, loose, len(r.names), len(best))
	}
	for name, c := range best {
		if got := r.effective(name); got == nil || *got != *c {
			t.Fatalf("%s belongs to %v, want %v", name, got, c)
		}
	}
}

// TestClaimsAreOrdered checks that of any two claims one wins, and that the
// order is total: all nodes take the same minimum.
func TestClaimsAreOrdered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := anyClaim(t), anyClaim(t), anyClaim(t)
		if a.before(&b) && b.before(&a) || a != b && !a.before(&b) && !b.before(&a) {
			t.Fatalf("%v and %v", a, b)
		}
		if a.before(&b) && b.before(&c) && !a.before(&c) {
			t.Fatalf("%v, %v and %v", a, b, c)
		}
	})
}

func many(n int, name string) map[string]claim {
	m := map[string]claim{}
	for i := range n {
		m[fmt.Sprintf("%s%05d", name, i)] = claim{ts: uint64(i), owner: unique.Make("n1"), hash: strings.Repeat("h", hashShort)}
	}
	return m
}

// BenchmarkMerge is as large a record as there may be that is new, and reports what it
// holds once it is in.
func BenchmarkMerge(b *testing.B) {
	list := onWire(many(recordEntries, "channel-with-a-name-"))
	fresh := func() *records {
		r := newRecords("me", 1)
		r.chart(map[string]bool{"n1": true})
		r.merge(telling{"n1", "n1", 1, recordEntries, entriesOf(list, "n1"), false}, time.Now())
		r.take()
		return r
	}
	b.ReportAllocs()
	for b.Loop() {
		fresh()
	}
	before := heapInUse()
	r := fresh()
	b.ReportMetric(float64(heapInUse()-before)/recordEntries, "B/channel")
	runtime.KeepAlive(r)
	runtime.KeepAlive(list)
}

// onWire writes claims as they are on the wire.
func onWire(all map[string]claim) (list []*meshpb.Entry) {
	for name, c := range sorted(all) {
		list = append(list, entryOf(name, &c))
	}
	return list
}

func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
