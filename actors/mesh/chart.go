package mesh

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
)

// msUnknown is what a link counts whose latency nobody knows, in ms.
const msUnknown = 10

// chart is the mesh as scout sees it.
type chart struct {
	self   string
	linked map[string]bool               // with this node
	links  map[string]map[string]float64 // ms by both ends
	taken  map[string]bool               // nodes that are not to be chosen
}

// choice is a node to be linked with.
type choice struct {
	name string
	via  string // its peer that is nearest to this node
	near bool   // it was chosen for its latency
}

// newChart knows this node and whom it is linked with.
func newChart(self string, linked map[string]bool) *chart {
	c := &chart{self: self, linked: linked, links: map[string]map[string]float64{}, taken: map[string]bool{self: true, "": true}}
	for name := range linked {
		c.taken[name] = true
		c.edge(self, name, msUnknown)
	}
	return c
}

// edge adds a link. Of what is said of its latency the worst counts, since
// anybody can say that it is near, and nothing at all is worth the least. Whom
// this node is linked with it knows itself.
func (c *chart) edge(a, b string, ms float64) {
	if a == b || a == "" || b == "" || a == c.self && !c.linked[b] || b == c.self && !c.linked[a] {
		return
	}
	if !(ms >= 0) || math.IsInf(ms, 0) {
		ms = msUnknown
	}
	old, there := c.links[a][b]
	switch {
	case there && old != msUnknown && (ms == msUnknown || ms <= old):
		return
	case c.links[a] == nil:
		c.links[a] = map[string]float64{}
	}
	if c.links[b] == nil {
		c.links[b] = map[string]float64{}
	}
	c.links[a][b], c.links[b][a] = ms, ms
}

// choose picks a node: the one of the lowest latency, or any. It fails when there
// is none.
func (c *chart) choose(near bool, rng *rand.Rand) (choice, bool) {
	away := c.distances()
	var names []string
	for name := range away {
		if !c.taken[name] {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return choice{}, false
	}
	slices.Sort(names)
	name := names[rng.IntN(len(names))]
	if near {
		name = nearestOf(names, away)
	}
	var others []string
	for _, via := range slices.Sorted(maps.Keys(c.links[name])) {
		if _, ok := away[via]; ok && via != c.self {
			others = append(others, via)
		}
	}
	if len(others) == 0 { // a node that only this one is linked with is taken
		return choice{}, false
	}
	return choice{name, nearestOf(others, away), near}, true
}

// nearestOf expects sorted names: the first of several counts.
func nearestOf(names []string, away map[string]float64) string {
	return slices.MinFunc(names, func(a, b string) int {
		switch {
		case away[a] < away[b]:
			return -1
		case away[a] > away[b]:
			return 1
		}
		return 0
	})
}

// distances are the latencies to all that can be reached, in ms.
func (c *chart) distances() map[string]float64 {
	away := map[string]float64{c.self: 0}
	done := map[string]bool{}
	for {
		at, best := "", math.Inf(1)
		for name, ms := range away {
			if !done[name] && (ms < best || ms == best && name < at) {
				at, best = name, ms
			}
		}
		if at == "" {
			return away
		}
		done[at] = true
		for next, ms := range c.links[at] {
			if old, ok := away[next]; !ok || best+ms < old {
				away[next] = best + ms
			}
		}
	}
}
