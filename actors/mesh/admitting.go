package mesh

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/meshpb"
)

// ticketLife is how long a ticket is good for: an upgrade, or a dial with its
// time limits and TLS.
const ticketLife = 30 * time.Second

// ticket is what a link is expected with: somebody was let in, or was dialled.
type ticket struct {
	id    uint64
	side  Side
	until time.Time
	names []string    // that its node may have; nil: any
	url   string      // that was dialled
	goal  int         // neighbor that was dialled, place among goals; -1: none
	reach *reach      // what scout wanted; nil: it did not
	timer *tree.Timer // of a dial; nil: it was let in
}

// drawTicket expects a link.
func (p *peers) drawTicket(side Side, names []string) *ticket {
	p.drawn++
	t := &ticket{id: p.drawn, side: side, until: time.Now().Add(ticketLife), names: names, goal: -1}
	p.tickets[t.id] = t
	return t
}

func (p *peers) dropTicket(id uint64) {
	if t := p.tickets[id]; t != nil {
		t.timer.Stop()
		delete(p.tickets, id)
	}
}

// allows reports whether a ticket's link may be to that node.
func (t *ticket) allows(name string) bool { return t.names == nil || slices.Contains(t.names, name) }

// onAdmitRequest decides at the door. Who has no valid token learns nothing, not
// even that there is no room; an issued token that was presented is gone, also
// when there was none.
func (p *peers) onAdmitRequest(ctx actor.Context, m *meshpb.AdmitRequest) {
	names, ok := p.tokens.use(m.GetToken(), m.GetName(), time.Now())
	switch {
	case !ok || !p.o.Accept || m.GetName() != "" && !validName(m.GetName()):
		ctx.Respond(&meshpb.AdmitResponse{})
	case p.full(m.GetName(), 0):
		ctx.Respond(&meshpb.AdmitResponse{Full: true})
	default:
		if m.GetName() != "" {
			names = []string{m.GetName()} // what was said at the door counts
		}
		ctx.Respond(&meshpb.AdmitResponse{Ticket: p.drawTicket(Accepted, names).id})
	}
}

// spare is how many places links that nodes find for themselves leave: those that
// somebody configured, here or there, would find no room otherwise, and the mesh
// fall apart into parts that are full of themselves. A quarter, and one at least.
// Tokens that wait to be used take places, too.
func (p *peers) spare() int { return (p.most+3)/4 + p.tokens.waiting(time.Now()) }

// full reports whether there is no room for one more link, when some places must
// stay free. One to a node that there is a link to is none more: one of the two
// will not stay.
func (p *peers) full(name string, free int) bool {
	now, count := time.Now(), 0
	for id, t := range p.tickets {
		switch {
		case t.side != Accepted:
		case now.Before(t.until):
			count++
		default:
			delete(p.tickets, id)
		}
	}
	for _, t := range p.ties {
		switch {
		case t.leaving:
		case name != "" && (t.name == name || t.ticket.side == Dialled && slices.Contains(t.ticket.names, name)):
			return false
		default:
			count++
		}
	}
	return count+free >= p.most
}
