package vault

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/storepb"
	"parley/messages/vaultpb"
)

const (
	// deriveAgain is how long after a busy answer the vault is asked again.
	deriveAgain = 200 * time.Millisecond
	// storePatience is how long the store may take. One that takes longer has
	// failed, and what became of a write is in the database.
	storePatience = 30 * time.Second
	// errandsMost is with how many errands under way no more secrets are taken.
	errandsMost = 1024
)

// errand is something that the safe waits for; one of its functions is set.
type errand struct {
	derive  *vaultpb.DeriveRequest
	derived func(actor.Context, []byte) // the key; empty: there is none
	written func(actor.Context, string) // the error
	read    func(actor.Context, *storepb.ReadResponse)
	timer   *tree.Timer // of late
}

type (
	// again tells that it is time to ask the busy vault again.
	again struct{ serial uint64 }
	// late tells that the store did not answer.
	late struct{ serial uint64 }
)

// IgnoreDeadLetterLogging marks messages that may find the safe stopped.
func (again) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find the safe stopped.
func (late) IgnoreDeadLetterLogging() {}

// send starts an errand, and returns its number.
func (s *safe) send(e *errand) uint64 {
	s.serial++
	s.errands[s.serial] = e
	return s.serial
}

// take ends an errand; nil: it is over already.
func (s *safe) take(serial uint64) *errand {
	e := s.errands[serial]
	if e != nil {
		e.timer.Stop()
		delete(s.errands, serial)
	}
	return e
}

// derive asks the vault for the key that a password makes.
func (s *safe) derive(ctx actor.Context, l *vaultpb.Lock, password string, then func(actor.Context, []byte)) {
	e := &errand{derived: then}
	e.derive = request(l, password, s.send(e))
	ctx.Request(s.spec.Vault, e.derive)
}

func (s *safe) onDerived(ctx actor.Context, m *vaultpb.DeriveResponse) {
	if m.GetBusy() {
		tree.After(ctx, deriveAgain, again{m.GetSerial()})
		return
	}
	if e := s.take(m.GetSerial()); e != nil && e.derived != nil {
		e.derived(ctx, m.GetKey())
		clear(m.GetKey()) // nobody else has it
	}
}

func (s *safe) onAgain(ctx actor.Context, m again) {
	if e := s.errands[m.serial]; e != nil && e.derive != nil {
		ctx.Request(s.spec.Vault, e.derive)
	}
}

// write asks the store to change records.
func (s *safe) write(ctx actor.Context, m *storepb.Write, then func(ctx actor.Context, failure string)) {
	e := &errand{written: then}
	m.Serial = s.send(e)
	e.timer = tree.After(ctx, storePatience, late{m.GetSerial()})
	ctx.Request(s.spec.Store, m)
}

func (s *safe) onWritten(ctx actor.Context, m *storepb.Written) {
	if e := s.take(m.GetSerial()); e != nil && e.written != nil {
		e.written(ctx, m.GetError())
	}
}

// read asks the store for records.
func (s *safe) read(ctx actor.Context, prefix string, then func(actor.Context, *storepb.ReadResponse)) {
	e := &errand{read: then}
	serial := s.send(e)
	e.timer = tree.After(ctx, storePatience, late{serial})
	ctx.Request(s.spec.Store, &storepb.ReadRequest{Prefix: prefix, Serial: serial})
}

func (s *safe) onRead(ctx actor.Context, m *storepb.ReadResponse) {
	if e := s.take(m.GetSerial()); e != nil && e.read != nil {
		e.read(ctx, m)
	}
}

// onLate begins anew: whether something was written is in the database only.
func (s *safe) onLate(ctx actor.Context, m late) {
	if s.take(m.serial) != nil {
		tree.Log(ctx.ActorSystem()).Error("database did not answer")
		s.begin(ctx)
	}
}
