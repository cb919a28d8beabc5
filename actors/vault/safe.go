package vault

import (
	"log/slog"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/storepb"
	"parley/messages/vaultpb"
)

const (
	// retry is how long after a failure the store is asked again.
	retry = time.Second
	// parkedMost is how many requests wait until the safe knows how it stands.
	parkedMost = 1024
)

// SafeSpec says how a safe is made.
type SafeSpec struct {
	Store *actor.PID // keeps the records
	Vault *actor.PID // derives keys
	// Initial is the password that the process was started with; nil: none. It
	// becomes the database's when that has none. The safe closes it.
	Initial *Secret
	Cost    Cost // of passwords that are set; zero: DefaultCost
}

// safe keeps the database password and what it protects. It never knows the
// password itself: only whether one opens the lock.
//
//	parent    node
//	receives  vaultpb.CheckRequest, vaultpb.RekeyRequest, vaultpb.RevealRequest, vaultpb.SealRequest,
//	          vaultpb.StandingRequest, vaultpb.Departed, vaultpb.DeriveResponse, storepb.Written,
//	          storepb.ReadResponse, wake, again, late, reload
//	sends     vaultpb.CheckResponse, vaultpb.RekeyResponse, vaultpb.RevealResponse, vaultpb.SealResponse,
//	          vaultpb.StandingResponse to askers; vaultpb.DeriveRequest to vault; storepb.Write,
//	          storepb.ReadRequest to store
//	stops     with the node
type safe struct {
	spec SafeSpec // fixed at spawn, but for Initial, which is used up

	key     *Secret           // owned, as all that follows; the data key, nil: not known
	plain   map[string][]byte // secrets that no password protects so far
	members members
	overall strikes // of all that are not proven

	lock    *vaultpb.Lock // as in the store; nil: no password is set
	flaw    string        // why the lock cannot be used, for people; empty: it can
	trouble string        // what became of Initial, for people; empty: nothing bad
	wrong   bool          // Initial is not the database's password
	settled bool          // all of this is known

	parked    []parked           // wait until it is, oldest first
	errands   map[uint64]*errand // under way, by serial
	serial    uint64             // of the last errand, in all lives
	life      uint64             // counts them
	stranger  *member            // who is not proven, and is being checked
	strangers []*member          // who wait for that, oldest first
	sleepers  []*member          // who wait for their time, or for the end of a change
	changing  *ask               // the password change that is under way
	alarm     *tree.Timer        // wakes whoever waits for a time
	alarmAt   time.Time
}

// parked is a request that came too early.
type parked struct {
	from *actor.PID
	m    any
}

type (
	// wake tells that it is time for somebody.
	wake struct{}
	// reload tells that it is time to ask the store again.
	reload struct{ life uint64 }
)

// IgnoreDeadLetterLogging marks messages that may find the safe stopped.
func (wake) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find the safe stopped.
func (reload) IgnoreDeadLetterLogging() {}

// SpawnSafe starts the safe.
func SpawnSafe(ctx actor.SpawnerContext, name string, spec SafeSpec) *actor.PID {
	if spec.Cost == (Cost{}) {
		spec.Cost = DefaultCost
	}
	return newSafe(spec).spawn(ctx, name)
}

func newSafe(spec SafeSpec) *safe {
	return &safe{spec: spec, plain: map[string][]byte{}, members: newMembers(), errands: map[uint64]*errand{}}
}

// spawn starts s. Three things outlive a restart: the data key and the secrets
// that nobody else has, and who failed how often.
func (s *safe) spawn(ctx actor.SpawnerContext, name string) *actor.PID {
	return tree.Spawn(ctx, name, tree.Spec{New: func() actor.Actor { return s }, Asked: true})
}

func (s *safe) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		s.begin(ctx)
	case *actor.Stopping:
		s.onStopping()
	case *actor.Restarting:
		s.alarm.Stop()
	case *vaultpb.CheckRequest, *vaultpb.RekeyRequest, *vaultpb.RevealRequest, *vaultpb.SealRequest, *vaultpb.StandingRequest:
		s.onRequest(ctx, ctx.Sender(), m)
	case *vaultpb.Departed:
		s.onDeparted(m)
	case *vaultpb.DeriveResponse:
		s.onDerived(ctx, m)
	case *storepb.Written:
		s.onWritten(ctx, m)
	case *storepb.ReadResponse:
		s.onRead(ctx, m)
	case again:
		s.onAgain(ctx, m)
	case late:
		s.onLate(ctx, m)
	case wake:
		s.onWake(ctx)
	case reload:
		s.onReload(ctx, m)
	}
}

func (s *safe) onStopping() {
	s.alarm.Stop()
	s.spec.Initial.Close()
	s.key.Close()
	s.key = nil
	s.forgetPlain()
}

// forgetPlain wipes the secrets that are in memory only.
func (s *safe) forgetPlain() {
	for _, value := range s.plain {
		clear(value)
	}
	clear(s.plain)
}

// onRequest answers, now or when it is known how things stand.
func (s *safe) onRequest(ctx actor.Context, from *actor.PID, m any) {
	if from == nil || tooLong(ctx, from, m) {
		return
	}
	_, seals := m.(*vaultpb.SealRequest)
	if !s.settled || seals && s.changing != nil && s.lock == nil { // the first password seals what there is
		if len(s.parked) >= parkedMost {
			refuse(ctx, from, m, tooMany)
			return
		}
		s.parked = append(s.parked, parked{from, m})
		return
	}
	switch m := m.(type) {
	case *vaultpb.SealRequest:
		s.seal(ctx, from, m)
	case *vaultpb.StandingRequest:
		ctx.Send(from, s.standing())
	default:
		s.queue(ctx, askOf(from, m))
	}
}

func (s *safe) standing() *vaultpb.StandingResponse {
	why := s.flaw
	if why == "" {
		why = s.trouble
	}
	return &vaultpb.StandingResponse{PasswordSet: s.lock != nil || s.flaw != "", Unlocked: s.key != nil && s.flaw == "", Wrong: s.wrong, Error: why}
}

// unpark answers what came too early.
func (s *safe) unpark(ctx actor.Context) {
	early := s.parked
	s.parked = nil
	for _, p := range early {
		s.onRequest(ctx, p.from, p.m)
	}
}

// begin starts a life: what was under way in an earlier one is over, and the
// store tells how things stand.
func (s *safe) begin(ctx actor.Context) {
	s.alarm.Stop()
	s.alarm, s.alarmAt = nil, time.Time{}
	for _, e := range s.errands {
		e.timer.Stop()
	}
	clear(s.errands)
	s.stranger, s.strangers, s.sleepers, s.changing = nil, nil, nil, nil
	for e := s.members.order.Back(); e != nil; e = e.Prev() {
		m := e.Value.(*member)
		for _, a := range m.line {
			refuse(ctx, a.asker, a.m, interrupted)
		}
		m.line, m.working, m.waiting = nil, false, false
	}
	s.settled = false
	s.life++
	s.load(ctx)
}

func (s *safe) onReload(ctx actor.Context, m reload) {
	if m.life == s.life {
		s.load(ctx)
	}
}

// load asks the store for the lock.
func (s *safe) load(ctx actor.Context) {
	s.read(ctx, lockKey, func(ctx actor.Context, r *storepb.ReadResponse) {
		at := slices.IndexFunc(r.GetRecords(), func(r *storepb.Record) bool { return r.GetKey() == lockKey })
		switch {
		case r.GetError() != "":
			s.spoil(ctx, "vault: the database could not be read, so passwords cannot be checked: "+r.GetError())
			tree.After(ctx, retry, reload{s.life})
		case slices.Contains(r.GetCorrupt(), lockKey):
			s.spoil(ctx, `vault: the record "lock", which the database password opens, is damaged: the secrets cannot be read; bring back a copy of the data-directory, or move it away to begin anew`)
		case at < 0:
			s.loadSecrets(ctx)
		default:
			lock, err := parseLock(r.GetRecords()[at].GetValue())
			if err != nil {
				s.spoil(ctx, err.Error())
				return
			}
			s.flaw, s.lock = "", lock
			s.forgetPlain() // the write of the lock had them
			s.tryInitial(ctx)
		}
	})
}

// loadSecrets looks whether there really is no lock: a new one over sealed
// secrets would lose them.
func (s *safe) loadSecrets(ctx actor.Context) {
	s.read(ctx, secretRoot, func(ctx actor.Context, r *storepb.ReadResponse) {
		switch {
		case r.GetError() != "":
			s.spoil(ctx, "vault: the database could not be read, so passwords cannot be checked: "+r.GetError())
			tree.After(ctx, retry, reload{s.life})
		case len(r.GetRecords())+len(r.GetCorrupt()) > 0:
			s.spoil(ctx, `vault: the record "lock", which the database password opens, is missing, and there are secrets that it protects; bring back a copy of the data-directory, or move it away to begin anew`)
		default:
			s.flaw, s.lock = "", nil
			s.key.Close()
			s.key = nil
			s.tryInitial(ctx)
		}
	})
}

// spoil notes why the lock cannot be used.
func (s *safe) spoil(ctx actor.Context, why string) {
	if s.flaw != why {
		tree.Log(ctx.ActorSystem()).Error("database locked", slog.String("reason", why))
	}
	s.flaw, s.lock = why, nil
	s.settle(ctx)
}

// settle answers who waits to know how things stand.
func (s *safe) settle(ctx actor.Context) {
	s.settled = true
	s.unpark(ctx)
}

// tryInitial uses the password that the process was started with.
func (s *safe) tryInitial(ctx actor.Context) {
	var password *string
	s.spec.Initial.Open(func(b []byte) {
		if b != nil {
			text := string(b)
			password = &text
		}
	})
	lock := s.lock
	switch {
	case password == nil:
		s.settle(ctx)
	case len(*password) > passwordMost:
		if s.wrong = lock != nil; !s.wrong {
			s.trouble = longPassword(*password)
		}
		s.useUp()
		s.settle(ctx)
	case lock == nil:
		m := &member{} // nobody: the safe itself
		m.line = []*ask{{m: &vaultpb.RekeyRequest{NewPassword: *password}}}
		s.start(ctx, m)
	default:
		s.derive(ctx, lock, *password, func(ctx actor.Context, key []byte) {
			data, err := unwrap(lock, key)
			s.wrong = err != nil
			s.learn(data)
			s.useUp()
			s.settle(ctx)
		})
	}
}

// useUp forgets the password that the process was started with.
func (s *safe) useUp() {
	s.spec.Initial.Close()
	s.spec.Initial = nil
}

// learn keeps the data key, unless it is known or nil.
func (s *safe) learn(data *Secret) {
	if s.key != nil {
		data.Close()
		return
	}
	s.key = data
}
