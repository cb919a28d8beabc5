package mesh

import (
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
)

// Check fails the test with all that is wrong when nothing has happened for a
// while: within each component all know the same, and it is true.
func (s *Sim) Check() {
	s.T.Helper()
	for _, part := range s.Components() {
		for _, n := range part {
			n.checkLinks(part)
			n.checkHoldings(part)
			n.checkCredit()
		}
		s.checkRecords(part)
		s.probe(part)
	}
	if s.T.Failed() {
		s.explain()
	}
}

// explain says how the network is.
func (s *Sim) explain() {
	for i, part := range s.Components() {
		for _, n := range part {
			have := slices.Sorted(maps.Keys(n.open()))
			var links []string
			for _, p := range part {
				if s.Linked(n.Name, p.Name) {
					links = append(links, p.Name)
				}
			}
			s.logf("component %d: %s boot %x skew %v links %v subscribed %v", i, n.Name, n.Boot, n.Skew, links, have)
		}
	}
}

// open is what the node's clients are subscribed to, with who they are.
func (n *Node) open() map[string][]*Client {
	open := map[string][]*Client{}
	for _, id := range slices.Sorted(maps.Keys(n.clients)) {
		c := n.clients[id]
		for name := range c.Subs {
			if c.Is(name) {
				open[name] = append(open[name], c)
			}
		}
	}
	return open
}

func names(nodes []*Node) []string {
	var out []string
	for _, n := range nodes {
		out = append(out, n.Name)
	}
	return out
}

// checkLinks compares what the node says of links with what there is.
func (n *Node) checkLinks(part []*Node) {
	s := n.sim
	s.T.Helper()
	var peers []string
	for _, p := range n.Peers() {
		peers = append(peers, p.GetName())
	}
	var linked []string
	for _, o := range part {
		if s.Linked(n.Name, o.Name) {
			linked = append(linked, o.Name)
		}
	}
	if !slices.Equal(peers, linked) {
		s.T.Errorf("%s is linked with %v, and says it is with %v", n.Name, linked, peers)
	}
	var members []string
	for _, m := range n.Network().GetMembers() {
		members = append(members, m.GetName())
		if o := s.Node(m.GetName()); o != nil && m.GetBoot() != o.Boot && !m.GetForeign() {
			s.T.Errorf("%s knows %s with the boot %x, it is %x", n.Name, o.Name, m.GetBoot(), o.Boot)
		}
		var has, is []string
		for _, l := range m.GetLinks() {
			has = append(has, l.GetPeer())
		}
		for _, o := range part {
			if s.Linked(m.GetName(), o.Name) {
				is = append(is, o.Name)
			}
		}
		if !slices.Equal(has, is) {
			s.T.Errorf("%s believes that %s is linked with %v, it is with %v", n.Name, m.GetName(), has, is)
		}
	}
	if !slices.Equal(members, names(part)) {
		s.T.Errorf("%s knows the nodes %v, and is connected with %v", n.Name, members, names(part))
	}
}

// checkHoldings compares what the node says of channels with what clients are
// subscribed to.
func (n *Node) checkHoldings(part []*Node) {
	n.sim.T.Helper()
	truth := map[string][]string{}
	for _, o := range part {
		for name := range o.open() {
			truth[name] = append(truth[name], o.Name)
		}
	}
	said := map[string][]string{}
	for _, h := range n.Holdings().GetChannels() {
		said[h.GetName()] = h.GetHolders()
	}
	for name, holders := range truth {
		if !slices.Equal(said[name], holders) {
			n.sim.T.Errorf("%s says that %q is open on %v, it is on %v", n.Name, name, said[name], holders)
		}
	}
	for name, holders := range said {
		if truth[name] == nil {
			n.sim.T.Errorf("%s says that %q is open on %v, nobody is subscribed", n.Name, name, holders)
		}
	}
	if h := n.HealthNow(); h.GetHealthy() == "bad" {
		n.sim.T.Errorf("%s is %s: %v", n.Name, h.GetHealthy(), h.GetReasons())
	}
}

// checkCredit finds what was taken from links and never settled, and commands of
// clients that were never answered.
func (n *Node) checkCredit() {
	n.sim.T.Helper()
	for _, side := range n.ends {
		for _, e := range side {
			if e.held != 0 || len(e.queue) > 0 {
				n.sim.T.Errorf("%s holds %d units of credit of its link to %s, %d frames wait", n.Name, e.held, e.wire.names[1-e.index], len(e.queue))
			}
		}
	}
	for _, c := range n.clients {
		for _, q := range c.open {
			n.sim.T.Errorf("client %d of %s was not answered for %v: %T %v", c.id, n.Name, time.Since(q.at), q.what, q.what)
		}
		if c.held != 0 {
			n.sim.T.Errorf("%s holds %d units of credit of client %d", n.Name, c.held, c.id)
		}
	}
}

// probe has everybody say something everywhere: all others must hear it.
func (s *Sim) probe(part []*Node) {
	s.T.Helper()
	type word struct {
		from    *Client
		channel string
		id      int
	}
	var words []word
	before := s.Sent["message"]
	subscribed := map[string][]*Client{}
	for _, n := range part {
		open := n.open()
		for _, channel := range slices.Sorted(maps.Keys(open)) {
			subscribed[channel] = append(subscribed[channel], open[channel]...)
			for _, c := range open[channel] {
				words = append(words, word{c, channel, c.Send(channel)})
			}
		}
	}
	s.Run(arriveMost)
	for _, w := range words {
		for _, c := range subscribed[w.channel] {
			if c != w.from && !s.Watch.messages[w.id-1].heard[c] {
				s.T.Errorf("client %d of %s did not get what client %d of %s said in %q", c.id, c.Node.Name, w.from.id, w.from.Node.Name, w.channel)
			}
		}
	}
	s.Watch.Probes += len(words)
	s.Watch.ProbeFrames += s.Sent["message"] - before
}

// Equal reports whether all nodes know of the same channels.
func (s *Sim) Equal() bool {
	up := s.Up()
	first := up[0].Holdings()
	return !slices.ContainsFunc(up[1:], func(n *Node) bool { return !proto.Equal(first, n.Holdings()) })
}
