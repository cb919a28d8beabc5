package vault

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/storepb"
	"parley/messages/vaultpb"
)

// Reasons, for people.
const (
	tooMany     = "vault: too many password checks wait: try again in a minute"
	interrupted = "vault: the password keeper was interrupted, and what was asked of it may be done or not: look, and try again"
	noKey       = "vault: the password could not be worked with: try again"
)

func askOf(from *actor.PID, m any) *ask {
	switch m := m.(type) {
	case *vaultpb.CheckRequest:
		return &ask{asker: from, member: m.GetMember(), serial: m.GetSerial(), password: m.Password, m: m}
	case *vaultpb.RevealRequest:
		return &ask{asker: from, member: m.GetMember(), serial: m.GetSerial(), password: m.Password, m: m}
	default:
		r, _ := m.(*vaultpb.RekeyRequest)
		return &ask{asker: from, member: r.GetMember(), serial: r.GetSerial(), password: r.OldPassword, m: r}
	}
}

// refuse answers a request that was not carried out.
func refuse(ctx actor.Context, from *actor.PID, m any, why string) {
	if from == nil {
		return
	}
	switch m := m.(type) {
	case *vaultpb.CheckRequest:
		ctx.Send(from, &vaultpb.CheckResponse{Serial: m.GetSerial(), Error: why})
	case *vaultpb.RevealRequest:
		ctx.Send(from, &vaultpb.RevealResponse{Serial: m.GetSerial(), Error: why})
	case *vaultpb.RekeyRequest:
		outcome := vaultpb.RekeyResponse_OUTCOME_BUSY
		if why == interrupted {
			outcome = vaultpb.RekeyResponse_OUTCOME_NOT_WRITTEN
		}
		ctx.Send(from, &vaultpb.RekeyResponse{Serial: m.GetSerial(), Outcome: outcome, Reason: why})
	case *vaultpb.SealRequest:
		ctx.Send(from, &vaultpb.SealResponse{Serial: m.GetSerial(), Error: why})
	case *vaultpb.StandingRequest:
		ctx.Send(from, &vaultpb.StandingResponse{Error: why})
	}
}

// queue puts a request into its member's line.
func (s *safe) queue(ctx actor.Context, a *ask) {
	m := s.members.of(a.member)
	if m == nil || len(m.line) >= lineMost {
		refuse(ctx, a.asker, a.m, tooMany)
		return
	}
	m.line = append(m.line, a)
	s.advance(ctx, m)
}

// advance carries on with a member's line.
func (s *safe) advance(ctx actor.Context, m *member) {
	for !m.working && !m.waiting && len(m.line) > 0 {
		a := m.line[0]
		if s.answered(ctx, a) {
			m.line = m.line[1:]
			continue
		}
		switch now := time.Now(); {
		case s.lock != nil && !m.proven:
			m.waiting = true
			s.strangers = append(s.strangers, m)
			s.nextStranger(ctx)
		case s.blocked(a):
			m.waiting = true
			s.sleepers = append(s.sleepers, m)
		case now.Before(m.strikes.ready):
			m.waiting = true
			s.sleepers = append(s.sleepers, m)
			s.wakeAt(ctx, now, m.strikes.ready)
		default:
			s.start(ctx, m)
		}
	}
}

// blocked tells whether a request waits for the end of another's change.
func (s *safe) blocked(a *ask) bool {
	_, rekey := a.m.(*vaultpb.RekeyRequest)
	return rekey && s.changing != nil
}

// nextStranger checks the next of those that are not proven, if it is time.
func (s *safe) nextStranger(ctx actor.Context) {
	now := time.Now()
	if s.stranger != nil || len(s.strangers) == 0 {
		return
	}
	if now.Before(s.overall.ready) {
		s.wakeAt(ctx, now, s.overall.ready)
		return
	}
	for i, m := range s.strangers {
		if s.blocked(m.line[0]) {
			continue // the end of the change comes back here
		}
		if now.Before(m.strikes.ready) {
			s.wakeAt(ctx, now, m.strikes.ready)
			continue
		}
		s.strangers = slices.Delete(s.strangers, i, i+1)
		m.waiting = false
		s.stranger = m
		s.start(ctx, m)
		return
	}
}

// wakeAt sees to it that the safe looks again at a time.
func (s *safe) wakeAt(ctx actor.Context, now, at time.Time) {
	if !s.alarmAt.IsZero() && !at.Before(s.alarmAt) {
		return
	}
	s.alarm.Stop()
	s.alarm, s.alarmAt = tree.After(ctx, at.Sub(now), wake{}), at
}

func (s *safe) onWake(ctx actor.Context) {
	s.alarm.Stop() // another may run: this message can be an old one
	s.alarmAt = time.Time{}
	s.rouse(ctx)
}

// rouse looks again at all that wait.
func (s *safe) rouse(ctx actor.Context) {
	sleepers := s.sleepers
	s.sleepers = nil
	for _, m := range sleepers {
		m.waiting = false
		s.advance(ctx, m)
	}
	s.nextStranger(ctx)
}

// answered answers what needs no work, and tells whether it did.
func (s *safe) answered(ctx actor.Context, a *ask) bool {
	switch {
	case s.flaw != "":
		s.unreadable(ctx, a)
	case (a.password == nil) != (s.lock == nil):
		s.mismatch(ctx, a)
	case s.lock == nil:
		return s.open(ctx, a)
	default:
		return false
	}
	return true
}

// tooLong answers what has a password that nobody types, and tells whether it
// did: such a one is never set, and is not kept while others are checked.
func tooLong(ctx actor.Context, from *actor.PID, m any) bool {
	switch m := m.(type) {
	case *vaultpb.CheckRequest:
		if len(m.GetPassword()) > passwordMost {
			ctx.Send(from, &vaultpb.CheckResponse{Serial: m.GetSerial()})
			return true
		}
	case *vaultpb.RevealRequest:
		if len(m.GetPassword()) > passwordMost {
			ctx.Send(from, &vaultpb.RevealResponse{Serial: m.GetSerial()})
			return true
		}
	case *vaultpb.RekeyRequest:
		r := &vaultpb.RekeyResponse{Serial: m.GetSerial()}
		switch {
		case len(m.GetOldPassword()) > passwordMost:
			r.Outcome, r.Reason = vaultpb.RekeyResponse_OUTCOME_BAD_PASSWORD, "vault: the old password is wrong"
		case len(m.GetNewPassword()) > passwordMost:
			r.Outcome, r.Reason = vaultpb.RekeyResponse_OUTCOME_NOT_WRITTEN, longPassword(m.GetNewPassword())
		default:
			return false
		}
		ctx.Send(from, r)
		return true
	}
	return false
}

// longPassword says what is wrong with a password that nobody types.
func longPassword(text string) string {
	return fmt.Sprintf("vault: the new password has %d bytes, at most %d", len(text), passwordMost)
}

// unreadable answers while the lock cannot be used.
func (s *safe) unreadable(ctx actor.Context, a *ask) {
	if _, ok := a.m.(*vaultpb.RekeyRequest); ok {
		s.rekeyed(ctx, a, vaultpb.RekeyResponse_OUTCOME_UNREADABLE, s.flaw)
		return
	}
	refuse(ctx, a.asker, a.m, s.flaw)
}

// mismatch answers a password that is not the one.
func (s *safe) mismatch(ctx actor.Context, a *ask) {
	switch a.m.(type) {
	case *vaultpb.CheckRequest:
		ctx.Send(a.asker, &vaultpb.CheckResponse{Serial: a.serial})
	case *vaultpb.RevealRequest:
		ctx.Send(a.asker, &vaultpb.RevealResponse{Serial: a.serial})
	case *vaultpb.RekeyRequest:
		switch {
		case a.password == nil:
			s.rekeyed(ctx, a, vaultpb.RekeyResponse_OUTCOME_HAS_PASSWORD, "vault: the database already has a password; give the old one to change it")
		case s.lock == nil:
			s.rekeyed(ctx, a, vaultpb.RekeyResponse_OUTCOME_BAD_PASSWORD, "vault: the database has no password yet; set one without an old one")
		default:
			s.rekeyed(ctx, a, vaultpb.RekeyResponse_OUTCOME_BAD_PASSWORD, "vault: the old password is wrong")
		}
	}
}

// open answers while no password is set, and tells whether it did.
func (s *safe) open(ctx actor.Context, a *ask) bool {
	switch m := a.m.(type) {
	case *vaultpb.CheckRequest:
		ctx.Send(a.asker, &vaultpb.CheckResponse{Matches: true, Serial: a.serial})
	case *vaultpb.RevealRequest:
		r := &vaultpb.RevealResponse{Matches: true, Serial: a.serial}
		for _, name := range slices.Sorted(maps.Keys(s.plain)) {
			if wanted(m, name) {
				r.Secrets = append(r.Secrets, &vaultpb.Secret{Name: name, Value: slices.Clone(s.plain[name])})
			}
		}
		ctx.Send(a.asker, r)
	case *vaultpb.RekeyRequest:
		return false
	}
	return true
}

// start works on the first request of a member, whose turn it is.
func (s *safe) start(ctx actor.Context, m *member) {
	a := m.line[0]
	m.working = true
	if _, ok := a.m.(*vaultpb.RekeyRequest); ok {
		s.changing = a
	}
	if s.lock == nil {
		s.rekey(ctx, m, a)
		return
	}
	lock := s.lock
	s.derive(ctx, lock, *a.password, func(ctx actor.Context, key []byte) { s.checked(ctx, m, a, lock, key) })
}

// checked goes on when the key of a password is there.
func (s *safe) checked(ctx actor.Context, m *member, a *ask, lock *vaultpb.Lock, key []byte) {
	if s.stranger == m {
		s.stranger = nil
	}
	if lock != s.lock { // a change came between, and the answer is about the past
		m.working = false
		s.advance(ctx, m)
		s.nextStranger(ctx)
		return
	}
	data, err := unwrap(lock, key)
	switch {
	case err == errWrong:
		now := time.Now()
		m.strikes.failed(now)
		if !m.proven {
			s.overall.failed(now)
		}
		s.mismatch(ctx, a)
		s.finish(ctx, m)
	case err != nil: // no key, or no memory
		refuse(ctx, a.asker, a.m, noKey)
		s.finish(ctx, m)
	default:
		m.strikes, m.proven = strikes{}, true
		s.learn(data)
		s.matched(ctx, m, a)
	}
}

// matched carries out what a right password was given for.
func (s *safe) matched(ctx actor.Context, m *member, a *ask) {
	switch r := a.m.(type) {
	case *vaultpb.CheckRequest:
		ctx.Send(a.asker, &vaultpb.CheckResponse{Matches: true, Serial: a.serial})
		s.finish(ctx, m)
	case *vaultpb.RevealRequest:
		s.read(ctx, secretRoot, func(ctx actor.Context, found *storepb.ReadResponse) {
			ctx.Send(a.asker, s.reveal(r, found))
			s.finish(ctx, m)
		})
	case *vaultpb.RekeyRequest:
		s.rekey(ctx, m, a)
	}
	s.nextStranger(ctx) // unless this one is still at it
}

// finish ends a member's request; the next one's turn comes.
func (s *safe) finish(ctx actor.Context, m *member) {
	over := m.line[0] == s.changing
	m.working = false
	m.line = m.line[1:]
	if over {
		s.changing = nil
	}
	s.advance(ctx, m)
	if over {
		s.rouse(ctx)
		s.unpark(ctx)
		return
	}
	s.nextStranger(ctx)
}

// onDeparted forgets a member. What it is at is done all the same, and counts.
func (s *safe) onDeparted(d *vaultpb.Departed) {
	m := s.members.byID[d.GetMember()]
	if m == nil {
		return
	}
	s.members.forget(m)
	if m.working {
		m.line = m.line[:1]
	} else {
		m.line = nil
	}
	is := func(o *member) bool { return o == m }
	s.strangers, s.sleepers = slices.DeleteFunc(s.strangers, is), slices.DeleteFunc(s.sleepers, is)
	m.waiting = false
}
