package mesh

import (
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/messages/meshpb"
)

// listedMost is how many peers of one node are believed.
const listedMost = 1024

// list asks nodes for their peers, breadth first: those that this node is linked
// with, those that it was linked with once, and whom they name.
func (s *scout) list(ctx actor.Context) {
	s.state, s.queue, s.seen = s.listing, nil, map[string]bool{s.o.Name: true}
	clear(s.edges)
	clear(s.open)
	for _, names := range [][]string{slices.Sorted(maps.Keys(s.linked)), slices.Sorted(maps.Keys(s.known))} {
		s.enqueue(names)
	}
	s.askOn(ctx)
}

func (s *scout) enqueue(names []string) {
	for _, name := range names {
		if !s.seen[name] && len(s.seen) <= askedMost { // it has this node's name, too
			s.seen[name] = true
			s.queue = append(s.queue, name)
		}
	}
}

// askOn asks the next nodes, or goes on when all have answered.
func (s *scout) askOn(ctx actor.Context) {
	for len(s.queue) > 0 && len(s.open) < askedAtOnce {
		s.send(ctx, s.queue[0], &meshpb.Command{Name: cmdNodes})
		s.queue = s.queue[1:]
	}
	if len(s.open) == 0 {
		s.onboarded = true
		s.survey(ctx)
	}
}

func (s *scout) send(ctx actor.Context, node string, c *meshpb.Command) {
	s.errands++
	s.open[s.errands] = true
	sendErrand(ctx, s.met, s.errands, node, c)
}

func (s *scout) onListed(m *returned) {
	var names []string
	for _, name := range m.response.GetNodes().GetNames() {
		if validName(name) && len(names) < listedMost {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		s.edges[m.node] = names
		s.enqueue(names)
	}
}

// survey asks the router for the mesh.
func (s *scout) survey(ctx actor.Context) {
	s.state = s.mapping
	if s.seen == nil {
		s.seen = map[string]bool{}
	}
	s.await(ctx, mapTime, late)
	ctx.Request(s.met.router, &meshpb.NetworkRequest{})
}

// choose tries the next node, as long as there is one that is worth it.
func (s *scout) choose(ctx actor.Context) {
	s.timer.Stop()
	var ok bool
	if len(s.linked) > 0 && len(s.extra) < extraMost && s.tries < triesMost {
		s.choice, ok = s.chart().choose(s.nearest(), s.rng)
	}
	if !ok {
		s.rest(ctx, s.pause())
		return
	}
	s.tries++
	s.state = s.fetching
	clear(s.open)
	s.send(ctx, s.choice.via, &meshpb.Command{Name: cmdConnection, Node: s.choice.name})
}

func (s *scout) pause() time.Duration {
	if len(s.linked) < linksFew {
		return exploreSoon
	}
	return exploreLater
}

// nearest reports whether the next link is to be one of low latency.
func (s *scout) nearest() bool {
	near := 0
	for _, n := range s.extra {
		if n {
			near++
		}
	}
	return 2*near <= len(s.extra)
}

// chart is what scout knows of the mesh now, and who is not to be chosen.
func (s *scout) chart() *chart {
	c := newChart(s.o.Name, s.linked)
	for _, m := range s.network.GetMembers() {
		if m.GetBoot() != 0 && !m.GetForeign() && m.GetHost() == "" { // it says that nobody can connect to it
			c.taken[m.GetName()] = true
		}
		for _, l := range m.GetLinks() {
			c.edge(m.GetName(), l.GetPeer(), l.GetMs())
		}
	}
	for node, peers := range s.edges {
		for _, peer := range peers {
			c.edge(node, peer, msUnknown)
		}
	}
	for _, n := range s.o.Neighbors {
		c.taken[n.Name] = true
	}
	now := time.Now()
	for name, b := range s.setbacks {
		if now.Before(b.until) {
			c.taken[name] = true
		}
	}
	return c
}

// onConnection hears whether, and with what, a node may be dialled.
func (s *scout) onConnection(ctx actor.Context, m *meshpb.Response) {
	url, token := dialable(m.GetConnection().GetHost()), m.GetConnection().GetToken()
	if url == "" || token == "" {
		s.setBack(s.choice.name)
		s.choose(ctx)
		return
	}
	s.state = s.dialling
	s.await(ctx, reachTime, late)
	ctx.Send(s.met.peers, &reach{s.choice.name, url, token})
}

func (s *scout) onReached(ctx actor.Context, m *reached) {
	switch {
	case m.full:
		s.rest(ctx, exploreLater)
	case !m.ok:
		s.setBack(m.name)
		s.choose(ctx)
	case len(s.linked) < linksFew:
		s.extra[m.name] = s.choice.near
		s.choose(ctx)
	default: // the mesh is another one now, and others want their turn
		s.extra[m.name] = s.choice.near
		s.rest(ctx, exploreSoon)
	}
}

// setBack leaves a node alone for a while.
func (s *scout) setBack(name string) {
	now := time.Now()
	maps.DeleteFunc(s.setbacks, func(_ string, b setback) bool { return now.Sub(b.until) > setbackMost })
	b := s.setbacks[name]
	b.until = now.Add(min(setbackFirst<<min(b.times, 10), setbackMost))
	b.times++
	s.setbacks[name] = b
}
