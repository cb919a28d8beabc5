package mesh

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/messages/meshpb"
	"parley/messages/storepb"
	"parley/testkit"
)

// paperMesh is a mesh that a scout is in.
type paperMesh struct {
	*yard
	edges    map[string][]string // both ways
	hostless map[string]bool
	broken   map[string]bool // cannot be dialled
	member   uint64
	lines    []string // links of the scout's node
}

// newPaperMesh has nodes in a ring, n0 to n-1.
func newPaperMesh(t *testing.T, d *testkit.Driver, n int, o Options) *paperMesh {
	t.Helper()
	p := &paperMesh{edges: map[string][]string{}, hostless: map[string]bool{}, broken: map[string]bool{}}
	for i := range n {
		a, b := fmt.Sprint("n", i), fmt.Sprint("n", (i+1)%n)
		p.edges[a], p.edges[b] = append(p.edges[a], b), append(p.edges[b], a)
	}
	p.yard = newYard(t, d, o, "scout", newScout)
	p.network = &meshpb.NetworkResponse{Self: "m"}
	p.onAsk = p.answer
	p.onReach = func(m *reach) *reached {
		if p.broken[m.name] || m.token != "t-"+m.name || m.url != "ws://"+m.name {
			return &reached{name: m.name}
		}
		p.link(m.name)
		return &reached{name: m.name, ok: true}
	}
	return p
}

func (p *paperMesh) answer(m *meshpb.AskRequest) *meshpb.Response {
	to, c := m.GetDestination(), m.GetCommand()
	switch {
	case p.edges[to] == nil:
		return nil
	case c.GetName() == cmdNodes:
		return &meshpb.Response{Nodes: &meshpb.Nodes{Names: append([]string{"m", "not a name"}, p.edges[to]...)}}
	case !slices.Contains(p.edges[to], c.GetNode()) || p.hostless[c.GetNode()]:
		return failure(reasonUnlinked)
	}
	return &meshpb.Response{Ok: proto.Bool(true), Connection: &meshpb.Connection{Host: "ws://" + c.GetNode() + "/", Token: "t-" + c.GetNode()}}
}

// link tells the scout that its node is linked with another.
func (p *paperMesh) link(name string) {
	p.member++
	p.lines = append(p.lines, name)
	p.sys.Root.Send(p.pid, &linked{neighbor{name: name, member: p.member, host: "ws://" + name}})
}

func (p *paperMesh) unlink(name string) {
	p.lines = slices.DeleteFunc(p.lines, func(l string) bool { return l == name })
	p.sys.Root.Send(p.pid, &unlinked{name: name})
	p.d.Settle()
}

// knows makes the router know the mesh; a link between a and b takes ms(a, b).
func (p *paperMesh) knows(ms func(a, b string) float64) {
	p.network.Members = nil
	for _, a := range slices.Sorted(maps.Keys(p.edges)) {
		m := &meshpb.Member{Name: a}
		for _, b := range p.edges[a] {
			m.Links = append(m.Links, &meshpb.LinkCost{Peer: b, Ms: ms(a, b)})
		}
		p.network.Members = append(p.network.Members, m)
	}
}

// TestOnboarding has a node that is linked with one other and finds the rest of
// the mesh: it asks in breadth, dials a second link at once, and others in time,
// as many as may be.
func TestOnboarding(t *testing.T) {
	testkit.Seeds(t, 10, func(t *testing.T, d *testkit.Driver) {
		p := newPaperMesh(t, d, 12, Options{Neighbors: []Neighbor{{Name: "n0", URL: "ws://n0"}}})
		d.Run(10 * time.Minute)
		p.wantTold("commands")
		p.link("n0")
		d.Settle()
		if len(p.lines) != 2 {
			t.Fatalf("linked with %q at once", p.lines)
		}
		var asked []string
		for _, f := range p.told("ask") {
			if name, ok := strings.CutSuffix(f, " "+cmdNodes); ok {
				asked = append(asked, strings.TrimPrefix(name, "ask "))
			}
		}
		if len(asked) != 12 || asked[0] != "n0" || !slices.Contains(asked[1:3], "n1") || !slices.Contains(asked[1:3], "n11") {
			t.Errorf("asked %q", asked)
		}
		d.Run(4 * time.Second)
		if len(p.lines) != 2 {
			t.Errorf("linked with %q without a pause", p.lines)
		}
		d.Run(time.Hour)
		if len(p.lines) != 1+extraMost {
			t.Errorf("linked with %q in the end", p.lines)
		}
		p.unlink(p.lines[3])
		d.Run(2 * time.Minute)
		if len(p.lines) != 1+extraMost {
			t.Errorf("linked with %q after one went", p.lines)
		}
		p.stop()
	})
}

// TestHalfForLatency has a mesh in which latencies tell near from far.
func TestHalfForLatency(t *testing.T) {
	near := 0
	const runs = 20
	testkit.Seeds(t, runs, func(t *testing.T, d *testkit.Driver) {
		p := newPaperMesh(t, d, 40, Options{})
		p.knows(func(a, b string) float64 { return float64(len(a)+len(b)) * 5 }) // n0 to n9 are near
		p.link("n0")
		d.Run(time.Hour)
		for _, want := range []string{"n1", "n2"} {
			if !slices.Contains(p.lines, want) {
				t.Errorf("%s is nearest, and not among %q", want, p.lines)
			}
		}
		for _, name := range p.lines[1:] {
			if len(name) == 2 {
				near++
			}
		}
		p.stop()
	})
	if near == runs*extraMost {
		t.Error("all links are to near nodes: the mesh would split")
	}
}

// TestFewLinks looses links: below two no time is lost.
func TestFewLinks(t *testing.T) {
	testkit.Seeds(t, 10, func(t *testing.T, d *testkit.Driver) {
		p := newPaperMesh(t, d, 8, Options{})
		for i := range 8 {
			p.broken[fmt.Sprint("n", i)] = i > 1
		}
		p.link("n0")
		p.link("n1")
		d.Run(time.Hour)
		if len(p.lines) != 2 {
			t.Fatalf("linked with %q", p.lines)
		}
		clear(p.broken)
		d.Run(2 * time.Hour) // until none has a setback
		for _, name := range slices.Clone(p.lines[1:]) {
			p.unlink(name)
		}
		if len(p.lines) != 2 {
			t.Errorf("linked with %q at once", p.lines)
		}
		for _, name := range slices.Clone(p.lines) {
			p.edges = map[string][]string{} // nobody answers
			p.unlink(name)
		}
		if len(p.lines) != 0 {
			t.Errorf("linked with %q, by nobody", p.lines)
		}
		p.told()
		d.Run(time.Hour)
		p.wantTold("ask") // there is nobody to ask
		p.stop()
	})
}

// TestSetbacks has nodes that nobody can be linked with: they are tried less and
// less often.
func TestSetbacks(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		p := newPaperMesh(t, d, 3, Options{})
		p.hostless["n1"], p.broken["n2"] = true, true
		p.link("n0")
		d.Run(10 * time.Minute)
		first := len(p.told("peers reach n2"))
		d.Run(10 * time.Hour)
		later := len(p.told("peers reach n2"))
		if first < 3 || first > 4 || later < 9 || later > 15 {
			t.Errorf("tried %d times in 10 minutes, and %d in 10 hours", first, later)
		}
		p.stop()
	})
}

// TestHostless does not ask for the way to nodes that say that there is none.
func TestHostless(t *testing.T) {
	testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
		p := newPaperMesh(t, d, 4, Options{})
		p.knows(func(string, string) float64 { return 1 })
		for i, m := range p.network.Members {
			m.Boot = 7
			if i == 2 {
				m.Host = "ws://n2"
			}
		}
		p.link("n0")
		d.Run(time.Hour)
		if !slices.Equal(p.lines, []string{"n0", "n2"}) || strings.Contains(strings.Join(p.told(), "\n"), cmdConnection+" n1") {
			t.Errorf("linked with %q", p.lines)
		}
		p.stop()
	})
}

// TestPoolIsFull stops at what peers say, and goes on later.
func TestPoolIsFull(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		p := newPaperMesh(t, d, 10, Options{})
		dial := p.onReach
		p.onReach = func(m *reach) *reached { return &reached{name: m.name, full: true} }
		p.link("n0")
		d.Settle()
		if got := p.told("peers reach"); len(got) != 1 {
			t.Errorf("asked peers for %q", got)
		}
		p.onReach = func(*reach) *reached { return nil } // it never says
		d.Run(2 * time.Minute)
		p.onReach = dial
		d.Run(2 * time.Minute)
		if len(p.lines) < 2 {
			t.Errorf("linked with %q", p.lines)
		}
		p.stop()
	})
}

// TestRouterDoesNotAnswer has a survey that fails.
func TestRouterDoesNotAnswer(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		p := newPaperMesh(t, d, 5, Options{})
		router := p.met.router
		p.met.router = p.paper("deaf", func(actor.Context) {})
		p.link("n0")
		d.Run(time.Minute)
		if len(p.lines) != 1 {
			t.Fatalf("linked with %q", p.lines)
		}
		p.met.router = router
		d.Run(time.Minute)
		if len(p.lines) < 2 {
			t.Errorf("linked with %q", p.lines)
		}
		p.stop()
	})
}

// TestScoutRestarts in every state.
func TestScoutRestarts(t *testing.T) {
	testkit.Seeds(t, 30, func(t *testing.T, d *testkit.Driver) {
		p := newPaperMesh(t, d, 8, Options{})
		p.link("n0")
		steps := d.Seed()
		d.RunUntil(0, func() bool { steps--; return steps == 0 })
		p.restart()
		d.Run(time.Hour)
		if len(p.lines) != 1+extraMost {
			t.Errorf("linked with %q", p.lines)
		}
		p.restart()
		d.Run(time.Hour)
		if len(p.lines) != 1+extraMost {
			t.Errorf("linked with %q", p.lines)
		}
		p.stop()
	})
}

// paperStore keeps records, and may fail.
type paperStore struct {
	records map[string]string
	fails   string
	asked   int
}

func (s *paperStore) receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *storepb.ReadRequest:
		s.asked++
		r := &storepb.ReadResponse{Serial: m.GetSerial(), Error: s.fails}
		for _, key := range slices.Sorted(maps.Keys(s.records)) {
			if s.fails == "" && strings.HasPrefix(key, m.GetPrefix()) {
				r.Records = append(r.Records, &storepb.Record{Key: key, Value: []byte(s.records[key])})
			}
		}
		ctx.Respond(r)
	case *storepb.Write:
		s.asked++
		if s.fails == "" {
			for _, r := range m.GetPuts() {
				s.records[r.GetKey()] = string(r.GetValue())
			}
			for _, key := range m.GetDeletes() {
				delete(s.records, key)
			}
		}
		ctx.Respond(&storepb.Written{Serial: m.GetSerial(), Error: s.fails})
	}
}

// TestRemembering keeps addresses, and nothing that opens a door.
func TestRemembering(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		s := &paperStore{records: map[string]string{"mesh/node/n7": "ws://n7", "mesh/node/a b": "ws://x", "mesh/node/n8": "http://n8", "other": "x"}}
		p := newPaperMesh(t, d, 6, Options{})
		p.o.Store = p.paper("store", s.receive)
		p.restart() // reads
		p.edges["n7"] = []string{"n9"}
		p.link("n0")
		d.Run(time.Minute)
		if !slices.Contains(p.told("ask n7"), "ask n7 list-nodes") {
			t.Error("a node of the past was not asked")
		}
		for i := range 3 * knownMost {
			p.link(fmt.Sprint("x", i))
			p.sys.Root.Send(p.pid, &unlinked{name: fmt.Sprint("x", i)})
		}
		d.Run(time.Minute)
		kept := 0
		for key, value := range s.records {
			if strings.HasPrefix(key, knownPrefix) {
				kept++
			}
			if strings.Contains(value, "t-") {
				t.Errorf("a token was stored: %q", value)
			}
		}
		if kept > knownMost+2 || s.records["mesh/node/n0"] != "ws://n0" {
			t.Errorf("%d are kept", kept)
		}
		asked := s.asked
		p.link("n0") // nothing new
		d.Settle()
		if s.asked != asked {
			t.Error("what is known was written again")
		}
		s.fails = "disk full"
		p.link("new")
		p.restart()
		d.Run(time.Minute)
		p.stop()
	})
}

// TestChart chooses among nodes.
func TestChart(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	c := newChart("m", map[string]bool{"a": true, "b": true})
	if _, ok := c.choose(true, rng); ok {
		t.Error("chose from nobody")
	}
	c.edge("m", "a", 1)
	c.edge("a", "m", 2)
	c.edge("a", "m", msUnknown) // says nothing
	c.edge("m", "b", 20)
	c.edge("a", "c", 5)
	c.edge("c", "a", 1) // the worst of both counts
	c.edge("b", "c", 1)
	c.edge("b", "d", 3)
	c.edge("e", "f", 1) // out of reach
	c.edge("g", "g", 1)
	c.edge("", "g", 1)
	c.edge("a", "h", math.NaN())
	c.edge("a", "i", -5)
	c.edge("c", "m", 1) // is not so
	away := c.distances()
	if want := map[string]float64{"m": 0, "a": 2, "b": 8, "c": 7, "d": 11, "h": 12, "i": 12}; !maps.Equal(away, want) {
		t.Errorf("distances are %v, want %v", away, want)
	}
	if got, ok := c.choose(true, rng); !ok || got != (choice{"c", "a", true}) {
		t.Errorf("chose %v", got)
	}
	c.taken["c"] = true
	if got, _ := c.choose(true, rng); got != (choice{"d", "b", true}) {
		t.Errorf("chose %v", got)
	}
	seen := map[string]bool{}
	for range 100 {
		got, _ := c.choose(false, rng)
		seen[got.name] = true
		if got.near {
			t.Error("a choice at random is not for latency")
		}
	}
	if !maps.Equal(seen, map[string]bool{"d": true, "h": true, "i": true}) {
		t.Errorf("chose among %v", seen)
	}
}
