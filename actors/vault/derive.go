package vault

import (
	"runtime/debug"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"golang.org/x/crypto/argon2"

	"parley/actors/tree"
	"parley/messages/vaultpb"
)

const (
	keyBytes = 32
	// deriveQueue is how many derivations may wait; more are answered busy.
	deriveQueue = 64
	// returned is the size of a derivation's memory, in KiB, from which on it is
	// given back to the system at once: it is more than all else here.
	returned = 1 << 10
	// restless is how long a derivation may take without a rest after it.
	restless = 5 * time.Millisecond
)

// What derivations may ask for.
const (
	memoryLeast, memoryMost = 8, 1 << 20 // KiB
	passesMost, lanesMost   = 64, 16
	saltLeast, saltMost     = 8, 64   // bytes
	passwordMost            = 1 << 10 // bytes
)

// derivation is a DeriveRequest that waits or is under way.
type derivation struct {
	asker *actor.PID
	m     *vaultpb.DeriveRequest
}

type (
	// derived is the result of one derivation.
	derived struct {
		job  derivation
		key  []byte
		took time.Duration
	}
	// rested tells that the next derivation may begin.
	rested struct{}
)

// IgnoreDeadLetterLogging marks messages that may find the vault stopped.
func (*derived) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find the vault stopped.
func (rested) IgnoreDeadLetterLogging() {}

// derive is argon2id. It ends with its memory given back.
func derive(m *vaultpb.DeriveRequest) []byte {
	key := argon2.IDKey([]byte(m.GetPassword()), m.GetSalt(), m.GetPasses(), m.GetMemory(), uint8(m.GetLanes()), keyBytes)
	if m.GetMemory() >= returned {
		debug.FreeOSMemory()
	}
	return key
}

// derivable tells whether a request can be carried out.
func derivable(m *vaultpb.DeriveRequest) bool {
	in := func(n, least, most int) bool { return n >= least && n <= most }
	return in(int(m.GetMemory()), memoryLeast, memoryMost) && in(int(m.GetPasses()), 1, passesMost) &&
		in(int(m.GetLanes()), 1, lanesMost) && in(len(m.GetSalt()), saltLeast, saltMost) && len(m.GetPassword()) <= passwordMost
}

func (v *vault) onDeriveRequest(ctx actor.Context, m *vaultpb.DeriveRequest) {
	switch {
	case !derivable(m):
		ctx.Respond(&vaultpb.DeriveResponse{Serial: m.GetSerial()})
	case len(v.derivations) >= deriveQueue:
		ctx.Respond(&vaultpb.DeriveResponse{Serial: m.GetSerial(), Busy: true})
	default:
		v.derivations = append(v.derivations, derivation{ctx.Sender(), m})
		v.deriveNext(ctx)
	}
}

// onDerived answers, and rests for as long as it worked: argon2 runs on
// goroutines of its own, which cannot be made to yield to all others as hashing
// does, and so takes half a core at most.
func (v *vault) onDerived(ctx actor.Context, m *derived) {
	ctx.Send(m.job.asker, &vaultpb.DeriveResponse{Key: m.key, Serial: m.job.m.GetSerial()})
	if m.took > restless {
		tree.After(ctx, m.took, rested{})
		return
	}
	v.onRested(ctx)
}

func (v *vault) onRested(ctx actor.Context) {
	v.deriving = false
	v.deriveNext(ctx)
}

// deriveNext starts a derivation, unless there is none or one is under way.
func (v *vault) deriveNext(ctx actor.Context) {
	if v.deriving || len(v.derivations) == 0 {
		return
	}
	j := v.derivations[0]
	v.derivations[0] = derivation{}
	v.derivations = v.derivations[1:]
	v.deriving = true
	sys, self, derive := ctx.ActorSystem(), ctx.Self(), v.derive
	tree.Go(sys, func() {
		start := time.Now()
		key := derive(j.m)
		sys.Root.Send(self, &derived{j, key, time.Since(start)})
	})
}
