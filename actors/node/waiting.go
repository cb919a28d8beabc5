package node

import (
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/messages/uipb"
)

// waiting are requests of user interfaces that the safe has not answered yet. It
// forgets those that it never will: whose connection ended.
type waiting struct {
	serial uint64 // of the last question to the safe
	open   map[uint64]waiter
	swept  time.Time // when the forgotten were last looked for
}

// waiter is who waits for the answer to one question.
type waiter struct {
	asker  *actor.PID
	opcode string
	guess  bool   // it came with a password to reveal something
	member uint64 // of asker's connection
	since  time.Time
}

// add notes that the sender of a request waits for the answer to the question
// that ask sends.
func (w *waiting) add(ctx actor.Context, m *uipb.Ask, ask func(serial uint64)) {
	now := time.Now()
	if now.Sub(w.swept) > passwordTimeout {
		w.swept = now
		maps.DeleteFunc(w.open, func(_ uint64, p waiter) bool { return now.Sub(p.since) > passwordTimeout })
	}
	w.serial++
	ask(w.serial)
	if w.open == nil {
		w.open = map[uint64]waiter{}
	}
	r := m.GetRequest()
	w.open[w.serial] = waiter{ctx.Sender(), r.GetOpcode(), passwordOf(m) != nil, m.GetAsker().GetMember(), now}
}

// answer ends one waiting; body says with what. It is not called when nobody waits.
func (w *waiting) answer(ctx actor.Context, serial uint64, body func(waiter) proto.Message) {
	if p, ok := w.open[serial]; ok {
		ctx.Send(p.asker, body(p))
		delete(w.open, serial)
	}
}

// all ends all waiting.
func (w *waiting) all(ctx actor.Context, body func(waiter) proto.Message) {
	for _, serial := range slices.Sorted(maps.Keys(w.open)) {
		w.answer(ctx, serial, body)
	}
}

// passwordOf is the password that a request came with; nil: none.
func passwordOf(m *uipb.Ask) *string {
	if p := m.GetRequest().GetPassword(); p != nil {
		return p.Password
	}
	return nil
}
