package ui

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/messages/uipb"
)

// Defaults of a Desk. Source: gateways/uiv2/PROTOCOL.md, Conversations.
const (
	DefaultTimeout = 30 * time.Second // a request may take
	DefaultIdle    = 5 * time.Minute  // a conversation may be silent
	DefaultTalks   = 1024             // conversations of one connection
)

// Route says who answers an opcode. Where Confirm is set, the uipb.Answered of an
// asker that goes away, or gives up, may come before the answer: whoever answers
// later finds nobody. One whose link takes its time may be late: whoever waits for
// it needs a time-out.
type Route struct {
	To       *actor.PID
	Timeout  time.Duration // 0: DefaultTimeout
	Changes  bool          // only for those who may change things
	Confirm  bool          // To gets a uipb.Answered from the conversation when its answer is with the link, or never will be: whatever it causes then comes behind
	Isolated bool          // it comes without a context and is never answered
}

// Desk says what a process answers.
type Desk struct {
	Routes map[string]Route // by opcode
	// Fallback answers opcodes that are not in Routes, with a uipb.Redirect, a
	// uipb.Undelivered or a Fault; nil: a Fault that names the opcode.
	Fallback *actor.PID
	Idle     time.Duration // 0: DefaultIdle
	// Departed is told of each connection that is gone, by a vaultpb.Departed; nil:
	// nobody.
	Departed *actor.PID
	Talks    int // conversations of one connection; 0: DefaultTalks
	// MayChange tells whether a local user who is no owner may change things by
	// now; it returns at once. nil: who might when connecting still may.
	MayChange func(uid uint32) bool
}

// now is an asker with the rights of this moment: who has lost them may still
// be connected.
func (d *Desk) now(a *uipb.Asker) *uipb.Asker {
	if d.MayChange == nil || a.GetOwner() || d.MayChange(a.GetUid()) == a.GetChanges() {
		return a
	}
	return &uipb.Asker{Member: a.GetMember(), Uid: a.GetUid(), Changes: !a.GetChanges()}
}

func (d Desk) withDefaults() Desk {
	if d.Idle == 0 {
		d.Idle = DefaultIdle
	}
	if d.Talks == 0 {
		d.Talks = DefaultTalks
	}
	return d
}
