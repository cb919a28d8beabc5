package mesh

import (
	"cmp"
	"encoding/hex"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/meshpb"
)

// What can be wrong with what a node believes to be reserved.
const (
	flawOrphan  = iota // it is open nowhere
	flawMissing        // it is open
	flawWrong          // it is open with another password
)

type (
	// flaw is one such entry. It is the same in two rounds only if nothing about
	// it has changed: what is on its way is never found twice.
	flaw struct {
		viewer     string // who believes it
		viewerBoot uint64
		kind       int
		channel    string
		node       string // whose record it is in; empty: not known
		holders    string // who has it open, and with what claim: see truth
		claim      claim  // of flawOrphan, as the viewer has it; else as it should be
	}
	// truth is what the holders of a name say of it.
	truth struct {
		best    claim    // the effective one
		known   bool     // best is
		holders []string // sorted
	}
	// check is one round over what all nodes say, and the one before.
	check struct {
		running        bool
		open, reserved *meshpb.AskResponse // nil: not answered yet
		network        bool                // told since both are there
		before         map[flaw]bool       // found in the last round, if it was complete
		mended         map[flaw]bool       // of those, corrected
	}
)

// beginCheck asks all nodes what they have open and what they believe others to
// have.
func (m *master) beginCheck(ctx actor.Context) {
	m.check.running, m.check.open, m.check.reserved, m.check.network = true, nil, nil, false
	m.ask(ctx, everyone, &meshpb.Command{Name: cmdChannels}, func(ctx actor.Context, r *meshpb.AskResponse) {
		m.check.open = r
		m.heardAll(ctx)
	})
	m.ask(ctx, everyone, &meshpb.Command{Name: cmdReserved}, func(ctx actor.Context, r *meshpb.AskResponse) {
		m.check.reserved = r
		m.heardAll(ctx)
	})
}

// heardAll asks who was there, and what this node has open itself.
func (m *master) heardAll(ctx actor.Context) {
	if m.check.open != nil && m.check.reserved != nil {
		ctx.Request(m.met.router, &meshpb.NetworkRequest{})
	}
}

func (m *master) endCheck(ctx actor.Context) {
	if c := &m.check; c.running && !c.network && c.open != nil && c.reserved != nil {
		c.network = true
		ctx.Request(m.met.reservations, &meshpb.HoldingsRequest{})
	}
}

func (m *master) onHoldings(ctx actor.Context, msg *meshpb.HoldingsResponse) {
	m.holdings = msg
	c := &m.check
	if !c.running || !c.network {
		return
	}
	c.running = false
	found, complete := m.flaws()
	if !complete || m.leader != m.o.Name {
		c.before, c.mended = nil, nil
		return
	}
	mended := map[flaw]bool{}
	for _, f := range found {
		if c.before[f] {
			mended[f] = true
		}
	}
	if len(mended) > 0 {
		m.mend(ctx, found, mended)
	}
	c.before = make(map[flaw]bool, len(found))
	for _, f := range found {
		c.before[f] = true
	}
	c.mended = mended
}

// flaws compares what nodes believe with what the others say of themselves.
// complete is false unless all nodes that are known have said both.
func (m *master) flaws() (found []flaw, complete bool) {
	open, reserved := listings(m.check.open), listings(m.check.reserved)
	var viewers []*meshpb.Member
	for _, n := range m.network.GetMembers() {
		if n.GetName() == m.o.Name {
			continue
		}
		if open[n.GetName()] == nil || reserved[n.GetName()] == nil {
			return nil, false
		}
		viewers = append(viewers, n)
	}
	names := m.truths(viewers, open, reserved)
	for _, v := range viewers {
		found = append(found, flawsOf(v, reserved[v.GetName()], open, names)...)
	}
	return slices.DeleteFunc(found, func(f flaw) bool { return hearsay(f, viewers, reserved) }), true
}

// hearsay tells whether an entry is there because a foreign node says so: then it
// is that one's flaw, and goes with it.
func hearsay(f flaw, members []*meshpb.Member, reserved map[string]*meshpb.Listing) bool {
	if f.kind != flawOrphan || f.claim.ts != foreignTS || f.node == f.viewer {
		return false
	}
	i := slices.IndexFunc(members, func(n *meshpb.Member) bool { return n.GetName() == f.node })
	return i >= 0 && members[i].GetForeign() && slices.ContainsFunc(reserved[f.node].GetEntries(), func(e *meshpb.Entry) bool { return e.GetName() == f.channel })
}

// listings is what nodes answered, by node.
func listings(r *meshpb.AskResponse) map[string]*meshpb.Listing {
	out := map[string]*meshpb.Listing{}
	for _, a := range r.GetAnswers() {
		if l := a.GetResponse().GetListing(); l != nil {
			out[a.GetNode()] = l
		}
	}
	return out
}

// truths is what is open, by name. This node's own reservations tell the names
// that it has open, not their hashes: those are with the other nodes.
func (m *master) truths(members []*meshpb.Member, open, reserved map[string]*meshpb.Listing) map[string]*truth {
	names := map[string]*truth{}
	of := func(name string) *truth {
		if names[name] == nil {
			names[name] = &truth{}
		}
		return names[name]
	}
	for _, h := range members {
		for name, c := range entriesOf(open[h.GetName()].GetEntries(), h.GetName()) {
			t := of(name)
			t.holders = append(t.holders, h.GetName())
			t.best, t.known = smaller(t, c), true
		}
	}
	for _, h := range m.holdings.GetChannels() {
		if slices.Contains(h.GetHolders(), m.o.Name) {
			t := of(h.GetName())
			t.holders = append(t.holders, m.o.Name)
			if !t.known {
				t.best, t.known = agreedOn(h.GetName(), members, reserved)
			}
		}
	}
	for _, t := range names {
		slices.Sort(t.holders)
	}
	return names
}

func smaller(t *truth, c claim) claim {
	if t.known && t.best.before(&c) {
		return t.best
	}
	return c
}

// agreedOn is the claim that all have who believe a name to be reserved.
func agreedOn(name string, members []*meshpb.Member, reserved map[string]*meshpb.Listing) (all claim, ok bool) {
	for _, v := range members {
		if v.GetForeign() {
			continue
		}
		list := reserved[v.GetName()].GetEntries()
		i, has := slices.BinarySearchFunc(list, name, func(e *meshpb.Entry, name string) int { return cmp.Compare(e.GetName(), name) })
		if !has {
			continue
		}
		c, valid := claimOf(list[i].GetPassword(), list[i].GetClaim(), v.GetName())
		if !valid || ok && c != all {
			return claim{}, false
		}
		all, ok = c, true
	}
	return all, ok
}

// flawsOf finds the flaws of one node, sorted by channel.
func flawsOf(v *meshpb.Member, l *meshpb.Listing, open map[string]*meshpb.Listing, names map[string]*truth) (found []flaw) {
	viewer := v.GetName()
	add := func(kind int, name, node string, t *truth, c claim) {
		holders := ""
		if t != nil {
			for _, h := range t.holders {
				holders += h + " "
			}
		}
		found = append(found, flaw{viewer, v.GetBoot(), kind, name, node, holders, c})
	}
	exact := recordFlaws(viewer, l, open, func(kind int, name, node string, c claim) { add(kind, name, node, names[name], c) })
	has := map[string]bool{}
	for name, c := range entriesOf(l.GetEntries(), viewer) {
		has[name] = true
		t := names[name]
		own := t != nil && slices.Contains(t.holders, viewer)
		switch {
		case exact[name] || own && v.GetForeign(): // who has it open may count it among the reserved
		case t == nil || own && len(t.holders) == 1:
			add(flawOrphan, name, c.owner.Value(), t, c)
		case t.known && t.best.hash != c.hash:
			add(flawWrong, name, c.owner.Value(), t, t.best)
		}
	}
	for name, t := range names {
		if !has[name] && !exact[name] && t.known && !slices.Contains(t.holders, viewer) {
			add(flawMissing, name, "", t, t.best)
		}
	}
	slices.SortFunc(found, func(a, b flaw) int {
		return cmp.Or(cmp.Compare(a.channel, b.channel), cmp.Compare(a.node, b.node), a.kind-b.kind)
	})
	return found
}

// recordFlaws looks into the records that a node gave, those that are of the same
// version as what their nodes say of themselves. It returns the names that it
// found flaws with.
func recordFlaws(viewer string, l *meshpb.Listing, open map[string]*meshpb.Listing, add func(kind int, name, node string, c claim)) map[string]bool {
	exact := map[string]bool{}
	for _, rec := range l.GetRecords() {
		node := rec.GetNode()
		own := open[node]
		if own == nil || node == viewer || rec.GetBoot() == 0 || rec.GetBoot() != own.GetBoot() || rec.GetVer() != own.GetVer() {
			continue
		}
		told := maps.Collect(entriesOf(own.GetEntries(), node))
		for name, c := range entriesOf(rec.GetEntries(), node) {
			should, has := told[name]
			delete(told, name)
			switch {
			case !has:
				add(flawOrphan, name, node, c)
			case should.hash != c.hash:
				add(flawWrong, name, node, should)
			default:
				continue
			}
			exact[name] = true
		}
		for name, c := range told {
			add(flawMissing, name, node, c)
			exact[name] = true
		}
	}
	return exact
}

// mend tells nodes of their flaws, and nobody else. What was mended before and
// is still there may be in another record than it seems.
func (m *master) mend(ctx actor.Context, found []flaw, now map[flaw]bool) {
	sent := map[string]bool{}
	tell := func(f flaw, c *meshpb.Command) {
		key := f.viewer + " " + c.GetName() + " " + c.GetChannel() + " " + c.GetNode()
		if !sent[key] {
			sent[key] = true
			m.ask(ctx, f.viewer, c, nil)
		}
	}
	for _, f := range found {
		if !now[f] {
			continue
		}
		m.mendings++
		m.mended.Add(1)
		tree.Log(ctx.ActorSystem()).Warn("reservation corrected", slog.String("node", f.viewer), slog.String("channel", f.channel), slog.String("flaw", flawNames[f.kind]))
		if f.kind != flawMissing { // first: a foreign node would take no other password before
			for _, node := range m.suspects(f) {
				tell(f, &meshpb.Command{Name: cmdUnreserve, Channel: f.channel, Node: node})
			}
		}
		if f.kind != flawOrphan {
			tell(f, &meshpb.Command{
				Name: cmdReserve, Channel: f.channel, Password: hex.EncodeToString([]byte(f.claim.hash)), Claim: wireClaim(&f.claim),
				Open: proto.Bool(false), Holders: holdersOf(f),
			})
		}
	}
}

var flawNames = [...]string{"open nowhere", "missing", "wrong password"}

// holdersOf is the nodes that have a flaw's channel open.
func holdersOf(f flaw) (out []string) {
	for h := range strings.FieldsSeq(f.holders) {
		if h != f.viewer {
			out = append(out, h)
		}
	}
	return out
}

// suspects is the nodes in whose records an entry may be that should not be.
func (m *master) suspects(f flaw) (out []string) {
	known, foreign := false, false
	for _, n := range m.network.GetMembers() {
		known = known || n.GetName() == f.node
		if n.GetName() != f.viewer {
			out = append(out, n.GetName())
		} else {
			foreign = n.GetForeign()
		}
	}
	if foreign || known && !m.check.mended[f] { // a foreign one has one list for all
		return []string{f.node}
	}
	return out
}
