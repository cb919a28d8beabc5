package star

import (
	"slices"
	"unicode/utf8"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/star/peerid"
	"parley/actors/tree"
	"parley/messages/starpb"
)

// addressMost is how many bytes an address may have, whatever else is allowed.
// The longest that people use have about 150.
const addressMost = 1 << 10

// joining is a join under way. What the client says of the same address until it
// is over comes after it.
type joining struct {
	turn    uint64
	address string
	ack     *uint64
	asked   bool            // registry knows of it
	lost    bool            // another socket took the address meanwhile
	waiting []proto.Message // joins and leaves
	pause   *tree.Timer     // nil: it does not wait for joinPause
}

// joinDue ends the pause of a join.
type joinDue struct{ turn uint64 }

// IgnoreDeadLetterLogging marks messages that may find the session stopped.
func (joinDue) IgnoreDeadLetterLogging() {}

// owns tells whether an address is registered for this session.
func (s *session) owns(address string) bool {
	return slices.ContainsFunc(s.held, func(h held) bool { return h.address == address })
}

// under finds the join of an address that is under way; nil: there is none.
func (s *session) under(address string) *joining {
	i := slices.IndexFunc(s.joining, func(j *joining) bool { return j.address == address })
	if i < 0 {
		return nil
	}
	return s.joining[i]
}

// ofTurn finds a join under way; nil: the client has left since.
func (s *session) ofTurn(turn uint64) *joining {
	i := slices.IndexFunc(s.joining, func(j *joining) bool { return j.turn == turn })
	if i < 0 {
		return nil
	}
	return s.joining[i]
}

func (s *session) onJoin(ctx actor.Context, m *starpb.Join) {
	if s.admitted(ctx, 1) {
		s.join(ctx, m)
	}
}

func (s *session) join(ctx actor.Context, m *starpb.Join) {
	if j := s.under(m.GetAddress()); j != nil {
		j.waiting = append(j.waiting, m)
		return
	}
	if reason := s.objection(m); reason != "" {
		s.refuse(ctx, m.Ack, reason)
		return
	}
	s.turns++
	j := &joining{turn: s.turns, address: m.GetAddress(), ack: m.Ack}
	s.joining = append(s.joining, j)
	if !s.venue.Challenge {
		s.enlist(ctx, j)
		return
	}
	s.proving = true
	ctx.Request(s.venue.challenge, &prove{turn: j.turn, address: j.address, data: m.GetData()})
}

// objection is what can be said against a join without asking anybody.
func (s *session) objection(m *starpb.Join) string {
	address := m.GetAddress()
	switch {
	case address == "" || len(address) > addressMost || !utf8.ValidString(address):
		return errAddress
	case s.venue.Strict && !peerid.IsStar(address):
		return errAddress
	case s.venue.Challenge && m.GetData() == "":
		return errNoID
	case len(s.held)+len(s.joining) >= addressesMost && !s.owns(address):
		return errTooMany
	}
	return ""
}

func (s *session) onProven(ctx actor.Context, m *proven) {
	j := s.ofTurn(m.turn)
	switch {
	case j == nil:
	case m.reason != "":
		s.refuse(ctx, j.ack, m.reason)
		s.finish(ctx, j)
	case m.nonce != "":
		s.answer(ctx, j.ack, &starpb.Reply{Nonce: m.nonce})
		s.finish(ctx, j)
	default:
		s.enlist(ctx, j)
	}
}

// enlist asks for an address, after a pause if the client does so all the time:
// each join is told to all others, or answered with all of them.
func (s *session) enlist(ctx actor.Context, j *joining) {
	now := s.venue.Now()
	if s.next.Before(now) {
		s.next = now
	}
	wait := s.next.Sub(now) - joinsMost*joinPause
	s.next = s.next.Add(joinPause)
	if wait > 0 {
		j.pause = tree.After(ctx, wait, joinDue{j.turn})
		return
	}
	s.ask(ctx, j)
}

func (s *session) onJoinDue(ctx actor.Context, m joinDue) {
	if j := s.ofTurn(m.turn); j != nil {
		s.ask(ctx, j)
	}
}

func (s *session) ask(ctx actor.Context, j *joining) {
	j.asked = true
	ctx.Request(s.venue.registry, &enlist{turn: j.turn, address: j.address, who: s.caller(ctx), proven: s.venue.Challenge})
}

func (s *session) onEnlisted(ctx actor.Context, m *enlisted) {
	j := s.ofTurn(m.turn)
	switch {
	case j == nil:
		return
	case m.reason != "":
		s.refuse(ctx, j.ack, m.reason)
	case j.lost:
		s.refuse(ctx, j.ack, errInUse)
	default:
		s.disown(j.address)
		s.held = append(s.held, held{j.address, j.turn})
		s.venue.counts.joins.Add(1)
		s.venue.counts.joined.Add(1)
		s.answer(ctx, j.ack, &starpb.Reply{Joined: true, Addresses: m.others, Own: m.own})
	}
	s.finish(ctx, j)
}

// finish ends a join, and goes on with what waited for it.
func (s *session) finish(ctx actor.Context, j *joining) {
	s.joining = slices.DeleteFunc(s.joining, func(other *joining) bool { return other == j })
	for i, m := range j.waiting {
		switch m := m.(type) {
		case *starpb.Leave:
			s.leave(ctx, m.GetAddress())
		case *starpb.Join:
			s.join(ctx, m)
			if next := s.under(j.address); next != nil {
				next.waiting = append(next.waiting, j.waiting[i+1:]...)
				return
			}
		}
	}
}

// refuse answers a join that fails.
func (s *session) refuse(ctx actor.Context, ack *uint64, reason string) {
	s.venue.counts.joins.Add(1)
	s.venue.counts.notJoined.Add(1)
	s.venue.counts.failures(reason).Add(1)
	s.answer(ctx, ack, &starpb.Reply{Error: quoted(reason)})
}

// answer sends r, where an answer is wanted. It gives the join's credit back: a
// client is slowed by what it asks for.
func (s *session) answer(ctx actor.Context, ack *uint64, r *starpb.Reply) {
	if ack == nil {
		s.settle(ctx, 1)
		return
	}
	r.Ack = *ack
	s.tell(ctx, r)
}

func (s *session) onLeave(ctx actor.Context, m *starpb.Leave) {
	if !s.admitted(ctx, 1) {
		return
	}
	if j := s.under(m.GetAddress()); j != nil {
		j.waiting = append(j.waiting, m)
		return
	}
	s.leave(ctx, m.GetAddress())
}

// leave gives an address up; one that is not registered is none to speak of, but
// there may be a nonce for it.
func (s *session) leave(ctx actor.Context, address string) {
	if s.proving {
		ctx.Send(s.venue.challenge, &forget{ctx.Self(), address})
	}
	if s.disown(address) {
		ctx.Request(s.venue.registry, &delist{[]string{address}})
	}
	s.settle(ctx, 1)
}

// disown forgets a registered address, and tells whether there was one.
func (s *session) disown(address string) bool {
	before := len(s.held)
	s.held = slices.DeleteFunc(s.held, func(h held) bool { return h.address == address })
	return len(s.held) < before
}

// delistAll gives up all addresses, also those that are being joined.
func (s *session) delistAll(ctx actor.Context) {
	var all []string
	for _, h := range s.held {
		all = append(all, h.address)
	}
	for _, j := range s.joining {
		if j.asked && !s.owns(j.address) {
			all = append(all, j.address)
		}
		j.pause.Stop()
		s.settle(ctx, 1+uint32(len(j.waiting)))
	}
	s.held, s.joining = nil, nil
	if len(all) > 0 {
		ctx.Request(s.venue.registry, &delist{all})
	}
}

// onRival gives an address up if the client has been silent: its socket may be
// dead, and the newcomer be the same client again.
func (s *session) onRival(ctx actor.Context, m *rival) {
	if s.venue.Now().Sub(s.heard) < rivalSilence && s.has(m.address, m.turn) {
		ctx.Request(s.venue.registry, &yielded{address: m.address, turn: m.turn})
		return
	}
	s.lose(m.address, m.turn)
	ctx.Request(s.venue.registry, &yielded{address: m.address, turn: m.turn, ok: true})
}

// onOusted loses an address to who has its key, and the dials under it.
func (s *session) onOusted(ctx actor.Context, m *ousted) {
	s.lose(m.address, m.turn)
	if !s.owns(m.address) {
		s.cut(ctx, m.address)
	}
}

// has tells whether an address is registered under a turn, or about to be.
func (s *session) has(address string, turn uint64) bool {
	return slices.Contains(s.held, held{address, turn}) || s.ofTurn(turn) != nil
}

// lose takes an address away that another socket has now. What was registered
// under a later turn stays.
func (s *session) lose(address string, turn uint64) {
	s.held = slices.DeleteFunc(s.held, func(h held) bool { return h == held{address, turn} })
	if j := s.ofTurn(turn); j != nil {
		j.lost = true
	}
}
