package mesh

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/meshpb"
)

// onInquiry answers what other nodes ask and tell about channels.
func (r *reservations) onInquiry(ctx actor.Context, m *inquiry) {
	defer repay(ctx, r.met, m.loan) // also when it fails, and behind the answer
	if m.packet.GetSource() == r.o.Name {
		return
	}
	cmd := m.packet.GetCommand()
	var answer *meshpb.Response
	switch cmd.GetName() {
	case cmdReserve:
		answer = r.onReserve(ctx, m, cmd)
	case cmdUnreserve:
		answer = r.onUnreserve(ctx, m, cmd)
	case cmdChannels, cmdReserved:
		answer = r.list(ctx, m)
	case cmdSync:
		r.onSync(ctx, m)
		return
	}
	if answer != nil {
		ctx.Send(r.met.router, &post{destination: m.packet.GetSource(), response: answer, to: m.packet})
	}
}

func agreed() *meshpb.Response { return &meshpb.Response{Ok: proto.Bool(true)} }

func declined(reason string, winner *meshpb.Entry) *meshpb.Response {
	return &meshpb.Response{Ok: proto.Bool(false), Reason: reason, Winner: winner}
}

// onReserve enters what a node opened in its record, and tells it whether the
// name is somebody else's.
func (r *reservations) onReserve(ctx actor.Context, m *inquiry, cmd *meshpb.Command) *meshpb.Response {
	p, name := m.packet, cmd.GetChannel()
	c, ok := claimOf(cmd.GetPassword(), cmd.GetClaim(), p.GetSource())
	if !ok || !validChannel(name) || !ownBoot(p, cmd) {
		tree.Of(ctx.ActorSystem()).Drop(tree.MeshMalformed, 1)
		return nil
	}
	switch {
	case cmd.Open != nil && !cmd.GetOpen():
		r.onBehalf(ctx, name, c.hash, cmd.GetHolders())
	case cmd.GetBoot() > 0:
		r.enter(ctx, m, cmd, delta{name, &c})
	default:
		r.enterForeign(m, delta{name, &c})
	}
	r.settle(ctx)
	if w := r.records.effective(name); w != nil && w.hash != c.hash && w.before(&c) {
		return declined(reasonReserved, entryOf(name, w))
	}
	return agreed()
}

// onUnreserve takes a name out of a node's record.
func (r *reservations) onUnreserve(ctx actor.Context, m *inquiry, cmd *meshpb.Command) *meshpb.Response {
	p, name := m.packet, cmd.GetChannel()
	if !validChannel(name) || !ownBoot(p, cmd) {
		tree.Of(ctx.ActorSystem()).Drop(tree.MeshMalformed, 1)
		return nil
	}
	switch {
	case cmd.GetNode() != "" && (cmd.GetNode() != p.GetSource() || cmd.GetBoot() == 0):
		r.suspect(ctx, cmd.GetNode())
	case cmd.GetBoot() > 0:
		r.enter(ctx, m, cmd, delta{name, nil})
	default:
		r.enterForeign(m, delta{name, nil})
	}
	r.settle(ctx)
	if r.records.entry(r.records.own, name) != nil {
		return declined(reasonStillOpen, nil)
	}
	return agreed()
}

// ownBoot tells whether a command that changes a record is of the same start of
// its node as the packet that it came in.
func ownBoot(p *meshpb.Packet, cmd *meshpb.Command) bool {
	return cmd.GetBoot() == 0 || p.GetBoot() == 0 || p.GetBoot() == cmd.GetBoot()
}

func (r *reservations) enter(ctx actor.Context, m *inquiry, cmd *meshpb.Command, d delta) {
	if rec := r.records.change(m.packet.GetSource(), m.from, cmd.GetBoot(), cmd.GetVer(), d, time.Now()); rec != nil && rec.behind() {
		r.check(ctx, rec)
	}
}

// enterForeign does the same for a node whose record has no version: changes
// count as they come. Those that come while the node tells what it has open are
// made once more then.
func (r *reservations) enterForeign(m *inquiry, d delta) {
	rec := r.records.of(m.packet.GetSource(), m.from, 0, time.Now())
	if rec == nil || !rec.foreign {
		return // not the form in which that node speaks
	}
	rec.fresh = time.Now()
	r.records.amend(rec, d)
	if rec.asked && len(rec.late) < pendingMost {
		rec.late = append(rec.late, d)
	}
}

// onBehalf takes word from others of who has a name open: from a node that gave
// it up and was told that it is still open elsewhere, or from a master. It proves
// nothing, as only a node itself changes its record; so those of the holders are
// asked of whom this node knows something else.
func (r *reservations) onBehalf(ctx actor.Context, name, hash string, holders []string) {
	for _, node := range holders[:min(len(holders), holdersMost)] {
		rec := r.records.nodes[node]
		if rec == nil {
			continue
		}
		if c := r.records.entry(rec, name); c == nil || c.hash != hash {
			r.suspect(ctx, node)
		}
	}
}

const (
	holdersMost = 64               // of one name, that are looked at for one command
	suspectSpan = 10 * time.Second // between two looks at a record that nothing seems to be missing of
)

// suspect asks a node for its record although nothing seems to be missing. Not
// often: a short command from anybody would make all nodes fetch a long list.
func (r *reservations) suspect(ctx actor.Context, node string) {
	if rec := r.records.nodes[node]; rec != nil && time.Since(rec.last) >= suspectSpan {
		rec.forced = true
		r.check(ctx, rec)
	}
}

// list answers both commands for lists, unless those behind the link that it came
// over have had too much of them. Who asks is told, and asks again.
func (r *reservations) list(ctx actor.Context, m *inquiry) *meshpb.Response {
	now := time.Now()
	if !r.spent.may(m.from, now) {
		return failure(reasonBusy)
	}
	var l *meshpb.Listing
	bytes := 0
	if m.packet.GetCommand().GetName() == cmdReserved {
		l, bytes = r.listReserved(ctx, m)
	} else {
		l = r.listOpen(ctx)
	}
	for _, e := range l.GetEntries() {
		bytes += entrySize(e)
	}
	r.spent.note(m.from, bytes, now)
	return &meshpb.Response{Listing: l}
}

// listOpen is this node's own record.
func (r *reservations) listOpen(ctx actor.Context) *meshpb.Listing {
	own := r.wire(r.records.own, nil)
	if own.GetPartial() {
		tree.Of(ctx.ActorSystem()).Drop(tree.MeshRecordFull, len(r.records.own.entries)-len(own.GetEntries()))
	}
	return &meshpb.Listing{Boot: own.GetBoot(), Ver: own.GetVer(), Entries: own.GetEntries(), Partial: own.GetPartial()}
}

// cutOff is cut that counts what it leaves out.
func cutOff(ctx actor.Context, list []*meshpb.Entry) []*meshpb.Entry {
	short, left := cut(list)
	if left > 0 {
		tree.Of(ctx.ActorSystem()).Drop(tree.MeshRecordFull, left)
	}
	return short
}

// listReserved is the names in the records of others. A peer that understands
// them gets the records, too: those that would make the packet too large go
// ahead of the answer. bytes is what the records are on the wire.
func (r *reservations) listReserved(ctx actor.Context, m *inquiry) (l *meshpb.Listing, bytes int) {
	l = &meshpb.Listing{}
	made := map[*held]*meshpb.Entry{}
	for _, h := range r.reservedNames() {
		e := entryOf(h.name, h.winner())
		made[h] = e
		l.Entries = append(l.Entries, e)
	}
	l.Entries = cutOff(ctx, l.GetEntries())
	source := m.packet.GetSource()
	if t := r.links[source]; t != nil && !t.foreign {
		all := r.wireAll(source, made)
		for _, rec := range all {
			bytes += recordSize(rec)
		}
		parts := packets(all)
		if len(parts) == 1 && recordSize(&meshpb.Record{Entries: l.Entries})+recordSize(all[0]) < packetMost || len(all) == 0 {
			l.Records = all
		} else {
			r.send(ctx, source, parts)
		}
	}
	return l, bytes
}
