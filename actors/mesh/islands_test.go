package mesh

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/meshpb"
	"parley/testkit"
)

// islands is many real reservations in a network made of paper: links with
// delays that differ, that come and go, and that keep the order of what goes over
// one of them. Router, commands, hello and peers of a node are one paper actor,
// as little of them as the rules need. A seeded driver runs it all on one
// goroutine, so that nothing here is locked.
type islands struct {
	t      testing.TB
	d      *testkit.Driver
	sys    *actor.ActorSystem
	rnd    *rand.Rand
	o      Options // of all, but for names and clocks
	nodes  []*islander
	byName map[string]*islander
	up     map[[2]int]int           // epoch of a link, while it is up
	last   map[[2]int]time.Time     // when the last packet over a link arrives
	delay  map[[2]int]time.Duration // least
	epoch  int
	loss   float64 // part of the packets that a link swallows
	losers int     // evicted
}

// islander is one node.
type islander struct {
	net    *islands
	name   string
	index  int
	skew   time.Duration
	dead   bool
	born   int
	me     *reservations
	pid    *actor.PID // reservations
	paper  *actor.PID
	asks   map[string]*islanderAsk // by nonce
	seen   map[string]bool
	seq    uint64
	boot   uint64
	ver    uint64
	heard  map[string]time.Time
	holds  map[string]map[string]bool // by node
	open   map[string]string          // of the paper relay: channels and their hashes
	wanted map[string]int             // OpenRequests that are not answered
	told   []*meshpb.OpenResponse
	synced int
}

type islanderAsk struct {
	asker *actor.PID
	m     *meshpb.AskRequest
	wait  map[string]bool
	got   []*meshpb.Answer
}

// islandParcel is a packet on its way.
type islandParcel struct {
	from   int
	epoch  int
	packet *meshpb.Packet
}

// IgnoreDeadLetterLogging marks messages that may find the node stopped.
func (islandHello) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find the node stopped.
func (islandAskOver) IgnoreDeadLetterLogging() {}

type (
	islandAskOver struct{ nonce string }
	islandHello   struct{ born int }
)

func newIslands(t testing.TB, sys *actor.ActorSystem, d *testkit.Driver, n int, o Options) *islands {
	net := &islands{
		t: t, d: d, sys: sys, o: o, rnd: rand.New(rand.NewPCG(d.Seed(), 7)), byName: map[string]*islander{},
		up: map[[2]int]int{}, last: map[[2]int]time.Time{}, delay: map[[2]int]time.Duration{},
	}
	for i := range n {
		x := &islander{net: net, name: fmt.Sprintf("n%02d", i), index: i, dead: true}
		net.nodes = append(net.nodes, x)
		net.byName[x.name] = x
		x.paper = tree.Spawn(sys.Root, "paper"+x.name, tree.Spec{New: func() actor.Actor { return x }})
	}
	return net
}

// start brings a node to life, again maybe.
func (x *islander) start() {
	x.dead, x.boot, x.seq, x.ver = false, x.boot+1, 0, 0
	x.born++
	x.asks, x.seen = map[string]*islanderAsk{}, map[string]bool{}
	x.heard, x.holds = map[string]time.Time{}, map[string]map[string]bool{}
	x.open, x.wanted, x.told = map[string]string{}, map[string]int{}, nil
	o := x.net.o
	o.Name, o.Boot = x.name, x.boot
	o.Now = func() time.Time { return time.Now().Add(x.skew) }
	met := &meet{router: x.paper, hello: x.paper, commands: x.paper, peers: x.paper}
	met.Channels = x.paper
	x.me = newReservations(&o, met).(*reservations)
	x.pid = tree.Spawn(x.net.sys.Root, fmt.Sprint("reservations", x.name, "-", x.born), tree.Spec{New: func() actor.Actor { return x.me }})
	x.net.sys.Root.Send(x.paper, islandHello{x.born})
}

// kill ends a node.
func (x *islander) kill() {
	for j := range x.net.nodes {
		x.net.link(x.index, j, false)
	}
	x.dead = true
	x.net.sys.Root.Stop(x.pid)
}

func pair(a, b int) [2]int { return [2]int{min(a, b), max(a, b)} }

// link brings a link up, or down.
func (net *islands) link(a, b int, up bool) {
	p := pair(a, b)
	was, is := net.up[p]
	if is == up || a == b || up && (net.nodes[a].dead || net.nodes[b].dead) {
		return
	}
	net.epoch++
	if up {
		net.up[p] = net.epoch
	} else {
		delete(net.up, p)
	}
	for _, x := range []*islander{net.nodes[a], net.nodes[b]} {
		y := net.nodes[a+b-x.index]
		if up {
			net.sys.Root.Send(x.pid, &linked{neighbor{name: y.name, boot: y.boot, member: uint64(net.epoch)}})
		} else {
			net.sys.Root.Send(x.pid, &unlinked{name: y.name, member: uint64(was)})
		}
	}
}

// send puts a packet on a link. It is lost when that goes down before it arrives.
func (net *islands) send(from, to int, p *meshpb.Packet) {
	e, up := net.up[pair(from, to)]
	if !up {
		return
	}
	if net.rnd.Float64() < net.loss {
		return
	}
	way := [2]int{from, to}
	least := net.delay[pair(from, to)]
	at := time.Now().Add(least + time.Duration(net.rnd.Float64()*2*float64(least)))
	if at.Before(net.last[way]) {
		at = net.last[way]
	}
	net.last[way] = at
	net.d.After(time.Until(at), func() {
		net.sys.Root.Send(net.nodes[to].paper, &islandParcel{from, e, p})
	})
}

func (x *islander) peers() (list []int) {
	for j := range x.net.nodes {
		if _, up := x.net.up[pair(x.index, j)]; up {
			list = append(list, j)
		}
	}
	return list
}

// next is the first step of a shortest way; -1: there is none.
func (x *islander) next(to string) int {
	first := map[int]int{x.index: -1}
	queue := []int{x.index}
	for len(queue) > 0 {
		i := queue[0]
		queue = queue[1:]
		if x.net.nodes[i].name == to {
			return first[i]
		}
		for _, j := range x.net.nodes[i].peers() {
			if _, seen := first[j]; !seen {
				first[j] = first[i]
				if i == x.index {
					first[j] = j
				}
				queue = append(queue, j)
			}
		}
	}
	return -1
}

// island is the names that can be reached.
func (x *islander) island() (names []string) {
	for _, y := range x.net.nodes {
		if y != x && x.next(y.name) >= 0 {
			names = append(names, y.name)
		}
	}
	return names
}

// verify checks what must hold when nothing is under way; "": it does.
func (net *islands) verify() string {
	for _, x := range net.nodes {
		if x.dead {
			continue
		}
		if bad := x.verify(); bad != "" {
			return bad
		}
	}
	return ""
}

func (x *islander) verify() string {
	own := contents(x.me.records.own)
	for name, hash := range x.open {
		if !strings.Contains(own, fmt.Sprintf("%s %q", name, hash)) {
			return fmt.Sprintf("%s has %s open, its record is %s", x.name, name, own)
		}
	}
	if len(x.open) != len(x.me.records.own.entries) {
		return fmt.Sprintf("%s has %v open, its record is %s", x.name, x.open, own)
	}
	for name, n := range x.wanted {
		if n != 0 {
			return fmt.Sprintf("%s: %s was not answered", x.name, name)
		}
	}
	if len(x.me.asking)+len(x.me.linger.since)+len(x.me.queries) > 0 {
		return fmt.Sprintf("%s is not at rest: %d openings, %d lingering, %d questions", x.name, len(x.me.asking), len(x.me.linger.since), len(x.me.queries))
	}
	reach := x.island()
	for node, rec := range x.me.records.nodes {
		if !slices.Contains(reach, node) {
			return fmt.Sprintf("%s still knows %s, which it cannot reach: %s", x.name, node, contents(rec))
		}
	}
	return x.unequal(reach)
}

// unequal tells where what nodes know differs from what is; "": nowhere.
func (net *islands) unequal() string {
	for _, x := range net.nodes {
		if bad := x.unequal(x.island()); bad != "" && !x.dead {
			return bad
		}
	}
	return ""
}

func (x *islander) unequal(reach []string) string {
	for _, node := range reach {
		y := x.net.byName[node]
		rec := x.me.records.nodes[node]
		if rec == nil {
			rec = &record{}
		}
		if theirs := contents(y.me.records.own); contents(rec) != theirs || rec.ver != y.me.records.own.ver {
			return fmt.Sprintf("%s sees %s at %d/%d as %s, it is at %d/%d %s", x.name, node, rec.boot, rec.ver, contents(rec), y.boot, y.ver, theirs)
		}
		if len(x.holds[node]) != len(rec.entries) {
			return fmt.Sprintf("%s was told that %s holds %v, it has %s", x.name, node, x.holds[node], contents(rec))
		}
		for name, hash := range y.open {
			if mine, is := x.open[name]; is && mine != hash {
				return fmt.Sprintf("%s is open with two hashes, on %s and %s", name, x.name, node)
			}
		}
	}
	return ""
}

// contents is a record in words.
func contents(rec *record) string {
	var list []string
	for h, c := range rec.entries {
		list = append(list, fmt.Sprintf("%s %q %d %s", h.name, c.hash, c.ts, c.owner.Value()))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}
