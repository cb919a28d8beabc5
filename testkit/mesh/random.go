package mesh

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gate "parley/gateways/mesh"
	"parley/testkit"
)

// How a random run goes on.
const (
	warmUp     = 4 * time.Second   // before the first operation
	quietSpan  = 100 * time.Second // a node that is gone is forgotten after 60 s
	healedSpan = 75 * time.Second  // redials are 36 s apart at most
	restMost   = 2 * time.Minute   // that links may still come and go behind these
	chatEvery  = 5 * time.Second   // at most, in quiet
	opsLeast   = 20
	opsMost    = 150
	nodesLeast = 2
	nodesMost  = 10
)

// run is one random run.
type run struct {
	*Sim
	rng   *rand.Rand
	n     int
	edges Edges
	made  []NodeOptions
}

// Random is a run drawn from a seed: any network, anything that may happen to
// it, and then quiet, twice: as it is, and healed.
func Random(t *testing.T, d *testkit.Driver) *Sim {
	rng := rand.New(rand.NewPCG(d.Seed(), runStream))
	o := Options{Jitter: []float64{0, 1, 2}[rng.IntN(3)]}
	if rng.IntN(2) == 0 {
		o.Codec = gate.Codec{}
	}
	r := &run{Sim: New(t, d, o), rng: rng}
	r.build()
	r.Run(warmUp)
	for range opsLeast + rng.IntN(opsMost-opsLeast) {
		r.operate()
	}
	r.settle(quietSpan)
	r.Heal()
	for i := range r.made {
		if !r.Node(Name(i)).Up() {
			r.Start(r.made[i])
		}
	}
	r.settle(healedSpan)
	if parts := r.Components(); len(parts) != 1 {
		t.Errorf("the network is healed, and has %d components", len(parts))
	}
	r.Close()
	return r.Sim
}

// runStream tells these draws from others with the same seed.
const runStream = 0x72756e

// settle lets a network come to rest and checks it: at the earliest after span,
// and not while a link that nodes found by themselves is younger than calm.
// Clients that have something to say go on: that is no news to anybody but their
// readers.
func (r *run) settle(span time.Duration) {
	r.T.Helper()
	for start := time.Now(); time.Since(start) < span || r.Watch.stood() < calm; {
		if time.Since(start) >= span+restMost {
			r.T.Errorf("nobody touched the network for %v, and it does not come to rest: the last change was %s, %v ago",
				time.Since(start), r.Watch.why, r.Watch.stood())
			break
		}
		for range 1 + r.rng.IntN(2*r.n) {
			r.say(r.Node(Name(r.rng.IntN(r.n))))
		}
		r.Run(time.Duration(r.rng.Int64N(int64(chatEvery))))
	}
	r.Check()
	if r.T.Failed() {
		r.Close()
		r.T.FailNow()
	}
}

// build draws the network and starts it.
func (r *run) build() {
	r.n = nodesLeast + r.rng.IntN(nodesMost-nodesLeast+1)
	switch kind := r.rng.IntN(6); {
	case kind == 0:
		r.edges = Line(r.n)
	case kind == 1 && r.n > 2:
		r.edges = Ring(r.n)
	case kind == 2:
		r.edges = Star(r.n)
	case kind <= 4 && r.n > 4:
		r.edges = Tangle(r.rng, r.n, kind)
	default:
		r.edges = Full(r.n)
	}
	skew := []time.Duration{0, 100 * time.Millisecond, 5 * time.Second}[r.rng.IntN(3)]
	hidden := r.rng.IntN(2) == 0
	first := []time.Duration{-1, 0}[r.rng.IntN(2)]
	for i := range r.n {
		o := NodeOptions{Name: Name(i), Neighbors: r.edges.neighbors(i), Hidden: hidden, AskFirst: first}
		if skew > 0 {
			o.Skew = time.Duration(r.rng.Int64N(int64(2*skew))) - skew
		}
		for _, e := range r.edges {
			if e[1] == i && r.rng.IntN(4) == 0 { // both dial
				o.Neighbors = append(o.Neighbors, Name(e[0]))
			}
		}
		slices.Sort(o.Neighbors)
		r.made = append(r.made, o)
		r.Start(o)
		r.Run(time.Duration(r.rng.IntN(200)) * time.Millisecond)
	}
}

// operate does one thing, and often lets time pass.
func (r *run) operate() {
	r.Ops++
	n := r.Node(Name(r.rng.IntN(r.n)))
	switch k := r.rng.IntN(100); {
	case k < 80:
		r.act(n)
	case k < 86:
		e := r.edges[r.rng.IntN(len(r.edges))]
		r.Separate(Name(e[0]), Name(e[1]), []Gap{Cut, Stall}[r.rng.IntN(2)])
	case k < 92:
		e := r.edges[r.rng.IntN(len(r.edges))]
		r.Separate(Name(e[0]), Name(e[1]), Open)
	case k < 94:
		var some []string
		for i := range r.n {
			if r.rng.IntN(2) == 0 {
				some = append(some, Name(i))
			}
		}
		r.Partition(some, []Gap{Cut, Stall}[r.rng.IntN(2)])
	case k < 95:
		r.Heal()
	case !n.Up():
		r.Start(n.NodeOptions)
	case k < 97:
		n.Kill(r.rng.IntN(2) == 0)
	case k < 98:
		n.Stop()
	}
	switch r.rng.IntN(4) {
	case 0:
		r.Run(time.Duration(r.rng.IntN(300)) * time.Millisecond)
	case 1:
		r.Run(time.Duration(r.rng.IntN(20)) * time.Millisecond)
	case 2:
		if r.rng.IntN(6) == 0 {
			r.Run(time.Duration(r.rng.IntN(20_000)) * time.Millisecond)
		}
	}
}

// passwords are what channels are opened with; none is one of them.
var passwords = []string{"", "one", "two"}

const channelNames = "abcd"

// act has a client of a node do something.
func (r *run) act(n *Node) {
	if !n.Up() {
		return
	}
	var clients []*Client
	for _, c := range n.Attached() {
		if !c.Gone() {
			clients = append(clients, c)
		}
	}
	if len(clients) == 0 || len(clients) < 3 && r.rng.IntN(8) == 0 {
		clients = append(clients, n.Connect())
	}
	c := clients[r.rng.IntN(len(clients))]
	channel := channelNames[r.rng.IntN(len(channelNames)):][:1]
	switch k := r.rng.IntN(100); {
	case k < 50:
		c.Subscribe(channel, passwords[r.rng.IntN(len(passwords))])
	case k < 62:
		c.Unsubscribe(channel)
	case k < 64:
		c.HangUp()
	default:
		r.say(n)
	}
}

// say has some of a node's clients publish.
func (r *run) say(n *Node) {
	if !n.Up() {
		return
	}
	for _, c := range n.Attached() {
		for _, channel := range slices.Sorted(maps.Keys(c.Subs)) {
			if r.rng.IntN(2) == 0 {
				continue
			}
			for range 1 + r.rng.IntN(3) {
				c.Send(channel)
			}
		}
	}
}
