package mesh

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"parley/messages/meshpb"
)

// Names of commands. Source: gateways/mesh/PROTOCOL.md, Commands.
const (
	listChannels = "list-channels"
	listReserved = "list-reserved-channels"
)

// askMany is how many of its peers are asked what a node knows: it leaves out of
// an answer what the asker has said itself.
const askMany = 2

// entryText is an entry as all must have it.
func entryText(e *meshpb.Entry) string {
	return fmt.Sprintf("%s:%.8s@%d/%s", e.GetName(), e.GetPassword(), e.GetClaim().GetTs(), e.GetClaim().GetOwner())
}

// recordText is a record as all must have it.
func recordText(r *meshpb.Record) string {
	text := fmt.Sprintf("boot %x ver %d", r.GetBoot(), r.GetVer())
	for _, e := range r.GetEntries() {
		text += " " + entryText(e)
	}
	return text
}

// checkRecords compares what the nodes of a component say of each other's
// channels with what these say of their own.
func (s *Sim) checkRecords(part []*Node) {
	s.T.Helper()
	own := map[string]*meshpb.Record{}
	for _, n := range part {
		if l := n.told(s.linkedWith(n, part), listChannels); l != nil {
			own[n.Name] = &meshpb.Record{Node: n.Name, Boot: l.GetBoot(), Ver: l.GetVer(), Entries: l.GetEntries()}
		}
	}
	s.checkPasswords(own)
	for _, n := range part {
		peers := s.linkedWith(n, part)
		for _, peer := range peers[:min(len(peers), askMany)] {
			l := n.told([]*Node{peer}, listReserved)
			s.checkReserved(n, l, own)
			for _, r := range l.GetRecords() {
				if own[r.GetNode()] == nil {
					s.T.Errorf("%s keeps a record of %s, which is not there: %s", n.Name, r.GetNode(), recordText(r))
				}
			}
			for _, name := range slices.Sorted(maps.Keys(own)) {
				i := slices.IndexFunc(l.GetRecords(), func(r *meshpb.Record) bool { return r.GetNode() == name })
				switch {
				case name == peer.Name:
				case i < 0:
					s.T.Errorf("%s has no record of %s", n.Name, name)
				case recordText(l.GetRecords()[i]) != recordText(own[name]):
					s.T.Errorf("%s has the record of %s\n%s, it is\n%s", n.Name, name, recordText(l.GetRecords()[i]), recordText(own[name]))
				}
			}
		}
	}
}

// linkedWith are the nodes that n has links with.
func (s *Sim) linkedWith(n *Node, part []*Node) (peers []*Node) {
	for _, o := range part {
		if s.Linked(n.Name, o.Name) {
			peers = append(peers, o)
		}
	}
	return peers
}

// told is what a node answers the first of askers; nil: there is none.
func (n *Node) told(askers []*Node, command string) *meshpb.Listing {
	n.sim.T.Helper()
	if len(askers) == 0 {
		return nil
	}
	answers, _ := askers[0].Command(n.Name, &meshpb.Command{Name: command})
	l := answers[n.Name].GetListing()
	if l == nil {
		n.sim.T.Errorf("%s did not answer %s to %s: %v", n.Name, command, askers[0].Name, answers)
	}
	return l
}

// checkPasswords finds names that are open with two passwords.
func (s *Sim) checkPasswords(own map[string]*meshpb.Record) {
	s.T.Helper()
	first := map[string]*meshpb.Entry{}
	for _, node := range slices.Sorted(maps.Keys(own)) {
		for _, e := range own[node].GetEntries() {
			if f := first[e.GetName()]; f == nil {
				first[e.GetName()] = e
			} else if f.GetPassword() != e.GetPassword() {
				s.T.Errorf("%q is open with two passwords: %s and, on %s, %s", e.GetName(), entryText(f), node, entryText(e))
			}
		}
	}
}

// checkReserved compares the names that a node says others have with what they
// have, and whose they are with who came first.
func (s *Sim) checkReserved(n *Node, l *meshpb.Listing, own map[string]*meshpb.Record) {
	s.T.Helper()
	best := map[string]*meshpb.Entry{}
	others := map[string]bool{}
	for node, r := range own {
		for _, e := range r.GetEntries() {
			others[e.GetName()] = others[e.GetName()] || node != n.Name
			if b := best[e.GetName()]; b == nil || before(e, b) {
				best[e.GetName()] = e
			}
		}
	}
	var want, got []string
	for _, name := range slices.Sorted(maps.Keys(best)) {
		if others[name] {
			want = append(want, entryText(best[name]))
		}
	}
	for _, e := range l.GetEntries() {
		got = append(got, entryText(e))
	}
	if !slices.Equal(got, want) {
		s.T.Errorf("%s says that these are reserved:\n%v, it is\n%v", n.Name, got, want)
	}
}

// before orders claims.
func before(a, b *meshpb.Entry) bool {
	x, y := a.GetClaim(), b.GetClaim()
	return cmp.Or(cmp.Compare(x.GetTs(), y.GetTs()), cmp.Compare(x.GetOwner(), y.GetOwner()), cmp.Compare(a.GetPassword(), b.GetPassword())) < 0
}
